"""The reference of the public names: signatures and docstrings as MyST pages, with targets for links and search."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generate import page_of

import tinygrad_nn as tn

__all__ = ["write"]

# title -> the module whose names it lists, and what a reader finds there; the top level is sorted by its modules
PAGES = {
    "Tensors and operations": ("tensors", "What is computed with, what is recorded, and how an operation is added."),
    "Derivatives": ("derivatives", "Gradients of recorded tensors, and derivatives of functions."),
    "Paths and pictures": ("pictures", "Where a gradient comes from, as numbers, words and pictures."),
    "tn.nn: networks": ("nn", "Layers, networks, initialisation, and the founding equations written out."),
    "tn.optim: optimisers": ("optim", "Update rules, schedules, batch methods."),
    "tn.data: data": ("data", "Loading, scaling, splitting and batching, examples as columns."),
    "tn.fit: training": ("training", "The training loop and what it keeps."),
    "tn.compile: compiled steps": ("compiler", "A step recorded once and replayed."),
    "tn.plot: plots": (
        "plot",
        "Learning curves, classes, probabilities, errors, weights, the loss around a model, contributions.",
    ),
    "tn.sklearn: estimators": ("sklearn", "Networks in scikit-learn's pipelines and searches."),
    "tn.checkpoint: files": ("checkpoint", "Models and trainings in files that run no code."),
    "Errors": ("errors", "What is raised, and when."),
}
WHERE = {
    "errors": ("errors",),
    "derivatives": ("transforms", "vectorize", "autodiff", "checking"),
    "pictures": ("chain", "view"),
    "training": ("training",),
    "compiler": ("compiler",),
}


def write(folder: Path) -> None:
    """A page for each group of names, and their index."""
    folder.mkdir()
    for title, (stem, about) in PAGES.items():
        (folder / f"{stem}.md").write_text("\n\n".join([f"# {title}", about, *_entries(stem)]) + "\n", "utf-8")
    listed = "\n".join(stem for stem, _ in PAGES.values())
    index = (
        "# Reference\n\nEvery public name with its signature; operations have [a page of their own](../operations.md)."
    )
    (folder / "index.md").write_text(f"{index}\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n", "utf-8")


def _entries(stem: str) -> Iterator[str]:
    for name, value in _names(stem):
        if inspect.isclass(value):
            yield _class(name, value)
        elif callable(value):
            yield _block("function", f"{name}{_signature(value)}", _markdown(value))
        elif inspect.ismodule(value):
            for inner in value.__all__:
                yield _block(
                    "function", f"{name}.{inner}{_signature(getattr(value, inner))}", _markdown(getattr(value, inner))
                )


def _names(stem: str) -> list[tuple[str, Any]]:
    """The names of a page with what they mean, as a program writes them: `tn.nn.Dense`."""
    found = {}
    if stem not in (*WHERE, "tensors"):
        module = getattr(tn, stem)
        return [(f"tn.{stem}.{name}", getattr(module, name)) for name in sorted(module.__all__)]
    for name in tn.__all__:
        value = getattr(tn, name)
        if inspect.ismodule(value) or (isinstance(value, tn.Op)) or name in tn.ops.names():
            continue
        part = value.__module__.removeprefix("tinygrad_nn").lstrip(".").partition(".")[0]
        home = next((page for page, parts in WHERE.items() if part in parts), "tensors")
        if home == stem:
            found[f"tn.{name}"] = value
    if stem in WHERE and stem in tn.__all__:
        module = getattr(tn, stem)
        found |= {f"tn.{stem}.{name}": getattr(module, name) for name in module.__all__ if name not in tn.__all__}
    return sorted(found.items())


def _class(name: str, kind: type) -> str:
    parts = [_markdown(kind)]
    for member, value in sorted(vars(kind).items()):
        if member.startswith("_") or isinstance(value, tn.Op) or not inspect.getdoc(getattr(kind, member, None)):
            continue  # operations have a page; a hint for a name of another framework is no attribute
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            parts.append(_block("property", member, _markdown(value)))
        elif callable(getattr(kind, member)):
            parts.append(_block("method", f"{member}{_signature(getattr(kind, member), bound=True)}", _markdown(value)))
    return _block("class", f"{name}{_signature(kind)}", "\n\n".join(parts), fence=6)


def _block(what: str, signature: str, text: str, fence: int = 5) -> str:
    colons = ":" * fence
    return f"{colons}{{py:{what}}} {signature}\n\n{text}\n{colons}"


def _signature(value: Any, bound: bool = False) -> str:
    """Parameters with their defaults, and no types: these stand in the words."""
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return "()"
    if bound and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    plain = [
        p.replace(annotation=p.empty, default=p.default if p.default is p.empty else _Shown(p.default))
        for p in parameters
    ]
    return str(inspect.Signature(plain))


class _Shown:
    """A default, as a program would write it."""

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        text = repr(self.value)
        return getattr(self.value, "__name__", "...") if text.startswith("<") else text


def _markdown(value: Any) -> str:
    """A docstring, as Markdown in which only code is code."""
    lines = page_of(inspect.getdoc(value) or "")
    text, fenced = [], False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        text.append(line if fenced or line.startswith("```") else _escaped(line))
    return "\n".join(text)


def _escaped(line: str) -> str:
    parts = re.split(r"(`+[^`]+`+)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<>\[\]|$#])", r"\\\1", part) for part in parts)
