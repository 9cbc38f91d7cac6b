"""Predictor: a network together with the preprocessing of its table, which predicts from rows as they are.

Saved in one file, it is all that another process needs.  This is also the one place where it is said whether examples
are rows or columns: within a network they are columns, in a table they are rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from tinygrad_nn.data import Preprocessor, Table, from_rows
from tinygrad_nn.data.features import Categories
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.containers import in_order
from tinygrad_nn.nn.dense import Activation, Dense
from tinygrad_nn.nn.dropout import Dropout
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.outputs import ask, chosen, probabilities
from tinygrad_nn.nn.sparse import is_sparse
from tinygrad_nn.operation import Traced

__all__ = ["Predictor"]

_AT_ONCE = 1 << 14  # examples that go through the network together, so that a large table needs no more memory


class Predictor(Module):
    """A trained network with what stands before and behind it: rows of a table in, labels or numbers out.

    Parameters
    ----------
    network : takes columns X (features, N), as `preprocessor` makes them.
    preprocessor : a fitted `tn.data.Preprocessor`; without one, the network gets arrays of numbers as they are.
    classes : labels of the network's outputs, where there is no preprocessor that knows them.
    examples : "rows" or "columns": what examples are in *arrays* that go in and come out.  Tables have rows.

    It is a module: `forward` takes what the network takes, `save` writes all of it into one file, which holds numbers
    and texts and no code, and ``tn.nn.load(path)`` brings it back.  The command ``tinygrad-nn predict MODEL data.csv``
    does the same for a file.

    Raises ShapeError where network and preprocessor do not fit together; ValueError, naming column and row, for rows
    that are not like those of training.

    >>> import tinygrad_nn as tn
    >>> rows = {"size": [1.0, 2, 8, 9], "kind": ["a", "b", "a", "b"], "sold": ["no", "no", "yes", "yes"]}
    >>> table = tn.data.Table(rows)
    >>> preprocessor = tn.data.Preprocessor(target="sold").fit(table)
    >>> network = tn.nn.Sequential(tn.nn.Dense(preprocessor.n_features, preprocessor.n_outputs, rng=0))
    >>> optimizer = tn.optim.Adam(network.parameters(), lr=0.1)
    >>> # cross_entropy is of logits: no activation at the end
    >>> _ = tn.fit(network, tn.cross_entropy, optimizer, preprocessor.pair(table), epochs=50, rng=0)
    >>> model = tn.nn.Predictor(network, preprocessor)
    >>> model.predict([{"size": 7.5, "kind": "a"}, {"size": 1.2, "kind": "new"}]).tolist()
    ['yes', 'no']
    >>> model.classes_.tolist(), model.predict_proba(table).shape
    (['no', 'yes'], (4, 2))
    """

    def __init__(
        self, network: Module, preprocessor: Preprocessor | None = None, *, classes: Sequence[Any] | None = None,
        examples: str = "rows",
    ):  # fmt: skip
        if not isinstance(network, Module):
            raise TypeError(f"Predictor: network is of type {type(network).__name__}, expected a tn.nn.Module")
        if preprocessor is not None and not isinstance(preprocessor, Preprocessor):
            raise TypeError(
                f"Predictor: preprocessor is of type {type(preprocessor).__name__}, expected a tn.data.Preprocessor; "
                "a pipeline of scikit-learn holds an estimator of tn.sklearn"
            )
        if preprocessor is not None and classes is not None:
            raise ValueError("Predictor: classes= is for networks without a preprocessor, which knows its labels")
        if examples not in ("rows", "columns"):
            raise ValueError(f"Predictor: examples={examples!r:.60}, expected 'rows' or 'columns'")
        self.network, self.preprocessor, self.examples = network, preprocessor, examples
        self._labels = None if classes is None else _labels(classes)
        if preprocessor is not None:
            self._check_fit(preprocessor.n_features)
        weighing = [layer for layer in in_order(network) if not isinstance(layer, (Activation, Dropout))]
        if weighing and isinstance(weighing[-1], Dense):
            self._check_outputs(weighing[-1].out_features)
        self.number_layers()

    def _check_fit(self, n_features: int) -> None:
        first = next((m for m in self.network.modules() if hasattr(m, "in_features")), None)
        layers = in_order(self.network)
        if first is not None and layers and first is layers[0] and first.in_features != n_features:
            raise ShapeError(
                f"Predictor: the network takes {first.in_features} features, the preprocessor makes {n_features}: "
                "its first layer is Dense(preprocessor.n_features, ...)"
            )

    def forward(self, X: Any) -> Any:
        """What the network says about columns X (features, N)."""
        if isinstance(X, Table):
            raise TypeError(
                "Predictor: called with a Table, expected the columns of numbers that its network takes: "
                "predict(table), or network(preprocessor.transform(table))"
            )
        return self.network(X)

    def _network_input(self, X: Any) -> Any:
        """X as `forward` takes it: of rows of a table what the preprocessor makes, and arrays as they are."""
        numbers = isinstance(X, (np.ndarray, Traced, tuple)) or (
            isinstance(X, list) and not all(isinstance(row, Mapping) for row in X)
        )
        return X if self.preprocessor is None or numbers else self.preprocessor.transform(X)

    def _example_columns(self, n: int) -> np.ndarray | None:
        """X (features, n) as the preprocessor makes it, made up: of numbers drawn at random and known categories."""
        if self.preprocessor is None:
            return None
        X, at = np.zeros((self.preprocessor.n_features, n), self.preprocessor.dtype), 0
        examples, rng = np.arange(n), np.random.default_rng(0)
        for feature in self.preprocessor.features:
            if not isinstance(feature, Categories):
                X[at] = rng.normal(size=n)
            elif feature.index:
                X[at] = 1 + examples % len(feature.categories)
            else:
                X[at + examples % len(feature.categories), examples] = 1
            at += len(feature.names)
        return X

    @property
    def classes_(self) -> np.ndarray | None:
        """The labels, in the order of the outputs; None where numbers are predicted."""
        return self._labels if self.preprocessor is None else self.preprocessor.classes_

    def predict(self, X: Any, *, extra: str = "error") -> np.ndarray:
        """Labels (N,), or numbers (N,), in the units of the table; (N, d) where d numbers are predicted.

        Where a row has several labels, 0 or 1 for each of them, (N, labels).

        `X` is a `Table`, a frame, a dict of columns, a list of dicts, or the path of a CSV file; without a
        preprocessor, an array.  ``extra="ignore"`` leaves out columns that training did not have.
        Of arrays with ``examples="columns"``, d numbers are (d, N).
        """
        outputs, kind = self._outputs(X, extra)
        self._check_outputs(len(outputs))
        if self.classes_ is not None:
            return self.classes_[chosen(outputs, kind)]
        if self.has_labels:
            return np.stack([chosen(output[np.newaxis], kind) for output in outputs], axis=1)
        if self.preprocessor is not None:
            outputs = self.preprocessor.in_units(outputs)
            several = self.preprocessor.several_targets
        else:
            several = len(outputs) > 1 or self.examples == "columns"
        return self._turned(outputs) if several else outputs[0]

    def predict_proba(self, X: Any, *, extra: str = "error") -> np.ndarray:
        """The probability of each class, (N, classes) in the order of `classes_`; X as for `predict`.

        Where a row has several labels, that of each, (N, labels).
        """
        if self.classes_ is None and not self.has_labels:
            raise ValueError(
                "Predictor.predict_proba: the model has no classes: predict(X) gives its numbers, and "
                "Predictor(network, classes=[...]) names the outputs"
            )
        outputs, kind = self._outputs(X, extra)
        self._check_outputs(len(outputs))
        if self.has_labels:
            return np.stack([probabilities(output[np.newaxis], kind)[1] for output in outputs], axis=1)
        return self._turned(probabilities(outputs, kind))

    @property
    def has_labels(self) -> bool:
        """Whether it gives each row several labels at a time."""
        return self.preprocessor is not None and self.preprocessor.has_labels

    def _turned(self, columns: np.ndarray) -> np.ndarray:
        return columns if self.preprocessor is None and self.examples == "columns" else columns.T

    def _outputs(self, X: Any, extra: str) -> tuple[np.ndarray, str]:
        """What the network says (d, N), and what that is."""
        columns = self._columns(X, extra)
        parts, kind = [], ""
        for some in _pieces(columns):
            outputs, kind = ask(self.network, some)
            parts.append(outputs)
        if parts[0].ndim != 2:
            raise ShapeError(f"Predictor: the network gives shape {parts[0].shape}, expected (d, N)")
        return np.concatenate(parts, axis=1), kind

    def _columns(self, X: Any, extra: str) -> Any:
        none = isinstance(X, (list, tuple)) and not len(X)
        if self.preprocessor is not None:
            if none:
                return np.empty((self.preprocessor.n_features, 0), self.preprocessor.dtype)
            return self.preprocessor.transform(X, extra=extra)
        features = self._features_in()
        if none:
            if features is None:
                raise ValueError("Predictor: X is empty: np.empty((0, features)) says how many features there are")
            return np.empty((features, 0))
        if self.examples == "columns" and (is_sparse(X) or isinstance(X, np.ndarray)):
            return X
        if isinstance(X, (list, tuple)):
            X = np.array(X)
            if self.examples == "columns":
                return X
        shape = tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
        if features is not None and (len(shape) == 1 or (len(shape) == 2 and shape[1] != features)):
            fits = "X.T fits" if shape[0] == features and len(shape) == 2 else ""
            fits = "X.reshape(1, -1) is one row" if shape == (features,) else fits
            raise ShapeError(
                f"Predictor: X has shape {shape}, expected rows (N, {features}), one for each example"
                + (f": {fits}" if fits else "")
            )
        return X.T if is_sparse(X) else from_rows(X)

    def _features_in(self) -> int | None:
        """How many numbers an example has, where the first layer says so."""
        first = in_order(self.network)[0]
        found = getattr(first, "in_features", getattr(first, "features", None))
        found = found[0] if isinstance(found, tuple) and len(found) == 1 else found
        return found if isinstance(found, int) else None

    def _check_outputs(self, given: int) -> None:
        if self.classes_ is not None:
            n, what = len(self.classes_), "classes"
        elif self.preprocessor is not None and self.preprocessor.target:
            n, what = self.preprocessor.n_outputs, "numbers"
        else:
            return
        if given != n and not (given == 1 and n == 2 and what == "classes"):
            last = "preprocessor.n_outputs" if self.preprocessor is not None else n
            raise ShapeError(
                f"Predictor: the network has {given} output{'s' * (given != 1)} for {n} {what if n > 1 else 'number'}: "
                f"its last layer is Dense(..., {last})"
            )

    def _settings(self) -> dict[str, Any]:
        return {
            "layers": [self.network.config()],
            "preprocessing": None if self.preprocessor is None else self.preprocessor.config(),
            "classes": None if self._labels is None else self._labels.tolist(),
            "examples": self.examples,
        }

    @classmethod
    def from_settings(
        cls, network: Module, *, preprocessing: Any = None, classes: Any = None, examples: str = "rows"
    ) -> Self:
        """One like it, from what `config` says."""
        preprocessor = None if preprocessing is None else Preprocessor.from_config(preprocessing)
        return cls(network, preprocessor, classes=classes, examples=examples)

    def __repr__(self) -> str:
        said = super().__repr__()
        return said if self.preprocessor is None else f"{said}\n  preprocessor: {self.preprocessor!r}"


def _pieces(columns: Any) -> Iterator[Any]:
    n = columns.shape[-1]
    columns = columns.tocsc() if is_sparse(columns) else columns
    for start in range(0, max(n, 1), _AT_ONCE):
        yield columns[:, start : start + _AT_ONCE] if n > _AT_ONCE else columns


def _labels(classes: Any) -> np.ndarray:
    labels = np.asarray(classes)
    if labels.ndim != 1 or labels.dtype.kind not in "iuU" or len(set(labels.tolist())) < max(2, len(labels)):
        raise ValueError(f"Predictor: classes={classes!r:.80}, expected two or more different texts or whole numbers")
    return labels
