"""A training that is taken up: the same to the bit, compiled or not; over, if it was over; or refused."""

import itertools
import math
import operator
import time

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError
from tinygrad_nn.training import History, StopTraining


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


@pytest.fixture
def run(network, moons, path):
    """Runs the same program each time; returns the model and the history."""

    def program(epochs=9, resume=True, **settings):
        model = network()
        optimizer = tn.optim.SGD(model.parameters(), 0.3, momentum=0.9)
        settings = {"metrics": {"m": lambda prediction, target: 0.0}, "checkpoint": path, "rng": 1} | settings
        return model, tn.fit(model, tn.cross_entropy, optimizer, moons, epochs, resume=resume, **settings)

    return program


# --- over is over -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ending(run, same):
    """Runs a program three times, and says with which history it ended."""

    def check(**settings):
        model, history = run(**settings)
        for _ in range(2):
            again, found = run(**settings)
            assert found == history
            assert same(again, model)
        return model, history

    return check


MEASURED = {
    "nothing": {"metrics": ()},
    "a": {"metrics": {"a": lambda prediction, target: 1.0}},
    "b": {"metrics": {"b": lambda prediction, target: 2.0}},
    "a and b": {"metrics": {"a": lambda prediction, target: 1.0, "b": lambda prediction, target: 2.0}},
}


@pytest.mark.parametrize("validated", [*itertools.product([False, True], repeat=3)], ids=str)
def test_what_is_measured_may_change_where_a_training_is_taken_up(run, same, moons, validated, tmp_path):
    through, whole = run(3, checkpoint=tmp_path / "through.npz")
    for names in itertools.permutations(MEASURED, 3):
        path = tmp_path / f"{'-'.join(names)}.npz"
        for epoch, (name, holds) in enumerate(zip(names, validated, strict=True), 1):
            settings = MEASURED[name] | ({"validation": moons} if holds else {})
            model, history = run(epoch, checkpoint=path, monitor="loss", **settings)
        assert same(model, through)
        assert history.loss == whole.loss
        lists = {"validation_loss": history.validation_loss, **history.metrics}
        expected = {"validation_loss": validated}
        for key in ("a", "b"):
            expected[key] = [key in MEASURED[name]["metrics"] for name in names]
            expected[f"validation_{key}"] = [*map(operator.and_, expected[key], validated)]
        for key, there in expected.items():
            found = lists.get(key) or [math.nan] * 3  # never measured: no list
            assert [not math.isnan(value) for value in found] == [*there]
        read = checkpoint.read(path).extra["history"]
        assert {len(values) for values in read["metrics"].values()} <= {3}
        assert repr(history).startswith("History(3 epochs")
        assert history._repr_html_()


def test_what_is_measured_cannot_change_what_is_best(run, moons, path):
    run(2)
    written = path.read_bytes()
    for other in ({"validation": moons}, {"monitor": "m"}):
        with pytest.raises(CheckpointError, match="monitors loss, this one"):
            run(4, **other)
        assert path.read_bytes() == written


def test_a_training_that_patience_ended_stays_ended(ending, run, path):
    _, history = ending(patience=2, monitor="m")  # which never gets better than in epoch 1
    assert (history.ended, len(history)) == ("patience", 3)
    written = path.read_bytes()
    ending(patience=2, monitor="m")
    assert path.read_bytes() == written


def test_more_patience_is_a_way_to_go_on(run, same, tmp_path):
    run(patience=2, monitor="m")
    model, history = run(patience=4, monitor="m")
    assert (history.ended, len(history)) == ("patience", 5)
    through, whole = run(patience=4, monitor="m", checkpoint=tmp_path / "through.npz")
    history.seconds = whole.seconds = []
    assert history == whole
    assert same(model, through)


def stop_after(last):
    return lambda epoch, history: epoch < last


class StopWithin:
    def on_batch_end(self, epoch, batch, loss):
        if (epoch, batch) == (3, 2):
            raise StopTraining


@pytest.mark.parametrize(("callback", "epochs"), [(stop_after(3), 3), (StopWithin(), 2)], ids=["epoch", "batch"])
@pytest.mark.parametrize("every", [1, 5])
def test_a_training_that_a_callback_ended_stays_ended(ending, callback, epochs, every):
    _, history = ending(callbacks=[callback], every=every)
    assert (history.ended, len(history)) == ("callback", epochs)


@pytest.mark.parametrize(
    "settings", [{"patience": 2, "monitor": "m"}, {"callbacks": [stop_after(3)]}], ids=["patience", "callback"]
)
def test_further_goes_on_and_counts_patience_anew(run, settings):
    assert len(run(**settings)[1]) == 3
    more = {**settings, "callbacks": []}
    _, history = run(resume="further", **more)
    assert len(history) == (5 if "patience" in settings else 9)
    assert len(run(**more)[1]) == len(history)  # and is over then


def test_a_training_that_ran_out_of_epochs_goes_on_with_more(run):
    assert len(run(2)[1]) == 2
    assert len(run(2)[1]) == 2
    assert len(run(4)[1]) == 4


def test_resume_is_yes_no_or_further(run, raised):
    assert raised(ValueError, run, resume="on") == "fit: resume='on', expected True, False or 'further'"


# --- the same to the bit, compiled or not -----------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01},
    "AdamW": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Adadelta": {},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_does_not_matter_which_part_is_compiled(path, moons, same, name, dtype):
    """`compile="auto"` decides by the number of steps, so that a longer run may begin eagerly and go on compiled."""
    X, y = moons

    def program(epochs, compiled, fresh=False):
        rng = np.random.default_rng(7)
        layers = [tn.nn.Dense(2, 30, "gelu", rng=rng, dtype=dtype), tn.nn.BatchNorm(30, dtype=dtype)]
        layers += [tn.nn.Dropout(0.2, rng=3), tn.nn.Dense(30, 2, rng=rng, dtype=dtype)]
        model = tn.nn.Sequential(*layers)
        optimizer = getattr(tn.optim, name)(model.parameters(), **OPTIMIZERS[name])
        history = tn.fit(
            model, tn.cross_entropy, optimizer, (X.astype(dtype), y), epochs, rng=1, clip=1.0, compile=compiled,
            schedule=tn.optim.ExponentialLR(optimizer, 0.9), batch_size=20, checkpoint=None if fresh else path,
            resume=True,
        )  # fmt: skip
        history.seconds = []
        return model, history

    eager, history = program(4, False, fresh=True)
    for first in (False, True):
        program(2, first)
        resumed, found = program(4, not first)
        assert same(resumed, eager)
        assert found == history
        path.unlink()


# --- all of it or nothing ---------------------------------------------------------------------------------------------


def with_extra(path, change):
    """The file with other things that fit has written."""
    model, optimizer = tn.nn.load(path)
    extra = checkpoint.read(path).extra
    change(extra)
    checkpoint.save(path, model, optimizer, extra)


WRONG = {
    "no schedule": (lambda extra: extra.pop("schedule"), "was not written by fit"),
    "a list": (lambda extra: extra["history"].update(loss=[1.0]), "not a whole checkpoint ("),
    "a length": (lambda extra: extra["history"].update(loss=np.ones(5)), "its history has lists of different lengths"),
    "a note": (lambda extra: extra["history"].update(note=3), "its history has no note"),
    "a monitor": (lambda extra: extra["history"].update(monitor="loss"), "monitors loss, this one m: resume it"),
    "best": (lambda extra: extra["best"].pop("layers.0.W"), "best.layers.0.W is missing in the file, float64"),
    "best of another shape": (
        lambda extra: extra["best"].update({"layers.0.W": np.zeros(2)}), "best.layers.0.W is float64 (2,) in the file",
    ),
    "no order": (
        lambda extra: extra.update(data=None), "orders its batches by no generator, this one PCG64: resume it with the",
    ),
    "another order": (
        lambda extra: extra.update(data=np.random.SFC64(0).state), "orders its batches by SFC64, this one PCG64",
    ),
    "a wrong order": (
        lambda extra: extra["data"].update(has_uint32=9), "has has_uint32=9, expected an int from 0 to 1",
    ),
    "a rate": (
        lambda extra: extra["schedule"].update(base_lrs=[-1.0]), "does not fit the schedule: ExponentialLR.load_state",
    ),
    "a count": (lambda extra: extra["schedule"].update(last_epoch="x"), "last_epoch='x', expected a number"),
    "a schedule": (
        lambda extra: extra["schedule"].pop("base_lrs"),
        "ExponentialLR.load_state_dict: expected last_epoch, base_lrs, got last_epoch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_does_not_fit_changes_nothing(path, network, moons, raised, name):
    def program():
        model = network()
        optimizer = tn.optim.SGD(model.parameters(), 0.3, momentum=0.9)
        data = tn.data.batches(*moons, 32, rng=1)
        return model, optimizer, data, tn.optim.ExponentialLR(optimizer, 0.9)

    def state(model, optimizer, data, schedule):
        return repr((model.state_dict(), optimizer.state_dict(), data.rng.bit_generator.state, vars(schedule)))

    def train(model, optimizer, data, schedule):
        metrics = {"m": lambda prediction, target: 1.0}
        return tn.fit(
            model, tn.cross_entropy, optimizer, data, 3, schedule=schedule, metrics=metrics, monitor="m",
            checkpoint=path, resume=True,
        )  # fmt: skip

    train(*program())
    change, reason = WRONG[name]
    with_extra(path, change)
    parts = program()
    before = state(*parts)
    assert reason in raised(CheckpointError, train, *parts)
    assert state(*parts) == before


# --- nothing that is not finite, and no time lost ---------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_last_update_that_overflows_is_refused(path, moons, raised, same, compiled, epochs):
    """The loss before it is fine, and after it there is none to look at."""
    X, y = moons
    model = tn.nn.Sequential(tn.nn.Dense(2, 2, rng=0, dtype=np.float32))
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    states = [model.state_dict()]

    def note(epoch, history):
        states.append(model.state_dict())
        optimizer.param_groups[0]["lr"] = 1e300 if epoch == epochs - 1 else 0.1

    if epochs == 1:
        optimizer.param_groups[0]["lr"] = 1e300
    with np.errstate(all="ignore"):
        text = raised(
            tn.NonFiniteError, tn.fit, model, tn.cross_entropy, optimizer, (X.astype("f4"), y), epochs, batch_size=None,
            callbacks=note, checkpoint=path, compile=compiled,
        )  # fmt: skip
    kept = "the start" if epochs == 1 else f"epoch {epochs - 1}"
    assert text == (
        f"fit: W¹ is not finite after the updates of epoch {epochs}; the model has its best parameters, "
        f"those of {kept}: try a smaller learning rate, or clip="
    )
    assert same(model, states[-1])
    assert path.exists() is (epochs > 1)


def test_a_callback_cannot_end_it_with_such_parameters(moons, raised, same):
    class Stop:
        def on_batch_end(self, epoch, batch, loss):
            return False

    model = tn.nn.Dense(2, 2, rng=0)
    optimizer = tn.optim.SGD(model.parameters(), lr=1e308)
    before = model.state_dict()
    with np.errstate(all="ignore"):
        text = raised(
            tn.NonFiniteError, tn.fit, model, lambda prediction, y: 1e4 * tn.cross_entropy(prediction, y), optimizer,
            moons, 1, callbacks=[Stop()],
        )  # fmt: skip
    assert "W is not finite after the updates of epoch 1" in text
    assert same(model, before)


def test_the_best_epoch_is_found_as_the_history_grows():
    rng = np.random.default_rng(0)
    for monitor in ("loss", "m"):
        values = [float(v) for v in rng.integers(0, 50, 300)]
        values[:3], values[50] = [float("nan")] * 3, float("nan")
        history, best = History(metrics={"m": []}, monitor=monitor), None
        for value in values:
            history.loss.append(value)
            history.metrics["m"].append(value)
            best = len(history) if history.has_new_best(best) else best
            assert best == history.best_epoch


def test_the_history_is_never_searched(run, monkeypatch):
    searched = []

    class Watched(list):
        def __iter__(self):
            searched.append(len(self))
            return super().__iter__()

    monkeypatch.setattr(tn.training.run, "History", lambda: History(loss=Watched()))
    _, history = run(5, metrics=(), patience=3, checkpoint=None)
    assert (len(history), searched) == (5, [])
    assert min(history.loss) == history.loss[history.best_epoch - 1]
    assert searched  # it would have been seen


@pytest.mark.nightly
def test_an_epoch_takes_as_long_late_as_early():
    """The last fifth takes as long as the second one."""
    epochs = 100_000
    model = tn.nn.Dense(1, 1, rng=0)
    optimizer = tn.optim.SGD(model.parameters(), lr=1e-6)
    data, ends = [(np.ones((1, 1)), np.ones((1, 1)))], []
    tn.fit(
        model, tn.mse, optimizer, data, epochs, patience=epochs, compile=False,
        callbacks=lambda epoch, history: ends.append(time.process_time()),
    )  # fmt: skip
    fifths = np.diff(ends[:: epochs // 5 - 1])
    print(f"{epochs:,} epochs: {np.round(fifths, 2)} s for each fifth")
    assert fifths[-1] < 2 * fifths[1]


def test_where_no_checkpoint_can_be_is_said_before_the_training(raised, tmp_path):
    model = tn.nn.Dense(2, 1, rng=0)
    data, optimizer = (np.ones((2, 4)), np.ones((1, 4))), tn.optim.SGD(model.parameters(), lr=0.1)
    for name, error, said in (
        ("none/m.npz", FileNotFoundError, f"there is no folder {tmp_path / 'none'} to write into, make it first"),
        ("m.pt", ValueError, "m.pt ends in '.pt', expected .safetensors or .npz"),
    ):
        before = model.W.numpy().copy()
        assert said in raised(error, tn.fit, model, tn.mse, optimizer, data, epochs=1, checkpoint=tmp_path / name)
        assert (model.W.numpy() == before).all()
    assert "there is no folder" in raised(FileNotFoundError, model.save, tmp_path / "none" / "m.npz")
