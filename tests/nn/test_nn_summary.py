"""The report of a network: its text, its numbers, and that it changes nothing."""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import nn


def model():
    return nn.Sequential(
        nn.Dense(8, 6, "relu", rng=0), nn.Dropout(0.3, rng=1), nn.BatchNorm(6),
        nn.Residual(nn.Dense(6, 6, "tanh", rng=2)), nn.Dense(6, 3, bias=False, rng=3),
    )  # fmt: skip


WITHOUT_DATA = """
layer                    equation                                         shapes                  parameters
Dense(8, 6, relu)        Z¹ = W¹ A⁰ + b¹                                  (6, 8) (8, N) + (6, 1)          54
                         A¹ = relu(Z¹)                                    (6, N)
Dropout(0.3)             dropout¹ = A¹ ⊙ mask¹                                                             0
BatchNorm(6)             batchnorm¹ = γ¹ ⊙ (dropout¹ − μ)/√(σ² + ε) + β¹                                  12
Dense(6, 6, tanh)        Z² = W² batchnorm¹ + b²                          (6, 6) (6, N) + (6, 1)          42
                         A² = tanh(Z²)                                    (6, N)
Residual                 residual² = batchnorm¹ + A²                                                       0
Dense(6, 3, bias=False)  Z³ = W³ residual²                                (3, 6) (6, N)                   18
Sequential                                                                                               126
"""


def test_without_data():
    assert str(model().summary()) == WITHOUT_DATA.strip()


def test_it_shows_itself_and_is_text():
    report = nn.Dense(2, 3).summary()
    assert repr(report) == str(report) == "".join(report)
    assert "Z = W A⁰ + b" in report


def test_norms_are_those_of_the_equations():
    net = nn.Sequential(nn.Dense(4, 3, "tanh", rng=0), nn.Dense(3, 2, rng=1))
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(4, 5)), rng.normal(size=(2, 5))
    lines = net.summary(X, Y).splitlines()
    assert lines[0].split() == ["layer", "equation", "shapes", "parameters", "‖value‖", "‖Δ‖", "‖∂J/∂W‖"]
    assert "(3, 4) (4, 5) + (3, 1)" in lines[1]
    numbers = [[float(x) for x in line.split()[-3:]] for line in (lines[1], lines[3])]
    passed, back = nn.forward_pass(net, X), nn.backpropagation(net, X, Y)
    for got, (Z, _), (delta, dW, _) in zip(numbers, passed, back, strict=True):
        np.testing.assert_allclose(got, [np.linalg.norm(a) for a in (Z, delta, dW)], rtol=1e-3)
    assert float(lines[2].split()[-1]) == float(f"{np.linalg.norm(passed[0][1]):.4g}")
    assert f"J = mse(Z², Y*) = {tn.mse(net(X), Y).item():.6g}" in lines[4]


def test_another_loss_and_labels():
    net = nn.Sequential(nn.Dense(4, 3, rng=0))
    text = net.summary(np.ones((4, 2)), np.array([0, 2]), loss=tn.cross_entropy)
    assert "J = cross_entropy(Z¹, Y*) = " in text


def test_only_x():
    assert nn.Dense(4, 3).summary(np.ones((4, 2))).splitlines()[0].split()[-1] == "‖value‖"


def test_nothing_is_changed():
    net = model()
    before, draws = net.state_dict(), net[1].rng.bit_generator.state
    net.summary(np.ones((8, 5)), np.zeros((3, 5)))
    assert all(np.array_equal(before[k], v) for k, v in net.state_dict().items())
    assert net[1].rng.bit_generator.state == draws
    assert all(p.grad is None for p in net.parameters())
    assert all(module.training for module in net.modules())


def test_y_needs_x(raised):
    assert raised(ValueError, nn.Dense(2, 3).summary, None, np.zeros((3, 1))) == (
        "summary: Y is given without X; give both"
    )


def test_parameters_outside_of_layers_are_listed():
    class Shifted(nn.Module):
        def __init__(self):
            self.dense = nn.Dense(2, 3)
            self.shift = tn.tensor(np.ones((3, 1)), requires_grad=True)
            self.more = [tn.tensor(np.ones(4), requires_grad=True)]

        def forward(self, X):
            return self.dense(X) + self.shift

    X = np.ones((2, 5))
    for lines in (Shifted().summary().splitlines(), Shifted().summary(X, np.ones((3, 5))).splitlines()):
        assert [line.split() for line in lines[2:4]] == [
            ["parameter", "shift", "(3,", "1)", "3"], ["parameter", "more.0", "(4,)", "4"],
        ]  # fmt: skip
        assert "16" in lines[-1].split()
