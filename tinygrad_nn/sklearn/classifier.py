"""The estimator that classifies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from tinygrad_nn.nn.outputs import chosen, probabilities
from tinygrad_nn.sklearn.estimator import MLP
from tinygrad_nn.sklearn.losses import Loss, activation_of
from tinygrad_nn.training import find_loss

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A network that classifies rows, as an estimator of scikit-learn.

    Parameters
    ----------
    hidden_layer_sizes : units of each hidden layer.
    activation : of the hidden layers: the name of an operation of the tables ("relu", "tanh", ...), or a function.
    loss : "cross_entropy" or "binary_cross_entropy" of logits; or another name, or function
        ``(prediction, target) -> scalar tensor``, of softmax probabilities and one-hot columns (classes, N).
    optimizer : the name of a `tn.optim` class ("adam", "rmsprop", ...), made with ``lr=learning_rate_init``; or a
        function of the parameters that makes one.
    learning_rate_init : η, for an optimiser by name.
    alpha : adds ½ alpha ‖W‖² to the cost; biases are left alone.
    batch_size : rows per update; "auto" is 200, or all rows where they are fewer.
    max_iter : epochs at most.
    shuffle : draw a new order of the rows in each epoch.
    random_state : seed or `numpy.random.RandomState`, for first weights, order of rows, and what is set aside.
    tol, n_iter_no_change : stop when for so many epochs the loss (with `early_stopping`: the validation score) was not
        better by `tol` than its best; ``tol=None`` runs all epochs.
    early_stopping, validation_fraction : set this fraction of the rows aside, and take the parameters that did best
        there.
    class_weight : weight of each class in the cost, as a dict, or "balanced".
    verbose : show a progress bar, on a terminal.

    After `fit`: `model_` (the `tn.nn.Sequential`, which takes columns), `optimizer_`, `classes_`, `history_` (see
    `tn.fit`), `loss_curve_`, `loss_`, `n_iter_`, and with `early_stopping` the accuracies `validation_scores_`.

    Rows of float32 are trained on in float32, all others in float64.  A `sample_weight` weighs a row in the cost, as if
    it were there so many times.

    Raises ValueError for what scikit-learn refuses, and NonFiniteError where training leaves the finite numbers.

    >>> import numpy as np, tinygrad_nn as tn
    >>> X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["no", "yes", "yes", "no"])
    >>> model = tn.sklearn.MLPClassifier((8,), "tanh", learning_rate_init=0.1, max_iter=50, tol=None, random_state=0)
    >>> model.fit(X, y).predict([[1, 0], [1, 1]]).tolist()
    ['yes', 'no']
    """

    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Callable = "relu",
        *,
        loss: str | Loss = "cross_entropy",
        optimizer: str | Callable = "adam",
        learning_rate_init: float = 0.001,
        alpha: float = 0.0,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: dict | str | None = None,
        verbose: bool = False,
    ):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, optimizer=optimizer, learning_rate_init=learning_rate_init,
            alpha=alpha, batch_size=batch_size, max_iter=max_iter, shuffle=shuffle, random_state=random_state, tol=tol,
            n_iter_no_change=n_iter_no_change, early_stopping=early_stopping, validation_fraction=validation_fraction,
            verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch on these rows, of the network there is; the first call needs all `classes` that y does not have."""
        return self._partial_fit(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (N, classes), in the order of `classes_`."""
        outputs, activation = self._outputs(X), activation_of(find_loss(self.loss))
        return probabilities(outputs if activation is None else activation(outputs), "probabilities").T

    def _learn_targets(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y)

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        columns = self.classes_[:, np.newaxis] == y
        if not columns.any(axis=0).all():
            stranger = y[~columns.any(axis=0)].tolist()[0]
            raise ValueError(
                f"y holds the class {stranger!r}, which is not one of the classes {self.classes_.tolist()}"
            )
        return columns.astype(dtype)

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        return self.classes_[chosen(outputs) if len(self.classes_) > 1 else outputs.argmax(axis=0)]

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weight))

    def _output_activation(self) -> str | None:
        return "softmax" if activation_of(find_loss(self.loss)) is None else None
