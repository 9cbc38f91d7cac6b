"""States of random generators, checked: with a number out of range, which NumPy takes, a draw reads foreign memory."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["generator_of"]

_KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# The largest numbers by their names in the states; `pos` and `buffer_pos` are places in arrays.
_LARGEST = {
    "state": 2**128 - 1, "inc": 2**128 - 1, "pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1,
}  # fmt: skip


def generator_of(state: Any) -> np.random.Generator:
    """A Generator in this state, as ``rng.bit_generator.state`` gave it; ValueError for one that no generator is in.

    >>> generator_of({**np.random.PCG64(0).state, "has_uint32": 7})
    Traceback (most recent call last):
    ...
    ValueError: the state of a random generator, PCG64, has has_uint32=7, expected an int from 0 to 1
    """
    kind = state.get("bit_generator") if isinstance(state, dict) else None
    if kind not in _KINDS:
        raise ValueError(f"there is no random generator {kind!r}; expected one of {', '.join(_KINDS)}")
    rng = np.random.Generator(getattr(np.random, kind)(0))
    has = f"the state of a random generator, {kind}, has"
    _check(state, rng.bit_generator.state, has)
    if _stands_still(state["state"]):
        raise ValueError(f"{has} numbers that it would repeat for ever")
    rng.bit_generator.state = state
    return rng


def _check(state: Any, like: Any, has: str) -> None:
    """ValueError where a state is not made like another one, or a number is out of range."""
    if not isinstance(state, dict) or state.keys() != like.keys():
        raise ValueError(f"{has} other parts than {', '.join(like)}")
    for name, example in like.items():
        value = state[name]
        if isinstance(example, dict):
            _check(value, example, has)
        elif isinstance(example, np.ndarray):
            if getattr(value, "dtype", None) != example.dtype or value.shape != example.shape:
                raise ValueError(f"{has} {name} that is not {example.dtype} of shape {example.shape}")
        elif isinstance(example, int) and not (type(value) is int and 0 <= value <= _LARGEST[name]):
            raise ValueError(f"{has} {name}={value!r}, expected an int from 0 to {_LARGEST[name]}")


def _stands_still(state: dict[str, Any]) -> bool:
    """Whether all draws may be equal, so that one that is drawn again until it fits never ends."""
    if "inc" in state:
        return state["inc"] % 2 == 0
    return "pos" in state and not (state["key"][0] >> 31 or state["key"][1:].any())  # the twister reads no other bits
