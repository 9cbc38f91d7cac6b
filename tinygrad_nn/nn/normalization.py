"""Normalising layers: BatchNorm over the examples of a batch, LayerNorm over the features of each example."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.allowance import claim
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.modes import no_grad
from tinygrad_nn.nn.arguments import count, float_dtype, level_name, number, parameter, rename
from tinygrad_nn.nn.module import Module, assign
from tinygrad_nn.nn.report import Row
from tinygrad_nn.ops import elementwise, reductions, shaping
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["BatchNorm", "LayerNorm"]


class _Normalization(Module):
    """What BatchNorm and LayerNorm share: y = γ (x − μ)/√(σ² + ε) + β."""

    def __init__(self, features: Any, eps: float, affine: bool, dtype: DTypeLike | None, kind: str):
        sizes = features if isinstance(features, (tuple, list)) else (features,)
        self.features = tuple(count(n, "features", type(self).__name__) for n in sizes)
        self.eps, self._kind, self._name = number(eps, "eps", type(self).__name__), kind, kind
        self._wide = float_dtype(dtype, type(self).__name__)
        shape = (*self.features, 1)
        claim(*[shape, shape] * bool(affine))
        self.gamma = parameter(np.ones(shape, self._wide), "γ") if affine else None
        self.beta = parameter(np.zeros(shape, self._wide), "β") if affine else None
        self._gamma, self._beta = "γ", "β"

    def _check(self, X: Any, expected: str) -> Any:
        shape = np.shape(X)
        if len(shape) < 2 or shape[: len(self.features)] != self.features:
            turned = ": X.T fits" if shape[::-1][: len(self.features)] == self.features and len(shape) == 2 else ""
            raise ShapeError(
                f"{self._signature()} expects examples as columns, shape {expected}, and got shape {shape}{turned}"
            )
        return X if type(X) is Tensor else tensor(X, dtype=self._wide, name="X")

    def _scaled(self, X: Tensor, mean: Any, variance: Any) -> Tensor:
        Y = (X - mean) / elementwise.sqrt(variance + self.eps)
        if self.gamma is not None and self.beta is not None:
            shape = self.gamma.shape + (1,) * (X.ndim - self.gamma.ndim)
            if len(shape) == self.gamma.ndim:
                Y = Y * self.gamma + self.beta
            else:  # features (c, 1) of images (c, h, w, N)
                Y = Y * shaping.reshape(self.gamma, shape) + shaping.reshape(self.beta, shape)
        return Y.named(self._name)

    def _number_from(self, level: int) -> int:
        gamma, beta = level_name("γ", level), level_name("β", level)
        rename(self.gamma, self._gamma, gamma)
        rename(self.beta, self._beta, beta)
        self._gamma, self._beta, self._name = gamma, beta, level_name(self._kind, level)
        return level

    def _row(self, source: str) -> Row:
        text = f"({source} − μ)/√(σ² + ε)"
        if self.gamma is not None:
            text = f"{self._gamma} ⊙ {text} + {self._beta}"
        return Row(((self._name, text, ""),))


class BatchNorm(_Normalization):
    """Each feature standardised over the examples of the batch: ``γ (x − μ)/√(σ² + ε) + β``.

    Parameters
    ----------
    features : size of the first axis of the input (features, N), or of images (features, h, w, N), which are also
        averaged over their places.
    momentum : weight of the newest batch in the running mean and variance, with which `eval()` predicts.
    eps : ε.
    affine : train a gain γ and an offset β, each (features, 1).
    dtype : of γ, β and the running statistics; float64 unless given.

    In training, σ² is divided by the count N; the running variance takes the unbiased one (N − 1), as PyTorch does.

    Raises ShapeError for another number of features, ValueError for a single number per feature in training, whose
    variance says nothing.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.BatchNorm(1)
    >>> layer(np.array([[1.0, 3.0]])).data.round(3).tolist()
    [[-1.0, 1.0]]
    >>> layer.running_mean.item()
    0.2

    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, Algorithm 1.
    """

    def __init__(
        self,
        features: int,
        momentum: float = 0.1,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike | None = None,
    ):
        super().__init__(features, eps, affine, dtype, "batchnorm")
        self.momentum = number(momentum, "momentum", "BatchNorm", high=1)
        claim((*self.features, 1), (*self.features, 1))
        column = (*self.features, 1)
        self.register_buffer("running_mean", Tensor(np.zeros(column, self._wide), name="running mean"))
        self.register_buffer("running_var", Tensor(np.ones(column, self._wide), name="running variance"))

    running_mean: Tensor
    running_var: Tensor

    def forward(self, X: Any) -> Tensor:
        """X standardised over its examples, by their statistics in training, by the running ones in prediction."""
        X = self._check(X, f"({self.features[0]}, N)")
        column = (*self.features,) + (1,) * (X.ndim - 1)
        if not self.training:
            mean = shaping.reshape(self.running_mean, column)
            return self._scaled(X, mean, shaping.reshape(self.running_var, column))
        axes, n = tuple(range(1, X.ndim)), X.size // self.features[0]
        if n < 2:
            raise ValueError(
                f"{self._signature()}: a batch of shape {X.shape} has {n} number per feature, and training needs 2 or "
                "more for a variance; leave out a last batch of one example, as tn.data.batches(..., drop_last=True) "
                "does, or predict with model.eval()"
            )
        mean = reductions.mean(X, axis=axes, keepdims=True)
        variance = reductions.var(X, axis=axes, keepdims=True)
        with no_grad():
            self._remember(self.running_mean, mean)
            self._remember(self.running_var, variance * (n / (n - 1)))
        return self._scaled(X, mean, variance)

    def _remember(self, running: Tensor, measured: Tensor) -> None:
        measured = shaping.reshape(measured, running.shape)
        assign(running, (1 - self.momentum) * running + self.momentum * measured)

    def _settings(self) -> dict[str, Any]:
        return {
            "features": self.features[0], "momentum": self.momentum, "eps": self.eps,
            "affine": self.gamma is not None, "dtype": self._wide.name,
        }  # fmt: skip

    def _signature(self) -> str:
        return f"BatchNorm({self.features[0]})"


class LayerNorm(_Normalization):
    """Each example standardised over its features: ``γ (x − μ)/√(σ² + ε) + β``, alike in training and prediction.

    Parameters
    ----------
    features : number of features of an input (features, N), or the shape of one example, (c, h, w) of (c, h, w, N).
    eps : ε.
    affine : train a gain γ and an offset β, each in the shape of one example with N = 1.
    dtype : of γ and β; float64 unless given.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.LayerNorm(2)(np.array([[1.0], [3.0]])).data.round(3).tolist()
    [[-1.0], [1.0]]

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.
    """

    def __init__(
        self, features: int | tuple[int, ...], eps: float = 1e-5, affine: bool = True, dtype: DTypeLike | None = None
    ):
        super().__init__(features, eps, affine, dtype, "layernorm")

    def forward(self, X: Any) -> Tensor:
        """X standardised over the features of each example."""
        expected = f"({', '.join(map(str, self.features))}, N)"
        X = self._check(X, expected)
        if X.ndim != len(self.features) + 1:
            raise ShapeError(f"{self._signature()} expects shape {expected} and got shape {X.shape}")
        axes = tuple(range(X.ndim - 1))
        mean, variance = (f(X, axis=axes, keepdims=True) for f in (reductions.mean, reductions.var))
        return self._scaled(X, mean, variance)

    def _settings(self) -> dict[str, Any]:
        return {
            "features": list(self.features), "eps": self.eps,
            "affine": self.gamma is not None, "dtype": self._wide.name,
        }  # fmt: skip

    def _signature(self) -> str:
        return f"LayerNorm({self.features[0] if len(self.features) == 1 else self.features})"
