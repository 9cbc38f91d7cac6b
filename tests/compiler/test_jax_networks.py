"""Trainings in JAX are the eager ones: every optimiser, layer and loss, on one device and on eight simulated ones."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from on_devices import ALL, assert_same_training, on_eight_devices, share

engines = pytest.mark.engines


@engines
@pytest.mark.parametrize("names", share(), ids=" ".join)
def test_float64(names, quick_xla):
    assert_same_training(names)


@engines
@pytest.mark.parametrize("names", share()[::4], ids=" ".join)
def test_float32(names, quick_xla):
    assert_same_training(names, np.float32)


@engines
def test_on_eight_devices_with_one_all_reduce_a_step():
    """BatchNorm's own means of the batch, and their derivatives, need further ones."""
    lines = on_eight_devices("import on_devices; on_devices.main()")
    assert len(lines) >= 6
    assert all(line.endswith("{'all-reduce': 1}") for line in lines if "BatchNorm" not in line), lines


TWO_AXES = """
import jax, numpy as np, on_devices, tinygrad_nn as tn
mesh = jax.make_mesh((4, 2), ("data", "model"))
compiled = on_devices.assert_same_training(("Adam", "tanh", "mse"), mesh=mesh)
compiled(*on_devices.batch(0, "real", np.float64))
(optimizer,) = compiled.program.step.captured.optimizers
print([p._value.device.sharding.spec for p in optimizer.param_groups[0]["params"]])
step = tn.compile(lambda X: tn.sum(X), engine="jax", mesh=mesh)
for call in (lambda: step(np.ones((3, 6))), lambda: tn.compile(abs, engine="jax", mesh=8),
             lambda: tn.compile(abs, engine="jax", mesh=jax.make_mesh((2, 2, 2), ("a", "b", "c")))):
    try:
        call()
    except (ValueError, TypeError) as error:
        print(error)
print(step(np.ones((3, 8))).item(), step(np.ones((3, 8))).item())
"""


@engines
def test_a_mesh_of_two_axes_divides_parameters_by_rows():
    """As in the spike; and what a mesh cannot do is said."""
    specs, batch, kind, axes, sums = on_eight_devices(TWO_AXES)
    assert specs == "[P('model',), P('model',), P(), P()]"
    assert batch == (
        "tn.compile: args[0] has shape (3, 6), and the 4 devices along the mesh's axis 'data' do not divide its 6 "
        "examples (batch_axis=-1) evenly: pass batches of a multiple of 4; an array that is no batch is not passed "
        "but kept in a tensor that the step names"
    )
    assert kind == (
        "tn.compile: mesh is of type int, expected a jax.sharding.Mesh, as jax.make_mesh((8,), ('data',)) gives"
    )
    assert axes == (
        "tn.compile: mesh has the axes 'a', 'b', 'c', expected one, which divides the examples, or two, of which the "
        "second divides the rows of parameters"
    )
    assert sums == "24.0 24.0"


@engines
@pytest.mark.parametrize("width", [128, 512])
def test_as_many_operations_and_as_much_memory_as_by_hand(width):
    """What XLA counts, for the step as it is and for the same one written in JAX."""
    pytest.importorskip("jax")
    by_hand = importlib.import_module("jax_by_hand")
    X, Y = by_hand.batch(width, width)
    step = by_hand.ours(width)
    step(X, Y)
    ours = by_hand.cost_of(step.program.lowered.compile())
    theirs = by_hand.cost_of(by_hand.by_hand.lower(by_hand.start(width), X, Y).compile())
    assert abs(ours[0] / theirs[0] - 1) <= 0.02, (ours, theirs)
    assert ours[1] <= 1.25 * theirs[1], (ours, theirs)


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_of_them(dtype, quick_xla):
    for names in ALL:
        assert_same_training(names, dtype)


@pytest.mark.nightly
def test_all_of_them_on_eight_devices():
    pytest.importorskip("jax")
    assert len(on_eight_devices("import on_devices; on_devices.main('all')")) == len(ALL)


@engines
def test_the_page_shows_what_happens(tmp_path):
    """The code of docs/engines.md, in one program: pages are run without extras, where it is not."""
    page = Path(__file__).parents[2] / "docs" / "engines.md"
    code = "\n".join(re.findall(r"^```py\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
    lines = on_eight_devices(f"import os\nos.chdir({str(tmp_path)!r})\n{code}")
    assert 0 < float(lines[0]) < 2.3
    assert lines[-1].startswith("HloModule")
    assert (tmp_path / "model.stablehlo").exists()
