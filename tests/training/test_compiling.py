"""Which trainings fit compiles by itself: those in which all code is this package's."""

import types

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.training.compiling import what_fit_cannot_list
from tinygrad_nn.training.lookup import find_metrics


def a_network():
    return nn.Sequential(
        nn.Flatten(), nn.Dense(4, 6, "relu", rng=0), nn.BatchNorm(6), nn.Dropout(0.1, rng=0),
        nn.Residual(nn.LayerNorm(6), nn.Dense(6, 6, "tanh", rng=0)), nn.Activation("gelu"), nn.Dense(6, 2, rng=0),
    )  # fmt: skip


def cannot(model=None, loss=tn.cross_entropy, optimizer=None, metrics=()):
    model = model or a_network()
    optimizer = optimizer or tn.optim.SGD(model.parameters(), 0.1)
    return what_fit_cannot_list(model, loss, optimizer, find_metrics(metrics, loss))


OPTIMIZERS = ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam", "Rprop", "IDBD", "OnlineLBFGS"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_layers_and_optimizers_of_the_package(optimizer):
    model = a_network()
    optimizer = getattr(tn.optim, optimizer)(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.2
    assert cannot(model, optimizer=optimizer, metrics="accuracy") == ""
    assert cannot(model, tn.binary_cross_entropy, optimizer, metrics="accuracy") == ""
    assert cannot(model.eval(), tn.huber_loss) == ""


def test_an_operation_of_ones_own_is_one_of_the_tables():
    cube = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="my_cube", kind="elementwise")
    try:
        assert cannot(nn.Dense(2, 2, "my_cube")) == ""
        assert cannot(nn.Dense(2, 2, cube)) == ""
    finally:
        del tn.operation.BY_NAME["my_cube"]
    assert cannot(nn.Dense(2, 2, cube)) == "the model calls my_cube, which is not of the tables"


def test_a_loss_of_ones_own():
    def loss(prediction, target):
        return tn.mse(prediction, target)

    assert cannot(loss=loss) == "the loss loss is not of the tables"


def test_a_metric_of_ones_own():
    assert cannot(metrics=["accuracy", len]) == "the metric len is not one of fit's own"
    assert cannot(metrics={"share": lambda p, t: 0.0}) == "the metric share is not one of fit's own"


def test_a_layer_of_ones_own():
    class Mine(nn.Dense):
        pass

    class Network(nn.Module):
        def __init__(self):
            self.layer = nn.Dense(2, 2)

        def forward(self, X):
            return self.layer(X)

    assert cannot(nn.Sequential(nn.Dense(2, 2), Mine(2, 2))) == "layer layers.1 is of type Mine, which is not of tn.nn"
    assert cannot(Network()) == "the model is of type Network, which is not of tn.nn"


def test_an_activation_of_ones_own():
    assert cannot(nn.Dense(2, 2, np.tanh)) == "the model calls tanh, which is not of the tables"
    model = nn.Sequential(nn.Dense(2, 2), lambda x: x * 2)
    assert cannot(model) == "layer layers.1 calls <lambda>, which is not of the tables"


def test_a_method_of_an_instance_that_is_replaced():
    model = a_network()
    model[1].forward = types.MethodType(lambda self, X: X, model[1])
    assert cannot(model) == "layer layers.1 has a forward of its own"
    model = a_network()
    optimizer = tn.optim.SGD(model.parameters(), 0.1)
    optimizer.step = lambda: None
    assert cannot(model, optimizer=optimizer) == "the optimizer has a step of its own"


@pytest.mark.parametrize("name", ["forward", "__call__", "train"])
def test_a_method_of_a_class_that_is_replaced(name, monkeypatch):
    monkeypatch.setattr(nn.Dense if name == "forward" else nn.Module, name, lambda self, X: X)
    assert cannot(nn.Dense(2, 2)) == f"the model has another Dense.{name} than the package"


def test_a_rule_that_is_replaced(monkeypatch):
    monkeypatch.setattr(tn.optim.SGD, "rule", staticmethod(lambda p, g, state, group: (g, {})))
    assert cannot() == "the optimizer has another SGD.rule than the package"


def test_an_optimizer_of_ones_own():
    class Mine(tn.optim.Adam):
        pass

    model = a_network()
    optimizer = Mine(model.parameters())
    assert cannot(model, optimizer=optimizer) == "the optimizer is of type Mine, which is not of tn.optim"


def test_a_generator_of_ones_own():
    class Mine(np.random.Generator):
        pass

    model = nn.Sequential(nn.Dense(2, 2), nn.Dropout(0.5, rng=Mine(np.random.PCG64(0))))
    assert cannot(model) == "layer layers.1 draws from a Mine, which is not NumPy's"


def test_the_history_says_why():
    X, y = tn.data.make_moons(64, rng=0)

    def history(model, **settings):
        loss = settings.pop("loss", tn.cross_entropy)
        return tn.fit(model, loss, tn.optim.SGD(model.parameters(), 0.1), (X, y), 150, rng=0, **settings)

    own = {"loss": lambda prediction, target: tn.cross_entropy(prediction, target)}
    assert history(nn.Dense(2, 2)).note == ""
    assert history(nn.Dense(2, 2), **own).note == "not compiled: the loss <lambda> is not of the tables"
    assert history(nn.Dense(2, 2), compile=False, **own).note == ""
    assert history(nn.Dense(2, 2), compile=True, **own).note == ""
