"""The table under a picture: each path with its factors and their product, and that they add up to the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.chain import edges_in, product_text
from tinygrad_nn.notation import format_number
from tinygrad_nn.view.graph.computation import largest
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.scene import Table, TableRow
from tinygrad_nn.view.scenes.heat import grid, scale_of
from tinygrad_nn.view.text import abridged, count, in_brackets, percent, plural, sum_of

__all__ = ["costs", "path_table"]

WRITTEN = 40  # factors of a path
LONG = 600  # letters of the factored form


def path_table(paths: HighlightedPaths) -> Table:
    """The rows of the paths, the rest in one line, the sum, and whether it is the gradient of the backward pass."""
    n, graph = paths.sum.count, paths.graph
    if not n:
        start, end = graph.name(paths.source), graph.name(paths.root)
        return Table(f"{paths.quotient} = 0: no path leads from {start} to {end}")
    heading = f"{paths.quotient} = {'sum over ' + plural(n, 'path') if n != 1 else 'one path'}"
    if paths.stale:
        return Table(heading, rest=("no numbers: a value was changed since, see below",))
    total = np.asarray(paths.sum.gradient)
    scale = max(largest(p) for p in [total, *(path.contribution for path in paths.listed)])
    rows = [_row(paths, k, path, scale) for k, path in enumerate(paths.listed, 1)]
    ok, check = paths.check()
    return Table(
        heading,
        (*rows, *_others(paths, scale)),
        rest=(*_factored(paths), *_cells(total, scale), *costs(paths)),
        total=_written(total),
        ok=ok,
        check=check,
        grid=None if total.size < 2 else grid(total, scale),
    )


def _cells(total: Any, scale: float) -> list[str]:
    """What the colours of heat-maps stand for where they cannot be numbers."""
    heat = None if total.size < 2 else grid(total, scale)
    return [] if heat is None or heat.spelled else [f"Colours: {scale_of(heat)}"]


def _written(value: Any) -> str:
    return format_number(value.item()) if value.size == 1 else "array" if value.size else "empty"


def _row(paths: HighlightedPaths, k: int, path: chain.Path, scale: float) -> TableRow:
    p = np.asarray(path.contribution)
    single = p.size == 1
    return TableRow(
        number=0 if paths.flowing else k,
        mark=str(k) if paths.flowing else "",
        label=paths.nodes_of(path),
        factors=_factors(path),
        product=_written(p),
        value=float(p.item()) if single else None,
        grid=None if p.size < 2 else grid(p, scale),
        share="" if single else _size(p, path.share),
    )


def _factors(path: chain.Path) -> str:
    factors: list[str] = []
    for derivative in path.local_derivatives:
        if not isinstance(derivative, (int, float)):
            return ""
        factors.append(in_brackets(derivative) if factors else format_number(derivative))
    return " × ".join(abridged(factors, WRITTEN, f"… {len(factors) - WRITTEN + 1} more …"))


def _size(contribution: Any, share: float) -> str:
    """How large an array is, and its part in the gradient, which may be 0 for one that others cancel."""
    norm = f"norm {format_number(np.linalg.norm(contribution.ravel()))}"
    return norm if math.isnan(share) else f"{norm}, share {percent(share)}"


def _factored(paths: HighlightedPaths) -> list[str]:
    """The gradient with what its paths share written once, where that is shorter than their sum."""
    if paths.between_elements or isinstance(paths.sum, chain.ArrayPathSum) or paths.sum.count < 2:
        return []
    factors = paths.sum.factored()
    text = product_text(factors)
    if "paths)" in text or len(text) > LONG:
        return []
    shared = sum(edge.slope != 1 for edge in edges_in(factors))
    if paths.few and shared >= sum(x != 1 for path in paths.listed for x in path.local_derivatives):
        return []
    return [f"Factored: {text} = {_written(np.asarray(paths.sum.gradient))}"]


def _others(paths: HighlightedPaths, scale: float) -> Iterator[TableRow]:
    """The paths without a lane, added up together."""
    n = paths.sum.count - len(paths.listed)
    if n and np.size(paths.sum.gradient):
        left = np.asarray(paths.sum.gradient) - sum(np.asarray(path.contribution) for path in paths.listed)
        some = f"… and {plural(n, 'more path')}" if paths.listed else plural(n, "path")
        value = float(left.item()) if left.size == 1 else None
        heat = None if left.size == 1 else grid(left, scale)
        yield TableRow(0, f"{some}, added up, not listed", "", _written(left), value, heat)


def costs(paths: HighlightedPaths) -> list[str]:
    """How much the paths cancel, and what it would have cost to list them."""
    s, lines = paths.sum, []
    some_dead = s.live_count < s.count
    if np.size(s.gradient) == 1 and s.count > 1 and (not paths.few or s.cancellation > 0.5 or some_dead):
        line = f"Σ|p| = {format_number(s.mass)}"
        if s.cancellation:
            line += f", of which {percent(s.cancellation)} cancel"
        if some_dead:
            line += f"; {count(s.live_count)} of the {count(s.count)} paths are live (no factor is 0)"
        if paths.listed and not paths.few:
            line += f"; the {len(paths.listed)} largest carry {percent(s.coverage(len(paths.listed)))}"
        lines.append(line)
    lines += _cancelled(paths)
    if not paths.few and not paths.between_elements:
        one_by_one, together = count(s.cost.enumeration), count(s.cost.backpropagation)
        lines.append(f"Multiplications path by path: {one_by_one}; by backpropagation: {together}")
    return lines


def _cancelled(paths: HighlightedPaths) -> list[str]:
    """How much of arrays cancels: of their norms, and in the element where it is most."""
    total = np.asarray(paths.sum.gradient, dtype=float)
    if total.size < 2 or len(paths.listed) < 2 or len(paths.listed) < paths.sum.count:
        return []
    parts = np.array([np.asarray(path.contribution, dtype=float) for path in paths.listed])
    mass, sizes = float(np.linalg.norm(parts.reshape(len(parts), -1), axis=1).sum()), np.abs(parts).sum(axis=0)
    lost = sizes - np.abs(total)
    if not np.isfinite(sizes).all() or lost.max() <= 1e-9 * sizes.max():
        return []
    at = np.unravel_index(np.argmax(lost), total.shape)
    line = f"Σ‖p‖ = {format_number(mass)}, of which {percent(1 - float(np.linalg.norm(total.ravel())) / mass)} cancel"
    where = f"[{', '.join(map(str, map(int, at)))}]"
    terms = sum_of(float(part[at]) for part in parts)
    return [f"{line}; most in element {where}: {terms} = {format_number(total[at])}"]
