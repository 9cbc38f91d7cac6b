"""Derivative rules traced on symbols: what a rule says, in mathematics, and which values it reads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import Term, bracket, format_number
from tinygrad_nn.operation import BY_FUNCTION, Op, Traced, VariadicRule, write
from tinygrad_nn.ops.shaping import getitem
from tinygrad_nn.samples import samples_of

__all__ = ["Symbol", "derivative", "formula", "reads"]


class Symbol(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """A name with a sample value: operations on it write themselves down.

    `text` is the formula, `precedence` that of its outermost operation (see `notation.Term`), `sources` the symbols
    whose values it depends on, `options` the plain numbers of which it is one, where it is a choice between such.
    """

    __slots__ = ("options", "precedence", "sample", "sources", "text")

    def __init__(self, text: str, sample: Any, precedence: int = 9, sources: frozenset = frozenset()):
        self.text, self.sample, self.precedence = text, sample, precedence
        self.options: tuple[str, ...] = ()
        self.sources = sources or frozenset([text])

    shape = property(lambda self: self.sample.shape)
    ndim = property(lambda self: self.sample.ndim)
    size = property(lambda self: self.sample.size)
    dtype = property(lambda self: self.sample.dtype)
    T = property(lambda self: np.transpose(self))

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        values = [a.sample if isinstance(a, Symbol) else a for a in args]
        sample = np.asarray(op.compute(values, params))
        sources = frozenset().union(*(a.sources for a in args if isinstance(a, Symbol)))
        term = _simplified(op, args, params)
        made = Symbol(term.text, sample, term.precedence, sources)
        if op.selects:
            made.options = _options(args)
        return made

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return BY_FUNCTION[ufunc](*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function is np.zeros_like:
            return 0.0 * np.ones(self.shape) if self.ndim else np.float64(0.0)
        return BY_FUNCTION[function](*args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return getitem(self, index)

    def as_index(self) -> Any:  # noqa: D102  inherited
        return np.asarray(self.sample)

    def __repr__(self) -> str:
        return self.text


def _options(args: Sequence[Any]) -> tuple[str, ...]:
    """The numbers that a selection with these arguments chooses from; none where something else is among them."""
    chosen = [a for a in args if not (isinstance(a, Symbol) and a.dtype == bool)]
    several = [a.options if isinstance(a, Symbol) else (format_number(a),) for a in chosen]
    return tuple(dict.fromkeys(text for some in several for text in some)) if all(several) else ()


def _term(a: Any) -> Term:
    if isinstance(a, Symbol):
        return Term(a.text, a.precedence, ndim=a.ndim)
    if a is None:
        return Term("")
    text = format_number(a)
    return Term(text, 2 if text.startswith("−") else 9, constant=True)


def _simplified(op: Op, args: Sequence[Any], params: dict[str, Any] | None) -> Term:
    """The formula of one operation: simplified where its entry knows how, else with brackets where they are needed."""
    terms = [_term(a) for a in args]
    simpler = op.simplify(*terms) if op.simplify is not None else None
    if simpler is not None:
        return simpler
    return formula(op, terms, params)


def formula(op: Op, terms: Sequence[Term], params: dict[str, Any] | None = None) -> Term:
    """The formula of an operation with these arguments, which get brackets where they need them."""
    written = [_in_formula(op, slot, term) for slot, term in enumerate(terms)]
    return Term(write(op, written, params), op.precedence)


def _in_formula(op: Op, slot: int, term: Term) -> str:
    """An argument, in brackets where the operation binds it more tightly: a − (b − c), (a + b)²."""
    if op.precedence == 9:
        return term.text
    strict = op.precedence == 3 or (slot > 0 and not op.associative)
    return bracket(term, op.precedence, strict)


def derivative(
    op: Op, slot: int, names: Sequence[str | Term], y: str = "y", g: str | None = "g",
    args: Sequence[Any] | None = None, params: dict[str, Any] | None = None,
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
            _named(name, np.asarray(a)) if type(a) not in (int, float) and a is not None else a
            for name, a in zip(names, args, strict=True)
        ]
        upstream = 1.0 if g is None else Symbol(g, np.ones_like(out))
        with np.errstate(all="ignore"):
            result = op.vjps[slot](upstream, Symbol(y, out), *inputs, **(params or {}))
    except Exception:  # a rule may use anything: where it cannot be traced there is no formula
        return None
    return (
        result if isinstance(result, Symbol) else Symbol(format_number(result), np.asarray(result), 9, frozenset(["1"]))
    )


def _named(name: str | Term, sample: np.ndarray) -> Symbol:
    return Symbol(name, sample) if isinstance(name, str) else Symbol(name.text, sample, name.precedence)


@functools.cache
def reads(op: Op, slots: int) -> list[frozenset]:
    """For the rule of each slot, whose values it reads: "y" and the numbers of the slots."""
    everything = frozenset(["y", *range(slots)])
    if isinstance(op.vjps, VariadicRule) and op.kind == "linear":
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
