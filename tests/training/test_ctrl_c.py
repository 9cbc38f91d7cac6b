"""Ctrl-C at any instant of a training: it comes back with whole epochs, and what it wrote is taken up bitwise.

The instants are calls and returns of functions, those written in C included, drawn over the whole training and over the
modules that take part: so the writing of a file, measuring, callbacks and the ends of blocks have their turn.
"""

import signal
import sys

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint

X, LABELS = tn.data.make_moons(60, rng=0)
EPOCHS = 4

# What is raised while an object is finalised, Python only reports: a Ctrl-C there has to be pressed again.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Note:
    """Keeps what the model was after each epoch, and how often the end was told."""

    def __init__(self, model):
        self.model, self.states, self.ends = model, [model.state_dict()], 0

    def on_batch_end(self, epoch, batch, loss):
        pass

    def on_epoch_end(self, epoch, history):
        self.states.append(self.model.state_dict())

    def on_train_end(self, history):
        self.ends += 1


class Press:
    """Presses Ctrl-C at one of the events of a profile."""

    def __init__(self, at=None):
        self.at, self.modules = at, []

    def __call__(self, frame, event, argument):
        self.modules.append(frame.f_globals.get("__name__") or "")
        if len(self.modules) == self.at:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)


def program(path, compiled, profile=None, again=False):
    """One training, of a model and an optimiser of its own."""
    rng = np.random.default_rng(7)
    layers = (
        tn.nn.Dense(2, 4, "tanh", rng=rng),
        tn.nn.BatchNorm(4),
        tn.nn.Dropout(0.2, rng=3),
        tn.nn.Dense(4, 2, rng=rng),
    )
    model = tn.nn.Sequential(*layers)
    optimizer = tn.optim.Adam(model.parameters(), 0.05)
    note, schedule = Note(model), tn.optim.ExponentialLR(optimizer, 0.9)
    sys.setprofile(profile)
    try:
        history = tn.fit(
            model, tn.cross_entropy, optimizer, (X, LABELS), EPOCHS, validation=(X, LABELS), metrics="f1", rng=1,
            batch_size=20, schedule=schedule, checkpoint=path, resume=again, compile=compiled, callbacks=[note],
        )  # fmt: skip
    finally:
        sys.setprofile(None)
    return model, history, note


def without_seconds(history, epochs):
    found = history.as_dict()
    lists = {name: part for name, part in found.items() if isinstance(part, list) and name != "seconds"}
    for name, part in found.items():
        lists |= {f"{name} of {k}": v for k, v in part.items()} if isinstance(part, dict) else {}
    return {name: values[:epochs] for name, values in lists.items() if epochs}


def instants(modules, how_many, rng):
    """Half of them anywhere, half anywhere in a module that is drawn first."""
    of = {}
    for at, module in enumerate(modules, 1):
        of.setdefault(module, []).append(at)
    for i in range(how_many):
        yield int(rng.choice(of[rng.choice(sorted(of))]) if i % 2 else rng.integers(1, len(modules)))


def check_instants(folder, same, compiled, how_many, seed):
    """What is whole before and after, for so many instants."""
    program(folder / "first.npz", compiled)  # what is imported, and noted, at the first time only
    watched = Press()
    through, whole, noted = program(folder / "through.npz", compiled, watched)
    final = checkpoint.read(folder / "through.npz")
    held = [at for at, module in enumerate(watched.modules, 1) if module == "tinygrad_nn.training.interrupts"]
    begins, ends = held[0] + 15, held[-1] - 15  # about where fit takes Ctrl-C over, and gives it back
    inside, found = 0, signal.getsignal(signal.SIGINT)
    for at in instants(watched.modules, how_many, np.random.default_rng(seed)):
        path = folder / f"{at}.npz"
        try:
            model, history, note = program(path, compiled, Press(at))
        except KeyboardInterrupt:  # before the training has begun, or when it was over
            assert at < begins or at > ends
            assert path.exists() is (at > ends)
            path.unlink(missing_ok=True)
            continue
        finally:
            assert signal.getsignal(signal.SIGINT) is found
        inside += 1
        assert not model.training
        assert note.ends == 1
        assert (tn.tensor([1.0], requires_grad=True) * 2).requires_grad  # the mode is as it was
        done = len(history)
        assert without_seconds(history, done) == without_seconds(whole, done)
        assert len(history.seconds) == done
        assert history.ended == "interrupted" or done == EPOCHS
        if done and history.ended == "interrupted":
            assert same(model, noted.states[history.best_epoch])
        assert path.exists() >= (done > 0)
        if path.exists():
            written = tn.training.History(**lists_of(checkpoint.read(path)))
            assert len(written) == done
            assert without_seconds(written, done) == without_seconds(whole, done)
        resumed, again, _ = program(path, compiled, again=True)
        assert same(resumed, through)
        assert without_seconds(again, EPOCHS) == without_seconds(whole, EPOCHS)
        assert checkpoint.read(path).optimizer.keys() == final.optimizer.keys()
        path.unlink()
    assert {*folder.iterdir()} == {folder / "first.npz", folder / "through.npz"}
    return inside


def lists_of(written):
    def plain(part):
        return {k: v.tolist() for k, v in part.items()} if isinstance(part, dict) else np.array(part).tolist()

    return {name: plain(part) for name, part in written.extra["history"].items()}


@pytest.fixture(autouse=True)
def default_handler():
    """A job in the background starts with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("compiled", [False, True])
def test_at_some_instants(tmp_path, same, compiled):
    assert check_instants(tmp_path, same, compiled, 12, seed=int(compiled)) > 8


@pytest.mark.nightly
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_at_two_hundred_instants(tmp_path, same, compiled, part):
    assert check_instants(tmp_path, same, compiled, 50, seed=2 + part) > 40
