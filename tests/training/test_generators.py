"""Random generators wherever a module holds them: a training that is taken up draws what it would have drawn."""

import collections

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError
from tinygrad_nn.checkpoint.generators import generator_of, rng_of, state_of

BITS = [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]
Pair = collections.namedtuple("Pair", "first second")


class Noise(tn.nn.Module):
    def __init__(self, hold, take):
        self.noise = hold()
        self.take = take

    def forward(self, x):
        for rng in self.take(self.noise):
            x = x + 0.1 * rng.normal(size=x.shape) * rng.uniform(0.5, 1.0)
        return x


def default(seed=0):
    return np.random.default_rng(seed)


def shared():
    rng = default()
    return [rng, {"same": rng}]


HOLDERS = {
    "attribute": (default, lambda held: [held]),
    "list": (lambda: [default(), default(1)], list),
    "tuple": (lambda: (default(), np.random.RandomState(3)), list),
    "named tuple": (lambda: Pair(default(), default(1)), list),
    "dict": (
        lambda: {"a": default(), "b/c": default(1), "b": {"c": default(2)}},
        lambda d: [d["a"], d["b/c"], d["b"]["c"]],
    ),
    "deeper": (lambda: [{"a": (1, [default()])}], lambda held: held[0]["a"][1]),
    "shared": (shared, lambda held: [held[0], held[1]["same"]]),
    "older": (lambda: np.random.RandomState(4), lambda held: [held]),
    "older, of others": (lambda: np.random.RandomState(np.random.PCG64(4)), lambda held: [held]),
    **{kind.__name__: (lambda kind=kind: [np.random.Generator(kind(1))], list) for kind in BITS},
}


@pytest.fixture
def run(tmp_path):
    def program(holder, epochs, path=None, **settings):
        model = tn.nn.Sequential(Noise(*HOLDERS[holder]), tn.nn.Dense(2, 1, rng=0), tn.nn.Dropout(0.2, rng=5))
        settings = {"checkpoint": path and tmp_path / path, "rng": 1, "progress": False} | settings
        data = default(9).normal(size=(2, 24)), np.ones((1, 24))
        return model, tn.fit(model, "mse", tn.optim.Adam(model.parameters()), data, epochs, batch_size=8, **settings)

    return program


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_training_draws_on_where_it_is_taken_up(run, same, holder, suffix):
    model, whole = run(holder, 5)
    for epochs in (1, 2, 5):
        again, history = run(holder, epochs, f"run{suffix}", resume=True)
    assert history.loss == whole.loss
    assert same(again, model)
    assert [rng.normal() for rng in HOLDERS[holder][1](again[0].noise)] == [
        rng.normal() for rng in HOLDERS[holder][1](model[0].noise)
    ]


def test_generators_are_what_they_were_and_containers_too(tmp_path):
    module = Noise(shared, None)
    held, inner = module.noise, module.noise[1]
    path = checkpoint.save(tmp_path / "m.npz", module)
    assert [entry["of"] for entry in checkpoint.read(path).generators] == [["noise/0", "noise/1/same"]]
    module.noise[0].random(7)
    module.load(path)
    assert module.noise is held
    assert module.noise[1] is inner
    assert held[0] is inner["same"]
    assert held[0].random() == default().random()
    apart = Noise(lambda: [default(4), {"same": np.random.Generator(np.random.MT19937(1))}], None)
    apart.load(path)
    assert apart.noise[0] is apart.noise[1]["same"]


@pytest.mark.parametrize("bits", BITS)
def test_another_kind_of_bits_takes_the_place(tmp_path, bits):
    path = checkpoint.save(tmp_path / "m.npz", Noise(lambda: (np.random.Generator(bits(3)), 1), None))
    module = Noise(lambda: (np.random.Generator(np.random.PCG64(0)), 1), None)
    module.load(path)
    assert type(module.noise[0].bit_generator) is bits
    assert module.noise[1] == 1
    assert module.noise[0].random() == np.random.Generator(bits(3)).random()


def test_generators_that_differ_are_refused_and_nothing_is_changed(tmp_path):
    def holding(*generators):
        return Noise(lambda: list(generators), None)

    path = checkpoint.save(tmp_path / "m.npz", holding(default(), np.random.RandomState(0)))
    for other, text in (
        (holding(default(7)), "noise/1 is RandomState in the file, missing here"),
        (holding(default(7), default(8)), "noise/1 is RandomState in the file, random here"),
        (holding(default(7), np.random.RandomState(0), default(8)), "noise/2 is missing in the file, random here"),
    ):
        with pytest.raises(CheckpointError, match=text):
            other.load(path)
        assert other.noise[0].random() == default(7).random()


def test_places_whose_names_would_be_equal_are_told_apart(tmp_path):
    module = Noise(lambda: {"a/b": default(1), "a": {"b": default(2)}}, None)
    path = checkpoint.save(tmp_path / "m.npz", module)
    for rng in (module.noise["a/b"], module.noise["a"]["b"]):
        rng.random(3)
    module.load(path)
    assert module.noise["a/b"].random() == default(1).random()
    assert module.noise["a"]["b"].random() == default(2).random()


WRONG = [
    ("has_gauss", 2),
    ("has_gauss", True),
    ("has_gauss", None),
    ("gauss", 1),
    ("gauss", float("nan")),
    ("gauss", "0.0"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_state_that_no_older_generator_is_in_is_refused(name, value):
    with pytest.raises(ValueError, match="the state of a RandomState has has_gauss="):
        rng_of(state_of(np.random.RandomState(0)) | {name: value})
    state = state_of(np.random.RandomState(0))
    state["state"]["pos"] = 700
    with pytest.raises(ValueError, match="the state of a random generator, MT19937, has pos=700"):
        rng_of(state)
    with pytest.raises(ValueError, match="has other parts than"):
        generator_of(state_of(np.random.RandomState(0)))
