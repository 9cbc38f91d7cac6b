"""Gradient clipping: a bound on the length of the whole gradient, or on each of its elements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _gradients(params: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Any]]:
    """Parameters and what they will be stepped by: frozen ones are not stepped, though they may keep a gradient."""
    given = [params] if isinstance(params, Tensor) else params
    return [(p, p.grad) for p in given if p.requires_grad and p.grad is not None]


def clip_grad_norm_(params: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Any:
    """Scale all gradients by one factor, ``min(1, max_norm/(‖g‖ + 1e-6))``, with ‖g‖ the norm of all of them as one.

    Where ‖g‖ itself is below 1e-6, it takes the place of 1e-6.

    Parameters
    ----------
    params : tensors after `backward()`; those without a gradient are passed over.
    max_norm : the length to stay below.
    norm_type : order of the norm, or `numpy.inf`.

    Returns
    -------
    ‖g‖ before it was clipped, in float64: no square of an element needs to fit into its dtype.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> float(tn.optim.clip_grad_norm_([w], max_norm=1.0)), w.grad.round(4).tolist()
    (10.0, [0.6, 0.8])

    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
    """
    found = _gradients(params)
    if not found:
        return 0.0
    # in float64, as the norm of a gradient in float32, or the factor, may not fit into float32
    norms = [vector_norm(np.ravel(g).astype(np.result_type(g.dtype, np.float64)), ord=norm_type) for _, g in found]
    norm = vector_norm(np.stack(norms), ord=norm_type)
    size = np.where(norm == 0, 1.0, norm + np.minimum(norm, 1e-6))  # a tiny gradient is not lost in 1e-6
    factor = np.minimum(max_norm, size) / size
    for p, g in found:
        p.grad = (g * factor).astype(p.dtype)
    return norm


def clip_grad_value_(params: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of every gradient to the interval from −clip_value to clip_value.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([3.0, 0.1], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> tn.optim.clip_grad_value_([w], 1.0)
    >>> w.grad.tolist()
    [1.0, 0.2]
    """
    for p, g in _gradients(params):
        p.grad = np.clip(g, -clip_value, clip_value)
