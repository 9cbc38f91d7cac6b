"""The report of a network: one line for each equation, with shapes, parameters, and norms where a batch is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import notebook
from tinygrad_nn.autodiff import gradients, history
from tinygrad_nn.ops.losses import mse
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.tensor import Tensor

__all__ = ["Report", "Row", "report"]


@dataclass(frozen=True)
class Row:
    """What the report says about one module: `lines` of (result, right-hand side, shapes), and its weights."""

    lines: tuple[tuple[str, str, str], ...]
    weights: Tensor | None = None

    @property
    def result(self) -> str:
        """The name of what the module returns."""
        return self.lines[-1][0]


class Report(str):
    """A text that shows itself as it prints, and in notebooks as a table."""

    table: list[list[str]]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head, *rows, foot = self.table
        return notebook.table(rows, head, right=range(3, len(head)), foot=foot)


def report(model: Any, X: Any = None, Y: Any = None, loss: Any = None) -> Report:
    """See `Module.summary`."""
    if X is None and Y is not None:
        raise ValueError("summary: Y is given without X; give both")
    values, slopes, cost = _measure(model, X, Y, mse if loss is None else loss)
    n = None if X is None else np.shape(X)[-1]
    table = [["layer", "equation", "shapes", "parameters"]]
    table[0] += ["‖value‖"] * (X is not None) + ["‖Δ‖", "‖∂J/∂W‖"] * (Y is not None)
    rows, _ = model._rows("A⁰")
    for module, row in rows:
        layer, count = module._signature(), f"{sum(p.size for p in _own_parameters(module)):,}"
        slope_of = row.weights
        for result, formula, shapes in row.lines:
            if n is not None:
                shapes = shapes.replace("N", str(n)) or (str(values[result].shape) if result in values else "")
            line = [layer, f"{result} = {formula}", shapes, count]
            if X is not None:
                line.append(_norm(values.get(result)))
            if Y is not None and n is not None and slope_of is not None:
                line += [_norm(slopes.get(result), n), _norm(slopes.get(id(slope_of)))]
            table.append(line)
            layer, count, slope_of = "", "", None
    table += _without_layer(model, [module for module, _ in rows])
    table.append([type(model).__name__, cost, "", f"{sum(p.size for p in model.parameters()):,}"])
    written = Report(_aligned(table))
    written.table = table
    return written


def _without_layer(model: Any, layers: list[Any]) -> list[list[str]]:
    """The lines of the parameters that none of the layers holds."""
    said = {id(p) for module in layers for p in _own_parameters(module)}
    rest = [(name, p) for name, p in model.named_parameters() if id(p) not in said]
    return [["parameter", name, str(p.shape), f"{p.size:,}"] for name, p in rest]


def _own_parameters(module: Any) -> list[Tensor]:
    return [t for t in vars(module).values() if isinstance(t, Tensor) and t.tracked and t.is_leaf]


def _measure(model: Any, X: Any, Y: Any, loss: Any) -> tuple[dict[Any, Any], dict[Any, Any], str]:
    """The values in the graph by name, the gradients of J by name or id of a parameter, and J in words."""
    if X is None:
        return {}, {}, ""
    with model.evaluating():
        prediction = model(X)
        J = prediction if Y is None else loss(prediction, Y)
    named = {t.name: t for t in history([J]) if t.name and t.op is not None}
    values = {name: t.value for name, t in named.items()}
    if Y is None:
        return values, {}, ""
    wanted = [*named.values(), *model.parameters()]
    keys = [*named, *(id(p) for p in model.parameters())]
    found = dict(zip(keys, gradients(J, wanted), strict=True)) if J.tracked else {}
    return values, found, f"J = {getattr(loss, '__name__', 'loss')}({prediction.name or 'output'}, Y*) = {J.item():.6g}"


def _norm(array: Any, scale: float = 1.0) -> str:
    return "" if array is None else f"{scale * float(vector_norm(np.ravel(array))):.4g}"


def _aligned(table: list[list[str]]) -> str:
    """Columns of equal width; numbers to the right."""
    columns = max(map(len, table))
    rows = [row + [""] * (columns - len(row)) for row in table]
    widths = [max(len(row[i]) for row in rows) for i in range(columns)]
    side = ["<", "<", "<", *">" * (columns - 3)]
    lines = ("  ".join(f"{row[i]:{side[i]}{widths[i]}}" for i in range(columns)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
