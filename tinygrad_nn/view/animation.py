"""The backward pass step by step: who fires, what it sends, who still waits, and the two classic mistakes."""

from __future__ import annotations

import dataclasses
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import unbroadcast
from tinygrad_nn.operation import Traced
from tinygrad_nn.view.graph.computation import Graph, Slot
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.renderers import style, svg
from tinygrad_nn.view.scene import Edge, Node, Note, Row, Scene
from tinygrad_nn.view.scenes.heat import largest
from tinygrad_nn.view.scenes.operations import SHOW, Ids, operations
from tinygrad_nn.view.text import html_text, measure, number, shape

__all__ = ["Film", "film"]

MISTAKES = {
    "assign": "Mistake: each part replaces the one before (=) instead of being added (+=)",
    "order": "Mistake: a node fires as soon as anything has reached it, and what comes later is not passed on",
}
MOST = 40  # frames


@dataclass
class State:
    """How far the backward pass is: gradients so far, how many parts have come, who has fired, who is in turn."""

    gradient: dict[Any, Any] = field(default_factory=dict)
    received: dict[Any, int] = field(default_factory=dict)
    fired: set[Any] = field(default_factory=set)
    turn: Any = None
    sent: dict[tuple[Any, int], Any] = field(default_factory=dict)
    late: set[Any] = field(default_factory=set)  # nodes that something reached after they had fired


class Film:
    """The frames of a backward pass; shows itself in notebooks as a strip, `save` writes .svg, .gif, .html or .json.

    `frames` are pictures, `captions` say in words what happens in each.
    """

    def __init__(self, frames: list[Picture], captions: list[str], title: str):
        self.frames, self.captions, self.title = tuple(frames), tuple(captions), title

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<film: {self.title}; {len(self)} frames>"

    def svg(self) -> str:
        """All frames below each other, with their captions."""
        root = ET.Element(f"{{{svg.SVG}}}svg", {"role": "img", "font-family": svg.FONTS})
        ET.SubElement(root, f"{{{svg.SVG}}}title").text = self.title
        ET.SubElement(root, f"{{{svg.SVG}}}desc").text = " ".join(self.captions)
        paper = ET.SubElement(root, f"{{{svg.SVG}}}rect", {"x": "0", "y": "0", "fill": style.PAPER})
        y = width = 0.0
        for i, (frame, caption) in enumerate(zip(self.frames, self.captions, strict=True)):
            drawing = ET.fromstring(frame.svg())
            _, _, w, h = (float(x) for x in drawing.get("viewBox", "0 0 0 0").split())
            text = ET.SubElement(
                root, f"{{{svg.SVG}}}text",
                {"x": "16", "y": f"{y + 24:g}", "font-size": "14", "font-weight": "bold", "fill": style.INK},
            )  # fmt: skip
            text.text = caption
            for element in drawing.iter():
                if "id" in element.attrib:
                    element.set("id", f"f{i}{element.get('id')}")
            place = ET.SubElement(root, f"{{{svg.SVG}}}g", {"transform": f"translate(0 {y + 30:g})", "class": "frame"})
            place.extend(e for e in drawing if e.tag == f"{{{svg.SVG}}}g")
            y, width = y + 30 + h, max(width, w, measure(caption, 14, bold=True) + 32)
        paper.set("width", f"{width:g}")
        paper.set("height", f"{y:g}")
        root.set("width", f"{width:g}pt")
        root.set("height", f"{y:g}pt")
        root.set("viewBox", f"0 0 {width:g} {y:g}")
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"

    def gif(self, seconds: float = 2.0) -> bytes:
        """The frames one after the other.  ImportError, with the way out, where pillow is not installed."""
        try:
            from PIL import Image
        except ImportError:
            raise ImportError("animated GIFs need pillow: pip install tinygrad_nn[gif], or save as .svg") from None
        images = [Image.open(io.BytesIO(frame.png())).convert("RGB") for frame in self.frames]
        size = max(i.width for i in images), max(i.height for i in images)
        sheets = []
        for image in images:
            sheet = Image.new("RGB", size, style.PAPER)
            sheet.paste(image, (0, 0))
            sheets.append(sheet)
        out = io.BytesIO()
        times = [round(1000 * seconds)] * (len(sheets) - 1) + [round(3000 * seconds)]
        sheets[0].save(out, "GIF", save_all=True, append_images=sheets[1:], duration=times, loop=0)
        return out.getvalue()

    def html(self) -> str:
        """A page with all frames."""
        title = html_text(self.title)
        body = self.svg().split("?>", 1)[1]
        head = f'<meta charset="utf-8">\n<title>{title}</title>'
        return f'<!doctype html>\n<html lang="en">\n{head}\n<body>{body}</body>\n</html>\n'

    def save(self, path: str | Path) -> Path:
        """Write to a file in the format of its suffix: .svg .gif .html.  ValueError for another one."""
        path = Path(path)
        writers: dict[str, Callable[[], bytes]] = {
            ".svg": lambda: self.svg().encode(),
            ".gif": self.gif,
            ".html": lambda: self.html().encode(),
        }
        if path.suffix.lower() not in writers:
            raise ValueError(f"films are saved as {' '.join(writers)}, not {path.suffix or path.name!r}")
        path.write_bytes(writers[path.suffix.lower()]())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()


# --- the backward pass, and how it goes wrong ------------------------------------------------------------------------


def _part(slot: Slot, g: Any) -> Any:
    """What a node with gradient g sends to one of its arguments."""
    node, x = slot.target, slot.source.value
    inputs = [a.value if isinstance(a, Traced) else a for a in node.inputs]
    with np.errstate(all="ignore"):
        part = node.op.vjps[slot.slot](g, node.value, *inputs, **(node.params or {}))
    return unbroadcast(np.asarray(part), np.shape(x))


def _run(graph: Graph, mistake: str | None) -> Iterator[State]:
    """The states after each firing.  The order is that of creation backwards, but for the mistake `order`."""
    reached = {node.index for node in graph.nodes if node.index in graph.gradient}
    state = State(gradient={graph.root.index: np.ones_like(graph.root.value)})
    yield dataclasses.replace(state, gradient=dict(state.gradient))
    waiting = [graph.root]
    by_index = {node.index: node for node in graph.nodes}
    while waiting:
        if mistake != "order":
            waiting.sort(key=lambda node: node.index)
            node = waiting.pop()
        else:
            node = waiting.pop(0)
        slots = [s for s in graph.incoming.get(node.index, ()) if s.flows and s.source.index in reached]
        if not slots:
            continue
        sent = {}
        gradient, received = dict(state.gradient), dict(state.received)
        late = set(state.late)
        fired = state.fired | {node.index}
        for slot in slots:
            part = graph.sent[slot.key] if mistake is None else _part(slot, gradient[node.index])
            at = slot.source.index
            sent[slot.key] = part
            received[at] = received.get(at, 0) + 1
            gradient[at] = part if at not in gradient or mistake == "assign" else gradient[at] + part
            if at in fired:
                late.add(at)
            elif all(n.index != at for n in waiting):
                waiting.append(by_index[at])
        state = State(gradient, received, fired, node, sent, late)
        yield state


def film(
    graph: Graph,
    mistake: str | None = None,
    show: Collection[str] = SHOW,
    engine: str | None = None,
    timeout: float = 10.0,
) -> Film:
    """The frames of the backward pass of a graph.  ValueError for an unknown mistake, or where nothing flows back."""
    if mistake is not None and mistake not in MISTAKES:
        raise ValueError(f"mistake must be 'assign' or 'order', not {mistake!r}")
    if not graph.root.tracked or graph.broken:
        raise ValueError(
            "there is no backward pass to show: " + (next(iter(graph.broken.values()), "") or "no gradient flows here")
        )
    base = operations(graph, None, [part for part in show if part not in ("gradient", "sums", "paths")])
    states = list(_run(graph, mistake))
    left = 0
    if len(states) > MOST:
        left, states = len(states) - MOST, [*states[: MOST // 2], *states[-(MOST // 2) :]]
    frames, captions = [], []
    for k, state in enumerate(states):
        number_of = k if k < MOST // 2 or not left else k + left
        captions.append(f"{number_of}   {_caption(graph, state)}")
        last = k == len(states) - 1
        frames.append(Picture(_frame(graph, base, states, state, mistake, last), engine, timeout))
    title = f"Backward pass of {graph.name(graph.root)}, step by step" + (f" ({mistake} mistake)" if mistake else "")
    return Film(frames, captions, title)


def _caption(graph: Graph, state: State) -> str:
    if state.turn is None:
        return f"The backward pass begins: the gradient of {graph.name(graph.root)} by itself is 1"
    node, name = state.turn, graph.name(state.turn)
    to = [f"{_amount(part)} to {graph.name(_source(graph, key))}" for key, part in state.sent.items()]
    added = {_source(graph, key).index: _source(graph, key) for key in state.sent}
    sums = [
        f"{graph.name(x)} now has {_amount(state.gradient[x.index])}"
        for x in added.values() if state.received[x.index] > 1
    ]  # fmt: skip
    expected = _expected(graph, node)
    got = state.received.get(node.index, 0)
    full = f"has received {got} of {expected}, and " if expected else ""
    return f"{name} {full}fires: it sends {', '.join([*to, *sums])}"


def _source(graph: Graph, key: tuple[Any, int]) -> Any:
    return next(slot.source for slot in graph.incoming[key[0]] if slot.key == key)


def _expected(graph: Graph, node: Any) -> int:
    """How many parts a node has to wait for."""
    return sum(slot.key in graph.sent for slot in graph.outgoing.get(node.index, ()))


def _amount(value: Any) -> str:
    return number(value.item()) if np.size(value) == 1 else f"an array of {shape(value)}, ±{number(largest(value))}"


def _frame(graph: Graph, base: Scene, states: list[State], state: State, mistake: str | None, last: bool) -> Scene:
    """One frame: every box as large as in all the others, so that nothing moves."""
    ids = Ids(graph)
    nodes = {ids.nodes[node.index]: node for node in graph.nodes}
    slots = {ids.edges[slot.key]: slot for slot in graph.slots}
    drawn = tuple(_box(graph, node, nodes[node.id], states, state, last) for node in base.nodes)
    edges = tuple(_arrow(graph, edge, slots[edge.id], states, state) for edge in base.edges)
    notes = [Note(MISTAKES[mistake], bad=True)] if mistake else []
    if last:
        notes.append(_verdict(graph, state, mistake))
    return dataclasses.replace(
        base, title=_caption(graph, state), description=_caption(graph, state), nodes=drawn, edges=edges,
        notes=(*base.notes, *notes),
    )  # fmt: skip


def _box(graph: Graph, node: Node, tensor: Any, states: list[State], state: State, last: bool) -> Node:
    if tensor.index not in graph.gradient:
        return node
    expected, got = _expected(graph, tensor), state.received.get(tensor.index, 0)
    g = state.gradient.get(tensor.index)
    texts = [_amount(s.gradient[tensor.index]) for s in states if tensor.index in s.gradient] or ["–"]
    room = max(measure(text, 12, bold=True) for text in texts)
    settled = last or tensor.index in state.fired
    wrong = g is not None and settled and not _equal(g, graph.gradient[tensor.index])
    label = f"∂{graph.name(graph.root)}/∂{graph.name(tensor)}"
    status = f"{got} of {expected}" if expected else "start"
    if tensor.index in state.late:
        status += ", too late"
    rows = (
        *node.rows,
        Row(label if len(label) <= 12 else "gradient", "–" if g is None else _amount(g), bad=wrong, room=room),
        Row(
            "received",
            status,
            bad=tensor.index in state.late,
            room=measure("9 of 9, too late" if states[-1].late else "9 of 9"),
        ),
    )
    turn = state.turn is not None and tensor.index == state.turn.index
    return dataclasses.replace(node, rows=rows, strong=turn, faint=not turn and tensor.index in state.fired)


def _arrow(graph: Graph, edge: Edge, slot: Slot, states: list[State], state: State) -> Edge:
    if slot.key not in graph.sent:
        return edge
    parts = [s.sent[slot.key] for s in states if slot.key in s.sent]
    room = max((measure(f"← {_amount(part)}", 11) for part in parts), default=0.0)
    part = state.sent.get(slot.key)
    label = f"{edge.label}\n" + (f"← {_amount(part)}" if part is not None else " ")
    return dataclasses.replace(edge, label=label, lanes=(2,) if part is not None else (), kind="sends", room=room)


def _equal(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-6 if np.asarray(b).dtype.itemsize > 4 else 1e-3, atol=0, equal_nan=True))


def _verdict(graph: Graph, state: State, mistake: str | None) -> Note:
    leaves = [n for n in graph.nodes if n.op is None and n.index in graph.gradient]
    wrong = [n for n in leaves if not _equal(state.gradient.get(n.index, np.nan), graph.gradient[n.index])]
    if not wrong:
        happens = " (this mistake does no harm in this graph)" if mistake else ""
        return Note(f"✓ done: all gradients are those of the backward pass{happens}")
    n = wrong[0]
    name = f"∂{graph.name(graph.root)}/∂{graph.name(n)}"
    got, right = _amount(state.gradient[n.index]), _amount(graph.gradient[n.index])
    return Note(f"✗ wrong: {name} came out as {got}, and is {right}", bad=True)
