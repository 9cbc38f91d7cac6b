"""A recorded graph as pictures need it: its nodes and arguments, their names and gradients, and what has gone stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import pullback
from tinygrad_nn.chain import Element
from tinygrad_nn.errors import MutationError
from tinygrad_nn.naming import Names
from tinygrad_nn.notation import format_number, subscript
from tinygrad_nn.operation import Traced, recorded, write
from tinygrad_nn.symbols import derivative
from tinygrad_nn.variables import Called, called_in

__all__ = ["CHANGED", "ComputationGraph", "Constant", "Slot", "largest"]

CHANGED, RELEASED = "changed since", "released"  # what may have happened to a value since an operation used it
_UPSTREAM = "\ue000"  # stands for the upstream gradient until it is known how that is written


class Constant:
    """An array that entered the graph without being a tensor; it looks like a node without history."""

    op = name = None
    tracked = False
    origin = ""

    def __init__(self, value: Any, index: Any):
        self.value, self.index = value, index


@dataclass(frozen=True)
class Slot:
    """One argument of one operation, which a picture draws as an arrow."""

    source: Any
    target: Any
    slot: int

    @property
    def flows(self) -> bool:
        """True if a gradient comes back along it."""
        return self.slot in self.target.slots

    @property
    def key(self) -> tuple[int, int]:
        """The number of the target and the slot."""
        return self.target.index, self.slot


class ComputationGraph:
    """Everything that `root` was made from, found without recursion and without touching any `.grad`.

    Parameters
    ----------
    root : the tensor to draw.
    names : tensors by name, which goes before the tensors' own names.
    called : what the program calls the tensors that have no name of their own.

    Attributes
    ----------
    nodes : in order of creation, arrays that are no tensors before the operation that first uses them.
    slots : one for each argument that is a tensor or an array; plain numbers are written into the formulas.
    gradient : of the sum of root's elements, by node index; missing where it is not known.
    sent : what flows back through each (target index, slot): the parts that add up to the gradients.
    stale : what has happened to the values that are not those that were used any more, by index of the node.
    broken : the messages of operations whose derivative cannot be computed any more.
    """

    def __init__(self, root: Any, names: Mapping[str, Any] | None = None, called: Called | None = None):
        self.root = root
        self.nodes, self.slots = _collect(root)
        tensors = [node for node in self.nodes if not isinstance(node, Constant)]
        self.names = Names(tensors, root, called_in(names or {}), called)
        arrays = [node for node in self.nodes if isinstance(node, Constant)]
        named = [self.names.of_array(node.value) for node in arrays]
        self._constants = {c.index: named[k - 1] or f"c{subscript(k)}" for k, c in enumerate(arrays, 1)}
        self._keys = {node.index: f"n{i}" for i, node in enumerate(self.nodes, 1)}
        self._rules: dict[Any, str | None] = {}
        self.outgoing: dict[Any, list[Slot]] = {}
        self.incoming: dict[Any, list[Slot]] = {}
        for slot in self.slots:
            self.outgoing.setdefault(slot.source.index, []).append(slot)
            self.incoming.setdefault(slot.target.index, []).append(slot)
        self.stale = _stale(self.nodes, self.slots)
        self.broken, unknown = self._broken()
        self.gradient, self.sent = self._sweep(unknown)

    @property
    def released(self) -> bool:
        """Whether what is left of it are light records, see `retention.py`."""
        return RELEASED in self.stale.values()

    def name(self, node: Any) -> str:
        """What a node is called in this picture; or an element of one, as in ``X[3, 0]``."""
        if isinstance(node, Element):
            at = f"[{', '.join(map(str, node.at))}]" if node.at else ""
            return self.name(node.tensor) + at
        if isinstance(node, Constant):
            return self._constants[node.index]
        return self.names.get(node) or "t"

    def key(self, node: Any) -> str:
        """The id of a node in pictures: n1, n2 ... in order of creation."""
        return self._keys[node.index]

    def numbered(self, node: Any) -> bool:
        """Whether nobody named a node, and it has only a number."""
        return not (self.names.is_given(node) or (isinstance(node, Constant) and self.names.of_array(node.value)))

    def formula(self, node: Any) -> str:
        """The operation that made a node, with the names of its arguments; empty for a node that none has made."""
        if node.op is None:
            return ""
        op = node.op
        written = [self._argument(x, node, i) for i, x in enumerate(node.inputs)]
        if op.precedence < 9:
            written = [f"({w})" if w.startswith("−") and i else w for i, w in enumerate(written)]
        if op.spell is not None:
            arrays = bool(np.ndim(node.value) and all(np.ndim(_value(x)) for x in node.inputs))
            spelled = op.spell(*written, arrays=arrays)
            if spelled is not None:
                return str(spelled)
        return write(op, written, node.params)

    def equation(self, node: Any) -> str:
        """A node by name and formula, as in ``z = sin(s)``."""
        name, formula = self.name(node), self.formula(node)
        return f"{name} = {formula}" if formula and formula != name else name

    def _argument(self, x: Any, node: Any, slot: int) -> str:
        if isinstance(x, Traced):
            return self.name(x)
        if np.ndim(x) == 0:
            x = x.item() if isinstance(x, np.ndarray) else x
            return "" if x is None else format_number(x) if isinstance(x, (int, float, np.number, np.bool_)) else str(x)
        return next((self.name(s.source) for s in self.incoming.get(node.index, ()) if s.slot == slot), "[…]")

    def rule(self, slot: Slot, upstream: str = "g") -> str | None:
        """The derivative rule of a slot, written with the names of this picture; None where there is none."""
        if slot.key not in self._rules:
            found = self._derivative(slot, _UPSTREAM)
            self._rules[slot.key] = None if found is None else found.text
        rule = self._rules[slot.key]
        return None if rule is None else rule.replace(_UPSTREAM, upstream)

    def slope(self, slot: Slot) -> tuple[str, int] | None:
        """The local derivative of a slot between single numbers as a formula, and the precedence of that."""
        found = self._derivative(slot, None)
        if found is None:
            return None
        if found.text == self.name(slot.target) and slot.target.op.precedence == 9:  # exp′ = exp
            return self.formula(slot.target), 9
        return (f"[{found.text}]", 9) if found.precedence == 0 else (found.text, found.precedence)

    def options(self, slot: Slot) -> tuple[str, ...]:
        """The numbers of which this local derivative is always one, as of a maximum; empty where there are none."""
        found = self._derivative(slot, None)
        return () if found is None else found.options

    def _derivative(self, slot: Slot, upstream: str | None) -> Any:
        node = slot.target
        args = [np.asarray(x.value) if isinstance(x, Traced) else x for x in node.inputs]
        if node.op.kind == "multilinear" and not node.params:  # the formula does not depend on the values
            args = [a[(slice(0, 2),) * a.ndim] if isinstance(a, np.ndarray) else a for a in args]
        written = [self._argument(x, node, i) or "·" for i, x in enumerate(node.inputs)]
        return derivative(node.op, slot.slot, written, self.name(node), upstream, args, node.params)

    def contributions(self, node: Any) -> list[Any]:
        """What comes back to a node through each arrow that leaves it, in the order of these arrows."""
        arrows = (slot.key for slot in self.outgoing.get(node.index, ()))
        return [self.sent[arrow] for arrow in arrows if arrow in self.sent]

    def origin(self, node: Any) -> str:
        """The source line that made a node, as file name and number."""
        file, _, line = (node.origin or "").rpartition(":")
        return f"line {line} of {Path(file).name}" if file else ""

    def _broken(self) -> tuple[dict[Any, str], set[Any]]:
        """Operations that cannot be differentiated any more, and all nodes whose gradient would come through these."""
        broken = {}
        for node in self.nodes:
            if node.op is not None and node.tracked:
                try:
                    node.check_unchanged()
                except MutationError as reason:
                    broken[node.index] = str(reason)
        unknown: set[Any] = set()
        for node in reversed(self.nodes):
            if node.index in broken or node.index in unknown:
                unknown.update(s.source.index for s in self.incoming.get(node.index, ()))
        return broken, unknown

    def _sweep(self, unknown: set[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """The backward pass: gradients of all nodes but the unknown ones, and every part that is sent."""
        if not self.root.tracked:
            return {}, {}
        seed, sent = np.ones_like(self.root.value), {}
        wanted = [n for n in self.nodes if n.tracked and n.index not in unknown and n.index not in self.broken]

        def watch(node: Any, slot: int, part: Any) -> None:
            sent[node.index, slot] = np.array(part)

        found = pullback([self.root], [seed], wanted=wanted, on_part=watch) if wanted else {}
        return {self.root.index: seed} | {node.index: np.asarray(g) for node, g in found.items()}, sent


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Traced) else x


def _collect(root: Any) -> tuple[list[Any], list[Slot]]:
    """Nodes and slots in order of creation, constants before their first use."""
    nodes: list[Any] = []
    slots: list[Slot] = []
    for node in recorded(root):
        for i, x in enumerate(node.inputs):
            if isinstance(x, Traced):
                slots.append(Slot(x, node, i))
            elif isinstance(x, np.ndarray) and x.ndim:
                nodes.append(Constant(x, f"{node.index}.{i}"))
                slots.append(Slot(nodes[-1], node, i))
        nodes.append(node)
    return nodes, slots


def _stale(nodes: Sequence[Any], slots: Sequence[Slot]) -> dict[Any, str]:
    """What has happened to the values that are not those that operations used, by index of the node."""
    stale = {}
    for node in nodes:
        for x in (node, *node.inputs) if node.op is not None else ():
            watch = getattr(x, "watch", None)
            if watch is not None:
                watch.look()
                if watch.changed > node.index:
                    stale[x.index] = CHANGED
    for slot in slots:
        holder: Any = slot.target if isinstance(slot.source, Constant) else slot.source
        if holder.watch is not None and holder.watch.released and np.size(slot.source.value) > 1:
            stale[slot.source.index] = RELEASED
    return stale


def largest(value: Any) -> float:
    """The largest absolute value that is a number."""
    size = np.abs(np.asarray(value, dtype=float))
    return float(np.max(size, where=np.isfinite(size), initial=0.0))
