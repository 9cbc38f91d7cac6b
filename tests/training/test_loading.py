"""What is loaded trains as what was saved, and the file it comes from is a file, and as private as it was."""

import os

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError

each_format = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])


def train(model, optimizer, moons, steps=4):
    X, y = moons
    for i in range(steps):
        optimizer.zero_grad()
        tn.cross_entropy(model(X[:, i * 8 : i * 8 + 8]), y[i * 8 : i * 8 + 8]).backward()
        optimizer.step()


# --- as it was saved, so it trains -----------------------------------------------------------------------------------


def ways_to_load(path):
    """What is rebuilt, and what is filled: model and optimiser."""
    model, _ = made = half_frozen(frozen=False)
    model.load(path, made[1])
    return [made, tn.nn.load(path)]


def half_frozen(frozen=True):
    """A network whose first layer is frozen after its optimiser was made, and whose statistics stay."""
    layers = [tn.nn.Dense(2, 4, "tanh", rng=0), tn.nn.BatchNorm(4), tn.nn.Dropout(0.5, rng=1), tn.nn.Dense(4, 2, rng=2)]
    model = tn.nn.Sequential(*layers)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if frozen:
        model[0].W.requires_grad = model[0].b.requires_grad = False
        model[1].eval()
        model[2].eval()
    return model, optimizer


@each_format
def test_frozen_parameters_stay_frozen_and_modules_in_their_mode(tmp_path, moons, same, suffix):
    model, optimizer = half_frozen()
    path = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer)
    copies = ways_to_load(path)
    train(model, optimizer, moons)
    for copy, its_optimizer in copies:
        assert [p.requires_grad for _, p in copy.named_tensors()] == [False] * 2 + [True] * 2 + [False] * 2 + [True] * 2
        assert [module.training for module in copy.modules()] == [True, True, False, False, True]
        train(copy, its_optimizer, moons)
        assert same(copy, model)


def test_what_was_frozen_where_it_is_loaded_is_as_in_the_file(tmp_path):
    path = checkpoint.save(tmp_path / "m.npz", half_frozen(frozen=False)[0])
    model, _ = half_frozen()
    model.load(path)
    assert [p.requires_grad for _, p in model.named_tensors()] == [True] * 4 + [False] * 2 + [True] * 2
    assert all(module.training for module in model.modules())


def test_a_buffer_that_is_trained_comes_back(tmp_path):
    model, _ = half_frozen()
    model[1].running_mean.requires_grad = True
    model[0].W.requires_grad = True
    optimizer = tn.optim.SGD(model.parameters())
    copy, its = tn.nn.load(checkpoint.save(tmp_path / "m.npz", model, optimizer))
    assert copy[1].running_mean.requires_grad
    assert [len(group["params"]) for group in its.param_groups] == [6]


@each_format
def test_arrays_of_either_byte_order_come_back(tmp_path, suffix):
    class Own(tn.nn.Module):
        def __init__(self, dtype):
            self.w = tn.tensor(np.array([1.0, 2.5], dtype), requires_grad=True)

    for here, there in [(">f8", "<f8"), ("<f8", ">f8"), (">f4", ">f4")]:
        model, other = Own(here), Own(there)
        optimizer, its = (tn.optim.Adam(m.parameters()) for m in (model, other))
        (model.w * model.w).sum().backward()
        optimizer.step()
        extra = {"big": np.array([1, 2], ">i2")}
        path = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer, extra)
        found = checkpoint.restore(path, other, its)
        assert other.w.tolist() == model.w.tolist() != [1.0, 2.5]
        assert its.state[0]["m"].tolist() == optimizer.state[0]["m"].tolist() != [0.0, 0.0]
        assert found.extra["big"].tolist() == [1, 2]


def test_an_optimizer_of_the_parameters_in_another_order_is_refused(tmp_path, raised):
    """Of equal shapes, whose state would be exchanged without a word."""
    model = tn.nn.Sequential(tn.nn.Dense(2, 2, bias=False, rng=0), tn.nn.Dense(2, 2, bias=False, rng=1))
    first, second = model.parameters()
    path = checkpoint.save(tmp_path / "m.npz", model, tn.optim.SGD([first, second], momentum=0.5))
    text = raised(CheckpointError, model.load, path, tn.optim.SGD([second, first], momentum=0.5))
    assert "optimiser.0.0 is layers.0.W in the file, layers.1.W here" in text


def test_two_modules_of_one_path_are_refused(tmp_path, raised):
    class Dotted(tn.nn.Module):
        def __init__(self):
            self.parts = {"a.b": tn.nn.Dropout(0.5, rng=0), "a": {"b": tn.nn.Activation("tanh")}}

    for call in (checkpoint.save, lambda path, model: model.save(path)):
        assert raised(ValueError, call, tmp_path / "m.npz", Dotted()) == (
            "save: two modules, Dropout and Activation, have the path 'parts.a.b': "
            "a dict's key with a dot reads like a dict within it; rename one"
        )
    assert os.listdir(tmp_path) == []


# --- files and what only looks like one ------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and devices of POSIX")


@posix
def test_a_private_file_stays_private(tmp_path, network):
    path = tmp_path / "m.npz"
    former = os.umask(0o022)
    try:
        checkpoint.save(path, network())
        assert path.stat().st_mode & 0o777 == 0o644
        for mode in (0o600, 0o640, 0o400):
            path.chmod(mode)
            checkpoint.save(path, network())
            assert path.stat().st_mode & 0o777 == mode
    finally:
        os.umask(former)


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path, network, monkeypatch):
    path = checkpoint.save(tmp_path / "m.npz", network())
    path.chmod(0o600)
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(f.stat().st_mode & 0o777 for f in tmp_path.iterdir()))
    checkpoint.save(path, network())
    assert set(seen) == {0o600}


@posix
def test_nobody_gains_by_a_file_whose_owner_cannot_be_kept(tmp_path, network, monkeypatch):
    path = checkpoint.save(tmp_path / "m.npz", network())
    path.chmod(0o664)
    asked = []

    def refuse(place, owner, group):
        asked.append((owner, group))
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    former = os.stat_result((0o100664, 0, 0, 1, os.getuid() + 1, os.getgid() + 1, 0, 0, 0, 0))
    checkpoint.files._permit_as(former, path)
    assert asked == [(os.getuid() + 1, os.getgid() + 1)]
    assert path.stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.parametrize("linked", [False, True])
def test_only_regular_files_are_replaced_or_read(tmp_path, network, raised, linked):
    os.mkfifo(tmp_path / "pipe.npz")
    os.mkdir(tmp_path / "folder.npz")
    for name in ("pipe.npz", "folder.npz", "/dev/null"):
        place = tmp_path / name
        path = tmp_path / f"link to {place.name}.npz" if linked or place.suffix != ".npz" else place
        if path != place:
            path.symlink_to(place)
        before = os.stat(place)
        text = raised(OSError, checkpoint.save, path, network())
        assert text == f"{place} is no regular file but a folder, a device or a pipe; give the path of a file"
        assert "is no regular file" in raised(OSError, checkpoint.read, path)
        assert (os.stat(place).st_ino, os.stat(place).st_mode) == (before.st_ino, before.st_mode)
    assert not any(path.name.endswith(".tmp") for path in tmp_path.iterdir())


# --- tied weights, shared layers --------------------------------------------------------------------------------------


def tied_weight():
    model = tn.nn.Sequential(tn.nn.Dense(3, 3, "tanh", rng=0), tn.nn.Dense(3, 3, rng=1))
    model[1].W = model[0].W
    return model


def tied_frozen():
    model = tied_weight()
    model[0].W.requires_grad = False
    return model


def shared_layer():
    layer = tn.nn.Dense(3, 3, "tanh", rng=0)
    return tn.nn.Sequential(layer, tn.nn.Dropout(0.1, rng=0), layer, tn.nn.Dense(3, 3, rng=1), layer)


def shared_with_buffers():
    norm, drop = tn.nn.BatchNorm(3), tn.nn.Dropout(0.2, rng=0)
    block = tn.nn.Residual(tn.nn.Dense(3, 3, "tanh", rng=0), norm, drop)
    return tn.nn.Sequential(block, norm, tn.nn.Dense(3, 3, rng=1), drop, block)


def many_times():
    layer = tn.nn.Dense(3, 3, "tanh", rng=0)
    return tn.nn.Sequential(*[layer] * 60)


TIED = [tied_weight, tied_frozen, shared_layer, shared_with_buffers, many_times]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("make", TIED)
def test_tied_weights_come_back_tied(tmp_path, make, suffix):
    """And train on as before: what is one tensor has one gradient, and one state of the optimiser."""
    model = make()
    optimizer, X = tn.optim.Adam(model.parameters(), 0.01), np.random.default_rng(0).normal(size=(3, 8))

    def step(model, optimizer):
        optimizer.zero_grad()
        tn.mse(model(X), X).backward()
        optimizer.step()

    step(model, optimizer)
    copy, its_optimizer = tn.nn.load(model.save(tmp_path / f"m{suffix}", optimizer))
    assert copy.tied_paths() == model.tied_paths() != []
    assert [name for name, _ in copy.named_tensors()] == [name for name, _ in model.named_tensors()]
    into = make().load(tmp_path / f"m{suffix}")
    for _ in range(2):
        step(model, optimizer)
        step(copy, its_optimizer)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(copy.state_dict()[name], value)
    assert into.tied_paths() == model.tied_paths()


def test_what_is_tied_in_one_and_not_in_the_other_is_refused(tmp_path, raised):
    tied_weight().save(tmp_path / "tied")
    apart = tn.nn.Sequential(tn.nn.Dense(3, 3, "tanh"), tn.nn.Dense(3, 3))
    before = apart.state_dict()
    text = raised(checkpoint.CheckpointError, apart.load, tmp_path / "tied")
    assert (
        "belongs to another model: layers.0.W and layers.1.W are tied in the file, apart here; make the model" in text
    )
    assert all(np.array_equal(before[k], v) for k, v in apart.state_dict().items())
    apart.save(tmp_path / "apart")
    assert "are apart in the file, tied here" in raised(
        checkpoint.CheckpointError, tied_weight().load, tmp_path / "apart"
    )


def test_a_file_without_ties_is_as_it_ever_was(tmp_path):
    path = tn.nn.Dense(2, 2).save(tmp_path / "m.safetensors")
    assert b"tied" not in path.read_bytes()


def test_ties_of_a_file_cannot_fill_the_memory(tmp_path, monkeypatch, raised):
    """What a file says is tied is made once for each place; no file makes much more than it holds."""
    model = tied_weight()
    monkeypatch.setattr(type(model), "tied_paths", lambda self: [["layers.0.W", *["layers.1.W"] * 1000]])
    model.save(tmp_path / "m")
    monkeypatch.undo()
    assert "its tied weights are 9,000 numbers in a model of 15" in raised(
        checkpoint.CheckpointError, tn.nn.load, tmp_path / "m"
    )
    for wrong in ([["layers.0.W", "layers.7.W"]], [["layers.0.W", "layers.1.b"]]):
        monkeypatch.setattr(type(model), "tied_paths", lambda self, wrong=wrong: wrong)
        model.save(tmp_path / "m")
        monkeypatch.undo()
        raised(checkpoint.CheckpointError, tn.nn.load, tmp_path / "m")
