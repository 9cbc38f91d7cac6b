"""`tn.draw` of a compiled step: the calls of its program, the arrays between them, and the memory that these share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.replay import Compiled, Program
from tinygrad_nn.replay.blocks import cut
from tinygrad_nn.replay.nodes import Node, item, written
from tinygrad_nn.replay.planning import Buffer, Chain
from tinygrad_nn.replay.step import Given, Result, parts
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.view import scene as model
from tinygrad_nn.view.graph.computation import parameter
from tinygrad_nn.view.renderers.style import LANES
from tinygrad_nn.view.scene import Edge, Group, PathRow, PathTable, Row, Scene
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.text import shape, shorten

__all__ = ["is_compiled", "program_scene"]

MOST = 60  # boxes before the middle is folded
ALIKE = 3  # boxes that do the same to other memories, from which on one stands for all
LISTED = 8  # buffers in the table


def is_compiled(x: Any) -> bool:
    """Whether it is a compiled step, as a method of an object, too, or its program."""
    return isinstance(getattr(x, "__func__", x), (Compiled, Program))


def program_scene(root: Any, most: int | None) -> Scene:
    """The picture of a compiled step.  ValueError if it has not been called yet."""
    root = getattr(root, "__func__", root)
    program = root.program if isinstance(root, Compiled) else root
    if program is None:
        raise ValueError(
            f"{root!r} has not been called yet, and so there is no program to draw: call it with its arguments, then "
            "draw it"
        )
    return fold(Drawing(program).scene(), most or MOST)


@dataclass(eq=False)
class Box:
    """Calls that follow each other, each result read only by a later one of them, but for the last: one formula.

    `others` are boxes that do the same to other memories, for which this one stands, too.
    """

    calls: list[Node]
    chain: Chain
    segment: int
    others: list[Box] = field(default_factory=list)

    @property
    def last(self) -> Node:
        """The call whose result it gives."""
        return self.calls[-1]

    @property
    def all(self) -> list[Box]:
        """Itself and the others."""
        return [self, *self.others]


class Drawing:
    """The picture of one program."""

    def __init__(self, program: Program):
        self.program, self.plan, self.step = program, program.plan, program.step
        self.calls = [call for chain in self.plan.chains for call in chain.calls]
        self.number = {call: i for i, call in enumerate(self.calls, 1)}
        self.memories = {memory.node: memory for memory in self.step.memories}
        self._place = {node: i for i, node in enumerate(self.memories, 1)}
        self.segments = _segments(self.plan.chains)
        self.fate = self._fates()
        self.boxes = self._boxes()
        self.box = {call: box for box in self.boxes for one in box.all for call in one.calls}
        self.buffers: dict[Buffer, list[Node]] = defaultdict(list)  # with the calls that write to them
        for call in self.calls:
            place = self.plan.place.get(call)
            if isinstance(place, Buffer):
                self.buffers[place].append(call)
        shared = [b for b, calls in self.buffers.items() if len({self.box[call].last for call in calls}) > 1]
        self._drawn = 0  # arrows
        self.lane = {buffer: k % len(LANES) + 1 for k, buffer in enumerate(shared)}

    def name(self, node: Node) -> str:
        """What a value is called in the listing."""
        return self.program.listed(node)[0]

    # -- what becomes of the results

    def _fates(self) -> dict[Node, list[str]]:
        """What is done with results when all calls are made."""
        found: dict[Node, list[str]] = defaultdict(list)

        def note(node: Node | None, words: str) -> None:
            if node is not None:
                found[node.root()].append(words if node.base is None else f"{self._view(node)} {words}")

        for path, leaf in parts(self.step.result, {}):
            words = "returned" + (f" as result{path.removeprefix('args')}" if path != "args" else "")
            if isinstance(leaf, Result):
                note(leaf.node, words)
            elif isinstance(leaf, Given):
                note(self._value_of(leaf.argument), words)
        for owner, gradient in self.step.gradients:
            note(gradient, f"given out as {self._owner(owner)}.grad")
        for memory, value in self.plan.stores:
            note(value, f"copied to {self.name(memory)} at the end")
        return found

    def _value_of(self, owner: Any) -> Any:
        """The memory of a tensor, or of the argument of that number; None if no call reads it."""
        for node, memory in self.memories.items():
            same = memory.argument == owner if isinstance(owner, int) else memory.tensor is owner
            if same and memory.kind == "value":
                return node
        return None

    def _owner(self, owner: Any) -> str:
        node = self._value_of(owner)
        if node is not None:
            return self.name(node).removesuffix("_value")
        return "an argument" if isinstance(owner, int) else owner.name or "p"

    def _overwritten(self, call: Node) -> Node | None:
        """The memory that a call updates in place."""
        place = self.plan.place.get(call)
        return place if isinstance(place, Node) else None

    # -- boxes

    def _boxes(self) -> list[Box]:
        """The calls in order; what goes to a single call stands before it in its box."""
        readers: dict[Node, set[Node]] = defaultdict(set)
        for call in self.calls:
            for x in call.inputs():
                readers[x.root()].add(call)
        boxes: list[Box] = []
        for i, segment in enumerate(self.segments):
            start = len(boxes)
            for chain in segment:
                for call in chain.calls:
                    box = Box([call], chain, i)
                    while len(boxes) > start and self._passes(boxes[-1], box) and readers[boxes[-1].last] == {call}:
                        box.calls = boxes.pop().calls + box.calls
                    boxes.append(box)
        families: dict[Any, list[Box]] = defaultdict(list)
        for box in boxes:
            alike = self._overwritten(box.last) is not None
            families[(box.segment, *(call.func for call in box.calls)) if alike else box].append(box)
        for family in families.values():
            if len(family) >= ALIKE:
                family[0].others = family[1:]
        hidden = {other for box in boxes for other in box.others}
        return [box for box in boxes if box not in hidden]

    def _passes(self, box: Box, after: Box) -> bool:
        """Whether the result of a box is nothing but an operand, for calls that run one by one or in the same chain."""
        together = box.chain is after.chain or len(box.chain.calls) == len(after.chain.calls) == 1
        kept = box.last in self.fate or box.last in self.plan.effects or self._overwritten(box.last) is not None
        return together and not kept

    def _inputs(self, box: Box) -> Iterator[Node]:
        """What a box reads, but for the memories that it updates."""
        seen: set[Node] = set()
        for one in box.all:
            own = {*one.calls, *map(self._overwritten, one.calls)}
            for x in (x for call in one.calls for x in call.inputs()):
                if x not in seen and x.root() not in own:
                    seen.add(x)
                    yield x

    # -- the picture

    def scene(self) -> Scene:
        """All of it."""
        nodes: dict[str, model.Node] = {}
        edges: list[Edge] = []
        noted = {*self.fate}
        for box in self.boxes:
            for x in (x.root() for x in self._inputs(box)):
                if x in self.memories and self._id(x, box) not in nodes:
                    nodes[self._id(x, box)] = self._memory(x, box, x in noted)
                    noted.discard(x)
            edges += self._arrows(box)
            nodes[self._id(box.last)] = self._card(box)
        for x in self.memories:
            if x in noted:
                nodes[self._id(x)] = self._memory(x, None, True)
        function, n = getattr(self.program.function, "__name__", "step"), len(self.calls)
        title = f"Program of {function}: {n} call{'s' * (n != 1)}, {self._sizes()}"
        return Scene(
            title=title,
            description=" ".join([f"{title}.", *self._words()]),
            nodes=tuple(nodes.values()),
            edges=tuple(edges),
            groups=tuple(self._groups()),
            table=self._table() if self.buffers else None,
            direction="TB",
        )

    def _sizes(self) -> str:
        n = len(self.buffers)
        return f"{n} buffer{'s' * (n != 1)} of {self.program.nbytes:,} bytes together"

    def _id(self, x: Node, box: Box | None = None) -> str:
        """A memory is drawn once for each line of the step that reads it, so that arrows are short."""
        root = x.root()
        if root in self.memories:
            return f"m{self._place[root]}" if box is None else f"m{self._place[root]}_{box.segment}"
        return f"c{self.number[self.box[root].last]}"

    def _memory(self, x: Node, box: Box | None, noted: bool) -> model.Node:
        """What was there before the calls."""
        memory, name = self.memories[x], self.name(x)
        role = "constant" if memory.kind == "constant" else "argument" if memory.argument is not None else "state"
        tensor = self.step.arguments[memory.argument][1] if memory.argument is not None else memory.tensor
        if memory.kind == "value" and type(tensor) is Tensor and tensor.tracked:
            role = "parameter"
        rows = [Row("", f"{shape(x.sample)}, {x.sample.dtype}")]
        if x in self.plan.written:
            value = self.plan.written[x]
            rows.append(Row("", "updated in place" if self._overwritten(value) is x else "overwritten at the end"))
        return model.Node(
            self._id(x, box), role, name, name, tuple(rows),
            note="; ".join(self.fate[x]) if noted else "",
            tooltip=f"{name}: {_origin(memory)}, {_layout(x)}",
            group=f"line{box.segment}" if box is not None else "", kind=role,
        )  # fmt: skip

    def _card(self, box: Box) -> model.Node:
        names = [self.name(one.last) for one in box.all]
        fate = [words for one in box.all for words in self.fate.get(one.last, ())]
        memory = self._overwritten(box.last)
        if memory is not None:
            title = f"{shorten(', '.join(names), 32)} updated in place"
        else:
            title = f"{names[0]}   {_size(box.last)}" if names[0] else "a call for what it does"
        more = [f"… and the same for the others, {len(box.all) - 1} times"] if box.others else []
        returned = any(words.startswith("returned") for words in fate)
        lines = [f"{self.number[call]}  {self.program.listed(call)[1]}" for one in box.all for call in one.calls]
        return model.Node(
            self._id(box.last), "returned" if returned else "operation" if memory is None else "updated",
            names[0], title, tuple([self._row(call) for call in box.calls]), note="; ".join([*more, *fate]),
            tooltip="\n".join([*lines, _layout(box.last), written(box.last.line)]),
            group=self._group(box), kind="call", count=sum(len(one.calls) for one in box.all),
        )  # fmt: skip

    def _row(self, call: Node) -> Row:
        """A call as it is listed, with the buffer that it writes to."""
        name, line = self.program.listed(call)
        lane = -1 if self._overwritten(call) else self.lane.get(self.plan.place.get(call), 0)  # type: ignore[arg-type]
        return Row(str(self.number[call]), shorten(line, 60), mark=name, lane=lane)

    def _arrows(self, box: Box) -> Iterator[Edge]:
        """What goes into a box: an arrow for each array; one for all, where there are many views of the same."""
        views: dict[Node, list[Node]] = defaultdict(list)
        for x in self._inputs(box):
            if self._id(x, box) == self._id(box.last):
                continue
            if x.base is not None:
                views[x.root()].append(x)
            else:
                label = "" if x in self.memories else _size(x)
                yield self._arrow(x, box, label, f"{self.name(x)}, {_layout(x)}")
        for root, some in views.items():
            said = [(f"{self.name(x)} = {self._view(x)}", x) for x in some]
            tooltips = [f"{text}, a view, {_layout(x)}" for text, x in said]
            if len(some) > 2:
                label = f"{len(some)} views of {self.name(root)}\n{self.name(some[0])} … {self.name(some[-1])}"
                yield self._arrow(root, box, label, "\n".join(tooltips), "view", len(some))
            else:
                for (text, x), tooltip in zip(said, tooltips, strict=True):
                    yield self._arrow(x, box, f"{shorten(text, 34)}\n{_size(x)}", tooltip, "view")

    def _arrow(self, x: Node, box: Box, label: str, tooltip: str, kind: str = "array", count: int = 1) -> Edge:
        self._drawn += 1
        return Edge(
            f"e{self._drawn}", self._id(x, box), self._id(box.last), 0, label, tooltip=tooltip, kind=kind, count=count
        )

    def _view(self, x: Node) -> str:
        """How a view is made of what owns its memory."""
        if x.base is None:
            return self.name(x)
        base, rest = self._view(x.base), [parameter(a) for a in (*x.args[1:], *x.kwargs.values())]
        if x.func is item:
            return f"{base}[{rest[0]}]"
        if x.func is np.transpose and not rest:
            return f"{base}.T"
        return f"{base}.{x.name}({', '.join(str(a) or '()' for a in rest)})"

    # -- frames: lines of the step, and in them chains

    def _group(self, box: Box) -> str:
        if len(box.chain.calls) == 1:
            return f"line{box.segment}"
        return f"chain{self.plan.chains.index(box.chain) + 1}"

    def _groups(self) -> Iterator[Group]:
        for i, segment in enumerate(self.segments):
            where = written(segment[0].calls[0].line)
            yield Group(f"line{i}", shorten(where, 70), where)
            for chain in segment:
                if len(chain.calls) > 1:
                    like = chain.calls[0].sample
                    axis, rows = cut(like.shape, like.strides, like.itemsize)
                    n, what = -(-like.shape[axis] // rows), ("rows", "columns")[axis] if like.ndim == 2 else "parts"
                    words = f"fused: {len(chain.calls)} calls on one block of {rows} {what} after the other, {n} blocks"
                    yield Group(f"chain{self.plan.chains.index(chain) + 1}", words, words, parent=f"line{i}")

    # -- words and numbers

    def _table(self) -> PathTable:
        """The buffers with their sizes, and what sharing them saves."""
        kept = {b: calls for b, calls in self.buffers.items() if not b.block}
        listed = sorted(kept, key=lambda b: b not in self.lane)[:LISTED]
        rows = []
        for b in listed:
            words = f"{shape(b.like)}, {b.like.dtype}, written by {_calls(self.number[call] for call in kept[b])}"
            rows.append(PathRow(self.lane.get(b, 0), words, "", f"{b.like.nbytes:,}", mark=self.name(kept[b][0])))
        left = [b for b in kept if b not in listed]
        if left:
            rows.append(PathRow(0, f"… and {len(left)} more", "", f"{sum(b.like.nbytes for b in left):,}"))
        alone = sum(call.sample.nbytes for calls in kept.values() for call in calls)
        rest = [f"An array of its own for each of these results would take {alone:,} bytes"]
        scratch = [b for b in self.buffers if b.block]
        if scratch:
            names = ", ".join(self.name(self.buffers[b][0]) for b in scratch)
            rest.append(f"Besides, memory for one block of what only passes through a fused chain: {names}")
        return PathTable(self._sizes(), tuple(rows), tuple(rest), total=f"{self.program.nbytes:,}", check="bytes")

    def _words(self) -> Iterator[str]:
        """The picture for readers who cannot see it."""
        for box in self.boxes[:30]:
            lines = "; ".join(self.program.listed(call)[1] for call in box.calls)
            also = f", and so on, {len(box.all)} times" if box.others else ""
            fate = ", ".join(self.fate.get(box.last, ()))
            yield f"{lines}{also}{f' ({fate})' if fate else ''}."
        if len(self.boxes) > 30:
            yield f"And {len(self.boxes) - 30} more boxes."


def _segments(chains: Iterable[Chain]) -> list[list[Chain]]:
    """The chains, line by line of the step."""
    segments: list[list[Chain]] = []
    for chain in chains:
        if segments and segments[-1][0].calls[0].line == chain.calls[0].line:
            segments[-1].append(chain)
        else:
            segments.append([chain])
    return segments


def _size(x: Node) -> str:
    """The shape of a value; some calls return several at once."""
    return f"{len(x.sample)} arrays" if isinstance(x.sample, (tuple, list)) else shape(x.sample)


def _layout(x: Node) -> str:
    """Shape, dtype and size of a value."""
    if isinstance(x.sample, (tuple, list)):
        return _size(x)
    return f"{_size(x)}, {x.sample.dtype}, {x.sample.nbytes:,} bytes"


def _origin(memory: Any) -> str:
    if memory.kind == "found":
        return "found" if memory.place is None else f"found as {memory.place.name}"
    if memory.kind == "constant":
        return "made by the step itself"
    return "an argument" if memory.argument is not None else f"the {memory.kind} of a tensor"


def _calls(numbers: Iterable[int]) -> str:
    """Numbers of calls, those that follow each other together: `calls 1–6, 9`."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    words = [str(a) if a == b else f"{a}–{b}" for a, b in runs]
    n = sum(b - a + 1 for a, b in runs)
    if len(words) > 8:
        words[7:] = [f"… {n} calls in all"]
    return f"call{'s' * (n > 1)} {', '.join(words)}"
