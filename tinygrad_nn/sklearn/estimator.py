"""What the two estimators share: fitting, going on, and the way from rows to columns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.modes import no_grad
from tinygrad_nn.operation import Op
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.sklearn.attributes import Attributes
from tinygrad_nn.sklearn.batch_methods import minimise
from tinygrad_nn.sklearn.descent import Descent
from tinygrad_nn.sklearn.losses import Loss, regularised, weighted
from tinygrad_nn.sklearn.network import build_network, refuse_single_rows
from tinygrad_nn.sklearn.packing import packed, unpacked
from tinygrad_nn.sklearn.rows import by_row, columns, in_pieces
from tinygrad_nn.sklearn.setting_aside import set_aside
from tinygrad_nn.sklearn.settings import check_settings
from tinygrad_nn.sklearn.solvers import batch_method, make_optimizer, slowed, solver_settings
from tinygrad_nn.sklearn.stopping import Stopping, still_learning
from tinygrad_nn.training.history import History
from tinygrad_nn.training.pairs import refuse_cost, refuse_pair
from tinygrad_nn.training.progress import showing

__all__ = ["MLP"]

_X: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": [np.float64, np.float32]}


class MLP(Attributes, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What the two estimators share; their settings are those of `MLPClassifier`."""

    optimizer_: Optimizer | None
    n_iter_: int
    t_: int
    _descent: tuple[Any, Descent] | None  # and for which loss it is
    _made_with: tuple  # settings of the optimiser

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Callable = "relu",
        *,
        loss: str | Loss = "mse",
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
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.solver = solver
        self.optimizer = optimizer
        self.alpha = alpha
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (N, features), dense or sparse, and y, each row weighing as much as its `sample_weight`.

        The network is a new one, unless `warm_start` says to go on with the one there is.
        """
        check_settings(self)
        fresh = not (self.warm_start and hasattr(self, "model_"))
        X, y = self._validated(X, y, fresh=True)
        if fresh:
            self._learn_targets(y)
        else:
            self._refuse_other_targets(y)
        X, y, weight = self._weighed(X, y, sample_weight)
        if fresh:
            self._start(X, y)
        else:
            self._refuse_other_network(X, y, "warm_start=True", "warm_start=False")
        self.n_iter_ = 0
        rows, held_out = np.arange(X.shape[0]), None
        if self.early_stopping:
            rows, held_out = set_aside(self, y, self._random)
            self.validation_scores_ = self.validation_scores_ or []
        of = partial(self._part, X, y, weight)
        stopping, by_itself = Stopping(self.tol, self.n_iter_no_change), batch_method(self) is not None

        def goes_on(loss: float) -> bool:
            """Whether to go on after an epoch: until nothing has become better for long enough."""
            self._append(loss)
            value = -loss
            if held_out is not None:
                X_held, y_held, w_held = of(held_out)
                value = self._score(y_held, self._decide(self._network(X_held)), w_held)
                self.validation_scores_.append(value)  # type: ignore[union-attr]
            elif by_itself:
                return True
            stopping.add(value, self.model_ if held_out is not None else None)
            return not stopping.over or (self.learning_rate == "adaptive" and slowed(self) and stopping.anew())

        over = self._train(*of(rows), self.max_iter, goes_on)
        stopping.go_back(self.model_)
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_, default=None)
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        if self.tol is not None and not over:
            warnings.warn(still_learning(self, y), ConvergenceWarning, stacklevel=2)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        check_settings(self)
        if self.early_stopping:
            raise ValueError(
                f"{type(self).__name__}: partial_fit does not support early_stopping=True, as it sees some rows at a "
                "time: take early_stopping=False, or fit"
            )
        fresh = not hasattr(self, "model_")
        X, y = self._validated(X, y, fresh)
        if fresh:
            self._learn_targets(y, classes)
        X, y, weight = self._weighed(X, y, sample_weight)
        if fresh:
            self._start(X, y)
        else:
            self._refuse_other_network(X, y, "partial_fit", "make a new estimator")

        def goes_on(loss: float) -> bool:
            self._append(loss)
            return True

        self._train(X, y, weight, 1, goes_on)
        return self

    # -- rows, targets, weights

    def _validated(self, X: Any, y: Any, fresh: bool) -> tuple[Any, Any]:
        """Rows and targets as arrays."""
        X, y = validate_data(self, X, y, multi_output=True, reset=fresh, **_X, **self._validation)
        return by_row(X), self._checked_targets(y.toarray() if sparse.issparse(y) else y)

    def _weighed(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Rows, targets and weights, without rows of weight 0."""
        of_classes, weight = self._class_weights(y), None
        if sample_weight is not None or of_classes is not None:
            weight = _check_sample_weight(sample_weight, X)
            if of_classes is not None:
                weight = weight * of_classes
            if (weight < 0).any():
                raise ValueError(f"sample_weight[{np.argmax(weight < 0)}] is {weight.min()}, expected at least 0")
            if not weight.any():
                raise ValueError("all sample weights are zero: nothing is left to learn from")
            X, y, weight = self._part(X, y, weight, weight > 0)
        return X, y, weight

    @staticmethod
    def _part(X: Any, y: Any, weight: Any, index: Any) -> tuple[Any, Any, Any]:
        return X[index], y[index], weight if weight is None else weight[index]

    def _design(self, X: Any, y: Any) -> dict[str, Any]:
        """What makes the network what it is, but for the numbers in it."""
        return {
            "n_features_in_": X.shape[1],
            "hidden_layer_sizes": tuple(np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int)).tolist()),
            "n_outputs_": self._targets(y[:1], X.dtype).shape[1],
            "activation": self.activation.name if isinstance(self.activation, Op) else self.activation,
            "batch_norm": bool(self.batch_norm),
            "dropout": float(self.dropout),
            "last activation": self._last_activation(),
        }

    def _refuse_other_network(self, X: Any, y: Any, caller: str, way_out: str) -> None:
        """ValueError where data or settings are no longer those of the network there is."""
        for what, now in self._design(X, y).items():
            if self._designed[what] != now:
                raise ValueError(
                    f"{type(self).__name__}: {caller} goes on with the network there is, of {what}="
                    f"{self._designed[what]!r}, and now it is {now!r}: give data and settings as before, or {way_out}"
                )

    # -- training

    def _start(self, X: Any, y: np.ndarray) -> None:
        """A new network and a new optimiser."""
        random, design = check_random_state(self.random_state), self._design(X, y)
        sizes = design["n_features_in_"], *design["hidden_layer_sizes"], design["n_outputs_"]
        self.model_ = build_network(
            sizes, self.activation, design["last activation"], self.dropout, self.batch_norm, random, X.dtype
        )
        self._designed = design
        self.optimizer_, self._descent, self._random = None, None, random
        self.loss_curve_, self.validation_scores_, self.n_iter_, self.t_ = [], None, 0, 0

    def _append(self, loss: float) -> None:
        self.loss_curve_.append(loss)
        self.loss_, self.n_iter_ = loss, self.n_iter_ + 1

    def _train(self, X: Any, y: Any, weight: Any, epochs: int, goes_on: Callable[[float], bool]) -> bool:
        """Epochs on these rows, until `goes_on` says no; returns whether it did, or the solver itself was done."""
        of, Y, alpha = self._loss(), self._targets(y, X.dtype), self.alpha
        self._refuse_activation(of, X, Y)
        loss = of
        if weight is not None:  # it travels with its example, as one more target
            loss, alpha = weighted(loss), alpha / weight.mean()
            Y = np.column_stack([Y, weight / weight.mean()]).astype(X.dtype)
        if alpha:
            loss = regularised(loss, self.model_, alpha)
        method, n = batch_method(self), X.shape[0]
        size = n if method is not None else min(200 if self.batch_size == "auto" else self.batch_size, n)
        refuse_single_rows(self, n, size)
        self.model_.train()
        try:
            if method is not None:
                return minimise(self, method, loss, columns(X), Y.T, goes_on)
            descent = self._descent_on(loss, of, (of, self.alpha) if weight is None else None)
            return self._descend(descent, X, Y, size, epochs, goes_on)
        except NonFiniteError:
            self.optimizer_, self._descent = None, None  # whose state is not finite either
            raise
        except KeyboardInterrupt:
            warnings.warn(f"{type(self).__name__}: training was interrupted", stacklevel=3)
            return True
        finally:
            self.model_.eval()
            self.model_.zero_grad()

    def _descent_on(self, loss: Loss, of: Loss, key: Any) -> Descent:
        """The optimiser on this loss: the one there is, with its compiled steps, where nothing has changed."""
        made_with = solver_settings(self)
        if self.optimizer_ is None or self._made_with != made_with:
            self.optimizer_ = make_optimizer(self, list(self.model_.parameters()))
            self._made_with, self._descent = made_with, None
        if key is None or self._descent is None or self._descent[0] != key:
            self._descent = key, Descent(type(self).__name__, self.model_, loss, self.optimizer_, of)
        return self._descent[1]

    def _descend(
        self, descent: Descent, X: Any, Y: Any, size: int, epochs: int, goes_on: Callable[[float], bool]
    ) -> bool:
        n, shown = X.shape[0], History()
        batches = descent.plan(n, size, epochs)
        with showing(bool(self.verbose), len(batches), 0, epochs) as events:
            order = np.arange(n) if self.shuffle else None
            for _ in range(epochs):
                if order is not None:
                    order = order[self._random.permutation(n)]  # one after another, as scikit-learn
                start, number = time.perf_counter(), self.n_iter_ + 1
                loss = descent.epoch(number, X, Y, batches, order, events.get("on_batch_end", ()))
                shown.loss.append(loss)
                shown.seconds.append(time.perf_counter() - start)
                for tell in events.get("on_epoch_end", ()):
                    tell(number, shown)
                self.t_ += n
                slowed(self, "invscaling")
                if not goes_on(loss):
                    return True
        return False

    def _refuse_activation(self, loss: Loss, X: Any, Y: np.ndarray) -> None:
        """ValueError for a loss that does itself what the last layer does: seen on two rows."""
        if isinstance(loss, Op):
            return
        with self.model_.evaluating():
            prediction, name = self.model_(columns(X, slice(0, 2))), type(self).__name__
        J = loss(prediction, Y[:2].T)
        refuse_cost(name, loss, J)
        hint = "give the loss by name or as a functools.partial, or take it with from_logits=False"
        refuse_pair(name, loss, prediction, J, hint)

    # -- predicting

    def predict(self, X: Any) -> np.ndarray:
        """What the network says about each row of X (N, features)."""
        return self._decide(self._outputs(X))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._network(validate_data(self, X, reset=False, **_X))

    def _network(self, X: Any) -> np.ndarray:
        """What the network says about rows, as columns (outputs, N)."""
        with no_grad(), self.model_.evaluating():
            return in_pieces(lambda batch: self.model_(batch).numpy(), X)

    # -- files and copies

    def __getstate__(self) -> dict[str, Any]:
        """The state as arrays, numbers and names, without code: for pickle, joblib, skops and copies."""
        return packed(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        unpacked(self)

    def __sklearn_tags__(self) -> Any:
        """With sparse rows."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # -- what the two do differently

    _validation: ClassVar[dict[str, Any]] = {}

    def _loss(self) -> Loss:
        """The loss, as a function."""
        raise NotImplementedError

    def _checked_targets(self, y: np.ndarray) -> np.ndarray:
        """y in one of the forms that the others take."""
        raise NotImplementedError

    def _learn_targets(self, y: np.ndarray, classes: Any = None) -> None:
        raise NotImplementedError

    def _class_weights(self, y: np.ndarray) -> np.ndarray | None:
        """What the class of each row says of its weight."""
        return None

    def _refuse_other_targets(self, y: np.ndarray) -> None:
        """ValueError for targets of another kind than before."""

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """y as rows (N, outputs)."""
        raise NotImplementedError

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        """Columns of outputs as predictions of y."""
        raise NotImplementedError

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        raise NotImplementedError

    def _last_activation(self) -> str | None:
        return None
