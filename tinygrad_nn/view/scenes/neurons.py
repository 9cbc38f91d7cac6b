"""`detail="neurons"`: the founding text's figures with real numbers: the network, inside a neuron, and its fan-out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_nn.view.graph.computation import Graph
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.scene import Edge, Node, Note, PathRow, PathTable, Row, Scene
from tinygrad_nn.view.scenes.heat import largest
from tinygrad_nn.view.text import clean, measure, number, subscript, superscript

__all__ = ["fan_out", "inside", "neurons"]

ACROSS, DOWN = 235.0, 96.0  # between columns, and between the units of one
MOST = 5  # units of a wide layer that are drawn


class Sheet:
    """A picture in the making: columns of units, and arrows between them."""

    def __init__(self, network: Network):
        self.network = network
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.at: dict[str, tuple[float, float]] = {}
        self.texts: list[tuple[float, float, float, float]] = []  # middle, width and height of what is written

    def add(self, node: Node, x: float, y: float) -> str:
        """Put a node at a place, and return its id."""
        self.nodes.append(_placed(node, x, y))
        self.at[node.id] = (x, y)
        return node.id

    def join(self, source: str, target: str, **fields: Any) -> None:
        """Draw an arrow."""
        self.edges.append(Edge(f"e{len(self.edges) + 1}", source, target, 0, **fields))

    def say(self, text: str, source: str, target: str, part: float, side: float = 0.0, **fields: Any) -> None:
        """Write on an arrow, about `part` of the way along it and `side` points to its left, where there is room."""
        (x0, y0), (x1, y1) = self.at[source], self.at[target]
        length = math.hypot(x1 - x0, y1 - y0)
        normal = (y0 - y1) / length * side, (x1 - x0) / length * side
        width, height = max(measure(line, 11) for line in text.split("\n")) + 4, 15.0 * len(text.split("\n"))
        for step in (0.0, -0.08, 0.08, -0.14, 0.14, 0.2, -0.2, 0.26, 0.32):
            p = part + step
            place = x0 + (x1 - x0) * p + normal[0], y0 + (y1 - y0) * p + normal[1]
            if all(
                abs(place[0] - x) > (width + w) / 2 or abs(place[1] - y) > (height + h) / 2 for x, y, w, h in self.texts
            ):
                break
        self.texts.append((*place, width, height))
        self.add(Node(f"t{len(self.nodes)}", "text", "", text, form="text", kind="label", **fields), *place)

    def head(self, text: str, x: float, rows: int, strong: bool = False) -> None:
        """Write above a column."""
        y = (rows - 1) / 2 * DOWN + 66
        self.add(Node(f"t{len(self.nodes)}", "text", "", text, form="text", faint=not strong, strong=strong), x, y)


def _placed(node: Node, x: float, y: float) -> Node:
    return Node(
        **{**{f: getattr(node, f) for f in Node.__dataclass_fields__}, "at": (round(float(x), 1), round(float(y), 1))}
    )


# --- units -----------------------------------------------------------------------------------------------------------


def _chosen(network: Network, level: int, most: int, always: int | None = None) -> list[int]:
    """The units to draw: all of a narrow layer, of a wide one those with the strongest error signals; in order."""
    width = network.width(level)
    if width <= most + 1:
        return list(range(width))
    strength = network.delta(level)
    strength = np.abs(network.a(level) if strength is None else strength)
    ranked = sorted(range(width), key=lambda i: (i != always, -float(strength[i]), i))
    return sorted(ranked[:most])


def _letters(network: Network, level: int) -> tuple[str, str, str]:
    """What value, activation and error signal of a level are called."""
    if level == 0:
        return "", "x", "∂x"
    return "z", "ŷ" if level == len(network) else "a", "δ"


def _unit(network: Network, level: int, i: int, layer: str = "", **fields: Any) -> Node:
    """A unit as a circle with its numbers, whose names end with the layer where no heading tells it."""
    z, a, d = _letters(network, level)
    k = subscript(i + 1) + layer
    delta = network.delta(level)
    rows = []
    if level:
        rows.append(Row(f"{z}{k}", number(network.z(level)[i]), float(network.z(level)[i])))
    rows.append(Row(f"{a}{k}", number(network.a(level)[i]), float(network.a(level)[i])))
    if delta is not None:
        rows.append(Row(f"{d}{k}", number(delta[i]), float(delta[i]), strong=fields.get("strong", False)))
    blocked = network.blocked(level, i)
    where = f"unit {i + 1} of layer {level}" if level else f"input {i + 1}"
    lines = [where, *(f"{row.label} = {row.text}" for row in rows)]
    if blocked:
        lines.append(f"blocked: σ′(z{k}) = 0, so no error signal passes")
    return Node(
        id=f"u{level}_{i + 1}",
        role="input" if level == 0 else "output" if level == len(network) else "operation",
        name=f"{a}{subscript(i + 1)}{superscript(level)}",
        title="",
        rows=tuple(rows),
        tooltip="\n".join(lines),
        form="circle",
        blocked=blocked,
        **fields,
    )


def _rest(network: Network, level: int, shown: list[int], sent: Any = None) -> Node:
    """The units that are not drawn, as one box with what they are, or send back, together."""
    left = np.setdiff1d(np.arange(network.width(level)), shown)
    delta = network.delta(level)
    rows = []
    if sent is not None:
        rows.append(Row("Σ w δ", number(sent[left].sum()), float(sent[left].sum())))
    elif delta is not None:
        rows.append(Row("Σ|δ|", number(np.abs(delta[left]).sum())))
    blocked = sum(network.blocked(level, int(i)) for i in left)
    if blocked:
        rows.append(Row("blocked", str(blocked)))
    title = f"… {len(left)} more"
    return Node(
        f"rest{level}", "fold", title, title, tuple(rows), tooltip=f"{len(left)} further units", count=len(left)
    )


def _before(level: int) -> tuple[str, str]:
    """What goes into a layer: x, or the a of the layer below, by its letter and the number of that layer."""
    return ("x", "") if level == 1 else ("a", superscript(level - 1))


def _weight(k: int, j: int) -> str:
    """The weight of unit k for unit j of the layer below: w₁₂, or w₁₂,₃ where that would be read wrongly."""
    return f"w{subscript(k)}{',' if max(k, j) > 9 else ''}{subscript(j)}"


def _column(
    sheet: Sheet,
    level: int,
    shown: list[int],
    x: float,
    strong: int | None = None,
    faint: bool = False,
    sent: Any = None,
) -> dict[int, str]:
    """A layer as a column of circles, in order from top to bottom; the ids of its units, and of the rest under −1."""
    network = sheet.network
    total = len(shown) + (len(shown) < network.width(level))
    top = (total - 1) / 2 * DOWN
    ids = {}
    for row, i in enumerate(shown):
        unit = _unit(network, level, i, strong=i == strong, faint=faint and i != strong)
        ids[i] = sheet.add(unit, x, top - row * DOWN)
    if total > len(shown):
        ids[-1] = sheet.add(_rest(network, level, shown, sent), x, top - len(shown) * DOWN)
    return ids


def _heading(network: Network, level: int) -> str:
    if level == 0:
        return f"input x\n{network.width(0)} number{'s' * (network.width(0) != 1)}"
    layer = network.layers[level - 1]
    sigma = f", {layer.sigma}" if layer.sigma else ""
    units = f"{layer.units} unit{'s' * (layer.units != 1)}"
    return f"{'output, ' * (level == len(network))}layer {level}{sigma}\n{units}"


# --- figure 1: the network -------------------------------------------------------------------------------------------


def neurons(network: Network, most: int = MOST) -> Scene:
    """The founding text's figure 1: every layer a column of units, arrows as thick as |w a|."""
    sheet = Sheet(network)
    shown = [_chosen(network, level, most) for level in range(len(network) + 1)]
    columns = []
    for level, units in enumerate(shown):
        columns.append(_column(sheet, level, units, level * ACROSS))
        sheet.head(_heading(network, level), level * ACROSS, len(columns[-1]))
    for level in range(1, len(network) + 1):
        _connect(sheet, level, columns[level - 1], columns[level])
    if network.has_loss:
        _loss(sheet, columns[-1])
    notes = ["Solid arrows: positive weights, dashed: negative; as thick as |w a|, what they carry forward"]
    if any(network.blocked(level, i) for level in range(1, len(network) + 1) for i in shown[level]):
        notes.append("Dashed circles: σ′(z) = 0, no error signal passes")
    title = "Network " + "–".join(str(network.width(level)) for level in range(len(network) + 1))
    return _scene(sheet, title, notes)


def _connect(sheet: Sheet, level: int, below: dict[int, str], above: dict[int, str]) -> None:
    """The weights between two columns, with their values where there are few."""
    network = sheet.network
    W = np.asarray(network.layers[level - 1].W.value, dtype=float)
    a = np.asarray(network.a(level - 1), dtype=float)
    widest = largest(W * a)
    labelled = len(below) * len(above) <= 8
    for j, source in below.items():
        for k, target in above.items():
            dead = network.blocked(level, k) if k >= 0 else False
            if j < 0 or k < 0:
                sheet.join(source, target, faint=True)
                continue
            w = float(W[k, j])
            name = _weight(k + 1, j + 1) + superscript(level)
            sheet.join(
                source, target,
                kind="blocked" if dead else "negative" if w < 0 else "flow",
                weight=round(abs(w * a[j]) / widest * 0.5, 3) if widest else 0.0,
                tooltip=f"{name} = {number(w)}, carries {number(w * a[j])}",
            )  # fmt: skip
            if labelled:
                sheet.say(number(w), source, target, 0.3, faint=dead)


def _loss(sheet: Sheet, outputs: dict[int, str]) -> None:
    """The loss behind the output, and what it sends back."""
    network = sheet.network
    graph = network.graph
    root = graph.root
    name, formula = graph.name(root), graph.formula(root)
    rows = (Row("value", number(root.value.item()), float(root.value.item())),) if np.size(root.value) == 1 else ()
    node = Node("loss", "output", name, f"{name} = {clean(formula)}", rows, tooltip="the loss")
    sheet.add(node, (len(network) + 1) * ACROSS, 0)
    error = network.error(network.layers[-1].A)
    for k, source in outputs.items():
        sheet.join(source, "loss", faint=k < 0)
        if k >= 0 and error is not None and len(outputs) <= 6:
            sheet.say(f"∂{name}/∂ŷ{subscript(k + 1)} = {number(error[k])}", source, "loss", 0.4)


def _scene(sheet: Sheet, title: str, notes: list[str], table: PathTable | None = None, words: str = "") -> Scene:
    network = sheet.network
    if network.batch > 1:
        notes = [
            *notes,
            f"Numbers of example {network.example} of {network.batch}; δ = N ∂J/∂z as in the founding text",
        ]
    return Scene(
        title=title,
        description=words or _words(network, title),
        nodes=tuple(sheet.nodes),
        edges=tuple(sheet.edges),
        table=table,
        notes=tuple(Note(text) for text in notes),
    )


def _words(network: Network, title: str) -> str:
    lines = [f"{title}."]
    for level in range(1, len(network) + 1):
        layer = network.layers[level - 1]
        dead = sum(network.blocked(level, i) for i in range(layer.units))
        lines.append(
            f"Layer {level}: {layer.units} units, {layer.fan_in} inputs each"
            f"{', ' + layer.sigma if layer.sigma else ''}{f', {dead} blocked' if dead else ''}."
        )
    return " ".join(lines)


# --- figure 3: the fan-out of one neuron, and the error signals that come back ---------------------------------------


def fan_out(network: Network, level: int, unit: int, most: int = MOST) -> Scene:
    """The founding text's figure 3: a unit feeds all of the next layer, and is sent w δ back by each of its units."""
    _check_unit(network, level, unit, last=len(network) - 1, why="the units of the last layer feed only the loss")
    i, above = unit - 1, level + 1
    sheet = Sheet(network)
    W = np.asarray(network.layers[level].W.value, dtype=float)[:, i]
    delta = network.delta(above)
    sent = None if delta is None else W * delta
    shown = _strongest(sent if sent is not None else W, most)
    neighbours = _chosen(network, level, most=3, always=i)
    left = _column(sheet, level, neighbours, 0, strong=i, faint=True)
    right = _column(sheet, above, shown, ACROSS * 1.35, sent=sent)
    sheet.head(_heading(network, level), 0, len(left))
    sheet.head(_heading(network, above), ACROSS * 1.35, len(right))
    for j, source in left.items():
        if j not in (i, -1):
            for target in right.values():
                sheet.join(source, target, kind="blocked" if network.blocked(level, j) else "flow", faint=True)
    for lane, k in enumerate(shown, 1):
        source, target = left[i], right[k]
        sheet.join(source, target, lanes=(lane,), tooltip=f"carries w a = {number(W[k] * network.a(level)[i])}")
        sheet.say(f"w = {number(W[k])}", source, target, 0.4, side=9, lane=lane)
        if sent is not None:
            sheet.join(target, source, kind="back", lanes=(lane,), tooltip=f"sends back w δ = {number(sent[k])}")
            sheet.say(f"w δ = {number(sent[k])}", source, target, 0.62, side=-9, lane=lane)
    if -1 in right:
        sheet.join(left[i], right[-1], faint=True)
    name = _name(level, unit)
    title = f"Fan-out of {name}, and the error signals that come back"
    table = None if sent is None else _signals(network, level, i, W, delta, shown)
    words = f"{title}. " + ("" if table is None else _table_words(table))
    return _scene(sheet, title, [], table, words)


def _name(level: int, unit: int) -> str:
    return f"unit {unit} of layer {level}" if level else f"input {unit}"


def _strongest(values: Any, most: int) -> list[int]:
    if len(values) <= most + 1:
        return list(range(len(values)))
    return sorted(sorted(range(len(values)), key=lambda k: (-abs(float(values[k])), k))[:most])


def _signals(network: Network, level: int, i: int, W: Any, delta: Any, shown: list[int]) -> PathTable:
    """δ_i = σ′(z_i) Σ_k w_ki δ_k, term by term, and whether it is the δ of the backward pass."""
    above, k_i = level + 1, subscript(i + 1)
    sent = W * delta
    rows = tuple(
        PathRow(lane, f"via unit {k + 1} of layer {above}", f"{number(W[k])} × {_bracketed(delta[k])}",
                number(sent[k]), float(sent[k]))
        for lane, k in enumerate(shown, 1)
    )  # fmt: skip
    left = np.setdiff1d(np.arange(len(W)), shown)
    if len(left):
        others = float(sent[left].sum())
        rows += (PathRow(0, f"… and {len(left)} more units, together", "", number(others), others),)
    total = float(sent.sum())
    error, slope = network.delta(level), network.slope(level) if level else None
    if slope is None:
        ok = None if error is None else _same(total, error[i], sent)
        check = "" if error is None else f"equals ∂L/∂x{k_i} of the backward pass"
        return PathTable(f"∂L/∂x{k_i} = sum over k of w(k,{i + 1}) δ(k)", rows, (), "sum", number(total), ok, check)
    z, d, product = network.z(level)[i], f"δ{k_i}", total * float(slope[i])
    ok = _same(product, error[i], sent)
    check = f"× σ′({number(z)}) = {number(slope[i])} gives {d} = {number(product)}"
    check += ", blocked" if slope[i] == 0 else ", as in the backward pass" if ok else ""
    if not ok:
        check += f"; the backward pass gives {number(error[i])}"
    heading = f"{d} of layer {level} = σ′(z{k_i}) · sum over k of w(k,{i + 1}) δ(k)"
    return PathTable(heading, rows, (), "sum", number(total), ok, check)


def _bracketed(x: Any) -> str:
    text = number(x)
    return f"({text})" if text.startswith("−") else text


def _same(x: float, y: Any, terms: Any) -> bool:
    return bool(abs(x - float(y)) <= 1e3 * np.finfo(np.asarray(y).dtype).eps * float(np.abs(terms).sum()) + 1e-300)


def _table_words(table: PathTable) -> str:
    rows = " ".join(f"{row.nodes}: {row.factors} = {row.product}." for row in table.rows)
    return f"{table.heading}: {rows} {table.sum} {table.total} {table.check}."


# --- figure 2: inside a neuron ---------------------------------------------------------------------------------------


def inside(network: Network, level: int, unit: int, most: int = MOST) -> Scene:
    """The founding text's figure 2: inputs times weights, their sum with the bias, and the activation function."""
    _check_unit(network, level, unit, first=1, why="layer 0 is the input and computes nothing")
    i, layer, sheet = unit - 1, network.layers[level - 1], Sheet(network)
    w, a = np.asarray(layer.W.value, dtype=float)[i], np.asarray(network.a(level - 1), dtype=float)
    delta, b = network.delta(level), network.b(level)
    shown = _strongest(w * a, most)
    total = len(shown) + (len(shown) < len(w))
    top, x = (total - 1) / 2 * DOWN * 0.96, [0.0, 120.0, 270.0, 420.0, 545.0]
    up = superscript(level)
    k, before, below = subscript(unit) + up, *_before(level)
    middle = sheet.add(Node("sum", "operation", "Σ", "Σ", form="sign", strong=True, tooltip="sum"), x[2], 0)
    for lane, j in enumerate(shown, 1):
        y = top - (lane - 1) * DOWN * 0.96
        value = Row(f"{before}{subscript(j + 1)}{below}", number(a[j]), float(a[j]))
        role = "input" if level == 1 else "operation"
        source = sheet.add(Node(f"a{j + 1}", role, value.label, "", (value,), form="circle"), x[0], y)
        times = sheet.add(Node(f"x{j + 1}", "parameter", "×", "×", form="sign", tooltip="times"), x[1], y)
        sheet.join(source, times, lanes=(lane,))
        sheet.join(times, middle, lanes=(lane,))
        name = _weight(unit, j + 1) + up
        sheet.add(Node(f"w{j + 1}", "text", name, f"{name} = {number(w[j])}", form="text"), x[1], y + 26)
        sheet.say(number(w[j] * a[j]), times, middle, 0.4, lane=lane)
    if total > len(shown):
        left = np.setdiff1d(np.arange(len(w)), shown)
        title = f"… {len(left)} more"
        rows = (Row("Σ w a", number((w * a)[left].sum())),)
        rest = sheet.add(
            Node("rest", "fold", title, title, rows, count=len(left)), x[1], top - len(shown) * DOWN * 0.96
        )
        sheet.join(rest, middle)
    if b is not None:
        bias = Node("bias", "parameter", "b", "", (Row(f"b{k}", number(b[i]), float(b[i])),), form="circle")
        sheet.join(sheet.add(bias, x[2], min(-DOWN, -top - 20)), middle)
    z, y = network.z(level)[i], network.a(level)[i]
    sigma = Node("sigma", "operation", "σ", "σ" if layer.sigma else "=", form="sign", strong=True, tooltip=layer.sigma)
    sheet.join(middle, sheet.add(sigma, x[3], 0))
    sheet.say(f"z{k} = {number(z)}", middle, "sigma", 0.5, side=11)
    if delta is not None:
        sheet.join("sigma", middle, kind="back", faint=True)
        sheet.say(f"δ{k} = {number(delta[i])}", middle, "sigma", 0.5, side=-14)
    sheet.add(Node("name", "text", "", layer.sigma or "identity", form="text", faint=True), x[3], -26)
    out = sheet.add(_unit(network, level, i, up, strong=True), x[4], 0)
    sheet.join("sigma", out)
    title = f"Inside unit {unit} of layer {level}"
    return _scene(sheet, title, [], None if delta is None else _weights(network, level, i, a, delta, shown))


def _weights(network: Network, level: int, i: int, a: Any, delta: Any, shown: list[int]) -> PathTable:
    """∂L/∂w_ij = δ_i a_j for each weight, checked against the gradient of W where there is one example."""
    layer, up = network.layers[level - 1], superscript(level)
    k, before, below = subscript(i + 1) + up, *_before(level)
    parts = delta[i] * a
    rows = tuple(
        PathRow(lane, f"∂L/∂{_weight(i + 1, j + 1)}{up} = δ{k} {before}{subscript(j + 1)}{below}",
                f"{number(delta[i])} × {_bracketed(a[j])}", number(parts[j]), float(parts[j]))
        for lane, j in enumerate(shown, 1)
    )  # fmt: skip
    rest = [f"∂L/∂b{k} = δ{k} = {number(delta[i])}"] if layer.b is not None else []
    slope = network.slope(level)
    if slope is not None and slope[i] == 0:
        rest.append(f"blocked: σ′(z{k}) = σ′({number(network.z(level)[i])}) = 0")
    g = network.graph.gradient.get(layer.W.index)
    if g is not None and network.batch == 1:
        ok = all(_same(parts[j], g[i, j], parts) for j in range(len(parts)))
        rest.append(
            "✓ equal to the gradient of W of the backward pass" if ok else "✗ not the gradient of the backward pass"
        )
    return PathTable(f"What the weights of unit {i + 1} of layer {level} are told", rows, tuple(rest))


def _check_unit(
    network: Network, level: int, unit: int, first: int = 0, last: int | None = None, why: str = ""
) -> None:
    last = len(network) if last is None else last
    if not first <= level <= last:
        raise ValueError(f"there is no such figure for layer {level}, only for {first} to {last}: {why}")
    if not 1 <= unit <= network.width(level):
        raise ValueError(f"layer {level} has units 1 to {network.width(level)}, not {unit}")


def neuron_scene(
    graph: Graph, neuron: tuple[int, int] | None, within: tuple[int, int] | None, example: int, most: int
) -> Scene:
    """The figure that `tn.draw(detail="neurons")` asks for."""
    network = Network(graph, example)
    if within is not None:
        return inside(network, *within, most)
    if neuron is not None:
        return fan_out(network, *neuron, most)
    return neurons(network, most)
