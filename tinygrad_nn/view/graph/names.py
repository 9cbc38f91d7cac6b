"""What the nodes of a graph are called in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_nn.notation import subscript
from tinygrad_nn.operation import Traced
from tinygrad_nn.view.text import clean

__all__ = ["Names", "variables_of"]


class Names:
    """What each node of a graph is called in a picture: its own name, a variable's, or v₁, v₂ ... in order of creation.

    Parameters
    ----------
    nodes : the tensors, in order of creation.
    root : the result that is drawn; called z if it has no name and the letter is free.
    given : tensors by name, which goes before the tensor's own name.
    variables : tensors by name, for those that have none.
    """

    def __init__(self, nodes: Sequence[Any], root: Any, given: Mapping[str, Any], variables: Mapping[str, Any]):
        wanted: dict[int, str] = {}
        own = [(node.name, node) for node in nodes if node.name]
        for name, tensor in (*given.items(), *own, *variables.items()):
            if isinstance(tensor, Traced):
                wanted.setdefault(tensor.index, clean(str(name)))
        taken: dict[str, int] = {}
        self._names: dict[int, str] = {}
        for node in nodes:
            name = wanted.get(node.index)
            if name is not None:
                taken[name] = taken.get(name, 0) + 1
                self._names[node.index] = name if taken[name] == 1 else f"{name} #{taken[name]}"
        if root.index not in self._names and "z" not in taken:
            self._names[root.index] = "z"
            taken["z"] = 1
        k = 0
        for node in nodes:
            if node.index not in self._names:
                k += 1
                while f"v{subscript(k)}" in taken:
                    k += 1
                self._names[node.index] = f"v{subscript(k)}"

    def get(self, node: Any) -> str:
        """The name of a node; empty for one of another graph."""
        return self._names.get(node.index, "")


def variables_of(frame: Any) -> dict[str, Any]:
    """The tensors that the variables of a caller hold; names that begin with an underscore say nothing."""
    found = {**frame.f_globals, **frame.f_locals}
    return {name: value for name, value in found.items() if isinstance(value, Traced) and name[0] not in "_@"}
