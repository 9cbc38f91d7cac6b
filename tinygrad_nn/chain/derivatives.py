"""The local derivative on an edge: as a number, as a product with its Jacobian, and as a text."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import unbroadcast
from tinygrad_nn.chain.graph import Edge, Element, constant, name_of
from tinygrad_nn.forward_mode import tangent_of
from tinygrad_nn.notation import Term, format_number
from tinygrad_nn.operation import Traced
from tinygrad_nn.symbols import derivative, formula

__all__ = [
    "LocalDerivative", "apply_rule", "compute_slopes", "edge_jvp", "edge_vjp", "local_derivative", "values_of",
]  # fmt: skip


# --- what an edge passes on ------------------------------------------------------------------------------------------


def values_of(node: Any) -> list[Any]:
    """The arguments of the operation that made a node."""
    return [x.value if isinstance(x, Traced) else x for x in node.inputs]


def apply_rule(edge: Edge, g: Any) -> Any:
    """The derivative rule of this argument, before un-broadcasting."""
    node = edge.target
    node.check_unchanged()
    return node.op.vjps[edge.slot](g, node.value, *values_of(node), **(node.params or {}))


def edge_vjp(edge: Edge, g: Any) -> Any:
    """g times the Jacobian of this edge: what the target sends back to this argument, in the argument's shape."""
    x = edge.source.value
    part = apply_rule(edge, g)
    if edge.op.kind == "elementwise" and not np.isfinite(part).all():
        part = np.where(np.equal(g, 0), 0.0, part)  # a zero blocks: an infinity behind it is not met
    part = unbroadcast(part, x.shape)
    return part if part.dtype == x.dtype else part.astype(x.dtype)


def edge_jvp(edge: Edge, v: Any) -> Any:
    """The Jacobian of this edge times v: how the target moves when this argument moves by v."""
    node = edge.target
    node.check_unchanged()
    tangents = [v if slot == edge.slot else None for slot in range(len(node.inputs))]
    return tangent_of(node.op, tangents, node.value, values_of(node), node.params or {})


def compute_slopes(edges: Iterable[Edge]) -> None:
    """Compute the local derivatives of edges between numbers."""
    with np.errstate(all="ignore"):
        for _, into in itertools.groupby(edges, lambda edge: edge.target.index):
            first = next(into)
            node = first.target
            node.check_unchanged()
            y, inputs, params = node.value, values_of(node), node.params or {}
            one = np.ones(y.shape, y.dtype) if y.ndim else y.dtype.type(1)
            for edge in (first, *into):
                part, dtype = node.op.vjps[edge.slot](one, y, *inputs, **params), edge.source.value.dtype
                edge.slope = (part if part.dtype == dtype else part.astype(dtype)).item()


# --- what stands on an edge ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalDerivative:
    """The derivative of one operation by one argument: the `value` between numbers (else None), and the `formula`.

    Between arrays the formula says what happens to the gradient that comes in at the dot, as in "Wᵀ ·", "⊙ 1 − a ⊙ a"
    or "sum over 32 columns"; `shape` is that of the Jacobian, (elements of the result, elements of the argument).
    The formula is empty where the rule cannot be written down.
    """

    edge: Edge
    value: float | None
    formula: str
    shape: tuple[int, int]

    def __str__(self) -> str:
        if self.value is None:
            return self.formula or f"Jacobian {self.shape[0]} × {self.shape[1]}"
        value = format_number(self.value)
        return value if self.formula in ("", value) else f"{self.formula} = {value}"


def local_derivative(edge: Edge, name: Callable[[Any], str] = name_of) -> LocalDerivative:
    """What stands on an edge: the local derivative as a number and as a formula, or for arrays as a rule.

    `name` gives the names of the arguments; the result goes by its own name, or else its formula.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(3.0, requires_grad=True, name="x")
    >>> str(tn.chain.local_derivative(tn.paths(tn.square(x), x).edges[0]))
    '2x = 6'
    """
    node, x = edge.target, edge.source
    if isinstance(node, Element):
        unit = np.zeros_like(node.tensor.value)
        unit[node.at] = 1
        row = edge_vjp(Edge(x.tensor, node.tensor, edge.slot), unit)
        return LocalDerivative(edge, float(row[x.at]), "", (1, 1))
    names = [_term(a, name) for a in node.inputs]
    args = [np.asarray(a.value) if isinstance(a, Traced) else a for a in node.inputs]
    shape = (node.value.size, x.value.size)
    single, elementwise = shape == (1, 1), edge.op.kind == "elementwise"
    if single or elementwise:
        whole = formula(edge.op, names, node.params).text
        y = node.name or (whole if edge.op.precedence == 9 else f"({whole})")
        traced = derivative(edge.op, edge.slot, names, y, None, args, node.params)
    else:
        traced = derivative(edge.op, edge.slot, names, name(node), "·", args, node.params)
    text = traced.text if traced else ""
    if single:
        text = whole if text == node.name else text  # exp(t) says more than its name
    elif traced:
        text = {"1": "·", "−1": "−·"}.get(text, f"⊙ {text}") if elementwise else text
        summed = _summed(node.shape if elementwise else traced.shape, x.shape)
        text = ", ".join(part for part in (text, summed) if part and (part != "·" or not summed))
    if single:
        compute_slopes([edge])
    return LocalDerivative(edge, edge.slope if single else None, text, shape)


def _term(x: Any, name: Callable[[Any], str]) -> Term:
    """How an argument is called; one without a name by its formula, which may need brackets."""
    if not isinstance(x, Traced):
        return Term(constant(x))
    text, op = name(x), getattr(x, "op", None)
    return Term(text, 9 if op is None or getattr(x, "name", None) or text != name_of(x) else op.precedence)


def _summed(shape: tuple[int, ...], onto: tuple[int, ...]) -> str:
    """Over what un-broadcasting sums: "sum over 32 columns"."""
    padded = (1,) * (len(shape) - len(onto)) + onto
    axes = [i for i, (n, m) in enumerate(zip(shape, padded, strict=True)) if n != m]
    if not axes:
        return ""
    if len(shape) == 2 and len(axes) == 1:
        return f"sum over {shape[axes[0]]} {'columns' if axes[0] else 'rows'}"
    return f"sum over {' × '.join(str(shape[i]) for i in axes)} elements"
