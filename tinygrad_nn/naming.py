"""What the nodes of a graph are called, in pictures, explanations and lists of paths alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn.notation import clean, subscript
from tinygrad_nn.operation import recorded
from tinygrad_nn.variables import Called, assigned_name

__all__ = ["Names", "Naming"]


class Names:
    """What each node of a graph is called: as it was named, or v₁, v₂ ... in order of creation.

    Parameters
    ----------
    nodes : the tensors, in order of creation.
    root : the result; called z if it has no name and the letter is free.
    given : tensors by name, which goes before the tensor's own name.
    called : what the program calls them, for those that have no name of their own: variables, then what a result was
        assigned to, also in a function that has ended, if there is only one of that name, then ``params['w']`` and the
        like.  None if what the program says does not count.
    """

    def __init__(self, nodes: Sequence[Any], root: Any, given: Called, called: Called | None):
        self._called, self._asked = called or Called(), called is not None
        own = {node.index: clean(node.name) for node in nodes if node.name}
        often = Counter(own.values())
        own = {i: name for i, name in own.items() if often[name] == 1 or i not in self._called.tensors}
        self._elsewhere = self._called.tensors | own | given.tensors
        self._indirect = self._called.indirect - own.keys() - given.tensors.keys()
        self._names: dict[int, str] = {}
        self._number(nodes, root, self._wanted(nodes))

    def _wanted(self, nodes: Sequence[Any]) -> dict[int, str]:
        """The names that the program gives to these nodes."""
        wanted = {node.index: clean(name) for node in nodes if (name := self._elsewhere.get(node.index))}
        if not self._asked:
            return wanted
        assigned = {node.index: assigned_name(getattr(node, "_origin", None)) for node in nodes}
        assigned |= {n.index: self.of_array(n.value) for n in nodes if n.op is None and not n.tracked and n.ndim}
        often, taken = Counter(assigned.values()), set(wanted.values())
        once = {i: name for i, name in assigned.items() if name and often[name] == 1 and name not in taken}
        return once | {i: name for i, name in wanted.items() if i not in once or i not in self._indirect}

    def _number(self, nodes: Sequence[Any], root: Any, wanted: Mapping[int, str]) -> None:
        """Choose the names: the second of two with the same one gets #2, the others are numbered."""
        taken: Counter[str] = Counter()
        for node in nodes:
            name = wanted.get(node.index)
            if name is not None:
                taken[name] += 1
                self._names[node.index] = name if taken[name] == 1 else f"{name} #{taken[name]}"
        if root.index not in self._names and not taken["z"]:
            self._names[root.index] = "z"
            taken["z"] = 1
        self.given = frozenset(self._names)
        k = 0
        for node in nodes:
            if node.index not in self._names:
                k += 1
                while taken[f"v{subscript(k)}"]:
                    k += 1
                self._names[node.index] = f"v{subscript(k)}"

    def get(self, node: Any) -> str:
        """The name of a node; of one of another graph what it is called elsewhere, or empty."""
        return self._names.get(node.index) or clean(node.name or self._elsewhere.get(node.index, ""))

    def of_array(self, array: Any) -> str:
        """What the program calls an array, or empty."""
        return clean(self._called.of_array(np.asarray(array)))

    def is_given(self, node: Any) -> bool:
        """Whether it was named: False for v₁, v₂ ..."""
        return node.index in self.given


@dataclass(frozen=True)
class Naming:
    """The names of all that `root` was made from, chosen when one is first asked for."""

    root: Any
    given: Called
    called: Called | None

    @cached_property
    def names(self) -> Names:
        """As in a picture of the root."""
        return Names(recorded(self.root), self.root, self.given, self.called)
