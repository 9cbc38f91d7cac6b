"""The paths of a picture: which get a lane, and the table that shows that they add up.  All numbers are `chain`'s."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.view.graph.computation import Graph
from tinygrad_nn.view.scene import PathRow, PathTable
from tinygrad_nn.view.scenes.heat import grid, largest
from tinygrad_nn.view.text import count, number

__all__ = ["MOST", "Lanes", "automatic"]

MOST = 8  # so many paths get a lane each
LARGEST = 3  # of more paths, so many get one
LISTED = 20_000  # paths between single elements are told apart up to here


def automatic(graph: Graph) -> Any:
    """The input whose paths are shown if nobody says which: the only one, a number, with few paths; else None."""
    leaves = [n for n in graph.nodes if n.tracked and n.op is None]
    if len(leaves) != 1 or np.size(leaves[0].value) != 1 or np.size(graph.root.value) != 1 or leaves[0] is graph.root:
        return None
    return leaves[0] if chain.paths(graph.root, leaves[0]).count <= MOST else None


class Lanes:
    """The paths from `source` to the root of a graph.

    Few paths get a lane each, in the order in which they leave; of many, the largest, and arrows are as thick as what
    all paths together carry through them.
    """

    def __init__(self, graph: Graph, source: Any):
        self.graph, self.root = graph, graph.root
        if isinstance(source, chain.PathSum):
            self.sum = source
        else:
            self.sum = chain.paths(graph.root, source, np.ones_like(graph.root.value))
        self.source = self.sum.source
        self.blind = bool(graph.broken)  # a value was changed: there are counts, and no numbers
        self.few = self.sum.count <= MOST
        self.single = isinstance(self.sum, chain.ElementPathSum)  # paths through single elements of arrays
        self.paths = [] if self.blind else self._best()

    def _best(self) -> list[chain.Path]:
        """The paths that get lanes; none where there are too many between arrays to tell which are largest."""
        if not self.few and (self.sum.count > LISTED if self.single else isinstance(self.sum, chain.ArrayPathSum)):
            return []
        found = self.sum.top(MOST if self.few else LARGEST)
        return sorted(found, key=lambda path: path.edges) if self.few else found

    def _place(self, edge: chain.Edge) -> tuple[int, int]:
        """The arrow that an edge is part of."""
        target = edge.target.tensor if isinstance(edge.target, chain.Element) else edge.target
        return target.index, edge.slot

    @cached_property
    def _lanes(self) -> dict[tuple[int, int], tuple[int, ...]]:
        found: dict[tuple[int, int], dict[int, None]] = {}
        for k, path in enumerate(self.paths, 1):
            for edge in path.edges:
                found.setdefault(self._place(edge), {})[k] = None
        return {place: tuple(numbers) for place, numbers in found.items()}

    @cached_property
    def _counts(self) -> dict[tuple[int, int], int]:
        return {} if self.single else {self._place(edge): n for edge, n in self.sum.edge_counts.items()}

    @cached_property
    def _flows(self) -> dict[tuple[int, int], Any]:
        if self.blind or self.single:
            return {}
        return {self._place(edge): flow for edge, flow in self.sum.flow.items()}

    def on(self, key: tuple[int, int]) -> tuple[int, ...]:
        """The numbers of the paths along an arrow."""
        return self._lanes.get(key, ())

    def passes(self, key: tuple[int, int]) -> bool:
        """Tell whether any path runs along an arrow, with a lane or without."""
        if self.single:
            return key in self._lanes or not self.paths
        return key in self._counts

    @cached_property
    def _sizes(self) -> dict[tuple[int, int], float]:
        return {key: largest(flow) for key, flow in self._flows.items()}

    @cached_property
    def _widest(self) -> float:
        return max((size for size in self._sizes.values() if math.isfinite(size)), default=0.0)

    def weight(self, key: tuple[int, int]) -> float:
        """How thick an arrow is, from 0 to 1, where there are too many paths for a lane each."""
        if self.few or not self._widest or key not in self._sizes:
            return 0.0
        return round(min(1.0, self._sizes[key] / self._widest), 3)

    def through(self, node: Any) -> tuple[int, Any]:
        """How many paths go through a node, and what they carry: a number, or an array of it by element; or None."""
        if isinstance(self.sum, chain.ElementPathSum):
            counts = self.sum.element_counts.get(node)
            return (
                (0, None)
                if counts is None
                else (int(np.sum(counts)), None if self.blind else self.sum.element_flow[node])
            )
        n = self.sum.node_counts.get(node, 0)
        if not n or self.blind or isinstance(self.sum, chain.ArrayPathSum):
            return n, None
        return n, self.sum.node_flow[node]

    def flow_words(self, key: tuple[int, int]) -> list[str]:
        """How many paths run along an arrow, and what they carry together."""
        if self.single:
            return []
        if key not in self._counts:
            return ["on no path"]
        n = self._counts[key]
        words = f"{count(n)} path{'s' * (n != 1)}"
        flow = self._flows.get(key)
        if flow is not None and np.size(flow) == 1:
            words += f", together {number(np.asarray(flow).item())}"
        return [words]

    # -- the table

    @property
    def quotient(self) -> str:
        """Such as dz/dt."""
        d = "d" if np.size(self.source.value) == 1 else "∂"
        return f"{d}{self.graph.name(self.root)}/{d}{self.graph.name(self.source)}"

    def table(self) -> PathTable:
        """The rows of the paths, the rest in one line, the sum, and whether it is the gradient of the backward pass."""
        n = self.sum.count
        heading = f"{self.quotient} = {'sum over ' + count(n) + ' paths' if n != 1 else 'one path'}"
        if not n:
            start, end = self.graph.name(self.source), self.graph.name(self.root)
            return PathTable(f"{self.quotient} = 0: no path leads from {start} to {end}")
        if self.blind:
            return PathTable(heading, rest=("no numbers: a value was changed since, see below",))
        rows = tuple(self._row(k, path) for k, path in enumerate(self.paths, 1)) + tuple(self._others())
        total = np.asarray(self.sum.gradient)
        ok, check = self.check(total)
        single = total.size == 1
        return PathTable(
            heading,
            rows,
            rest=tuple(self._rest()),
            total=number(total.item()) if single else "array" if total.size else "empty",
            ok=ok,
            check=check,
            grid=None if single or not total.size else grid(total, self._scale),
        )

    @cached_property
    def _scale(self) -> float:
        return max(largest(p) for p in [self.sum.gradient, *(path.contribution for path in self.paths)])

    def _row(self, k: int, path: chain.Path) -> PathRow:
        p = np.asarray(path.contribution)
        single = p.size == 1
        share = "" if single or math.isnan(path.share) else _percent(path.share)
        return PathRow(
            number=k,
            nodes=self.way(path),
            factors=self._factors(path),
            product=number(p.item()) if single else "array" if p.size else "empty",
            value=float(p.item()) if single else None,
            grid=None if single or not p.size else grid(p, self._scale),
            share=share,
        )

    def way(self, path: chain.Path, most: int = 9) -> str:
        """t → x → z, the middle left out where it is long."""
        names = [self.graph.name(node) for node in path.nodes]
        if len(names) > most:
            names = [*names[: most // 2], f"… {len(names) - most + 1} more …", *names[-(most // 2) :]]
        return " → ".join(names)

    def _factors(self, path: chain.Path, most: int = 8) -> str:
        factors: list[str] = []
        for derivative in path.local_derivatives:
            if not isinstance(derivative, (int, float)):
                return ""
            t = number(derivative)
            factors.append(f"({t})" if t.startswith("−") and factors else t)
        if len(factors) > most:
            factors = [*factors[: most // 2], "…", *factors[-(most // 2) :]]
        return " × ".join(factors)

    def _others(self) -> Iterator[PathRow]:
        """The paths without a lane, added up together."""
        n = self.sum.count - len(self.paths)
        if n and np.size(self.sum.gradient):
            left = np.asarray(self.sum.gradient) - sum(np.asarray(path.contribution) for path in self.paths)
            more = "… and " if self.paths else ""
            nodes = f"{more}{count(n)} {'more ' if more else ''}path{'s' * (n != 1)}, added up, not listed"
            if left.size == 1:
                yield PathRow(0, nodes, "", number(left.item()), float(left.item()))
            else:
                yield PathRow(0, nodes, "", "array", grid=grid(left, self._scale))

    def _rest(self) -> list[str]:
        """How much the paths cancel, and what it would have cost to list them."""
        s, lines = self.sum, []
        if (
            np.size(s.gradient) == 1
            and s.count > 1
            and (not self.few or s.cancellation > 0.5 or s.live_count < s.count)
        ):
            lost = f", of which {_percent(s.cancellation)} cancel" if s.cancellation else ""
            lines.append(f"Σ|p| = {number(s.mass)}{lost}")
            if s.live_count < s.count:
                lines[0] += f"; {count(s.live_count)} of the {count(s.count)} paths are live (no factor is 0)"
            if self.paths and not self.few:
                lines[0] += f"; the {len(self.paths)} largest carry {_percent(s.coverage(len(self.paths)))}"
        if not self.few and not self.single:
            cost = s.cost
            one_by_one, together = count(cost.enumeration), count(cost.backpropagation)
            lines.append(f"Multiplications path by path: {one_by_one}; by backpropagation: {together}")
        return lines

    def check(self, total: Any) -> tuple[bool | None, str]:
        """Compare the sum of the paths with the gradient of the backward pass, but for rounding errors."""
        if isinstance(self.source, chain.Element):
            g = self.graph.gradient.get(self.source.tensor.index)
            g = None if g is None else g[self.source.at]
        else:
            g = self.graph.gradient.get(self.source.index)
        if g is None:
            return None, ""
        unit = np.finfo(g.dtype).eps
        mass = 0.0 if isinstance(self.sum, chain.ArrayPathSum) else self.sum.mass
        mass = mass if math.isfinite(mass) else 0.0
        allowed = 64 * unit * len(self.graph.nodes) * max(mass, largest(g)) + 1e-300
        with np.errstate(all="ignore"):
            same = bool(np.all((np.abs(total - g) <= allowed) | (total == g) | (np.isnan(total) & np.isnan(g))))
        if same:
            return True, "equals the gradient of the backward pass"
        if np.size(g) == 1:
            return False, f"the backward pass gives {number(g.item())}, the paths add up to {number(total.item())}"
        return False, f"the backward pass differs by up to {number(largest(total - g))}"

    def words(self) -> list[str]:
        """The table in words."""
        table = self.table()
        lines = [table.heading + "."]
        for row in table.rows:
            lines.append(f"Path {row.number}: {row.nodes}, {row.factors + ' = ' if row.factors else ''}{row.product}.")
        lines += [f"{line}." for line in table.rest]
        if table.total:
            mark = {True: " ✓", False: " ✗", None: ""}[table.ok]
            lines.append(f"Sum: {table.total}{mark}{', ' + table.check if table.check else ''}.")
        return lines


def _percent(part: float) -> str:
    """A part as percent; never 100 unless it is all, and never 0 unless it is nothing."""
    if 0.9999 < part < 1:
        return "nearly 100 %"
    return f"{number(100 * part if part < 1e-3 else round(100 * part, 2))} %"
