"""SciPy's batch optimisers on tensors: gradients and Hessian-vector products come from the graph."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients
from tinygrad_nn.errors import NonFiniteError, label
from tinygrad_nn.ops import reductions
from tinygrad_nn.optim.flat import Flat
from tinygrad_nn.tensor import Tensor

__all__ = ["METHODS", "minimize"]

METHODS = {
    name.lower(): name
    for name in (
        "Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "COBYLA", "COBYQA", "SLSQP",
        "trust-constr", "dogleg", "trust-ncg", "trust-exact", "trust-krylov",
    )
}  # fmt: skip
_WITHOUT_GRADIENT = {"Nelder-Mead", "Powell", "COBYLA", "COBYQA"}
_HESSIAN_PRODUCTS = {"Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"}
_HESSIANS = {"dogleg", "trust-exact"}
_BOUNDS = {"Nelder-Mead", "Powell", "L-BFGS-B", "TNC", "SLSQP", "trust-constr", "COBYLA", "COBYQA"}
_CONSTRAINTS = {"SLSQP", "trust-constr", "COBYLA", "COBYQA"}


class _Stop(Exception):  # noqa: N818
    """The callback wants to stop."""


class _Objective:
    """The loss as a function of one vector; value, gradient and graph of the last point are kept."""

    def __init__(self, loss: Callable[[], Tensor], flat: Flat):
        self._loss, self.flat = loss, flat
        self.x: np.ndarray | None = None
        self.value = np.nan
        self.slope: np.ndarray | None = None
        self.graph: list[Tensor] | None = None
        self.best: tuple[float, np.ndarray] | None = None
        self.within: Callable[[np.ndarray], bool] = lambda x: True

    def loss(self) -> Tensor:
        J = self._loss()
        if not isinstance(J, Tensor):
            raise TypeError(f"minimize: loss() returned {type(J).__name__}, expected a tensor computed from the params")
        return J

    def _go_to(self, x: np.ndarray) -> None:
        if self.x is None or not np.array_equal(x, self.x):
            self.x, self.slope, self.graph, self.value = x.copy(), None, None, np.nan
            self.flat.write(x)

    def _found(self, value: float) -> None:
        assert self.x is not None
        self.value = value
        if (self.best is None or value < self.best[0]) and np.isfinite(value) and self.within(self.x):
            self.best = value, self.x

    def loss_at(self, x: np.ndarray) -> float:
        self._go_to(x)
        if np.isnan(self.value):  # recorded all the same: a loss may take derivatives itself
            self._found(float(self.loss().item()))
        return self.value

    def loss_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self._go_to(x)
        if self.slope is None:
            J, slope = self.flat.gradient(self.loss)
            self._found(float(J.item()))
            self.slope = slope.astype(np.float64)
        return self.value, self.slope

    def hessian_product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """H v, as the gradient of ⟨∂J/∂w, v⟩."""
        self._go_to(x)
        if self.graph is None:
            self.graph = gradients(self.loss(), self.flat.params, create_graph=True)
        return self._product(self.graph, v)

    def _product(self, slopes: list[Tensor], v: np.ndarray) -> np.ndarray:
        pieces = self.flat.split(np.ravel(v))
        parts = [reductions.sum(g * piece.astype(g.dtype)) for g, piece in zip(slopes, pieces, strict=True)]
        moving = [part for part in parts if part.requires_grad]
        if not moving:
            return np.zeros(self.flat.size)
        return self.flat.join(gradients(moving, self.flat.params)).astype(np.float64)

    def derivatives(self, name: str) -> dict[str, Any]:
        """What SciPy's method takes besides the loss."""
        found: dict[str, Any] = {} if name in _WITHOUT_GRADIENT else {"jac": True}
        if name in _HESSIAN_PRODUCTS:
            found["hessp"] = self.hessian_product
        elif name in _HESSIANS:
            found["hess"] = self.hessian
        return found

    def hessian(self, x: np.ndarray) -> np.ndarray:
        return np.stack([self.hessian_product(x, column) for column in np.eye(self.flat.size)])

    # -- constraints, as functions of the vector

    def values_of(self, constraint: Callable[[], Tensor], x: np.ndarray) -> np.ndarray:
        self._go_to(x)
        return np.atleast_1d(constraint().numpy()).astype(np.float64)

    def jacobian_of(self, constraint: Callable[[], Tensor], x: np.ndarray) -> np.ndarray:
        """One gradient for each number of the constraint."""
        self._go_to(x)
        c = constraint()
        units = np.eye(c.size).reshape(-1, *c.shape)
        return np.stack([self.flat.join(gradients(c, self.flat.params, grad_outputs=u)) for u in units])

    def curvature_of(self, constraint: Callable[[], Tensor], x: np.ndarray, v: np.ndarray) -> Any:
        """The Hessian of ⟨v, c⟩, as products: computed when asked for, with the parameters back at x."""

        def product(u: np.ndarray) -> np.ndarray:
            self._go_to(x)
            c = constraint()
            slopes = gradients(c, self.flat.params, grad_outputs=np.reshape(v, c.shape), create_graph=True)
            return self._product(slopes, u)

        operator = importlib.import_module("scipy.sparse.linalg").LinearOperator
        return operator((self.flat.size,) * 2, matvec=product, dtype=np.float64)

    def constraint(self, given: Mapping[str, Any], name: str) -> Any:
        """The constraint in the form that SciPy's method takes."""
        value, jacobian, curvature = (
            partial(f, given["fun"]) for f in (self.values_of, self.jacobian_of, self.curvature_of)
        )
        if name == "trust-constr":
            optimize, high = _scipy_optimize(), 0.0 if given["type"] == "eq" else np.inf
            return optimize.NonlinearConstraint(value, 0.0, high, jac=jacobian, hess=curvature)
        return {"type": given["type"], "fun": value} | ({} if name in _WITHOUT_GRADIENT else {"jac": jacobian})


def minimize(
    loss: Callable[[], Tensor],
    params: Iterable[Tensor],
    method: str = "L-BFGS-B",
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[[int, float], Any] | None = None,
    tol: float | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Minimise a loss over all elements of `params` together, by a method of `scipy.optimize.minimize`.

    ===============================  =============================================================================
    method                           what it is, and what it is called in MATLAB
    ===============================  =============================================================================
    "BFGS"                           quasi-Newton: `fminunc` with "quasi-newton"
    "L-BFGS-B"                       the same with little memory, and bounds: `FMINLBFGS`
    "CG"                             conjugate gradients (Polak-Ribière): `fmincg`
    "Newton-CG"                      Newton's method, each step by conjugate gradients
    "trust-ncg", "trust-krylov"      the same within a trust region: `fminunc` with "trust-region"
    "dogleg", "trust-exact"          trust region with the whole Hessian, for few parameters
    "SLSQP"                          sequential quadratic programming, with constraints: `fmincon` with "sqp"
    "trust-constr"                   interior point, with constraints: `fmincon` with "interior-point"
    "TNC"                            truncated Newton, with bounds
    "Nelder-Mead", "Powell"          without gradients: `fminsearch`
    "COBYLA", "COBYQA"               without gradients, with constraints
    ===============================  =============================================================================

    Parameters
    ----------
    loss : computes J, a single recorded number, from the tensors as they are: of all the data, and without chance.  It
        may take derivatives itself (`tn.gradients` with ``create_graph=True``, `tn.grad`).
    params : tensors with ``requires_grad=True``; their values are the starting point.
    method : see above.  Those of Newton's kind take Hessian-vector products from the graph, by a second backward pass.
    bounds : (low, high) for all elements, or such a pair for each parameter: numbers, arrays in its shape, or None.
    constraints : {"type": "ineq", "fun": f} for f() ≥ 0, {"type": "eq", "fun": f} for f() = 0, or a list of them, where
        ``f()`` computes a tensor from the tensors as they are.
    callback : called after each iteration as ``callback(iteration, loss)``, with the parameters at its point; True
        stops.
    tol, options : as in `scipy.optimize.minimize`, such as ``options={"maxiter": 100}``.

    Returns
    -------
    SciPy's OptimizeResult (x, fun, success, message, nit, nfev ...), and `history`: the loss at the start and after
    each iteration.  The parameters hold the best point seen (with constraints, the last), also after Ctrl-C.

    Raises ImportError without SciPy, ValueError for a method that does not know bounds or constraints, NonFiniteError
    for a loss that is not finite at the start.

    >>> import tinygrad_nn as tn
    >>> x, y = (tn.tensor(v, requires_grad=True) for v in (-1.2, 1.0))
    >>> result = tn.optim.minimize(lambda: (1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y], method="trust-ncg")
    >>> bool(result.success), round(x.item(), 4), round(y.item(), 4)
    (True, 1.0, 1.0)

    Source: P. Virtanen et al., "SciPy 1.0", Nature Methods 17, 2020; J. Nocedal, S. Wright, "Numerical optimization".
    """
    optimize = _scipy_optimize()
    name = METHODS.get(str(method).lower())
    if name is None:
        raise ValueError(f"minimize: there is no method {method!r}; expected one of {', '.join(METHODS.values())}")
    constraints = [constraints] if isinstance(constraints, Mapping) else list(constraints)
    for given, known, what in ((bounds, _BOUNDS, "bounds"), (constraints or None, _CONSTRAINTS, "constraints")):
        if given is not None and name not in known:
            raise ValueError(f"minimize: {name} does not know {what}; take {', '.join(sorted(known))}")

    flat = Flat(_trained(params))
    objective, x0 = _Objective(loss, flat), flat.read().astype(np.float64)
    keywords = {"method": name, "tol": tol, "options": options} | objective.derivatives(name)
    if bounds is not None:
        low, high = _limits(bounds, flat)
        keywords["bounds"] = optimize.Bounds(low, high)
        objective.within = lambda x: bool(((x >= low) & (x <= high)).all())
        x0 = np.clip(x0, low, high)
    if constraints:
        keywords["constraints"] = [objective.constraint(c, name) for c in constraints]

    history = [objective.loss_at(x0)]
    if not np.isfinite(history[0]):
        raise NonFiniteError(f"minimize: the loss is {history[0]} at the start; begin where it is finite")

    def after_iteration(x: Any, *_: Any) -> None:
        history.append(objective.loss_at(x))
        if callback is not None and callback(len(history) - 1, history[-1]):
            raise _Stop

    function = objective.loss_and_gradient if "jac" in keywords else objective.loss_at
    try:
        with np.errstate(all="ignore"):  # a trial point may lie where the loss is infinite
            result = optimize.minimize(function, x0, callback=after_iteration, **keywords)
    except _Stop:
        assert objective.x is not None
        result = optimize.OptimizeResult(
            x=objective.x, fun=history[-1], success=True, status=99, message="stopped by the callback",
            nit=len(history) - 1,
        )  # fmt: skip
    finally:
        if objective.best is not None and not constraints:  # with them, the smallest loss may break one
            flat.write(objective.best[1])
    if constraints or objective.best is None:
        flat.write(result.x)
    else:
        result.fun, result.x = objective.best
    result.history = history
    return result


def _trained(params: Any) -> list[Tensor]:
    """The parameters as a list; TypeError or ValueError for what is none."""
    found = [params] if isinstance(params, Tensor) else list(params)
    for i, p in enumerate(found):
        if not isinstance(p, Tensor):
            raise TypeError(f"minimize: parameter {i} is of type {type(p).__name__}, expected a tensor")
        if not p.requires_grad or not p.is_leaf:
            raise ValueError(
                f"minimize: {label(p, f'tensor {i}')} of shape {p.shape} does not require a gradient or was computed: "
                "expected tensors you made with requires_grad=True; leave out what is frozen"
            )
    if not found:
        raise ValueError("minimize: there are no parameters; does the model hold any with requires_grad=True?")
    return found


def _scipy_optimize() -> Any:
    try:
        return importlib.import_module("scipy.optimize")
    except ImportError:
        raise ImportError("tn.optim.minimize needs SciPy: pip install 'tinygrad_nn[scipy]'") from None


def _limits(bounds: Any, flat: Flat) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each element of the vector."""
    if len(bounds) == 2 and all(b is None or np.isscalar(b) for b in bounds):
        bounds = [bounds] * len(flat.params)
    if len(bounds) != len(flat.params):
        raise ValueError(
            f"minimize: bounds for {len(bounds)} parameters, there are {len(flat.params)}; "
            "give one pair (low, high) for all, or one for each"
        )
    sides: Sequence[list[Any]] = ([], [])
    for pair, p in zip(bounds, flat.params, strict=True):
        for side, limit, default in zip(sides, (None, None) if pair is None else pair, (-np.inf, np.inf), strict=True):
            side.append(np.broadcast_to(default if limit is None else limit, p.shape))
    return flat.join(sides[0]).astype(np.float64), flat.join(sides[1]).astype(np.float64)
