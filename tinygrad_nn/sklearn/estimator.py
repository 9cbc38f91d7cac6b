"""What the two estimators share: settings, training, and the door from rows to columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tinygrad_nn import optim
from tinygrad_nn.data import batches
from tinygrad_nn.modes import no_grad
from tinygrad_nn.nn import Dense, Sequential
from tinygrad_nn.operation import Op
from tinygrad_nn.sklearn.losses import Loss, regularised, weighted
from tinygrad_nn.sklearn.settings import OPTIMIZERS, check_settings
from tinygrad_nn.training import History, find_loss, fit
from tinygrad_nn.training.pairs import refuse_cost, refuse_pair

__all__ = ["MLP"]

_NAMES: dict[Any, Any] = {"logistic": "sigmoid"}  # scikit-learn's name


class MLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What the two estimators share."""

    model_: Sequential
    optimizer_: optim.Optimizer
    history_: History
    loss_curve_: list[float]
    validation_scores_: list[float]

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Callable = "relu",
        *,
        loss: str | Loss = "mse",
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
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network on rows X (N, features) and y, each row weighing as much as its `sample_weight`."""
        check_settings(self)
        X, y, weight = self._checked(X, y, sample_weight, fresh=True)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        rows, held_out = np.arange(len(X)), None
        if self.early_stopping:
            rows, held_out = train_test_split(
                rows, test_size=self.validation_fraction, random_state=int(rng.integers(2**31)),
                stratify=y if isinstance(self, ClassifierMixin) else None,
            )  # fmt: skip
        self._learn_targets(y)
        self._start(X, y, rng)
        best, waited, kept = -np.inf, 0, None

        def goes_on(epoch: int, history: History) -> bool:
            """Whether to go on: until nothing has become better for long enough."""
            nonlocal best, waited, kept
            value = -history.loss[-1]
            if held_out is not None:
                value = self._score(
                    y[held_out],
                    self._decide(self._network(X[held_out])),
                    weight if weight is None else weight[held_out],
                )
                self.validation_scores_.append(value)
                kept = self.model_.state_dict() if kept is None or value > best else kept
            waited = 0 if self.tol is None or value > best + self.tol else waited + 1
            best = max(best, value)
            return waited < self.n_iter_no_change

        self._run(X[rows], y[rows], None if weight is None else weight[rows], self.max_iter, goes_on)
        if kept is not None:
            self.model_.load_state_dict(kept)
        if self.tol is not None and self.history_.ended == "epochs":
            warnings.warn(f"still learning after max_iter={self.max_iter} epochs", ConvergenceWarning, stacklevel=2)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        check_settings(self)
        fresh = not hasattr(self, "model_")
        X, y, weight = self._checked(X, y, sample_weight, fresh)
        if fresh:
            self._learn_targets(y if classes is None else np.asarray(classes))
            self._start(X, y, np.random.default_rng(check_random_state(self.random_state).randint(2**31)))
        self._run(X, y, weight, 1, ())
        return self

    def _checked(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> tuple[Any, Any, Any]:
        """Rows, targets and weights as arrays, without rows of weight 0."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=fresh, **self._validation)
        class_weight, weight = getattr(self, "class_weight", None), None
        if sample_weight is not None or class_weight is not None:
            weight = _check_sample_weight(sample_weight, X)
            if class_weight is not None:
                weight = weight * compute_sample_weight(class_weight, y)
            if (weight < 0).any():
                raise ValueError(f"sample_weight[{np.argmax(weight < 0)}] is {weight.min()}, expected at least 0")
            if not weight.any():
                raise ValueError("all sample weights are zero: nothing is left to learn from")
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        return X, y, weight

    def _start(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """A new network and a new optimiser."""
        hidden: Any = self.hidden_layer_sizes
        sizes = [X.shape[1], *([hidden] if np.ndim(hidden) == 0 else hidden), len(self._targets(y[:1], X.dtype))]
        last, activation = len(sizes) - 2, _NAMES.get(self.activation, self.activation)
        self.model_ = Sequential(*(
            Dense(n, m, self._output_activation() if i == last else activation, rng=rng, dtype=X.dtype)
            for i, (n, m) in enumerate(pairwise(sizes))
        ))  # fmt: skip
        self.optimizer_ = self._make_optimizer(list(self.model_.parameters()))
        self.loss_curve_, self.validation_scores_, self._rng = [], [], rng

    def _make_optimizer(self, params: Any) -> Any:
        if callable(self.optimizer):
            return self.optimizer(params)
        return OPTIMIZERS[self.optimizer.lower()](params, lr=self.learning_rate_init)

    def _run(self, X: np.ndarray, y: np.ndarray, weight: Any, epochs: int, callbacks: Any) -> None:
        loss, Y = find_loss(self.loss), self._targets(y, X.dtype)
        self._refuse_activation(loss, X, Y)
        if weight is not None:  # it travels with its example, as one more row of targets
            loss, Y = weighted(loss), np.concatenate([Y, weight[np.newaxis] / weight.mean()]).astype(X.dtype)
        if self.alpha:
            loss = regularised(loss, self.model_, self.alpha)
        size: Any = 200 if self.batch_size == "auto" else self.batch_size
        data = batches(X.T, Y, min(size, len(X)), self.shuffle, self._rng)
        self.history_ = fit(
            self.model_, loss, self.optimizer_, data, epochs, callbacks=callbacks, progress=bool(self.verbose)
        )  # fmt: skip
        self.model_.zero_grad()
        self.loss_curve_ += self.history_.loss
        self.loss_, self.n_iter_ = self.loss_curve_[-1], len(self.loss_curve_)

    def _refuse_activation(self, loss: Loss, X: np.ndarray, Y: np.ndarray) -> None:
        """ValueError for a loss that does itself what the last layer does: seen on two rows."""
        if isinstance(loss, Op):
            return
        prediction, name = self.model_(X[:2].T), type(self).__name__
        J = loss(prediction, Y[:, :2])
        refuse_cost(name, loss, J)
        hint = "give the loss by name or as a functools.partial, or take it with from_logits=False"
        refuse_pair(name, loss, prediction, J, hint)

    # -- predicting

    def predict(self, X: Any) -> np.ndarray:
        """What the network says about each row of X (N, features)."""
        return self._decide(self._outputs(X))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._network(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    def _network(self, X: np.ndarray) -> np.ndarray:
        """What the network says about rows, as columns (outputs, N)."""
        with no_grad():
            return self.model_(X.T).numpy()

    # -- what the two do differently

    _validation: ClassVar[dict[str, Any]] = {}

    def _learn_targets(self, y: np.ndarray) -> None:
        raise NotImplementedError

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """y as columns (outputs, N)."""
        raise NotImplementedError

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        """Columns of outputs as predictions of y."""
        raise NotImplementedError

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        raise NotImplementedError

    def _output_activation(self) -> str | None:
        return None
