"""`detail="neurons"`: the figures of M. Thill's post with real numbers; here figure 1, the whole network."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.notation import format_number, subscript, superscript
from tinygrad_nn.view.graph.computation import ComputationGraph, largest
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.scene import ArrowKind, Box, Role, Scene
from tinygrad_nn.view.scenes.canvas import ACROSS, Canvas
from tinygrad_nn.view.scenes.fan_out import fan_out
from tinygrad_nn.view.scenes.heat import number_field
from tinygrad_nn.view.scenes.inside_neuron import inside_neuron
from tinygrad_nn.view.scenes.request import Request
from tinygrad_nn.view.scenes.units import chosen, column, network_scene, weight_name
from tinygrad_nn.view.text import clean

__all__ = ["neurons_scene"]


def neurons_scene(graph: ComputationGraph, asked: Request) -> Scene:
    """The network, or one of its units: what it computes, or where it sends that."""
    network, most = Network(graph, asked.example), asked.most or 5
    if asked.inside is not None:
        return inside_neuron(network, *asked.inside, most)
    if asked.neuron is not None:
        return fan_out(network, *asked.neuron, most)
    return _network(network, most)


def _network(network: Network, most: int) -> Scene:
    """Every layer a column of units, arrows as thick as |w a|."""
    canvas, levels = Canvas(), range(len(network) + 1)
    shown = [chosen(network, level, most) for level in levels]
    columns = [column(canvas, network, level, shown[level], level * ACROSS) for level in levels]
    for level in levels[1:]:
        _weights(canvas, network, level, columns[level - 1], columns[level])
    if network.has_loss:
        _loss(canvas, network, columns[-1])
    notes = ["Solid arrows: positive weights, dashed: negative; as thick as |w a|, what they carry forward"]
    if any(network.blocked(level, i) for level in levels[1:] for i in shown[level]):
        notes.append("Dashed circles: σ′(z) = 0, no error signal passes")
    return network_scene(canvas, network, "Network " + "–".join(str(network.width(level)) for level in levels), notes)


def _weights(canvas: Canvas, network: Network, level: int, below: dict[int, str], above: dict[int, str]) -> None:
    """The weights between two columns, with their values where there are few."""
    W = np.asarray(network.layers[level - 1].W.value, dtype=float)
    carried = (W * np.asarray(network.a(level - 1), dtype=float)).tolist()
    widest = largest(carried)
    for j, source in below.items():
        for k, target in above.items():
            if j < 0 or k < 0:
                canvas.connect(source, target, faint=True)
                continue
            w, blocked = float(W[k, j]), network.blocked(level, k)
            name = weight_name(k + 1, j + 1) + superscript(level)
            canvas.connect(
                source,
                target,
                kind=ArrowKind.BLOCKED if blocked else ArrowKind.NEGATIVE if w < 0 else ArrowKind.FLOW,
                weight=round(abs(carried[k][j]) / widest * 0.5, 3) if widest else 0.0,
                tooltip=f"{name} = {format_number(w)}, carries {format_number(carried[k][j])}",
            )
            if len(below) * len(above) <= 8:
                canvas.label(format_number(w), source, target, 0.3, faint=blocked)


def _loss(canvas: Canvas, network: Network, outputs: dict[int, str]) -> None:
    """The loss behind the output, and what it sends back."""
    graph, root = network.graph, network.graph.root
    name, formula = graph.name(root), clean(graph.formula(root))
    fields = (number_field("value", root.value.item()),) if np.size(root.value) == 1 else ()
    box = Box("loss", Role.OUTPUT, name, f"{name} = {formula}", fields, tooltip="the loss")
    canvas.add(box, (len(network) + 1) * ACROSS, 0)
    error = network.error(network.layers[-1].A)
    for k, source in outputs.items():
        canvas.connect(source, "loss", faint=k < 0)
        if k >= 0 and error is not None and len(outputs) <= 6:
            canvas.label(f"∂{name}/∂ŷ{subscript(k + 1)} = {format_number(error[k])}", source, "loss", 0.4)
