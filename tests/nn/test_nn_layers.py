"""Layers beside Dense: what they compute, train and eval, statistics, and errors."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn

RNG = np.random.default_rng(0)


def check_gradients(module, X, tolerance=1e-6):
    """Gradients of a random projection of the output, against central differences in X and all parameters."""
    direction = RNG.normal(size=module(X).shape)
    x = tn.tensor(X, requires_grad=True)
    (module(x) * direction).sum().backward()
    for tensor in [x, *module.parameters()]:
        slope = np.empty_like(tensor.grad)
        for i in np.ndindex(tensor.shape):
            ends = []
            for h in (1e-6, -1e-6):
                tensor.data[i] += h
                with tn.no_grad():
                    ends.append((module(x) * direction).sum().item())
                tensor.data[i] -= h
            slope[i] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(tensor.grad, slope, rtol=tolerance, atol=tolerance)


# --- Dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_scales_what_is_kept():
    y = nn.Dropout(0.25, rng=0)(np.ones((100, 100)))
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(y.mean() - 1) < 0.02


def test_dropout_gradient_flows_where_values_do():
    x = tn.tensor(np.ones((4, 5)), requires_grad=True)
    y = nn.Dropout(0.5, rng=0)(x)
    y.sum().backward()
    assert np.array_equal(x.grad, y.data)
    assert y.name == "dropout"
    assert y.inputs[1].name == "mask"


def test_dropout_draws_anew_and_from_its_own_generator():
    layer = nn.Dropout(0.5, rng=3)
    first, second = (layer(np.ones((5, 5))) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, nn.Dropout(0.5, rng=np.random.default_rng(3))(np.ones((5, 5))))


def test_dropout_mask_is_an_operation_that_a_replay_can_repeat():
    mask = tn.ops.BY_NAME["_dropout_mask"]
    rng = np.random.default_rng(0)
    drawn = mask(tn.tensor(np.ones((3, 3), np.float32)), p=0.5, rng=rng)
    again = mask.compute([np.ones((3, 3), np.float32)], {"p": 0.5, "rng": rng})
    assert not drawn.requires_grad
    assert drawn.dtype == again.dtype == np.float32
    assert not np.array_equal(drawn.data, again)


def test_dropout_is_the_identity_in_prediction_and_for_p_0():
    x = tn.tensor(np.ones((2, 2)))
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0)(x) is x
    assert not nn.Dropout(1.0)(x).data.any()


def test_dropout_keeps_float32():
    assert nn.Dropout(0.3)(np.ones((2, 2), np.float32)).dtype == np.float32
    assert nn.Dropout(0.3)(tn.tensor(np.ones((2, 2), np.float32))).dtype == np.float32
    assert nn.Dropout(0.3)(np.ones((2, 2), int)).dtype == np.float64


def test_dropout_wants_a_probability(raised):
    assert raised(ValueError, nn.Dropout, 1.5) == "Dropout: p=1.5, expected from 0 to 1"


# --- BatchNorm -------------------------------------------------------------------------------------------------------


def test_batchnorm_standardises_features_over_the_batch():
    X = RNG.normal(size=(3, 50)) * 5 + 2
    layer = nn.BatchNorm(3, eps=0.0)
    Y = layer(X).data
    np.testing.assert_allclose(Y.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(Y.var(axis=1), 1, rtol=1e-12)
    layer.gamma.data[...], layer.beta.data[...] = 2.0, 3.0
    np.testing.assert_allclose(layer(X).data, 2 * Y + 3, rtol=1e-12)


def test_batchnorm_running_statistics():
    X = RNG.normal(size=(3, 50)) * 5 + 2
    layer = nn.BatchNorm(3, momentum=0.25)
    layer(X), layer(2 * X)
    mean, var = X.mean(axis=1, keepdims=True), X.var(axis=1, ddof=1, keepdims=True)
    np.testing.assert_allclose(layer.running_mean.data, 0.75 * 0.25 * mean + 0.25 * 2 * mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.data, 0.75**2 + 0.75 * 0.25 * var + 0.25 * 4 * var, rtol=1e-12)
    before = layer.state_dict()
    Y = layer.eval()(X).data
    np.testing.assert_allclose(Y, (X - before["running_mean"]) / np.sqrt(before["running_var"] + 1e-5), rtol=1e-12)
    assert all(np.array_equal(before[k], v) for k, v in layer.state_dict().items())


def test_batchnorm_state():
    layer = nn.BatchNorm(3)
    assert list(layer.state_dict()) == ["gamma", "beta", "running_mean", "running_var"]
    assert [n for n, _ in layer.named_parameters()] == ["gamma", "beta"]
    assert list(nn.BatchNorm(3, affine=False).state_dict()) == ["running_mean", "running_var"]


@pytest.mark.parametrize("shape", [(3, 6), (2, 2, 2, 3)])
@pytest.mark.parametrize("mode", [True, False])
def test_batchnorm_gradients(shape, mode):
    layer = nn.BatchNorm(shape[0])
    layer(RNG.normal(size=shape))
    check_gradients(layer.train(mode), RNG.normal(size=shape))


def test_batchnorm_of_images_averages_over_places_too():
    X = RNG.normal(size=(3, 4, 5, 6))
    Y = nn.BatchNorm(3)(X).data
    flat = nn.BatchNorm(3)(X.reshape(3, -1)).data
    np.testing.assert_allclose(Y, flat.reshape(X.shape), rtol=1e-12)


def test_batchnorm_float32():
    layer = nn.BatchNorm(3, dtype=np.float32)
    assert layer(np.ones((3, 4))).dtype == np.float32
    assert {v.dtype for v in layer.state_dict().values()} == {np.dtype(np.float32)}
    assert layer(tn.tensor(np.ones((3, 4), np.float32))).dtype == np.float32


def test_batchnorm_errors(raised):
    layer = nn.BatchNorm(3)
    assert raised(tn.ShapeError, layer, np.zeros((5, 3))) == (
        "BatchNorm(3) expects examples as columns, shape (3, N), and got shape (5, 3): X.T fits"
    )
    assert raised(tn.ShapeError, layer, np.zeros(3)).endswith("got shape (3,)")
    assert raised(ValueError, layer, np.zeros((3, 1))) == (
        "BatchNorm(3): a batch of shape (3, 1) has 1 number per feature, and training needs 2 or more for a variance; "
        "leave out a last batch of one example, as tn.data.batches(..., drop_last=True) does, or predict with "
        "model.eval()"
    )
    assert layer.eval()(np.zeros((3, 1))).shape == (3, 1)
    assert not layer.running_mean.data.any()


# --- LayerNorm -------------------------------------------------------------------------------------------------------


def test_layernorm_standardises_each_example():
    X = RNG.normal(size=(30, 4)) * [1, 10, 100, 1000] + 7
    Y = nn.LayerNorm(30)(X).data
    np.testing.assert_allclose(Y.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(Y.var(axis=0), 1, rtol=1e-4)


@pytest.mark.parametrize(("features", "shape"), [(3, (3, 2)), ((2, 3), (2, 3, 2))])
def test_layernorm_gradients(features, shape):
    layer = nn.LayerNorm(features)
    layer.gamma.data[...] = RNG.normal(size=layer.gamma.shape)
    check_gradients(layer, RNG.normal(size=shape), tolerance=1e-5)


def test_layernorm_errors(raised):
    assert raised(tn.ShapeError, nn.LayerNorm((2, 3)), np.zeros((3, 2, 4))) == (
        "LayerNorm((2, 3)) expects examples as columns, shape (2, 3, N), and got shape (3, 2, 4)"
    )
    assert raised(tn.ShapeError, nn.LayerNorm(2), np.zeros((2, 3, 4))) == (
        "LayerNorm(2) expects shape (2, N) and got shape (2, 3, 4)"
    )
    assert raised(ValueError, nn.LayerNorm, (2, 0)) == "LayerNorm: features=0, expected at least 1"


# --- Flatten, Residual, Activation -----------------------------------------------------------------------------------


def test_flatten_makes_a_column_of_each_example():
    X = RNG.normal(size=(2, 3, 4, 5))
    Y = nn.Flatten()(tn.tensor(X))
    assert Y.shape == (24, 5)
    assert np.array_equal(Y.data[:, 3], X[..., 3].ravel())
    assert Y.name == "flatten"
    assert nn.Flatten()(np.zeros((2, 3, 0))).shape == (6, 0)


def test_residual():
    block = nn.Residual(nn.Dense(3, 3, "tanh", rng=0))
    X = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(block(X).data, X + np.tanh(block.f.W.data @ X))
    check_gradients(block, X)
    model = nn.Sequential(nn.Dense(3, 3), block, nn.Dense(3, 1))
    assert [p.name for p in model.parameters()] == ["W¹", "b¹", "W²", "b²", "W³", "b³"]
    assert block(tn.tensor(X)).name == "residual²"


def test_residual_never_broadcasts(raised):
    assert raised(tn.ShapeError, nn.Residual(nn.Dense(3, 1)), np.zeros((3, 4))) == (
        "residual: f(x) has shape (1, 4), x has shape (3, 4); they must be equal"
    )


def test_activation_layers():
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Activation("tanh"), nn.Dense(3, 1, rng=1), tn.sigmoid)
    same = nn.Sequential(nn.Dense(2, 3, "tanh", rng=0), nn.Dense(3, 1, "sigmoid", rng=1))
    X = RNG.normal(size=(2, 4))
    assert np.array_equal(model(X).data, same(X).data)
    assert model(X).name == "A²"
    assert repr(model[3]) == "Activation(sigmoid): 0 parameters"
    assert nn.Activation(None)(X) is X


def test_every_layer_works_in_float32():
    model = nn.Sequential(
        nn.Dense(4, 3, "relu", dtype="f4"), nn.BatchNorm(3, dtype="f4"), nn.Dropout(0.5), nn.LayerNorm(3, dtype="f4"),
        nn.Residual(nn.Dense(3, 3, "gelu", dtype="f4")), nn.Dense(3, 2, "softmax", dtype="f4"),
    )  # fmt: skip
    y = model(RNG.normal(size=(4, 6)))
    assert y.dtype == np.float32
    tn.mse(y, np.zeros((2, 6), np.float32)).backward()
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.BatchNorm(2, eps="abc"), TypeError, "BatchNorm: eps='abc' is of type str, expected a number"),
        (lambda: nn.LayerNorm(2, eps=[]), TypeError, "LayerNorm: eps=[] is of type list, expected a number"),
        (lambda: nn.LayerNorm(2, eps=-1.0), ValueError, "LayerNorm: eps=-1.0, expected at least 0"),
        (lambda: nn.BatchNorm(2, momentum=1.5), ValueError, "BatchNorm: momentum=1.5, expected from 0 to 1"),
        (lambda: nn.BatchNorm(2, momentum=float("nan")), ValueError, "BatchNorm: momentum=nan, expected from 0 to 1"),
        (lambda: nn.Dropout("0.5"), TypeError, "Dropout: p='0.5' is of type str, expected a number"),
    ],
)
def test_settings_that_are_no_numbers(raised, make, error, text):
    assert raised(error, make) == text
