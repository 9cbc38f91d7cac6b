"""Exercises on derivatives of one number: the slope, the chain along one path, and second order (lessons 1, 2, 12)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, agree, expect, given, shown
from tinygrad_nn.operation import numbers_of

__all__ = ["chain", "hessian_product", "slope"]

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": np.sin,
    "exp": np.exp,
    "x³": lambda x: x * x * x,
    "x² − 3x": lambda x: x * x - 3 * x,
    "tanh": np.tanh,
    "1/(1 + x²)": lambda x: 1 / (1 + x * x),
}


def slope(answer: Callable) -> str:
    """Lesson 1: `slope(f, x)`, a central difference."""
    for name, f in FUNCTIONS.items():
        for x in (1.3, 0.0, -0.7):
            exact = float(tn.grad(f)(x))
            asked: list[float] = []
            what = f"of {name} at {x:g}"
            got = _measured(answer, f, x, asked, what)
            if np.asarray(got).dtype.kind in "fiu" and np.ndim(got) == 0 and not agree(got, exact, 1e-6, 1e-7):
                _explain_slope(what, got, exact, f, x, asked)
            if not agree(got, exact, 1e-6, 1e-7):
                expect(what, got, exact, {})
    return f"{3 * len(FUNCTIONS)} slopes agree with the chain rule to 6 digits"


def _measured(answer: Callable, f: Callable, x: float, asked: list[float], what: str) -> Any:
    """What the answer returns; `asked` gets the places at which it calls f."""

    def seen(t: Any) -> float:
        if isinstance(t, tn.Tensor):
            raise AnswerError("the package was asked for the slope: here it is to be measured, by calling f twice.")
        asked.append(float(t))
        return float(f(t))

    try:
        return answer(seen, x)
    except ZeroDivisionError:
        raise AnswerError(f"{what} it divides by 0: take the same small h, such as 1e-5, whatever x is.") from None


def _explain_slope(what: str, got: Any, exact: float, f: Callable, x: float, asked: list[float]) -> None:
    """AnswerError with the mistake that makes this number, judged by where f was called."""
    if len(asked) < 2:
        called = (
            "was called once: a slope compares" if asked else "was never called: it may be any function, so compare"
        )
        itself = "That is f itself: ask how much f changes on a small way, and divide by the way."
        expect(what, got, exact, {itself: float(f(x)), f"f {called} f(x + h) and f(x − h).": got})
    low, high = min(asked), max(asked)
    way, change = high - low, float(f(high) - f(low))
    right = change / way if way else 0.0  # what these places should have given
    if change and (agree(got, right, 1e-9, 0.0) or agree(got, exact, 1e-2, 1e-3)):
        rounded = "f was called at the right places: was the result rounded?"
        expect(what, got, exact, {rounded if agree(right, exact, 1e-6, 1e-7) else _imprecise(x, low, high): got})
    expect(
        what,
        got,
        exact,
        {
            "h is so small that x + h is x: nothing is left of the difference. About 1e-5 is best.": (
                got if abs(change) < 1e-15 else None
            ),
            "Without brackets the second value alone is divided: write (f(x + h) − f(x − h)) / (2 * h).": (
                None if not way else float(f(high)) - float(f(low)) / way
            ),
            "The values were added: take their difference, f(x + h) − f(x − h).": (
                (f(high) + f(low)) / way if way else None
            ),
            "That is the difference alone: divide it by the way, 2h.": change,
            "Python reads a / 2 * h as (a / 2) · h: write a / (2 * h).": change / 2 * (way / 2),
            "That is twice the slope: from x − h to x + h are 2h.": 2 * right,
            "That is half the slope: f(x + h) − f(x) belongs to a way of h.": right / 2,
            "The sign is turned: where x + h is right of x − h, take f(x + h) − f(x − h).": -right,
            "That is f itself: ask how much f changes on a small way, and divide by the way.": float(f(x)),
        },
    )


def _imprecise(x: float, low: float, high: float) -> str:
    """Why a difference is near the slope and no more."""
    if low >= x or high <= x:
        return "This is a difference to one side, which errs by about h/2 · f″: take f(x + h) − f(x − h)."
    if high - low < 1e-7:
        return "h is so small that f(x + h) and f(x − h) share most of their digits: about 1e-5 is best."
    return "h is too large: the error grows with h². About 1e-5 is best."


CHAINS: dict[str, tuple[list[Callable], list[Callable]]] = {
    "tanh(sin x)": ([math.sin, math.tanh], [math.cos, lambda u: 1 - math.tanh(u) ** 2]),
    "(exp x)²": ([math.exp, lambda u: u * u], [math.exp, lambda u: 2 * u]),
    "sin(3x² + 1)": (
        [lambda x: x * x, lambda u: 3 * u + 1, math.sin],
        [lambda x: 2 * x, lambda u: 3.0, math.cos],
    ),
    "x": ([lambda x: x], [lambda x: 1.0]),
}


def chain(answer: Callable) -> str:
    """Lesson 2: `chain(functions, derivatives, x)`, the product of local derivatives along one path."""
    for name, (functions, derivatives) in CHAINS.items():
        for x in (0.5, -1.2):
            product = _product(functions, derivatives, x)
            expect(
                f"for {name} at x = {x:g}",
                answer(list(functions), list(derivatives), x),
                product,
                {
                    "That is the first local derivative alone: does the loop return too early?": derivatives[0](x),
                    "That is the last local derivative alone: multiply them, `*=`.": derivatives[-1](
                        _value(functions[:-1], x)
                    ),
                    "That is x times it: let the product begin with 1.": x * product,
                    "That is 0: let the product begin with 1.": 0.0,
                    "All derivatives were taken at x: each has to be taken where its own function is, "
                    "at what the functions before it made of x.": math.prod(d(x) for d in derivatives),
                    "The local derivatives were added: along one path they multiply, as gears do.": _sum(
                        functions, derivatives, x
                    ),
                    "That is the value at the end, not its derivative.": _value(functions, x),
                    "The functions were applied from the last to the first: functions[0] comes first.": _tried(
                        lambda: _product(functions[::-1], derivatives[::-1], x)  # noqa: B023
                    ),
                    "Each derivative was taken at its function's result: take it at what goes in.": _tried(
                        lambda: _after(functions, derivatives, x)  # noqa: B023
                    ),
                },
            )
    return f"{2 * len(CHAINS)} derivatives are right"


def _product(functions: list, derivatives: list, x: float) -> float:
    product = 1.0
    for f, d in zip(functions, derivatives, strict=True):
        product *= d(x)
        x = f(x)
    return product


def _sum(functions: list, derivatives: list, x: float) -> float:
    total = 0.0
    for f, d in zip(functions, derivatives, strict=True):
        total += d(x)
        x = f(x)
    return total


def _after(functions: list, derivatives: list, x: float) -> float:
    product = 1.0
    for f, d in zip(functions, derivatives, strict=True):
        x = f(x)
        product *= d(x)
    return product


def _value(functions: list, x: float) -> float:
    for f in functions:
        x = f(x)
    return x


def _tried(value: Callable[[], float]) -> float | None:
    try:
        return value()
    except (ArithmeticError, ValueError):
        return None


SURFACES: dict[str, Callable[[Any], Any]] = {
    "Σ x³": lambda x: (x * x * x).sum(),
    "x₀ x₁ + x₁ x₂": lambda x: (x[:-1] * x[1:]).sum(),
    "Σ (x² − 1)² + x₀ x₂": lambda x: ((x * x - 1) ** 2).sum() + x[0] * x[2],
}


def hessian_product(answer: Callable) -> str:
    """Lesson 12: `hessian_product(f, x, v)`, the Hessian times a vector without the Hessian."""
    rng = np.random.default_rng(0)
    for name, f in SURFACES.items():
        x, v = rng.normal(size=3), rng.normal(size=3)
        hessian = tn.hessian(f)(x)
        got = answer(f, given(x), given(v))
        got = got.numpy() if isinstance(got, tn.Tensor) else got
        expect(
            f"of {name} at x = {shown(x)}, v = {shown(v)}",
            got,
            hessian @ v,
            {
                "That is the gradient: its product with v is what is to be differentiated once more.": tn.grad(f)(x),
                "That is the diagonal of the Hessian times v: it leaves out how one x changes the slope of another. "
                "Differentiate the number ⟨∇f, v⟩, not each slope by itself.": np.diag(hessian) * v,
                "That is v ⊙ H·1: v has to be multiplied before the second derivative, not after it.": v
                * hessian.sum(axis=1),
                "f was multiplied with v: it is the gradient of f that has to be.": tn.grad(f)(x) * v.sum(),
                "That is zero: the first gradient was not recorded. Within tn.grad use tn.grad.": np.zeros(3),
                "That is the number vᵀ H v: the answer is the vector H v.": v @ hessian @ v,
            },
            rtol=1e-5,
        )
    _refuse_the_whole_hessian(answer)
    return f"{len(SURFACES)} products agree with the Hessian, and at 3,000 inputs none was built"


def _refuse_the_whole_hessian(answer: Callable) -> None:
    """At 3,000 inputs the rules of x³ may be asked for a few gradients, not for one after the other or many at once."""
    x = np.linspace(-1, 1, 3000)
    calls = 0

    def rule(factor: Callable) -> Callable:
        def sent(g: Any, y: Any, x: Any) -> Any:
            nonlocal calls
            calls += 1
            if np.ndim(numbers_of(g)) > 1 or calls > 50:
                raise AnswerError(
                    "with 3,000 inputs it makes all of the Hessian: two passes of one gradient are enough."
                )
            return g * factor(x)

        return sent

    slope = _op("slope", lambda x: 3 * x * x, rule(lambda x: 6 * x))
    cube = _op("cube", lambda x: x * x * x, rule(slope))
    got = answer(lambda x: cube(x).sum(), given(x), np.ones_like(x))
    expect("of Σ x³ at 3,000 inputs", got.numpy() if isinstance(got, tn.Tensor) else got, 6 * x, {}, rtol=1e-5)


def _op(name: str, forward: Callable, rule: Callable) -> tn.Op:
    """An operation that is in no table."""
    return tn.Op(name, forward, f"{name}({{x}})", (rule,), arguments=("x",), defaults={}, kind="elementwise")
