"""Exercises on derivative rules of arrays: three operations, and undoing broadcasting (lessons 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, agree, expect, given, shown

__all__ = ["rules", "unbroadcast"]


def rules(multiply: Callable, sigmoid: Callable, maximum: Callable) -> str:
    """Lesson 5: rules `(g, y, *inputs) -> ∂L/∂input` of three operations, multiply and maximum for both arguments."""
    rng = np.random.default_rng(0)
    a, b, g = rng.normal(size=(3, 5))
    _pair("multiply", multiply, (g, a * b, a, b), (g * b, g * a), _wrong_product)
    y = 1 / (1 + np.exp(-a))
    part = sigmoid(given(g), given(y), given(a))
    if isinstance(part, tuple | list) and len(part) == 1:
        what = "comma" if isinstance(part, tuple) else "brackets"
        raise AnswerError(
            f"sigmoid's rule returns a {type(part).__name__} with one part in it: a rule of one argument returns the "
            f"part itself, drop the {what}."
        )
    expect(
        f"sigmoid's rule for g = {shown(g[:2])} … and x = {shown(a[:2])} …",
        part,
        g * y * (1 - y),
        {
            "g is missing: what arrives from the loss has to be handed on, multiplied by the local derivative.": y
            * (1 - y),
            "x stands where y is meant: σ′(x) = σ(x) (1 − σ(x)), and y is σ(x) already.": g * a * (1 - a),
            "σ was applied to y once more: y is σ(x) already.": g * _sigmoid(y) * (1 - _sigmoid(y)),
            "That is g · y: the factor 1 − y is missing.": g * y,
            "g was added: it has to be multiplied.": g + y * (1 - y),
        },
    )
    larger = a > b
    _pair(
        "maximum",
        maximum,
        (g, np.maximum(a, b), a, b),
        (g * larger, g * ~larger),
        lambda g, y, a, b: {
            "Both arguments got all of g: only the larger one moves the result.": (g, g),
            "The wrong argument got g: it belongs to the larger one.": (g * ~larger, g * larger),
            "The values were handed on: where an argument is the larger one, its local derivative is 1.": (
                g * a * larger,
                g * b * ~larger,
            ),
            "g is missing: the local derivatives are 1 and 0, times what arrives.": (larger, ~larger),
        },
    )
    _ties(maximum)
    _by_differences(multiply, sigmoid, maximum)
    return "three rules agree with central differences, at the first and (multiply, sigmoid) the second derivative"


def _ties(maximum: Callable) -> None:
    """AnswerError unless the two parts add up to g where a is b, as maximum(a, a) moves by what a does."""
    g, a = np.array([2.0, -3.0]), np.array([0.7, -1.5])
    to_a, to_b = (np.asarray(part, dtype=float) for part in maximum(given(g), given(a), given(a), given(a)))
    total = to_a + to_b
    if agree(total, g) and (to_a * g >= 0).all() and (to_b * g >= 0).all():
        return
    what = f"maximum's rule for g = {shown(g[0])} and a = b = {shown(a[0])}"
    hint = "Where a is b, g arrives once: send all of it to one of them, or half to each."
    if agree(total, 2 * g):
        hint = f"Both got all of g, so that two equal numbers count twice. {hint}"
    elif agree(total, 0 * g):
        hint = f"None got anything: if both move, the result does. {hint}"
    raise AnswerError(
        f"{what} it returns {shown(to_a[0])} and {shown(to_b[0])}, expected two parts of {shown(g[0])} in all. {hint}"
    )


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _wrong_product(g: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict[str, tuple]:
    return {
        "The two are exchanged: a moves a·b by b, and b moves it by a.": (g * a, g * b),
        "g is missing: what arrives from the loss has to be handed on, multiplied by the local derivative.": (b, a),
        "y was handed on: the local derivative is the other factor, not the product.": (g * y, g * y),
        "g was handed on as it is, as for a + b.": (g, g),
        "The sign is turned.": (-g * b, -g * a),
        "Both parts are the same: a moves a·b by b, and b moves it by a.": (g * b, g * b),
    }


def _pair(name: str, rule: Callable, inputs: tuple, expected: tuple, mistakes: Callable[..., dict[str, tuple]]) -> None:
    """Compare a rule that returns one part for each of two arguments."""
    got = rule(*map(given, inputs))
    what = f"{name}'s rule"
    if got is None:
        raise AnswerError(f"{what} returns None: is there a `return`?")
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise AnswerError(f"{what} returns {shown(got)}, expected two parts, one for a and one for b: `return …, …`.")
    if all(agree(*pair) for pair in zip(got, expected, strict=True)):
        return
    for hint, wrong in mistakes(*inputs).items():
        if all(agree(*pair) for pair in zip(got, wrong, strict=True)):
            raise AnswerError(f"{what} {_at_one_place(inputs, got, expected)}. {hint}")
    for k, argument in enumerate("ab"):
        expect(f"{what} for {argument}, with g = {shown(inputs[0])},", got[k], expected[k], {})


def _at_one_place(inputs: tuple, got: Any, expected: tuple) -> str:
    """What came out and what was expected at the first element that differs."""
    differs = [~np.isclose(np.asarray(mine, dtype=float), right) for mine, right in zip(got, expected, strict=True)]
    i = int(np.argmax(np.logical_or(*differs)))
    g, _, a, b = (shown(x[i]) for x in inputs)
    returned, wanted = (" and ".join(shown(part[i]) for part in parts) for parts in (got, expected))
    return f"for g = {g}, a = {a}, b = {b} returns {returned}, expected {wanted}"


def _by_differences(multiply: Callable, sigmoid: Callable, maximum: Callable) -> None:
    """The package's own check of a rule, as for every operation of the tables."""
    a, b = np.array([0.3, -1.2, 2.0]), np.array([1.5, 0.4, -0.7])
    try:
        for forward, rule, order in ((np.multiply, multiply, 2), (np.maximum, maximum, 1)):
            rules = [lambda g, y, a, b, k=k, rule=rule: rule(g, y, a, b)[k] for k in (0, 1)]
            tn.gradcheck(_entry(lambda a, b, f=forward: f(a, b), ("a", "b"), rules), a, b, order=order)
        tn.gradcheck(_entry(_sigmoid, ("x",), [sigmoid]), a, order=2)
    except tn.GradientCheckError as error:
        raise AnswerError(f"the rules are right once, but not at every place: {error}") from None


def _entry(forward: Callable, arguments: tuple[str, ...], rules: list[Callable]) -> tn.Op:
    """An operation that is in no table."""
    formula = " ∘ ".join(f"{{{name}}}" for name in arguments)
    return tn.Op("yours", forward, formula, tuple(rules), arguments=arguments, defaults={}, kind="elementwise")


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 4), (3, 1)),
    ((3, 4), (1, 4)),
    ((3, 4), ()),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), (2, 1, 1)),
    ((4, 4), (4,)),
]


def unbroadcast(answer: Callable) -> str:
    """Lesson 6: `unbroadcast(g, shape)`, a gradient summed over what broadcasting repeated."""
    rng = np.random.default_rng(0)
    for big, small in SHAPES:
        g = rng.normal(size=big)
        x = tn.tensor(np.zeros(small), requires_grad=True)
        (expected,) = tn.gradients(x + np.zeros(big), [x], [g])
        kept = tuple(i - len(big) for i in range(len(big)) if i < len(big) - len(small))
        got = answer(given(g), small)
        what = f"of g of shape {big} for an input of shape {small}"
        if got is None:
            raise AnswerError(f"{what} it returns None: is there a `return`?")
        if np.shape(got) == small and agree(got, expected):
            continue
        _shape_hints(what, got, g, small, kept, expected)
    return f"{len(SHAPES)} pairs of shapes"


def _shape_hints(
    what: str, got: Any, g: np.ndarray, small: Sequence[int], kept: Sequence[int], expected: np.ndarray
) -> None:
    missing = g.sum(axis=tuple(kept)) if kept else g
    repeated = tuple(i for i, (n, m) in enumerate(zip(missing.shape, small, strict=True)) if n != m)
    hints: dict[str, Any] = {
        "The mean was taken: every repetition moves the loss, and their effects add.": expected
        * expected.size
        / g.size,
        "g came back as it was: broadcasting used each element several times, so several parts arrive at it.": g,
        "Summed over axes that the input has, and of full length: only what was repeated is summed.": g.sum(),
        "An axis of length 1 stays an axis: sum with keepdims=True there.": missing.sum(axis=repeated),
        "The largest was taken: all of the repetitions move the loss, so add them.": _largest(g, kept, small),
        "One of the repetitions was taken: all of them move the loss, so add them.": _first(missing, repeated),
        "Axes that broadcasting put in front are still there: sum them away.": (
            g.sum(axis=tuple(i + len(kept) for i in repeated), keepdims=True)
        ),
    }
    if g.ndim == 2 and len(small) == 1:
        hints = {
            "The wrong axis was summed: broadcasting compares shapes from the right, and adds axes on the left.": g.sum(
                axis=1
            )
        } | hints
    expect(what, got, expected, hints)


def _largest(g: np.ndarray, kept: Sequence[int], small: Sequence[int]) -> np.ndarray:
    g = g.max(axis=tuple(kept))
    return g.max(axis=tuple(i for i, n in enumerate(small) if n == 1), keepdims=True)


def _first(g: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    return g[tuple(slice(0, 1) if i in axes else slice(None) for i in range(g.ndim))]
