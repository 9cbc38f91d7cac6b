"""Figure 3 of M. Thill's post: a unit feeds all of the next layer, and is sent w δ back by each of its units."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number, subscript
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.scene import ArrowKind, Scene, Table, TableRow
from tinygrad_nn.view.scenes.canvas import ACROSS, Canvas
from tinygrad_nn.view.scenes.units import (
    chosen,
    column,
    equal,
    network_scene,
    others,
    product_row,
    require_unit,
    strongest,
)

__all__ = ["fan_out"]


def fan_out(network: Network, level: int, unit: int, most: int) -> Scene:
    """Unit number `unit` of a layer, and the error signals that come back and add up to its own."""
    require_unit(network, level, unit, range(len(network)), "the units of the last layer feed only the loss")
    canvas, i, above = Canvas(), unit - 1, level + 1
    W = np.asarray(network.layers[level].W.value, dtype=float)[:, i]
    delta = network.delta(above)
    sent = None if delta is None else W * delta
    shown = strongest(W if sent is None else sent, most)
    left = column(canvas, network, level, chosen(network, level, 3, first=i), 0, only=i)
    right = column(canvas, network, above, shown, ACROSS * 1.35, sent=sent)
    for j, source in left.items():
        if j not in (i, -1):
            kind = ArrowKind.BLOCKED if network.blocked(level, j) else ArrowKind.FLOW
            for target in right.values():
                canvas.connect(source, target, kind=kind, faint=True)
    for lane, k in enumerate(shown, 1):
        carried = f"carries w a = {format_number(W[k] * network.a(level)[i])}"
        canvas.connect(left[i], right[k], lanes=(lane,), tooltip=carried)
        canvas.label(f"w = {format_number(W[k])}", left[i], right[k], 0.4, side=9, lane=lane)
        if sent is not None:
            back = f"sends back w δ = {format_number(sent[k])}"
            canvas.connect(right[k], left[i], kind=ArrowKind.BACK, lanes=(lane,), tooltip=back)
            canvas.label(f"w δ = {format_number(sent[k])}", left[i], right[k], 0.62, side=-9, lane=lane)
    if -1 in right:
        canvas.connect(left[i], right[-1], faint=True)
    name = f"unit {unit} of layer {level}" if level else f"input {unit}"
    title = f"Fan-out of {name}, and the error signals that come back"
    table = None if sent is None else _signals(network, level, i, W, delta, shown)
    return network_scene(canvas, network, title, table=table)


def _signals(network: Network, level: int, i: int, W: Any, delta: Any, shown: list[int]) -> Table:
    """δ_i = σ′(z_i) Σ_k w_ki δ_k, term by term, and whether it is the δ of the backward pass."""
    sent, above = W * delta, level + 1
    rows = [product_row(lane, f"via unit {k + 1} of layer {above}", W[k], delta[k]) for lane, k in enumerate(shown, 1)]
    left = others(len(W), shown)
    if len(left):
        rest = float(sent[left].sum())
        rows.append(TableRow(0, f"… and {len(left)} more units, together", "", format_number(rest), rest))
    total = float(sent.sum())
    quotient, ok, check = _checked(network, level, i, total, sent)
    heading = f"{quotient} sum over k of w(k,{i + 1}) δ(k)"
    return Table(heading, tuple(rows), total=format_number(total), ok=ok, check=check)


def _checked(network: Network, level: int, i: int, total: float, sent: Any) -> tuple[str, bool | None, str]:
    """What the sum is a factor of, whether that is what the backward pass gives, and in words."""
    k, error, slope = subscript(i + 1), network.delta(level), network.slope(level) if level else None
    if slope is None:
        check = "" if error is None else f"equals ∂L/∂x{k} of the backward pass"
        return f"∂L/∂x{k} =", None if error is None else equal(total, error[i], sent), check
    product = total * float(slope[i])
    ok = equal(product, error[i], sent)
    check = (
        f"× σ′({format_number(network.z(level)[i])}) = {format_number(slope[i])} gives δ{k} = {format_number(product)}"
    )
    check += ", blocked" if slope[i] == 0 else ", as in the backward pass" if ok else ""
    if not ok:
        check += f"; the backward pass gives {format_number(error[i])}"
    return f"δ{k} of layer {level} = σ′(z{k}) ·", ok, check
