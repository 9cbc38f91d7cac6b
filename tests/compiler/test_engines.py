"""Engines: which there are, what they are told, and what is said where one cannot be had."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.compiler.engines import engine_of, is_installed

ENGINES = ["numpy"]


@pytest.mark.parametrize("wrong", ["cuda", "NumPy", "", None, 3, ["numpy"]])
def test_an_engine_that_there_is_not(wrong, raised):
    text = raised(ValueError, tn.compile, lambda x: x, engine=wrong)
    assert text.startswith(f"tn.compile: engine={wrong!r}, expected one of 'numpy'")


def test_a_mesh_is_for_an_engine_with_devices(raised):
    text = raised(ValueError, tn.compile, lambda x: x, mesh=object())
    assert text == (
        "tn.compile: mesh= divides a step among devices, and engine='numpy' has one: leave it out, or take engine='jax'"
    )
    assert "batch_axis= divides" in raised(ValueError, tn.compile, lambda x: x, batch_axis=0)


@pytest.mark.parametrize("wrong", [True, 1.0, "last", None])
def test_an_axis_is_a_number(wrong, raised):
    text = raised(TypeError, tn.compile, lambda x: x, batch_axis=wrong)
    assert text == f"tn.compile: batch_axis={wrong!r}, expected the number of an axis; -1 is the last one"


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_named_and_makes_a_program(name):
    assert repr(engine_of(name)) == f"<engine {name}>"
    assert is_installed(name)
    step = tn.compile(lambda x: tn.exp(x) + 1.0, engine=name)
    for _ in range(3):
        np.testing.assert_allclose(step(np.zeros(2)), [2.0, 2.0], rtol=1e-15)
    assert step.program.engine.name == step.engine.name == name


def test_settings_of_a_decorator_are_checked_where_it_is_written(raised):
    assert "engine='cuda'" in raised(ValueError, tn.compile, engine="cuda")
