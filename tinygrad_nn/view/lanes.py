"""The paths of a picture: which get a lane, and the table that shows that they add up.  All numbers are `chain`'s."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.view.graph import Graph
from tinygrad_nn.view.heat import grid, largest
from tinygrad_nn.view.model import PathRow, PathTable
from tinygrad_nn.view.text import count, number

__all__ = ["MOST", "Lanes", "automatic"]

MOST = 8  # paths that get a lane of their own


def automatic(graph: Graph) -> Any:
    """The input whose paths are shown if nobody says which: the only one, a number, with few paths; else None."""
    leaves = [n for n in graph.nodes if n.tracked and n.op is None]
    if len(leaves) != 1 or np.size(leaves[0].value) != 1 or np.size(graph.root.value) != 1 or leaves[0] is graph.root:
        return None
    return leaves[0] if chain.paths(graph.root, leaves[0]).count <= MOST else None


class Lanes:
    """The paths from `source` to the root of a graph.

    Few paths get a lane each, in the order in which they leave; of many, the `most` largest.
    """

    def __init__(self, graph: Graph, source: Any, most: int = MOST):
        self.graph, self.source = graph, source
        self.root = graph.root
        self.sum = chain.paths(graph.root, source, *([np.ones_like(graph.root.value)] if graph.root.value.ndim else []))
        self.blind = bool(graph.broken)  # a value was changed: there are counts, and no numbers
        self.few = self.sum.count <= most
        self.paths: list[chain.Path] = [] if self.blind else self.sum.top(most)
        if self.few:
            self.paths.sort(key=lambda path: [self._place(edge) for edge in path.edges])

    def _place(self, edge: chain.Edge) -> tuple[int, int]:
        return edge.target.index, edge.slot

    @cached_property
    def _lanes(self) -> dict[tuple[int, int], tuple[int, ...]]:
        found: dict[tuple[int, int], tuple[int, ...]] = {}
        for k, path in enumerate(self.paths, 1):
            for edge in path.edges:
                found[self._place(edge)] = (*found.get(self._place(edge), ()), k)
        return found

    @cached_property
    def _counts(self) -> dict[tuple[int, int], int]:
        return {self._place(edge): n for edge, n in self.sum.edge_counts.items()}

    @cached_property
    def _flows(self) -> dict[tuple[int, int], Any]:
        return {} if self.blind else {self._place(edge): flow for edge, flow in self.sum.flow.items()}

    def on(self, key: tuple[int, int]) -> tuple[int, ...]:
        """The numbers of the paths along an arrow."""
        return self._lanes.get(key, ())

    def passes(self, key: tuple[int, int]) -> bool:
        """Tell whether any path runs along an arrow, with a lane or without."""
        return key in self._counts

    def weight(self, key: tuple[int, int]) -> float:
        """How thick an arrow is, from 0 to 1, where there are too many paths for a lane each."""
        if self.few or key not in self._flows:
            return 0.0
        widest = max(largest(flow) for flow in self._flows.values())
        share = largest(self._flows[key]) / widest if widest and math.isfinite(widest) else 0.0
        return round(min(1.0, share), 3)

    def flow_words(self, key: tuple[int, int]) -> list[str]:
        """How many paths run along an arrow, and what they carry together."""
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
        rows = tuple(self._row(k, path) for k, path in enumerate(self.paths, 1))
        total = np.asarray(self.sum.gradient)
        ok, check = self._check(total)
        single = total.size == 1
        return PathTable(
            heading,
            rows,
            rest=tuple(self._rest()),
            total=number(total.item()) if single else "array",
            ok=ok,
            check=check,
            grid=None if single else grid(total, self._scale),
        )

    @cached_property
    def _scale(self) -> float:
        return max(largest(p) for p in [self.sum.gradient, *(path.contribution for path in self.paths)])

    def _row(self, k: int, path: chain.Path) -> PathRow:
        p = np.asarray(path.contribution)
        single = p.size == 1
        share = "" if single or math.isnan(path.share) else f"{number(round(100 * path.share, 2))} %"
        return PathRow(
            number=k,
            nodes=self.way(path),
            factors=self._factors(path),
            product=number(p.item()) if single else "array",
            value=float(p.item()) if single else None,
            grid=None if single else grid(p, self._scale),
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

    def _rest(self) -> list[str]:
        """What the table leaves out, exactly, and how much the paths cancel."""
        s = self.sum
        if self.few:
            if np.size(s.gradient) == 1 and s.cancellation > 0.5 and s.count > 1:
                return [f"Σ|p| = {number(s.mass)}, of which {number(round(100 * s.cancellation, 4))} % cancel"]
            return []
        left = np.asarray(s.gradient) - sum(np.asarray(path.contribution) for path in self.paths)
        rest = f", together {number(left.item())}" if left.size == 1 else ""
        lines = [f"… and {count(s.count - len(self.paths))} more paths{rest} (counted and added up, not listed)"]
        if not math.isnan(s.mass):
            k = len(self.paths)
            lines.append(
                f"Σ|p| = {number(s.mass)}, of which {number(round(100 * s.cancellation, 4))} % cancel; "
                f"the {k} largest carry {number(round(100 * s.coverage(k), 2))} %"
            )
        cost = s.cost
        lines.append(
            f"path by path: {count(cost.enumeration)} multiplications; backpropagation: {count(cost.backpropagation)}"
        )
        return lines

    def _check(self, total: Any) -> tuple[bool | None, str]:
        """Compare the sum of the paths with the gradient of the backward pass, but for rounding errors."""
        g = self.graph.gradient.get(self.source.index)
        if g is None:
            return None, ""
        unit = np.finfo(g.dtype).eps
        mass = self.sum.mass if np.isfinite(self.sum.mass) else 0.0
        allowed = 64 * unit * len(self.sum.nodes) * max(mass, largest(g)) + 1e-300
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
