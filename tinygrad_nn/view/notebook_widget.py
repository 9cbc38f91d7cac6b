"""`tn.widget`: the living picture in a notebook whose kernel carries out what the page cannot."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_nn.modes import enable_grad
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import tensor
from tinygrad_nn.view.api import draw
from tinygrad_nn.view.graph.computation import ComputationGraph, Constant
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.program_record import Program
from tinygrad_nn.view.renderers import page
from tinygrad_nn.view.renderers.as_json import as_plain
from tinygrad_nn.view.scenes.living import program_of

__all__ = ["Recomputation", "widget"]


def widget(root: Any, wrt: Any = None, **how: Any) -> Any:
    """The living picture of `root` as an anywidget: where the page cannot compute, the kernel does.

    Parameters
    ----------
    root : the tensor to draw.
    wrt : the input whose paths are shown.
    how : further arguments of `tn.draw`.

    Returns
    -------
    A widget.  Its `inputs` are what the reader has set: for each name that was moved an array.

    Raises
    ------
    ImportError : anywidget is not installed.
    TypeError : `root` is no tensor, or is drawn as a film.
    ValueError : the graph is too large to be carried out again.
    """
    try:
        import anywidget  # noqa: F401
    except ImportError:
        raise ImportError("tn.widget needs anywidget: pip install tinygrad_nn[widget]") from None
    if not isinstance(root, Traced):
        raise TypeError(f"widget takes a tensor, not {type(root).__name__}")
    picture = draw(root, wrt, **how)
    if not isinstance(picture, Picture):
        raise TypeError("widget takes no film: its page has the steps already, see the view Step")
    scene = picture.scene.living or picture.scene
    if scene.program is None or not scene.program.nodes:
        raise ValueError(f"widget: there is nothing to carry out again: {scene.program and scene.program.reason}")
    data = page.page_data(scene, picture.engine, picture.timeout, picture.theme)
    return _widget_class()(Recomputation(root, scene.program), data)


class Recomputation:
    """A recorded graph, carried out again with other numbers in its inputs."""

    def __init__(self, root: Any, program: Program):
        self.graph, self.program = ComputationGraph(root), program
        self.moved: dict[str, np.ndarray] = {}

    def name(self, key: str) -> str:
        """What an input is called."""
        return next(node.name for node in self.program.nodes if node.id == key)

    def move(self, key: str, at: int | None, value: Any) -> None:
        """Set one element of an input, or all of them.  ValueError for what is no input."""
        node = next((x for x in self.graph.nodes if self.graph.key(x) == key and x.op is None and x.tracked), None)
        if node is None:
            raise ValueError(f"widget: {key!r} is no input of this graph")
        array = np.array(self.moved.get(key, node.value))
        if at is None:
            array[...] = np.reshape(value, array.shape)
        else:
            array.flat[at] = value
        self.moved[key] = array

    def carried_out(self) -> Program:
        """The program at the present numbers."""
        made: dict[Any, Any] = {}
        with enable_grad(), np.errstate(all="ignore"):
            for node in self.graph.nodes:
                made[node.index] = self._made(node, made)
        fresh = program_of(ComputationGraph(made[self.graph.root.index]), self.program.start)
        names = {node.id: node for node in self.program.nodes}
        nodes = tuple(
            dataclasses.replace(node, name=old.name, formula=old.formula, words=old.words, origin=old.origin)
            for node, old in ((node, names[node.id]) for node in fresh.nodes)
        )
        return dataclasses.replace(fresh, nodes=nodes, reason=self.program.reason)

    def _made(self, node: Any, made: Mapping[Any, Any]) -> Any:
        key = self.graph.key(node)
        if node.op is None:
            value = self.moved.get(key, node.value)
            return value if isinstance(node, Constant) else tensor(value, requires_grad=node.tracked)
        args = [made[x.index] if isinstance(x, Traced) else x for x in node.inputs]
        return node.op.apply(args, node.params)


@functools.cache
def _widget_class() -> Any:
    """The class, made once anywidget is there."""
    import anywidget
    import traitlets

    class PictureWidget(anywidget.AnyWidget):
        """A living picture; messages from the page move inputs, answers carry the numbers that follow."""

        _esm = page.widget_module()
        data = traitlets.Dict().tag(sync=True)

        def __init__(self, recomputation: Recomputation, data: Mapping[str, Any]):
            self._recomputation = recomputation
            super().__init__(data=dict(data))
            self.on_msg(self._asked)

        @property
        def inputs(self) -> dict[str, np.ndarray]:
            """What the reader has set, by name."""
            found = self._recomputation
            return {found.name(key): array for key, array in found.moved.items()}

        def _asked(self, _: Any, content: Any, buffers: Any) -> None:
            """Carry the graph out again, and send what follows; or what is wrong."""
            try:
                if content.get("reset"):
                    self._recomputation.moved.clear()
                else:
                    self._recomputation.move(content["id"], content.get("index"), content["value"])
                self.send({"program": as_plain(self._recomputation.carried_out())})
            except Exception as reason:  # whatever an operation refuses at these numbers is told, not lost
                self.send({"problem": f"{type(reason).__name__}: {reason}"})

    return PictureWidget
