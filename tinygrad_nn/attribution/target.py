"""The number that is explained: one output of a model for each example, as its logit, probability or log-odds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.attribution.categories import LookUp, looked_up, refuse_lost_categories
from tinygrad_nn.autodiff import gradients
from tinygrad_nn.modes import enable_grad
from tinygrad_nn.nn import Module, Predictor
from tinygrad_nn.nn.outputs import chosen, kind_of
from tinygrad_nn.notation import subscript
from tinygrad_nn.ops.elementwise import sigmoid, where
from tinygrad_nn.ops.reductions import logsumexp, softmax
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Target", "find_target"]

FORMS = ("output", "probability", "log_odds")
COLUMNS = 8192  # so many points go through a model at once


@dataclass(frozen=True)
class Target:
    """One number f(x) for each example; `columns` are the examples (features ..., N).

    `which` is the class, or the number of the output, that each example is asked about.  Where categories are looked
    up, `columns` are the numbers and vectors that stand for them, (rows, N), and `network` is what comes behind.
    """

    model: Any  # as it was given, or what is within an estimator
    network: Callable[[Any], Any]
    given: np.ndarray  # the examples, with numbers of categories as they are
    columns: np.ndarray
    look_up: LookUp | None
    in_rows: bool  # what a caller gives and gets
    which: np.ndarray
    of: str
    kind: str  # of the outputs, see `nn.outputs.kind_of`
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]  # of outputs that are no classes their names, if they have some
    classifies: bool
    units: Callable[[Any], Any]  # outputs (outputs, n) in the units of the table that the model learnt from

    def __len__(self) -> int:
        return self.columns.shape[-1]

    def enter(self, given: np.ndarray) -> np.ndarray:
        """Examples (features ..., n) as columns."""
        return given if self.look_up is None else self.look_up.vectors(given)

    @property
    def categorical(self) -> np.ndarray:
        """(features,): which of them are numbers of categories."""
        count = self.given[..., 0].size
        return np.zeros(count, bool) if self.look_up is None else self.look_up.categorical(count)

    def without_category(self, given: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What one example of these columns is called: NaN where categories are that have other vectors."""
        if self.look_up is None:
            return given
        known = np.floor(given) == given
        there = self.enter(np.where(self.categorical[:, np.newaxis] & ~known, 0, given))
        same = self.by_feature((there != columns).astype(given.dtype)) == 0
        return np.where(self.categorical[:, np.newaxis] & ~(known & same), np.nan, given)

    def by_feature(self, values: np.ndarray) -> np.ndarray:
        """What belongs to the rows of `columns`, summed for each feature: a category has those of its vector."""
        if self.look_up is None:
            return values
        owners = self.look_up.owners(len(self.given))
        return np.stack([values[owners == feature].sum(axis=0) for feature in range(len(self.given))])

    def record(self, points: np.ndarray, lines: Any) -> tuple[Any, Any, Any]:
        """f (n,) at points (features ..., n) that belong to these examples; with the input and the model's output."""
        x: Any = tensor(points, requires_grad=True, name="X")
        with enable_grad():
            output = _answer(self.network, x)
            return self._number(output, self.which[lines]), x, output

    @enable_grad()
    def __call__(self, points: np.ndarray, lines: Any) -> tuple[np.ndarray, np.ndarray]:
        """f (n,) and its gradient (features ..., n) at points: one backward pass for all of them."""
        values, slopes = [], []
        for i in range(0, points.shape[-1], COLUMNS):
            some = slice(i, i + COLUMNS)
            f, x, _ = self.record(points[..., some], lines[some])
            values.append(f.numpy())
            slopes.append(gradients(f.sum(), x)[0] if f.tracked else np.zeros_like(x.value))
        return np.concatenate(values), np.concatenate(slopes, axis=-1)

    def _number(self, output: Any, which: np.ndarray) -> Any:
        output = self.units(output)
        single = len(output.value) == 1
        asked = np.asarray(np.arange(len(output.value))[:, np.newaxis] == (0 * which if single else which))
        first = np.asarray(which == 0, output.dtype) if single and self.classifies else np.zeros(len(which))
        sign, first = (1 - 2 * first).astype(output.dtype), first.astype(output.dtype)  # class 0 of one output
        if self.of == "log_odds" and not single:
            return self._log_odds(output, asked)
        if self.of == "probability" or (self.of == "output" and self.kind == "probabilities"):
            P = output if self.kind == "probabilities" else sigmoid(output) if single else softmax(output, axis=0)
            return (P * asked.astype(output.dtype)).sum(axis=0) * sign + first
        numbers = output if self.of == "output" or self.kind != "probabilities" else _logit(output)
        return (numbers * asked.astype(output.dtype)).sum(axis=0) * sign

    def _log_odds(self, output: Any, asked: np.ndarray) -> Any:
        """log p / (1 − p): the logit above those of all the other classes together."""
        if self.kind == "probabilities":
            return (_logit(output) * asked.astype(output.dtype)).sum(axis=0)
        low = np.asarray(output.value.min(axis=0, keepdims=True) - 900)  # whose exponential is 0
        others = logsumexp(where(asked, low, output), axis=0)
        return (output * asked.astype(output.dtype)).sum(axis=0) - others

    def label(self, i: int | None = None) -> str:
        """What is explained, in words: of example i, or of all."""
        asked = np.unique(self.which) if i is None else self.which[[i]]
        what = {"probability": "probability", "log_odds": "log-odds"}.get(self.of, "")
        if not what:
            what = {"logits": "logit", "probabilities": "probability"}.get(self.kind, "output")
        if not self.classifies:
            name = f" {self.class_names[asked[0]]}" if self.class_names and len(asked) == 1 else ""
            return f"output{name}"
        return f"{what} of {self.class_names[asked[0]] if len(asked) == 1 else 'the predicted class'}"


def _answer(network: Any, x: Any) -> Any:
    """What a model says about columns, recorded and as in prediction."""
    if isinstance(network, Module):
        with network.evaluating():
            output = network(x)
    else:
        output = network(x)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"attribution: the model returned {type(output).__name__}, expected a tensor (outputs, N): contributions "
            "are made of derivatives, so compute with operations of tinygrad_nn"
        )
    n = x.shape[-1]
    if output.ndim == 1 and output.size == n:
        output = output[np.newaxis]
    if output.ndim != 2 or output.shape[1] != n:
        raise ValueError(f"attribution: the model made {output.shape} of {n} examples, expected (outputs, {n})")
    return output


def _logit(P: Any) -> Any:
    return P.log() - (1 - P).log()


# --- from what a caller gives ----------------------------------------------------------------------------------------


def find_target(caller: str, model: Any, X: Any, output: Any, of: str, feature_names: Any, class_names: Any) -> Target:
    """What is asked, checked; TypeError or ValueError says what does not fit."""
    if of not in FORMS:
        raise ValueError(f"{caller}: of={of!r}, expected 'output', 'probability' or 'log_odds'")
    network, in_rows = _network_of(caller, model)
    whole, look_up = network, looked_up(network)
    given, named = as_columns(caller, "X", X, network, in_rows)
    features, n = given.shape[:-1], given.shape[-1]
    columns, network = (given, network) if look_up is None else (look_up.vectors(given), look_up.behind)
    if not n:
        raise ValueError(f"{caller}: X has shape {np.shape(X)}, so there is no example to explain")
    x = tensor(columns[..., :COLUMNS], requires_grad=True, name="X")
    with enable_grad():
        first = _answer(network, x)
    refuse_lost_categories(caller, first)
    _require_independent(caller, network, columns, first)
    kind = kind_of(first)
    said = [first.value]
    for i in range(COLUMNS, n, COLUMNS):
        said.append(_answer(network, tensor(columns[..., i : i + COLUMNS])).value)
    outputs = np.concatenate(said, axis=-1)
    names, classifies = _classes(caller, model, class_names, outputs)
    if of != "output" and not kind:
        raise ValueError(
            f"{caller}: of={of!r} needs outputs that are logits or probabilities, and the model's are neither: they "
            "come from another activation; of='output' explains them as they are"
        )
    if of != "output" and (in_rows or isinstance(model, Predictor)) and not classifies:
        raise ValueError(f"{caller}: of={of!r} is for classes, and {type(model).__name__} predicts numbers")
    classifies = classifies or (of != "output" and len(outputs) == 1)
    if classifies and not names:
        names = ("class 0", "class 1")
    which = _which(caller, output, outputs, kind, names, classifies, getattr(model, "classes_", None))
    size = int(np.prod(features, dtype=int))
    if isinstance(model, Predictor) and model.preprocessor is not None:
        named = model.preprocessor.feature_names
    called = feature_names if feature_names is not None else getattr(model, "feature_names_in_", named)
    found = _feature_names(caller, called, features, size)
    units = _units(model)
    return Target(whole, network, given, columns, look_up, in_rows, which, of, kind, found, names, classifies, units)


def _units(model: Any) -> Callable[[Any], Any]:
    """What makes of a network's outputs the numbers that the model predicts: nothing, where these are its outputs."""
    if isinstance(model, Predictor) and model.preprocessor is not None:
        return model.preprocessor.in_units
    return lambda outputs: outputs


def _network_of(caller: str, model: Any) -> tuple[Any, bool]:
    """The function of columns in a model, and whether its caller has rows."""
    if isinstance(model, Predictor):
        return model, model.preprocessor is None and model.examples == "rows"
    if isinstance(model, Module):
        return model, False
    if hasattr(model, "steps") and hasattr(model, "predict"):
        raise TypeError(
            f"{caller}: what a {type(model).__name__} does before the network has no derivative here: explain "
            f"model[-1] on model[:-1].transform(X)"
        )
    if hasattr(model, "predict") and hasattr(model, "fit"):
        network = getattr(model, "model_", None)
        if isinstance(network, Module):
            return network, True
        ours = type(model).__module__.startswith("tinygrad_nn.")
        why = "is not fitted yet: call fit first" if ours else "has no network of tinygrad_nn to differentiate"
        raise (ValueError if ours else TypeError)(f"{caller}: the {type(model).__name__} {why}")
    if not callable(model) or isinstance(model, type):
        raise TypeError(
            f"{caller}: the model is of type {type(model).__name__}, expected a module, an estimator of tn.sklearn, or "
            "a function of columns"
        )
    return model, False


def as_columns(caller: str, what: str, X: Any, network: Any, in_rows: bool) -> tuple[np.ndarray, Sequence[str] | None]:
    """Examples as columns, in the dtype of the network, and what a data frame calls its features."""
    if isinstance(network, Predictor) and network.preprocessor is not None and not isinstance(X, (np.ndarray, Tensor)):
        X = network.preprocessor.transform(X)
    labels: Any = getattr(X, "columns" if in_rows else "index", None)
    named = [str(x) for x in labels] if labels is not None and _are_texts(labels) else None
    X = X.value if isinstance(X, Tensor) else X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    if X.dtype.kind not in "fiub":
        raise TypeError(f"{caller}: {what} is of dtype {X.dtype}, expected numbers")
    shape = "(N, features)" if in_rows else "(features, N)"
    if X.ndim < 2 or (in_rows and X.ndim != 2):
        fits = f"; {what}.reshape({'1, -1' if in_rows else '-1, 1'}) makes one example of it" if X.ndim == 1 else ""
        raise ValueError(f"{caller}: {what} has shape {X.shape}, expected {shape}{fits}")
    columns = X.T if in_rows else X
    expected = _features_in(network)
    if expected is not None and columns.shape[0] != expected and columns.ndim == 2:
        fits = f"; {what}.T fits" if columns.shape[1] == expected else ""
        wanted = f"(N, {expected})" if in_rows else f"({expected}, N)"
        raise ValueError(f"{caller}: {what} has shape {X.shape}, expected {wanted}{fits}")
    parameters = network.parameters() if isinstance(network, Module) else ()
    floats = (p.dtype for p in parameters if p.dtype.kind == "f")
    dtype = next(floats, X.dtype if X.dtype.kind == "f" else np.dtype(float))
    columns = np.array(columns, dtype=dtype)
    if not np.isfinite(columns).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(X))[0])
        raise ValueError(f"{caller}: {what}{list(at)} is {X[at]}, and contributions need finite numbers")
    return columns, named


def _are_texts(labels: Any) -> bool:
    """Whether they are names, and not the method `index` of a list."""
    return isinstance(labels, Iterable) and all(isinstance(x, str) for x in labels)


def _features_in(network: Any) -> int | None:
    """How many numbers the first layer takes, where it says so."""
    if not isinstance(network, Module):
        return None
    first = next(iter(network.parameters()), None)
    for module in network.modules():
        if first is not None and getattr(module, "W", None) is first:
            size: int | None = getattr(module, "in_features", None)
            return size
    return None


def _require_independent(caller: str, network: Any, columns: np.ndarray, together: Tensor) -> None:
    """ValueError where what is said about one example depends on the others."""
    if columns.shape[-1] < 2:
        return
    with enable_grad():
        alone = _answer(network, tensor(columns[..., :1])).value
    of_all = together.value[:, :1]
    if not np.allclose(alone, of_all, rtol=1e-3, atol=1e-3 * float(np.abs(together.value).max(initial=0))):
        raise ValueError(
            f"{caller}: the model says other things about an example alone than among others, so that no example has "
            "contributions of its own; does it normalise over the batch, or draw random numbers?"
        )


def _classes(caller: str, model: Any, class_names: Any, outputs: np.ndarray) -> tuple[tuple[str, ...], bool]:
    """What the outputs are called, and whether they are classes."""
    d, known = len(outputs), getattr(model, "classes_", None)
    classes = class_names if class_names is not None else known
    says_itself = isinstance(model, Predictor) or (hasattr(model, "predict") and not isinstance(model, Module))
    regresses = known is None and says_itself
    if regresses and isinstance(model, Predictor) and model.preprocessor is not None:
        return tuple(model.preprocessor.target), False
    if classes is None:
        return tuple(f"class {k}" for k in range(d)) if d > 1 and not regresses else (), d > 1 and not regresses
    if isinstance(classes, str) or np.ndim(classes) != 1:
        raise TypeError(f"{caller}: class_names={class_names!r:.60}, expected a name for each class")
    names = tuple(str(c) for c in classes)
    fits = (d,) if d > 1 else (1, 2)
    if len(names) not in fits:
        raise ValueError(
            f"{caller}: {len(names)} class_names for a model with {d} output{'s' * (d > 1)}, expected "
            f"{' or '.join(map(str, fits))}"
        )
    return names, not regresses and len(names) > 1


def _which(
    caller: str, output: Any, outputs: np.ndarray, kind: str, names: Sequence[str], classifies: bool, labels: Any
) -> np.ndarray:
    """The class, or output, that each example is asked about."""
    d, n = outputs.shape
    count = max(d, len(names)) if classifies else d
    if output is None:
        if d == 1:
            return np.full(n, int(classifies))
        if not classifies:
            raise ValueError(f"{caller}: the model has {d} outputs: output= says which is to be explained")
        return chosen(outputs, kind)
    asked = np.asarray(output)
    if asked.ndim > 1 or (asked.ndim == 1 and len(asked) != n):
        raise ValueError(f"{caller}: output= has shape {asked.shape}, expected one class, or one for each of {n}")
    found = [_place(caller, x, names, labels, count) for x in asked.reshape(-1).tolist()]
    return np.array(found * n if asked.ndim == 0 else found)


def _place(caller: str, asked: Any, names: Sequence[str], labels: Any, count: int) -> int:
    known = [] if labels is None else np.asarray(labels).tolist()
    for some in (known, list(names)):
        if asked in some:
            return int(some.index(asked))
    numbered = not any(isinstance(x, int) for x in known)  # else a number is a label
    if numbered and isinstance(asked, int) and not isinstance(asked, bool) and 0 <= asked < count:
        return asked
    listed = ", ".join(repr(x) for x in (known or list(names))[:12]) or ", ".join(map(str, range(count)))
    raise ValueError(f"{caller}: there is no output {asked!r}; there are {listed}")


def _feature_names(caller: str, given: Any, shape: tuple[int, ...], size: int) -> tuple[str, ...]:
    if given is None:
        if len(shape) > 1:
            return tuple(f"x[{', '.join(map(str, at))}]" for at in np.ndindex(*shape))
        return tuple(f"x{subscript(i + 1)}" for i in range(size))
    if isinstance(given, str):
        raise TypeError(f"{caller}: feature_names={given!r:.60}, expected a list of {size} names, one for each feature")
    if np.size(given) != size:
        raise ValueError(f"{caller}: {np.size(given)} feature_names for {size} features")
    return tuple(str(name) for name in np.ravel(np.asarray(given, object)))
