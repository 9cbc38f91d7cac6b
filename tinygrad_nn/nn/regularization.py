"""Terms of the cost that keep weights small, recorded in the graph like everything else; biases are left alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_nn.nn.module import Module
from tinygrad_nn.ops import elementwise, reductions
from tinygrad_nn.tensor import Tensor

__all__ = ["l1_penalty", "l2_penalty", "weights"]

_NOT_WEIGHTS = {"b", "bias", "beta", "gamma"}  # offsets, and the gains of normalising layers


def weights(model: Module) -> list[Tensor]:
    """The parameters that are weights: all but biases, and the gains and offsets of normalising layers.

    The last part of a name decides: b, bias, gamma and beta are no weights.

    >>> import tinygrad_nn as tn
    >>> [w.name for w in tn.nn.weights(tn.nn.Sequential(tn.nn.Dense(2, 3), tn.nn.BatchNorm(3), tn.nn.Dense(3, 1)))]
    ['W¹', 'W²']
    """
    return [p for name, p in model.named_parameters() if name.rpartition(".")[2] not in _NOT_WEIGHTS]


def l2_penalty(model: Module | Iterable[Tensor], strength: float) -> Any:
    """``λ/2 Σ w²`` over all weights of the model, or over the tensors given: add it to the cost.

    Its gradient is λw, so that gradient descent shrinks each weight by the factor 1 − ηλ: weight decay.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([3.0, 4.0], requires_grad=True)
    >>> J = tn.nn.l2_penalty([w], 0.1)
    >>> J.backward()
    >>> round(J.item(), 4), w.grad.round(4).tolist()
    (1.25, [0.3, 0.4])

    Source: A. Krogh, J. Hertz, "A simple weight decay can improve generalization", NeurIPS 1991.
    """
    return _penalty(model, elementwise.square, strength / 2, "λ/2 Σ w²")


def l1_penalty(model: Module | Iterable[Tensor], strength: float) -> Any:
    """``λ Σ |w|`` over all weights of the model, or over the tensors given: draws weights to exactly 0.

    Its gradient is λ sign(w), and 0 where w = 0.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([3.0, -4.0], requires_grad=True)
    >>> J = tn.nn.l1_penalty([w], 0.1)
    >>> J.backward()
    >>> round(J.item(), 4), w.grad.tolist()
    (0.7, [0.1, -0.1])

    Source: R. Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58, 1996.
    """
    return _penalty(model, elementwise.abs, strength, "λ Σ |w|")


def _penalty(model: Module | Iterable[Tensor], size: Any, factor: float, name: str) -> Any:
    tensors = weights(model) if isinstance(model, Module) else list(model)
    if not tensors:
        raise ValueError(f"{name}: there are no weights")
    first, *others = (reductions.sum(size(w)) for w in tensors)
    return (sum(others, first) * factor).named(name)
