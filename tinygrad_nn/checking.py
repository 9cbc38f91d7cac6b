"""gradcheck: whether a derivative agrees with finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients, history
from tinygrad_nn.differences import Projection
from tinygrad_nn.errors import GradientCheckError
from tinygrad_nn.forward_mode import pushforward
from tinygrad_nn.modes import transforming
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["gradcheck"]

WORST = 5  # disagreements shown
TOLERANCE = 20.0  # of the square of the usual step, which is the error of a central difference
STARTS = (1.0, 256.0)  # of the second and third look, in usual steps
CLEAR = 20.0  # a limit that is uncertain by more than so many relative tolerances decides by its value alone


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
    rtol, atol : allowed difference, relative to the largest derivative by the same argument, and absolute; by default
        both are 20 times the square of that step for numbers near 1 (7e-10 in float64, 5e-4 in float32), and what
        rounding may have done to the differences is allowed besides.

    Returns
    -------
    True

    Raises
    ------
    GradientCheckError : a table of the five worst: argument, index, element of the output, got, expected, allowed; or
        f writes into an argument; or forward mode, which follows from `kind` or `jvp` of the operations, gives
        something else.

    The output is projected on fixed random numbers, so that one backward pass checks all of its elements.  Where a
    difference disagrees, the step may be to blame: unless `eps` is given, the limit of differences of ever smaller
    steps decides.

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
    wrong: list[tuple] = []
    for (i, x), g in zip(leaves, got, strict=True):
        wrong += _disagreements(Projection(f, given, weights, _precision(x, y)), i, g, eps, rtol, atol)
    if wrong:
        wrong.sort(key=lambda w: -np.nan_to_num(w[0], nan=np.inf, posinf=np.inf))
        raise GradientCheckError(_report(name, len(wrong), [_entry(f, given, y, *w) for w in wrong[:WORST]]))
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
        allowed = (TOLERANCE * _precision(y, *leaves) ** (2 / 3) if rtol is None else rtol) * (1 + size)
        said = ""
    reverse = sum(float(np.sum(g * t)) for g, t in zip(got, tangents, strict=True))
    if np.isfinite(reverse) and not abs(forward - reverse) <= allowed:
        entries = {node.op.name: node.op.kind for node in history([y]) if node.op is not None}
        kinds = ", ".join(f"{op} ({kind or 'jvp'})" for op, kind in entries.items())
        digits = _digits(forward, reverse)
        said = f"forward mode {said or f'gives {forward:.{digits}g}'}, reverse mode {reverse:.{digits}g}"
        raise GradientCheckError(
            f"{name}: along one direction {said}: the gradients agree with "
            f"central differences, so check the kind, or the jvp, of the operations: {kinds}"
        )


def _disagreements(of: Projection, i: int, g: Any, eps: Any, rtol: Any, atol: Any) -> list[tuple]:
    """Where the gradient `g` with respect to input i is wrong: (how many times too far, i, index, allowed)."""
    x, wrong = of.inputs[i], []
    usual = TOLERANCE * of.precision ** (2 / 3)
    absolute, relative = usual if atol is None else atol, usual if rtol is None else rtol
    looks = np.zeros((*x.shape, 2))
    for at in np.ndindex(x.shape):
        h = of.usual_step(i, at) if eps is None else eps * max(1.0, abs(float(x.value[at])))
        looks[at] = of.difference(i, at, h)
    scale = np.abs(looks[..., 0]).max(initial=0.0)
    for at in np.ndindex(x.shape):
        expected, rounding = looks[at]
        allowed = absolute + relative * scale + (rounding if atol is None else 0.0)
        error = np.abs(g[at] - expected) / allowed
        for start in STARTS if eps is None else ():  # the step may be too large, or too small, for this function
            if error <= 1:
                break
            expected, doubt = of.limit(i, at, start)
            allowed = absolute + relative * max(scale, abs(expected))
            if atol is None and doubt <= CLEAR * relative * abs(expected):
                allowed += doubt
            error = np.abs(g[at] - expected) / allowed
        if not error <= 1:
            wrong.append((error, i, at, allowed))
    return wrong


def _entry(f: Callable, given: list[Any], y: Any, error: float, i: int, at: tuple, allowed: float) -> tuple:
    """The element of the Jacobian that is to blame, as a row of the table."""
    x = given[i]
    of = Projection(f, given, np.ones(np.shape(y)), _precision(x, y))
    h = of.usual_step(i, at)
    (up, right), (down, left) = of.at(i, at, h), of.at(i, at, -h)
    got = np.zeros(np.shape(y))
    for k in np.ndindex(got.shape):
        if isinstance(y, Tensor) and y.tracked:
            got[k] = gradients(y, x, _one_at(k, y.shape).astype(y.dtype))[0][at]
    far = np.nan_to_num(np.abs(got - (up - down) / (right - left)), nan=np.inf)
    k = np.unravel_index(np.argmax(far), far.shape)
    slope, _ = Projection(f, given, _one_at(k, far.shape), of.precision).limit(i, at)
    return x.name or str(i), at, tuple(int(j) for j in k), float(got[k]), float(slope), allowed


def _one_at(k: tuple, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape)
    result[k] = 1.0
    return result


def _report(name: str, count: int, entries: list[tuple]) -> str:
    digits = max(_digits(got, expected) for *_, got, expected, _ in entries)
    wide = digits + 7
    lines = [
        f"{name}: {count} derivative{'s differ' if count > 1 else ' differs'} from central differences"
        + (f"; the worst {WORST}:" if count > WORST else ":"),
        f"{'argument':>12} {'index':>12} {'output':>12} {'got':>{wide}} {'expected':>{wide}} {'allowed':>9}",
    ]
    for argument, at, k, got, expected, allowed in entries:
        index, output = (", ".join(str(int(j)) for j in place) or "-" for place in (at, k))
        numbers = f"{got:{wide}.{digits}g} {expected:{wide}.{digits}g} {'±' + format(allowed, '.1g'):>9}"
        lines.append(f"{argument:>12} {index:>12} {output:>12} {numbers}")
    lines.append("Check the rule of that argument, or whether the function is differentiable there.")
    return "\n".join(lines)


def _digits(got: float, expected: float) -> int:
    """How many digits it takes to see where two numbers differ."""
    apart = abs(got - expected) / max(abs(got), abs(expected), 1e-300)
    return min(17, max(7, 3 - math.floor(math.log10(apart)))) if 0 < apart < np.inf else 7
