"""Exercises on derivatives of one number: the slope, the chain along one path, and second order (lessons 1, 2, 12)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, agree, expect, shown

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
        for x in (0.0, 1.3, -0.7):
            exact = float(tn.grad(f)(x))
            asked: list[float] = []

            def seen(t: float) -> float:
                asked.append(float(t))  # noqa: B023
                return float(f(t))  # noqa: B023

            got = answer(seen, x)
            what = f"of {name} at {x:g}"
            if got is not None and agree(got, exact, 1e-2, 1e-3) and not agree(got, exact, 1e-6, 1e-7):
                raise AnswerError(f"{what} it returns {float(got):.9g}, expected {exact:.9g}. {_imprecise(x, asked)}")
            if not agree(got, exact, 1e-6, 1e-7):
                expect(what, got, exact, _slips(exact, float(f(x)), 0 in (got if np.ndim(got) else [got])))
    return f"{3 * len(FUNCTIONS)} slopes agree with the chain rule to 6 digits"


def _imprecise(x: float, asked: list[float]) -> str:
    """Why a difference is near the slope and no more, by where the function was evaluated."""
    if min(asked) >= x or max(asked) <= x:
        return "This is a difference to one side, which errs by about h/2 · f″: take f(x + h) − f(x − h)."
    if max(asked) - min(asked) < 1e-7:
        return "h is so small that f(x + h) and f(x − h) share most of their digits: about 1e-5 is best."
    return "h is too large: the error grows with h². About 1e-5 is best."


def _slips(exact: float, value: float, flat: bool) -> dict[str, Any]:
    return {
        "h is so small that x + h is x: nothing is left of the difference. About 1e-5 is best.": 0.0 if flat else None,
        "That is twice the slope: from x − h to x + h is a way of 2h.": 2 * exact,
        "That is half the slope: f(x + h) − f(x) belongs to a way of h.": exact / 2,
        "The sign is turned: where x + h is right of x − h, take f(x + h) − f(x − h).": -exact,
        "That is f itself: ask how much f changes on a small way, and divide by the way.": value,
    }


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
            expect(
                f"for {name} at x = {x:g}",
                answer(list(functions), list(derivatives), x),
                _product(functions, derivatives, x),
                {
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
        got = answer(f, x.copy(), v.copy())
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
                "That is zero: the first gradient was not recorded. Within tn.grad use tn.grad.": (np.zeros(3)),
                "That is the number vᵀ H v: the answer is the vector H v.": v @ hessian @ v,
            },
            rtol=1e-5,
        )
    _refuse_the_whole_hessian(answer)
    return f"{len(SURFACES)} products agree with the Hessian, and at 3,000 inputs none was built"


def _refuse_the_whole_hessian(answer: Callable) -> None:
    x = np.linspace(-1, 1, 3000)
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        if np.ndim(x) > 1 or calls > 50:
            raise AnswerError("with 3,000 inputs it asks for one derivative after the other: two passes are enough.")
        return (x * x * x).sum()

    got = answer(f, x, np.ones_like(x))
    expect("of Σ x³ at 3,000 inputs", got.numpy() if isinstance(got, tn.Tensor) else got, 6 * x, {}, rtol=1e-5)
