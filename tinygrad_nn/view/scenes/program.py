"""`tn.draw` of a compiled step: the calls of its program, the arrays between them, and the memory that these share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tinygrad_nn.compiler import Compiled, Program
from tinygrad_nn.compiler.ir import ArrayInput, Node, code_line
from tinygrad_nn.compiler.tiling import cut
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Cluster, Direction, Field, Role, Scene, Table, TableRow
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.scenes.program_calls import CallGroup, ProgramCalls
from tinygrad_nn.view.text import plural, shape, shorten

__all__ = ["is_compiled", "program_scene"]

MOST = 60  # boxes before the middle is folded
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
    return fold(_Drawing(ProgramCalls(program)).scene(), most or MOST)


class _Drawing:
    """The picture of one program."""

    def __init__(self, program: ProgramCalls):
        self.program, self.plan = program, program.plan
        self.place = {node: i for i, node in enumerate(program.inputs, 1)}
        self.drawn = 0  # arrows

    def scene(self) -> Scene:
        """All of it."""
        program, boxes, arrows = self.program, dict[str, Box](), list[Arrow]()
        unsaid = {*program.uses}
        for group in program.groups:
            for x in (x.root() for x in program.operands(group)):
                if x in program.inputs and self._id(x, group) not in boxes:
                    boxes[self._id(x, group)] = self._input(x, group, x in unsaid)
                    unsaid.discard(x)
            arrows += self._arrows(group)
            boxes[self._id(group.last)] = self._card(group)
        boxes |= {self._id(x): self._input(x, None, True) for x in program.inputs if x in unsaid}
        function = getattr(program.program.function, "__name__", "step")
        title = f"Program of {function}: {plural(len(program.calls), 'call')}, {self._sizes()}"
        return Scene(
            title=title,
            boxes=tuple(boxes.values()),
            arrows=tuple(arrows),
            clusters=tuple(self._clusters()),
            table=self._table() if program.buffers else None,
            direction=Direction.DOWN,
            wide=True,
        )

    def _sizes(self) -> str:
        return f"{plural(len(self.program.buffers), 'buffer')} of {self.program.program.nbytes:,} bytes together"

    def _id(self, x: Node, group: CallGroup | None = None) -> str:
        """An input is drawn once for each line of the step that reads it, so that arrows are short."""
        root = x.root()
        if root in self.program.inputs:
            return f"m{self.place[root]}" if group is None else f"m{self.place[root]}_{group.segment}"
        return f"c{self.program.number[self.program.group[root].last]}"

    # --- boxes

    def _input(self, x: Node, group: CallGroup | None, noted: bool) -> Box:
        """An array that was there before the calls."""
        program, given, name = self.program, self.program.inputs[x], self.program.name(x)
        tensor = program.step.arguments[given.argument][1] if given.argument is not None else given.tensor
        role = Role.ARGUMENT if given.argument is not None else Role.STATE
        if given.kind == "array" and x not in self.plan.written:
            role = Role.CONSTANT
        elif given.kind == "value" and type(tensor) is Tensor and tensor.tracked:
            role = Role.PARAMETER
        fields = [Field("", f"{shape(x.sample)}, {x.sample.dtype}")]
        if x in self.plan.written:
            in_place = program.written_to(self.plan.written[x]) is x
            fields.append(Field("", "updated in place" if in_place else "overwritten at the end"))
        return Box(
            self._id(x, group),
            role,
            name,
            name,
            tuple(fields),
            note="; ".join(program.uses[x]) if noted else "",
            tooltip=f"{name}: {_origin(given)}, {_layout(x)}",
            cluster=f"line{group.segment}" if group is not None else "",
            kind=role,
        )

    def _card(self, group: CallGroup) -> Box:
        program, last = self.program, group.last
        names = [program.name(one.last) for one in group.all]
        uses = [use for one in group.all for use in program.uses.get(one.last, ())]
        updates = program.written_to(last) is not None
        title = f"{names[0]}   {_size(last)}" if names[0] else "a call for what it does"
        if updates:
            title = f"{shorten(', '.join(names), 32)} updated in place"
        role = Role.UPDATED if updates else Role.OPERATION
        if any(use.startswith("returned") for use in uses):
            role = Role.RETURNED
        more = [f"… and the same for the others, {len(group.others)} times"] if group.others else []
        lines = [f"{program.number[call]}  {program.line(call)}" for one in group.all for call in one.calls]
        return Box(
            self._id(last),
            role,
            names[0],
            title,
            tuple(self._field(call) for call in group.calls),
            note="; ".join([*more, *uses]),
            tooltip="\n".join([*lines, _layout(last), code_line(last.line)]),
            cluster=self._cluster(group),
            kind="call",
            count=sum(len(one.calls) for one in group.all),
        )

    def _field(self, call: Node) -> Field:
        """A call as it is listed, with the buffer that it writes to."""
        program = self.program
        lane = -1 if program.written_to(call) else program.shared.get(self.plan.place.get(call), 0)  # type: ignore[arg-type]
        text = shorten(program.line(call), 60)
        return Field(str(program.number[call]), text, mark=program.name(call), lane=lane)

    # --- arrows

    def _arrows(self, group: CallGroup) -> Iterator[Arrow]:
        """What goes into a group: an arrow for each array; one for all, where there are many views of the same."""
        program = self.program
        views: dict[Node, list[Node]] = defaultdict(list)
        for x in program.operands(group):
            if self._id(x, group) == self._id(group.last):
                continue
            if x.base is not None:
                views[x.root()].append(x)
            else:
                label = "" if x in program.inputs else _size(x)
                yield self._arrow(x, group, label, f"{program.name(x)}, {_layout(x)}")
        for root, some in views.items():
            written_out = {x: f"{program.name(x)} = {program.view(x)}" for x in some}
            tooltips = {x: f"{text}, a view, {_layout(x)}" for x, text in written_out.items()}
            if len(some) > 2:
                what = f"{len(some)} views of {program.name(root)}"
                label = f"{what}\n{program.name(some[0])} … {program.name(some[-1])}"
                yield self._arrow(root, group, label, "\n".join(tooltips.values()), ArrowKind.VIEW, len(some))
                continue
            for x in some:
                label = f"{shorten(written_out[x], 34)}\n{_size(x)}"
                yield self._arrow(x, group, label, tooltips[x], ArrowKind.VIEW)

    def _arrow(
        self, x: Node, group: CallGroup, label: str, tooltip: str, kind: ArrowKind = ArrowKind.ARRAY, count: int = 1
    ) -> Arrow:
        self.drawn += 1
        ends = self._id(x, group), self._id(group.last)
        return Arrow(f"e{self.drawn}", *ends, label=label, tooltip=tooltip, kind=kind, count=count)

    # --- frames: lines of the step, and in them fused calls

    def _cluster(self, group: CallGroup) -> str:
        if len(group.loop.calls) == 1:
            return f"line{group.segment}"
        return f"loop{self.plan.loops.index(group.loop) + 1}"

    def _clusters(self) -> Iterator[Cluster]:
        for i, segment in enumerate(self.program.segments):
            where = code_line(segment[0].calls[0].line)
            yield Cluster(f"line{i}", shorten(where, 70), where)
            for loop in segment:
                if len(loop.calls) > 1:
                    like = loop.calls[0].sample
                    axis, rows = cut(like.shape, like.strides, like.itemsize)
                    n, what = -(-like.shape[axis] // rows), ("rows", "columns")[axis] if like.ndim == 2 else "parts"
                    words = f"fused: {len(loop.calls)} calls on one block of {rows} {what} after the other, {n} blocks"
                    yield Cluster(f"loop{self.plan.loops.index(loop) + 1}", words, words, parent=f"line{i}")

    # --- the table

    def _table(self) -> Table:
        """The buffers with their sizes, and what sharing them saves."""
        program = self.program
        kept = {b: calls for b, calls in program.buffers.items() if not b.block}
        listed = sorted(kept, key=lambda b: b not in program.shared)[:LISTED]
        rows = []
        for b in listed:
            calls = _calls(program.number[call] for call in kept[b])
            words = f"{shape(b.like)}, {b.like.dtype}, written by {calls}"
            mark = program.name(kept[b][0])
            rows.append(TableRow(program.shared.get(b, 0), words, "", f"{b.like.nbytes:,}", mark=mark))
        left = [b for b in kept if b not in listed]
        if left:
            rows.append(TableRow(0, f"… and {len(left)} more", "", f"{sum(b.like.nbytes for b in left):,}"))
        alone = sum(call.sample.nbytes for calls in kept.values() for call in calls)
        rest = [f"An array of its own for each of these results would take {alone:,} bytes"]
        scratch = [program.name(calls[0]) for b, calls in program.buffers.items() if b.block]
        if scratch:
            what = "memory for one block of what only passes through a fused loop"
            rest.append(f"Besides, {what}: {', '.join(scratch)}")
        total = f"{program.program.nbytes:,}"
        return Table(self._sizes(), tuple(rows), tuple(rest), total=total, check="bytes")


def _size(x: Node) -> str:
    """The shape of a value; some calls return several at once."""
    return f"{len(x.sample)} arrays" if isinstance(x.sample, (tuple, list)) else shape(x.sample)


def _layout(x: Node) -> str:
    """Shape, dtype and size of a value."""
    if isinstance(x.sample, (tuple, list)):
        return _size(x)
    return f"{_size(x)}, {x.sample.dtype}, {x.sample.nbytes:,} bytes"


def _origin(given: ArrayInput) -> str:
    if given.kind == "array":
        return "an array that the step has used, or made"
    if given.kind == "captured":
        return "an array that the step can name"
    return "an argument" if given.argument is not None else f"the {given.kind} of a tensor"


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
