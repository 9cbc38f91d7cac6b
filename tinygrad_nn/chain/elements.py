"""Paths through single elements of arrays, by sweeps over whole arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import numpy as np

from tinygrad_nn.autodiff import unbroadcast
from tinygrad_nn.chain import scaled
from tinygrad_nn.chain.derivatives import apply_rule, values_of
from tinygrad_nn.chain.graph import Edge, Element, PathGraph, Step
from tinygrad_nn.chain.path import PathGroup
from tinygrad_nn.chain.scaled import Scaled
from tinygrad_nn.chain.sums import PathSum
from tinygrad_nn.naming import Naming
from tinygrad_nn.ops import reductions

__all__ = ["ElementPathSum"]

MAX_ENTRIES = 1_000_000  # entries of a Jacobian, or edges between single elements, that are written out


Entry = Callable[[Any], Any]  # a function of each entry of a Jacobian: its value, its size, or whether it is there
Product = Callable[[Any], Any]


def jacobian_products(edge: Edge, entry: Entry, structure: bool = False) -> tuple[Product, Product]:
    """Products from the left and from the right with the Jacobian of an edge, after `entry` was applied to its entries.

    It is not written out where the operation tells how it looks.  With `structure`, entries that happen to be zero are
    filled with others, so that only those which can be nothing but zero are zero.
    """
    op = edge.op
    if op.kind == "elementwise":
        return _diagonal_entries(edge, entry, structure)
    if op.entries == "factors":
        return _factor_entries(edge, entry, structure)
    if op.kind == "reduction" or (op.kind == "linear" and "keepdims" in op.defaults):
        return _reduction_entries(edge, entry, structure)
    if op.entries == "ones":
        return _unit_entries(edge, entry)
    x, y = edge.source.value, edge.target.value
    matrix = entry(_dense_jacobian(edge, structure))
    return lambda g: (np.ravel(g) @ matrix).reshape(x.shape), lambda v: (matrix @ np.ravel(v)).reshape(y.shape)


def _slopes(edge: Edge, entry: Entry, structure: bool, shape: tuple[int, ...]) -> Any:
    """The entries where each element of this shape has one: what the rule makes of ones."""
    y = edge.target.value
    return entry(np.ones(shape) if structure else np.broadcast_to(apply_rule(edge, np.ones_like(y)), shape))


def _diagonal_entries(edge: Edge, entry: Entry, structure: bool) -> tuple[Product, Product]:
    x, y = edge.source.value, edge.target.value
    slopes = _slopes(edge, entry, structure, y.shape)
    return (
        lambda g: unbroadcast(with_exact_zeros(slopes * g, g), x.shape),
        lambda v: with_exact_zeros(slopes * v, np.broadcast_to(v, y.shape)),
    )


def _factor_entries(edge: Edge, entry: Entry, structure: bool) -> tuple[Product, Product]:
    """Each entry is an element of another argument, so the operation itself multiplies with the changed entries."""
    node, op, slot, x = edge.target, edge.op, edge.slot, edge.source.value
    node.check_unchanged()
    inputs, params, y = values_of(node), node.params or {}, node.value
    factors = [np.ones(np.shape(a)) if structure else np.asarray(a) for a in inputs]
    factors = [entry(a) if rule is not None else b for rule, a, b in zip(op.vjps, factors, inputs, strict=True)]

    def right(v: Any) -> Any:
        if op.jvp is not None:
            return op.jvp([v if i == slot else None for i in range(len(factors))], y, *factors, **params)
        return op.forward(*factors[:slot], v, *factors[slot + 1 :], **params)

    return lambda g: unbroadcast(op.vjps[slot](g, y, *factors, **params), x.shape), right


def _unit_entries(edge: Edge, entry: Entry) -> tuple[Product, Product]:
    node, op, slot, x = edge.target, edge.op, edge.slot, edge.source.value
    inputs, params, y = values_of(node), node.params or {}, node.value
    one = entry(np.asarray(1.0))
    zeros = [np.zeros(np.shape(a), np.int64) for a in inputs]
    return (
        lambda g: unbroadcast(one * op.vjps[slot](g, y, *inputs, **params), x.shape),
        lambda v: one * op.forward(*zeros[:slot], v, *zeros[slot + 1 :], **params),
    )


def _reduction_entries(edge: Edge, entry: Entry, structure: bool) -> tuple[Product, Product]:
    """One entry for each element of x."""
    params = {**edge.op.defaults, **(edge.target.params or {})}
    axis, keepdims = params.get("axis"), params.get("keepdims", False)
    x, spread = edge.source.value, cast(Callable[..., Any], reductions.spread)
    slopes = _slopes(edge, entry, structure, x.shape)

    def left(g: Any) -> Any:
        spread_out = spread(g, x, axis, keepdims)
        return with_exact_zeros(slopes * spread_out, spread_out)

    return left, lambda v: np.sum(with_exact_zeros(slopes * v, v), axis=axis, keepdims=keepdims)


def with_exact_zeros(product: Any, factor: Any) -> Any:
    """0 · ∞ is 0 here: a zero blocks."""
    if product.dtype == object or np.isfinite(product).all():
        return product
    return np.where(np.broadcast_to(factor, product.shape) == 0, 0.0, product)


def _dense_jacobian(edge: Edge, structure: bool) -> Any:
    """The Jacobian row by row; with `structure` its magnitude at these inputs and at generic ones together."""
    node, x = edge.target, edge.source.value
    y = node.value
    if y.size * x.size > MAX_ENTRIES:
        raise ValueError(
            f"{edge!r}: the paths of single elements need its {y.size} × {x.size} Jacobian written out, which is too "
            "large; take fewer examples, or the paths between whole arrays (no at=)"
        )
    rows = [row.reshape(y.shape) for row in np.eye(y.size, dtype=y.dtype)]
    matrix = np.reshape([unbroadcast(apply_rule(edge, row), x.shape) for row in rows], (y.size, x.size))
    if structure:
        rng = np.random.default_rng(0)
        inputs = [rng.uniform(0.2, 0.9, np.shape(a)) if np.asarray(a).dtype.kind == "f" else a for a in values_of(node)]
        inputs = [edge.op.checks.prepare(a) for a in inputs] if edge.op.checks.prepare else inputs
        params = node.params or {}
        y, rule = edge.op.compute(inputs, params), edge.op.vjps[edge.slot]
        other = np.reshape([unbroadcast(rule(row, y, *inputs, **params), x.shape) for row in rows], matrix.shape)
        matrix = np.abs(matrix) + np.abs(other)
    return matrix


class ElementPathSum(PathSum):
    """The paths from one element of t to the single number z, through single elements of all arrays between.

    Counts, gradient, mass and their like, `element_flow`, `element_counts`, groups and filters by tensors come from
    sweeps over whole arrays: no graph of elements is built.  All else (`nodes`, `edges`, `flow`, `top`, iterating ...)
    builds the part of it that lies on the paths, with nodes of type `Element`; ValueError if that is too large.
    """

    def __init__(self, arrays: PathGraph, source: Element, target: Element, seed: Scaled, limit: int, naming: Naming):
        self._arrays, self.source, self.target, self._seed, self.limit = arrays, source, target, seed, limit
        self._naming = naming

    @property
    def _unrestricted(self) -> PathGraph:
        return self._arrays

    def through(self, *places: Any) -> PathSum:
        """Only the paths through at least one of these: tensors, their names, elements, or edges between elements."""
        if any(isinstance(p, Element) or (isinstance(p, Edge) and isinstance(p.source, Element)) for p in places):
            return PathSum(self._graph, self.source, self.target, self._seed, self.limit, self._naming).through(*places)
        return super().through(*places)

    # -- sweeps over whole arrays

    def _sweep_arrays(self, entry: Entry, one: Any, structure: bool = False, forward: bool = False) -> list[Any]:
        """From z to all before it, or forward from the element of t; `one` is an array with a single element."""
        end = self.source if forward else self.target
        first = np.zeros(end.tensor.shape, one.dtype)
        first[end.at] = one[0]
        sweep = self._arrays.forward if forward else self._arrays.backward

        def extend(step: Step, value: Any) -> Any:  # an array also where objects sum to an int
            return np.asarray(jacobian_products(step[2], entry, structure)[forward](value), one.dtype)

        with np.errstate(all="ignore"):
            return sweep(first, extend, lambda a, b: np.asarray(a + b, one.dtype))

    def _counts(self, structure: bool = True, forward: bool = False) -> list[Any]:
        """How many paths, for each element of each array: in floats while these are exact, else in Python integers."""
        counts = self._sweep_arrays(nonzero, np.ones(1), structure, forward)
        if any(np.max(n, initial=0) >= 2**53 for n in counts):
            return self._sweep_arrays(lambda d: _integers(nonzero(d)), _integers([1]), structure, forward)
        return [_integers(n) for n in counts]

    def _here(self, values: list[Any]) -> list[Any]:
        """At the element of t, for each start."""
        return [values[v][self.source.at] for v in self._arrays.starts]

    @cached_property
    def count(self) -> int:
        """How many paths there are, exactly."""
        return sum(self._here(self._counts()))

    @cached_property
    def live_count(self) -> int:
        """How many of them have no local derivative that is zero, exactly."""
        return sum(self._here(self._counts(structure=False)))

    @cached_property
    def _array_adjoints(self) -> list[Any]:
        return self._sweep_arrays(lambda d: d, np.array([scaled.to_float(self._seed)]))

    @cached_property
    def _total(self) -> Scaled:
        return math.frexp(sum(self._here(self._array_adjoints)))

    @cached_property
    def _mass(self) -> Scaled:
        return math.frexp(sum(self._here(self._sweep_arrays(np.abs, np.array([abs(scaled.to_float(self._seed))])))))

    def _path_groups(self) -> list[PathGroup]:
        sums = zip(self._here(self._counts()), self._here(self._array_adjoints), strict=True)
        return [PathGroup(n, float(part)) for n, part in sums]

    @cached_property
    def element_flow(self) -> dict[Any, Any]:
        """For each array on the way, in its shape: the sum of all paths through each of its elements."""
        tangents = self._sweep_arrays(lambda d: d, np.ones(1), forward=True)
        flows = [with_exact_zeros(v * g, v) for v, g in zip(tangents, self._array_adjoints, strict=True)]
        return _by_node(self._arrays.nodes, flows)

    @cached_property
    def element_counts(self) -> dict[Any, Any]:
        """For each array on the way, in its shape: how many paths go through each of its elements."""
        pairs = zip(self._counts(forward=True), self._counts(), strict=True)
        return _by_node(self._arrays.nodes, [before * after for before, after in pairs])

    # -- the graph of elements

    @cached_property
    def _with_slopes(self) -> PathGraph:
        return self._graph

    @cached_property
    def _graph(self) -> PathGraph:  # type: ignore[override]
        """The part of it that lies on the paths, with the local derivatives on its edges."""
        pairs = zip(self._counts(forward=True), self._counts(), strict=True)
        on = [np.flatnonzero(before * after) for before, after in pairs]
        offsets = np.cumsum([0, *map(len, on)]).tolist()
        nodes = [Element(node, int(p)) for node, some in zip(self._arrays.nodes, on, strict=True) for p in some]
        steps: list[Step] = []
        for a, b, edge in self._arrays.steps:
            forward = len(on[a]) <= len(on[b])  # column by column, or row by row
            fixed, free = (a, b) if forward else (b, a)
            there = jacobian_products(edge, nonzero, structure=True)[forward]
            slopes = jacobian_products(edge, lambda d: d)[forward]
            unit = np.zeros(self._arrays.nodes[fixed].shape)
            for i, place in enumerate(on[fixed]):
                unit.flat[place] = 1.0
                reached, slope = np.ravel(there(unit))[on[free]], np.ravel(slopes(unit))[on[free]]
                unit.flat[place] = 0.0
                for j in np.flatnonzero(reached).tolist():
                    tail, head = (offsets[a] + i, offsets[b] + j) if forward else (offsets[a] + j, offsets[b] + i)
                    steps.append((tail, head, Edge(nodes[tail], nodes[head], edge.slot)))
                    steps[-1][2].slope = float(slope[j])
                if len(steps) > MAX_ENTRIES:
                    raise ValueError(
                        f"{self!r}: more than {MAX_ENTRIES} edges between single elements, too many to list"
                    )
        steps.sort(key=lambda step: (step[1], step[2].slot, step[0]))
        starts = [i for v in self._arrays.starts for i in range(offsets[v], offsets[v + 1])]
        return PathGraph(nodes, steps, starts)


def nonzero(d: Any) -> Any:
    return np.not_equal(d, 0).astype(np.float64)


def _integers(counts: Any) -> Any:
    return np.asarray(np.asarray(counts, np.int64), object)


def _by_node(nodes: list[Any], values: list[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for node, value in zip(nodes, values, strict=True):
        found[node] = found[node] + value if node in found else value
    return found
