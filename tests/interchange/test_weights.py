"""Weights from and to PyTorch and Keras: by order, by names, from files, and what does not fit."""

import os

import numpy as np
import pytest

import tinygrad_nn as tn

RNG = np.random.default_rng(2)
os.environ.setdefault("KERAS_BACKEND", "jax")  # read when keras is imported


def network(dtype=None):
    """With weights that a mistake would show: none is square, none is what it starts at."""
    model = tn.nn.Sequential(
        tn.nn.Dense(4, 6, "tanh", rng=0, dtype=dtype), tn.nn.BatchNorm(6, dtype=dtype), tn.nn.Dropout(0.2, rng=0),
        tn.nn.Residual(tn.nn.Dense(6, 6, "relu", bias=False, rng=1, dtype=dtype)), tn.nn.LayerNorm(6, dtype=dtype),
        tn.nn.Dense(6, 2, rng=2, dtype=dtype),
    )  # fmt: skip
    filled(model)
    return model.eval()


def in_torch(torch, dtype):
    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.f = torch.nn.Linear(6, 6, bias=False)

        def forward(self, x):
            return x + torch.relu(self.f(x))

    nn = torch.nn
    layers = (nn.Linear(4, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.Dropout(0.2), Block(), nn.LayerNorm(6), nn.Linear(6, 2))
    return nn.Sequential(*layers).to(getattr(torch, dtype)).eval()


FAR = {"float32": 1e-6, "float64": 2e-15}  # six layers deep: sums are taken in another order


def filled(model):
    """None of its numbers is what it starts at."""
    for t in dict(model.named_tensors()).values():
        t.value[...] = RNG.uniform(0.2, 1.5, size=t.shape)


def same(ours, theirs, far):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=far * max(1.0, np.max(np.abs(theirs))))


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_takes_our_weights_and_we_take_theirs(dtype, tmp_path):
    torch = pytest.importorskip("torch")
    ours, theirs = network(dtype), in_torch(torch, dtype)
    x = RNG.normal(size=(4, 9)).astype(dtype)
    state = tn.nn.to_torch_state(ours)
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    with torch.no_grad():
        same(ours(x).detach().numpy().T, theirs(torch.from_numpy(x.T)).numpy(), FAR[dtype])
    again = network(dtype)
    assert tn.nn.from_torch_state(theirs.state_dict(), again) is again
    np.testing.assert_array_equal(again(x).data, ours(x).data)
    optimised = {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in theirs.state_dict().items()}
    tn.nn.from_torch_state(optimised, again)  # parameters require a gradient, and their values are meant


@pytest.mark.peers
@pytest.mark.parametrize(("dtype", "far"), [("float32", 1e-6), ("float64", 3e-16)])
@pytest.mark.parametrize("activation", ["Tanh", "ReLU", "Sigmoid"])
def test_one_layer_agrees_to_rounding(activation, dtype, far):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), getattr(torch.nn, activation)()).to(getattr(torch, dtype))
    ours = tn.nn.from_torch_state(theirs.state_dict(), tn.nn.Dense(3, 4, activation.lower(), dtype=dtype))
    x = RNG.uniform(-1, 1, size=(3, 50)).astype(dtype)
    with torch.no_grad():
        same(ours(x).detach().numpy().T, theirs(torch.from_numpy(x.T)).numpy(), far)


@pytest.mark.peers
def test_safetensors_files_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    ours, theirs = network("float32"), in_torch(torch, "float32")
    safetensors.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"the names are sorted, as in a file.*names= says it"):
        tn.nn.from_torch_state(tmp_path / "model.safetensors", ours)
    names = ["0", "2", "4.f", "5", "6"]
    tn.nn.from_torch_state(tmp_path / "model.safetensors", ours, names=names)
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    with torch.no_grad():
        same(ours(x).detach().numpy().T, theirs(torch.from_numpy(x.T)).numpy(), 1e-6)
    tn.nn.to_torch_state(ours, tmp_path / "back.safetensors")
    safetensors.load_model(theirs, tmp_path / "back.safetensors")
    half = {key: value.to(torch.bfloat16) for key, value in theirs.state_dict().items()}
    safetensors.save_file(half, tmp_path / "half.safetensors")
    tn.nn.from_torch_state(tmp_path / "half.safetensors", ours, names=names)
    np.testing.assert_array_equal(ours[0].W.data, half["0.weight"].float().numpy())
    tn.nn.from_torch_state(half, ours)
    np.testing.assert_array_equal(ours[0].W.data, half["0.weight"].float().numpy())


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras of its own variables
def test_keras_takes_our_weights_and_we_take_theirs():
    """In single precision, as Keras computes matrix products of doubles in it, too."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    theirs = keras.Sequential([
        layers.Input((4,)), layers.Dense(6, "tanh"), layers.BatchNormalization(epsilon=1e-5), layers.Dropout(0.2),
        layers.LayerNormalization(epsilon=1e-5), layers.Dense(2, use_bias=False),
    ])  # fmt: skip
    ours = tn.nn.Sequential(
        tn.nn.Dense(4, 6, "tanh", dtype="float32"), tn.nn.BatchNorm(6, dtype="float32"), tn.nn.Dropout(0.2),
        tn.nn.LayerNorm(6, dtype="float32"), tn.nn.Dense(6, 2, bias=False, dtype="float32"),
    ).eval()  # fmt: skip
    filled(ours)
    x = RNG.normal(size=(4, 9)).astype(np.float32)
    theirs.set_weights(tn.nn.to_keras_weights(ours))
    same(ours(x).data.T, np.asarray(theirs(x.T, training=False)), 1e-6)
    before = ours.state_dict()
    for weights in (theirs.get_weights(), theirs.weights, {w.path: w for w in theirs.weights}):
        filled(ours)
        tn.nn.from_keras_weights(weights, ours)
        for name, value in ours.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_kernels_of_keras_convolutions():
    keras = pytest.importorskip("keras")
    layer = keras.layers.Conv2D(5, 3, data_format="channels_last")
    layer.build((None, 8, 8, 2))
    layer.set_weights([RNG.normal(size=(3, 3, 2, 5)).astype(np.float32), RNG.normal(size=5).astype(np.float32)])
    model = tn.nn.from_keras_weights(layer.get_weights(), Convolving())
    images = RNG.normal(size=(2, 2, 8, 8)).astype(np.float32)
    ours = tn.conv2d(images, model.kernel.data) + model.bias.data
    same(ours.transpose(0, 2, 3, 1), np.asarray(layer(images.transpose(0, 2, 3, 1))), 2e-6)


# --- without other programs: what fits, and what does not -------------------------------------------------------------


def test_both_ways_are_inverse():
    ours, again = network(), network()
    tn.nn.from_torch_state(tn.nn.to_torch_state(ours), again)
    for a, b in zip(ours.state_dict().values(), again.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = network()
    tn.nn.from_keras_weights(tn.nn.to_keras_weights(ours), again)
    for a, b in zip(ours.state_dict().values(), again.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_with_one_input_keeps_its_matrix():
    state = tn.nn.to_torch_state(tn.nn.Dense(1, 3))
    assert {k: v.shape for k, v in state.items()} == {"weight": (3, 1), "bias": (3,)}
    assert [w.shape for w in tn.nn.to_keras_weights(tn.nn.Dense(1, 3))] == [(1, 3), (3,)]
    assert tn.nn.to_torch_state(tn.nn.LayerNorm((2, 3)))["weight"].shape == (2, 3)


def test_names_choose_where_the_order_does_not():
    state = {"head.weight": np.ones((2, 3)), "head.bias": np.ones(2), "body.weight": np.zeros((3, 4)),
             "body.bias": np.zeros(3)}  # fmt: skip
    model = tn.nn.Sequential(tn.nn.Dense(4, 3), tn.nn.Dense(3, 2))
    for names in (["body", "head"], {"layers.0": "body", "layers.1": "head"}):
        tn.nn.from_torch_state(state, model, names=names)
        assert model[1].b.data.ravel().tolist() == [1, 1]
        assert set(tn.nn.to_torch_state(model, names=names)) == set(state)
    with pytest.raises(tn.ShapeError) as caught:
        tn.nn.from_torch_state(state, model)
    assert str(caught.value) == (
        "from_torch_state: head.weight of PyTorch has shape (2, 3), and layers.0.W of Dense(4, 3) has shape (3, 4): "
        "the layers are of different sizes, or in another order"
    )


class Convolving(tn.nn.Module):
    def __init__(self):
        self.kernel = tn.tensor(RNG.normal(size=(5, 2, 3, 3)), requires_grad=True)
        self.bias = tn.tensor(np.zeros((5, 1, 1)), requires_grad=True)


def test_modules_of_ones_own_keep_names_and_shapes():
    kernel, bias = RNG.normal(size=(5, 2, 3, 3)), RNG.normal(size=5)
    model = Convolving()
    names = {"kernel": "conv.weight", "bias": "conv.bias"}
    tn.nn.from_torch_state({"conv.weight": kernel, "conv.bias": bias}, model, names=names)
    np.testing.assert_array_equal(model.kernel.data, kernel)
    np.testing.assert_array_equal(model.bias.data.ravel(), bias)
    tn.nn.from_torch_state({"weight": 2 * kernel, "bias": bias}, model)  # in their order
    np.testing.assert_array_equal(model.kernel.data, 2 * kernel)
    tn.nn.from_keras_weights([kernel.transpose(2, 3, 1, 0), bias], model)
    np.testing.assert_array_equal(model.kernel.data, kernel)
    np.testing.assert_array_equal(tn.nn.to_keras_weights(model)[0], kernel.transpose(2, 3, 1, 0))


def test_tables_of_embeddings_are_turned():
    model = tn.nn.Embedding(5, 3, rng=0)
    assert tn.nn.to_torch_state(model)["weight"].shape == tn.nn.to_keras_weights(model)[0].shape == (5, 3)
    table = RNG.normal(size=(5, 3))
    for take in (
        lambda: tn.nn.from_torch_state({"weight": table}, model),
        lambda: tn.nn.from_keras_weights([table], model),
    ):
        model.W.data[...] = 0
        take()
        np.testing.assert_array_equal(model(np.array([4])).data.ravel(), table[4])


def test_tied_layers_are_there_twice_and_must_agree():
    shared = tn.nn.Dense(3, 3, rng=0)
    model = tn.nn.Sequential(shared, tn.nn.Activation("tanh"), shared)
    state = tn.nn.to_torch_state(model)
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    tn.nn.from_torch_state(state, model)
    state["2.bias"] += 1
    with pytest.raises(ValueError, match=r"0\.bias and 2\.bias of PyTorch differ, and are one tensor in the model"):
        tn.nn.from_torch_state(state, model)


DENSE = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3)}


TWO = (
    r"PyTorch's has 2 layers with weights and the model 1: 0 \(weight \(3, 2\), bias \(3,\)\), 2 \(weight \(1, 3\)\) "
    r"against layers\.0 \(W \(3, 2\), b \(3, 1\)\); names= says"
)
TURNED = (
    r"0\.weight of PyTorch has shape \(2, 3\), and layers\.0\.W of Dense\(2, 3, tanh\) has shape \(3, 2\): its trans"
)


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        ({"0.weight": np.ones((2, 3)), "0.bias": np.zeros(3)}, tn.ShapeError, TURNED),
        ({**DENSE, "2.weight": np.ones((1, 3))}, ValueError, TWO),
        ({"0.weight": np.ones((3, 2))}, ValueError, r"Dense\(2, 3, tanh\)\) has weight, bias in PyTorch's words"),
        ({**DENSE, "0.bias": np.array(["a", "b", "c"])}, TypeError, r"0\.bias has dtype <U1, expected"),
        ([1, 2], TypeError, r"state is of type list, expected a mapping such as torch_model\.state_dict\(\)"),
        ("model.pt", ValueError, r"model\.pt ends in '\.pt', expected \.safetensors; torch\.load\(path, weights_only="),
        ("none.safetensors", FileNotFoundError, r"none\.safetensors"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(state, error, said):
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0))
    before = model.state_dict()
    with pytest.raises(error, match=said):
        tn.nn.from_torch_state(state, model)
    assert all((value == before[name]).all() for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "error", "said"),
    [
        (
            [np.ones((3, 2)), np.zeros(3)],
            tn.ShapeError,
            r"weights\[0\] of Keras has shape \(3, 2\), and layers\.0\.W of",
        ),
        (
            [np.ones((2, 3))],
            ValueError,
            r"1 arrays, of shapes \(2, 3\), for 2 tensors: layers\.0\.W \(3, 2\), layers\.0\.b",
        ),
        ("model.h5", TypeError, r"weights is of type str, expected keras_model\.get_weights\(\)"),
    ],
)
def test_what_does_not_fit_of_keras(weights, error, said):
    with pytest.raises(error, match=said):
        tn.nn.from_keras_weights(weights, tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0)))


def test_files_are_whole_and_no_checkpoints(tmp_path):
    model = network()
    path = tmp_path / "theirs.safetensors"
    tn.nn.to_torch_state(model[:2], path)
    again = tn.nn.Sequential(tn.nn.Dense(4, 6), tn.nn.BatchNorm(6))
    tn.nn.from_torch_state(path, again)
    np.testing.assert_array_equal(again[0].W.data, model[0].W.data)
    with pytest.raises(ValueError, match=r"is a checkpoint of tinygrad_nn: tn\.nn\.load"):
        tn.nn.from_torch_state(model.save(tmp_path / "mine.safetensors"), again)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"is not a whole \.safetensors file"):
        tn.nn.from_torch_state(path, again)


def test_names_that_are_not_there():
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, rng=0))
    with pytest.raises(ValueError, match=r"names has 'W', and the layers are 'layers\.0'"):
        tn.nn.from_torch_state(DENSE, model, names={"W": "0"})
    with pytest.raises(
        ValueError, match=r"for layers\.0\.W there is no 'fc\.weight'; there are '0\.weight', '0\.bias'"
    ):
        tn.nn.from_torch_state(DENSE, model, names=["fc"])
    with pytest.raises(ValueError, match=r"2 names for 1 layers with weights: layers\.0"):
        tn.nn.from_torch_state(DENSE, model, names=["a", "b"])
    with pytest.raises(TypeError, match="expected several names"):
        tn.nn.to_torch_state(model, names="fc")
