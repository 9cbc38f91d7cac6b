"""Kernels from their source: compiled by numba once, and found on disk by the next process."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from tinygrad_nn.compiler.jit import runtime

__all__ = ["cache_folder", "kernels_of"]

_KEPT = 512  # kernels on disk; older ones go

_HEAD = '''"""Kernels of a compiled step, written by tinygrad_nn."""

from numba import boolean as b1, float32 as f4, float64 as f8, int64 as i8, njit
from numba.types import Array, void
from numpy import inf, nan, sqrt

from tinygrad_nn.compiler.jit.runtime import address, call, load, pointer, store

'''
_DECORATOR = '@njit({signature}, error_model="numpy", cache={cache})\n'


def cache_folder() -> Path | None:
    """Where kernels are kept: TINYGRAD_NN_CACHE_DIR, or the user's folder for caches; None if nothing can be written.

    Numba runs what lies there: a folder that is another's, or that others may write to, is not used.
    """
    given, home = os.environ.get("TINYGRAD_NN_CACHE_DIR"), os.path.expanduser("~")
    usual = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    folder = Path(given) if given else Path(usual or Path(home, ".cache"), "tinygrad_nn", "kernels")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and (folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o022):
            return None
        return folder if os.access(folder, os.W_OK) else None
    except (OSError, RuntimeError):
        return None


def kernels_of(functions: list[tuple[str, str, str]]) -> dict[str, Callable]:
    """The compiled functions of these names, signatures and sources."""
    folder = cache_folder()
    text = _HEAD + "\n\n".join(
        _DECORATOR.format(signature=signature, cache=folder is not None) + source for _, signature, source in functions
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, about its own affairs
        found = None
        if folder is not None:
            found = _found_or_kept(text, folder)
        if found is None:
            found = _executed(text.replace("cache=True", "cache=False"))
    return {name: _entry(found[name]) for name, _, _ in functions}


def _found_or_kept(text: str, folder: Path) -> dict[str, Any] | None:
    """The functions from the folder; None where it cannot be used: a disk that is full, or who knows what."""
    for _ in range(2):  # what lies there may be damaged: then it is made anew
        with contextlib.suppress(Exception):
            path = _file_of(text, folder)
            try:
                return _loaded(path)
            except Exception:
                _forget(path)
    return None


def _entry(dispatcher: Any) -> Callable:
    """The compiled function itself, which takes the only types there are without asking which."""
    (signature,) = dispatcher.nopython_signatures
    return dispatcher.overloads[signature.args].entry_point


def _file_of(text: str, folder: Path) -> Path:
    """The file of a source; its name tells all that the code depends on but the processor, which numba looks at."""
    of_runtime = Path(runtime.__file__).read_bytes()
    known = [text, of_runtime.hex(), numba.__version__, np.__version__, sys.version]
    path = folder / f"kernels_{hashlib.sha256(chr(0).join(known).encode()).hexdigest()[:32]}.py"
    if path.exists():
        os.utime(path)
        return path
    _forget_old(folder)
    number, name = tempfile.mkstemp(".tmp", "kernels_", folder)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)
    return path


def _forget_old(folder: Path) -> None:
    """Delete the files that were not used for longest, with what numba keeps beside them."""
    files = sorted(folder.glob("kernels_*.py"), key=lambda path: path.stat().st_mtime)
    for path in files[: max(0, len(files) - _KEPT + 1)]:
        _forget(path)


def _forget(path: Path) -> None:
    for old in [*path.parent.glob(f"__pycache__/{path.stem}*"), path]:
        old.unlink(missing_ok=True)


def _loaded(path: Path) -> dict[str, Any]:
    """The names of the file.  Numba looks for its module by name, to keep a kernel and to find it again."""
    spec = importlib.util.spec_from_file_location(f"tinygrad_nn_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules.pop(spec.name, None)
    return vars(module)


def _executed(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "tinygrad_nn_kernels"}
    exec(compile(text, "<kernels of tinygrad_nn>", "exec"), namespace)
    return namespace
