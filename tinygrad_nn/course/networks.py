"""Exercises on networks: a layer backwards, all of backpropagation, and weights to begin with (lessons 7, 8 and 10)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, agree, expect, given, shown

__all__ = ["backpropagation", "initial_weights", "layer_backward"]


def layer_backward(answer: Callable) -> str:
    """Lesson 7: `layer_backward(G, W, A)`, from ∂J/∂Z to ∂J/∂W, ∂J/∂b and ∂J/∂A of Z = W A + b."""
    rng = np.random.default_rng(0)
    for n_out, n_in, N in ((3, 2, 5), (1, 4, 1), (4, 4, 4)):
        G, W, A = rng.normal(size=(n_out, N)), rng.normal(size=(n_out, n_in)), rng.normal(size=(n_in, N))
        got = answer(given(G), given(W), given(A))
        where = f"with W {W.shape}, A {A.shape} and G {G.shape}"
        if not isinstance(got, tuple | list) or len(got) != 3:
            raise AnswerError(f"{where} it does not return three arrays: `return dW, db, dA`.")
        expect(
            f"{where}, for dW",
            got[0],
            G @ A.T,
            {
                "That is the transpose: dW has the shape of W.": A @ G.T,
                "J is a mean over examples already, and G says so: do not divide by N again.": G @ A.T / N,
                "That is dA: return dW, db, dA, in this order.": W.T @ G,
                "Each example alone: the examples' parts of dW add up, which the product with Aᵀ does.": _outer(G, A),
            },
        )
        _bias(where, got[1], G)
        _input(where, got[2], G, W, A)
    return "three layers agree with the package"


def _bias(where: str, got: Any, G: np.ndarray) -> None:
    expect(
        f"{where}, for db",
        got,
        G.sum(axis=1, keepdims=True),
        {
            "b is a column: keep the axis, with keepdims=True.": G.sum(axis=1),
            "Summed over the outputs: b is used once for each example, so sum over the columns, axis 1.": G.sum(
                axis=0, keepdims=True
            ),
            "b is added to every column, so its gradient is the sum over columns, not G itself.": G,
            "That is the mean: the parts of the examples add up, and 1/N is in G already.": G.mean(
                axis=1, keepdims=True
            ),
        },
    )


def _input(where: str, got: Any, G: np.ndarray, W: np.ndarray, A: np.ndarray) -> None:
    hints: dict[str, Any] = {
        "That is the transpose: dA has the shape of A, W.T @ G.": G.T @ W,
        "Z = W A + b has no σ in it, so there is no σ′ here.": (W.T @ G) * A * (1 - A),
    }
    if W.shape[0] == W.shape[1]:
        hints["W is not transposed: backwards, unit i collects w_ki δ_k over all k it feeds."] = W @ G
    expect(f"{where}, for dA", got, W.T @ G, hints)


def _outer(G: np.ndarray, A: np.ndarray) -> np.ndarray:
    return np.outer(G[:, 0], A[:, 0])


def backpropagation(answer: Callable) -> str:
    """Lesson 8: `backpropagation(weights, biases, X, Y)`, [(dW, db), …] of sigmoid layers and J = 1/N Σ ½‖y* − ŷ‖²."""
    rng = np.random.default_rng(1)
    for sizes, N in (((2, 3, 2), 4), ((3, 1), 1), ((2, 3, 4, 1), 6)):
        model = tn.nn.Sequential(*(tn.nn.Dense(i, o, "sigmoid", rng=rng) for i, o in itertools.pairwise(sizes)))
        X, Y = rng.normal(size=(sizes[0], N)), rng.uniform(size=(sizes[-1], N))
        weights = [layer.W.numpy().copy() for layer in model]
        biases = [layer.b.numpy().copy() for layer in model]
        expected = [(dW, db) for _, dW, db in tn.nn.backpropagation(model, X, Y)]
        got = answer([*map(given, weights)], [*map(given, biases)], given(X), given(Y))
        where = f"for the network {'–'.join(map(str, sizes))} with {N} examples"
        if not isinstance(got, tuple | list) or len(got) != len(expected):
            raise AnswerError(f"{where} it does not return one pair (dW, db) for each of {len(expected)} layers.")
        if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in got):
            raise AnswerError(f"{where} it returns {shown(got[0])} in the list: expected pairs (dW, db).")
        if _all_weights_first(got, expected):
            raise AnswerError(
                f"{where} it returns all dW, then all db: expected one pair (dW, db) for each layer, as "
                "`list(zip(dWs, dbs))` makes them."
            )
        if len(got) > 1 and np.shape(got[0][0]) == expected[-1][0].shape != expected[0][0].shape:
            raise AnswerError(f"{where} the list begins with the last layer: layer 1 comes first.")
        mistakes = {hint: _founding(weights, biases, X, Y, **slip) for hint, slip in SLIPS.items()}
        for k in reversed(range(len(expected))):
            for j, name in enumerate(("dW", "db")):
                hints = {hint: wrong[k][j] for hint, wrong in mistakes.items()}
                expect(f"{where}, for {name} of layer {k + 1},", got[k][j], expected[k][j], hints)
    return "three networks agree with the founding equations"


def _all_weights_first(got: Any, expected: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether an answer for two layers is (dW¹, dW²), (db¹, db²)."""
    return len(got) == 2 == len(expected) and all(
        np.shape(got[j][k]) == expected[k][j].shape for j in (0, 1) for k in (0, 1)
    )


# what a mistake changes in the equations below
SLIPS: dict[str, dict[str, Any]] = {
    "1/N is missing: J is the mean over the examples.": {"mean": False},
    "σ′ of the output layer is missing: δ = (ŷ − y*) ⊗ σ′(z).": {"last": False},
    "σ′ of the hidden layers is missing: what comes back through the weights passes the activation, too.": {
        "hidden": False
    },
    "The sign is turned: the error is ŷ − y*, as J falls when ŷ comes closer to y*.": {"sign": -1.0},
    "A factor 2: the ½ in J takes it away.": {"sign": 2.0},
    "σ was applied to a once more: σ′(z) = a (1 − a), where a is σ(z) already.": {"twice": True},
    "1/N was put in again in every layer: δ has no 1/N, the gradients have it once.": {"again": True},
}


def _founding(
    weights: list, biases: list, X: np.ndarray, Y: np.ndarray, mean: bool = True, last: bool = True,
    hidden: bool = True, sign: float = 1.0, twice: bool = False, again: bool = False,
) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """The gradients by the equations of the founding text, with slips."""
    activations = [X]
    for W, b in zip(weights, biases, strict=True):
        activations.append(_sigmoid(W @ activations[-1] + b))
    slopes = [(s := _sigmoid(a) if twice else a) * (1 - s) for a in activations[1:]]
    N = X.shape[1] if mean else 1
    delta = sign * (activations[-1] - Y) * (slopes[-1] if last else 1.0)
    found = []
    for k in reversed(range(len(weights))):
        found.append((delta @ activations[k].T / N, delta.sum(axis=1, keepdims=True) / N))
        if k:
            delta = weights[k].T @ delta * (slopes[k - 1] if hidden else 1.0) / (N if again else 1)
    return found[::-1]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def initial_weights(answer: Callable) -> str:
    """Lesson 10: `initial_weights(fan_in, fan_out, rng)`, so that twenty tanh layers pass signals and gradients on."""
    drawn = answer(40, 30, np.random.default_rng(0))
    if drawn is None:
        raise AnswerError("it returns None: is there a `return`?")
    W = np.asarray(drawn)
    if W.ndim == 0:
        raise AnswerError("it returns a single number: ask for an array, with size=(fan_out, fan_in).")
    if W.shape == (40, 30):
        raise AnswerError(
            "it has shape (fan_in, fan_out): a layer is Z = W A, so W has a row for each output, (fan_out, fan_in)."
        )
    if W.shape != (30, 40):
        raise AnswerError(f"W has shape {W.shape}, expected (fan_out, fan_in) = (30, 40).")
    if np.ptp(W, axis=0).max() < 1e-12:
        raise AnswerError(
            "all units of the layer have the same weights: they get the same gradients and stay the same for ever. "
            "Only chance breaks the symmetry: draw from rng."
        )
    if np.ptp(W, axis=1).max() < 1e-12:
        raise AnswerError("each unit has one weight for all its inputs, and so sees their sum only: draw all of them.")
    if not agree(W, answer(40, 30, np.random.default_rng(0)), 0, 0):
        raise AnswerError("the same rng gives other weights: draw only from `rng`, so that a run can be repeated.")
    if agree(W, answer(40, 30, np.random.default_rng(1)), 0, 0):
        raise AnswerError("another rng gives the same weights: draw from `rng`, not from a generator made inside.")
    if abs(W.mean()) > 4 * W.std() / np.sqrt(W.size):
        raise AnswerError(
            f"the weights have the mean {W.mean():.3g}: with a mean that is not 0 all units pull in one direction."
        )
    _through_twenty_layers(answer)
    _from_many_to_few(answer)
    return "signals and gradients pass twenty layers of any width"


def _through_twenty_layers(answer: Callable) -> None:
    rng = np.random.default_rng(2)
    for width in (20, 100, 400):
        weights = [np.asarray(answer(width, width, rng)) for _ in range(20)]
        A = rng.normal(size=(width, 50))
        slopes = []
        for W in weights:
            A = np.tanh(W @ A)
            slopes.append(1 - A * A)
        G = rng.normal(size=A.shape)
        before = np.std(G)
        for W, slope in zip(reversed(weights), reversed(slopes), strict=True):
            G = W.T @ (G * slope)
        size, back = float(np.std(A)), float(np.std(G) / before)
        where = f"after twenty layers of {width} units"
        if np.mean(np.abs(A) > 0.97) > 0.3:
            raise AnswerError(
                f"{where} {np.mean(np.abs(A) > 0.97):.0%} of the units are at ±1, where tanh is flat: the weights are "
                "too large. A sum of fan_in terms grows with their number: make the variance smaller by fan_in."
            )
        if size < 0.02:
            raise AnswerError(
                f"{where} a signal of size 1 has become {size:.1g}: the weights are too small. "
                "Their variance should be about 1/fan_in, so that a sum of fan_in terms keeps its size."
            )
        if not 1e-3 < back < 1e3:
            raise AnswerError(
                f"{where} a gradient of size 1 has become {back:.1g}: it {'vanished' if back < 1 else 'exploded'}."
            )


def _from_many_to_few(answer: Callable) -> None:
    W = np.asarray(answer(800, 50, np.random.default_rng(3)))
    size = float(np.std(W) * np.sqrt(800))
    if size > 2.5:
        raise AnswerError(
            f"from 800 inputs of size 1 to 50 outputs, z has size {size:.1f}: it is a sum of fan_in terms, so their "
            "number has to make the weights small, whatever fan_out is."
        )
