"""How a mask was computed: a note beside results that no gradient flows through, for pages that compute them again.

``x > 0`` is a constant to the backward pass, and its graph is not recorded.  The note has the operation, and holds what
gradients flow through weakly: a mask that is kept keeps no graph alive.  What a program adds up over many steps is no
mask: notes end where elements are added, after some operations, and at arrays too large for a page.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.operation import Op, Traced, write

__all__ = ["Made", "noted"]

MOST = 16  # operations one after the other
MOST_NUMBERS = 20_000  # of an array, as in a page


def noted(result: Any, op: Op, args: Sequence[Any], params: dict[str, Any] | None) -> Any:
    """The result, with a note where it depends on a tensor that gradients flow through."""
    depth = -1
    for a in args:
        if isinstance(a, Traced):
            if a._note is not None:  # type: ignore[attr-defined]
                if np.size(a._value) > np.size(result._value):  # type: ignore[attr-defined]
                    return result
                depth = max(depth, a._note[3])  # type: ignore[attr-defined]
            elif a.tracked:
                depth = max(depth, 0)
    if 0 <= depth < MOST and np.size(result._value) <= MOST_NUMBERS:
        kept = tuple([weakref.ref(x) if isinstance(x, Traced) and x.tracked else x for x in args])
        result._note = op, kept, params, depth + 1
    return result


@dataclass(frozen=True)
class Made:
    """How a result without history was computed from `sources`, the tensors where its notes end."""

    result: Any
    sources: tuple[Any, ...]
    notes: dict[int, tuple[Op, tuple[Any, ...], dict[str, Any]]]  # by time of creation, oldest first

    @classmethod
    def of(cls, result: Any) -> Made | None:
        """None where there is no note, or where something that it was computed from is gone."""
        notes: dict[int, Any] = {}
        sources: dict[int, Any] = {}
        waiting = [result]
        while waiting:
            x = waiting.pop()
            note = getattr(x, "_note", None)
            if note is None:
                sources[x.index] = x
                continue
            op, args, params, _ = note
            args = tuple([a() if isinstance(a, weakref.ref) else a for a in args])
            if any(a is None for a in args):
                return None
            notes[x.index] = op, args, params or {}
            waiting += [a for a in args if isinstance(a, Traced) and a.index not in notes]
        if not notes:
            return None
        return cls(result, tuple(sources[i] for i in sorted(sources)), {i: notes[i] for i in sorted(notes)})

    def again(self, *values: Any) -> Any:
        """The result for other values of the sources."""
        known = {x.index: value for x, value in zip(self.sources, values, strict=True)}
        for index, (op, args, params) in self.notes.items():
            known[index] = op.apply([known[a.index] if isinstance(a, Traced) else a for a in args], params)
        return known[self.result.index]

    def formula(self, names: Sequence[str]) -> str:
        """The result as text, with these names of the sources."""
        known = {x.index: name for x, name in zip(self.sources, names, strict=True)}
        for index, (op, args, params) in self.notes.items():
            text = write(op, [known[a.index] if isinstance(a, Traced) else _constant(a) for a in args], params)
            known[index] = text if index == self.result.index else f"({text})"
        return known[self.result.index]


def _constant(a: Any) -> str:
    return format_number(a) if np.ndim(a) == 0 else f"[{' × '.join(map(str, np.shape(a)))}]"
