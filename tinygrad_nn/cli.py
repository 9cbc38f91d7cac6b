"""The command line: the demo, the examples, and a picture of anything in a file."""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib.util
import os
import reprlib
import runpy
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.attribution.categories import looked_up
from tinygrad_nn.autodiff import history
from tinygrad_nn.command_line import PROGRAM, make_parser
from tinygrad_nn.data.cells import shortened
from tinygrad_nn.demo import demonstrate
from tinygrad_nn.predicting import in_options, predictions, write_csv
from tinygrad_nn.view.renderers.layout_engine import RenderError

__all__ = ["main"]


class UserError(Exception):
    """A mistake in the command: shown as one line, exit status 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, or 2 for a mistake in the command, 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # Output may be redirected into an encoding that lacks → and ∂: a question mark there, rather than no output.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = make_parser(tn.__version__)
    arguments = vars(parser.parse_args(argv))
    command = arguments.pop("command")
    if command is None:
        parser.print_help()
        return 0
    try:
        COMMANDS[command](**arguments)
        sys.stdout.flush()
    except UserError as reason:
        print(f"{PROGRAM}: error: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def make_folder(path: Path) -> Path:
    """The folder, made if need be, with its absolute path."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as reason:
        raise UserError(f"cannot write to the folder {path}: {reason.strerror}; name another with --out") from None
    return path.resolve()


def save(picture: Any, path: Path) -> None:
    """Save a picture; UserError if the file cannot be written or no program for it is there."""
    try:
        picture.save(path)
    except OSError as reason:
        raise UserError(f"cannot write {path}: {reason.strerror}") from None
    except (RenderError, ValueError) as reason:
        raise UserError(_first_line(reason)) from None


# --- commands -------------------------------------------------------------------------------------


def run_demo(out: Path) -> None:
    """The demo, with its pictures in a folder."""
    demonstrate(make_folder(out), save)


def run_play(out: Path | None) -> None:
    """The playground, opened or written to a file."""
    try:
        path = tn.play(out)
    except (ValueError, OSError) as reason:
        raise UserError(str(reason)) from None
    if out is not None:
        print(f"page: {path}")


def run_export(checkpoint: Path, out: Path, shape: str | None) -> None:
    """A saved network as an ONNX model."""
    try:
        loaded = tn.nn.load(checkpoint)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        example = _example_for(model, shape)
        exported = tn.onnx.export(model.eval(), example, out)
    except OSError as reason:
        raise UserError(f"{reason.filename or out}: {reason.strerror or reason}") from None
    except (ValueError, ImportError, tn.ExportError) as reason:
        raise UserError(_first_line(reason)) from None
    print(f"model: {out} ({len(exported.graph.node)} nodes, input {'×'.join(map(str, example.shape[:-1]))}×N)")
    if isinstance(model, tn.nn.Predictor) and model.preprocessor is not None:
        features = shortened(", ".join(model.preprocessor.feature_names), 200)
        print(f"It takes the features that preprocessor.transform(rows) makes, not the rows of the table: {features}")


def _example_for(model: Any, shape: str | None) -> np.ndarray:
    """Four examples of the shape that a network takes, in its dtype."""
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float64))
    begins_with = looked_up(model)
    if shape is None:
        parts: list[Any] = [model] if begins_with is None else [model, begins_with.layer]
        for part in parts:
            made = part._example_columns(4) if hasattr(part, "_example_columns") else None
            if made is not None:
                return made.astype(dtype)
        if begins_with is not None:
            raise UserError("the network begins with an embedding: --shape says how many categories an example has")
        first = next((m for m in model.modules() if hasattr(m, "in_features") or hasattr(m, "features")), None)
        if first is None:
            raise UserError("no layer of the network says what it takes: --shape says the shape of one example")
        sizes = first.features if hasattr(first, "features") else (first.in_features,)
    else:
        try:
            sizes = tuple(int(n) for n in shape.split(","))
        except ValueError:
            sizes = ()
        if not sizes or min(sizes) < 1:
            raise UserError(f"--shape {shape}: expected numbers such as 784 or 3,8,8")
    if begins_with is not None and isinstance(begins_with.layer, tn.nn.Embedding):
        return (np.arange(4 * np.prod(sizes)) % begins_with.layer.num_embeddings).reshape(*sizes, 4).astype(dtype)
    return np.random.default_rng(0).normal(size=(*sizes, 4)).astype(dtype)


def run_predict(model: Path, data: Path, out: Path | None, proba: bool, ignore_extra: bool, **reading: Any) -> None:
    """Predictions for the rows of a CSV file, as another CSV file."""
    reading = {name: value for name, value in reading.items() if value is not None}
    try:
        names, values = predictions(model, data, proba=proba, ignore_extra=ignore_extra, **reading)
    except FileNotFoundError as reason:
        raise UserError(f"there is no file {reason.filename}") from None
    except OSError as reason:
        raise UserError(f"cannot read {reason.filename}: {reason.strerror}") from None
    except (ValueError, TypeError) as reason:
        raise UserError(in_options(_first_line(reason))) from None
    if out is None:
        write_csv(sys.stdout, names, values)
        return
    try:
        with open(out, "w", newline="", encoding="utf-8") as file:
            write_csv(file, names, values)
    except OSError as reason:
        raise UserError(f"cannot write {out}: {reason.strerror}") from None
    print(f"{len(values):,} predictions: {out.absolute()}")


# --- examples -------------------------------------------------------------------------------------


def example_files() -> list[Path]:
    """The example programs, from the wheel or from the checkout, in reading order."""
    package = Path(__file__).parent
    for folder in (package / "_examples", package.parent / "examples"):
        if folder.is_dir() and (folder.parent == package or (package.parent / "pyproject.toml").is_file()):
            return sorted(folder.glob("[0-9]*.py"))
    return []


def run_examples(name: str | None, out: Path) -> None:
    """List the examples, or run one."""
    files = {path.stem: path for path in example_files()}
    if not files:
        raise UserError("this installation carries no examples; they are in the folder examples/ of the project")
    if name is None:
        print("Examples, in reading order; `examples NAME` runs one, `examples all` runs all:\n")
        for stem, path in files.items():
            print(f"  {stem:{max(map(len, files))}}  {first_line_of_docstring(path)}")
        print(f"\nTheir files: {next(iter(files.values())).parent}")
        return
    chosen = list(files) if name == "all" else [find_example(name, list(files))]
    folder = make_folder(out)
    for stem in chosen:
        if len(chosen) > 1:
            print(f"\n--- {stem}: {first_line_of_docstring(files[stem])}")
        run_program(files[stem], str(folder))


def find_example(name: str, stems: list[str]) -> str:
    """The example meant by its name, with or without number and ending, or by its number."""
    wanted = Path(name).stem
    for stem in stems:
        number, _, rest = stem.partition("_")
        if wanted in (stem, rest, number, number.lstrip("0")):
            return stem
    near = difflib.get_close_matches(wanted, stems + [s.partition("_")[2] for s in stems], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(stems)}"
    raise UserError(f"no example is called {name!r}: {hint}")


def first_line_of_docstring(path: Path) -> str:
    """What a program says it is."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def run_program(path: Path, *arguments: str) -> None:
    """Run a Python program as `python path arguments` would."""
    before = sys.argv
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before


# --- draw -----------------------------------------------------------------------------------------


def run_draw(what: str, out: Path | None, wrt: str | None, detail: str, steps: bool) -> None:
    """Draw something of a file."""
    file, _, name = what.rpartition(":")
    if not file or not name.isidentifier():
        raise UserError(f"draw needs FILE.py:NAME, the file and which of its names to draw, not {what!r}")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"there is no file {file}")
    with imported(path) as module:
        variables = vars(module)
        if name not in variables:
            raise UserError(f"{path.name} has no name {name!r}{_drawable(variables)}")
        root = tensor_of(variables[name], name, path)
        names = {key: value for key, value in variables.items() if isinstance(value, tn.Tensor)}
        source = None if wrt is None else find_tensor(wrt, names, root)
        try:
            picture = tn.draw(root, wrt=source, detail=detail, names=names, steps=steps)
        except (ValueError, NotImplementedError, tn.MutationError) as reason:
            raise UserError(f"{name} cannot be drawn so: {_first_line(reason)}") from None
        target = (out or Path(f"{name}.svg")).absolute()
        save(picture, target)
    print(f"{name} of {path.name}: {target}")


@contextlib.contextmanager
def imported(path: Path) -> Iterator[ModuleType]:
    """The module that a file makes, able to import its neighbours; errors in the file name its line."""
    path = path.resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path.name} is not a Python file: draw needs FILE.py:NAME")
    module = importlib.util.module_from_spec(spec)
    shadowed, sys.modules[path.stem] = sys.modules.get(path.stem), module
    sys.path.insert(0, str(path.parent))
    try:
        with errors_of(path):
            spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(path.parent))
        del sys.modules[path.stem]
        if shadowed is not None:
            sys.modules[path.stem] = shadowed


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turns an error in a user's file into one line that says where it arose."""
    try:
        yield
    except SyntaxError as reason:
        raise UserError(f"{Path(reason.filename or path).name}, line {reason.lineno}: {reason.msg}") from None
    except (Exception, SystemExit) as reason:
        lines = [f.lineno for f in traceback.extract_tb(reason.__traceback__) if Path(f.filename) == path.resolve()]
        place = f", line {lines[-1]}" if lines else ""
        text = f"{type(reason).__name__}: {_first_line(reason)}".removesuffix(": ")
        raise UserError(f"{path.name}{place}: {text}") from None


def tensor_of(value: Any, name: str, path: Path) -> tn.Tensor:
    """The tensor to draw, of a tensor, of a function without arguments, or of a network."""
    made, verb = value, "is"
    if isinstance(value, tn.nn.Module):
        weights = next((p for p in value.parameters() if p.ndim == 2), None)
        if weights is None:
            raise UserError(f"{name} has no weight matrix to tell the size of its input: draw a function that calls it")
        column = np.random.default_rng(0).normal(size=(weights.shape[1], 1)).astype(weights.dtype)
        with errors_of(path):
            made, verb = value(column), "returned"
    elif callable(value) and not isinstance(value, tn.Tensor):
        with errors_of(path):
            made, verb = value(), "returned"
    if not isinstance(made, tn.Tensor):
        raise UserError(
            f"{name} {verb} {reprlib.repr(made)} of type {type(made).__name__}, not a tensor: "
            "draw what was computed from tn.tensor(..., requires_grad=True)"
        )
    return made


def find_tensor(name: str, variables: dict[str, Any], root: tn.Tensor) -> tn.Tensor:
    """A tensor that root was computed from, by variable or by its own name."""
    nodes = history([root])
    indices = {node.index for node in nodes}
    if name in variables and variables[name].index in indices:
        found: tn.Tensor = variables[name]
        return found
    for node in nodes:
        if node.name == name:
            found = node
            return found
    known = dict.fromkeys([k for k, v in variables.items() if v.index in indices] + [n.name for n in nodes if n.name])
    has = f"; there are {', '.join(known)}" if known else ""
    raise UserError(f"--wrt {name}: no tensor of that name that requires a gradient leads to what is drawn{has}")


def _drawable(variables: dict[str, Any]) -> str:
    kinds = (tn.Tensor, tn.nn.Module, type(_drawable))
    found = [k for k, v in variables.items() if isinstance(v, kinds) and not k.startswith("_")]
    return f"; there are {', '.join(found)}" if found else "; nothing in it can be drawn"


def _first_line(reason: BaseException) -> str:
    return str(reason).partition("\n")[0]


# What runs each command of `command_line`, with its arguments by name.
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": run_demo,
    "examples": run_examples,
    "draw": run_draw,
    "play": run_play,
    "export": run_export,
    "predict": run_predict,
}
