"""Figure 2 of M. Thill's post: inputs times weights, their sum with the bias, and the activation function."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number, subscript, superscript
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.scene import ArrowKind, Box, Field, Role, Scene, Shape, Table, TableRow
from tinygrad_nn.view.scenes.canvas import DOWN, Canvas
from tinygrad_nn.view.scenes.heat import number_field
from tinygrad_nn.view.scenes.units import (
    equal,
    input_name,
    network_scene,
    others,
    product_row,
    require_unit,
    strongest,
    unit_box,
    weight_name,
)
from tinygrad_nn.view.text import in_brackets

__all__ = ["inside_neuron"]

APART = DOWN * 0.96
INPUTS, PRODUCTS, SUM, ACTIVATION, RESULT = 0.0, 120.0, 270.0, 420.0, 545.0  # where the columns stand


def inside_neuron(network: Network, level: int, unit: int, most: int) -> Scene:
    """What unit number `unit` of a layer computes, term by term, and what its error signal makes of the weights."""
    require_unit(network, level, unit, range(1, len(network) + 1), "layer 0 is the input and computes nothing")
    canvas, i = Canvas(), unit - 1
    w = np.asarray(network.layers[level - 1].W.value, dtype=float)[i]
    a = np.asarray(network.a(level - 1), dtype=float)
    terms = network.terms(level, i)
    shown = strongest(terms, most)
    total = len(shown) + (len(shown) < len(w))
    top = (total - 1) / 2 * APART
    canvas.add(_sign("sum", "Σ", tooltip="sum", strong=True), SUM, 0)
    for lane, j in enumerate(shown, 1):
        _product(canvas, level, unit, j, lane, w, a, top - (lane - 1) * APART)
    if total > len(shown):
        _other_products(canvas, terms, shown, top)
    b, k = network.b(level), subscript(unit) + superscript(level)
    if b is not None:
        bias = Box("bias", Role.PARAMETER, "b", "", (number_field(f"b{k}", b[i]),), shape=Shape.CIRCLE)
        canvas.connect(canvas.add(bias, SUM, min(-DOWN, -top - 20)), "sum")
    _activation(canvas, network, level, i, k)
    table = _sum(network, level, i, w, a, shown)
    return network_scene(canvas, network, f"Inside unit {unit} of layer {level}", table=table)


def _sign(key: str, sign: str, role: Role = Role.OPERATION, tooltip: str = "", strong: bool = False) -> Box:
    return Box(key, role, sign, sign, shape=Shape.SIGN, tooltip=tooltip, strong=strong)


def _product(canvas: Canvas, level: int, unit: int, j: int, lane: int, w: Any, a: Any, y: float) -> None:
    """An input times its weight."""
    value = number_field(input_name(level, j + 1), a[j])
    role = Role.INPUT if level == 1 else Role.OPERATION
    source = canvas.add(Box(f"a{j + 1}", role, value.label, "", (value,), shape=Shape.CIRCLE), INPUTS, y)
    times = canvas.add(_sign(f"x{j + 1}", "×", Role.PARAMETER, tooltip="times"), PRODUCTS, y)
    canvas.connect(source, times, lanes=(lane,))
    canvas.connect(times, "sum", lanes=(lane,))
    canvas.text(f"{weight_name(unit, j + 1)}{superscript(level)} = {format_number(w[j])}", PRODUCTS, y + 26)
    canvas.label(format_number(w[j] * a[j]), times, "sum", 0.4, lane=lane)


def _other_products(canvas: Canvas, products: Any, shown: list[int], top: float) -> None:
    """One box for all that are not shown."""
    left = others(len(products), shown)
    title, fields = f"… {len(left)} more", (Field("Σ w a", format_number(products[left].sum())),)
    box = Box("rest", Role.FOLD, title, title, fields, count=len(left))
    canvas.connect(canvas.add(box, PRODUCTS, top - len(shown) * APART), "sum")


def _activation(canvas: Canvas, network: Network, level: int, i: int, k: str) -> None:
    """From the sum through the activation function, and the error signal that comes back."""
    sigma, delta = network.layers[level - 1].sigma, network.delta(level)
    canvas.add(_sign("sigma", "σ" if sigma else "=", tooltip=sigma, strong=True), ACTIVATION, 0)
    canvas.connect("sum", "sigma")
    canvas.label(f"z{k} = {format_number(network.z(level)[i])}", "sum", "sigma", 0.5, side=11)
    if delta is not None:
        canvas.connect("sigma", "sum", kind=ArrowKind.BACK, faint=True)
        canvas.label(f"δ{k} = {format_number(delta[i])}", "sum", "sigma", 0.5, side=-14)
    canvas.text(sigma or "identity", ACTIVATION, -26, faint=True)
    unit = unit_box(network, level, i, superscript(level), strong=True)
    canvas.connect("sigma", canvas.add(unit, RESULT, 0))


def _sum(network: Network, level: int, i: int, w: Any, a: Any, shown: list[int]) -> Table:
    """z = Σ w a + b term by term, checked against the forward pass, with the gradient of each weight beside it."""
    up, terms, b, z = superscript(level), network.terms(level, i), network.b(level), network.z(level)[i]
    k = subscript(i + 1) + up
    rows = []
    for lane, j in enumerate(shown, 1):
        row = product_row(lane, f"{weight_name(i + 1, j + 1)}{up} {input_name(level, j + 1)}", w[j], a[j])
        rows.append(dataclasses.replace(row, share=_weight_gradient(network, level, i, j, a)))
    left = others(len(w), shown)
    if len(left):
        rest = float(terms[left].sum())
        rows.append(TableRow(0, f"… and {len(left)} more inputs, together", "", format_number(rest), rest))
    if b is not None:
        terms, bias = np.append(terms, b[i]), format_number(b[i])
        share = _gradient(network, level, i, f"b{k}")
        rows.append(TableRow(0, f"b{k}", "", bias, float(b[i]), share=share, mark="b"))
    ok = equal(float(terms.sum()), z, terms)
    check = "as in the forward pass" if ok else f"the forward pass gives {format_number(z)}"
    heading = f"z{k} = Σ w a{' + b' if b is not None else ''}"
    return Table(heading, tuple(rows), _weight_check(network, level, i, a), f"{format_number(terms.sum())}", ok, check)


def _gradient(network: Network, level: int, i: int, name: str, factor: str = "", x: Any = None) -> str:
    """`∂L/∂w₁₂¹ = δ₁¹ x₂ = 1.5 × 0.5 = 0.75`; empty where nothing flows back."""
    delta = network.delta(level)
    if delta is None:
        return ""
    d, k = delta[i], subscript(i + 1) + superscript(level)
    numbers = format_number(d) if x is None else f"{format_number(d)} × {in_brackets(x)} = {format_number(d * x)}"
    return f"∂L/∂{name} = {' '.join(filter(None, (f'δ{k}', factor)))} = {numbers}"


def _weight_gradient(network: Network, level: int, i: int, j: int, a: Any) -> str:
    name = f"{weight_name(i + 1, j + 1)}{superscript(level)}"
    return _gradient(network, level, i, name, input_name(level, j + 1), a[j])


def _weight_check(network: Network, level: int, i: int, a: Any) -> tuple[str, ...]:
    """Whether the unit stops the error signal, and whether δ a is the gradient of W, where there is one example."""
    delta, slope = network.delta(level), network.slope(level)
    if delta is None:
        return ()
    lines, k = [], subscript(i + 1) + superscript(level)
    if slope is not None and slope[i] == 0:
        lines.append(f"blocked: σ′(z{k}) = σ′({format_number(network.z(level)[i])}) = 0")
    g = network.graph.gradient.get(network.layers[level - 1].W.index)
    if g is not None and network.batch == 1:
        parts = delta[i] * a
        ok = all(equal(parts[j], g[i, j], parts) for j in range(len(parts)))
        what = "✓ equal to the gradient of W" if ok else "✗ not the gradient"
        lines.append(f"{what} of the backward pass")
    return tuple(lines)
