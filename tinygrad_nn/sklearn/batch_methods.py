"""Training on all rows at once, by SciPy's methods: `solver="lbfgs"` and its relatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn import optim
from tinygrad_nn.sklearn.losses import Loss

__all__ = ["minimise"]


def minimise(
    estimator: Any, method: str, loss: Loss, X: np.ndarray, Y: np.ndarray, goes_on: Callable[[float], bool]
) -> bool:
    """Minimise the loss of columns X and Y by a method of `tn.optim.minimize`; returns whether it was done.

    `goes_on` is called after each iteration.  `tol` is the size of the gradient for "lbfgs", as in scikit-learn, and
    for the others what SciPy says.
    """
    model, tol = estimator.model_, estimator.tol
    options: dict[str, Any] = {"maxiter": estimator.max_iter}
    if method == "L-BFGS-B":
        options |= {"maxfun": estimator.max_fun} | ({} if tol is None else {"gtol": tol})
        tol = None
    before = estimator.n_iter_

    def after(iteration: int, value: float) -> bool:
        estimator.t_ += X.shape[1]
        return not goes_on(value)

    estimator.optimizer_, estimator._descent = None, None
    result = optim.minimize(
        lambda: loss(model(X), Y), model.parameters(), method, callback=after, tol=tol, options=options
    )
    if estimator.n_iter_ == before:  # it began where nothing can be done
        goes_on(float(result.history[0]))
    estimator.loss_ = float(result.fun)
    limited = method == "L-BFGS-B" and result.nfev >= estimator.max_fun
    return bool(result.success) or (not limited and len(result.history) <= estimator.max_iter)
