"""Whether the parts of an entry agree: its formula, its fields, and the signatures of forward function and rules."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from inspect import CO_VARARGS, CO_VARKEYWORDS
from string import Formatter
from types import FunctionType
from typing import Any, NamedTuple

from tinygrad_nn.entry import Checks, Docs, Training
from tinygrad_nn.operation import Op, VariadicRule

__all__ = ["FIELDS", "check_entry", "read_signature"]

KINDS = (None, "elementwise", "linear", "multilinear", "reduction", "symmetric")
FIELDS = {f.name for record in (Op, Docs, Checks, Training) for f in dataclasses.fields(record) if f.init} - {
    "name", "forward", "formula", "vjps", *(record.__name__.lower() for record in (Docs, Checks, Training)),
} | {"stands_for"}  # fmt: skip
NONE = inspect.Parameter.empty  # no default


class Parameter(NamedTuple):
    """A parameter of a function; the stars are those of `*args` and `**kwargs`."""

    name: str
    default: Any = NONE
    stars: str = ""


def read_signature(name: str, forward: Callable, rules: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """The names of the arrays, and the parameters with their defaults, from the first rule there is."""
    rule = next(iter(_functions(rules)), None)
    names = _after_g_and_y(name, rule) if rule else _parameters(fields.get("bind") or forward)
    names = [p for p in names if p.stars != "**"]
    defaults = {p.name: p.default for p in names if p.default is not NONE}
    return {"arguments": tuple(p.name for p in names if p.default is NONE), "defaults": defaults} | fields


def check_entry(name: str, forward: Callable, formula: str, fields: dict[str, Any], rules: Any) -> None:
    """TypeError or ValueError where the parts of an entry contradict each other."""
    arguments, kind, entries = fields["arguments"], fields.get("kind"), fields.get("entries", "")
    if not name.isidentifier():
        raise ValueError(f"tn.op: {name!r} is no name for a function: give one, as in name='cube'")
    unknown = fields.keys() - FIELDS
    if unknown:
        raise TypeError(f"{name}: an operation has no field {min(unknown)!r}; it has {', '.join(sorted(FIELDS))}")
    named = {place.split(".")[0].split("[")[0] for _, place, _, _ in Formatter().parse(formula) if place is not None}
    strange = named - {*arguments, *fields["defaults"]}
    if strange:
        raise ValueError(
            f"{name}: the formula {formula!r} names {min(strange)!r}, which is none of its arguments and parameters "
            f"({', '.join((*arguments, *fields['defaults']))})"
        )
    if name.startswith("_") and not fields.get("part_of"):
        raise ValueError(f"{name}: a private operation says which public one is made of it, as in part_of='tanh'")
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
    if fields.get("bind") is None:  # which gives all parameters of every call
        _check_signatures(name, forward, fields, rules)


def _check_signatures(name: str, forward: Callable, fields: dict[str, Any], rules: Any) -> None:
    """A parameter has one default: rules that assume another one than the forward function are silently wrong."""
    arguments, defaults = fields["arguments"], fields["defaults"]
    for i, rule in enumerate(_functions(rules)):
        parameters, what = _after_g_and_y(name, rule), f"rule {i + 1}" if i else "the rule"
        arrays = [p.name for p in parameters if p.default is NONE]
        if _is_free(parameters):
            continue
        if len(arrays) != len(arguments):
            raise ValueError(
                f"{name}: {what} takes the arrays ({', '.join(arrays)}), the first one ({', '.join(arguments)}): "
                "every rule takes (g, y, *arrays, **params)"
            )
        _check_defaults(name, what, parameters, defaults)
    if not str(forward.__module__ or "numpy").startswith("numpy"):
        parameters = _parameters(forward)
        if not _is_free(parameters):
            public = not name.startswith("_")  # a private operation is always called with all of its parameters
            _check_defaults(name, "the forward function", parameters[len(arguments) :], defaults, public)


def _check_defaults(
    name: str, what: str, parameters: list[Parameter], defaults: dict[str, Any], complete: bool = True
) -> None:
    found = {p.name: p.default for p in parameters if p.default is not NONE}
    for key in [*defaults, *found]:
        mine, first = (_written(key, d) for d in (found, defaults))
        if (key in found or complete) and mine != first:
            raise ValueError(
                f"{name}: {what} has {mine}, and the operation {first}, as its first rule says: "
                "forward function and rules take the same parameters with the same defaults"
            )


def _written(key: str, defaults: dict[str, Any]) -> str:
    return f"{key}={defaults[key]!r}" if key in defaults else f"no default for {key}"


def _functions(rules: Any) -> list[Callable]:
    return [rules.rule] if isinstance(rules, VariadicRule) else [rule for rule in rules if rule is not None]


def _after_g_and_y(name: str, rule: Callable) -> list[Parameter]:
    parameters = _parameters(rule)
    if len(parameters) < 3 and not _is_free(parameters):
        taken = ", ".join(p.name for p in parameters)
        raise ValueError(
            f"{name}: the rule takes ({taken}); a rule takes (g, y, *arrays, **params): the gradient g = ∂L/∂y, "
            "the output y, then the inputs"
        )
    return [p for p in parameters[2:] if p.name != "slots"]


def _is_free(parameters: list[Parameter]) -> bool:
    return any(p.stars for p in parameters)


def _parameters(function: Callable) -> list[Parameter]:
    """What `inspect.signature` says, which takes a fifth of the import of this package for as many functions."""
    if type(function) is not FunctionType or function.__dict__:  # a wrapper says what it stands for there
        return _inspected(function)
    code = function.__code__
    count, names = code.co_argcount, code.co_varnames
    last = function.__defaults__ or ()
    found = [Parameter(name) for name in names[: count - len(last)]]
    found += map(Parameter, names[count - len(last) : count], last)
    only, more = function.__kwdefaults__ or {}, names[count : count + code.co_kwonlyargcount]
    stars = [star for star, flag in (("*", CO_VARARGS), ("**", CO_VARKEYWORDS)) if code.co_flags & flag]
    free = [Parameter(name, stars=star) for name, star in zip(names[count + len(more) :], stars, strict=False)]
    found += [p for p in free if p.stars == "*"]
    found += [Parameter(name, only.get(name, NONE)) for name in more]
    return found + [p for p in free if p.stars == "**"]


def _inspected(function: Callable) -> list[Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some functions written in C do not tell
        return [Parameter("args", stars="*")]
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [Parameter(p.name, p.default, stars.get(p.kind, "")) for p in parameters]
