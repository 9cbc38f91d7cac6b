"""The tables as a whole: adding an operation, and giving it its function, its method and its NumPy functions."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.consistency import check_entry, read_signature
from tinygrad_nn.entry import Checks, Docs, Training, take_fields
from tinygrad_nn.errors import MatrixError, ShapeError
from tinygrad_nn.operands import plain_values
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, REFUSED, SEEN, Op, VariadicRule

__all__ = ["give_methods", "implements", "naming", "op", "refuses"]


def op(
    forward: Callable, formula: str, *vjps: Callable | VariadicRule | None, name: str | None = None, **fields: Any
) -> Op:
    """Add an operation: the one entry from which function, method, derivatives, labels and checks follow.

    Parameters
    ----------
    forward : arrays in, array out.  Where it is a NumPy function, that function works on tensors as well.
    formula : how it is written, with the arguments in braces: ``"tanh({x})"``.
    vjps : one rule `(g, y, *arrays, **params) -> array` for each array argument, or None where there is no gradient;
        a `VariadicRule` where the number of arrays is free.  Names and defaults are read off the first rule.
    name : defaults to that of `forward`; a lambda has none.
    fields : what else there is to say, all of it optional, explained in `help(tn.Op)` and in `tinygrad_nn/entry.py`.
        Derivative: `kind` ("elementwise" for a ufunc unless said otherwise), `entries`, `jvp`, `selects`, `add_to`,
        `aligned`, `matrix_product`. Call: `arguments`, `defaults`, `bind`, `further`, `composed`, `lowered`, `method`,
        `stands_for` (further NumPy functions that this operation carries out when they meet a tensor). Memory: `view`,
        `array_params`. Formula: `precedence`, `associative`, `spell`, `simplify`. Documentation: `summary`,
        `edge_cases`, `part_of`, `example`, `not_live`. Automatic checks: `domain`, `shape`, `variants`, `samples`,
        `prepare`. Networks: `activation`, `gives`, `initializer`, `probabilities`, `takes`, `weighted`.

    The laws of a rule are in `help(tn.ops)`; the steps to add an operation to the package in `docs/how_it_works.md`.

    Raises
    ------
    ValueError : if the name belongs to another operation of the tables, or a NumPy function to another operation; or
        the entry contradicts itself, as where `formula` names something that is no argument and no parameter, or where
        the signatures of forward function and rules have different defaults.
    TypeError : an unknown field.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> cube = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube", kind="elementwise")
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    array(12.)
    >>> tn.gradcheck(cube, np.array([1.0, -2.0]), order=2)
    True
    """
    name = name or forward.__name__
    rules: Any = vjps[0] if vjps and isinstance(vjps[0], VariadicRule) else vjps
    if "arguments" not in fields:
        fields |= read_signature(name, forward, rules, fields)
    fields.setdefault("defaults", {})
    if isinstance(forward, np.ufunc):
        fields.setdefault("kind", "elementwise")
    check_entry(name, forward, formula, fields, rules)
    stands_for = fields.pop("stands_for", ())
    if isinstance(forward, np.ufunc) or (forward.__module__ or "").startswith("numpy"):
        stands_for = (forward, *stands_for)
    module = sys._getframe(1).f_globals.get("__name__")
    if isinstance(forward, np.ufunc) or str(module).startswith("tinygrad_nn."):
        fields.setdefault("view", False)  # unknown for user operations: assume that it may share memory
    docs, checks, training = (take_fields(record, fields) for record in (Docs, Checks, Training))
    new = Op(name, forward, formula, rules, docs=docs, checks=checks, training=training, **fields)  # type: ignore[arg-type]
    object.__setattr__(new, "__module__", module)
    _register(new, name, stands_for)
    return new


def _register(entry: Any, name: str, stands_for: Sequence[Callable]) -> None:
    for old in (BY_NAME.get(name), *map(BY_FUNCTION.get, stands_for)):
        module = getattr(old, "__module__", None) or ""
        if module.startswith("tinygrad_nn.ops") and module != entry.__module__:
            taken = getattr(old, "__name__", name)
            raise ValueError(f"{taken!r} is in the tables already: give yours another name= and forward function")
    BY_NAME[name] = entry
    BY_FUNCTION.update(dict.fromkeys(stands_for, entry))
    for kind in _WITH_METHODS:
        _give_method(kind, name, entry)


_WITH_METHODS: list[type] = []


def give_methods(kind: type) -> None:
    """Let instances of a class have the operations as methods: those there are, and those to come."""
    _WITH_METHODS.append(kind)
    for name, entry in BY_NAME.items():
        _give_method(kind, name, entry)


def _give_method(kind: type, name: str, entry: Any) -> None:
    own = getattr(kind, name, None)
    if getattr(entry, "method", True) and not name.startswith("_") and (own is None or isinstance(own, Op)):
        setattr(kind, name, entry)


def implements(*functions: Callable, name: str | None = None, method: bool = True, **training: Any) -> Callable:
    """Register a function composed of operations, and the NumPy functions it stands for.

    Labelled arrays and those of other frameworks come to it by their plain values.  `training` are fields of
    `entry.Training`, of a loss.
    """

    def register(function: Callable) -> Callable:
        function.method = method  # type: ignore[attr-defined]

        public_name = name or function.__name__
        if public_name.startswith("_"):
            public_name = _as_called(functions[0])
            _AS_CALLED.add(public_name)

        composed = naming(public_name, function)
        composed.method = method  # type: ignore[attr-defined]
        composed.training = Training(**training)  # type: ignore[attr-defined]
        _register(composed, name or function.__name__, functions)
        return composed

    return register


def naming(name: str, function: Callable) -> Callable:
    """The function, on plain values of what has labels or is of another framework; its errors name it as called."""

    @functools.wraps(function)
    def composed(*args: Any, **kwargs: Any) -> Any:
        seen = SEEN.get()
        if seen is not None:
            seen((args, kwargs))
        try:
            args = tuple([plain_values(a, name) for a in args])
            return function(*args, **{key: plain_values(a, name) for key, a in kwargs.items()})
        except _UNNAMED as reason:
            raise _named(name, function, reason, (args, kwargs)) from None

    return composed


_UNNAMED = (ValueError, IndexError, TypeError, ZeroDivisionError)
_KINDS = {*_UNNAMED, ShapeError, MatrixError, np.exceptions.AxisError, np.linalg.LinAlgError}
_OF_AXES = {"tuple index out of range", "integer modulo by zero"}  # x.shape[axis] and axis % x.ndim


def _as_called(function: Any) -> str:
    """`roll`, or `add.reduce`."""
    ufunc = getattr(function, "__self__", None)
    return f"{ufunc.__name__}.{function.__name__}" if isinstance(ufunc, np.ufunc) else function.__name__


def _named(name: str, function: Callable, reason: Exception, given: Any) -> Exception:
    """The error in the name of the function that was called, and with the traceback that it has.

    Where a function that it is composed of has failed, that one is named as well, unless the arrays of which the
    message speaks are those that were given.
    """
    kind, text = type(reason), str(reason)
    if issubclass(kind, TypeError) and kind.__module__.startswith("numpy"):  # private kinds, of other arguments
        kind = TypeError
    if text in _OF_AXES:
        kind, text = IndexError, "an axis is out of bounds; axes count from 0, or from -1 backwards"
    call = f"{getattr(function, '__qualname__', name)}()"
    if text.startswith(call):  # it does not fit the signature
        return TypeError(f"{name}{text.removeprefix(call)}; it is {name}{inspect.signature(function)}")
    if kind not in _KINDS or text.startswith(name):
        return reason
    text = text.removeprefix("an operation: ")
    inner, _, rest = text.partition(": ")
    if inner in BY_NAME or inner in _AS_CALLED:
        shapes = {str(np.shape(x)) for x in tree.leaves(given)}
        known = rest.startswith("in ") or {found[0] for found in re.findall(_SHAPE, rest)} <= shapes
        text = rest if known else f"in {text}"
    return kind(f"{name}: {text}").with_traceback(reason.__traceback__)


_SHAPE = r"shape (\((\d+, ?)*\d*\))"
_AS_CALLED: set[str] = set()  # names of functions whose entries are private


def refuses(*functions: Callable, because: str) -> None:
    """Say why NumPy functions are not recorded on tensors, and what to do instead."""
    REFUSED.update(dict.fromkeys(functions, because))
