"""Dropout: units that are left out at random in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.foreign import like
from tinygrad_nn.nn.arguments import level_name, number
from tinygrad_nn.nn.init import Rng
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.report import Row
from tinygrad_nn.registry import op
from tinygrad_nn.tensor import Tensor

__all__ = ["Dropout"]


def _drawn(x, p=0.5, rng=None):  # type: ignore[no-untyped-def]
    """1/(1 − p) where an element is kept, 0 where it is dropped."""
    kind = x.dtype.type if x.dtype.kind == "f" else np.float64
    return like((rng.random(x.shape) >= p) * kind(1 / (1 - p) if p < 1 else 0), x)


# An operation without a derivative, so that a compiled step draws a new mask at every replay.
_dropout_mask = op(
    _drawn, "mask", None, name="_dropout_mask", part_of="dropout", method=False, arguments=("x",),
    defaults={"p": 0.5, "rng": None},
    samples=lambda rng: [((np.ones((2, 3)),), {"p": 0.0, "rng": rng})], summary="Random zeros, and 1/(1 − p) elsewhere",
)  # fmt: skip


class Dropout(Module):
    """In training, each element is 0 with probability p, else multiplied by 1/(1 − p), so that its mean stays.

    Parameters
    ----------
    p : from 0 to 1.
    rng : `numpy.random.Generator` or int seed that the masks are drawn with; it is the attribute `rng`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Dropout(0.5, rng=0)
    >>> layer(np.ones((1, 6))).tolist()
    [[2.0, 0.0, 0.0, 0.0, 2.0, 2.0]]
    >>> layer.eval()(np.ones((1, 6))).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]

    Source: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014; scaled in training rather than in prediction.
    """

    def __init__(self, p: float = 0.5, rng: Rng = None):
        self.p = number(p, "p", "Dropout", high=1)
        self.rng = np.random.default_rng(rng)
        self._name, self._mask = "dropout", "mask"

    def forward(self, X: Any) -> Any:
        """Each element times its mask in training, itself in prediction."""
        if not self.training or self.p == 0:
            return X
        mask = _dropout_mask(X, p=self.p, rng=self.rng)
        dropped = X * mask
        if type(dropped) is Tensor:
            dropped.name, mask.name = self._name, self._mask
        return dropped

    def _number_from(self, level: int) -> int:
        self._name, self._mask = level_name("dropout", level), level_name("mask", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._name, f"{source} ⊙ {self._mask}", ""),))

    def _settings(self) -> dict[str, Any]:
        return {"p": self.p}

    def _signature(self) -> str:
        return f"Dropout({self.p:g})"
