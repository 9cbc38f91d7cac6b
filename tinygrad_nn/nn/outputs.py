"""How the output of a model becomes a class: the one place that `accuracy`, `evaluate`, plots and estimators ask.

An output is what a model says of N examples, as columns (d, N).  What its numbers are follows from the operation that
made them: "probabilities" from a sigmoid or softmax, "logits" from a layer without an activation.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from tinygrad_nn.modes import enable_grad
from tinygrad_nn.nn.foreign import measuring
from tinygrad_nn.nn.module import Module
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["ask", "chosen", "classes_of", "kind_of", "last_operation", "log_odds", "probabilities", "said"]


def last_operation(output: Any) -> Op | None:
    """The operation that made a recorded output, whatever has only put its numbers elsewhere; None if not recorded."""
    while isinstance(output, Tensor) and output.op is not None:
        op, of = output.op, output.inputs[0]
        if not ((op.view or op.formula == "{x}") and output.size == getattr(of, "size", None)):
            return op
        output = of
    return None


def kind_of(output: Any) -> str:
    """What the numbers of a recorded output are: "probabilities" or "logits", or "" where that is not known."""
    last = last_operation(output)
    if last is None:
        return ""
    if last.training.gives:
        return "probabilities" if last.training.gives == "probabilities" else ""
    return "logits" if last.matrix_product or len(last.arguments) == 1 else ""


def said(model: Any, X: Any) -> str:
    """What the outputs of a model are, see `kind_of`: seen on one example, in prediction, where it is recorded."""
    if not isinstance(model, Module):
        return ""
    X = X[..., :1]
    with enable_grad(), model.evaluating(), contextlib.suppress(Exception):  # whatever a model says about one example
        of = np.asarray(X).dtype if not isinstance(X, Tensor) else X.dtype
        watched = tensor(X, requires_grad=True) if of.kind == "f" and not isinstance(X, Tensor) else X
        return kind_of(model(watched))
    return ""


def ask(model: Any, X: Any) -> tuple[np.ndarray, str]:
    """What a model, or a function of columns, says about the columns of X as in prediction, and what that is."""
    mode = model.evaluating() if isinstance(model, Module) else contextlib.nullcontext()
    with measuring(model), mode:
        output = model(X)
    kind = kind_of(output) or said(model, X)
    return (output.numpy() if isinstance(output, Tensor) else np.asarray(output)), kind


def _kind_by_values(outputs: np.ndarray) -> str:
    """What numbers of unknown origin are: no probability is below 0 or above 1, and those of a column add up to 1."""
    within = outputs.size == 0 or bool(np.min(outputs) >= 0 and np.max(outputs) <= 1)
    if len(outputs) > 1:
        within = within and np.allclose(outputs.sum(axis=0), 1, atol=1e-5)
    return "probabilities" if within else "logits"


def chosen(outputs: np.ndarray, kind: str = "") -> np.ndarray:
    """The class (N,) of each column of outputs (d, N), as a number.

    The largest of several outputs names it.  A single one says class 1 by a logit above 0, or a probability above ½;
    which of them it is is seen by the values where `kind` does not say it.  Labels (N,), which are no floating-point
    numbers, name themselves.

    >>> chosen(np.array([[0.1, 0.8], [0.9, 0.2]])).tolist(), chosen(np.array([[0.3, -0.3]]), "logits").tolist()
    ([1, 0], [1, 0])
    """
    if outputs.ndim == 1:
        if outputs.dtype.kind != "f":
            return classes_of(outputs, len(outputs))
        outputs = outputs[np.newaxis]
    if len(outputs) > 1:
        return outputs.argmax(axis=0)
    limit = 0.5 if (kind or _kind_by_values(outputs)) == "probabilities" else 0.0
    return (outputs[0] > limit).astype(int)


def probabilities(outputs: np.ndarray, kind: str = "") -> np.ndarray:
    """Columns (classes, N) of class probabilities; a single output is that of class 1 of two.

    >>> probabilities(np.array([[0.0, 1000.0]]), "logits").tolist(), probabilities(np.array([[0.25]])).tolist()
    ([[0.5, 0.0], [0.5, 1.0]], [[0.75], [0.25]])
    """
    known = (kind or _kind_by_values(outputs)) == "probabilities"
    outputs = outputs if outputs.dtype.kind == "f" else outputs.astype(np.float64)
    if len(outputs) == 1:
        outputs = outputs if known else np.concatenate([np.zeros_like(outputs), outputs])
        if known:
            return np.concatenate([1 - outputs, outputs])
    if known:  # of classes each by itself, they need not add up to 1
        total = outputs.sum(axis=0)
        return outputs if np.allclose(total, 1, atol=1e-5) else outputs / np.where(total > 0, total, 1)
    e = np.exp(outputs - outputs.max(axis=0))
    return e / e.sum(axis=0)


def log_odds(outputs: np.ndarray, kind: str = "") -> np.ndarray:
    """How surely each class, columns (classes, N): log p / (1 − p), the logit above those of all other classes.

    It orders examples where probabilities are rounded to 0 or 1.

    >>> log_odds(np.array([[3.0, 800.0, 900.0]]), "logits")[1].tolist()
    [3.0, 800.0, 900.0]
    """
    outputs = outputs if outputs.dtype.kind == "f" else outputs.astype(np.float64)
    if (kind or _kind_by_values(outputs)) == "probabilities":
        with np.errstate(divide="ignore"):
            P = probabilities(outputs, "probabilities")
            return np.log(P) - np.log1p(-P)
    if len(outputs) == 1:
        return np.concatenate([-outputs, outputs])
    others = np.stack([np.logaddexp.reduce(np.delete(outputs, k, axis=0), axis=0) for k in range(len(outputs))])
    return outputs - others


def classes_of(target: Any, n: int) -> np.ndarray:
    """The classes of n examples that a target names: labels of any kind (n,), (1, n) or (n, 1), or one-hot columns."""
    target = target.value if isinstance(target, Tensor) else np.asarray(target)
    if target.ndim == 2 and target.shape[1] == n and len(target) > 1:
        return target.argmax(axis=0)
    target = target.reshape(-1)
    whole = target.dtype.kind == "b" or (target.dtype.kind == "f" and bool((target == np.floor(target)).all()))
    return target.astype(int) if whole else target
