"""Derivatives of functions: grad, vjp, jvp, jacobian, hessian, hvp, of any order and nested in each other.

A result is an array, unless somebody may ask for its derivative: if the function has used a tensor with requires_grad,
as an argument or from outside, the result is a recorded tensor, and `backward()` reaches that tensor.  Within
``tn.no_grad()`` it is an array.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.autodiff import copied, history, pullback
from tinygrad_nn.batched import batching, enter, left, outermost
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.foreign import of_kind
from tinygrad_nn.forward_mode import pushforward
from tinygrad_nn.modes import ACTIVE, MODE, transforming
from tinygrad_nn.operands import real_operand
from tinygrad_nn.parts import array_of
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

FEW = 4  # so many rows of a Jacobian are quicker one by one
AT_ONCE = 1 << 21  # numbers in an intermediate result, over the rows that are computed together


# --- one call --------------------------------------------------------------------------------------------------------


def _as_tuple(given: Any) -> tuple:
    """One value for each argument; a single one may come without brackets."""
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def _fresh(x: Any) -> Tensor:
    """A tensor to differentiate by: new, so that nested transforms cannot confuse their variables."""
    if isinstance(x, Tensor) and x.tracked:
        return x * 1.0  # stays connected to the outer transform
    if hasattr(x, "named_parameters") or isinstance(x, Iterator):
        raise TypeError(
            f"an argument to differentiate by is of type {type(x).__name__}: expected arrays, also in lists and dicts; "
            "tn.nn.functional_call(model, parameters, X) runs a module with a dict of parameters, "
            "as dict(model.named_parameters())"
        )
    variable = tensor(x, requires_grad=True)
    variable.params = {ACTIVE: True}
    return variable


def _depends_on_others(outputs: Sequence[Tensor], own: Sequence[Tensor]) -> bool:
    """Whether they depend on a tensor with requires_grad, or on a variable of a transform that is still at work."""
    stack, seen = [y for y in outputs if y.tracked], {x.index for x in own if x.op is None}
    while stack:
        node = stack.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.op is None and (node.params is None or node.params[ACTIVE]):
            return True
        stack += [node.inputs[slot] for slot in node.slots]
    return False


def _positions(argnums: int | Sequence[int], count: int) -> list[int]:
    """The positions that `argnums` names, of so many arguments."""
    if not all(hasattr(i, "__index__") for i in _as_tuple(argnums)):
        raise TypeError(f"argnums is {argnums!r}; expected the position of an argument, or a tuple of positions")
    numbers = [operator.index(i) for i in _as_tuple(argnums)]
    for i in numbers:
        if not -count <= i < count:
            raise ValueError(f"argnums names argument {i}, the function was called with {count} arguments")
    numbers = [i % count for i in numbers]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"argnums {argnums} names an argument twice")
    return numbers


def _output(y: Any) -> Tensor:
    if isinstance(y, Tensor):
        return y
    value = np.asarray(y)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"the function returned {y!r:.60}, which is no array of numbers: is a `return` missing?")
    return Tensor(value)


def _refuse_discrete(f: Callable, results: Sequence[Any]) -> None:
    """TypeError for results of comparing and counting; a plain Python number is a constant."""
    kinds = [getattr(y, "dtype", np.dtype(bool) if isinstance(y, bool) else np.dtype(float)) for y in results]
    if results and all(kind.kind in "biu" for kind in kinds):
        raise TypeError(
            f"{getattr(f, '__name__', 'the function')} returned {kinds[0]}, which depends on its arguments through "
            "comparisons or rounding only and has no derivative: return floating-point numbers, as "
            "tn.where(condition, a, b) or a smooth loss does"
        )


class _Call:
    """One call of `f` with its chosen arguments replaced by fresh tensors."""

    def __init__(self, f: Callable, args: Sequence[Any], argnums: int | tuple[int, ...], kwargs: dict, has_aux: bool):
        self.single = not isinstance(argnums, (list, tuple))
        self.numbers = _positions(argnums, len(args))
        self.args = list(args)
        self.variables: list[Tensor] = []
        self.nested = MODE.get().transformed
        with transforming():
            for i in self.numbers:
                fresh = [_fresh(x) for x in tree.leaves(args[i])]
                self.variables += fresh
                self.args[i] = tree.unflatten(args[i], fresh)
            try:
                self.output = f(*self.args, **kwargs)
            except TypeError as reason:
                raise self._of_lists(args, reason) from reason
            finally:
                for x in self.variables:
                    if x.op is None:
                        x.params = {ACTIVE: False}
        aux: Any = ()
        if has_aux:
            if not isinstance(self.output, tuple) or len(self.output) != 2:
                raise TypeError("has_aux=True is for a function that returns two things: (value, anything)")
            self.output, aux = self.output
        self.outputs = [_output(y) for y in tree.leaves(self.output)]
        _refuse_discrete(f, tree.leaves(self.output))
        results = self.outputs + tree.leaves(aux)
        given = [x for a in args for x in tree.leaves(a)] + results
        self.depends = _depends_on_others([x for x in given if isinstance(x, Tensor)], self.variables)
        self.record = self.depends and MODE.get().grad
        self.aux = tree.map(lambda x: self.given(x) if isinstance(x, Tensor) else x, aux)

    def _of_lists(self, args: Sequence[Any], reason: TypeError) -> TypeError:
        """The error of a function that was given a list of numbers, and computes with it as with an array."""
        lists = [i for i in self.numbers if f"'{type(args[i]).__name__}'" in str(reason) and tree.is_plain(args[i])]
        if not lists:
            return reason
        kind = type(args[lists[0]]).__name__
        return TypeError(
            f"{reason}; argument {lists[0]} is a {kind}, and the function is given each of its parts as a tensor: "
            "np.array(...) makes one array of them"
        )

    def follow(self, directions: Sequence[Any]) -> list[Any]:
        """Decide whether what comes of these cotangents or tangents is recorded, and return them accordingly."""
        tracked = any(isinstance(d, Tensor) and d.tracked for d in directions)
        self.record = MODE.get().grad and (self.depends or tracked)
        return list(directions) if self.record else [array_of(d) for d in directions]

    def scalar(self, caller: str) -> Tensor:
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = ", ".join(str(y.shape) for y in self.outputs)
            raise ValueError(
                f"{caller} needs a function that returns a single number, this one returned shape {shapes}: "
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
        """A tensor where it is recorded or within another transform, else an array."""
        if self.record:
            return value if isinstance(value, Tensor) else Tensor(value)
        value = copied(value.value if isinstance(value, Tensor) else value)
        return Tensor(value) if self.nested else value

    def value(self) -> Any:
        return tree.unflatten(self.output, [self.given(y) for y in self.outputs])


def _check_request(name: str, f: Any, argnums: Any = 0) -> None:
    """TypeError for what is no function, and for `argnums` that are no positions."""
    if not callable(f):
        raise TypeError(
            f"{name} takes a function, this is of type {type(f).__name__}: for recorded tensors, "
            "tn.gradients(y, x) gives the gradients of y"
        )
    if not all(isinstance(i, (int, np.integer)) for i in _as_tuple(argnums)):
        raise TypeError(
            f"{name}: argnums is of type {type(argnums).__name__}, expected a position or a tuple of positions, as in "
            f"tn.{name}(f, (0, 1)); for recorded tensors, tn.gradients(y, x) gives the gradients of y"
        )


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
    _check_request("grad", f, argnums)
    return _gradient_of(f, argnums, has_aux, "grad")


def _gradient_of(f: Callable, argnums: int | tuple[int, ...], has_aux: bool, caller: str) -> Callable:
    """`grad`, as a part of the transform that the user has called."""

    @_named_like(f, "Gradient")
    def gradient(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, has_aux)
        g = call.arranged(call.pull([np.ones_like(call.scalar(caller).value)]))
        return (g, call.aux) if has_aux else g

    return gradient


def value_and_grad(f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """As `grad`, returning (value, gradient), or ((value, anything), gradient) with `has_aux`.

    >>> import tinygrad_nn as tn
    >>> tn.value_and_grad(lambda x: x * x)(3.0)
    (array(9.), array(6.))
    """
    _check_request("value_and_grad", f, argnums)

    @_named_like(f, "Value and gradient")
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, has_aux)
        g = call.arranged(call.pull([np.ones_like(call.scalar("value_and_grad").value)]))
        return ((call.value(), call.aux) if has_aux else call.value()), g

    return value_and_gradient


def elementwise_grad(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that returns f′ at each element of its argument, for an `f` that acts on each element by itself.

    Of other functions it returns the gradient of the sum of their elements.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    _check_request("elementwise_grad", f, argnums)

    @_named_like(f, "Elementwise derivative")
    def slope(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, False)
        return call.arranged(call.pull([np.ones_like(y.value) for y in call.outputs]))

    return slope


def vjp(f: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(y, pullback): the value of ``f(*primals)`` and the function u ↦ uᵀJ, a tuple of one gradient for each primal.

    >>> import numpy as np, tinygrad_nn as tn
    >>> y, pull = tn.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    _check_request("vjp", f)
    call = _Call(f, primals, tuple(range(len(primals))), {}, has_aux)

    def pull(cotangent: Any) -> tuple:
        given = tree.leaves_like(call.output, cotangent, "cotangent")
        seeds = [_matching(u, y, "cotangent") for u, y in zip(given, call.outputs, strict=True)]
        call.nested = MODE.get().transformed
        return call.arranged(call.pull(call.follow(seeds)))

    return (call.value(), pull, call.aux) if has_aux else (call.value(), pull)


def jvp(f: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """(y, ẏ): the value of ``f(*primals)`` and how it moves with the primals, Jẋ, by one forward sweep.

    >>> import tinygrad_nn as tn
    >>> tn.jvp(lambda x: x**3, (2.0,), (1.0,))
    (array(8.), array(12.))
    """
    _check_request("jvp", f)
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(primals)} primals and {len(tangents)} tangents: give one tangent for each primal")
    call = _Call(f, primals, tuple(range(len(primals))), {}, has_aux)
    given = tree.leaves_like(primals, tangents, "tangent")
    moves = call.follow([_matching(t, x, "tangent") for t, x in zip(given, call.variables, strict=True)])
    moved = tree.unflatten(call.output, [call.given(t) for t in call.push(moves)])
    return (call.value(), moved, call.aux) if has_aux else (call.value(), moved)


def _matching(given: Any, x: Tensor, what: str) -> Any:
    """A cotangent or tangent in the shape and dtype of what it belongs to."""
    if not isinstance(given, Tensor):
        given = of_kind(real_operand(given, what, f"the {what}"), x._value)
    if given.shape != x.shape:
        raise ShapeError(
            f"the {what} has shape {given.shape}, what it belongs to has shape {x.shape}: they must be equal"
        )
    return given


def jacobian(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that returns ∂f/∂x of shape ``f(x).shape + x.shape``, from one recording and many rows at once.

    Where there are fewer inputs than outputs, it goes forward, and computes columns.

    Of a function that returns a list, tuple or dict of arrays, it returns one Jacobian for each.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    _check_request("jacobian", f, argnums)

    @_named_like(f, "Jacobian")
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs, False)
        blocks = _by_columns(call) if _is_tall(call) else None
        return tree.unflatten(call.output, blocks or [_block(call, k) for k in range(len(call.outputs))])

    return jacobian_of


def _is_tall(call: _Call) -> bool:
    """Whether forward mode takes fewer sweeps: more outputs than inputs, and numbers to work on."""
    mode = MODE.get()
    columns, rows = sum(x.size for x in call.variables), sum(y.size for y in call.outputs)
    return 0 < columns < rows >= FEW and not mode.anomalies and outermost(mode.interpreter) is None


def _by_columns(call: _Call) -> list[Any] | None:
    """The Jacobian of each output, forward, many columns at once; None where an operation has no forward mode."""
    sizes = [x.size for x in call.variables]
    ends, total = np.cumsum(sizes), sum(sizes)
    largest = max([node.size for node in history(call.outputs)], default=1)
    step = max(AT_ONCE // max(largest, 1), 1)
    try:
        stretches = [_columns(call, ends, first, min(first + step, total)) for first in range(0, total, step)]
    except (NotImplementedError, np.linalg.LinAlgError):
        return None
    blocks = []
    for y, parts in zip(call.outputs, zip(*stretches, strict=True), strict=True):
        whole = np.moveaxis(np.concatenate(parts) if len(parts) > 1 else parts[0], 0, -1)
        split = [whole[..., end - n : end] for end, n in zip(ends, sizes, strict=True)]
        each = zip(split, call.variables, strict=True)
        blocks.append(call.arranged([np.reshape(part, y.shape + x.shape) for part, x in each]))
    return blocks


def _columns(call: _Call, ends: Any, first: int, last: int) -> list[Any]:
    """Columns of the Jacobian of each output, the columns along the first axis."""
    count = last - first
    with batching() as level:
        tangents = []
        for x, end in zip(call.variables, ends, strict=True):
            basis = np.eye(count, x.size, first + x.size - end, x.dtype)
            tangents.append(enter(basis.reshape(count, *x.shape), level=level))
        return [left(moved, level, count) for moved in call.push(tangents)]


def _block(call: _Call, k: int) -> Any:
    """The Jacobian of the k-th output."""
    y = call.outputs[k]
    if not y.size:
        return call.arranged([np.zeros(y.shape + x.shape, x.dtype) for x in call.variables])
    step = _rows_at_once(y)
    stretches = [_rows(call, k, first, min(first + step, y.size)) for first in range(0, y.size, step)]
    columns = [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*stretches, strict=True)]
    return call.arranged([np.reshape(c, y.shape + x.shape) for c, x in zip(columns, call.variables, strict=True)])


def _rows_at_once(y: Tensor) -> int:
    """How many rows of a Jacobian are computed together: as many as memory bears, and one where that is quicker."""
    mode = MODE.get()
    traced = outermost(mode.interpreter) is not None  # whose seeds would be no numbers, and their zeros not exact
    if mode.anomalies or traced or y.size < FEW:
        return 1
    rows = AT_ONCE // max([node.size for node in history([y])], default=1)
    return rows if rows >= FEW else 1


def _rows(call: _Call, k: int, first: int, last: int) -> list[Any]:
    """Rows of the Jacobian of the k-th output, for each variable."""
    y, count = call.outputs[k], last - first
    basis = np.zeros((count, y.size), y.dtype)
    basis[np.arange(count), np.arange(first, last)] = 1
    seeds: list[Any] = [None] * len(call.outputs)
    if count == 1:
        seeds[k] = basis.reshape(y.shape)
        return [np.expand_dims(row, 0) for row in call.pull(seeds)]
    with batching() as level:
        seeds[k] = enter(basis.reshape(count, *y.shape), level=level)
        return [left(row, level, count) for row in call.pull(seeds)]


def hessian(f: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that returns the second derivatives ∂²f/∂x∂x of a scalar function, of shape x.shape + x.shape.

    Of several arguments, or one that is a list, tuple or dict of arrays, it returns blocks: ``h[i][j]`` is ∂²f/∂xᵢ∂xⱼ.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    _check_request("hessian", f, argnums)
    return _named_like(f, "Hessian")(jacobian(_gradient_of(f, argnums, False, "hessian"), argnums))


def hvp(f: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a scalar function with `tangents`, forward over reverse: no Hessian is built.

    Returns one array for each primal, alone where there is one.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.hvp(lambda x: x[0] ** 2 * x[1], (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([4., 2.])
    """
    _check_request("hvp", f)
    primals, tangents = _as_tuple(primals), _as_tuple(tangents)
    slope = _gradient_of(f, tuple(range(len(primals))), False, "hvp")
    _, moved = jvp(slope, primals, tangents)
    return moved[0] if len(primals) == 1 else moved
