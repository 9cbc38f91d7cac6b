"""What a model answers, for every plot alike: from whatever is given to labels, probabilities or numbers.

What outputs mean is decided in `nn.outputs`; here it is found out who is asked, with rows or columns, and how classes
are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.nn import Module, Predictor
from tinygrad_nn.nn.outputs import ask, chosen, classes_of, log_odds, probabilities
from tinygrad_nn.plot.style import plain
from tinygrad_nn.tensor import Tensor

__all__ = ["Likely", "guessed", "labels_in", "likely", "listed", "numbers", "places", "seen", "spoken"]


class Likely(NamedTuple):
    """How likely each class is: probabilities (classes, N); what orders examples by them; labels; the actual ones."""

    probabilities: np.ndarray
    ranking: np.ndarray
    classes: np.ndarray
    actual: np.ndarray  # (N,), as places among the classes


def _taken_apart(caller: str, predicted: Any, data: tuple[Any, ...]) -> tuple[list[Any], Any, int]:
    """The examples, if a model is to be asked; what is true of them; and how many they are."""
    asked = callable(predicted) or hasattr(predicted, "predict")
    if len(data) != 1 + asked:
        raise TypeError(
            f"{caller}: expected (predicted, actual) or (model, X, actual), got {type(predicted).__name__} and "
            f"{len(data)} more"
        )
    actual = data[-1]
    shape = np.shape(actual.value if isinstance(actual, Tensor) else actual)
    return list(data[:-1]), actual, shape[1] if len(shape) == 2 and min(shape) > 1 else int(np.prod(shape))


# --- classes ---------------------------------------------------------------------------------------------------------


def guessed(
    caller: str, predicted: Any, data: tuple[Any, ...], names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each example the predicted and the actual class, as places (N,) among the classes; and these."""
    X, actual, n = _taken_apart(caller, predicted, data)
    count, classes = 0, None
    if X and isinstance(predicted, Predictor):
        _refuse_no_classes(caller, predicted, X[0], "predict")
    if X and _names_classes(predicted):
        guess = labels_in(_refuse_several(caller, predicted.predict(_as_it_takes(predicted, X[0], n)), "predict"))
        known = getattr(predicted, "classes_", None)
        classes = None if known is None else np.asarray(known)
    else:
        outputs, kind = _outputs(predicted, X)
        if outputs.ndim == 2 and len(outputs) == n > 1 == outputs.shape[1]:
            outputs = outputs.T
        if outputs.ndim == 2 and (len(outputs) > 1 or outputs.dtype.kind == "f"):
            guess, count = chosen(outputs, kind), max(len(outputs), 2)
        else:
            guess = labels_in(outputs)
    actual = classes_of(actual, guess.size)
    _require_as_many(caller, guess.size, actual.size)
    if classes is None:
        classes = _classes_among(caller, guess, actual, count, names)
    _require_names(caller, names, len(classes))
    return places(guess, classes, caller), places(actual, classes, caller), classes


def likely(caller: str, predicted: Any, data: tuple[Any, ...], names: Sequence[str] | None) -> Likely:
    """How likely each class was said to be of each example, and which it is."""
    X, actual, n = _taken_apart(caller, predicted, data)
    classes = None
    if X and isinstance(predicted, Predictor):
        _refuse_no_classes(caller, predicted, X[0], "predict_proba")
    if X and _names_classes(predicted):
        if not hasattr(predicted, "predict_proba"):
            raise ValueError(
                f"{caller}: {type(predicted).__name__} has no predict_proba, and labels alone do not say how sure it is"
            )
        if _is_estimator(predicted):
            _refuse_several(caller, predicted.predict(_as_it_takes(predicted, X[0], n)), "predict_proba")
        P = np.asarray(predicted.predict_proba(_as_it_takes(predicted, X[0], n)), dtype=float)
        P = P if isinstance(predicted, Predictor) and _takes_columns(predicted) else P.T
        ranking, classes = P, np.asarray(predicted.classes_)
    else:
        outputs, kind = _outputs(predicted, X)
        outputs = outputs[np.newaxis] if outputs.ndim == 1 else outputs.T if outputs.shape == (n, 1) else outputs
        if outputs.dtype.kind != "f":
            raise ValueError(
                f"{caller}: predicted are labels ({outputs.dtype}), which do not say how sure they are: give logits or "
                "probabilities (classes, N), or (1, N) of class 1 of two"
            )
        P, ranking = probabilities(outputs, kind), log_odds(outputs, kind)
    if not np.isfinite(P).all():
        raise ValueError(f"{caller}: {np.count_nonzero(~np.isfinite(P).all(axis=0))} predictions are not finite")
    actual = classes_of(actual, P.shape[1])
    _require_as_many(caller, P.shape[1], actual.size)
    if classes is None:
        numbered = np.arange(len(P))
        texts = actual.dtype.kind not in "iuf"
        if texts and names is None:
            raise ValueError(
                f"{caller}: the outputs are numbered, and some labels are like {actual.tolist()[0]!r}: names= says "
                "what the numbers mean"
            )
        classes = np.asarray(names) if texts else numbered
    _require_names(caller, names, len(P))
    return Likely(P, ranking, classes, places(actual, classes, caller))


def seen(model: Any, X: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (classes, N) of the columns of X, as in prediction, and the labels of the classes."""
    if _is_estimator(model):
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X.T)).T, np.asarray(model.classes_)
        outputs, kind = np.asarray(model.predict(X.T)), ""
    else:
        outputs, kind = ask(model, X)
    if outputs.ndim == 1:
        labels = labels_in(outputs)
        classes = np.unique(labels)
        classes = np.asarray(getattr(model, "classes_", classes if len(classes) > 1 or not actual.size else actual))
        return (classes[:, np.newaxis] == labels).astype(float), classes
    P = probabilities(outputs, kind)
    known = getattr(model, "classes_", None)
    return P, np.arange(len(P)) if known is None else np.asarray(known)


def labels_in(said: np.ndarray) -> np.ndarray:
    """What names classes by labels, or by one number for each example."""
    labels = classes_of(said, said.size)
    return chosen(labels) if labels.dtype.kind == "f" else labels


def places(labels: np.ndarray, classes: np.ndarray, caller: str) -> np.ndarray:
    """Where each label is among the classes; numbers from 0 are places themselves, where no class is called so."""
    known = np.isin(labels, classes)
    if known.all():
        return np.argmax(classes[:, np.newaxis] == labels, axis=0)
    if labels.dtype.kind in "iu" and (labels >= 0).all() and (labels < len(classes)).all():
        return labels
    raise ValueError(
        f"{caller}: there is the label {labels[~known].tolist()[0]!r}, and the classes are {listed(classes)}; "
        "give labels of these, or their numbers from 0"
    )


def spoken(label: Any) -> str:
    """A class as legends and axes call it."""
    return plain(label) if isinstance(label, str) else f"class {label}"


def listed(classes: np.ndarray) -> str:
    """The classes, or the first and the last of many."""
    texts = [repr(c) for c in classes.tolist()]
    return ", ".join(texts if len(texts) < 12 else [*texts[:10], "...", texts[-1]])


def _classes_among(
    caller: str, guess: np.ndarray, actual: np.ndarray, count: int, names: Sequence[str] | None
) -> np.ndarray:
    """All classes, of labels of which no estimator says what there are."""
    together = [labels.dtype.kind in "iu" for labels in (guess, actual)]
    if all(together):
        found = np.unique(np.concatenate([guess, actual]))
        n = int(max(found.max(initial=0) + 1, len(names or ()), count))
        return np.arange(n) if found.min(initial=0) >= 0 and n <= 2 * len(found) + 100 else found
    if any(together) and names is None:
        text = (actual if together[0] else guess)[:1].tolist()[0]
        raise ValueError(
            f"{caller}: some labels are numbers, and some like {text!r}: names= says what the numbers mean"
        )
    return np.asarray(names) if names is not None else np.unique(np.concatenate([guess, actual]))


# --- numbers ---------------------------------------------------------------------------------------------------------


def numbers(caller: str, predicted: Any, data: tuple[Any, ...], output: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and actual numbers (N,) each, of one output."""
    X, actual, n = _taken_apart(caller, predicted, data)
    actual = actual.value if isinstance(actual, Tensor) else np.asarray(actual)
    rows = X and (_is_estimator(predicted) or isinstance(predicted, Predictor))
    if rows:
        n = actual.size if len(np.atleast_1d(actual)) == 1 else len(actual)
        said = np.asarray(predicted.predict(_as_it_takes(predicted, X[0], n)))
        of_rows = not (isinstance(predicted, Predictor) and _takes_columns(predicted))
        said, actual = (a.T if a.ndim == 2 and of_rows else a for a in (said, actual))
    else:
        said, _ = _outputs(predicted, X)
    pair = []
    for what, values in (("predicted", said), ("actual", actual)):
        if values.dtype.kind not in "fiub" or values.ndim > 2:
            raise ValueError(
                f"{caller}: {what} are of dtype {values.dtype} and shape {values.shape}, expected numbers (d, N) or "
                "(N,); of classes plot.confusion_matrix says how they were mistaken"
            )
        flat = values.ndim < 2 or values.shape == (n, 1)
        pair.append(values.reshape(1, -1) if flat else values)
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"{caller}: predicted has shape {said.shape}, actual {actual.shape}: expected the same")
    d = len(pair[0])
    if output is None and d > 1:
        raise ValueError(f"{caller}: there are {d} outputs: output= says which, from 0 to {d - 1}")
    if output is not None and not 0 <= output < d:
        raise ValueError(f"{caller}: output={output!r}, expected a number from 0 to {d - 1}")
    found = [values[output or 0].astype(float) for values in pair]
    wrong = ~(np.isfinite(found[0]) & np.isfinite(found[1]))
    if wrong.any() or not wrong.size:
        raise ValueError(f"{caller}: {wrong.sum()} of {wrong.size} examples have numbers that are not finite")
    return found[0], found[1]


# --- who is asked ----------------------------------------------------------------------------------------------------


def _is_estimator(model: Any) -> bool:
    """Whether it is an estimator of scikit-learn's kind, which takes rows and has labels of its own."""
    return hasattr(model, "predict") and not isinstance(model, Module)


def _names_classes(model: Any) -> bool:
    """Whether it predicts labels by itself."""
    return _is_estimator(model) or (isinstance(model, Predictor) and model.classes_ is not None)


def _refuse_no_classes(caller: str, model: Predictor, X: Any, method: str) -> None:
    """ValueError where a model of a table predicts something else than one class of each row."""
    if model.has_labels:
        _refuse_several(caller, model.predict(X), method)
    elif model.preprocessor is not None and model.preprocessor.target and model.classes_ is None:
        raise ValueError(
            f"{caller}: the model predicts numbers, {listed(np.array(model.preprocessor.target))}, and no classes; "
            "plot.residuals shows how far off they are"
        )


def _refuse_several(caller: str, labels: Any, method: str) -> np.ndarray:
    """Labels (N,); ValueError where each row has several at a time, of which a plot of classes can show one."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise ValueError(
            f"{caller}: the model gives each row {labels.shape[1]} labels at a time; label k by itself is shown of "
            f"(model.{method}(X)[:, k], actual)"
        )
    return labels


def _takes_columns(model: Predictor) -> bool:
    return model.preprocessor is None and model.examples == "columns"


def _outputs(predicted: Any, X: list[Any]) -> tuple[np.ndarray, str]:
    """What a model says about X, or what was given as said; and what kind of outputs it is."""
    if not X:
        return (predicted.numpy() if isinstance(predicted, Tensor) else np.asarray(predicted)), ""
    if not isinstance(predicted, Predictor):
        return ask(predicted, X[0].value if isinstance(X[0], Tensor) else np.asarray(X[0]))
    if predicted.preprocessor is not None:
        return ask(predicted.network, predicted.preprocessor.transform(X[0]))
    return ask(predicted.network, np.asarray(X[0]) if _takes_columns(predicted) else np.asarray(X[0]).T)


def _as_it_takes(model: Any, X: Any, n: int) -> Any:
    """Examples as a model with `predict` takes them.

    A `Predictor` says itself whether they are rows.  An estimator takes a table with names as it is, and as many rows
    as there are actual values; anything else are columns, as everywhere in this package.
    """
    if isinstance(model, Predictor) or hasattr(X, "columns") or (len(X) == n != np.shape(X)[-1]):
        return X
    return np.asarray(X).T


def _require_as_many(caller: str, predicted: int, actual: int) -> None:
    if predicted != actual:
        raise ValueError(f"{caller}: {predicted} predictions for {actual} actual classes")
    if not actual:
        raise ValueError(f"{caller}: there are no examples")


def _require_names(caller: str, names: Sequence[str] | None, count: int) -> None:
    if names is not None and len(names) != count:
        raise ValueError(f"{caller}: {len(names)} names for {count} classes")
