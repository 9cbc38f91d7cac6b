"""A training that dies in the middle of an epoch and is taken up ends bitwise as one that never stopped.

For every optimiser and schedule of `tn.optim`, with dropout and batch normalisation or without, compiled or not; a part
of the combinations in every run, all of them each night.
"""

import itertools
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint, optim

X, LABELS = tn.data.make_moons(96, rng=0)
WEIGHTS = np.random.default_rng(1).random(96)
EPOCHS, BATCHES = 4, 3

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "OnlineLBFGS": {},
}  # others with what they have by default
SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 2),
    "MultiStepLR": lambda o: optim.MultiStepLR(o, [1, 3]),
    "ExponentialLR": lambda o: optim.ExponentialLR(o, 0.9),
    "LinearLR": lambda o: optim.LinearLR(o, total_iters=3),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, 5),
    "SequentialLR": lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.StepLR(o, 1)], [2]),
    "OneCycleLR": lambda o: optim.OneCycleLR(
        o, 0.1, EPOCHS * BATCHES, cycle_momentum="momentum" in o.param_groups[0] or "betas" in o.param_groups[0]
    ),
    "ReduceLROnPlateau": lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "no schedule": lambda o: None,
}


def of_kind(kind):
    classes = {name: getattr(optim, name) for name in optim.__all__}
    return sorted(name for name, c in classes.items() if isinstance(c, type) and issubclass(c, kind) and c is not kind)


class Stream:
    """Batches without a length, in an order that it draws from its generator, with weights."""

    def __init__(self, rng):
        self.rng = np.random.default_rng(rng)

    def __iter__(self):
        for index in self.rng.permutation(96).reshape(BATCHES, -1):
            yield X[:, index], LABELS[index], WEIGHTS[index]


class BySetEpoch:
    """Batches in an order that follows from the number of the epoch."""

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        yield from tn.data.batches(X, LABELS, 32, rng=self.epoch)


DATA = {
    "arrays": lambda: (X, LABELS),
    "batches with weights": lambda: tn.data.batches(X, LABELS, 32, rng=5, weight=WEIGHTS),
    "a stream": lambda: Stream(5),
    "set_epoch": BySetEpoch,
}


class Dies:
    """The process is killed in the middle of the third epoch."""

    def on_batch_end(self, epoch, batch, loss):
        if (epoch, batch) == (3, 2):
            raise ZeroDivisionError


def train(path, optimizer, schedule, dropout, normed, compiled, data="arrays", callbacks=(), dtype=np.float64):
    rng = np.random.default_rng(7)
    layers = [tn.nn.Dense(2, 6, "tanh", rng=rng, dtype=dtype)]
    layers += [tn.nn.BatchNorm(6, dtype=dtype)] * normed + [tn.nn.Dropout(0.2, rng=3)] * dropout
    model = tn.nn.Sequential(*layers, tn.nn.Dense(6, 2, rng=rng, dtype=dtype))
    made = getattr(optim, optimizer)(model.parameters(), **OPTIMIZERS.get(optimizer, {}))
    history = tn.fit(
        model, tn.cross_entropy, made, DATA[data](), EPOCHS, validation=(X, LABELS), metrics=["accuracy", "auc"], rng=1,
        schedule=SCHEDULES[schedule](made), checkpoint=path, resume=True, compile=compiled, callbacks=callbacks,
        clip=None if made.needs_loss else 1.0, class_weight=[1.0, 2.0], progress=False,
    )  # fmt: skip
    history.seconds = []
    found = checkpoint.read(path)
    found.extra["history"].pop("seconds")
    return history, found


def differences(a, b, where=""):
    """Where two nested states differ, to the bit."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [at for key in a for at in differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [at for i, (x, y) in enumerate(zip(a, b, strict=True)) for at in differences(x, y, f"{where}[{i}]")]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        equal = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    else:
        equal = type(a) is type(b) and (a == b or a != a)
    return [] if equal else [where]


def check(folder, *combination, **more):
    """Train through, and with an end in the middle; compare all that both have written."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history, whole = train(folder / "whole.npz", *combination, **more)
        with pytest.raises(ZeroDivisionError):
            train(folder / "parts.npz", *combination, **more, callbacks=[Dies()])
        assert len(checkpoint.read(folder / "parts.npz").extra["history"]["loss"]) == 2
        resumed, parts = train(folder / "parts.npz", *combination, **more)
    assert resumed == history
    assert len(history) == EPOCHS
    assert differences(vars(whole), vars(parts)) == []
    for path in folder.iterdir():
        path.unlink()


def some():
    """Every optimiser eager and compiled, and every schedule and kind of data on the way, either way."""
    schedules, data = itertools.cycle(SCHEDULES), itertools.cycle(DATA)
    layers = itertools.cycle([(True, True), (False, True), (True, False), (False, False), (True, True)])
    for name in of_kind(optim.Optimizer):
        for compiled in (False, True):
            yield name, next(schedules), *next(layers), compiled, next(data)
        next(data)
        next(layers)


def test_every_optimizer_and_schedule_has_its_turn():
    assert {*of_kind(optim.Schedule), "no schedule"} == {*SCHEDULES}
    quick = [*some()]
    assert {*of_kind(optim.Optimizer)} >= {*OPTIMIZERS}
    for i, values in ((0, of_kind(optim.Optimizer)), (1, SCHEDULES), (2, (False, True)), (3, (False, True)), (5, DATA)):
        assert {(c[i], c[4]) for c in quick} == {*itertools.product(values, (False, True))}


@pytest.mark.parametrize("combination", [*some()], ids=lambda c: "-".join(map(str, c)))
def test_bitwise_as_if_it_had_not_stopped(tmp_path, combination):
    check(tmp_path, *combination)


@pytest.mark.nightly
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", of_kind(optim.Optimizer))
def test_all_combinations(tmp_path, optimizer, schedule):
    data, dtypes = itertools.cycle(DATA), itertools.cycle([np.float32, np.float64, np.float16])
    for dropout, normed, compiled in itertools.product((False, True), repeat=3):
        check(tmp_path, optimizer, schedule, dropout, normed, compiled, next(data), dtype=next(dtypes))
