"""Derivative rules traced on symbols: what a rule says, in mathematics, and which values it reads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, EverySlot, Op, Traced, write
from tinygrad_nn.samples import samples_of

__all__ = ["Symbol", "derivative", "reads"]

SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(x: Any) -> str:
    """A constant as it is written in a formula."""
    if isinstance(x, np.ndarray) and x.ndim:
        return "[…]"
    return f"{float(x):.4g}".replace("-", "−")


class Symbol(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """A name with a sample value: operations on it write themselves down.

    `text` is the formula, `binds` how tightly it holds together, `sources` the symbols whose values it depends on.
    """

    __slots__ = ("binds", "sample", "sources", "text")

    def __init__(self, text: str, sample: Any, binds: int = 9, sources: frozenset = frozenset()):
        self.text, self.sample, self.binds, self.sources = text, sample, binds, sources or frozenset([text])

    shape = property(lambda self: self.sample.shape)
    ndim = property(lambda self: self.sample.ndim)
    size = property(lambda self: self.sample.size)
    dtype = property(lambda self: self.sample.dtype)
    T = property(lambda self: np.transpose(self))

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        values = [a.sample if isinstance(a, Symbol) else a for a in args]
        sample = np.asarray(op.compute(values, params))
        sources = frozenset().union(*(a.sources for a in args if isinstance(a, Symbol)))
        text, binds = _formula(op, args, params)
        return Symbol(text, sample, binds, sources)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return BY_FUNCTION[ufunc](*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function is np.zeros_like:
            return 0.0 * np.ones(self.shape) if self.ndim else np.float64(0.0)
        return BY_FUNCTION[function](*args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return BY_NAME["getitem"](self, index)

    def as_index(self) -> Any:  # noqa: D102  inherited
        return np.asarray(self.sample)

    def __repr__(self) -> str:
        return self.text


def _text(a: Any) -> tuple[str, int]:
    if isinstance(a, Symbol):
        return a.text, a.binds
    if a is None:
        return "", 9
    text = number(a)
    return text, 2 if text.startswith("−") else 9


def _formula(op: Op, args: Sequence[Any], params: dict[str, Any] | None) -> tuple[str, int]:
    """The formula of one operation, brackets where needed, and the simplest simplifications."""
    texts = [_text(a) for a in args]
    if op.name == "multiply":
        return _product(args, texts)
    if op.name == "power" and not isinstance(args[1], Symbol):
        exponent = texts[1][0]
        if exponent == "1":
            return texts[0]
        if exponent.lstrip("−").isdigit():
            return _bracket(texts[0], 3, strict=True) + exponent.translate(SUPERSCRIPTS), 3
    if op.name == "add" and "0" in (texts[0][0], texts[1][0]):
        return texts[1] if texts[0][0] == "0" else texts[0]
    if op.name == "divide" and texts[1][0] == "1":
        return texts[0]
    if op.name == "negative" and texts[0][0].startswith("−") and texts[0][1] >= 2:
        return texts[0][0][1:], texts[0][1]
    if op.name in ("reshape", "expand_dims", "broadcast_to", "squeeze", "astype"):
        return texts[0]
    strict_last = op.name in ("subtract", "divide", "power")  # a − (b − c)
    written = [
        t if op.binds == 9 else _bracket((t, b), op.binds, strict=(strict_last and i == 1) or op.binds == 3)
        for i, (t, b) in enumerate(texts)
    ]
    return write(op, written, params), op.binds


def _bracket(text: tuple[str, int], around: int, strict: bool = False) -> str:
    t, b = text
    return f"({t})" if b < around or (strict and b == around) else t


def _product(args: Sequence[Any], texts: list[tuple[str, int]]) -> tuple[str, int]:
    """Numbers first, ones left out, a sign in front."""
    for i in (0, 1):
        if texts[i][0] == "1":
            return texts[1 - i]
        if texts[i][0] == "−1":
            return "−" + _bracket(texts[1 - i], 2), 2
    if not isinstance(args[1], Symbol):
        args, texts = args[::-1], texts[::-1]
    left, right = _bracket(texts[0], 2), _bracket(texts[1], 2)
    sign = ""
    for text in (left, right):
        if text.startswith("−"):
            sign = "" if sign else "−"
    left, right = left.removeprefix("−"), right.removeprefix("−")
    if not isinstance(args[0], Symbol) and right[:1].isalpha():
        return sign + left + right, 2
    elementwise = any(isinstance(a, Symbol) and a.ndim for a in args)
    return f"{sign}{left}{' ⊙ ' if elementwise else '·'}{right}", 2


def derivative(
    op: Op, slot: int, names: Sequence[str], y: str = "y", g: str | None = "g", args: Sequence[Any] | None = None,
    params: dict[str, Any] | None = None,
) -> Symbol | None:  # fmt: skip
    """The rule of one argument, written with these names; with ``g=None`` the upstream gradient is 1.

    `args` are the values (a Python number is written as one); a sample is taken from the entry if they are not given.
    None where there is no gradient, or the rule cannot be written down.
    """
    if op.vjps[slot] is None:
        return None
    if args is None:
        args, params = samples_of(op)[-1]
    try:
        out = np.asarray(op.compute(args, params))
        inputs = [
            Symbol(name, np.asarray(a)) if type(a) not in (int, float) and a is not None else a
            for name, a in zip(names, args, strict=True)
        ]
        upstream = 1.0 if g is None else Symbol(g, np.ones_like(out))
        with np.errstate(all="ignore"):
            result = op.vjps[slot](upstream, Symbol(y, out), *inputs, **(params or {}))
    except Exception:  # a rule may use anything: where it cannot be traced there is no formula
        return None
    return result if isinstance(result, Symbol) else Symbol(number(result), np.asarray(result), 9, frozenset(["1"]))


@functools.cache
def reads(op: Op, slots: int) -> list[frozenset]:
    """For the rule of each slot, whose values it reads: "y" and the numbers of the slots."""
    everything = frozenset(["y", *range(slots)])
    if isinstance(op.vjps, EverySlot) and op.kind == "linear":
        return [frozenset()] * slots
    sample = next((s for s in samples_of(op) if len(s[0]) == slots), None)
    found: list[frozenset] = []
    for slot in range(slots):
        if op.vjps[slot] is None or sample is None:
            found.append(everything if sample is None else frozenset())
            continue
        names = [f"#{i}" for i in range(slots)]
        args = [np.asarray(a) for a in sample[0]]
        traced = derivative(op, slot, names, "#y", "#g", args, sample[1])
        if traced is None:
            found.append(everything)
        else:
            found.append(frozenset("y" if s == "#y" else int(s[1:]) for s in traced.sources if s not in ("#g", "1")))
    return found
