"""`tn.compare`: two recorded points of one graph, such as before and after a step, in one picture."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_nn.operation import Traced
from tinygrad_nn.rule_trees import as_numbers
from tinygrad_nn.variables import called_in_program
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.point import MOST, Point, matched
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.program_record import Was
from tinygrad_nn.view.scene import Scene, directed, titled
from tinygrad_nn.view.scenes.comparison import BOXES, comparison_scene
from tinygrad_nn.view.scenes.living import program_of
from tinygrad_nn.view.scenes.operations import operations_scene
from tinygrad_nn.view.scenes.request import SHOW, Request

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
    A `Picture`, of which ``.save("step.html")`` writes a living page: it begins at the second point, Δ runs forward
    step by step, and whoever moves an input sees how prediction and change part.  Where the first point has lost
    values, boxes say "changed since", and there is no prediction.

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
    deadline = time.monotonic() + timeout
    variables = called_in_program(sys._getframe(1)) if names is None else None
    graphs = [ComputationGraph(x, names, variables) if isinstance(x, Traced) else None for x in (before, after)]
    old, new = (_point(x, graph) for x, graph in zip((before, after), graphs, strict=True))
    scene = comparison_scene(old, new, detail, most)
    living = _living(after, graphs[1], Request(None, SHOW, (), most, None, None, 1, deadline))
    if living is not None:
        scene = dataclasses.replace(scene, living=_with_before(living, scene, old, new))
    return Picture(directed(titled(scene, title), direction), engine, timeout, width, theme)


def _living(after: Any, graph: ComputationGraph | None, asked: Request) -> Scene | None:
    """The scene of the second point with its computation, if that is known: of a picture, the one that its page has."""
    if graph is not None:
        return dataclasses.replace(operations_scene(graph, asked), program=program_of(graph))
    scene = after.scene.living or after.scene
    return scene if scene.program is not None else None


def _with_before(living: Scene, scene: Scene, old: Point, new: Point) -> Scene:
    """The page of the second point that begins with the comparison; with the first point, where all of it is known."""
    program = living.program
    assert program is not None
    pairs = matched(old.nodes, new.nodes)
    if program.reason or any(p.only or _is_lost(p.old) or p.node.shape != p.old.shape for p in pairs):  # type: ignore[union-attr]
        return dataclasses.replace(living, notes=scene.notes)
    ids = [f"n{i}" for i in range(1, len(new.nodes) + 1)]
    changed = [
        Was(key, as_numbers(np.asarray(p.old.value)).value)
        for key, p in zip(ids, pairs, strict=True)
        if p.old is not None and p.new is not None and p.old.op is None and not np.array_equal(p.old.value, p.new.value)
    ]
    start = dataclasses.replace(program.start, view="compare")
    return dataclasses.replace(
        living, program=dataclasses.replace(program, start=start, before=tuple(changed)), notes=scene.notes
    )


def _is_lost(node: Any) -> bool:
    """Whether a value of the first point, from which all others follow, is not known any more."""
    return node is None or (node.op is None and node.value is None)


def _point(x: Any, graph: ComputationGraph | None) -> Point:
    if graph is not None:
        return Point(graph)
    if not isinstance(x, Picture):
        raise TypeError(f"compare takes tensors, or pictures that tn.draw made of them, not {type(x).__name__}")
    if x.point is None:
        raise ValueError(
            f"compare needs the numbers behind {x!r}, which only a picture keeps that tn.draw has made of a tensor, of "
            f"{MOST:,} nodes at most: draw the tensor, or give it itself"
        )
    return x.point
