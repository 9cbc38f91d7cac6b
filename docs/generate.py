"""Write the reference pages that are made from the tables; `python docs/generate.py` renews them, a test compares."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.docstrings import LONG, example_of
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, write
from tinygrad_nn.symbols import derivative

HERE = Path(__file__).parent

CHAPTERS = {
    "tinygrad_nn.ops.elementwise": "Elementwise",
    "tinygrad_nn.ops.activations": "Further activations",
    "tinygrad_nn.ops.special": "Special functions",
    "tinygrad_nn.ops.reductions": "Reductions",
    "tinygrad_nn.ops.shaping": "Shaping and indexing",
    "tinygrad_nn.ops.arithmetic": "Rounding, remainders, signs",
    "tinygrad_nn.ops.sorting": "Sorting, searching, choosing",
    "tinygrad_nn.ops.quantiles": "Quantiles and medians",
    "tinygrad_nn.ops.joining": "Joining and rearranging",
    "tinygrad_nn.ops.padding": "Padding",
    "tinygrad_nn.ops.statistics": "Statistics, differences, interpolation",
    "tinygrad_nn.ops.nan": "Without NaN",
    "tinygrad_nn.ops.scatter": "Adding at places, largest elements, running extremes, distances",
    "tinygrad_nn.ops.linalg": "Linear algebra",
    "tinygrad_nn.ops.decompositions": "Decompositions",
    "tinygrad_nn.ops.norms": "Norms",
    "tinygrad_nn.ops.fourier": "Fourier transforms",
    "tinygrad_nn.ops.convolution": "Convolution and pooling",
    "tinygrad_nn.ops.numpy2": "Further names",
    "tinygrad_nn.ops.losses": "Losses",
    "tinygrad_nn.ops.targets": "Targets",
    "tinygrad_nn.ops.composed_losses": "Losses composed of operations",
}


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`" if text else ""


def _row(op: Op) -> str:
    names = {name: name for name in op.arguments}
    rules = []
    for slot, name in enumerate(op.arguments):
        if not op.differentiable(slot):
            rules.append(f"{name}: none")
            continue
        rule = derivative(op, slot, op.arguments)
        rule = rule if rule is not None and len(rule.text) <= LONG else None
        text = rule.text if rule is not None else f"see `{_rule_name(op, slot)}`"
        rules.append((f"{name}: " if len(op.arguments) > 1 else "") + (_code(text) if rule is not None else text))
    call = f"`{op.name}{inspect.signature(op)}`".replace("|", "\\|")
    cells = [call, _code(write(op, names)), "<br>".join(rules), op.kind or "general", op.docs.edge_cases]
    return "| " + " | ".join(cells) + " |"


def _rule_name(op: Op, slot: int) -> str:
    rule = getattr(op.vjps, "rule", None) or op.vjps[slot]
    return rule.__name__ if rule.__name__ != "<lambda>" else f"ops/{op.__module__.rpartition('.')[2]}.py"


def operations(chapters: dict[str, str] = CHAPTERS) -> str:
    """The page of all operations: a chapter for each module that has some, under this title."""
    lines = [
        "# Operations",
        "",
        "Made from the tables in `tinygrad_nn/ops/` by `docs/generate.py`; do not edit.",
        "",
        "Every operation is a function `tn.<name>` of tensors or arrays (arrays in, array out), a method of tensors",
        "where that reads well, and what the NumPy function of the same name does when it meets a tensor.",
        "`g` is the upstream gradient ∂L/∂y, `y` the result; a gradient is summed over what broadcasting repeated.",
        "The kind says what the Jacobian looks like; forward mode follows from it.",
        "",
    ]
    for module, title in chapters.items():
        lines += [f"## {title}", "", *_chapter(module), ""]
    names = {_name_in_numpy(f) for f in BY_FUNCTION}
    lines += ["## NumPy functions that work on tensors", "", ", ".join(f"`{n}`" for n in sorted(names)), ""]
    return "\n".join(lines)


def _name_in_numpy(function: Any) -> str:
    """Where it is found in NumPy: `np.linalg.inv`, `np.add.reduce`."""
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return f"np.{function.__self__.__name__}.{function.__name__}"
    folder = (function.__module__ or "numpy").removeprefix("numpy").removeprefix(".")
    return ".".join(filter(None, ["np", folder, function.__name__]))


def _chapter(module: str) -> list[str]:
    """The operations of one module: a table, the functions composed of them, and an example of each."""
    entries = {n: e for n, e in sorted(BY_NAME.items()) if not n.startswith("_") and e.__module__ == module}
    ops = [e for e in entries.values() if isinstance(e, Op)]
    lines = ["| call | value | gradient | kind | edge cases |", "|---|---|---|---|---|", *map(_row, ops)]
    composed = {name: e for name, e in entries.items() if not isinstance(e, Op)}
    if composed:
        lines += ["", "Composed of these:", ""]
        for name, function in composed.items():
            summary = inspect.getdoc(function).splitlines()[0]
            lines.append(f"- `{name}{inspect.signature(function)}`: {summary}")
    lines += ["", "```python", ">>> import numpy as np", ">>> import tinygrad_nn as tn"]
    for call in filter(None, map(example_of, ops)):
        lines += [f">>> {call}", repr(eval(call, {"np": np, "tn": tn}))]
    return [*lines, "```"]


WHEN = {
    "SGD": "the yardstick; with momentum and a schedule often the best in the end",
    "Adagrad": "sparse features, convex problems; its steps only get smaller",
    "Adadelta": "when no learning rate is known",
    "RMSprop": "noisy gradients whose scale drifts; recurrent networks",
    "Adam": "the first thing to try",
    "AdamW": "Adam with weight decay that means what it says",
    "NAdam": "Adam that looks ahead; often a little quicker",
    "Rprop": "full batches only: robust, no learning rate to find",
    "IDBD": "online learning with inputs of unlike relevance",
    "OnlineLBFGS": "convex problems in batches, where curvature pays",
}


def optimisers() -> str:
    """The page of update rules, schedules and batch methods."""
    lines = [
        "# Optimisers",
        "",
        "Made from the docstrings in `tinygrad_nn/optim/` by `docs/generate.py`; do not edit.",
        "",
        "One class per rule; `w` a parameter, `g` its gradient, `η` the learning rate `lr`. Options, defaults and",
        "results are PyTorch's where PyTorch has the rule.",
        "",
        "| rule | in words | when to use |",
        "|---|---|---|",
    ]
    classes = {name: getattr(tn.optim, name) for name in WHEN}
    for name, rule in classes.items():
        lines.append(f"| [{name}](#{name.lower()}) | {inspect.getdoc(rule).splitlines()[0]} | {WHEN[name]} |")
    lines.append("")
    for name, rule in classes.items():
        lines += [f"## {name}", "", f"`{_call_of(rule)}`", "", *page_of(inspect.getdoc(rule)), ""]
    lines += ["## Learning-rate schedules", "", "| schedule | what it does |", "|---|---|"]
    for name in tn.optim.__all__:
        member = getattr(tn.optim, name)
        if inspect.isclass(member) and issubclass(member, tn.optim.Schedule) and member is not tn.optim.Schedule:
            lines.append(f"| `{name}` | {inspect.getdoc(member).splitlines()[0]} |")
    lines += ["", "## Batch methods through SciPy", "", *page_of(inspect.getdoc(tn.optim.minimize)), ""]
    return "\n".join(lines)


def _call_of(function: object) -> str:
    """Name, parameters and defaults, without the types."""
    parts = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in inspect.signature(function).parameters.values()
    ]
    return f"{function.__name__}({', '.join(parts)})"


def page_of(doc: str) -> list[str]:
    """A docstring as Markdown: formulas and examples in fences, parameters as a list."""
    lines: list[str] = []
    for block in doc.split("\n\n"):
        first, *rest = block.split("\n")
        if first.strip() == "::":
            continue
        if block.startswith("    ") and lines[-1:] == [""] and not first.lstrip().startswith("-"):
            lines += ["```text", block, "```", ""]
        elif first.startswith(">>>"):
            lines += ["```python", block, "```", ""]
        elif rest and set(rest[0]) == {"-"}:
            lines += [f"{first}:", ""]
            if rest[1].startswith(">>>"):
                lines += ["```python", *rest[1:], "```", ""]
            else:
                lines += [re.sub(r"^(\w[\w, ]*) :", r"- `\1`:", line) for line in rest[1:]] + [""]
        else:
            lines += [*(line for line in block.split("\n") if line.strip() != "::"), ""]
    return lines[:-1]


def edge_cases() -> str:
    """The page of values and gradients in edge cases, from the table that the tests go through."""
    spec = importlib.util.spec_from_file_location("edge_cases", HERE.parent / "tests" / "edge_cases.py")
    table = importlib.util.module_from_spec(spec)
    sys.modules["edge_cases"] = table  # a dataclass looks its module up
    spec.loader.exec_module(table)
    lines = [
        "# Edge cases",
        "",
        "Made from `tests/edge_cases.py` by `docs/generate.py`; do not edit. Every row is a test.",
        "Gradients are those of the sum of the value.",
    ]
    theme = None
    for p in table.POINTS:
        if p.why != theme:
            theme = p.why
            header = "| expression | at | value | gradient |"
            lines += ["", f"## {theme[0].upper()}{theme[1:]}", "", header, "|---|---|---|---|"]
        at = ", ".join(f"{k} = {_short(v)}" for k, v in p.inputs.items())
        slopes = ", ".join(f"∂{k}: {_short(v)}" for k, v in p.gradients.items())
        lines.append("| " + " | ".join(_code(cell) for cell in (p.expression, at, _short(p.value), slopes)) + " |")
    return "\n".join([*lines, ""])


def _short(value: object) -> str:
    text = re.sub(r"(\d\.\d{4})\d+", r"\1", str(value))
    return text if len(text) <= 60 else text[:57] + "..."


PAGES = {"operations.md": operations, "optimisers.md": optimisers, "edge_cases.md": edge_cases}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
        print("wrote", HERE / name)
