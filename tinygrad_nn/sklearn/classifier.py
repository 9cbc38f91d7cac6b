"""The estimator that classifies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from tinygrad_nn.nn.outputs import chosen, probabilities
from tinygrad_nn.ops import losses
from tinygrad_nn.sklearn.estimator import MLP
from tinygrad_nn.sklearn.losses import Loss, activation_of, for_each_output, named
from tinygrad_nn.sklearn.solvers import goes_by_epochs

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A network that classifies rows, as an estimator of scikit-learn.

    Parameters
    ----------
    hidden_layer_sizes : units of each hidden layer.
    activation : of the hidden layers: the name of an operation of the tables ("relu", "tanh", ...), or a function.
    loss : "auto" is cross-entropy: of one logit for two classes, or for each label where rows have several, and of one
        logit for each class else.  Or the name of a loss, or a function ``(prediction, target) -> scalar tensor``;
        one that takes no logits gets probabilities and one-hot columns (classes, N).
    solver : the name of a `tn.optim` class ("adam", "sgd", "rmsprop", ...), or of a method of `tn.optim.minimize`,
        which sees all rows at once ("lbfgs", "CG", "Newton-CG", "trust-ncg", ...).
    optimizer : in place of `solver`, a function of the parameters that makes an optimiser, or its name.
    alpha : adds ½ alpha ‖W‖²/n to the cost of a batch of n rows; biases are left alone.
    dropout : the share of the units of each hidden layer that is left out at random in training.
    batch_norm : standardise what each hidden layer gives to its activation over the rows of the batch.
    batch_size : rows per update; "auto" is 200, or all rows where they are fewer.
    learning_rate : of "sgd": "constant"; "invscaling", as learning_rate_init/t^power_t after t rows; or "adaptive",
        divided by 5 whenever training would stop by `tol`, down to 1e-6.
    learning_rate_init, power_t : η at the start, and the exponent of "invscaling".
    max_iter, max_fun : epochs at most; of "lbfgs" iterations, and evaluations of the loss.
    shuffle : draw a new order of the rows in each epoch.
    random_state : seed or `numpy.random.RandomState`, for first weights, order of rows, dropout, and what is set aside.
    tol, n_iter_no_change : stop when for so many epochs the loss (with `early_stopping`: the validation score) was not
        better by `tol` than its best; ``tol=None`` runs all epochs.  Methods that see all rows stop by themselves.
    verbose : show a progress bar, on a terminal.
    warm_start : a further `fit` goes on with the network there is, for `max_iter` more epochs.
    momentum, nesterovs_momentum : of "sgd".
    early_stopping, validation_fraction : set this fraction of the rows aside, of each class, and take the parameters
        that did best there.
    beta_1, beta_2, epsilon : of "adam".
    class_weight : weight of each class in the cost, as a dict, or "balanced".

    Attributes
    ----------
    model_ : the `tn.nn.Sequential`, which takes columns.  `optimizer_` is what trained it.
    classes_ : the classes; where rows have several labels, the numbers of these.
    coefs_, intercepts_ : weights (inputs, units) and biases (units,) of each layer: views of the network's.
    n_iter_, t_ : epochs, and rows seen.  `loss_`, `best_loss_` and `loss_curve_` are costs.
    validation_scores_, best_validation_score_ : accuracies, with `early_stopping`; else None.
    history_ : the curves, for `tn.plot.history`.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_ : as in scikit-learn.

    X may be sparse (CSR, CSC): batches of it are made dense, never the whole.  Rows of float32 are trained on in
    float32, all others in float64.  A `sample_weight` weighs a row in the cost, as if it were there so many times.
    y (N, labels) of 0 and 1 gives each row several labels.

    Raises ValueError for what scikit-learn refuses, and NonFiniteError where training leaves the finite numbers.

    >>> import numpy as np, tinygrad_nn as tn
    >>> X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["no", "yes", "yes", "no"])
    >>> model = tn.sklearn.MLPClassifier((8,), "tanh", solver="lbfgs", random_state=0)
    >>> model.fit(X, y).predict([[1, 0], [1, 1]]).tolist()
    ['yes', 'no']

    Source: its parameters are those of `sklearn.neural_network.MLPClassifier`; D. Rumelhart, G. Hinton, R. Williams,
    "Learning representations by back-propagating errors", Nature 323, 1986.
    """

    classes_: np.ndarray
    _scores: ClassVar[str] = "accuracy"

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Callable = "relu",
        *,
        loss: str | Loss = "auto",
        solver: str = "adam",
        optimizer: str | Callable | None = None,
        alpha: float = 1e-4,
        dropout: float = 0.0,
        batch_norm: bool = False,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float | None = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        class_weight: dict | str | None = None,
    ):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, solver=solver, optimizer=optimizer, alpha=alpha, dropout=dropout,
            batch_norm=batch_norm, batch_size=batch_size, learning_rate=learning_rate,
            learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter, shuffle=shuffle,
            random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start, momentum=momentum,
            nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun,
        )  # fmt: skip
        self.class_weight = class_weight

    @available_if(goes_by_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch on these rows, of the network there is.

        `classes` are all there will be; the first call needs them, where rows have one class each.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (N, classes), in the order of `classes_`; of each label by itself."""
        outputs, activation = self._outputs(X), activation_of(self._loss())
        P = outputs if activation is None else activation(outputs)
        return P.T if self._multilabel or len(self.classes_) == 1 else probabilities(P, "probabilities").T

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _class_weights(self, y: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        if self._multilabel or not isinstance(self.class_weight, dict):
            return compute_sample_weight(self.class_weight, y)
        known = self.classes_.tolist()
        if strangers := [c for c in self.class_weight if c not in known]:
            raise ValueError(
                f"{type(self).__name__}: class_weight has a weight of {strangers[0]!r}, which is not one of the "
                f"classes {known!r:.200}"
            )
        of_classes = np.array([self.class_weight.get(c, 1.0) for c in known])
        return (y[:, np.newaxis] == self.classes_) @ of_classes

    @property
    def out_activation_(self) -> str:
        """What makes probabilities of the last layer, by scikit-learn's name."""
        self._layers("out_activation_")
        return "logistic" if self._multilabel or self._one_output() else "softmax"

    # -- classes

    def _checked_targets(self, y: np.ndarray) -> np.ndarray:
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        check_classification_targets(y)
        if type_of_target(y) == "multiclass-multioutput":
            raise ValueError(
                f"{type(self).__name__}: y of shape {y.shape} has several classes for each row, which is not "
                "supported: give one column, or labels of 0 and 1, as sklearn.preprocessing.MultiLabelBinarizer makes "
                "them"
            )
        return y

    def _learn_targets(self, y: np.ndarray, classes: Any = None) -> None:
        self._multilabel = y.ndim == 2
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        name, known = type(self).__name__, getattr(self, "classes_", None)
        if self.class_weight == "balanced":
            raise ValueError(
                f"{name}: partial_fit sees some rows at a time, which do not say what class_weight='balanced' is: give "
                "a dict, such as sklearn.utils.compute_class_weight finds for all rows"
            )
        if known is None and classes is None and np.ndim(y) == 1:
            raise ValueError(
                f"{name}: the first call of partial_fit needs classes=, all that there will be, as np.unique(y_all)"
            )
        if known is not None and classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(
                f"{name}: classes={np.unique(classes).tolist()!r:.200} is not what the first call gave, "
                f"{known.tolist()!r:.200}; give it once, or make a new estimator"
            )
        return super()._partial_fit(X, y, sample_weight, classes)

    def _refuse_other_targets(self, y: np.ndarray) -> None:
        now = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
        if (y.ndim == 2) != self._multilabel or not np.array_equal(now, self.classes_):
            raise ValueError(
                f"{type(self).__name__}: warm_start=True goes on with the classes {self.classes_.tolist()!r:.200}, and "
                f"y has {now.tolist()!r:.200}: give data as before, or warm_start=False"
            )

    # -- outputs

    def _loss(self) -> Loss:
        auto = isinstance(self.loss, str) and self.loss == "auto"
        if auto and (self._multilabel or len(self.classes_) == 2):
            return losses.binary_cross_entropy
        loss = named(self.loss, type(self).__name__)
        if self._multilabel and activation_of(loss) is not None and not for_each_output(loss):
            raise ValueError(
                f"{type(self).__name__}: y of shape {(len(self.classes_),)} gives each row several labels, and "
                f"loss={self.loss!r} takes one class a row: leave loss='auto', or take 'binary_cross_entropy'"
            )
        return loss

    def _one_output(self) -> bool:
        """Whether one logit says which of two classes it is."""
        return not self._multilabel and len(self.classes_) == 2 and for_each_output(self._loss())

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        if self._multilabel:
            return y.astype(dtype)
        rows = y[:, np.newaxis] == self.classes_
        if not rows.any(axis=1).all():
            stranger = y[~rows.any(axis=1)].tolist()[0]
            raise ValueError(
                f"y holds the class {stranger!r}, which is not one of the classes {self.classes_.tolist()!r:.200}"
            )
        return (rows[:, 1:] if self._one_output() else rows).astype(dtype)

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        kind = "probabilities" if activation_of(self._loss()) is None else "logits"
        if self._multilabel:
            return np.array([chosen(row, kind) for row in outputs]).T
        return self.classes_[chosen(outputs, kind) if len(self.classes_) > 1 else outputs.argmax(axis=0)]

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return float(accuracy_score(y, predicted, sample_weight=weight))

    def _last_activation(self) -> str | None:
        if activation_of(self._loss()) is not None:
            return None
        return "sigmoid" if self._multilabel else "softmax"

    def __sklearn_tags__(self) -> Any:
        """With several labels a row."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
