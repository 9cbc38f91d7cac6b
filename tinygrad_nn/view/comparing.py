"""`tn.compare`: two recorded points of one graph, such as before and after a step, in one picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tinygrad_nn.operation import Traced
from tinygrad_nn.variables import called_in_program
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.point import MOST, Point
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.scene import directed, titled
from tinygrad_nn.view.scenes.comparison import BOXES, comparison_scene

__all__ = ["compare"]


def compare(
    before: Any,
    after: Any,
    detail: str = "ops",
    *,
    names: Mapping[str, Any] | None = None,
    engine: str | None = None,
    most: int | None = None,
    timeout: float = 10.0,
    width: float = 760,
    theme: str = "auto",
    direction: str | None = None,
    title: str | None = None,
) -> Picture:
    r"""What a step has changed: old → new and Δ of every node, and the change of the loss, predicted and actual.

    Prediction: a small change Δp of the parameters changes the loss J by Σ ⟨∂J/∂p, Δp⟩, which for a step of gradient
    descent is −lr ‖∇J‖².  The table has a row for each parameter, and the actual change beside the sum.

    Parameters
    ----------
    before, after : the same computation at two points: tensors, or pictures that `tn.draw` made of them.  Optimisers
        change parameters in place, and the old values are gone then: draw the loss before the step, and the picture
        keeps them.  Operations that only one of both has are marked.
    detail : "ops", a box for each operation; "layers", one for each dense layer.
    names, engine, most, timeout, width, theme, direction, title : as of `tn.draw`.

    Returns
    -------
    A `Picture`.  Where the first point has lost values, boxes say "changed since", and there is no prediction.

    Raises
    ------
    TypeError : neither a tensor nor a picture.
    ValueError : an unknown `detail`; a picture that was not made by `tn.draw` of a tensor, or was read from a file.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> def loss():
    ...     return (w * w).sum().named("J")
    >>> J = loss()
    >>> before = tn.draw(J)
    >>> J.backward()
    >>> tn.optim.SGD([w], lr=0.1).step()
    >>> table = tn.compare(before, loss()).scene.table
    >>> table.total, table.check
    ('−2', 'the actual change is −1.8')
    >>> print("\n".join(table.rest))
    = −lr ‖∇J‖² = −0.1 × 20: a step of gradient descent
    J: 5 → 3.2, Δ = −1.8, 90 % of the prediction; the gradient changes on the way
    """
    if detail not in BOXES:
        raise ValueError(f"detail must be 'ops' or 'layers', not {detail!r}")
    variables = called_in_program(sys._getframe(1)) if names is None else None
    old, new = (_point(x, names, variables) for x in (before, after))
    scene = directed(titled(comparison_scene(old, new, detail, most), title), direction)
    return Picture(scene, engine, timeout, width, theme)


def _point(x: Any, names: Any, variables: Any) -> Point:
    if isinstance(x, Traced):
        return Point(ComputationGraph(x, names, variables))
    if not isinstance(x, Picture):
        raise TypeError(f"compare takes tensors, or pictures that tn.draw made of them, not {type(x).__name__}")
    if x.point is None:
        raise ValueError(
            f"compare needs the numbers behind {x!r}, which only a picture keeps that tn.draw has made of a tensor, of "
            f"{MOST:,} nodes at most: draw the tensor, or give it itself"
        )
    return x.point
