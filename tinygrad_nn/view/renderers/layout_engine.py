"""Runs Graphviz, or the embedded engine where there is none, and never waits longer than it was told."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

__all__ = ["LayoutTimeoutError", "RenderError", "find", "layout", "require_known"]

INSTALL = "install Graphviz (https://graphviz.org/download)"


class RenderError(RuntimeError):
    """No picture came out; the message says why, and what helps."""


class LayoutTimeoutError(RenderError):
    """The graph is too large to be laid out in the time given."""


def require_known(engine: str | None) -> None:
    """ValueError for an unknown engine."""
    if engine not in (None, "dot", "embedded"):
        raise ValueError(f"engine must be 'dot', 'embedded' or None, not {engine!r}")


def find(engine: str | None = None, form: str = "svg") -> tuple[str, str]:
    """The engine to use, "dot" or "embedded", and its program.

    Parameters
    ----------
    engine : one of these, or None: `dot` where it is on the PATH, else the embedded one.
    form : what it has to write; the embedded engine writes svg, png, json and dot, not pdf.

    Raises
    ------
    ValueError : for an unknown engine.
    RenderError : where the engine asked for, or any, is missing.
    """
    require_known(engine)
    if form == "pdf" and engine == "embedded":
        raise RenderError(
            "the embedded engine writes svg and png, not pdf: save('picture.svg') and print that from a browser, "
            f"or {INSTALL} and leave engine= out"
        )
    program = None if engine == "embedded" else shutil.which("dot")
    if program is not None:
        return "dot", program
    if engine == "dot" or form == "pdf":
        what = "pdf" if form == "pdf" else "engine='dot'"
        raise RenderError(
            f"{what} needs the program `dot`, which is not on the PATH: {INSTALL}, or save as .svg or .png, which the "
            "embedded engine writes"
        )
    program = _embedded()
    if program is None:
        raise RenderError(
            "there is neither Graphviz's `dot` on the PATH nor the package graphviz-pure: "
            f"`pip install graphviz-pure`, or {INSTALL}; Picture.source is the DOT text, for any other program"
        )
    return "embedded", program


@functools.cache
def _embedded() -> str | None:
    """The program of the package graphviz-pure: beside this Python's other scripts, wherever pip put it."""
    name = "graphviz-pure.exe" if os.name == "nt" else "graphviz-pure"
    candidates = [Path(sysconfig.get_path("scripts")) / name, Path(sys.executable).parent / name]
    try:
        files = importlib.metadata.files("graphviz-pure") or []
        candidates += [Path(str(file.locate())) for file in files if file.name == name]
    except importlib.metadata.PackageNotFoundError:
        pass
    found = next((str(path.resolve()) for path in candidates if path.is_file()), None)
    return found or shutil.which("graphviz-pure")


def layout(source: str, form: str, engine: str | None = None, timeout: float = 10.0, *options: str) -> bytes:
    """What the engine makes of a DOT text, in a format it knows.

    Where nobody asked for `dot`, and it is broken, the embedded engine takes over; a warning says so once.

    Raises
    ------
    LayoutTimeoutError : it took longer than `timeout` seconds, and was stopped.
    RenderError : it is missing, or failed.
    """
    kind, program = find(engine, form)
    spare = None if engine is not None or kind == "embedded" or form == "pdf" else _embedded()
    if spare is None:
        return _drawn(kind, program, source, form, timeout, *options)
    end = time.monotonic() + timeout
    wrong = _fault(program, form)
    if not wrong:
        try:
            return _drawn(kind, program, source, form, timeout, *options)
        except LayoutTimeoutError:
            raise
        except RenderError as reason:
            wrong = str(reason)
    result = _drawn("embedded", spare, source, form, max(end - time.monotonic(), timeout / 2), *options)
    _tell(program, wrong)  # now that the source is known to be sound
    return result


def _drawn(kind: str, program: str, source: str, form: str, timeout: float, *options: str) -> bytes:
    """What one program makes of it."""
    if kind == "embedded" and form == "png":
        source = source.translate(_NOT_IN_ARIMO)
    from graphviz.backend.execute import ExecutableNotFound, run_check  # on Windows without a console window

    command = [program, f"-T{form}", "-q", *options]
    try:
        found = run_check(command, input=source.encode(), capture_output=True, timeout=timeout, quiet=True).stdout
    except subprocess.TimeoutExpired:
        raise LayoutTimeoutError(f"{kind} did not lay the picture out within {timeout:g} seconds") from None
    except subprocess.CalledProcessError as reason:
        message = reason.stderr.decode(errors="replace").strip() or f"exit status {reason.returncode}"
        raise RenderError(f"{kind} could not draw the picture: {message}") from None
    except (OSError, ExecutableNotFound) as reason:
        raise RenderError(f"{program} could not be started: {reason}") from None
    if not _is(form, found):
        start = f"what it wrote begins with {found[:20]!r}" if found else "it wrote nothing"
        raise RenderError(f"{kind} could not draw the picture: {start}, which is no {form}; {INSTALL} anew")
    return found


def _is(form: str, data: bytes) -> bool:
    """Whether this is a whole file of the format, as far as that can be told."""
    if form == "svg":
        try:
            return ET.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
        except ET.ParseError:
            return False
    begin, end = _ENDS.get(form, (b"", b""))
    return bool(data) and data.startswith(begin) and data.rstrip(b"\r\n").endswith(end)


_ENDS = {"png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"), "pdf": (b"%PDF", b"%%EOF")}
PATIENCE = 3.0  # seconds for a picture of two boxes


@functools.cache
def _fault(program: str, form: str) -> str:
    """What is wrong with a program that cannot even draw two boxes, or empty: a large picture shows it too late."""
    try:
        _drawn("dot", program, "digraph { a -> b }", form, PATIENCE)
    except RenderError as reason:
        return str(reason)
    return ""


_TOLD: set[str] = set()  # programs, of each of which a process says it once


def _tell(program: str, wrong: str) -> None:
    if program in _TOLD:
        return
    _TOLD.add(program)
    warnings.warn(
        f"{program} is broken, so the embedded engine draws instead ({wrong}); engine='embedded' asks for that",
        RuntimeWarning,
        stacklevel=3,
    )


# The embedded engine draws png with its own fonts; what they lack would come out as empty boxes.
_NOT_IN_ARIMO = str.maketrans(
    dict(zip("⊙∘✗∥↦⇒∗⋆⋮", "◦◦×‖→→**…", strict=True))
    | {"✓": "OK,", "∇": "grad ", "⟨": "&lt;", "⟩": "&gt;", "∛": "³√", "∧": "and", "∨": "or", "⊕": "(+)", "⊗": "(×)"}
    | {"⌈": "ceil(", "⌉": ")", "⌊": "floor(", "⌋": ")", "⊥": " perp", "\u2007": "  "}
)
