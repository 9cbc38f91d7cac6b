"""Integrals along lines from baselines to examples, in pieces that are halved until the contributions add up.

Along a line from b to x, f(x) − f(b) is the integral of ⟨∂f/∂x, x − b⟩.  So it is known of every piece of the line
what the contributions of this piece must add up to, and only the pieces where they do not are looked at more closely:
at the kinks of a relu network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Nodes", "nodes_along"]

Evaluate = Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray]]  # (points, lines) -> f, ∂f/∂x
Look = Callable[[np.ndarray, np.ndarray], "_Ends"]  # (lines, where on each) -> what is there
FIRST = np.array([0.0, 0.23, 0.5, 0.74, 1.0])  # the pieces to begin with, of unequal lengths
ORDER = 3  # points of Gauss and Legendre in a piece
ROUNDS = 14  # so often a piece is halved
SHORT = 1 / 64  # a piece may be wrong by its share of what is allowed, or by that of so long a piece


@dataclass(frozen=True)
class Nodes:
    """Where along which line a derivative is taken, and its weight: those of a line add up to 1."""

    line: np.ndarray
    at: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Ends:
    """f at one end of each piece, and what ⟨∂f/∂x, x − b⟩ has of each feature there, (features ..., pieces)."""

    f: np.ndarray
    slopes: np.ndarray

    def __getitem__(self, some: Any) -> _Ends:
        return _Ends(self.f[some], self.slopes[..., some])

    def then(self, other: _Ends) -> _Ends:
        """These pieces and then others."""
        return _Ends(np.concatenate([self.f, other.f]), np.concatenate([self.slopes, other.slopes], axis=-1))


@dataclass(frozen=True)
class _Pieces:
    """Pieces of lines, and the integral over each, by feature, (features ..., pieces)."""

    line: np.ndarray
    start: np.ndarray
    end: np.ndarray
    at_start: _Ends
    at_end: _Ends
    parts: np.ndarray
    at_middle: np.ndarray  # slopes

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, some: Any) -> _Pieces:
        return _Pieces(
            self.line[some], self.start[some], self.end[some], self.at_start[some], self.at_end[some],
            self.parts[..., some], self.at_middle[..., some],
        )  # fmt: skip

    @property
    def doubt(self) -> np.ndarray:
        """How wrong the parts may be: how far they are from adding up, or from what Simpson's rule makes of a piece."""
        k = len(self)
        gap = np.abs(self.at_end.f - self.at_start.f - self.parts.reshape(-1, k).sum(axis=0))
        simpson = (self.at_start.slopes + 4 * self.at_middle + self.at_end.slopes) * ((self.end - self.start) / 6)
        return np.maximum(gap, np.abs(simpson - self.parts).reshape(-1, k).sum(axis=0) / 2)


def nodes_along(
    evaluate: Evaluate, start: np.ndarray, way: np.ndarray, steps: int | None, tolerance: float
) -> tuple[Nodes, np.ndarray]:
    """Nodes along the lines from `start` (features ..., lines) by `way`, and the integrals, by feature.

    With `steps` as many on each line; else in pieces that are halved until the contributions of a line are right to
    within `tolerance` of the sum of their sizes, as far as can be seen: they add up, and two rules give the same.
    """
    n = start.shape[-1]

    def look(line: np.ndarray, at: np.ndarray) -> _Ends:
        f, slopes = evaluate(start[..., line] + at.astype(start.dtype) * way[..., line], line)
        return _Ends(f.astype(float), slopes.astype(float) * way[..., line])

    if steps is not None:
        points, weights = _gauss(steps)
        line = np.repeat(np.arange(n), steps)
        found = Nodes(line, np.tile(points, n), np.tile(weights, n))
        return found, _sums(found.weight * look(line, found.at).slopes, n, line)
    pieces, done = _begin(look, n), []
    sums = _sums(pieces.parts, n, pieces.line).reshape(-1, n)
    k = len(FIRST) - 1
    change = np.abs(pieces.at_end.f[k - 1 :: k] - pieces.at_start.f[::k])
    noise = 64 * np.finfo(start.dtype).eps * np.abs(pieces.at_start.f[::k])
    allowed = tolerance * np.maximum(np.abs(sums).sum(axis=0), change) + noise
    for i in range(ROUNDS + 1):
        right = pieces.doubt <= allowed[pieces.line] * np.maximum(pieces.end - pieces.start, SHORT)
        right |= i == ROUNDS
        done.append(pieces[right])
        pieces = pieces[~right]
        if not len(pieces):
            break
        pieces = _halved(look, pieces)
    lines = np.concatenate([p.line for p in done])
    parts = np.concatenate([p.parts for p in done], axis=-1)
    begins, lengths = (np.concatenate(x) for x in zip(*((p.start, p.end - p.start) for p in done), strict=True))
    points, weights = _gauss(ORDER)
    at, weight = begins[:, np.newaxis] + lengths[:, np.newaxis] * points, lengths[:, np.newaxis] * weights
    return Nodes(np.repeat(lines, ORDER), at.reshape(-1), weight.reshape(-1)), _sums(parts, n, lines)


def _gauss(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points between 0 and 1 and their weights."""
    points, weights = np.polynomial.legendre.leggauss(n)
    return (points + 1) / 2, weights / 2


def _sums(parts: np.ndarray, n: int, lines: np.ndarray) -> np.ndarray:
    """The parts (features ..., parts) of each line together."""
    total = np.zeros((n, parts[..., 0].size))
    np.add.at(total, lines, parts.reshape(-1, parts.shape[-1]).T)
    return np.ascontiguousarray(total.T).reshape(*parts.shape[:-1], n)


def _begin(look: Look, n: int) -> _Pieces:
    k = len(FIRST)
    corners = look(np.repeat(np.arange(n), k), np.tile(FIRST, n))
    first = np.arange(n * k).reshape(n, k)
    line, a, b = np.repeat(np.arange(n), k - 1), np.tile(FIRST[:-1], n), np.tile(FIRST[1:], n)
    return _measured(look, line, a, b, corners[first[:, :-1].reshape(-1)], corners[first[:, 1:].reshape(-1)])


def _halved(look: Look, pieces: _Pieces) -> _Pieces:
    """All first halves, and then all second ones."""
    middle = (pieces.start + pieces.end) / 2
    there = look(pieces.line, middle)
    return _measured(
        look, np.tile(pieces.line, 2), np.concatenate([pieces.start, middle]), np.concatenate([middle, pieces.end]),
        pieces.at_start.then(there), there.then(pieces.at_end),
    )  # fmt: skip


def _measured(look: Look, line: np.ndarray, a: np.ndarray, b: np.ndarray, at_start: _Ends, at_end: _Ends) -> _Pieces:
    """Pieces between a and b, with the integrals over them."""
    points, weights = _gauss(ORDER)
    at = (a[:, np.newaxis] + (b - a)[:, np.newaxis] * points).reshape(-1)
    slopes = look(np.repeat(line, ORDER), at).slopes
    slopes = slopes.reshape(*slopes.shape[:-1], len(line), ORDER)
    return _Pieces(line, a, b, at_start, at_end, (slopes @ weights) * (b - a), slopes[..., ORDER // 2])
