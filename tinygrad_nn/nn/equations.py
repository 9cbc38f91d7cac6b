"""The equations of forward pass and backpropagation in plain NumPy: an independent check of what the graph computes.

They are those of M. Thill's post, "Yet another Neural Networks Introduction: Feed Forward Networks and the
Backpropagation Algorithm"; its (ℓ) are the positions in the lists.  Nothing here uses the tables of operations or the
backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_nn.errors import ShapeError, transpose_fits
from tinygrad_nn.nn.containers import Flatten, Sequential
from tinygrad_nn.nn.dense import Activation, Dense
from tinygrad_nn.nn.module import Module
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor

__all__ = ["augmented", "backpropagation", "forward_pass"]

Array = NDArray[Any]
Function = Callable[..., Any]


# --- σ and σ′ --------------------------------------------------------------------------------------------------------


def _logistic(z: Array) -> Array:
    """1/(1 + exp(−z)), with the exponential of what is negative."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _erf(z: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(z)


def _normal_density(z: Array) -> Array:
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _normal_distribution(z: Array) -> Array:
    return (1 + _erf(z / math.sqrt(2))) / 2


_SCALE, _ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

# name: (σ(z), σ′(z))
SIGMA: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "sigmoid": (_logistic, lambda z: _logistic(z) * _logistic(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.where(z > 0, z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1), lambda z: np.exp(np.minimum(z, 0))),
    "selu": (
        lambda z: _SCALE * np.where(z > 0, z, _ALPHA * (np.exp(np.minimum(z, 0)) - 1)),
        lambda z: _SCALE * np.where(z > 0, 1, _ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "gelu": (lambda z: z * _normal_distribution(z), lambda z: _normal_distribution(z) + z * _normal_density(z)),
    "silu": (lambda z: z * _logistic(z), lambda z: _logistic(z) + z * _logistic(z) * _logistic(-z)),
    "softplus": (_softplus, _logistic),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "mish": (
        lambda z: z * np.tanh(_softplus(z)),
        lambda z: np.tanh(_softplus(z)) + z * _logistic(z) / np.cosh(np.minimum(_softplus(z), 350)) ** 2,
    ),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.where(np.abs(z) < 1, 1.0, 0.0)),
    "log_sigmoid": (lambda z: -_softplus(-z), lambda z: _logistic(-z)),
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "arctan": (np.arctan, lambda z: 1 / (1 + z * z)),
    "sinh": (np.sinh, np.cosh),
    "square": (np.square, lambda z: 2 * z),
    "abs": (np.abs, np.sign),
    "erf": (_erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-z * z)),
}


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


# Where σ mixes the units of a column, its Jacobian is a matrix: name: (σ(Z), (G, Z) -> Jacobianᵀ G of each column)
MIXING: dict[str, tuple[Function, Function]] = {
    "softmax": (_softmax, lambda G, Z: _softmax(Z) * (G - (_softmax(Z) * G).sum(axis=0, keepdims=True))),
    "log_softmax": (
        lambda Z: Z - Z.max(axis=0) - np.log(np.exp(Z - Z.max(axis=0)).sum(axis=0)),
        lambda G, Z: G - _softmax(Z) * G.sum(axis=0, keepdims=True),
    ),
}


def _activate(name: str, Z: Array) -> Array:
    return np.asarray((SIGMA.get(name) or MIXING[name])[0](Z), Z.dtype)


def _backward(name: str, G: Array, Z: Array) -> Array:
    """∂L/∂Z from G = ∂L/∂A:  G ⊗ σ′(Z)."""
    return np.asarray(MIXING[name][1](G, Z) if name in MIXING else G * SIGMA[name][1](Z), Z.dtype)


# --- L of one example, differentiated with respect to the output a ---------------------------------------------------

LOSSES: dict[str, Function] = {
    "mse": lambda A, Y: A - Y,  # L = ½‖y* − a‖²
    "l1_loss": lambda A, Y: np.sign(A - Y),  # L = ‖y* − a‖₁
    "huber_loss": lambda A, Y: np.clip(A - Y, -1, 1),
    "cross_entropy": lambda A, Y: _softmax(A) * Y.sum(axis=0) - Y,  # of logits
    "binary_cross_entropy": lambda A, Y: _logistic(A) - Y,  # of logits
}
# Where loss and activation of the output cancel, δ = a − y*, as the post remarks on cross-entropy.
CANCELLING = {("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")}


# --- the network -----------------------------------------------------------------------------------------------------


def _layers(model: Module) -> list[list[Any]]:
    """[Dense, name of σ] for each ℓ; ValueError for a network of other layers."""
    found: list[list[Any]] = []
    stack: list[Module] = [model]
    while stack:
        module = stack.pop()
        if isinstance(module, Sequential):
            stack += reversed(list(module))
        elif isinstance(module, Dense):
            found.append([module, _named(module)])
        elif isinstance(module, Activation) and found and found[-1][1] == "identity":
            found[-1][1] = _named(module)
        elif not (isinstance(module, Flatten) and not found):
            raise ValueError(
                f"{type(module).__name__} has no equations here: they are those of Dense layers one after the other; "
                "take the graph: tn.gradients(J, parameters)"
            )
    if not found:
        raise ValueError("the model holds no Dense layer")
    return found


def _named(module: Dense | Activation) -> str:
    sigma = module.activation
    name = "identity" if sigma is None else sigma.name if isinstance(sigma, Op) else ""
    if name not in SIGMA and name not in MIXING:
        raise ValueError(f"σ′ of {module._signature()} is not written out in nn.equations.SIGMA; add it there")
    return name


def _parameters(layer: Dense) -> tuple[Array, Array]:
    b = np.zeros((layer.out_features, 1), layer.W.dtype) if layer.b is None else layer.b.value
    return layer.W.value, b


def _columns(X: Any, layer: Dense) -> Array:
    """The batch as columns of the first layer."""
    X = X.value if isinstance(X, Tensor) else np.asarray(X)
    A = X.reshape(-1, X.shape[-1]) if X.ndim > 2 else X
    if A.ndim != 2 or A.shape[0] != layer.in_features:
        raise layer.shape_error(X)
    return A.astype(np.result_type(A.dtype, layer.W.dtype), copy=False)


def augmented(W: Array, b: Array, A: Array) -> Array:
    """Z with the bias as a further column of weights, and a row of ones as the input that it meets: ``(b W) (1ᵀ; A)``.

    Shapes: W (m, n), b (m, 1), A (n, N); Z (m, N).

    >>> augmented(np.array([[2.0, 3.0]]), np.array([[1.0]]), np.array([[10.0], [100.0]]))
    array([[321.]])

    Source: Thill's post, section "Unpacking the Batch Forward Pass".
    """
    ones = np.ones((1, A.shape[1]), A.dtype)
    return np.hstack([b, W]) @ np.vstack([ones, A])


def forward_pass(model: Module, X: Any) -> list[tuple[Array, Array]]:
    """``A⁰ = X``, then for ℓ = 1 ... L: ``Zˡ = Wˡ Aˡ⁻¹ + bˡ 1ᵀ`` and ``Aˡ = σ(Zˡ)``.

    Parameters
    ----------
    model : a Dense layer, or a Sequential of them.
    X : batch (d0, N); images (c, h, w, N) where the model begins with Flatten.

    Returns
    -------
    (Z, A) of each layer, arrays (dˡ, N).

    Raises ValueError for other networks, ShapeError for a batch that does not fit.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh"), tn.nn.Dense(3, 1))
    >>> [(Z.shape, A.shape) for Z, A in tn.nn.forward_pass(model, np.zeros((2, 5)))]
    [((3, 5), (3, 5)), ((1, 5), (1, 5))]

    Source: Thill's post, section "Summary: Forward Pass Through the Network".
    """
    layers = _layers(model)
    A = _columns(X, layers[0][0])
    passed = []
    for layer, sigma in layers:
        W, b = _parameters(layer)
        if A.shape[0] != layer.in_features:
            raise layer.shape_error(A)
        Z = W @ A + b
        A = _activate(sigma, Z)
        passed.append((Z, A))
    return passed


def backpropagation(model: Module, X: Any, Y: Any, loss: Any = "mse") -> list[tuple[Array, Array, Array]]:
    """``Δᴸ = ∂L/∂A ⊗ σ′(Zᴸ)``, ``Δˡ = (Wˡ⁺¹ᵀ Δˡ⁺¹) ⊗ σ′(Zˡ)``; ``∂J/∂Wˡ = 1/N Δˡ Aˡ⁻¹ᵀ``, ``∂J/∂bˡ = 1/N Δˡ 1``.

    Parameters
    ----------
    model : a Dense layer, or a Sequential of them.
    X : batch (d0, N).
    Y : targets (dᴸ, N); for cross-entropy also class labels (N,).
    loss : of the tables, or its name.  `tn.cross_entropy` and `tn.binary_cross_entropy` take Aᴸ as logits, except where
        the output activation is softmax or sigmoid itself: there J is 1/N Σ −y* log a, and ``Δᴸ = Aᴸ − Y*``.

    Returns
    -------
    (Δ, ∂J/∂W, ∂J/∂b) of each layer, arrays (dˡ, N), (dˡ, dˡ⁻¹) and (dˡ, 1), with Δ = N ∂J/∂Z.

    Raises ValueError for other networks or losses, ShapeError for X or Y that do not fit.

    >>> import tinygrad_nn as tn
    >>> layer = tn.nn.Dense(1, 1, init="ones")
    >>> [(delta, dW, db)] = tn.nn.backpropagation(layer, np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
    >>> delta.tolist(), dW.tolist(), db.tolist()
    ([[1.0, 2.0]], [[2.5]], [[1.5]])

    Source: Thill's post, section "Summary: Backpropagation".
    """
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", repr(loss)))
    if name not in LOSSES:
        raise ValueError(f"backpropagation: the loss {name} is not one of {', '.join(LOSSES)}")
    layers, passed = _layers(model), forward_pass(model, X)
    inputs = [_columns(X, layers[0][0]), *(A for _, A in passed[:-1])]
    (Z, A), (_, sigma) = passed[-1], layers[-1]
    Y, N = _targets(Y, A, name), A.shape[1]
    if (sigma, name) in CANCELLING:
        delta = A * Y.sum(axis=0) - Y if name == "cross_entropy" else A - Y
    else:
        delta = _backward(sigma, LOSSES[name](A, Y), Z)
    found = []
    for i in reversed(range(len(layers))):
        ones = np.ones((N, 1), delta.dtype)
        found.append((delta, delta @ inputs[i].T / N, delta @ ones / N))
        if i:
            delta = _backward(layers[i - 1][1], layers[i][0].W.value.T @ delta, passed[i - 1][0])
    return found[::-1]


def _targets(Y: Any, A: Array, name: str) -> Array:
    """Y* as columns; class labels become a 1 in the row of each label."""
    Y = Y.value if isinstance(Y, Tensor) else np.asarray(Y)
    if name == "cross_entropy" and Y.shape == A.shape[1:]:
        return (np.arange(A.shape[0])[:, None] == Y).astype(A.dtype)
    if Y.shape != A.shape:
        hint = transpose_fits("Y", Y.shape, A.shape)
        raise ShapeError(f"backpropagation: the output has shape {A.shape}, Y has shape {Y.shape}{hint}")
    return Y
