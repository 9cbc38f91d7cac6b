"""The audit finds every write that a replay would not make, also to what the recording has never met."""

import threading
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn

X = np.ones(1)
CASES = {}


def case(make):
    """A case is given a parameter; it gives what happens in the step from some call on."""
    CASES[make.__name__] = make
    return make


def another():
    return tn.tensor([3.0], requires_grad=True, name="another")


@case
def data_is_assigned(w):
    average = tn.tensor([0.0], name="average")
    return lambda: setattr(average, "data", 0.9 * average.data + 0.1 * w.data)


@case
def data_in_place(w):
    average = tn.tensor([0.0])

    def change():
        average.data[...] = average.data + w.data

    return change


@case
def data_by_operator(w):
    average = tn.tensor([0.0])

    def change():
        average.data += w.data

    return change


@case
def tensor_by_operator(w):
    average = tn.tensor([0.0])

    def change():
        nonlocal average
        with tn.no_grad():
            average += w.detach()

    return change


@case
def an_element(w):
    average = tn.tensor([0.0])
    return lambda: average.__setitem__(0, w.item() + 1)


@case
def a_gradient_by_backward(w):
    other = another()
    return lambda: (other * other).sum().backward()


@case
def a_gradient_is_assigned(w):
    other = another()
    return lambda: setattr(other, "grad", np.ones(1))


@case
def a_gradient_is_forgotten(w):
    other = another()
    other.grad = np.ones(1)
    return other.zero_grad


@case
def a_gradient_in_place(w):
    other = another()
    other.grad = np.ones(1)
    return lambda: other.grad.__imul__(2.0)


@case
def gradients_of_another_optimizer(w):
    other = another()
    other.grad = np.ones(1)
    return tn.optim.SGD([other], lr=0.1).zero_grad


@case
def a_step_of_another_optimizer(w):
    other = another()
    other.grad = np.ones(1)
    return tn.optim.Adam([other], lr=0.1).step


@case
def statistics(w):
    layer = tn.nn.BatchNorm(1)
    return lambda: layer(np.array([[1.0, 2.0, 4.0]]))


@case
def a_state_is_loaded(w):
    layer = tn.nn.Dense(1, 1, rng=0)
    return lambda: layer.load_state_dict({"W": np.full((1, 1), 5.0), "b": np.zeros((1, 1))})


@case
def requires_grad(w):
    other = another()
    return lambda: setattr(other, "requires_grad", False)


@case
def an_attribute_of_a_module(w):
    layer = tn.nn.Dropout(0.5)
    hidden = types.SimpleNamespace(get=lambda: layer)
    return lambda: setattr(hidden.get(), "p", 0.25)


@case
def the_mode_of_a_module(w):
    return tn.nn.Dropout(0.5).eval


@case
def a_learning_rate(w):
    optimizer = tn.optim.SGD([another()], lr=0.1)
    return lambda: optimizer.param_groups[0].update(lr=0.05)


@case
def another_compiled_step(w):
    other = another()
    other.grad = np.ones(1)
    optimizer = tn.optim.SGD([other], lr=0.1)
    inner = tn.compile(lambda: optimizer.step())
    for _ in range(3):
        inner()
    return inner


@case
def a_marked_function(w):
    average = tn.tensor([0.0])
    return tn.at_each_replay(lambda: setattr(average, "data", average.data + 1))


@case
def a_schedule(w):
    return tn.optim.ExponentialLR(tn.optim.SGD([another()], lr=0.1), gamma=0.5).step


def training(change, settings, w):
    def step(x):
        w.grad = None
        (w * w * x).sum().backward()
        w.data -= 0.01 * w.grad
        if settings.on:
            change()

    return step


def run(name, audit):
    """The number of calls until the audit speaks, and what it says."""
    w, settings = tn.tensor([1.0], requires_grad=True), types.SimpleNamespace(on=False)
    step = tn.compile(training(CASES[name](w), settings, w), audit=audit)
    for i in range(200):
        settings.on = i >= 5
        try:
            step(X)
        except tn.CompileError as error:
            return i, str(error), w.item()
    return None, "", w.item()


@pytest.mark.parametrize("name", CASES)
def test_what_starts_later_is_found_at_once(name):
    calls, text, value = run(name, audit=1)
    assert calls == 5
    assert "changes" in text
    assert "at_each_replay" in text
    w, settings = tn.tensor([1.0], requires_grad=True), types.SimpleNamespace(on=False)
    step = training(CASES[name](w), settings, w)
    for _ in range(6):
        step(X)
    assert value == w.item()  # the call has ended as an eager one


@pytest.mark.parametrize("name", CASES)
def test_what_starts_later_is_found_by_the_next_audit(name):
    calls, _, _ = run(name, audit=True)
    assert calls == 7


def test_what_is_found_is_named():
    assert "changes average" in run("data_is_assigned", 1)[1]
    assert "changes the gradient of another" in run("a_gradient_by_backward", 1)[1]
    assert "changes requires_grad of another" in run("requires_grad", 1)[1]
    assert "changes Dropout.p" in run("an_attribute_of_a_module", 1)[1]


def test_what_every_replay_does_is_no_difference():
    average, other = tn.tensor([0.0]), another()
    w = tn.tensor([1.0], requires_grad=True)

    @tn.at_each_replay
    def follow():
        average.data = 0.5 * average.data + w.data
        other.requires_grad = not other.requires_grad

    def run(compiled):
        average.data, w.data = np.zeros(1), np.ones(1)

        def step(x):
            w.grad = None
            (w * w * x).sum().backward()
            w.data -= 0.01 * w.grad
            follow()

        step = compiled(step)
        for _ in range(20):
            step(X)
        return average.item(), w.item()

    assert run(lambda f: tn.compile(f, audit=1)) == run(lambda f: f)


def test_reading_and_putting_back_are_no_difference():
    layer, other, average = tn.nn.Dropout(0.5), another(), tn.tensor([2.0])
    other.grad = np.ones(1)
    settings = types.SimpleNamespace(on=False)
    layer.training = True  # its own, and not the class's

    def step(x):
        if settings.on:
            with layer.evaluating():
                float(other.grad[0]), average.data.sum()
            other.requires_grad = False
            other.requires_grad = True
            made = tn.nn.Dense(1, 1, rng=0)
            made.b.data = np.ones((1, 1))
            made.train(False)
        return tn.sum(tn.tensor(x)) * 1

    compiled = tn.compile(step, audit=1)
    for i in range(12):
        settings.on = i > 5
        assert compiled(X).item() == 1.0


# --- other threads ---------------------------------------------------------------------------------------------------


class Hidden:
    """Work in another thread that no name of the step tells of."""

    pool = ThreadPoolExecutor(1)

    @classmethod
    def run(cls, f):
        return getattr(cls.pool, "sub" + "mit")(f).result()


def test_work_of_another_thread_is_refused():
    w = tn.tensor([1.0], requires_grad=True, name="w")
    optimizer = tn.optim.Adam([w], lr=0.01)

    def train():
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()

    with pytest.raises(tn.CompileError, match=r"^(the gradient of )?w is changed by another thread"):
        tn.compile(lambda: Hidden.run(train))()


def test_work_of_another_thread_that_starts_later_is_found():
    w, settings = tn.tensor([1.0], requires_grad=True, name="w"), types.SimpleNamespace(on=False)

    def train():
        w.data = w.data + 1.0

    def step(x):
        if settings.on:
            Hidden.run(train)
        return tn.sum(tn.tensor(x)) * 2

    step = tn.compile(step, audit=1)
    for _ in range(4):
        step(X)
    settings.on = True
    with pytest.raises(tn.CompileError, match="w is changed by another thread"):
        step(X)
    assert w.item() == 2.0


def test_pools_are_refused_by_name():
    pool = ThreadPoolExecutor(1)
    with pytest.raises(tn.CompileError, match=r"works in another thread|submit"):
        tn.compile(lambda x: pool.submit(np.sum, x).result())(X)
    pool.shutdown()


def test_threads_that_train_something_else_do_not_matter():
    end = threading.Event()

    def train_another():
        other = another()
        optimizer = tn.optim.SGD([other], lr=1e-3)
        while not end.is_set():
            optimizer.zero_grad()
            (other * other).sum().backward()
            optimizer.step()
            other.data *= 1.0

    thread = threading.Thread(target=train_another)
    thread.start()
    try:
        for _ in range(5):
            w = tn.tensor([1.0], requires_grad=True)
            step = tn.compile(training(lambda: None, types.SimpleNamespace(on=False), w), audit=1)
            for _ in range(20):
                step(X)
    finally:
        end.set()
        thread.join()
