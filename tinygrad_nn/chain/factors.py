"""The factored form of a gradient: a product of sums of products."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from typing import Any

from tinygrad_nn.chain import scaled
from tinygrad_nn.chain.graph import Edge, PathGraph, Step
from tinygrad_nn.notation import format_number, sum_of

__all__ = ["Factor", "edges_in", "factored", "product_text"]


def factored(owner: Any) -> list[Factor]:
    """The factors of the gradient of a `PathSum`, which asks for them as `PathSum.factored`."""
    factors: list[Factor] = []
    whole = split_at_meeting_points(owner._graph.steps)
    for single, segments in itertools.groupby(whole, lambda segment: len(segment) == 1):
        if single:
            factors.append(Factor(owner, [step for segment in segments for step in segment]))
        else:
            factors += [Factor(owner, segment) for segment in segments]
    todo = list(factors)
    while todo:
        factor = todo.pop()
        branches = factor._branches()
        while branches:
            branch = branches.pop(0)
            term = [segment[0][2] if len(segment) == 1 else Factor(owner, segment) for segment in branch]
            sums = [part for part in term if isinstance(part, Factor)]
            if len(sums) == 1 and all(part.op.entries == "ones" for part in term if isinstance(part, Edge)):
                i = term.index(sums[0])  # a sum within a sum
                branches = [branch[:i] + some + branch[i + 1 :] for some in sums[0]._branches()] + branches
            else:
                factor.terms.append(term)
                todo += sums
    return factors


class Factor:
    """A sum of products: all paths between two nodes that every path through either goes through.

    `source` and `target` are these nodes; `terms` are the ways between them that have nothing else in common, each a
    list of edges and, nested, further factors; `products` are their values, and `value` is the sum.  Ways that cross
    are told apart path by path; where there are more than `limit` of those, there are no terms.  Between arrays there
    are no values (None).
    """

    def __init__(self, owner: Any, steps: list[Step]):
        self._owner, self._steps = owner, steps
        self.source, self.target = steps[0][2].source, steps[-1][2].target
        self.terms: list[list[Edge | Factor]] = []

    @cached_property
    def _paths(self) -> Any:
        owner, first, last = self._owner, self._steps[0][0], self._steps[-1][1]
        graph = PathGraph.pruned(owner._graph.nodes, self._steps, [first], last)
        return owner._between(graph, self.source, self.target)

    @property
    def count(self) -> int:
        """How many paths there are between its nodes."""
        return self._paths.count

    @property
    def value(self) -> Any:
        """Their sum."""
        return scaled.to_float(self._paths._total) if self._owner._single_numbers else None

    @property
    def products(self) -> list[Any]:
        """The value of each term."""
        if self.value is None:
            return [None] * len(self.terms)
        return [math.prod(self._value_of(part) for part in term) for term in self.terms]

    def _value_of(self, part: Edge | Factor) -> Any:
        return part.value if isinstance(part, Factor) else part.slope

    def _branches(self) -> list[list[list[Step]]]:
        """Its ways, which meet only at its ends, split into segments; if all of them are connected, its paths."""
        segments = split_at_meeting_points(self._steps)
        if len(segments) > 1:
            return [segments]
        first, last = self._steps[0][0], self._steps[-1][1]
        parent: dict[int, int] = {}  # union-find: which vertices are connected without the two ends

        def root(v: int) -> int:
            while parent.setdefault(v, v) != v:
                parent[v] = v = parent[parent[v]]
            return v

        for a, b, _ in self._steps:
            if a != first and b != last:
                parent[root(a)] = root(b)
        found: dict[Any, list[Step]] = {}
        for a, b, edge in self._steps:
            key: Any = edge if (a, b) == (first, last) else root(b if a == first else a)
            found.setdefault(key, []).append((a, b, edge))
        if len(found) > 1:
            return [split_at_meeting_points(steps) for steps in found.values()]
        if self.count > self._owner.limit:
            return []
        return [[[(i, i + 1, edge)] for i, edge in enumerate(edges)] for edges, _ in self._paths._depth_first()]

    def __str__(self) -> str:
        """Such as ``(2 + 3·(1 + 4))``; what is nested deeper than six sums is only counted."""
        return self._text(6)

    def _text(self, depth: int) -> str:
        if not self.terms or not depth:
            return f"({self.count} paths)"
        products = [_joined([self._text_of(part, depth - 1) for part in term]) for term in self.terms]
        return products[0] if len(products) == 1 else f"({sum_of(products)})"

    def _text_of(self, part: Edge | Factor, depth: int) -> str:
        if isinstance(part, Factor):
            return part._text(depth)
        if self.value is None:
            return f"∂{self._owner.name_of(part.target)}/∂{self._owner.name_of(part.source)}"
        text = format_number(self._value_of(part))
        return f"({text})" if text.startswith("−") else text


def edges_in(factors: list[Factor]) -> Iterator[Edge]:
    """Every edge that the factored form names, as often as it does."""
    todo: list[Edge | Factor] = [*factors]
    while todo:
        part = todo.pop()
        if isinstance(part, Edge):
            yield part
        else:
            todo += [x for term in part.terms for x in term]


def product_text(factors: list[Factor]) -> str:
    """The factored form of a gradient, such as ``2·(3 + 4·5)``."""
    text = _joined([str(factor) for factor in factors])
    return text[1:-1] if len(factors) == 1 and text.startswith("(") and len(factors[0].terms) > 1 else text


def _joined(texts: list[str]) -> str:
    """A product, of which only the first factor may begin with a minus sign."""
    first, *others = [text for text in texts if text != "1"] or ["1"]
    if first.startswith("(−") and first.index(")") == len(first) - 1 and " " not in first:
        first = first[1:-1]
    return "·".join([first, *(f"({text})" if text.startswith("−") else text for text in others)])


def split_at_meeting_points(steps: list[Step]) -> list[list[Step]]:
    """The steps, split at every vertex that no step leads past: there all paths meet."""
    found: list[list[Step]] = []
    reach = -1
    for step in sorted(steps, key=itemgetter(0)):
        if step[0] >= reach:
            found.append([])
        found[-1].append(step)
        reach = max(reach, step[1])
    return found
