"""Checkpoints: what is written comes back to the bit, whatever is wrong is refused, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError

SUFFIXES = [".safetensors", ".npz"]
each_format = pytest.mark.parametrize("suffix", SUFFIXES)

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.01, "betas": (0.8, 0.99), "amsgrad": True},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
    "NAdam": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.1},
    "Adadelta": {},
    "Rprop": {"lr": 0.01},
    "IDBD": {"lr": 0.01},
    "OnlineLBFGS": {"lr": 0.1, "history_size": 3},
}


def train(model, optimizer, moons, steps=4):
    X, y = moons
    for i in range(steps):
        batch = X[:, i * 8 : i * 8 + 8], y[i * 8 : i * 8 + 8]
        if optimizer.needs_loss:
            optimizer.step(lambda batch=batch: tn.cross_entropy(model(batch[0]), batch[1]))
        else:
            optimizer.zero_grad()
            tn.cross_entropy(model(batch[0]), batch[1]).backward()
            optimizer.step()


# --- what is written comes back --------------------------------------------------------------------------------------


@each_format
def test_a_model_comes_back(tmp_path, network, same, suffix):
    model = network(dropout=0.5)
    path = checkpoint.save(tmp_path / f"m{suffix}", model)
    copy = tn.nn.load(path)
    assert repr(copy) == repr(model)
    assert same(copy, model)
    X = np.ones((2, 4))
    assert np.array_equal(copy(X).numpy(), model(X).numpy())  # dropout draws the same, too


@each_format
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_come_back(tmp_path, network, suffix, dtype):
    model = network(dtype=dtype)
    copy = tn.nn.load(checkpoint.save(tmp_path / f"m{suffix}", model))
    assert [p.dtype for p in copy.parameters()] == [dtype] * 4


@each_format
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_bitwise(tmp_path, network, moons, same, suffix, name):
    if name == "OnlineLBFGS" and suffix == ".npz":
        pytest.skip("once is enough")
    model = network(dropout=0.2)
    optimizer = getattr(tn.optim, name)(model.parameters(), **OPTIMIZERS[name])
    train(model, optimizer, moons)
    path = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer)
    copy, its_optimizer = tn.nn.load(path)
    assert type(its_optimizer) is type(optimizer)
    train(model, optimizer, moons)
    train(copy, its_optimizer, moons)
    assert same(copy, model)


def test_groups_and_normalising_layers_come_back(tmp_path, moons, same):
    model = tn.nn.Sequential(tn.nn.Dense(2, 4, rng=0), tn.nn.BatchNorm(4), tn.nn.Dense(4, 2, rng=1))
    groups = [{"params": [model[0].W, model[2].W], "weight_decay": 0.1}, {"params": [model[0].b], "lr": 0.5}]
    optimizer = tn.optim.SGD(groups, lr=0.1, momentum=0.9)
    train(model, optimizer, moons)
    copy, its_optimizer = tn.nn.load(checkpoint.save(tmp_path / "m.npz", model, optimizer))
    train(model, optimizer, moons)
    train(copy, its_optimizer, moons)
    assert same(copy, model)
    assert [g["lr"] for g in its_optimizer.param_groups] == [0.1, 0.5]


@each_format
def test_extra_comes_back(tmp_path, network, suffix):
    extra = {
        "epoch": 3,
        "best": [0.5, None, True],
        "text": "ß",
        "arrays": {"a": np.arange(3), "empty": np.zeros((0, 2))},
    }
    found = checkpoint.read(checkpoint.save(tmp_path / f"m{suffix}", network(), extra=extra)).extra
    assert found["epoch"] == 3
    assert found["best"] == [0.5, None, True]
    assert found["text"] == "ß"
    assert found["arrays"]["a"].tolist() == [0, 1, 2]
    assert found["arrays"]["empty"].shape == (0, 2)


@each_format
def test_any_key_and_any_kind_of_integer_comes_back(tmp_path, network, suffix):
    keys = ["../up", "a.npy", "ß☃", "__metadata__", "two\nlines", "\\", "", "a'", 'a"', "file", "x" * 300]
    extra = {key: np.array([i], "qQlhLb"[i % 6]) for i, key in enumerate(keys)}
    found = checkpoint.read(checkpoint.save(tmp_path / f"m{suffix}", network(), extra=extra)).extra
    assert found == {key: np.array([i]) for i, key in enumerate(keys)}


def test_keys_with_slashes_do_not_collide(tmp_path, network):
    extra = {"a/b": np.zeros(1), "a": {"b": np.ones(2)}}
    found = checkpoint.read(checkpoint.save(tmp_path / "m.npz", network(), extra=extra)).extra
    assert found["a/b"].tolist() == [0.0]
    assert found["a"]["b"].tolist() == [1.0, 1.0]


def test_generators_of_any_kind_come_back_and_stay_shared(tmp_path):
    rng = np.random.Generator(np.random.MT19937(5))
    model = tn.nn.Sequential(tn.nn.Dropout(0.5, rng=rng), tn.nn.Dropout(0.5, rng=rng))
    model(np.ones((2, 2)))
    copy = tn.nn.load(checkpoint.save(tmp_path / "m.npz", model))
    assert copy[0].rng is copy[1].rng
    assert isinstance(copy[0].rng.bit_generator, np.random.MT19937)
    assert np.array_equal(copy(np.ones((3, 9))).numpy(), model(np.ones((3, 9))).numpy())


def test_a_module_of_ones_own_is_restored_not_rebuilt(tmp_path, raised, same):
    class Line(tn.nn.Module):
        def __init__(self, slope):
            self.slope = tn.tensor(slope, requires_grad=True)

    path = checkpoint.save(tmp_path / "line.npz", Line(2.0))
    other = Line(0.0)
    checkpoint.restore(path, other)
    assert other.slope.item() == 2.0
    text = raised(CheckpointError, tn.nn.load, path)
    assert "line.npz does not say how to rebuild its model (Line " in text
    assert text.endswith("model.load(path) fills one that you make")


def test_an_activation_that_is_not_there_is_named(tmp_path, raised):
    tn.op(
        lambda x: x * x * x,
        "{x}³",
        lambda g, y, x: g * (3 * x * x),
        name="_cube_of_this_test",
        part_of="cube",
        kind="elementwise",
    )
    path = checkpoint.save(tmp_path / "m.npz", tn.nn.Dense(2, 2, "_cube_of_this_test"))
    del tn.operation.BY_NAME["_cube_of_this_test"]
    text = raised(CheckpointError, tn.nn.load, path)
    assert "m.npz cannot be rebuilt here: Dense: there is no activation '_cube_of_this_test'" in text


def test_a_model_comes_back_in_the_mode_it_was_in(tmp_path, network):
    for mode in (True, False):
        copy = tn.nn.load(checkpoint.save(tmp_path / "m.npz", network(dropout=0.5).train(mode)))
        assert {module.training for module in copy.modules()} == {mode}


def test_repr_says_what_is_inside(tmp_path, network):
    model = network()
    path = checkpoint.save(tmp_path / "m.npz", model, tn.optim.Adam(model.parameters()), extra=1)
    assert repr(checkpoint.read(path)) == "Checkpoint(Sequential: 27 numbers, Adam, extra)"


def test_the_default_suffix_is_safetensors(tmp_path, network):
    assert checkpoint.save(tmp_path / "model", network()) == tmp_path / "model.safetensors"
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_link_stays_a_link(tmp_path, network, same):
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.npz"
    link.symlink_to(tmp_path / "real" / "run1.npz")
    checkpoint.save(link, network())
    assert link.is_symlink()
    assert same(tn.nn.load(tmp_path / "real" / "run1.npz"), network())


@each_format
def test_the_same_model_gives_the_same_bytes(tmp_path, network, suffix):
    a, b = (checkpoint.save(tmp_path / f"{name}{suffix}", network()).read_bytes() for name in "ab")
    assert a == b


def test_other_programs_can_read_it(tmp_path, network):
    """safetensors with plain names, and JSON in the metadata."""
    safetensors = pytest.importorskip("safetensors")
    model = network()
    path = checkpoint.save(tmp_path / "m", model)
    with safetensors.safe_open(path, "numpy") as file:
        assert np.array_equal(file.get_tensor("state/layers.0.W"), model[0].W.value)
        content = json.loads(json.loads(file.metadata()["checkpoint"])["content"])
    assert content["architecture"]["layers"][0]["activation"] == "tanh"


# --- what is wrong is refused ----------------------------------------------------------------------------------------


@each_format
def test_a_file_cut_at_any_byte_is_refused_and_changes_nothing(tmp_path, same, suffix):
    model = tn.nn.Dense(1, 1, rng=0)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    whole = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer).read_bytes()
    mine = tn.nn.Dense(1, 1, rng=1)
    before, cut = mine.state_dict(), tmp_path / f"cut{suffix}"
    for n in range(len(whole)):
        cut.write_bytes(whole[:n])
        with pytest.raises(CheckpointError, match="not a whole checkpoint"):
            checkpoint.restore(cut, mine)
    assert same(mine, before)


@each_format
def test_a_changed_byte_is_refused(tmp_path, suffix):
    model = tn.nn.Dense(1, 1, rng=0)
    whole = checkpoint.save(tmp_path / f"m{suffix}", model).read_bytes()
    wrong, undisturbed = tmp_path / f"wrong{suffix}", 0
    for n in range(len(whole)):
        wrong.write_bytes(whole[:n] + bytes([whole[n] ^ 0x10]) + whole[n + 1 :])
        try:
            found = checkpoint.read(wrong)
        except CheckpointError:
            continue
        undisturbed += 1  # dates and the like in a zip file: the content is what it was
        assert np.array_equal(found.state["W"], model.W.value)
        assert found.architecture == model.config()
    assert undisturbed < len(whole) / (5 if suffix == ".npz" else 100)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"{}", b"\x80\x04N.", b"\x89PNG" * 50], ids=repr)
@each_format
def test_what_is_no_checkpoint_is_refused(tmp_path, raised, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    assert str(path) in raised(CheckpointError, checkpoint.read, path)


def test_other_peoples_arrays_are_refused(tmp_path, raised):
    np.savez(tmp_path / "arrays.npz", W=np.ones(3))
    text = raised(CheckpointError, tn.nn.load, tmp_path / "arrays.npz")
    assert text.endswith("arrays.npz holds arrays but is not a checkpoint of tinygrad_nn: model.save(path) makes one")
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"W": np.ones(3)}, tmp_path / "arrays.safetensors")
    assert "not a checkpoint of tinygrad_nn" in raised(CheckpointError, tn.nn.load, tmp_path / "arrays.safetensors")


def test_another_version_is_refused(tmp_path, network, raised, monkeypatch):
    monkeypatch.setattr(checkpoint.record, "VERSION", 9)
    path = checkpoint.save(tmp_path / "m.npz", network())
    monkeypatch.undo()
    text = raised(CheckpointError, tn.nn.load, path)
    assert text == (
        f"{path} is a checkpoint of version 9, this tinygrad_nn reads version 2: read it with the release that wrote it"
    )


def test_pickles_are_never_loaded(tmp_path, raised):
    """An object array in a file of ours, whose pickle would write a file."""

    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    np.savez(tmp_path / "bomb.npz", allow_pickle=True, checkpoint=np.array([Bomb()], dtype=object))
    assert "not a whole checkpoint" in raised(CheckpointError, checkpoint.read, tmp_path / "bomb.npz")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"hidden": 6}, "layers.0.out_features is 5 in the file, 6 here"),
        ({"activation": "relu"}, "layers.0.activation is tanh in the file, relu here"),
        ({"dtype": np.float32}, "layers.0.dtype is float64 in the file, float32 here"),
        ({"dropout": 0.5}, "layers is of length 2 in the file, of length 3 here"),
    ],
    ids=str,
)
def test_another_architecture_is_refused_by_what_differs(tmp_path, network, raised, same, other, difference):
    path = checkpoint.save(tmp_path / "m.npz", network())
    model = network(**other)
    before = model.state_dict()
    text = raised(CheckpointError, checkpoint.restore, path, model)
    assert text == (f"{path} belongs to another model: {difference}; tn.nn.load(path) rebuilds the model of the file")
    assert same(model, before)


def test_other_shapes_are_refused_where_there_is_no_description(tmp_path, raised):
    class Own(tn.nn.Module):
        def __init__(self, n):
            self.w = tn.tensor(np.zeros(n), requires_grad=True)

    path = checkpoint.save(tmp_path / "m.npz", Own(3))
    assert "w is float64 (3,) in the file, float64 (4,) here" in raised(
        CheckpointError, checkpoint.restore, path, Own(4)
    )


def test_how_weights_were_drawn_does_not_matter(tmp_path, same):
    model, other = (tn.nn.Dense(2, 2, init=init) for init in ("zeros", "orthogonal"))
    checkpoint.restore(checkpoint.save(tmp_path / "m.npz", model), other)
    assert same(model, other)


def test_another_optimizer_is_refused_and_changes_nothing(tmp_path, network, moons, raised, same):
    model = network()
    path = checkpoint.save(tmp_path / "m.npz", model, tn.optim.Adam(model.parameters()))
    mine = network(dropout=0)
    train(mine, tn.optim.SGD(mine.parameters(), lr=0.1), moons)
    before = mine.state_dict()
    for wrong, difference in [
        (tn.optim.SGD(mine.parameters()), "the optimiser is Adam in the file, SGD here"),
        (
            tn.optim.Adam([mine[0].W]),
            "optimiser.0 is of length 4 in the file, of length 1 here",
        ),
        (tn.optim.Adam(mine.parameters(), amsgrad=True), "does not fit the optimiser"),
    ]:
        assert difference in raised(CheckpointError, checkpoint.restore, path, mine, wrong)
        assert same(mine, before)
    bare = checkpoint.save(tmp_path / "bare.npz", model)
    assert "holds no optimiser" in raised(
        CheckpointError, checkpoint.restore, bare, mine, tn.optim.SGD(mine.parameters())
    )


def test_what_a_file_cannot_hold_is_refused_before_anything_is_written(tmp_path, network, raised, monkeypatch):
    for extra, text in [
        ({"f": print}, "extra/f is of type builtin_function_or_method, a checkpoint holds numbers, texts, arrays,"),
        ([np.array(["a"])], "extra/0 has dtype <U1, a checkpoint holds real numbers of up to 8 bytes"),
        ({1: "a", "1": "b"}, "extra has keys that a checkpoint cannot tell apart: 1, '1'"),
        ({"a\0b": np.ones(1)}, r"'extra/a\x00b' has letters that no file can hold in a name; rename the key"),
        ({"\ud800": np.ones(1)}, r"'extra/\ud800' has letters that no file can hold in a name; rename the key"),
    ]:
        assert text in raised(TypeError, checkpoint.save, tmp_path / "m.npz", network(), None, extra)
    monkeypatch.setattr(checkpoint.formats, "LONGEST_TEXT", 5000)
    for suffix in SUFFIXES:
        text = raised(ValueError, checkpoint.save, tmp_path / f"m{suffix}", network(), None, [0.5] * 2000)
        assert "and at most 5,000 can be read back; turn long lists into arrays" in text
    assert "ends in '.pt', expected .safetensors or .npz" in raised(ValueError, checkpoint.save, "m.pt", network())
    assert os.listdir(tmp_path) == []


def test_a_foreign_optimizer_cannot_be_named(tmp_path, network, raised):
    """Types in a file are looked up among ours and nowhere else."""
    model = network()
    path = tmp_path / "m.npz"
    for kind in ("minimize", "__builtins__", "Schedule"):
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
        monster = type(kind, (tn.optim.SGD,), {})
        optimizer.__class__ = monster
        checkpoint.save(path, model, optimizer)
        assert f"there is no optimiser {kind!r}" in raised(CheckpointError, tn.nn.load, path)


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_a_failed_save_leaves_the_former_file(tmp_path, network, same, monkeypatch):
    path = checkpoint.save(tmp_path / "m.npz", network())
    former = path.read_bytes()

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save(path, network(hidden=9))
    assert path.read_bytes() == former
    assert os.listdir(tmp_path) == ["m.npz"]


SAVER = """
import sys
import numpy as np
import tinygrad_nn as tn
from tinygrad_nn import checkpoint
model, n = tn.nn.Dense(40, 40, rng=0), 0
while True:
    n += 1
    model.W.data = np.full((40, 40), float(n))
    checkpoint.save(sys.argv[1], model, extra=n)
    print(n, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@each_format
def test_a_killed_process_leaves_the_former_file_or_the_new_one(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    root = str(Path(tn.__file__).parent.parent)
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, path],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        finished = int(process.stdout.readline())
        time.sleep(rng.uniform(0.002, 0.03))
        process.send_signal(signal.SIGKILL)
        finished = max([finished, *map(int, process.stdout.read().split())])
        process.wait()
        process.stdout.close()
        found = checkpoint.read(path)
        assert found.extra in (finished, finished + 1)
        assert (found.state["W"] == found.extra).all()


def test_zip_members_are_what_a_zip_says(tmp_path, network):
    path = checkpoint.save(tmp_path / "m.npz", network())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert "checkpoint.npy" in archive.namelist()
