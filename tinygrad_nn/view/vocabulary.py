"""What can be typed in the playground: the tables' operations with their rules and formulas, for numbers and lists.

Rules are traced at one shape, of which the sides are numbers that nothing else is; where these turn up in a rule, the
page puts those of its own arrays.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.operation import BY_NAME, Op, VariadicRule, write
from tinygrad_nn.rule_trees import NotTraceable, Rule, forward_tree, is_basic, plain_params, rule_tree
from tinygrad_nn.samples import domain_of
from tinygrad_nn.symbols import derivative
from tinygrad_nn.view.renderers.as_json import as_plain
from tinygrad_nn.view.text import LABEL, one_of

__all__ = ["vocabulary"]

SIDE = 101  # of the vectors at which rules are traced
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power", "@": "matmul"}
EXPONENTS = (2, 3, 4, 5, 1, 0, 0.5, -1, -2, -3)  # which are written in a way of their own
NAMES = ("\u16a0", "\u16a2", "\u16a6")  # stand for arguments until it is known what they are called: letters, rare
RESULT = "\u16a8"


@functools.cache
def vocabulary() -> dict[str, Any]:
    """The words: for each operation its arguments and parameters, and its forms."""
    with np.errstate(all="ignore"):
        found = {name: _word(op) for name, op in sorted(BY_NAME.items()) if _is_public(op)}
    words = {name: word for name, word in found.items() if word is not None}
    names = {op.name for op in BY_NAME.values() if isinstance(op, Op)}
    operations = [
        {"name": op.name, "kind": op.kind or "", "entries": op.entries, "selects": op.selects, "passes": op.passes,
         "matrix_product": op.matrix_product}
        for op in BY_NAME.values() if isinstance(op, Op) and op.name in names
    ]  # fmt: skip
    return {"words": words, "operators": OPERATORS, "operations": operations}


def _is_public(op: Any) -> bool:
    return (
        isinstance(op, Op)
        and op.__module__.startswith("tinygrad_nn.")
        and not op.name.startswith("_")
        and not op.docs.not_live
        and not isinstance(op.vjps, VariadicRule)
        and 1 <= len(op.arguments) <= 3
    )


def _word(op: Op) -> dict[str, Any] | None:
    """An operation of numbers, of vectors, or of both; None where neither can be traced."""
    forms = [form for form in _forms(op) if form is not None]
    if not forms:
        return None
    return {"arguments": list(op.arguments), "forms": forms, "summary": op.docs.summary}


def _forms(op: Op) -> Iterator[dict[str, Any] | None]:
    n = len(op.arguments)
    single = [np.array(_within(op, i, np.float64(0.3 + 0.1 * i))) for i in range(n)]
    vector = [_within(op, i, np.linspace(0.2 + 0.05 * i, 0.8, SIDE)) for i in range(n)]
    if op.kind == "elementwise":
        yield _form(op, single, "any")
        if op.name == OPERATORS["**"]:
            for exponent in EXPONENTS:
                yield _form(op, [single[0], exponent], "any", exponent)
        return
    yield _form(op, vector, "vectors")


def _within(op: Op, slot: int, part: Any) -> Any:
    """Numbers from the domain of an argument."""
    low, high = domain_of(op, slot)
    return low + (high - low) * part


def _form(op: Op, args: list[Any], shapes: str, exponent: float | None = None) -> dict[str, Any] | None:
    """A form of a call: how it is computed, its rules, and how it and its local derivatives are written."""
    try:
        op(*args)  # without parameters
        if op.bind is not None and op.kind != "elementwise":
            args, params = op.bind(*args)
            args = list(args)
        else:
            params = dict(op.defaults)
        y = np.asarray(op.compute(args, params))
        forward = forward_tree(op, args, params)
        slots = [i for i in range(len(args)) if op.differentiable(i) and not (exponent is not None and i == 1)]
        rules = {str(i): _rule(rule_tree(op, i, y, args, params)) for i in slots}
    except (NotTraceable, TypeError, ValueError, IndexError):
        return None
    if y.ndim > 1 or y.dtype.kind not in "fb":
        return None
    names: list[str] = list(NAMES[: len(args)])
    if exponent is not None:
        names[1] = format_number(exponent)
    found: dict[str, Any] = {
        "shapes": shapes, "result": "same" if y.shape == np.shape(args[0]) else "number",
        "params": plain_params(params), "dtype": str(y.dtype),
        "rules": rules, "title": _title(op, names, params, y.ndim > 0), "precedence": op.precedence,
        "slopes": {str(i): _slope(op, i, names, args, params) for i in slots},
    }  # fmt: skip
    if not is_basic(forward, op):
        found["forward"] = _rule(forward)
    return found if exponent is None else found | {"exponent": exponent}


def _rule(rule: Rule) -> Any:
    return as_plain(dataclasses.replace(rule))


def _title(op: Op, names: list[str], params: dict[str, Any], arrays: bool) -> str:
    if op.spell is not None:
        text = op.spell(*names, arrays=arrays)
        if text is not None:
            return str(text)
    return write(op, names, params)


def _slope(op: Op, slot: int, names: list[str], args: list[Any], params: dict[str, Any]) -> str:
    """The local derivative between numbers as a formula; of arrays what the rule does to what comes back."""
    found = derivative(op, slot, names, RESULT, None if np.ndim(args[0]) == 0 else "·", args, params)
    if found is not None and found.text == RESULT and op.precedence == 9:  # exp′ = exp
        return _title(op, names, params, np.ndim(args[0]) > 0)
    if found is not None and found.options and len(found.text) > LABEL:
        return one_of(found.options)
    if found is None:
        return ""
    return f"[{found.text}]" if found.precedence == 0 else found.text  # 1 where it holds
