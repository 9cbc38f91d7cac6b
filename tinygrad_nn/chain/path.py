"""One path, and what is said of several: groups, costs, and the warning that some were left out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.chain.graph import Edge

__all__ = ["Cost", "Path", "PathGroup", "PathsLeftOut"]


class PathsLeftOut(UserWarning):
    """Listing paths stopped at the limit; the message says how many were left out."""


class PathGroup(NamedTuple):
    """Some of the paths: how many, and what they add up to."""

    count: int  # type: ignore[assignment]  # a tuple's own count() is not missed here
    contribution: Any


class Cost(NamedTuple):
    """Multiplications by local derivatives: path by path, and in one backward sweep, which shares what paths share."""

    enumeration: int
    backpropagation: int


class Path:
    """One way from t to z: its `nodes` and `edges`, from t to z, and its `contribution`, the product along it.

    The contribution is a number, or an array of t's shape.
    """

    def __init__(self, owner: Any, edges: tuple[Edge, ...], contribution: Any):
        self._owner, self.edges, self.contribution = owner, edges, contribution

    @property
    def nodes(self) -> tuple[Any, ...]:
        """From t to z."""
        return (self._owner.source, *(edge.target for edge in self.edges))

    @property
    def local_derivatives(self) -> tuple[Any, ...]:
        """Of each edge, from t to z: numbers, and a `LocalDerivative` where arrays are involved."""
        return tuple(self._owner._local(edge) for edge in self.edges)

    @property
    def share(self) -> float:
        """Its part in the gradient, ⟨p, g⟩ / ⟨g, g⟩.  The shares of all paths add up to 1; NaN if the gradient is 0."""
        return self._owner.share(self.contribution)

    @property
    def live(self) -> bool:
        """False if a local derivative along it is zero: it is blocked there."""
        return all(self._owner._is_live(edge) for edge in self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        p = self.contribution
        shown = f"array of shape {p.shape}" if np.ndim(p) else f"{p:.6g}"
        return f"<path {' → '.join(map(self._owner.name_of, self.nodes))}: {shown}>"
