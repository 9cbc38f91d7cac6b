"""tn.fit: does what a loop by hand does, measures it, and stops, saves and resumes as it says."""

import json
import math
import re
import signal
import types

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.training import History, StopTraining, accuracy, evaluate


@pytest.fixture(autouse=True, params=["eager", "replayed"])
def way(request, monkeypatch):
    """All that is tested here holds for both."""
    monkeypatch.setattr(tn.training.run, "STEPS_WORTH_COMPILING", math.inf if request.param == "eager" else 0)
    return request.param


@pytest.fixture
def start(network, moons):
    """A network, its optimiser and batches, the same each time."""

    def make(lr=0.3, batch_size=32, **settings):
        model = network(**settings)
        return model, tn.optim.SGD(model.parameters(), lr, momentum=0.9), tn.data.batches(*moons, batch_size, rng=1)

    return make


# --- the loop --------------------------------------------------------------------------------------------------------


def test_it_is_the_loop_by_hand(start, same):
    model, optimizer, data = start()
    history = tn.fit(model, tn.cross_entropy, optimizer, data, epochs=3)
    mine, optimizer, data = start()
    losses = []
    for _ in range(3):
        total = 0.0
        for X, y in data:
            optimizer.zero_grad()
            J = tn.cross_entropy(mine(X), y)
            J.backward()
            optimizer.step()
            total += J.item() * len(y)
        losses.append(total / 96)
    assert same(model, mine)
    assert history.loss == pytest.approx(losses, rel=1e-14)


def test_any_data_will_do(start, moons, same):
    """Batches, a list of them, or two arrays."""
    X, y = moons
    ways = [
        tn.data.batches(X, y, 24, shuffle=False),
        list(tn.data.batches(X, y, 24, shuffle=False)),
        tuple(tn.data.batches(X, y, 24, shuffle=False)),
    ]
    models = []
    for data in ways:
        model, optimizer, _ = start()
        tn.fit(model, "cross_entropy", optimizer, data, epochs=2)
        models.append(model)
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    (a, optimizer_a, data), (b, optimizer_b, _) = start(), start()
    tn.fit(a, tn.cross_entropy, optimizer_a, data, epochs=2)
    tn.fit(b, tn.cross_entropy, optimizer_b, (X, y), epochs=2, batch_size=32, rng=1)
    assert same(a, b)


def test_float32_stays_float32(network, moons):
    model = network(dtype=np.float32)
    X, y = moons
    tn.fit(model, tn.cross_entropy, tn.optim.Adam(model.parameters()), (X.astype(np.float32), y), 2, rng=0, clip=0.1)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_an_optimizer_that_wants_the_loss_gets_it(network, moons):
    model = network()
    optimizer = tn.optim.OnlineLBFGS(model.parameters(), lr=0.3)
    history = tn.fit(model, tn.cross_entropy, optimizer, (*moons,), 10, rng=0, metrics="accuracy")
    assert history.loss[-1] < history.loss[0] / 2
    assert history.metrics["accuracy"][-1] > 0.8
    with pytest.raises(ValueError, match=r"clip=1\.0 cannot shorten the gradients that OnlineLBFGS computes itself"):
        tn.fit(model, tn.cross_entropy, optimizer, moons, 1, clip=1.0)


def test_the_model_trains_in_training_mode_and_is_ready_to_predict_afterwards(start):
    model, optimizer, data = start(dropout=0.5)
    modes = []

    class Look:
        def on_batch_end(self, epoch, batch, loss):
            modes.append(model.training)

    tn.fit(model, tn.cross_entropy, optimizer, data, 1, callbacks=[Look()])
    assert modes == [True] * 3
    assert not any(module.training for module in model.modules())


def test_no_epochs_change_nothing(start, same):
    model, optimizer, data = start()
    before = model.state_dict()
    assert repr(tn.fit(model, tn.cross_entropy, optimizer, data, 0)) == "History(no epoch)"
    assert same(model, before)


def test_arguments_that_do_not_fit(start, network, moons, raised):
    model, optimizer, data = start()
    X, y = moons
    good = {"model": model, "loss": tn.cross_entropy, "optimizer": optimizer, "data": data, "epochs": 1}
    for error, wrong, text in [
        (ValueError, {"loss": "crossentropy"}, "there is no loss 'crossentropy'; did you mean 'cross_entropy'?"),
        (ValueError, {"loss": "tanh"}, "there is no loss 'tanh'; binary_cross_entropy, cross_entropy, huber_loss"),
        (ValueError, {"model": network()}, "the optimizer changes none of the model's parameters"),
        (ValueError, {"data": iter([])}, "the data gave no batch in epoch 1"),
        (ValueError, {"data": (X.T, y)}, "X.T (2, 96) fits"),
        (
            ValueError,
            {"metrics": "acuracy"},
            "there is no metric 'acuracy'; did you mean 'accuracy'? There is accuracy, balanced_accuracy, f1, auc, log",
        ),
        (ValueError, {"monitor": "validation_loss"}, "is not measured; there is loss, and with validation= those on"),
        (
            TypeError,
            {"callbacks": [3]},
            "a callback is of type int: expected a function (epoch, history), or an object",
        ),
        (TypeError, {"epochs": 1.5}, "epochs=1.5, expected an int of at least 0"),
        (ValueError, {"patience": 0}, "patience=0, expected an int of at least 1 or None"),
        (ValueError, {"clip": -1.0}, "clip=-1.0, expected a finite number above 0 or None"),
        (ValueError, {"schedule_per": "step"}, "schedule_per='step', expected None, 'epoch' or 'batch'"),
    ]:
        assert text in raised(error, tn.fit, **{**good, **wrong})


def test_a_generator_is_used_up_after_one_epoch(start, raised, same):
    model, optimizer, data = start()
    before = model.state_dict()
    listed = [*data]
    for once in ((batch for batch in listed), iter(listed), map(tuple, listed)):
        for given in ({"data": once}, {"data": listed, "validation": once}):
            text = raised(ValueError, tn.fit, model, tn.cross_entropy, optimizer, epochs=2, **given)
            assert (
                f"is of type {type(once).__name__}, which can be gone through only once, and there are 2 epoc" in text
            )
    assert same(model, before)
    tn.fit(model, tn.cross_entropy, optimizer, iter(listed), 1, validation=iter(listed))
    assert not same(model, before)


def test_data_that_are_used_up_without_saying_so(start, raised):
    class Once:
        def __init__(self, batches):
            self.left = iter(batches)

        def __iter__(self):
            return self.left

    model, optimizer, data = start()
    for given, text in (
        ({"data": Once(data)}, "fit: the data gave no batch in epoch 2: there is none, or it can be gone through only"),
        (
            {"data": data, "validation": Once([*data])},
            "fit: the data to measure gave no batch: there is none, or it can",
        ),
        ({"data": []}, "fit: the data gave no batch in epoch 1: there is none"),
        ({"data": data, "validation": []}, "fit: the data to measure gave no batch: there is none"),
    ):
        assert text in raised(ValueError, tn.fit, model, tn.cross_entropy, optimizer, epochs=2, **given)


def test_what_cannot_be_replayed_is_carried_out_as_it_is(start, same, way, monkeypatch):
    monkeypatch.setattr(tn.training.run, "what_fit_cannot_list", lambda *_: "")

    def moody(prediction, target):
        J = tn.cross_entropy(prediction, target)
        return J if J.item() < 1 else 2 * J

    models = []
    for choice in (False, "auto"):
        model, optimizer, data = start()
        history = tn.fit(model, moody, optimizer, data, 2, compile=choice)
        assert history.note.startswith("not compiled: item() of a value") is (choice == "auto" and way == "replayed")
        models.append(model)
    assert same(*models)
    with pytest.raises(tn.CompileError, match="item"):
        tn.fit(model, moody, optimizer, data, 1, compile=True)


def test_what_fails_only_while_it_is_recorded_is_carried_out_as_it_is(start, same, way, monkeypatch):
    monkeypatch.setattr(tn.training.run, "what_fit_cannot_list", lambda *_: "")
    seen = []

    def by_address(prediction, target):
        assert target.ctypes.data
        seen.append(tn.cross_entropy(prediction, target))
        return seen[-1]

    models = []
    for choice in (False, "auto"):
        model, optimizer, data = start()
        history = tn.fit(model, by_address, optimizer, data, 2, compile=choice)
        assert ("the attribute ctypes of an array" in history.note) is (choice == "auto" and way == "replayed")
        models.append(model)
    assert same(*models)
    assert all(isinstance(J.item(), float) for J in seen)
    with pytest.raises(tn.CompileError, match="ctypes"):
        tn.fit(model, by_address, optimizer, data, 1, compile=True)


def test_long_trainings_are_worth_recording(start, monkeypatch):
    monkeypatch.undo()
    recorded = []
    monkeypatch.setattr(tn.training.compiling, "compile_step", lambda f, **engine: recorded.append(f.__name__) or f)
    model, optimizer, data = start(batch_size=48)
    tn.fit(model, tn.cross_entropy, optimizer, data, 149)
    assert recorded == []
    tn.fit(model, tn.cross_entropy, optimizer, data, 150)
    assert recorded == ["gradient", "step"]
    tn.fit(model, tn.cross_entropy, optimizer, data, 150, compile=False)
    assert len(recorded) == 2


# --- what is measured ------------------------------------------------------------------------------------------------


def test_history_of_a_training(start, moons):
    model, optimizer, data = start()
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 5, validation=moons, metrics="accuracy")
    assert len(history) == 5
    assert list(history.metrics) == ["accuracy", "validation_accuracy"]
    assert list(history.gradient_norms) == list(history.update_ratios) == ["W¹", "b¹", "W²", "b²"]
    lists = [history.loss, history.validation_loss, history.learning_rate, history.seconds]
    lists += [*history.metrics.values(), *history.gradient_norms.values(), *history.update_ratios.values()]
    assert {len(values) for values in lists} == {5}
    assert history.learning_rate == [0.3] * 5
    assert history["validation_accuracy"] is history.metrics["validation_accuracy"]
    assert history.monitor == "validation_loss"
    assert history.best_epoch == 1 + int(np.argmin(history.validation_loss))
    assert history.ended == "epochs"
    again = History(**json.loads(json.dumps(history.as_dict())))
    assert again == history


def test_history_as_text():
    history = History([2.0, 0.5], [1.0, 1.5], {"accuracy": [0.25, 0.75]}, monitor="validation_loss", ended="patience")
    history.seconds = [0.25, 0.25]
    assert repr(history) == (
        "History(2 epochs in 0.5 s; loss 2 → 0.5; validation_loss 1 → 1.5; accuracy 0.25 → 0.75; "
        "best validation_loss in epoch 1; ended by patience)"
    )
    with pytest.raises(KeyError, match="no 'f1' was recorded; there is loss, validation_loss, accuracy"):
        history["f1"]


def test_best_is_lowest_loss_highest_metric_and_never_nan():
    assert History([3.0, math.nan, 1.0, 2.0]).best_epoch == 3
    assert History([1.0, 1.0], metrics={"accuracy": [0.5, 0.75]}, monitor="accuracy").best_epoch == 2
    assert History([math.nan]).best_epoch is None


def test_gradient_norms_and_update_ratios(start):
    model, optimizer, data = start()
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 1)
    mine, optimizer, data = start()
    squares, ratio = 0.0, None
    for X, y in data:
        optimizer.zero_grad()
        tn.cross_entropy(mine(X), y).backward()
        W = mine[0].W
        squares, before = squares + np.sum(W.grad**2), W.numpy()
        optimizer.step()
        ratio = ratio or np.linalg.norm(W.value - before) / np.linalg.norm(W.value)
    assert history.gradient_norms["W¹"][0] == pytest.approx(np.sqrt(squares / 3), rel=1e-12)
    assert history.update_ratios["W¹"][0] == pytest.approx(ratio, rel=1e-12)


def test_validation_is_measured_as_in_prediction(start, moons):
    """After the epoch, without dropout, and it changes nothing."""
    (model, optimizer, data), (twin, its, same_data) = start(dropout=0.5), start(dropout=0.5)
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 3, validation=moons, metrics="accuracy")
    without = tn.fit(twin, tn.cross_entropy, its, same_data, 3)
    assert history.loss == without.loss
    measured = evaluate(model, "cross_entropy", moons, "accuracy")
    assert measured["loss"] == history.validation_loss[-1]
    assert measured["accuracy"] == history.metrics["validation_accuracy"][-1]


def test_evaluate_leaves_modes_and_statistics_alone(moons):
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, rng=0), tn.nn.BatchNorm(3), tn.nn.Dropout(0.5), tn.nn.Dense(3, 2, rng=1))
    model[2].eval()
    before, modes = model.state_dict(), [m.training for m in model.modules()]
    whole = evaluate(model, tn.cross_entropy, moons)
    parts = evaluate(model, tn.cross_entropy, tn.data.batches(*moons, 7, shuffle=False))
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-12)
    assert [m.training for m in model.modules()] == modes
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_metrics_of_ones_own(start, way):
    def hits(prediction, target):
        return np.mean(prediction.numpy().argmax(axis=0) == target)

    for metrics, name in [(hits, "hits"), ([hits], "hits"), ({"share": hits}, "share"), (["accuracy", hits], "hits")]:
        model, optimizer, data = start()
        history = tn.fit(model, tn.cross_entropy, optimizer, data, 2, metrics=metrics, compile=way == "replayed")
        assert 0.4 < history.metrics[name][-1] <= 1


@pytest.mark.parametrize(
    ("prediction", "target", "threshold", "share"),
    [
        ([[2.0, 0.0, 1.0], [0.0, 3.0, 5.0]], [0, 1, 0], 0.5, 2 / 3),
        ([[2.0, 0.0, 1.0], [0.0, 3.0, 5.0]], [[1, 0, 1], [0, 1, 0]], 0.5, 2 / 3),
        ([[0.9, 0.2, 0.6]], [[1, 0, 0]], 0.5, 2 / 3),
        ([[0.9, -0.2, 0.6]], [1, 0, 1], 0, 1.0),
    ],
)
def test_accuracy(prediction, target, threshold, share):
    assert accuracy(np.array(prediction), np.array(target), threshold) == pytest.approx(share)


def test_accuracy_of_logits_of_one_unit(network, moons):
    """With binary cross-entropy, outputs above 0 mean class 1."""
    X, y = moons
    model = network(outputs=1)
    Y = y[np.newaxis].astype(float)
    history = tn.fit(
        model, tn.binary_cross_entropy, tn.optim.Adam(model.parameters(), 0.05), (X, Y), 20, rng=0, metrics="accuracy"
    )
    logits = model(X).numpy()
    assert evaluate(model, tn.binary_cross_entropy, (X, Y), "accuracy")["accuracy"] == np.mean((logits > 0) == Y)
    assert history.metrics["accuracy"][-1] > 0.8


# --- schedules and clipping ------------------------------------------------------------------------------------------


def test_schedules_go_on_by_epoch_or_by_batch(start):
    model, optimizer, data = start()
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 3, schedule=tn.optim.ExponentialLR(optimizer, 0.5))
    assert history.learning_rate == pytest.approx([0.3, 0.15, 0.075])
    model, optimizer, data = start()
    schedule = tn.optim.ExponentialLR(optimizer, 0.5)
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 2, schedule=schedule, schedule_per="batch")
    assert history.learning_rate == pytest.approx([0.3 / 4, 0.3 / 32])
    model, optimizer, data = start()
    cycle = tn.optim.OneCycleLR(optimizer, max_lr=0.5, epochs=4, steps_per_epoch=len(data))
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 4, schedule=cycle)
    assert cycle.last_epoch == 12
    assert history.learning_rate[-1] < 1e-4 < 0.1 < max(history.learning_rate)


def test_a_plateau_lowers_the_rate(start, moons):
    model, optimizer, data = start(lr=0.0)
    schedule = tn.optim.ReduceLROnPlateau(optimizer, patience=0)
    optimizer.param_groups[0]["lr"] = 1e-9
    schedule.eps = 0.0
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 4, validation=moons, schedule=schedule)
    assert history.learning_rate[-1] < 1e-10


def test_clipping_shortens_the_whole_gradient(network, moons):
    model = network()
    before = np.concatenate([p.numpy().ravel() for p in model.parameters()])
    history = tn.fit(
        model, tn.cross_entropy, tn.optim.SGD(model.parameters(), lr=1.0), moons, 1, batch_size=None, clip=1e-3
    )
    after = np.concatenate([p.numpy().ravel() for p in model.parameters()])
    assert np.linalg.norm(after - before) == pytest.approx(1e-3)
    assert sum(values[0] ** 2 for values in history.gradient_norms.values()) > 1e-4  # measured before


# --- callbacks -------------------------------------------------------------------------------------------------------


def test_callbacks_are_called_and_can_stop(start):
    seen = []

    class Object:
        def on_epoch_end(self, epoch, history):
            seen.append(("object", epoch, len(history)))

        def on_batch_end(self, epoch, batch, loss):
            seen.append((epoch, batch, type(loss)))

    def function(epoch, history):
        seen.append(("function", epoch))
        return epoch < 2

    model, optimizer, data = start(batch_size=48)
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 9, callbacks=[Object(), function])
    assert seen == [
        (1, 1, float), (1, 2, float), ("object", 1, 1), ("function", 1),
        (2, 1, float), (2, 2, float), ("object", 2, 2), ("function", 2),
    ]  # fmt: skip
    assert history.ended == "callback"
    assert "ended by callback" in repr(history)


def test_stop_training_from_a_batch(start):
    class Enough:
        def on_batch_end(self, epoch, batch, loss):
            if (epoch, batch) == (2, 1):
                raise StopTraining

    model, optimizer, data = start()
    history = tn.fit(model, tn.cross_entropy, optimizer, data, 9, callbacks=Enough() and [Enough()])
    assert len(history) == 1
    assert history.ended == "callback"
    assert not model.training


# --- early stopping --------------------------------------------------------------------------------------------------


def rising(epochs):
    """A metric that is best in epoch 3, and notes the parameters."""
    calls = []

    def metric(prediction, target):
        calls.append(1)
        return -abs(len(calls) - epochs)

    return metric


def test_patience_stops_and_goes_back_to_the_best(start, same, way):
    model, optimizer, data = start(batch_size=96)
    states = []

    def note(epoch, history):
        states.append(model.state_dict())

    history = tn.fit(
        model,
        tn.cross_entropy,
        optimizer,
        data,
        50,
        metrics={"m": rising(3)},
        monitor="m",
        patience=2,
        callbacks=[note],
        compile=way == "replayed",
    )
    assert history.ended == "patience"
    assert len(history) == 5
    assert history.best_epoch == 3
    assert same(model, states[2])
    assert not same(states[2], states[4])


def test_with_patience_the_best_is_kept_to_the_end(start, same):
    model, optimizer, data = start(batch_size=96)
    states = []
    tn.fit(
        model, tn.cross_entropy, optimizer, data, 4, metrics={"m": rising(3)}, monitor="m", patience=9,
        callbacks=lambda epoch, history: states.append(model.state_dict()),
    )  # fmt: skip
    assert same(model, states[2])
    model, optimizer, data = start(batch_size=96)
    tn.fit(model, tn.cross_entropy, optimizer, data, 4, metrics={"m": rising(3)}, monitor="m")
    assert same(model, states[3])  # without, the last


# --- NaN and infinity ------------------------------------------------------------------------------------------------


def test_a_nan_loss_stops_with_the_operation(start, same, raised):
    """In the third epoch a batch has a zero that a logarithm meets."""
    model, optimizer, data = start(batch_size=96)
    states = [model.state_dict()]
    hole = [1.0]

    def loss(prediction, target):
        return tn.cross_entropy(prediction, target) + tn.log(tn.square(prediction).sum() * hole[0])

    def dig(epoch, history):
        states.append(model.state_dict())
        hole[0] = [1.0, 0.0, 0.0][epoch]

    text = raised(tn.NonFiniteError, tn.fit, model, loss, optimizer, data, 9, callbacks=dig)
    assert text.startswith("fit: the loss is -inf, not finite in epoch 2, batch 1: log(x) is not finite: -inf (line ")
    assert "tn.log(tn.square(prediction).sum() * hole[0])" in text
    assert text.endswith("; the model has its best parameters, those of epoch 1: try a smaller learning rate, or clip=")
    assert same(model, states[1])
    assert not model.training


def test_a_gradient_that_is_not_finite_stops_before_it_is_used(network, moons, raised, same, way):
    model = network()
    before = model.state_dict()

    def loss(prediction, target):  # at the start b¹ = 0, where the root is infinitely steep
        return tn.cross_entropy(prediction, target) + tn.sqrt(model[0].b).sum()

    optimizer = tn.optim.Adam(model.parameters())
    text = raised(tn.NonFiniteError, tn.fit, model, loss, optimizer, moons, 3, rng=0, compile=way == "replayed")
    assert text.startswith(
        "fit: a gradient is not finite in epoch 1, batch 1: the gradient of sqrt(b¹) with respect to"
    )
    assert "those of the start" in text
    assert same(model, before)


def test_divergence_is_refused_without_warnings_and_the_history_is_there(start, moons):
    model, optimizer, _ = start(lr=1e150)
    data = tn.data.batches(moons[0], np.eye(2)[:, moons[1]], 32, rng=1)
    with pytest.raises(tn.NonFiniteError) as caught:
        tn.fit(model, tn.mse, optimizer, data, 30)
    assert isinstance(caught.value.history, History)
    assert "not finite in epoch 1, batch 2" in str(caught.value) or "batch 3" in str(caught.value)


def test_numbers_that_are_not_finite_in_the_data_are_named(start, moons, raised):
    X, y = moons[0].copy(), moons[1]
    X[1, 5] = np.nan
    model, optimizer, _ = start()
    text = raised(tn.NonFiniteError, tn.fit, model, tn.cross_entropy, optimizer, (X, y), 1, batch_size=None)
    assert "epoch 1, batch 1: X, given to " in text
    assert "is not finite already" in text


def test_an_optimizer_with_its_own_loss_is_watched_too(network, moons, raised, same):
    model = network()
    X = moons[0].copy()
    X[0, 0] = np.inf
    before = model.state_dict()
    optimizer = tn.optim.OnlineLBFGS(model.parameters())
    text = raised(tn.NonFiniteError, tn.fit, model, tn.cross_entropy, optimizer, (X, moons[1]), 1, batch_size=None)
    assert "X, given to " in text
    assert same(model, before)


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_history_and_best_parameters(start, same):
    model, optimizer, data = start(batch_size=48)
    states = []

    class Press:
        def on_epoch_end(self, epoch, history):
            states.append(model.state_dict())

        def on_batch_end(self, epoch, batch, loss):
            if (epoch, batch) == (3, 2):
                signal.raise_signal(signal.SIGINT)

    found = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        history = tn.fit(model, tn.cross_entropy, optimizer, data, 9, callbacks=[Press()], metrics="accuracy")
    finally:
        signal.signal(signal.SIGINT, found)
    assert history.interrupted
    assert len(history) == 2
    assert {len(v) for v in [*history.gradient_norms.values(), *history.update_ratios.values()]} == {2}
    assert same(model, states[history.best_epoch - 1])
    assert not model.training


def test_ctrl_c_in_the_first_epoch_keeps_what_was_learned(start, same):
    model, optimizer, data = start()
    before = model.state_dict()

    class Press:
        def on_batch_end(self, epoch, batch, loss):
            raise KeyboardInterrupt

    history = tn.fit(model, tn.cross_entropy, optimizer, data, 9, callbacks=[Press()])
    assert history.interrupted
    assert len(history) == 0
    assert not same(model, before)


# --- checkpoints and resuming ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_resumed_training_is_bitwise_the_training_through(tmp_path, start, moons, same, suffix):
    def run(model, optimizer, data, epochs, **more):
        schedule = tn.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        return tn.fit(
            model, tn.cross_entropy, optimizer, data, epochs, validation=moons, metrics="accuracy", schedule=schedule,
            patience=20, **more,
        )  # fmt: skip

    through, optimizer, data = start(dropout=0.3)
    whole = run(through, optimizer, data, 7)
    path = tmp_path / f"run{suffix}"
    stopped, optimizer, data = start(dropout=0.3)
    run(stopped, optimizer, data, 3, checkpoint=path, resume=True)
    resumed, optimizer, data = start(dropout=0.3)
    history = run(resumed, optimizer, data, 7, checkpoint=path, resume=True)
    assert same(resumed, through)
    history.seconds = whole.seconds = []
    assert history == whole


def test_resume_wants_a_file_that_fit_wrote(tmp_path, start, raised, same):
    model, optimizer, data = start()
    model.save(tmp_path / "m.npz", optimizer)
    mine, optimizer, data = start()
    mine[0].W.data += 1
    before = mine.state_dict()
    text = raised(
        ValueError, tn.fit, mine, tn.mse, optimizer, data, 1, checkpoint=tmp_path / "m.npz", resume=True
    )  # fmt: skip
    assert "m.npz was not written by fit, so it has no history to resume" in text
    assert same(mine, before)


def test_a_name_without_a_suffix_is_resumed_too(tmp_path, start):
    for epochs in (2, 3):
        model, optimizer, data = start()
        history = tn.fit(
            model, tn.cross_entropy, optimizer, data, epochs, checkpoint=tmp_path / "run", resume=True
        )  # fmt: skip
        assert len(history) == epochs
    assert (tmp_path / "run.safetensors").exists()
    assert history.loss[1] == checkpoint.read(tmp_path / "run").extra["history"]["loss"][1]


def test_a_loaded_model_and_optimizer_go_on_bitwise(tmp_path, start, same):
    through, optimizer, data = start(dropout=0.3)
    tn.fit(through, tn.cross_entropy, optimizer, data, 4)
    model, optimizer, data = start(dropout=0.3)
    tn.fit(model, tn.cross_entropy, optimizer, data, 2)
    path = checkpoint.save(tmp_path / "half.npz", model, optimizer, data.rng.bit_generator.state)
    loaded, optimizer = tn.nn.load(path)
    *_, data = start()
    data.rng.bit_generator.state = checkpoint.read(path).extra
    tn.fit(loaded, tn.cross_entropy, optimizer, data, 2)
    assert same(loaded, through)


def test_checkpoints_are_written_every_so_often_and_at_the_end(tmp_path, start):
    model, optimizer, data = start()
    path, written = tmp_path / "run.npz", []
    tn.fit(
        model, tn.cross_entropy, optimizer, data, 5, checkpoint=path, every=2,
        callbacks=lambda epoch, history: written.append(path.exists() and checkpoint.read(path).extra),
    )  # fmt: skip
    epochs = [bool(extra) and len(extra["history"]["loss"]) for extra in written]
    assert epochs == [False, False, 2, 2, 4]  # as it was before each epoch's own file
    assert len(checkpoint.read(path).extra["history"]["loss"]) == 5


# --- arguments that are none ------------------------------------------------------------------------------------------


def test_fit_is_in_the_package():
    assert isinstance(tn.fit, types.FunctionType)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("adam", "'adam', expected an optimiser of the model's parameters: tn.optim.Adam(model.parameters())"),
        (tn.optim.SGD, ".*expected an optimiser of the model's parameters: tn.optim.SGD(model.parameters())"),
        (None, "None, expected an optimiser of the model's parameters: tn.optim.Adam(model.parameters())"),
    ],
)
def test_an_optimizer_that_has_no_parameters(optimizer, said):
    with pytest.raises(TypeError, match=re.escape("fit: optimizer is ") + said.replace("(", r"\(").replace(")", r"\)")):
        tn.fit(tn.nn.Dense(2, 2), tn.mse, optimizer, (np.ones((2, 5)), np.ones((2, 5))), 1)


def test_batches_without_targets_are_refused():
    model = tn.nn.Dense(2, 2)
    with pytest.raises(
        ValueError, match=r"^fit: the batches have no targets: give tn\.data\.batches\(X, Y, batch_size"
    ):
        tn.fit(model, tn.mse, tn.optim.SGD(model.parameters(), 0.1), tn.data.batches(np.ones((2, 5))), 1)
