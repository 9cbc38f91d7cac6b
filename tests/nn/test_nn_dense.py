"""Dense and Sequential: equations, names, shapes, dtypes and what they say to input that does not fit."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.autodiff import history

RNG = np.random.default_rng(0)


def named(J):
    return [node.name for node in history([J]) if node.name]


def test_dense_is_sigma_of_wa_plus_b():
    layer = nn.Dense(3, 2, "sigmoid", rng=0)
    layer.b.data[...] = [[0.5], [-0.5]]
    A = RNG.normal(size=(3, 7))
    expected = 1 / (1 + np.exp(-(layer.W.data @ A + layer.b.data)))
    np.testing.assert_allclose(layer(A).data, expected, rtol=1e-15)
    assert layer.W.shape == (2, 3)
    assert layer.b.shape == (2, 1)


def test_without_bias_and_activation():
    layer = nn.Dense(3, 2, bias=False)
    A = RNG.normal(size=(3, 7))
    assert layer.b is None
    assert np.array_equal(layer(A).data, layer.W.data @ A)
    assert [n for n, _ in layer.named_parameters()] == ["W"]


def test_a_lone_layer_uses_plain_names():
    layer = nn.Dense(3, 2, "tanh")
    A = layer(np.zeros((3, 1)))
    assert named(A) == ["W", "b", "Z", "A"]
    assert [x.name for x in A.inputs[0].inputs] == ["W", "X", "b"]


def test_a_sequential_numbers_its_layers():
    model = nn.Sequential(
        nn.Dense(3, 4, "tanh"), nn.Dropout(0.5), nn.Sequential(nn.Dense(4, 4, "relu")), nn.Dense(4, 1)
    )
    assert named(model(np.zeros((3, 2)))) == (
        ["W¹", "b¹", "W²", "b²", "W³", "b³", "Z¹", "A¹", "dropout¹", "Z²", "A²", "Z³"]
    )


def test_ten_layers():
    model = nn.Sequential(*[nn.Dense(2, 2) for _ in range(12)])
    assert [p.name for p in model.parameters()][-2:] == ["W¹²", "b¹²"]
    assert model(np.zeros((2, 1))).name == "Z¹²"


def test_the_outermost_sequential_counts():
    encoder, decoder = (nn.Sequential(nn.Dense(2, 2), nn.Dense(2, 2)) for _ in range(2))
    assert [p.name for p in decoder.parameters()] == ["W¹", "b¹", "W²", "b²"]
    nn.Sequential(encoder, decoder)
    assert [p.name for p in encoder.parameters()] == ["W¹", "b¹", "W²", "b²"]
    assert [p.name for p in decoder.parameters()] == ["W³", "b³", "W⁴", "b⁴"]


def test_names_given_by_hand_stay():
    layer = nn.Dense(2, 2)
    layer.W.named("gate")
    nn.Sequential(layer)
    assert [p.name for p in layer.parameters()] == ["gate", "b¹"]


def test_tied_weights_keep_the_first_name():
    one, two = nn.Dense(2, 2), nn.Dense(2, 2)
    two.W = one.W
    model = nn.Sequential(one, two)
    assert [p.name for p in model.parameters()] == ["W¹", "b¹", "b²"]
    model(np.ones((2, 3))).sum().backward()
    assert one.W.grad.shape == (2, 2)


def test_modules_of_ones_own_can_be_numbered():
    class Net(nn.Module):
        def __init__(self):
            self.hidden = nn.Dense(2, 3, "tanh")
            self.output = nn.Dense(3, 1)
            self.number_layers()

        def forward(self, X):
            return self.output(self.hidden(X))

    assert named(Net()(np.zeros((2, 1)))) == ["W¹", "b¹", "W²", "b²", "Z¹", "A¹", "Z²"]


def test_a_given_tensor_keeps_its_name_and_gets_a_gradient():
    x = tn.tensor(np.ones((2, 1)), requires_grad=True, name="pixels")
    nn.Sequential(nn.Dense(2, 1))(x).sum().backward()
    assert x.grad.shape == (2, 1)
    assert x.name == "pixels"


def test_plain_arrays_are_copied():
    model = nn.Sequential(nn.Dense(2, 1, rng=0))
    X = np.ones((2, 3))
    J = model(X).sum()
    X[...] = 0
    J.backward()
    assert model[0].W.grad.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("X", [np.ones((2, 3)), np.ones((2, 3), int), [[1, 1, 1], [1, 1, 1]], np.ones((2, 3), "f4")])
def test_plain_data_takes_the_dtype_of_the_layer(X):
    for dtype in (np.float32, np.float64):
        for model in (nn.Dense(2, 1, "tanh", dtype=dtype), nn.Sequential(nn.Dense(2, 1, "tanh", dtype=dtype))):
            y = model(X)
            assert y.dtype == dtype
            y.sum().backward()
            assert {p.grad.dtype for p in model.parameters()} == {np.dtype(dtype)}


def test_tensors_follow_numpys_rules_for_mixed_dtypes():
    layer = nn.Dense(2, 1, dtype=np.float32)
    y = layer(tn.tensor(np.ones((2, 3))))
    assert y.dtype == np.float64
    y.sum().backward()
    assert layer.W.grad.dtype == np.float32


def test_leading_axes_are_batches_of_matrices():
    layer = nn.Dense(2, 3, rng=0)
    A = RNG.normal(size=(5, 2, 4))
    np.testing.assert_allclose(layer(A).data[1], layer(A[1]).data, rtol=1e-14)


def test_empty_batches():
    model = nn.Sequential(nn.Dense(2, 3, "relu"), nn.Dense(3, 1, "sigmoid"))
    assert model(np.zeros((2, 0))).shape == (1, 0)


@pytest.mark.parametrize("activation", ["tanh", tn.tanh, "softmax", "identity", None, lambda z: z.tanh()])
def test_activations_by_name_operation_or_function(activation):
    layer = nn.Dense(2, 3, activation, rng=0)
    A = RNG.normal(size=(2, 4))
    Z = layer.W.data @ A + layer.b.data
    name = activation if isinstance(activation, str) else "tanh"
    expected = {"tanh": np.tanh(Z), "softmax": np.exp(Z) / np.exp(Z).sum(axis=0), "identity": Z}[
        "identity" if activation is None else name
    ]
    np.testing.assert_allclose(layer(A).data, expected, rtol=1e-12)


def test_an_operation_added_by_hand_is_an_activation_by_name():
    tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube_for_dense", kind="elementwise")
    layer = nn.Dense(1, 1, "cube_for_dense", init="ones")
    assert layer(np.array([[2.0]])).item() == 8
    assert nn.build(layer.config())(np.zeros((1, 1))).item() == 0


def test_the_activation_can_be_changed_later():
    layer = nn.Dense(2, 3, "tanh", rng=0)
    layer.activation = tn.relu
    A = RNG.normal(size=(2, 4))
    assert np.array_equal(layer(A).data, np.maximum(layer.W.data @ A, 0))
    assert layer.config()["activation"] == "relu"


def test_default_initialisation_fits_the_activation():
    limits = {"tanh": 6 / 300, None: 6 / 300, "relu": 6 / 100, "gelu": 6 / 100}
    for activation, square in limits.items():
        W = nn.Dense(100, 200, activation, rng=0).W.data
        assert 0.98 * square**0.5 < abs(W).max() <= square**0.5
    assert abs(nn.Dense(100, 200, "selu", rng=0).W.data.std() - 0.1) < 0.002
    assert not nn.Dense(2, 3).b.data.any()


def test_seeds_and_generators():
    assert np.array_equal(nn.Dense(2, 3, rng=7).W.data, nn.Dense(2, 3, rng=7).W.data)
    rng = np.random.default_rng(7)
    first, second = nn.Dense(2, 3, rng=rng), nn.Dense(2, 3, rng=rng)
    assert np.array_equal(first.W.data, nn.Dense(2, 3, rng=7).W.data)
    assert not np.array_equal(first.W.data, second.W.data)
    np.testing.assert_allclose(nn.Dense(2, 3, rng=7, dtype="f4").W.data, first.W.data, rtol=1e-7)


def test_init_by_name_or_function():
    assert nn.Dense(2, 3, init="ones").W.data.all()
    assert nn.Dense(2, 3, init=lambda shape, rng, dtype: np.full(shape, 5)).W.tolist() == [[5, 5]] * 3
    assert nn.Dense(2, 3, init=nn.init.zeros).config()["init"] == "zeros"


def test_square_networks_are_sliced_and_indexed():
    model = nn.Sequential(nn.Dense(2, 3, "tanh", rng=0), nn.Dense(3, 4, "tanh", rng=1), nn.Dense(4, 1, rng=2))
    X = RNG.normal(size=(2, 5))
    features, rest = model[:2], model[2:]
    assert len(features) == 2
    assert [layer.out_features for layer in model] == [3, 4, 1]
    assert np.array_equal(rest(features(X)).data, model(X).data)
    assert model[-1].W.name == "W³"
    assert features[0] is model[0]


def test_an_empty_sequential_is_the_identity():
    assert nn.Sequential()(np.ones((2, 3))).tolist() == np.ones((2, 3)).tolist()


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_rows_are_named_as_rows(raised):
    layer = nn.Dense(64, 32, "tanh")
    assert raised(tn.ShapeError, layer, np.zeros((100, 64))) == (
        "Dense(64, 32, tanh) expects examples as columns, shape (64, N), and got X of shape (100, 64): X.T fits"
    )
    x = tn.tensor(np.zeros((100, 64)), name="images")
    assert raised(tn.ShapeError, layer, x).endswith("got images of shape (100, 64): images.T fits")
    assert "got an input of shape (100, 64)" in raised(tn.ShapeError, layer, x.named(None))


def test_layers_of_a_network_say_which_they_are(raised):
    model = nn.Sequential(nn.Dense(2, 3, "tanh"), nn.Dense(4, 1))
    assert raised(tn.ShapeError, model, np.zeros((2, 5))) == (
        "Dense(4, 1), which makes Z², expects examples as columns, shape (4, N), and got A¹ of shape (3, 5)"
    )
    model = nn.Sequential(nn.Dense(2, 3))
    assert raised(tn.ShapeError, model, np.zeros((5, 2))) == (
        "Dense(2, 3), which makes Z¹, expects examples as columns, shape (2, N), and got X of shape (5, 2): X.T fits"
    )


def test_a_vector_is_no_column(raised):
    expected = "Dense(2, 3) expects examples as columns, shape (2, N), and got X of shape (2,)"
    assert raised(tn.ShapeError, nn.Dense(2, 3), np.zeros(2)) == f"{expected}: X.reshape(-1, 1) makes a column of it"
    assert raised(tn.ShapeError, nn.Dense(2, 3), np.zeros(5)).endswith("got X of shape (5,)")
    assert raised(tn.ShapeError, nn.Dense(2, 3), 1.0).endswith("got X of shape ()")
    assert raised(tn.ShapeError, nn.Dense(12, 3), np.zeros((3, 2, 2, 5))).endswith(
        "got X of shape (3, 2, 2, 5); nn.Flatten() makes a column of each example"
    )


def test_settings_out_of_range(raised):
    assert raised(ValueError, nn.Dense, 0, 3) == "Dense: in_features=0, expected at least 1"
    assert raised(TypeError, nn.Dense, 2, 3.0) == "Dense: out_features=3.0 is of type float, expected an int"
    assert raised(ValueError, nn.Dense, 2, 3, "rleu") == "Dense: there is no activation 'rleu'; did you mean 'relu'?"
    assert raised(ValueError, nn.Dense, 2, 3, "ReLU") == "Dense: there is no activation 'ReLU'; did you mean 'relu'?"
    assert raised(ValueError, nn.Dense, 2, 3, "quux") == (
        "Dense: there is no activation 'quux'; expected 'relu', 'tanh', or another elementwise operation"
    )
    assert raised(ValueError, nn.Dense, 2, 3, tn.add).startswith("Dense: there is no activation <operation add(a, b)>")
    assert raised(ValueError, nn.Dense, 2, 3, "less").startswith("Dense: there is no activation 'less'")
    assert raised(ValueError, nn.Dense, 2, 3, init="best").startswith("Dense: there is no init 'best'; expected one of")
    assert raised(TypeError, nn.Dense, 2, 3, dtype=int) == (
        "Dense: dtype=int64, expected a floating-point dtype such as np.float32"
    )
    assert raised(tn.ShapeError, nn.Dense, 2, 3, init=lambda shape, rng, dtype: np.zeros(shape[::-1])) == (
        "Dense: init gave W the shape (2, 3), expected (out_features, in_features) = (3, 2)"
    )
    assert raised(TypeError, nn.Sequential, [nn.Dense(2, 3)]) == (
        "Sequential: layer 0 is of type list, expected a module or a function; "
        "give the layers one by one, as in Sequential(*layers)"
    )
