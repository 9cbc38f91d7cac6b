"""The diagonal of the Gauss-Newton matrix, from one further backward pass."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinygrad_nn.autodiff import gradients
from tinygrad_nn.tensor import Tensor

__all__ = ["curvature"]


def curvature(
    output: Tensor, params: Iterable[Tensor], rng: np.random.Generator | int | None = None
) -> list[np.ndarray]:
    """An estimate of ``1/N Σₙ Σₖ (∂yₖₙ/∂w)²``: the curvature of `tn.mse` in each parameter, less what the errors add.

    The products of different outputs are left out by giving each output a random sign, and squaring the gradient of
    their sum: right on average, and exact for a single output of a single example.

    Parameters
    ----------
    output : y, recorded, (K, N); take the network's output, before the loss.
    params : tensors the output was computed from.
    rng : `numpy.random.Generator` or int seed for the signs.

    Returns
    -------
    An array for each parameter, in its shape, of numbers that are not negative.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([[1.0, 2.0]], requires_grad=True)
    >>> x = np.array([[3.0], [0.5]])
    >>> tn.optim.curvature(w @ x, [w])[0].tolist()
    [[9.0, 0.25]]

    Source: N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", Neural
    Computation 14, 2002; signs: M. Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1989.
    """
    n = output.shape[-1] if output.ndim > 1 else 1
    signs = np.random.default_rng(rng).choice([-1.0, 1.0], output.shape)
    return [g * g / n for g in gradients(output, list(params), grad_outputs=signs)]
