"""What of a compiled step a picture draws together: calls in groups, the uses of their results, the buffers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.compiler import Program
from tinygrad_nn.compiler.ir import Node, item
from tinygrad_nn.compiler.memory_plan import Buffer, FusedLoop
from tinygrad_nn.compiler.step import Given, Result, parts
from tinygrad_nn.notation import spell_index

__all__ = ["CallGroup", "ProgramCalls"]

ALIKE = 3  # groups that do the same to other arrays, from which on one stands for all


@dataclass(eq=False)
class CallGroup:
    """Calls that follow each other, each result read only by a later one of them, but for the last: one formula.

    `others` are groups that do the same to other arrays, for which this one stands, too.
    """

    calls: list[Node]
    loop: FusedLoop
    segment: int
    others: list[CallGroup] = field(default_factory=list)

    @property
    def last(self) -> Node:
        """The call whose result it gives."""
        return self.calls[-1]

    @property
    def all(self) -> list[CallGroup]:
        """Itself and the others."""
        return [self, *self.others]


class ProgramCalls:
    """The calls of one program, in groups.

    Attributes
    ----------
    calls, number : the calls in order, and their numbers from 1 on.
    inputs : the arrays that the calls start from, by their nodes.
    segments : the loops of fused calls, line by line of the step.
    uses : what is done with results when all calls are made, in words.
    groups : the calls in groups, in order.
    buffers : with the calls that write to them.
    shared : the buffers that several groups write to, with a number each from 1 on.
    """

    def __init__(self, program: Program):
        self.program, self.plan, self.step = program, program.plan, program.step
        self.calls = [call for loop in self.plan.loops for call in loop.calls]
        self.number = {call: i for i, call in enumerate(self.calls, 1)}
        self.inputs = {given.node: given for given in self.step.inputs}
        self.segments = _segments(self.plan.loops)
        self.uses = self._uses()
        self.groups = self._groups()
        self.group = {call: group for group in self.groups for one in group.all for call in one.calls}
        self.buffers: dict[Buffer, list[Node]] = defaultdict(list)
        for call in self.calls:
            place = self.plan.place.get(call)
            if isinstance(place, Buffer):
                self.buffers[place].append(call)
        several = [b for b, calls in self.buffers.items() if len({self.group[call].last for call in calls}) > 1]
        self.shared = {buffer: k for k, buffer in enumerate(several, 1)}

    def name(self, node: Node) -> str:
        """What a value is called in the listing."""
        return self.program.listed(node)[0]

    def line(self, call: Node) -> str:
        """A call as it stands in the listing."""
        return self.program.listed(call)[1]

    def written_to(self, call: Node) -> Node | None:
        """The input that a call updates in place."""
        place = self.plan.place.get(call)
        return place if isinstance(place, Node) else None

    def operands(self, group: CallGroup) -> Iterator[Node]:
        """What a group reads, but for the inputs that it updates."""
        seen: set[Node] = set()
        for one in group.all:
            own = {*one.calls, *map(self.written_to, one.calls)}
            for x in (x for call in one.calls for x in call.inputs()):
                if x not in seen and x.root() not in own:
                    seen.add(x)
                    yield x

    def view(self, x: Node) -> str:
        """How a view is made of what owns its memory."""
        if x.base is None:
            return self.name(x)
        base, rest = self.view(x.base), [spell_index(a) for a in (*x.args[1:], *x.kwargs.values())]
        if x.func is item:
            return f"{base}[{rest[0]}]"
        if x.func is np.transpose and not rest:
            return f"{base}.T"
        return f"{base}.{x.name}({', '.join(str(a) or '()' for a in rest)})"

    def _uses(self) -> dict[Node, list[str]]:
        found: dict[Node, list[str]] = defaultdict(list)

        def add(node: Node | None, use: str) -> None:
            if node is not None:
                found[node.root()].append(use if node.base is None else f"{self.view(node)} {use}")

        for path, leaf in parts(self.step.result, {}):
            use = "returned" + (f" as result{path.removeprefix('args')}" if path != "args" else "")
            if isinstance(leaf, Result):
                add(leaf.node, use)
            elif isinstance(leaf, Given):
                add(self._input_of(leaf.argument), use)
        for owner, gradient in self.step.gradients:
            add(gradient, f"given out as {self._owner(owner)}.grad")
        for to, value in self.plan.stores:
            add(value, f"copied to {self.name(to)} at the end")
        return found

    def _input_of(self, owner: Any) -> Any:
        """The value of a tensor, or of the argument of that number; None if no call reads it."""
        for node, given in self.inputs.items():
            same = given.argument == owner if isinstance(owner, int) else given.tensor is owner
            if same and given.kind == "value":
                return node
        return None

    def _owner(self, owner: Any) -> str:
        node = self._input_of(owner)
        if node is not None:
            return self.name(node).removesuffix("_value")
        return "an argument" if isinstance(owner, int) else owner.name or "p"

    def _groups(self) -> list[CallGroup]:
        """What goes to a single call stands before it in its group."""
        readers: dict[Node, set[Node]] = defaultdict(set)
        for call in self.calls:
            for x in call.inputs():
                readers[x.root()].add(call)
        groups: list[CallGroup] = []
        for i, segment in enumerate(self.segments):
            start = len(groups)
            for loop in segment:
                for call in loop.calls:
                    group = CallGroup([call], loop, i)
                    while len(groups) > start and readers[groups[-1].last] == {call} and self._joins(groups[-1], group):
                        group.calls = groups.pop().calls + group.calls
                    groups.append(group)
        return self._without_others(groups)

    def _joins(self, group: CallGroup, after: CallGroup) -> bool:
        """Whether the result of a group is only an operand, for calls that run one by one or in the same loop."""
        together = group.loop is after.loop or len(group.loop.calls) == len(after.loop.calls) == 1
        last = group.last
        kept = last in self.uses or last in self.plan.effects or self.written_to(last) is not None
        return together and not kept

    def _without_others(self, groups: list[CallGroup]) -> list[CallGroup]:
        """One for all groups that make the same calls to update inputs."""
        alike: dict[Any, list[CallGroup]] = defaultdict(list)
        for group in groups:
            updates = self.written_to(group.last) is not None
            alike[(group.segment, *(call.func for call in group.calls)) if updates else group].append(group)
        for family in alike.values():
            if len(family) >= ALIKE:
                family[0].others = family[1:]
        hidden = {other for group in groups for other in group.others}
        return [group for group in groups if group not in hidden]


def _segments(loops: Iterable[FusedLoop]) -> list[list[FusedLoop]]:
    segments: list[list[FusedLoop]] = []
    for loop in loops:
        if segments and segments[-1][0].calls[0].line == loop.calls[0].line:
            segments[-1].append(loop)
        else:
            segments.append([loop])
    return segments
