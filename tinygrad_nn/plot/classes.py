"""Which class a model sees where, and which it takes for which; what outputs say is decided in `nn.outputs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from tinygrad_nn.nn import Module
from tinygrad_nn.nn.outputs import ask, chosen, classes_of, probabilities
from tinygrad_nn.plot.style import COLOURS, MARKERS, axes
from tinygrad_nn.tensor import Tensor

__all__ = ["confusion_matrix", "decision_boundary"]


def decision_boundary(model: Any, X: Any, y: Any = None, ax: Axes | None = None, resolution: int = 200) -> Axes:
    """Which class `model` sees where in the plane, and how surely; the examples on top.

    Parameters
    ----------
    model : of X (2, N) to logits or probabilities (classes, N), or to one of them (1, N), that of class 1 of two; or an
        estimator with ``predict`` (rows).
    X : examples (2, N), which the picture spans.
    y : their classes, (N,) or (1, N), or one-hot columns: numbers from 0, or the labels that the estimator knows.
    resolution : points per side at which the model is asked.

    Raises ValueError for examples that are not points in the plane, and for labels that the model does not know.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[0] != 2:
        hint = "; X.T fits" if X.ndim == 2 and X.shape[1] == 2 else ""
        raise ValueError(f"decision_boundary: X has shape {X.shape}, expected points in the plane (2, N){hint}")
    low, high = X.min(axis=1), X.max(axis=1)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    grid = np.stack(np.meshgrid(*np.linspace(low - margin, high + margin, resolution).T)).astype(X.dtype)
    labels = np.zeros(0, int) if y is None else classes_of(y, X.shape[1])
    P, classes = _seen(model, grid.reshape(2, -1), np.unique(labels))
    colours = np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in range(len(P))])
    shade = 1 - 0.5 * (1 - np.tensordot(P.T, colours, 1))
    ax = axes(ax)
    extent = (grid[0].min(), grid[0].max(), grid[1].min(), grid[1].max())
    ax.imshow(shade.reshape(resolution, resolution, 3), origin="lower", extent=extent, aspect="auto", alpha=0.9)
    for k in range(len(P) if len(P) > 2 else 1):
        lead = (P[k] - np.delete(P, k, axis=0).max(axis=0)).reshape(resolution, resolution)
        if lead.min() < 0 < lead.max():
            ax.contour(*grid, lead, levels=[0], colors="black", linewidths=0.8)
    if y is not None:
        y = _places(labels, classes, "decision_boundary")
        for k in np.unique(y):
            points = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "edgecolor": "white"}
            ax.scatter(X[0, y == k], X[1, y == k], s=22, linewidth=0.5, label=f"class {classes[k]}", **points)
        ax.legend(loc="upper right", fontsize=8)
    ax.set(xlabel="x₁", ylabel="x₂", xlim=extent[:2], ylim=extent[2:])
    return ax


def confusion_matrix(predicted: Any, *data: Any, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """How often an example of one class (row) was taken for another (column).

    Parameters
    ----------
    predicted, data : ``(predicted, actual)``, where `predicted` are class labels (N,), logits or probabilities
        (classes, N), or one of them (1, N), that of class 1 of two; or ``(model, X, actual)``, with a model or an
        estimator, which may have X as rows or as a table.  `actual` are labels of any kind, or one-hot columns.
    names : of the classes, in the order of the outputs.

    Raises ValueError where the numbers of examples differ, and for labels that the model does not know.
    """
    *X, actual = data
    guess, count, classes = _guessed(predicted, X, np.size(actual))
    actual = classes_of(actual, guess.size)
    if guess.shape != actual.shape:
        raise ValueError(f"confusion_matrix: {guess.size} predictions for {actual.size} actual classes")
    if classes is None:
        classes = _classes_among(guess, actual, count, names)
    n = len(classes)
    counts = np.zeros((n, n), int)
    np.add.at(counts, tuple(_places(labels, classes, "confusion_matrix") for labels in (actual, guess)), 1)
    cell = max(0.42, 2.0 / n)  # inches; the title needs some
    ax = axes(ax, (cell * n + 1.6, cell * n + 1.2))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), number in np.ndenumerate(counts):
        if number:
            ax.text(
                j, i, str(number), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black", fontsize=8
            )
    ticks = [str(name) for name in (classes if names is None else names)]
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_yticks(range(len(ticks)), ticks)
    if max(map(len, ticks)) > 5:  # side by side they would run into each other
        ax.tick_params("x", labelrotation=90)
    right = np.trace(counts)
    ax.set(xlabel="predicted", ylabel="actual")
    ax.set_title(f"{right} of {actual.size} right ({right / max(actual.size, 1):.1%})", fontsize=10)
    return ax


def _guessed(predicted: Any, X: list[Any], n: int) -> tuple[np.ndarray, int, np.ndarray | None]:
    """The labels (N,) that were predicted, how many classes there are at least, and the classes if they are known."""
    if X and _is_estimator(predicted):
        labels = _labels(np.asarray(predicted.predict(_rows(X[0], n))))
        classes = getattr(predicted, "classes_", None)
        return labels, 0, None if classes is None else np.asarray(classes)
    if X:
        outputs, kind = ask(predicted, np.asarray(X[0]))
    else:
        outputs, kind = predicted.numpy() if isinstance(predicted, Tensor) else np.asarray(predicted), ""
    if outputs.ndim == 2 and len(outputs) == n > 1 == outputs.shape[1]:
        outputs = outputs.T
    if outputs.ndim == 2 and (len(outputs) > 1 or outputs.dtype.kind == "f"):
        return chosen(outputs, kind), max(len(outputs), 2), None
    return _labels(outputs), 0, None


def _rows(X: Any, n: int) -> Any:
    """Examples as an estimator takes them: a table with names as it is, as many rows as actual classes, too.

    Anything else are columns, as everywhere in this package.
    """
    if hasattr(X, "columns") or (len(X) == n != np.shape(X)[-1]):
        return X
    return np.asarray(X).T


def _classes_among(guess: np.ndarray, actual: np.ndarray, count: int, names: Sequence[str] | None) -> np.ndarray:
    """All classes, of labels of which no estimator says what there are."""
    together = [labels.dtype.kind in "iu" for labels in (guess, actual)]
    if all(together):
        numbers = np.unique(np.concatenate([guess, actual]))
        n = int(max(numbers.max(initial=0) + 1, len(names or ()), count))
        return np.arange(n) if numbers.min(initial=0) >= 0 and n <= 2 * len(numbers) + 100 else numbers
    if any(together) and names is None:
        text = (actual if together[0] else guess)[:1].tolist()[0]
        raise ValueError(
            f"confusion_matrix: some labels are numbers, and some like {text!r}: names= says what the numbers mean"
        )
    return np.asarray(names) if names is not None else np.unique(np.concatenate([guess, actual]))


def _is_estimator(model: Any) -> bool:
    """Whether it is an estimator of scikit-learn's kind, which takes rows and has labels of its own."""
    return hasattr(model, "predict") and not isinstance(model, Module)


def _seen(model: Any, X: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (classes, N) of the columns of X, as in prediction, and the labels of the classes."""
    if _is_estimator(model):
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X.T)).T, np.asarray(model.classes_)
        outputs, kind = np.asarray(model.predict(X.T)), ""
    else:
        outputs, kind = ask(model, X)
    if outputs.ndim == 1:
        labels = _labels(outputs)
        classes = np.unique(labels)
        classes = np.asarray(getattr(model, "classes_", classes if len(classes) > 1 or not actual.size else actual))
        return (classes[:, np.newaxis] == labels).astype(float), classes
    P = probabilities(outputs, kind)
    return P, np.arange(len(P))


def _labels(said: np.ndarray) -> np.ndarray:
    """What names classes by labels, or by one number for each example."""
    labels = classes_of(said, said.size)
    return chosen(labels) if labels.dtype.kind == "f" else labels


def _places(labels: np.ndarray, classes: np.ndarray, caller: str) -> np.ndarray:
    """Where each label is among the classes; numbers from 0 are places themselves, where no class is called so."""
    known = np.isin(labels, classes)
    if known.all():
        return np.argmax(classes[:, np.newaxis] == labels, axis=0)
    if labels.dtype.kind in "iu" and (labels >= 0).all() and (labels < len(classes)).all():
        return labels
    raise ValueError(
        f"{caller}: there is the label {labels[~known].tolist()[0]!r}, and the classes are {_listed(classes)}; "
        "give labels of these, or their numbers from 0"
    )


def _listed(classes: np.ndarray) -> str:
    texts = [repr(c) for c in classes.tolist()]
    return ", ".join(texts if len(texts) < 12 else [*texts[:10], "...", texts[-1]])
