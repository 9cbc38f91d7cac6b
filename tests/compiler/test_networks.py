"""A compiled step is the step: every optimiser, loss, layer and activation, 50 steps on batches that change."""

import itertools

import numpy as np
import pytest
from trainings import ACTIVATIONS, OPTIMISERS, training

import tinygrad_nn as tn
from tinygrad_nn import at_each_replay, nn, optim
from tinygrad_nn.compiler import calls

LAYERS = {
    "softmax": lambda: [nn.Dense(4, 8, "tanh", rng=0), nn.Dense(8, 3, "softmax", rng=1)],
    "Dropout": lambda: [nn.Dense(4, 8, "tanh", rng=0), nn.Dropout(0.3, rng=5), nn.Dense(8, 3, rng=1)],
    "BatchNorm": lambda: [nn.Dense(4, 8, rng=0), nn.BatchNorm(8), nn.Activation("relu"), nn.Dense(8, 3, rng=1)],
    "LayerNorm": lambda: [nn.Dense(4, 8, rng=0), nn.LayerNorm(8), nn.Activation("relu"), nn.Dense(8, 3, rng=1)],
    "Residual": lambda: [nn.Dense(4, 8, rng=0), nn.Residual(nn.Dense(8, 8, "tanh", rng=3)), nn.Dense(8, 3, rng=1)],
    "no bias": lambda: [nn.Dense(4, 8, "tanh", rng=0, bias=False), nn.Dense(8, 3, rng=1)],
}


def dense(*sizes, activation="tanh", dtype=np.float64):
    last = len(sizes) - 2
    pairs = [*enumerate(itertools.pairwise(sizes))]
    return lambda: [nn.Dense(a, b, activation if i < last else None, rng=i, dtype=dtype) for i, (a, b) in pairs]


def real(i, d=4, k=3, n=16, dtype=np.float64):
    rng = np.random.default_rng(i)
    return rng.standard_normal((d, n)).astype(dtype), rng.random((k, n)).astype(dtype)


def labelled(i, d=4, k=3, n=16):
    rng = np.random.default_rng(i)
    return rng.standard_normal((d, n)), rng.integers(0, k, n)


def one_hot(i):
    X, y = labelled(i)
    return X, np.eye(3)[:, y]


def assert_equal_training(optimiser, layers, loss, batch, steps=50, rtol=0.0):
    """Train eagerly and compiled, and compare all there is: losses, parameters and buffers, gradients."""
    eager, _, step = training(optimiser, layers, loss)
    twin, _, other = training(optimiser, layers, loss)
    compiled = tn.compile(other)
    for i in range(steps):
        J, K = step(*batch(i)), compiled(*batch(i))
        np.testing.assert_allclose(K.item(), J.item(), rtol=rtol, err_msg=f"loss of step {i}")
    for (name, a), b in zip(eager.state_dict().items(), twin.state_dict().values(), strict=True):
        np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol, err_msg=name)
    for p, q in zip(eager.parameters(), twin.parameters(), strict=True):
        assert q.grad.shape == q.shape
        assert q.grad.dtype == q.dtype
        np.testing.assert_allclose(q.grad, p.grad, rtol=rtol, atol=rtol, err_msg=p.name)
    return compiled


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_bit_for_bit(name):
    compiled = assert_equal_training(OPTIMISERS[name], dense(4, 8, 3), tn.mse, real)
    assert len(compiled._programs) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_bit_for_bit(activation):
    assert_equal_training(OPTIMISERS["SGD"], dense(4, 8, 8, 3, activation=activation), tn.mse, real)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_replays_are_what_runs(activation):
    """A replay that fails gives way to the step itself, without a word: none may."""
    _, _, step = training(OPTIMISERS["Adam"], dense(4, 8, 3, activation=activation), tn.mse)
    compiled = tn.compile(step, audit=False)
    compiled(*real(0))
    compiled.function = None
    for i in range(20):
        compiled(*real(i))


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_every_layer_bit_for_bit(layers):
    assert_equal_training(OPTIMISERS["Adam"], layers, tn.mse, real)


@pytest.mark.parametrize(
    ("loss", "batch"),
    [
        (tn.l1_loss, real), (tn.huber_loss, real), (tn.cross_entropy, labelled), (tn.cross_entropy, one_hot),
        (tn.binary_cross_entropy, lambda i: (real(i)[0], (real(i)[1] > 0.5).astype(float))),
    ],
)  # fmt: skip
def test_every_loss_bit_for_bit(loss, batch):
    assert_equal_training(OPTIMISERS["SGD"], dense(4, 8, 3), loss, batch)


@pytest.mark.parametrize("optimiser", ["SGD", "Adam"])
def test_float32_stays_float32_and_agrees_to_rounding(optimiser):
    layers = dense(4, 8, 3, dtype=np.float32)
    assert_equal_training(OPTIMISERS[optimiser], layers, tn.mse, lambda i: real(i, dtype=np.float32), rtol=2e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("loss", [tn.mse, tn.cross_entropy])
def test_large_layers_in_blocks_and_two_threads_bit_for_bit(loss, threads, monkeypatch):
    monkeypatch.setattr(calls, "THREADS", threads)
    monkeypatch.setattr(calls, "TWO_THREADS", 1 << 20)
    batch = real if loss is tn.mse else labelled
    compiled = assert_equal_training(
        OPTIMISERS["Adam"],
        dense(300, 900, 700, 10, activation="sigmoid"),
        loss,
        lambda i: batch(i, 300, 10, 150),
        steps=5,
    )
    assert "loop" in compiled.program.source
    assert ("share(loop" in compiled.program.source) == (threads == 2)


def test_batches_of_changing_size():
    compiled = assert_equal_training(OPTIMISERS["Adam"], dense(4, 8, 3), tn.mse, lambda i: real(i, n=5 + i % 3))
    assert len(compiled._programs) == 3


def test_clipped_gradients():
    models = []
    for wrap in (lambda f: f, tn.compile):
        model, optimizer, _ = training(OPTIMISERS["SGD"], dense(4, 8, 3), tn.mse)

        def step(X, Y, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            J = tn.mse(model(X), Y)
            J.backward()
            norm = optim.clip_grad_norm_(model.parameters(), 0.1)
            optim.clip_grad_value_(model.parameters(), 0.05)
            optimizer.step()
            return J, norm

        step = wrap(step)
        for i in range(10):
            J, norm = step(*real(i))
        models.append([J.item(), float(norm), *(p.value for p in model.parameters())])
    for a, b in zip(*models, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-14)


def test_a_schedule_that_goes_on_outside():
    """The learning rate is looked up at each replay as soon as it has changed once."""
    for name in ("SGD", "momentum", "Adam", "AdamW", "NAdam", "RMSprop"):
        runs = []
        for wrap in (lambda f: f, tn.compile):
            model, optimizer, step = training(OPTIMISERS[name], dense(4, 8, 3), tn.mse)
            schedule, step = optim.ExponentialLR(optimizer, 0.9), wrap(step)
            for i in range(20):
                J = step(*real(i))
                schedule.step()
            runs.append([J.item(), *(p.value for p in model.parameters())])
        for a, b in zip(*runs, strict=True):
            np.testing.assert_array_equal(b, a, err_msg=name)
        assert len(step._programs) <= 2


def test_a_schedule_within_the_step():
    class Schedule(optim.ExponentialLR):
        step = at_each_replay(optim.ExponentialLR.step)

    runs = []
    for wrap in (lambda f: f, tn.compile):
        model, optimizer, step = training(OPTIMISERS["Adam"], dense(4, 8, 3), tn.mse)
        schedule = Schedule(optimizer, 0.9)

        def whole(X, Y, step=step, schedule=schedule):
            J = step(X, Y)
            schedule.step()
            return J

        whole = wrap(whole)
        for i in range(20):
            whole(*real(i))
        assert schedule.last_epoch == 20
        runs.append([schedule.get_last_lr()[0], *(p.value for p in model.parameters())])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("name", ["momentum", "Nesterov", "RMSprop", "Adam", "NAdam"])
def test_a_schedule_that_moves_rate_and_momentum(name):
    runs = []
    for wrap in (lambda f: f, tn.compile):
        model, optimizer, step = training(OPTIMISERS[name], dense(4, 8, 3), tn.mse)
        schedule = optim.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
        whole = wrap(step)
        for i in range(20):
            whole(*real(i))
            schedule.step()
        runs.append([p.value for p in model.parameters()])
        if wrap is tn.compile:
            assert len(whole._programs) == 1
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(b, a)


def test_training_and_prediction_mode():
    model = nn.Sequential(nn.Dense(4, 8, "relu", rng=0), nn.BatchNorm(8), nn.Dropout(0.5, rng=1), nn.Dense(8, 2, rng=2))
    predict = tn.compile(lambda X: model(X))
    X = real(0)[0]
    drawn = [predict(X).numpy() for _ in range(4)]
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(drawn))
    model.eval()
    np.testing.assert_array_equal(predict(X).value, model(X).value)
    np.testing.assert_array_equal(predict(X).value, model(X).value)
    model.train()
    assert not np.array_equal(predict(X).value, predict(X).value)


def test_dropout_draws_what_it_would_have_drawn():
    runs = []
    for wrap in (lambda f: f, tn.compile):
        model = nn.Sequential(nn.Dropout(0.5, rng=3))
        step = wrap(lambda X, model=model: model(X))
        runs.append([step(np.ones((3, 4))).numpy() for _ in range(5)])
    np.testing.assert_array_equal(*runs)


def test_gradients_accumulate_over_calls():
    runs = []
    for wrap in (lambda f: f, tn.compile):
        model, optimizer, _ = training(OPTIMISERS["SGD"], dense(4, 8, 3), tn.mse)
        step = wrap(lambda X, Y, model=model: tn.mse(model(X), Y).backward())
        for i in range(9):
            step(*real(i))
            if i % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
        runs.append([p.grad for p in model.parameters()] + [p.value for p in model.parameters()])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(b, a)


def test_updates_by_hand_and_by_an_average():
    """p.data -= ..., and a moving average of the parameters kept in tensors."""
    runs = []
    for wrap in (lambda f: f, tn.compile):
        model, _, _ = training(OPTIMISERS["SGD"], dense(4, 8, 3), tn.mse)
        averages = [tn.tensor(p.value) for p in model.parameters()]

        def step(X, Y, model=model, averages=averages):
            model.zero_grad()
            J = tn.mse(model(X), Y)
            J.backward()
            for p, average in zip(model.parameters(), averages, strict=True):
                p.data -= 0.1 * p.grad
                average.data = 0.9 * average.data + 0.1 * p.data
            return J

        step = wrap(step)
        for i in range(10):
            step(*real(i))
        runs.append([p.value for p in model.parameters()] + [a.value for a in averages])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(b, a)


def test_two_compiled_functions_share_parameters():
    model, _, step = training(OPTIMISERS["Adam"], dense(4, 8, 3), tn.mse)
    train, evaluate = tn.compile(step), tn.compile(lambda X, Y: tn.mse(model(X), Y))
    for i in range(6):
        train(*real(i))
        X, Y = real(100 + i)
        assert evaluate(X, Y).item() == tn.mse(model(X), Y).item()
        step(*real(i))  # eager in between
        assert evaluate(X, Y).item() == tn.mse(model(X), Y).item()


def test_loading_a_state():
    model, _, step = training(OPTIMISERS["Adam"], dense(4, 8, 3), tn.mse)
    start = model.state_dict()
    compiled = tn.compile(step)
    first = compiled(*real(0)).item()
    for i in range(5):
        compiled(*real(i))
    model.load_state_dict(start)
    assert compiled(*real(0)).item() == first


def test_large_gradients_that_are_given_out_are_in_no_loop():
    """Each replay makes them anew, as an earlier one may still be held."""
    a, b = (tn.tensor(np.random.default_rng(i).normal(size=70_000), requires_grad=True) for i in range(2))
    step = tn.compile(lambda x: tn.sum((a + b) * x).backward())
    x = np.linspace(0, 1, 70_000)
    for n in range(1, 5):
        step(x)
        np.testing.assert_array_equal(a.grad, sum([x] * (n - 1), x))
        np.testing.assert_array_equal(b.grad, a.grad)
