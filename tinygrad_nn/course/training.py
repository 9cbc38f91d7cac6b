"""Exercises on learning: Adam, and a loop that teaches a network digits (lessons 9 and 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, expect, shown

__all__ = ["adam", "train"]

STEPS = 5


def adam(answer: Callable) -> str:
    """Lesson 9: a class `Adam(lr, beta1, beta2, eps)` with `step(w, g)` that returns the new w."""
    rng = np.random.default_rng(0)
    _refuse_shared_state(answer)
    for settings in ((0.1, 0.9, 0.999, 1e-8), (0.02, 0.5, 0.9, 1e-2)):
        start, gradients = rng.normal(size=(2, 3)), rng.normal(size=(STEPS, 2, 3))
        gradients[1] *= 50
        optimizer = answer(*settings)
        w = start.copy()
        for k in range(STEPS):
            w = optimizer.step(w.copy(), gradients[k].copy())
            expected = _packages(start, gradients[: k + 1], settings)
            slips = {hint: _equations(start, gradients[: k + 1], settings, **slip) for hint, slip in SLIPS.items()}
            expect(f"with lr={settings[0]}, β₁={settings[1]}, β₂={settings[2]}, after step {k + 1}", w, expected, slips)
    return f"{2 * STEPS} steps agree with tn.optim.Adam"


def _refuse_shared_state(answer: Callable) -> None:
    """AnswerError where a second optimiser goes on from where the first one has ended."""
    one = answer(0.1, 0.9, 0.999, 1e-8)
    first = one.step(np.ones(2), np.ones(2))
    one.step(np.ones(2), -3 * np.ones(2))
    second = answer(0.1, 0.9, 0.999, 1e-8).step(np.ones(2), np.ones(2))
    if first is not None and not np.array_equal(first, second, equal_nan=True):
        raise AnswerError(
            f"a second Adam of the same settings makes another first step, {shown(second)} in place of {shown(first)}: "
            "what it remembers belongs to each of them, self.m = ... in __init__."
        )


# what a mistake changes in the equations below
SLIPS: dict[str, dict[str, Any]] = {
    "The means are not corrected: they start at 0, so the first ones are too small. Divide by 1 − βᵗ.": {
        "corrected": False
    },
    "ε is inside the root: it stands beside it, √v̂ + ε.": {"inside": True},
    "The second mean is that of g, not of g².": {"squared": False},
    "The root is missing: the step is m̂ / (√v̂ + ε).": {"root": False},
    "That is uphill: w − lr · step.": {"sign": -1.0},
    "β₁ and β₂ are exchanged: β₁ belongs to the mean of g.": {"exchanged": True},
    "t is one too large in the correction: at the first step it is 1.": {"late": 1},
    "The weights of the mean are exchanged: the old mean gets β, what is new gets 1 − β.": {"turned": True},
    "That is plain gradient descent, w − lr · g.": {"plain": True},
    "What is new gets the weight 1 − β in the mean: m ← β₁ m + (1 − β₁) g.": {"sums": True},
    "The corrected mean has replaced the mean: keep m and v as they are, and correct copies of them.": {"kept": True},
    "The correction is 1 − βᵗ, with the number of the step as exponent.": {"rising": False},
    "The means are not remembered from one step to the next: keep them, self.m and self.v.": {"forgets": True},
    "That is the step alone: return w − step.": {"alone": True},
}


def _packages(start: np.ndarray, gradients: np.ndarray, settings: tuple[float, ...]) -> np.ndarray:
    lr, beta1, beta2, eps = settings
    w = tn.tensor(start, requires_grad=True)
    optimizer = tn.optim.Adam([w], lr=lr, betas=(beta1, beta2), eps=eps)
    for g in gradients:
        optimizer.zero_grad()
        (w * g).sum().backward()
        optimizer.step()
    return w.numpy().copy()


def _equations(
    w: np.ndarray, gradients: np.ndarray, settings: tuple[float, ...], corrected: bool = True, inside: bool = False,
    squared: bool = True, root: bool = True, sign: float = 1.0, exchanged: bool = False, late: int = 0,
    turned: bool = False, plain: bool = False, sums: bool = False, kept: bool = False, rising: bool = True,
    forgets: bool = False, alone: bool = False,
) -> np.ndarray | None:  # fmt: skip
    """Adam's equations (Kingma and Ba 2015, algorithm 1), with slips."""
    lr, beta1, beta2, eps = settings
    if exchanged:
        beta1, beta2 = beta2, beta1
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, 1 + late):
        keep1, keep2 = (1 - beta1, 1 - beta2) if turned else (beta1, beta2)
        if forgets:
            m = v = np.zeros_like(w)
        m = keep1 * m + (1 if sums else 1 - keep1) * g
        v = keep2 * v + (1 if sums else 1 - keep2) * (g * g if squared else np.abs(g))
        exponent = t if rising else 1
        mean, square = (m / (1 - keep1**exponent), v / (1 - keep2**exponent)) if corrected else (m, v)
        if kept:
            m, v = mean, square
        below = np.sqrt(square + eps) if inside else (np.sqrt(square) if root else square) + eps
        w = (0 if alone else w) - sign * lr * (g if plain else mean / below)
    return w


def train(answer: Callable) -> str:
    """Lesson 11: `train(model, X, y, rng)`, after which a network of 64–32–10 reads at least 93 of 100 digits."""
    X_train, y_train, X_test, y_test = tn.data.load_digits()
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))
    before = [p.numpy().copy() for p in model.parameters()]
    start = tn.cross_entropy(model(X_train), y_train).item()
    answer(model, X_train, y_train, rng)
    after = [p.numpy() for p in model.parameters()]
    if any(not np.isfinite(p).all() for p in after):
        raise AnswerError(
            "the weights are not finite any more: the steps are too large. Try a learning rate ten times smaller."
        )
    if all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        raise AnswerError(
            "no weight of `model` has moved: does the loop call J.backward() and then optimizer.step(), with no "
            "zero_grad() between them, and is the optimiser that of model.parameters()?"
        )
    cost = tn.cross_entropy(model(X_train), y_train).item()
    accuracy = float(np.mean(model(X_test).numpy().argmax(axis=0) == y_test))
    if cost > start:
        raise AnswerError(
            f"the cost has risen from {start:.3g} to {cost:.3g}: is the step uphill, is it too large, or do gradients "
            "pile up because nobody calls zero_grad()?"
        )
    if accuracy < 0.93:
        still = (
            "Does each step take a new batch, with gradients that are zeroed before? Does the cost get logits, without "
            "a softmax before it? Are there enough epochs?"
        )
        raise AnswerError(
            f"it reads {accuracy:.1%} of the test digits, expected at least 93 %; the cost is {cost:.3g}. {still}"
        )
    return f"it reads {accuracy:.1%} of digits that it has never seen"
