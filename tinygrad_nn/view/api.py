"""`tn.draw`: from a tensor or a compiled step to a picture."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tinygrad_nn.operation import Traced
from tinygrad_nn.variables import called_in_program
from tinygrad_nn.view.animation import Film
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.highlighted_paths import source_of
from tinygrad_nn.view.graph.point import Point
from tinygrad_nn.view.models import is_model, output_of
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.program_record import Start
from tinygrad_nn.view.scene import Scene, directed, noted, titled
from tinygrad_nn.view.scenes.frames import backward_pass_film
from tinygrad_nn.view.scenes.living import program_of
from tinygrad_nn.view.scenes.neurons import neurons_scene
from tinygrad_nn.view.scenes.operations import layers_scene, operations_scene
from tinygrad_nn.view.scenes.program import is_compiled, program_scene
from tinygrad_nn.view.scenes.request import FURTHER, SHOW, Request

__all__ = ["draw"]


# A new kind of picture is a module in scenes/ and a line here.
DETAILS: dict[str, Callable[[ComputationGraph, Request], Scene]] = {
    "ops": operations_scene,
    "layers": layers_scene,
    "neurons": neurons_scene,
}


def draw(
    root: Any,
    wrt: Any = None,
    detail: str | None = None,
    show: Collection[str] = SHOW,
    names: Mapping[str, Any] | None = None,
    engine: str | None = None,
    *,
    fold: Collection[int] = (),
    most: int | None = None,
    neuron: tuple[int, int] | None = None,
    inside: tuple[int, int] | None = None,
    example: int = 1,
    steps: bool = False,
    mistake: str | None = None,
    timeout: float = 10.0,
    width: float = 760,
    theme: str = "auto",
    direction: str | None = None,
    title: str | None = None,
    snapshots: Any = None,
) -> Picture | Film:
    r"""A picture of how `root` was computed, and of where its gradient comes from.

    Parameters
    ----------
    root : the tensor to draw, with all it was made from; a network, see below; or a step of `tn.compile` that has been
        called, see further below.
    wrt : the input whose paths are shown, or a `tn.paths(root, ...)` to show these; by itself the only input, where it
        is a number and has few paths.  Of a network the batch X that goes in.
    detail : "ops", a box for each operation; "layers", a box for each dense layer, as networks are drawn if nothing is
        said; "neurons", figure 1 of the post below, every unit of every layer.
    show : what is written: any of "value", "gradient", "shape", "heatmap", "local" (derivatives on the arrows),
        "paths", "sums" (Σ where contributions meet), "constants", and "grad" (what `.grad` holds now).  "flow" draws
        what all paths together carry along each arrow, by thickness, colour and dash, as more than four paths do by
        themselves.
    names : tensors by name, as in ``names={"u": u}``; by default what the program calls them, unless a tensor has a
        name of its own: variables of the caller, ``params['w']`` and ``model.layers[0].W`` in these, what functions
        assigned their results to.  What has no name is numbered, v₁, v₂ ..., in italics.
    engine : "dot", "embedded", or None for Graphviz's `dot` where it is on the PATH, else the embedded engine.
    fold : numbers of dense layers that "ops" draws as one box.
    most : how many boxes there may be before the middle is folded (40; 16 for "layers", 60 for a compiled step and for
        `steps`), or how many units of a wide layer "neurons" draws (5).
    neuron : (ℓ, i): with "neurons", figure 3: unit i of layer ℓ, what it sends to all units of the next layer, and the
        error signals that come back and add up to its own.  Units count from 1; layer 0 is the input.
    inside : (ℓ, i): with "neurons", figure 2: inputs, weights, sum, bias and activation of this unit.
    example : which column of the batch "neurons" shows, counted from 1.
    steps : the backward pass as a `Film`: which node fires, what it sends, who is still waiting; with `wrt` only what
        its gradient needs.  It draws operations, so that `detail`, `fold`, `neuron` and `inside` are not for it.
    mistake : with `steps`, one of the two classic ones, with its wrong numbers in red: "assign" (parts replace each
        other instead of being added) or "order" (a node fires before all its parts have come).
    timeout : seconds that the boxes may take to be written, and seconds that a layout may take; what takes longer comes
        back folded, with a note.
    width : pixels that the picture may be wide where it is shown.  It leads to the right if that fits, else down; else
        dense layers become boxes, and then it is folded until it is no wider: no letters are smaller than 11 pixels.
        Compiled steps and films are not folded, and may be wider.
    theme : "light", "dark", or "auto": light, and dark for a reader whose browser asks for it.
    direction : "right" or "down", to say where arrows lead.
    title : what stands under the picture, and what screen readers say; by default they say which formula it shows.
    snapshots : `tn.training.Snapshots` of a training, which the page plays back: an epoch slider moves the parameters.

    Returns
    -------
    A `Picture`: shows itself in notebooks, `.save("z.svg")` writes it, and ``.save("z.html")`` a living page, in which
    inputs can be moved and the backward pass be taken step by step.  Needs no `backward()`, changes no `.grad`.

    ``draw(model, X)`` draws what a network makes of a batch (features, N), as in prediction; without X, of one column
    of zeros, as many as the first layer takes.  Nothing of the network changes.

    Of a compiled step the NumPy calls are drawn that its last replay made, as ``print(step.program)`` lists them, in a
    frame for each line of the step, and for what is fused.  Calls whose results only the next ones read share a box.
    Beside each call stands the buffer that it writes to, in colour where several boxes use it; the table has their
    sizes.  Boxes with an amber border update parameters or state in place, dashed arrows are views, which copy nothing.

    Raises
    ------
    TypeError : `root` or `wrt` is no tensor.
    ValueError : an unknown `detail`, `show` or `engine`; `wrt` requires no gradient, or `root` does not depend on it; a
        compiled step that has not been called yet; a network that does not tell what goes in, without X.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> t = tn.tensor(0.5, requires_grad=True)
    >>> x, y = tn.exp(t), t**2
    >>> z = tn.sin(x**2 + y**2)
    >>> tn.draw(z)
    <picture: Computation graph of z = sin(v₃); 7 nodes, 7 arrows>
    >>> print("\n".join(tn.draw(z).scene.table.rows[k].product for k in (0, 1)))
    −5.0865
    −0.4678

    >>> @tn.compile
    ... def step(x):
    ...     return tn.tanh(2 * x + 1).sum()
    >>> value = step(tn.tensor([1.0, 2.0]))
    >>> tn.draw(step)
    <picture: Program of step: 4 calls, 2 buffers of 24 bytes together; 2 nodes, 1 arrows>
    >>> [field.text for field in tn.draw(step).scene.boxes[1].fields]
    ['multiply(2, x_value, t1)', 'add(t1, 1, t1)', 'tanh(t1, t1)', 'add_reduce(t1, None, None, t2, False)']

    Source: M. Thill's post "Yet another Neural Networks Introduction", "Interlude: The Chain Rule and
    Nested Dependencies".
    """
    deadline = time.monotonic() + timeout

    def picture(scene: Scene) -> Picture:
        return Picture(directed(titled(scene, title), direction), engine, timeout, width, theme)

    if is_compiled(root):
        given = (detail, *fold, neuron, inside, steps, mistake) != (None, None, None, False, None)
        if wrt is not None or given or set(show) != set(SHOW):
            raise ValueError(
                "a compiled step is drawn call by call: only engine=, most= and timeout= are for it, and width=, "
                "theme=, direction= and title="
            )
        return picture(program_scene(root, most))
    remark = ""
    if is_model(root):
        root, remark = output_of(root, wrt)
        wrt, detail = None, detail or "layers"
    if not isinstance(root, Traced):
        raise TypeError(f"draw takes a tensor, not {type(root).__name__}; or a network, or a compiled step")
    unknown = set(show) - {*SHOW, *FURTHER}
    if unknown:
        raise ValueError(f"show: there is no {sorted(unknown)[0]!r}; there are {', '.join((*SHOW, *FURTHER))}")
    if detail not in (None, *DETAILS):
        raise ValueError(f"detail must be 'ops', 'layers' or 'neurons', not {detail!r}")
    graph = ComputationGraph(root, names, called_in_program(sys._getframe(1)) if names is None else None)
    asked = Request(wrt, show, fold, most, neuron, inside, example, deadline)
    asked.require_sensible(graph)
    if steps or mistake is not None:
        _require_operations(detail, fold, neuron, inside)
        reel = backward_pass_film(graph, source_of(wrt), mistake, show, most, deadline)
        frames = [picture(dataclasses.replace(frame, wide=True)) for frame in reel.frames]
        page = _living(operations_scene(graph, asked), graph, asked.start(graph, "step", mistake or ""), snapshots)
        return Film(frames, reel.captions, title or reel.title, picture(page))
    scene = noted(DETAILS[detail or "ops"](graph, asked), remark)
    start = asked.start(graph, "neurons" if detail == "neurons" else "flow" if "flow" in show else "")
    if scene.placed:
        living = _living(noted(layers_scene(graph, asked), remark), graph, start, snapshots)
        scene = dataclasses.replace(scene, living=living)
    else:
        scene = _living(scene, graph, start, snapshots)
    return dataclasses.replace(picture(scene), point=Point.kept(graph))


def _living(scene: Scene, graph: ComputationGraph, start: Start, snapshots: Any) -> Scene:
    """A scene with the computation that it shows."""
    return dataclasses.replace(scene, program=program_of(graph, start, snapshots))


def _require_operations(detail: str | None, fold: Collection[int], neuron: Any, inside: Any) -> None:
    """ValueError where a film is asked for something that it does not draw."""
    asked = [f"detail={detail!r}"] * (detail not in (None, "ops")) + ["fold="] * bool(fold)
    asked += ["neuron="] * (neuron is not None) + ["inside="] * (inside is not None)
    if asked:
        raise ValueError(
            f"steps= shows the backward pass operation by operation, detail='ops', not {' and '.join(asked)}: leave "
            "that out, or draw it without steps="
        )
