"""The table under a network: what each parameter adds to ‖∇J‖², which is what a small step gains."""

from __future__ import annotations

from tinygrad_nn.notation import format_number
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.gradient_flow import GradientFlow
from tinygrad_nn.view.scene import Table, TableRow
from tinygrad_nn.view.text import listed, percent, plural

__all__ = ["descent_table"]

MOST = 8  # rows


def descent_table(flow: GradientFlow) -> Table:
    """A row for each input, the smallest together where there are many."""
    graph, J = flow.graph, flow.graph.name(flow.graph.root)
    inputs = flow.inputs
    by_size = sorted(range(len(inputs)), key=lambda i: inputs[i][1], reverse=True)
    shown = [inputs[i] for i in sorted(by_size[: MOST if len(inputs) <= MOST else MOST - 1])]
    rows = [_row(flow, k, x, square) for k, (x, square) in enumerate(shown, 1)]
    left = len(inputs) - len(shown)
    if left:
        rest = flow.total - sum(square for _, square in shown)
        others = f"… and {plural(left, 'more input')}, added up, not listed"
        rows.append(TableRow(0, others, "", format_number(rest), rest, share=percent(max(rest, 0.0) / flow.total)))
    ok = flow.check()
    names = [graph.name(x) for x, _ in inputs]
    return Table(
        f"{flow.norm}² = sum over {plural(len(inputs), 'input')}: what a small step of gradient descent gains",
        tuple(rows),
        rest=(
            f"A step of −η ∇{J} lowers {J} by about η {flow.norm}²; arrows are as thick as what they carry of it",
            f"For the paths from one input, give wrt= it: {listed(names, MOST)}",
        ),
        total=format_number(flow.total),
        ok=ok,
        check="equals what reaches " + J if ok else f"does not equal what reaches {J}: the picture is wrong",
    )


def _row(flow: GradientFlow, k: int, x: object, square: float) -> TableRow:
    graph, name = flow.graph, flow.graph.name(x)
    shape = text.shape(x.value).replace(" × ", "×")  # type: ignore[attr-defined]
    return TableRow(
        0,
        f"{name} ({shape})",
        f"‖∂{graph.name(graph.root)}/∂{name}‖²",
        format_number(square),
        square,
        share=percent(square / flow.total),
        mark=str(k),
    )
