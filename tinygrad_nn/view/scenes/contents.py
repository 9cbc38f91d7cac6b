"""What the boxes and arrows of operations say: formula, value and gradient; local derivative; tooltips."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.notation import format_number
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import ComputationGraph, Slot
from tinygrad_nn.view.graph.gradient_flow import GradientFlow
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Arrow, Box, Field
from tinygrad_nn.view.scenes.heat import heat_field, number_field
from tinygrad_nn.view.scenes.layers import forward_and_back
from tinygrad_nn.view.text import LABEL, one_of, shorten

__all__ = ["Contents"]


RULES = 12  # in a tooltip


class Contents:
    """Fills the outlines of one picture."""

    def __init__(self, graph: ComputationGraph, show: Collection[str], paths: HighlightedPaths | GradientFlow | None):
        self.graph, self.show, self.paths = graph, show, paths
        self.name = graph.name

    # --- boxes

    def box(self, node: Any, outline: Box) -> Box:
        """The box of a node with all that it says."""
        return dataclasses.replace(
            outline,
            title=shorten(self.graph.equation(node), 44),
            fields=tuple(self._fields(node)),
            note=self._sum(node) if "sums" in self.show else "",
            tooltip=self._box_tooltip(node),
        )

    def _fields(self, node: Any) -> list[Field]:
        value, show = np.asarray(node.value), self.show
        fields = [Field("shape", text.shape(value))] if "shape" in show and value.ndim else []
        if node.index in self.graph.stale:
            fields.append(Field("value", self.graph.stale[node.index], bad=True))
        elif "value" in show:
            fields.append(self._live("value", node, self._array("value", value)))
        if "gradient" in show and node.tracked:
            fields.append(self._gradient(node))
        if "grad" in show and node.tracked:
            fields.append(self._array(".grad", node.grad))
        return fields

    def _array(self, label: str, value: Any) -> Field:
        if value is None:
            return Field(label, "–")
        value = np.asarray(value)
        if value.size == 1:
            return number_field(label, value.item())
        if not value.size:
            return Field(label, "empty")
        return heat_field(label, value) if "heatmap" in self.show else Field(label, _range(value, "…"))

    def _gradient(self, node: Any) -> Field:
        z, x, g = self.name(self.graph.root), self.name(node), self.graph.gradient.get(node.index)
        field = self._array(f"∂{z}/∂{x}" if len(z) <= 3 and len(x) <= 4 else "gradient", g)
        highlighted = self.paths is not None and node is self.paths.source and field.value is not None
        return dataclasses.replace(self._live("gradient", node, field), strong=highlighted)

    def _live(self, what: str, node: Any, field: Field) -> Field:
        return dataclasses.replace(field, live=f"{what} {self.graph.key(node)}")

    def _sum(self, node: Any) -> str:
        """`Σ 2 contributions: −5.0865 − 0.4678`, where several arrows come back to a node."""
        parts = self.graph.contributions(node)
        if len(parts) < 2:
            return ""
        if np.size(node.value) > 1:
            return f"Σ {len(parts)} contributions"
        terms = text.sum_of(p.item() for p in parts[:6])
        return f"Σ {len(parts)} contributions: {terms}{' …' if len(parts) > 6 else ''}"

    def _box_tooltip(self, node: Any) -> str:
        graph = self.graph
        stale = graph.stale.get(node.index)
        value = f"{stale} an operation used it" if stale else _spelled(np.asarray(node.value))
        lines = [shorten(graph.equation(node), 200), f"value: {value}"]
        if node.tracked:
            g = graph.gradient.get(node.index)
            lines.append(f"gradient: {'not computed' if g is None else _spelled(g)}")
        flowing = [slot for slot in graph.incoming.get(node.index, ()) if slot.flows]
        for slot in flowing[:RULES]:
            rule = graph.rule(slot) or f"by {node.op.name}"
            lines.append(f"rule: ∂{self.name(slot.source)} ← {rule} (g = ∂{self.name(node)})")
        if len(flowing) > RULES:
            lines.append(f"and {len(flowing) - RULES:,} more rules")
        origin = graph.origin(node)
        return "\n".join([*lines, f"made at {origin}"] if origin else lines)

    # --- arrows

    def arrow(self, slot: Slot, line: Arrow, layer: Mapping[Any, Layer]) -> Arrow:
        """An arrow with all that it says; `layer` are the nodes that are drawn as parts of a layer."""
        formula = detail = result = ""
        value = None
        if slot.flows:
            formula, value, result = self._local_derivative(slot)
            if not _single(slot) and slot.source.index not in layer:
                detail = f"Jacobian {_jacobian(slot)}"
        label = " = ".join(dict.fromkeys(part for part in (formula, result) if part))
        if slot.target.index in layer:
            label, detail = forward_and_back(self.graph, slot.source, layer[slot.target.index]), ""
        if "local" not in self.show:
            label = detail = ""
        tooltip = self._arrow_tooltip(slot, formula, result) if slot.flows else "no gradient flows here"
        return dataclasses.replace(line, label=label, detail=detail, derivative=value, tooltip=tooltip)

    def _local_derivative(self, slot: Slot) -> tuple[str, float | None, str]:
        """Formula and number of a scalar local derivative, and how that is written; the rule of an array's."""
        if not _single(slot):
            return self._array_rule(slot), None, ""
        x, y = slot.source, slot.target
        found = self.graph.slope(slot)
        formula = found[0] if found is not None else f"∂{self.name(y)}/∂{self.name(x)}"
        if len(formula) > LABEL and (options := self.graph.options(slot)):
            formula = one_of(options)  # a condition cut in the middle tells less
        formula = shorten(formula, LABEL)
        if y.index in self.graph.broken:
            return formula, None, "released" if self.graph.released else "changed"
        value: Any = chain.local_derivative(chain.Edge(x, y, slot.slot)).value
        return formula, float(value), format_number(value)

    def _array_rule(self, slot: Slot) -> str:
        """What the arrow does to the gradient that comes back along it, with a dot in its place, as in `Wᵀ ·`."""
        node, rule = slot.target, self.graph.rule(slot, "·")
        if rule is None:
            return str(node.op.name)
        x, y = np.shape(slot.source.value), np.shape(node.value)
        stretch = ""
        if x != y and (node.op.kind == "elementwise" or (rule == "·" and math.prod(x) < math.prod(y))):
            stretch = _summed_over(x, y)
        elif rule == "·" and math.prod(x) > math.prod(y):
            stretch = f"copied to {text.shape(slot.source.value)}"
        if rule == "·":
            return stretch or "1"
        rule = shorten(rule.removeprefix("· ") if rule.startswith("· ⊙") else rule, 120)
        return f"{rule}\n{stretch}" if stretch else rule

    def _arrow_tooltip(self, slot: Slot, formula: str, result: str) -> str:
        x, y = self.name(slot.source), self.name(slot.target)
        rule = (formula or "the identity").replace("\n", ", ")
        lines = [
            f"argument {slot.slot + 1} of {slot.target.op.name}: from {x} to {y}",
            f"∂{y}/∂{x} = {formula} = {result}" if result else f"Jacobian {_jacobian(slot)}, never built: {rule}",
        ]
        part = self.graph.sent.get(slot.key)
        if part is not None and part.size == 1:
            lines.append(f"sends back {format_number(part.item())}")
        return "\n".join(lines + (self.paths.described(slot.key) if self.paths is not None else []))


def _spelled(value: Any) -> str:
    """An array in words: its numbers where they are few, else shape, range and mean."""
    if value.size == 1:
        return repr(float(value.item())).replace("-", "−")
    if value.size <= 9 and value.size:
        return np.array2string(value, precision=5, separator=", ").replace("\n", " ").replace("-", "−")
    kind = f"{text.shape(value)}, {value.dtype}"
    if not value.size or value.dtype.kind not in "fiu":
        return kind
    return f"{kind}, from {_range(value, 'to')}, mean {format_number(value.mean(dtype=float))}"


def _range(value: Any, to: str) -> str:
    return f"{format_number(value.min())} {to} {format_number(value.max())}"


def _single(slot: Slot) -> bool:
    return np.size(slot.source.value) == 1 and np.size(slot.target.value) == 1


def _jacobian(slot: Slot) -> str:
    return f"{np.size(slot.target.value):,} × {np.size(slot.source.value):,}"


def _summed_over(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    """What the way back of broadcasting shape `x` to shape `y` adds up."""
    extra = len(y) - len(x)
    axes = [i for i, n in enumerate(y) if i < extra or x[i - extra] != n]
    what = ("rows", "columns")[axes[0]] if len(y) == 2 and len(axes) == 1 else "elements"
    return f"sum over {math.prod(y[i] for i in axes)} {what}"
