"""Derivatives of functions: grad, vjp, jvp, jacobian, hessian, hvp, of any order and nested in each other."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.autodiff import copied, pullback
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.forward_mode import pushforward
from tinygrad_nn.modes import MODE, Mode
from tinygrad_nn.operands import real_operand
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

_depth: ContextVar[int] = ContextVar("depth", default=0)  # how many transforms are at work around this one


# --- one call --------------------------------------------------------------------------------------------------------


def _as_tuple(given: Any) -> tuple:
    """One value for each argument; a single one may come without brackets."""
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def _fresh(x: Any) -> Tensor:
    """A tensor to differentiate by: new, so that nested transforms cannot confuse their variables."""
    if isinstance(x, Tensor) and x.tracked:
        return x * 1.0  # stays connected to the outer transform
    return tensor(x, requires_grad=True)


def _output(y: Any) -> Tensor:
    if isinstance(y, Tensor):
        return y
    value = np.asarray(y)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"the function returned {y!r:.60}, which is no array of numbers: is a `return` missing?")
    return Tensor(value)


class _Call:
    """One call of `f` with its chosen arguments replaced by fresh tensors."""

    def __init__(self, f: Callable, args: Sequence[Any], argnums: int | tuple[int, ...], kwargs: dict, has_aux: bool):
        self.single = not isinstance(argnums, (list, tuple))
        numbers = [operator.index(i) for i in _as_tuple(argnums)]
        for i in numbers:
            if not -len(args) <= i < len(args):
                raise ValueError(f"argnums names argument {i}, the function was called with {len(args)} arguments")
        self.args = list(args)
        self.numbers = [i % len(args) for i in numbers]
        if len(set(self.numbers)) < len(self.numbers):
            raise ValueError(f"argnums {argnums} names an argument twice")
        self.variables: list[Tensor] = []
        depth, mode = _depth.set(_depth.get() + 1), MODE.get()
        recording = MODE.set(
            Mode(True, mode.anomalies, mode.interpreter, transformed=True)
        )  # also for a caller within no_grad
        try:
            for i in self.numbers:
                fresh = [_fresh(x) for x in tree.leaves(args[i])]
                self.variables += fresh
                self.args[i] = tree.unflatten(args[i], fresh)
            self.output = f(*self.args, **kwargs)
        finally:
            MODE.reset(recording)
            _depth.reset(depth)
        self.record = _depth.get() > 0 or any(isinstance(x, Tensor) and x.tracked for a in args for x in tree.leaves(a))
        self.aux: Any = None
        if has_aux:
            if not isinstance(self.output, tuple) or len(self.output) != 2:
                raise TypeError("has_aux=True is for a function that returns two things: (value, anything)")
            self.output, aux = self.output
            self.aux = tree.map(lambda x: self.given(x) if isinstance(x, Tensor) else x, aux)
        self.outputs = [_output(y) for y in tree.leaves(self.output)]

    def scalar(self) -> Tensor:
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = ", ".join(str(y.shape) for y in self.outputs)
            raise ValueError(
                f"grad needs a function that returns a single number, this one returned shape {shapes}: "
                "reduce it, as in .sum(), or use tn.jacobian"
            )
        return self.outputs[0]

    def pull(self, seeds: Sequence[Any]) -> list[Any]:
        tracked = [(y, s) for y, s in zip(self.outputs, seeds, strict=True) if y.tracked and s is not None]
        found = pullback([y for y, _ in tracked], [s for _, s in tracked], wanted=self.variables, record=self.record)
        return [found[x] if x in found else np.zeros_like(x.value) for x in self.variables]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        moved = pushforward(self.outputs, self.variables, tangents, record=self.record)
        return [np.zeros_like(y.value) if t is None else t for y, t in zip(self.outputs, moved, strict=True)]

    def arranged(self, results: Sequence[Any]) -> Any:
        """One result for each variable, in the structure of the arguments."""
        flow = iter([self.given(g) for g in results])
        trees = [tree.unflatten(self.args[i], flow) for i in self.numbers]
        return trees[0] if self.single else tuple(trees)

    def given(self, value: Any) -> Any:
        """To an outer transform a tensor, to everybody else an array."""
        if self.record:
            return value if isinstance(value, Tensor) else Tensor(value)
        value = value.value if isinstance(value, Tensor) else value
        return copied(value)

    def value(self) -> Any:
        return tree.unflatten(self.output, [self.given(y) for y in self.outputs])


def _named_like(f: Callable, prefix: str) -> Callable:
    def decorate(wrapper: Callable) -> Callable:
        functools.update_wrapper(wrapper, f, updated=())
        wrapper.__doc__ = f"{prefix} of {getattr(f, '__name__', 'a function')}. " + (f.__doc__ or "")
        return wrapper

    return decorate


# --- the transforms --------------------------------------------------------------------------------------------------


def grad(f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that returns the gradient of `f`, a function that returns a single number.

    Parameters
    ----------
    f : takes tensors (arrays and numbers are wrapped) and returns a scalar; with `has_aux`, (scalar, anything).
    argnums : which arguments to differentiate by: a position, or a tuple, for which the result is a tuple.
        An argument may be a list, tuple or dict of arrays; its gradient has the same structure.
    has_aux : return (gradient, anything).

    Raises
    ------
    ValueError : `f` returns something else than a single number, or `argnums` names no argument.

    >>> import tinygrad_nn as tn
    >>> tn.grad(tn.grad(lambda x: x**3))(2.0)
    array(12.)
    """

    @_named_like(f, "Gradient")
    def gradient(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, has_aux)
        g = call.arranged(call.pull([np.ones_like(call.scalar().value)]))
        return (g, call.aux) if has_aux else g

    return gradient


def value_and_grad(f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """As `grad`, returning (value, gradient), or ((value, anything), gradient) with `has_aux`.

    >>> import tinygrad_nn as tn
    >>> tn.value_and_grad(lambda x: x * x)(3.0)
    (array(9.), array(6.))
    """

    @_named_like(f, "Value and gradient")
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, has_aux)
        g = call.arranged(call.pull([np.ones_like(call.scalar().value)]))
        return ((call.value(), call.aux) if has_aux else call.value()), g

    return value_and_gradient


def vjp(f: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(y, pullback): the value of ``f(*primals)`` and the function u ↦ uᵀJ, a tuple of one gradient for each primal.

    >>> import numpy as np, tinygrad_nn as tn
    >>> y, pull = tn.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    call = _Call(f, primals, tuple(range(len(primals))), {}, has_aux)
    recorded = call.record

    def pull(cotangent: Any) -> tuple:
        given = tree.leaves_like(call.output, cotangent, "cotangent")
        seeds = [_matching(u, y, "cotangent") for u, y in zip(given, call.outputs, strict=True)]
        call.record = recorded or any(isinstance(u, Tensor) and u.tracked for u in seeds)
        return call.arranged(call.pull(seeds))

    return (call.value(), pull, call.aux) if has_aux else (call.value(), pull)


def jvp(f: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """(y, ẏ): the value of ``f(*primals)`` and how it moves with the primals, Jẋ, by one forward sweep.

    >>> import tinygrad_nn as tn
    >>> tn.jvp(lambda x: x**3, (2.0,), (1.0,))
    (array(8.), array(12.))
    """
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(primals)} primals and {len(tangents)} tangents: give one tangent for each primal")
    call = _Call(f, primals, tuple(range(len(primals))), {}, has_aux)
    given = tree.leaves_like(primals, tangents, "tangent")
    if any(isinstance(t, Tensor) and t.tracked for t in given):
        call.record = True
    moves = [_matching(t, x, "tangent") for t, x in zip(given, call.variables, strict=True)]
    moved = tree.unflatten(call.output, [call.given(t) for t in call.push(moves)])
    return (call.value(), moved, call.aux) if has_aux else (call.value(), moved)


def _matching(given: Any, x: Tensor, what: str) -> Any:
    """A cotangent or tangent in the shape and dtype of what it belongs to."""
    if not isinstance(given, Tensor):
        given = np.asarray(real_operand(given, what, f"the {what}"), dtype=x.dtype)
    if given.shape != x.shape:
        raise ShapeError(
            f"the {what} has shape {given.shape}, what it belongs to has shape {x.shape}: they must be equal"
        )
    return given


def jacobian(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that returns ∂f/∂x of shape ``f(x).shape + x.shape``, row by row, from one recording.

    Of a function that returns a list, tuple or dict of arrays, it returns one Jacobian for each.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @_named_like(f, "Jacobian")
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, False)
        return tree.unflatten(call.output, [_block(call, k) for k in range(len(call.outputs))])

    return jacobian_of


def _block(call: _Call, k: int) -> Any:
    """The Jacobian of the k-th output."""
    y, rows = call.outputs[k], []
    for i in range(y.size):
        seeds: list[Any] = [None] * len(call.outputs)
        seeds[k] = np.zeros_like(y.value)
        seeds[k].flat[i] = 1
        rows.append(call.pull(seeds))
    if not rows:
        return call.arranged([np.zeros(y.shape + x.shape, x.dtype) for x in call.variables])
    columns = zip(*rows, strict=True)
    return call.arranged(
        [np.reshape(np.stack(column), y.shape + x.shape) for column, x in zip(columns, call.variables, strict=True)]
    )


def hessian(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that returns the second derivatives ∂²f/∂x∂x of a scalar function, of shape x.shape + x.shape.

    Of several arguments, or one that is a list, tuple or dict of arrays, it returns blocks: ``h[i][j]`` is ∂²f/∂xᵢ∂xⱼ.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return _named_like(f, "Hessian")(jacobian(grad(f, argnums), argnums))


def hvp(f: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a scalar function with `tangents`, forward over reverse: no Hessian is built.

    Returns one array for each primal, alone where there is one.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.hvp(lambda x: x[0] ** 2 * x[1], (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([4., 2.])
    """
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    slope = grad(f, argnums=tuple(range(len(primals))))
    _, moved = jvp(slope, primals, tangents)
    return moved[0] if len(primals) == 1 else moved
