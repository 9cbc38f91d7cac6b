"""What a notebook shows of a sum over paths: a row for each of them, or for the largest, and what they add up to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_nn import notebook
from tinygrad_nn.errors import MutationError
from tinygrad_nn.notation import abridged, format_number, in_brackets

__all__ = ["as_html"]

LISTED, LARGEST = 10, 5  # so many paths have a row each; of more, so many


def as_html(paths: Any) -> str:
    """The table of a `PathSum`."""
    z, t = paths.name_of(paths.target), paths.name_of(paths.source)
    n = f"{paths.count:,}" if paths.count < 10**12 else f"about 2^{paths.count.bit_length() - 1}"
    title = notebook.heading(f"d{z}/d{t}: sum over {n} path{'s' * (paths.count != 1)} from {t} to {z}")
    try:
        return title + (_table(paths) if paths.count else "")
    except MutationError as reason:
        return title + notebook.paragraph(str(reason))


def _table(paths: Any) -> str:
    best = paths.top(LISTED if paths.count <= LISTED else LARGEST) if _can_be_sorted(paths) else []
    rows = [
        (str(k), _way(paths, path), _factors(path), _written(path.contribution), _percent(path.share))
        for k, path in enumerate(best, 1)
    ]
    left = paths.count - len(best)
    if left:
        rest = np.asarray(paths.gradient) - sum(np.asarray(path.contribution) for path in best)
        rows.append(("", f"{left:,} more" if left < 10**12 else "all others", "", _written(rest), ""))
    return notebook.table(
        rows, ("", "path", "local derivatives", "product", "share"), right=(0, 3, 4),
        foot=("", "sum", "", _written(paths.gradient), ""),
    )  # fmt: skip


def _can_be_sorted(paths: Any) -> bool:
    """Whether the largest are found in a moment: always between numbers, of few between arrays."""
    return paths.count <= LISTED or (paths._single_numbers and not hasattr(paths, "element_flow"))


def _way(paths: Any, path: Any) -> str:
    return " → ".join(abridged([paths.name_of(node) for node in path.nodes], 12, "…"))


def _factors(path: Any) -> str:
    return " × ".join(abridged([_factor(x) for x in path.local_derivatives], 8, "…"))


def _factor(x: Any) -> str:
    return in_brackets(x) if isinstance(x, (int, float)) else str(x)


def _written(value: Any) -> str:
    value = np.asarray(value)
    return format_number(value.item()) if value.size == 1 else f"array of shape {value.shape}"


def _percent(share: float) -> str:
    """Where paths cancel, shares of hundreds of percent would say nothing."""
    return "" if math.isnan(share) or abs(share) > 10 else f"{format_number(round(100 * share, 2))} %"
