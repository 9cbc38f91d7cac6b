"""Units of a layer as columns of circles, and what the figures of neurons have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number, subscript, superscript
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.scene import Box, Field, Note, Role, Scene, Shape, Table, TableRow
from tinygrad_nn.view.scenes.canvas import DOWN, Canvas
from tinygrad_nn.view.scenes.heat import number_field
from tinygrad_nn.view.scenes.remarks import remarks
from tinygrad_nn.view.text import in_brackets, plural, sum_of

__all__ = [
    "chosen", "column", "equal", "input_name", "network_scene", "others", "product_row", "require_unit", "strongest",
    "unit_box", "weight_name",
]  # fmt: skip


def strongest(values: Any, most: int, first: int | None = None) -> list[int]:
    """The numbers of the largest values, in order; all of them where there are only few; `first` in any case."""
    if len(values) <= most + 1:
        return list(range(len(values)))
    ranked = sorted(range(len(values)), key=lambda i: (i != first, -abs(float(values[i])), i))
    return sorted(ranked[:most])


def others(n: int, shown: list[int]) -> Any:
    """The numbers below n that are not shown."""
    return np.setdiff1d(np.arange(n), shown)


def product_row(lane: int, label: str, x: Any, y: Any) -> TableRow:
    """A row of a table with two factors."""
    return TableRow(lane, label, f"{format_number(x)} × {in_brackets(y)}", format_number(x * y), float(x * y))


def chosen(network: Network, level: int, most: int, first: int | None = None) -> list[int]:
    """The units of a layer to draw: of a wide one those with the strongest error signals."""
    delta = network.delta(level)
    return strongest(network.a(level) if delta is None else delta, most, first)


def weight_name(k: int, j: int) -> str:
    """The weight of unit k for unit j of the layer below: w₁₂, or w₁₂,₃ where that would be read wrongly."""
    return f"w{subscript(k)}{',' if max(k, j) > 9 else ''}{subscript(j)}"


def input_name(level: int, j: int) -> str:
    """What goes into a layer from unit j below it: x₂, or a₂¹."""
    return f"x{subscript(j)}" if level == 1 else f"a{subscript(j)}{superscript(level - 1)}"


def _heading(network: Network, level: int) -> str:
    """What stands above the column of a layer."""
    if level == 0:
        return f"input x\n{plural(network.width(0), 'number')}"
    layer = network.layers[level - 1]
    sigma = f", {layer.sigma}" if layer.sigma else ""
    return f"{'output, ' * (level == len(network))}layer {level}{sigma}\n{plural(layer.units, 'unit')}"


def unit_box(network: Network, level: int, i: int, layer: str = "", **fields: Any) -> Box:
    """A unit as a circle with its numbers, whose names end with the layer where no heading tells it."""
    last = level == len(network)
    a, d = ("x", "∂x") if level == 0 else ("ŷ" if last else "a", "δ")
    k, delta = subscript(i + 1) + layer, network.delta(level)
    b = network.b(level) if level else None
    numbers = [] if b is None else [number_field(f"b{k}", b[i])]
    numbers += [number_field(f"z{k}", network.z(level)[i])] if level else []
    numbers.append(number_field(f"{a}{k}", network.a(level)[i]))
    if delta is not None:
        numbers.append(number_field(f"{d}{k}", delta[i], strong=fields.get("strong", False)))
    blocked = network.blocked(level, i)
    where = f"unit {i + 1} of layer {level}" if level else f"input {i + 1}"
    lines = [where, *(f"{field.label} = {field.text}" for field in numbers)]
    if b is not None:
        lines.append(f"z{k} = Σ w a + b{k} = {sum_of([network.terms(level, i).sum(), b[i]])}")
    if blocked:
        lines.append(f"blocked: σ′(z{k}) = 0, so no error signal passes")
    return Box(
        f"u{level}_{i + 1}",
        Role.INPUT if level == 0 else Role.OUTPUT if last else Role.OPERATION,
        f"{a}{subscript(i + 1)}{superscript(level)}",
        "",
        tuple(numbers),
        tooltip="\n".join(lines),
        shape=Shape.CIRCLE,
        blocked=blocked,
        **fields,
    )


def _rest(network: Network, level: int, shown: list[int], sent: Any) -> Box:
    """The units that are not drawn, as one box with what they are, or send back, together."""
    left = others(network.width(level), shown)
    delta = network.delta(level)
    fields = []
    if sent is not None:
        fields.append(number_field("Σ w δ", sent[left].sum()))
    elif delta is not None:
        fields.append(Field("Σ|δ|", format_number(np.abs(delta[left]).sum())))
    blocked = sum(network.blocked(level, int(i)) for i in left)
    if blocked:
        fields.append(Field("blocked", str(blocked)))
    title, tooltip = f"… {len(left)} more", f"{len(left)} further units"
    return Box(f"rest{level}", Role.FOLD, title, title, tuple(fields), tooltip=tooltip, count=len(left))


def column(
    canvas: Canvas,
    network: Network,
    level: int,
    shown: list[int],
    x: float,
    only: int | None = None,
    sent: Any = None,
) -> dict[int, str]:
    """A layer as a column of circles, in order from top to bottom, with its heading.

    The ids of its units, and of the rest under −1.  With `only` one unit stands out; `sent` is what each sends back.
    """
    total = len(shown) + (len(shown) < network.width(level))
    top = (total - 1) / 2 * DOWN
    ids = {}
    for row, i in enumerate(shown):
        unit = unit_box(network, level, i, strong=i == only, faint=only is not None and i != only)
        ids[i] = canvas.add(unit, x, top - row * DOWN)
    if total > len(shown):
        ids[-1] = canvas.add(_rest(network, level, shown, sent), x, top - len(shown) * DOWN)
    canvas.title(_heading(network, level), x, total)
    return ids


def require_unit(network: Network, level: int, unit: int, levels: range, why: str) -> None:
    """ValueError where there is no such unit, or no figure for its layer."""
    if level not in levels:
        raise ValueError(
            f"there is no such figure for layer {level}, only for {levels.start} to {levels.stop - 1}: {why}"
        )
    if not 1 <= unit <= network.width(level):
        raise ValueError(f"layer {level} has units 1 to {network.width(level)}, not {unit}")


def equal(x: float, y: Any, terms: Any) -> bool:
    """Whether a sum of terms is the number y of the backward pass, but for rounding errors."""
    return bool(abs(x - float(y)) <= 1e3 * np.finfo(np.asarray(y).dtype).eps * float(np.abs(terms).sum()) + 1e-300)


def network_scene(
    canvas: Canvas, network: Network, title: str, notes: Sequence[str] = (), table: Table | None = None
) -> Scene:
    """What is on the canvas as a picture."""
    if network.batch > 1:
        batch = f"Numbers of example {network.example} of {network.batch}; δ = N ∂J/∂z as in M. Thill's post"
        notes = [*notes, batch]
    return Scene(
        title=title,
        boxes=tuple(canvas.boxes),
        arrows=tuple(canvas.arrows),
        table=table,
        notes=(*remarks(network.graph), *(Note(text) for text in notes)),
    )
