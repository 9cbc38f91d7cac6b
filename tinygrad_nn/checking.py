"""gradcheck: whether a derivative agrees with finite differences."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients, history
from tinygrad_nn.errors import GradientCheckError
from tinygrad_nn.forward_mode import pushforward
from tinygrad_nn.modes import transforming
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["gradcheck"]

WORST = 5  # disagreements shown
REFINEMENTS = 12  # steps of the second look, each a quarter of the one before
JUMP = 10.0  # a difference that is so many times the refined one comes from a jump, and not from a steep slope
CLEAR = 1e-5  # how well they must agree, relative to the derivative


def gradcheck(
    f: Callable, *inputs: Any, order: int = 1, eps: float | None = None, rtol: float | None = None,
    atol: float | None = None,
) -> bool:  # fmt: skip
    """Compare the derivatives of `f` with central differences, element by element, and forward with reverse mode.

    Parameters
    ----------
    f : takes the inputs and returns a tensor of any shape; differentiable at them.
    inputs : floating-point arrays, tensors or numbers are differentiated by; anything else is handed on as it is.
    order : with 2, the derivatives of the derivatives are checked as well.
    eps : step of the differences, relative to the size of each element; by default the cube root of the dtype's
        rounding error, where truncation and rounding balance.
    rtol, atol : allowed relative and absolute difference; by default from eps, 1e-6 and 1e-7 in float64.

    Returns
    -------
    True

    Raises
    ------
    GradientCheckError : a table of the five worst: argument, index, element of the output, got, expected; or f writes
        into an argument; or forward mode, which follows from `kind` or `jvp` of the operations, gives something else.

    The output is projected on fixed random numbers, so that one backward pass checks all of its elements.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.gradcheck(tn.tanh, np.array([0.1, -2.0]))
    True
    """
    f = _transformed(f)
    given = [_as_leaf(x, i) for i, x in enumerate(inputs)]
    if not any(isinstance(x, Tensor) for x in given):
        raise ValueError("gradcheck: none of the inputs is floating-point, so there is nothing to differentiate by")
    _check_first(f, given, f.__name__, eps, rtol, atol)
    if order > 1:  # the derivative's own derivative
        _check_first(_derivative(f, given), given, f"derivative of {f.__name__}", eps, rtol, atol)
    return True


def _transformed(f: Callable) -> Callable:
    """`f` as transforms call it: its arguments are variables that it may replace."""

    def within(*args: Any) -> Any:
        with transforming():
            return f(*args)

    within.__name__ = getattr(f, "__name__", "function")
    return within


def _as_leaf(x: Any, i: int) -> Any:
    value = x.value if isinstance(x, Tensor) else x
    if isinstance(value, float):
        value = np.asarray(value)
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f":
        return tensor(value, requires_grad=True, name=x.name if isinstance(x, Tensor) else None)
    return x


def _weights(y: Any, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 1.5, np.shape(y)).astype(np.float64)


def _derivative(f: Callable, given: list[Any]) -> Callable:
    """The gradients of a random projection of f, again projected: a scalar function of the same inputs."""

    def slope(*args: Any) -> Any:
        y = f(*args)
        leaves = [x for x in args if isinstance(x, Tensor) and x.tracked]
        total = None
        if isinstance(y, Tensor) and y.tracked:
            for i, g in enumerate(gradients(y, leaves, _weights(y, 1).astype(y.dtype), create_graph=True)):
                part = (g * _weights(g, 2 + i).astype(g.dtype)).sum()
                total = part if total is None else total + part
        return Tensor(np.zeros(())) if total is None else total

    slope.__name__ = f"derivative of {f.__name__}"
    return slope


def _precision(*values: Any) -> float:
    """The rounding error of the coarsest floating-point type among these."""
    return max(float(np.finfo(v.dtype).eps) for v in values if hasattr(v, "dtype") and v.dtype.kind == "f")


def _check_first(f: Callable, given: list[Any], name: str, eps: Any, rtol: Any, atol: Any) -> None:
    leaves = [(i, x) for i, x in enumerate(given) if isinstance(x, Tensor)]
    before = [np.array(x.value) for _, x in leaves]
    y = f(*given)
    for (i, x), old in zip(leaves, before, strict=True):
        if not np.array_equal(x.value, old, equal_nan=True):
            raise GradientCheckError(
                f"{name} writes into its argument {x.name or i} of shape {x.shape}, and the gradient of whatever else "
                "uses that would be wrong: compute on a copy"
            )
    weights = _weights(y, 0)
    if isinstance(y, Tensor) and y.tracked:
        got = gradients(y, [x for _, x in leaves], weights.astype(y.dtype))
    else:
        got = [np.zeros_like(x.value) for _, x in leaves]
    wrong = []
    for (i, x), g in zip(leaves, got, strict=True):
        wrong += _disagreements(f, given, i, g, weights, _precision(x, y), eps, rtol, atol)
    if wrong:
        wrong.sort(key=lambda w: -np.nan_to_num(w[0], nan=np.inf, posinf=np.inf))
        raise GradientCheckError(_report(name, len(wrong), [_entry(f, given, w) for w in wrong[:WORST]]))
    if isinstance(y, Tensor) and y.tracked:
        _check_forward(name, y, [x for _, x in leaves], got, weights, rtol)


def _check_forward(name: str, y: Tensor, leaves: list[Tensor], got: list[Any], weights: np.ndarray, rtol: Any) -> None:
    """Compare Jacobian-vector products with the gradients; what has none, or refuses, is left to reverse mode."""
    tangents = [_weights(x, 3 + i).astype(x.dtype) for i, x in enumerate(leaves)]
    try:
        moved = pushforward([y], leaves, tangents)[0]
        moved = 0.0 if moved is None else moved
    except (NotImplementedError, np.linalg.LinAlgError):
        return
    except (TypeError, ValueError, IndexError) as reason:
        forward, allowed, said = np.nan, 0.0, f"fails ({reason})"
    else:
        forward = float(np.sum(weights * moved))
        size = float(np.sum(np.abs(weights * moved))) + sum(
            float(np.sum(np.abs(g * t))) for g, t in zip(got, tangents, strict=True)
        )
        allowed = (20 * _precision(y, *leaves) ** (2 / 3) if rtol is None else rtol) * (1 + size)
        said = f"gives {forward:.7g}"
    reverse = sum(float(np.sum(g * t)) for g, t in zip(got, tangents, strict=True))
    if np.isfinite(reverse) and not abs(forward - reverse) <= allowed:
        entries = {node.op.name: node.op.kind for node in history([y]) if node.op is not None}
        kinds = ", ".join(f"{op} ({kind or 'jvp'})" for op, kind in entries.items())
        raise GradientCheckError(
            f"{name}: along one direction forward mode {said}, reverse mode {reverse:.7g}: the gradients agree with "
            f"central differences, so check the kind, or the jvp, of the operations: {kinds}"
        )


def _disagreements(
    f: Callable, given: list[Any], i: int, g: Any, weights: np.ndarray, precision: float, eps: Any, rtol: Any, atol: Any
) -> list[tuple]:
    """Where the gradient `g` with respect to input i is wrong, and how far: (error, i, x, index, got, expected)."""
    x, wrong = given[i], []
    step = eps if eps is not None else precision ** (1 / 3)
    relative = rtol if rtol is not None else 20 * precision ** (2 / 3)
    absolute = atol if atol is not None else 20 * precision ** (2 / 3)
    expected, rounding = _differences(f, given, i, weights, step, precision)
    scale = np.abs(expected).max(initial=0.0)
    for at in np.ndindex(x.shape):
        error = _error(g[at], expected[at], absolute + relative * scale + (rounding[at] if atol is None else 0.0))
        if not error <= 1 and eps is None and _step_is_too_large(f, given, i, at, weights, step, precision, relative):
            refined, doubt = _refined(f, given, i, at, weights, step, precision)
            if abs(expected[at]) <= JUMP * abs(refined):
                expected[at] = refined
                allowed = absolute + relative * max(scale, abs(refined)) + (doubt if atol is None else 0.0)
                error = _error(g[at], refined, allowed)
        if not error <= 1:
            wrong.append((error, i, x, at, g[at], expected[at]))
    return wrong


def _error(got: Any, expected: Any, allowed: float) -> float:
    return np.abs(got - expected) / allowed


def _differences(
    f: Callable, given: list[Any], i: int, weights: np.ndarray, step: float, precision: float
) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of ⟨weights, f⟩ with respect to input i, and how much rounding may have done to them."""
    x = given[i]
    result, rounding = np.zeros(x.shape), np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        h = step * max(1.0, abs(float(x.value[at])))
        result[at], rounding[at] = _difference(f, given, i, at, weights, h, precision)
    return result, rounding


def _difference(
    f: Callable, given: list[Any], i: int, at: tuple, weights: np.ndarray, h: float, precision: float
) -> tuple[float, float]:
    """The central difference of step h at one element of input i, and how much rounding may have done to it."""
    x = given[i]
    sums, places = [], []
    for sign in (1.0, -1.0):
        moved = np.array(x.value)
        moved[at] += sign * h
        y = f(*[tensor(moved, requires_grad=True) if j == i else a for j, a in enumerate(given)])
        terms = weights * np.asarray(y.value if isinstance(y, Tensor) else y, dtype=np.float64)
        sums.append(float(np.sum(terms)))
        places.append(float(moved[at]))
    width = places[0] - places[1]
    if not width:
        return np.nan, np.inf
    return (sums[0] - sums[1]) / width, 10 * precision * float(np.sum(np.abs(terms))) / abs(width)


def _step_is_too_large(
    f: Callable,
    given: list[Any],
    i: int,
    at: tuple,
    weights: np.ndarray,
    step: float,
    precision: float,
    relative: float,
) -> bool:
    """Whether half the step gives another derivative: the function turns within it."""
    h = step * max(1.0, abs(float(given[i].value[at])))
    (whole, _), (half, doubt) = (_difference(f, given, i, at, weights, w, precision) for w in (h, h / 2.0))
    return bool(abs(whole - half) > relative * abs(half) + doubt)


def _refined(
    f: Callable, given: list[Any], i: int, at: tuple, weights: np.ndarray, step: float, precision: float
) -> tuple[float, float]:
    """A second look with steps that shrink, extrapolated to 0, for functions that turn within the usual step.

    Returns the derivative from the three steps that agree best, and how far they disagree.
    """
    h = step * max(1.0, abs(float(given[i].value[at])))
    differences = [_difference(f, given, i, at, weights, h / 4.0**k, precision) for k in range(REFINEMENTS)]
    values = [d + (d - before) / 15.0 for (before, _), (d, _) in itertools.pairwise(differences)]  # the error is of h²
    best, doubt = np.nan, np.inf
    for k in range(2, len(values)):
        spread = max(values[k - 2 : k + 1]) - min(values[k - 2 : k + 1]) + differences[k + 1][1]
        if spread < doubt:
            best, doubt = values[k], spread
    return best, doubt if doubt <= CLEAR * np.abs(best) else 0.0


def _entry(f: Callable, given: list[Any], wrong: tuple) -> tuple:
    """The element of the Jacobian that is to blame: argument, its index, index of the output, got, expected."""
    _, i, x, at, *_ = wrong
    h = _precision(x, f(*given)) ** (1 / 3) * max(1.0, abs(float(x.value[at])))
    ends = []
    for sign in (1.0, -1.0):
        moved = np.array(x.value)
        moved[at] += sign * h
        y = f(*[tensor(moved, requires_grad=True) if j == i else a for j, a in enumerate(given)])
        ends.append(np.asarray(y.value if isinstance(y, Tensor) else y, dtype=np.float64))
    expected = (ends[0] - ends[1]) / (2 * h)
    y, got = f(*given), np.zeros(expected.shape)
    for k in np.ndindex(expected.shape):
        row = np.zeros(expected.shape, dtype=y.dtype)
        row[k] = 1
        if isinstance(y, Tensor) and y.tracked:
            got[k] = gradients(y, x, row)[0][at]
    k = np.unravel_index(np.argmax(np.nan_to_num(np.abs(got - expected), nan=np.inf)), expected.shape)
    return x.name or str(i), at, tuple(int(j) for j in k), float(got[k]), float(expected[k])


def _report(name: str, count: int, entries: list[tuple]) -> str:
    lines = [
        f"{name}: {count} derivative{'s differ' if count > 1 else ' differs'} from central differences"
        + (f"; the worst {WORST}:" if count > WORST else ":"),
        f"{'argument':>12} {'index':>12} {'output':>12} {'got':>14} {'expected':>14}",
    ]
    for argument, at, k, got, expected in entries:
        index, output = (", ".join(str(int(j)) for j in place) or "-" for place in (at, k))
        lines.append(f"{argument:>12} {index:>12} {output:>12} {got:14.7g} {expected:14.7g}")
    lines.append("Check the rule of that argument, or whether the function is differentiable there.")
    return "\n".join(lines)
