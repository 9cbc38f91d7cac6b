"""The tables as a whole: adding an operation, and giving it its function, its method and its NumPy functions."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.entry import Checks, Docs, Training, take_fields
from tinygrad_nn.operands import plain_values
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, VariadicRule

__all__ = ["give_methods", "implements", "op"]

KINDS = (None, "elementwise", "linear", "multilinear", "reduction", "symmetric")


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
    name : defaults to that of `forward`.
    fields : the further fields of `Op` (`kind` is "elementwise" for a ufunc unless said otherwise); the fields of its
        `docs`, `checks` and `training` (`summary`, `domain`, ...); and `stands_for`, further NumPy functions that this
        operation carries out when they meet a tensor.

    Raises
    ------
    ValueError : if the name belongs to another operation of the tables, or a NumPy function to another operation.

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
        fields |= _read_signature(forward, vjps, fields)
    if isinstance(forward, np.ufunc):
        fields.setdefault("kind", "elementwise")
    _check_entry(name, fields, rules)
    stands_for = fields.pop("stands_for", ())
    if isinstance(forward, np.ufunc) or (forward.__module__ or "").startswith("numpy"):
        stands_for = (forward, *stands_for)
    module = sys._getframe(1).f_globals.get("__name__")
    if isinstance(forward, np.ufunc) or str(module).startswith("tinygrad_nn."):
        fields.setdefault("view", False)  # unknown for user operations: assume that it may share memory
        fields.setdefault("array_params", any(isinstance(v, float) for v in fields.get("defaults", {}).values()))
    docs, checks, training = (take_fields(record, fields) for record in (Docs, Checks, Training))
    new = Op(name, forward, formula, rules, docs=docs, checks=checks, training=training, **fields)  # type: ignore[arg-type]
    object.__setattr__(new, "__module__", module)
    _register(new, name, stands_for)
    return new


def _read_signature(forward: Callable, vjps: Sequence[Any], fields: dict[str, Any]) -> dict[str, Any]:
    """The names of the arrays, and the parameters with their defaults, from the first rule there is."""
    rule = next((r.rule if isinstance(r, VariadicRule) else r for r in vjps if r is not None), None)
    signature = inspect.signature(rule or fields.get("bind") or forward)
    names = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "slots"]
    names = names[2:] if rule else names  # after g and y
    defaults = {p.name: p.default for p in names if p.default is not p.empty}
    return {"arguments": tuple(p.name for p in names if p.default is p.empty), "defaults": defaults} | fields


def _check_entry(name: str, fields: dict[str, Any], rules: Any) -> None:
    arguments, kind, entries = fields["arguments"], fields.get("kind"), fields.get("entries", "")
    if kind not in KINDS:
        raise ValueError(
            f"{name}: kind is {kind!r}; expected one of {', '.join(map(repr, KINDS[1:]))}, or None with a jvp"
        )
    if entries not in ("", "ones", "factors"):
        raise ValueError(f"{name}: entries is {entries!r}; expected 'ones', 'factors', or nothing where neither is so")
    if not isinstance(rules, VariadicRule) and len(rules) != len(arguments):
        raise ValueError(
            f"{name} has {len(arguments)} array arguments ({', '.join(arguments)}) "
            f"and {len(rules)} derivative rules: give one rule for each, or None where there is no gradient"
        )


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


def implements(*functions: Callable, name: str | None = None, method: bool = True) -> Callable:
    """Register a function composed of operations, and the NumPy functions it stands for.

    Labelled arrays and those of other frameworks come to it by their plain values.
    """

    def register(function: Callable) -> Callable:
        function.method = method  # type: ignore[attr-defined]

        @functools.wraps(function)
        def composed(*args: Any, **kwargs: Any) -> Any:
            args = tuple([plain_values(a, function.__name__) for a in args])
            return function(*args, **{key: plain_values(a, function.__name__) for key, a in kwargs.items()})

        composed.method = method  # type: ignore[attr-defined]
        _register(composed, name or function.__name__, functions)
        return composed

    return register
