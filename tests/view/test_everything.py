"""Whatever can be computed can be drawn, played and explained: every operation, odd values, random graphs."""

import dataclasses

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of
from tinygrad_nn.view import Picture
from tinygrad_nn.view.graph.computation import ComputationGraph

OPS = sorted(name for name, op in BY_NAME.items() if isinstance(op, Op) and op.name == name)


def leaf(value, name=None, **kwargs):
    return tn.tensor(value, requires_grad=True, name=name, **kwargs)


def check(y, wrt):
    """Everything the view can do, without an engine; the paths are the gradient."""
    picture = tn.draw(y, wrt=wrt, names={})
    assert picture.scene.table.ok is True, picture.scene.table
    assert Picture.from_json(picture.json()) == picture
    assert picture.source
    assert picture.text()
    for way in ("text", "markdown", "latex"):
        assert "✗" not in tn.explain(y, wrt, way)
    return picture


@pytest.mark.parametrize("name", OPS)
def test_every_operation_is_drawn_and_explained(name):
    op = BY_NAME[name]
    arrays, params = samples_of(op)[-1]
    if op.checks.prepare is not None:
        arrays = [op.checks.prepare(a) for a in arrays]
    tensors = [leaf(a) if np.asarray(a).dtype.kind == "f" else a for a in arrays]
    y = op.apply(tuple(tensors), dict(params))
    if getattr(y, "op", None) is None:
        pytest.skip("no gradient flows")
    check(y, next(x for x in tensors if isinstance(x, tn.Tensor)))


ODD = {
    "nan and inf": lambda: (leaf([1.0, np.nan, np.inf]) * 2).sum(),
    "log of 0": lambda: tn.log(leaf(0.0)),
    "empty": lambda: (leaf(np.zeros((0, 3))) * 2).sum(),
    "three axes": lambda: (leaf(np.ones((2, 3, 4))) * np.ones((3, 4))).sum(axis=0),
    "float32": lambda: (tn.softmax(leaf(np.ones((3, 4), np.float32))) ** 2).mean(),
    "one element": lambda: leaf([[2.0]]) @ leaf([[3.0]]),
    "letters of the world": lambda: leaf(1.0, "🎉日本語\u202eabc\u0301") * 2,
    "very long names": lambda: leaf(1.0, "x" * 500) * leaf(2.0, "y" * 500),
    "names of DOT": lambda: leaf(1.0, "node") + leaf(1.0, "graph") * leaf(2.0, "->"),
    "overflow": lambda: leaf(1e300) * leaf(1e300),
    "underflow": lambda: leaf(1e-200) * leaf(1e-200),
    "slices": lambda: leaf(np.arange(12.0).reshape(3, 4))[1:, ::2].sum(),
    "second derivative": lambda: tn.gradients(tn.sin(t := leaf(0.3)) ** 2, t, create_graph=True)[0],
}


@pytest.mark.parametrize("case", ODD)
def test_odd_values_and_names(case, engine):
    with np.errstate(all="ignore"):
        y = ODD[case]()
    picture = check(y, next(n for n in ComputationGraph(y).nodes if n.tracked))
    picture = dataclasses.replace(picture, engine=engine)
    assert picture.svg()
    assert picture.tex().isascii()
    assert tn.draw(y, steps=True, engine=engine).svg()


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    nodes = [leaf(float(rng.normal()), "t")]
    for _ in range(int(rng.integers(1, 25))):
        a, b = (nodes[rng.integers(len(nodes))] for _ in range(2))
        kind = rng.integers(7)
        nodes.append([a + b, a * b, a - b, tn.sin(a), a * 0.0, tn.relu(a), -a][kind])
    table = check(nodes[-1], nodes[0]).scene.table
    if table.total:
        assert sum(row.value for row in table.rows) == pytest.approx(tn.gradients(nodes[-1], nodes[0])[0], abs=1e-9)
    assert "✓" in tn.draw(nodes[-1], steps=True).frames[-1].scene.caption.notes[-1].text


def test_paths_that_do_not_add_up_are_told_in_red(founding, monkeypatch):
    real = ComputationGraph._sweep

    def wrong(self, unknown):
        gradient, sent = real(self, unknown)
        gradient[founding[0].index] = gradient[founding[0].index] + 1.0
        return gradient, sent

    monkeypatch.setattr(ComputationGraph, "_sweep", wrong)
    picture = tn.draw(founding[1])
    table = picture.scene.table
    assert table.ok is False
    assert table.check == "the backward pass gives −4.5543, the paths add up to −5.5543"
    assert "✗" in picture.source
    assert "#b3261e" in picture.source
