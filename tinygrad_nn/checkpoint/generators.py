"""States of random generators, checked: with a number out of range, which NumPy takes, a draw reads foreign memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["Rng", "generator_of", "rng_of", "state_of", "take_over"]

Rng = np.random.Generator | np.random.RandomState

_KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# The largest numbers by their names in the states; `pos` and `buffer_pos` are places in arrays.
_LARGEST = {
    "state": 2**128 - 1, "inc": 2**128 - 1, "pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1,
}  # fmt: skip


def state_of(rng: Rng) -> dict[str, Any]:
    """The state, as `rng_of` takes it."""
    return dict(rng.bit_generator.state if isinstance(rng, np.random.Generator) else rng.get_state(legacy=False))


def take_over(rng: Rng, other: Rng) -> bool:
    """Let a generator be in the state of another one; False if it is of another kind."""
    state, mine = state_of(other), state_of(rng)
    if type(rng) is not type(other) or state["bit_generator"] != mine["bit_generator"]:
        return False
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = state
    else:
        rng.set_state(state)
    return True


def rng_of(state: Any) -> Rng:
    """A Generator or RandomState in this state, as `state_of` gives it; ValueError for one that neither is in."""
    return _random_state_of(state) if isinstance(state, dict) and "gauss" in state else generator_of(state)


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


def _random_state_of(state: dict[str, Any]) -> np.random.RandomState:
    """NumPy's older kind of generator, which keeps every second normal number."""
    bits = generator_of({name: value for name, value in state.items() if name not in ("has_gauss", "gauss")})
    kept, number = state.get("has_gauss"), state["gauss"]
    if type(kept) is not int or kept not in (0, 1) or not isinstance(number, float) or not math.isfinite(number):
        raise ValueError(f"the state of a RandomState has has_gauss={kept!r} and gauss={number!r}")
    rng = np.random.RandomState(bits.bit_generator)
    rng.set_state(state)
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
