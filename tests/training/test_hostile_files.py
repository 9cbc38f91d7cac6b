"""Files that were damaged or forged: refused by our own error, in bounded memory, with nothing changed; or unharmed."""

import contextlib
import os
import tracemalloc

import numpy as np
import pytest
from hostile_files import damaged, digest, forged

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError

each_format = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
every_time_and_at_night = pytest.mark.parametrize(
    "part", [0.02, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"]
)


class Program:
    """A training that is saved and resumed: two layers, dropout, momentum, a schedule, batches in random order."""

    def __init__(self):
        rng = np.random.default_rng(7)
        layers = tn.nn.Dense(2, 3, "tanh", rng=rng), tn.nn.Dropout(0.2, rng=3), tn.nn.Dense(3, 2, rng=rng)
        self.model = tn.nn.Sequential(*layers, tn.nn.BatchNorm(2))
        self.optimizer = tn.optim.Adam(self.model.parameters(), lr=0.01)
        self.schedule = tn.optim.ReduceLROnPlateau(self.optimizer)
        self.data = tn.data.batches(*tn.data.make_moons(16, rng=0), 8, rng=1)

    def run(self, path, epochs):
        return tn.fit(
            self.model, tn.cross_entropy, self.optimizer, self.data, epochs, schedule=self.schedule, patience=9,
            checkpoint=path, resume=True,
        )  # fmt: skip

    def state(self):
        generators = [self.data.rng.bit_generator.state, self.model[1].rng.bit_generator.state]
        flags = [(tensor.requires_grad, tensor.value.tobytes()) for _, tensor in self.model.named_tensors()]
        modes = [module.training for module in self.model.modules()]
        return repr((generators, flags, modes, self.optimizer.state_dict(), self.schedule.state_dict()))


@pytest.fixture
def written(tmp_path):
    """The bytes of a checkpoint by `fit`, in a format, and where to put mutants of it."""

    def make(suffix):
        path = tmp_path / f"run{suffix}"
        Program().run(path, 2)
        return path, path.read_bytes()

    return make


@contextlib.contextmanager
def bounded_memory(data):
    """As much as a hundred times the file, and what a model of ours needs."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    yield
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 100 * len(data) + 500_000


@pytest.fixture
def traced(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes longer than all else
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@each_format
@every_time_and_at_night
def test_what_was_damaged_is_refused_or_the_same(written, traced, suffix, part):
    path, whole = written(suffix)
    rng, expected, refused = np.random.default_rng(0), digest(checkpoint.read(path)), 0
    n = int(10_000 * part)
    for _ in range(n):
        mutant = damaged(whole, rng)
        path.write_bytes(mutant)
        with bounded_memory(mutant):
            try:
                found = checkpoint.read(path)
            except CheckpointError:
                refused += 1
                continue
        assert digest(found) == expected
    print(f"{suffix}: {n:,} damaged files, {refused:,} refused, {n - refused:,} the same")
    assert n > refused > 0.7 * n


@each_format
@every_time_and_at_night
def test_what_was_forged_is_refused_or_a_checkpoint(written, traced, suffix, part):
    """Its checksum is right.  A model that can be rebuilt can be used, and a program that cannot go on is as it was."""
    path, whole = written(suffix)
    rng, outcomes = np.random.default_rng(1), {"refused": 0, "resumed": 0, "diverged": 0}
    n, before = int(2_500 * part), Program().state()
    for _ in range(n):
        mutant = forged(whole, suffix, rng)
        path.write_bytes(mutant)
        with bounded_memory(mutant), contextlib.suppress(CheckpointError), np.errstate(all="ignore"):
            model, _ = tn.nn.load(path)
            model(np.ones((2, 4)))
        program = Program()
        try:
            program.run(path, 3)
            outcomes["resumed"] += 1
        except CheckpointError:
            outcomes["refused"] += 1
            assert program.state() == before
        except tn.NonFiniteError:
            outcomes["diverged"] += 1
    print(f"{suffix}: {n:,} forged files: {outcomes}")
    assert outcomes["refused"] > 0.5 * n
    assert outcomes["resumed"] > 0
