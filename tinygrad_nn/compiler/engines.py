"""Which engine turns the recorded program of a step into a function, and whether it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tinygrad_nn.compiler.numpy_engine import NumpyEngine

__all__ = ["ENGINES", "engine_of", "is_installed"]

# By name: what makes the engine, loaded when it is asked for. One that needs an extra raises ImportError there.
_ENGINES: dict[str, Callable[[], Callable[..., NumpyEngine]]] = {
    "numpy": lambda: NumpyEngine,
    "numba": lambda: import_module("tinygrad_nn.compiler.jit.engine").NumbaEngine,
    "jax": lambda: import_module("tinygrad_nn.compiler.xla.engine").JaxEngine,
}
ENGINES = tuple(_ENGINES)
_WITH_MESH = ("jax",)  # these run on several devices, and are made with `mesh` and `batch_axis`


def engine_of(name: str, mesh: Any = None, batch_axis: int = -1) -> NumpyEngine:
    """The engine of this name, with the settings of `tn.compile`; ImportError if its extra is not installed."""
    if not isinstance(name, str) or name not in _ENGINES:
        known = ", ".join(map(repr, _ENGINES))
        raise ValueError(f"tn.compile: engine={name!r}, expected one of {known}")
    if isinstance(batch_axis, bool) or not isinstance(batch_axis, int):
        raise TypeError(f"tn.compile: batch_axis={batch_axis!r}, expected the number of an axis; -1 is the last one")
    if name in _WITH_MESH:
        return _ENGINES[name]()(mesh, batch_axis)
    if mesh is not None or batch_axis != -1:
        given = "mesh=" if mesh is not None else "batch_axis="
        raise ValueError(
            f"tn.compile: {given} divides a step among devices, and engine={name!r} has one: leave it out, or take "
            "engine='jax'"
        )
    return _ENGINES[name]()()


def is_installed(name: str) -> bool:
    """Whether an engine can be used here."""
    try:
        return name == "numpy" or (find_spec(name) is not None and _ENGINES[name]() is not None)
    except ImportError:
        return False
