"""Names of PyTorch, JAX and HIPS autograd: what is said to those who look for them, and that it is true."""

import re

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.other_names import HINTS, LOSSES
from tinygrad_nn.training.lookup import find_loss

OWNERS = {f"tinygrad_nn.{name}": getattr(tn, name) for name in ("nn", "optim", "training")}
OWNERS |= {"tinygrad_nn": tn, "Tensor": tn.tensor([1.0]), "Module": tn.nn.Flatten()}


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, names in HINTS.items() for name in names])
def test_what_a_hint_names_is_there_and_the_name_itself_is_not(place, name):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}': use {re.escape(HINTS[place][name])}$"):
        getattr(OWNERS[place], name)
    assert name not in dir(OWNERS[place])
    for path in re.findall(r"\btn((?:\.\w+)+)", HINTS[place][name]):
        value = tn
        for part in path[1:].split("."):
            value = getattr(value, part)
    for attribute in re.findall(r"\bx\.(\w+)", HINTS[place][name]):
        assert hasattr(OWNERS["Tensor"], attribute)
    for attribute in re.findall(r"\bmodel\.(\w+)", HINTS[place][name]):
        assert hasattr(OWNERS["Module"], attribute)


@pytest.mark.parametrize(("name", "here"), LOSSES.items())
def test_losses_by_other_names(name, here):
    assert find_loss(here) is getattr(tn, here)
    with pytest.raises(ValueError, match=f"^fit: there is no loss '{name}'; did you mean '{here}'[?]$"):
        find_loss(name)


def test_names_that_are_nearly_right():
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_nn' has no attribute 'cros_entropy': did you mean"):
        tn.cros_entropy  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_nn.nn' has no attribute 'Dens': did you mean 'Dense'"):
        tn.nn.Dens  # noqa: B018
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_nn.optim' has no attribute 'quaternion'$"):
        tn.optim.quaternion  # noqa: B018


def test_dir_shows_the_public_names():
    assert {name for name in dir(tn) if name[0] != "_"} == {*tn.__all__, *tn.ops.names()}
    shown = {name for name in dir(tn.tensor([1.0])) if name[:2] != "__"}
    assert {"data", "grad", "shape", "backward", "retain_grad", "dtype", "op", "inputs", "tanh"} <= shown
    assert not shown & {"here", "known", "slots", "tracked", "use", "watch", "value", "retain", "as_index", "_value"}
    assert all(hasattr(np.ndarray, name) or hasattr(tn.Tensor, name) for name in shown)
