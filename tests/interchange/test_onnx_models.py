"""Networks as ONNX models: every layer, activation and loss, run by ONNX Runtime at other numbers of examples."""

import inspect

import numpy as np
import pytest
from exported_models import close, run_reference, run_runtime
from test_losses import CALLS

import tinygrad_nn as tn
from tinygrad_nn.nn.dense import _may_activate
from tinygrad_nn.operation import BY_NAME
from tinygrad_nn.ops import composed_losses, losses

pytestmark = pytest.mark.engines
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(5)
ACTIVATIONS = sorted(name for name, entry in BY_NAME.items() if _may_activate(entry) and not name.startswith("_"))
LAYERS = {
    "Dense": lambda t: tn.nn.Dense(4, 3, "tanh", rng=0, dtype=t),
    "Activation": lambda t: tn.nn.Activation("softmax"),
    "Dropout": lambda t: tn.nn.Dropout(0.5, rng=0),
    "BatchNorm": lambda t: measured(tn.nn.BatchNorm(4, dtype=t)),
    "LayerNorm": lambda t: tn.nn.LayerNorm(4, dtype=t),
    "Flatten": lambda t: tn.nn.Sequential(tn.nn.Flatten(), tn.nn.Dense(4, 2, rng=0, dtype=t)),
    "Residual": lambda t: tn.nn.Residual(tn.nn.Dense(4, 4, "relu", rng=0, dtype=t)),
    "Sequential": lambda t: tn.nn.Sequential(tn.nn.Dense(4, 5, rng=0, dtype=t), tn.nn.Dense(5, 1, rng=1, dtype=t)),
}  # fmt: skip


def measured(layer):
    layer(RNG.normal(2, 3, size=(4, 50)).astype(layer.gamma.dtype))
    return layer


def test_no_layer_is_forgotten():
    kinds = {name for name, x in vars(tn.nn).items() if inspect.isclass(x) and issubclass(x, tn.nn.Module)}
    assert kinds - {"Module", "Predictor", "Embedding", "FeatureEmbedding"} == set(LAYERS)


@pytest.mark.parametrize("make", [
    lambda: tn.nn.Embedding(5, 3, rng=0),
    lambda: tn.nn.Sequential(tn.nn.Embedding(5, 3, rng=0), tn.nn.Dense(3, 2, "tanh", rng=1)),
])  # fmt: skip
def test_embeddings_take_numbers_of_categories(make):
    layer = make()
    model = tn.onnx.export(layer, np.array([0, 3, 1, 4]))
    for indices in (np.array([2, 2, 1, 0, 4]), np.array([3])):
        close(run_runtime(model, indices)[0], layer(indices))


def test_features_of_both_kinds():
    layer = tn.nn.FeatureEmbedding(2, {1: 5}, rng=0)
    x = np.array([[0.5, 0.7, -1.0], [2, 0, 4]])
    model = tn.onnx.export(layer, x)
    for n in (3, 1, 2):
        close(run_runtime(model, x[:, :n])[0], layer(x[:, :n]))


def agrees(model, function, x, far=None):
    close(run_reference(model, x)[0], function(x), far)
    close(run_runtime(model, x)[0], function(x), far)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_agrees_at_other_batch_sizes(kind, dtype):
    layer = LAYERS[kind](dtype).eval()
    x = RNG.normal(size=(2, 2, 7) if kind == "Flatten" else (4, 7)).astype(dtype)
    model = tn.onnx.export(layer, x)
    for n in (7, 1, 3, 40, 0):
        agrees(model, layer, RNG.normal(size=(*x.shape[:-1], n)).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_agrees_at_other_batch_sizes(activation, dtype):
    layers = (tn.nn.Dense(3, 8, activation, rng=0, dtype=dtype), tn.nn.Dense(8, 2, rng=1, dtype=dtype))
    network = tn.nn.Sequential(*layers).eval()
    model = tn.onnx.export(network, np.ones((3, 4), dtype), check=False)  # outside of its domain, too
    for n in (4, 9):
        x = RNG.uniform(0.05, 0.9, size=(3, n)).astype(dtype)
        with np.errstate(all="ignore"):
            agrees(model, network, x)


def test_no_loss_is_forgotten():
    entries = {name for name, x in vars(losses).items() if BY_NAME.get(name) is x and x.kind == "reduction"}
    composed = {name for name, x in vars(composed_losses).items() if inspect.isfunction(x) and x.__module__ ==
                composed_losses.__name__ and hasattr(tn, name)}  # fmt: skip
    assert entries | composed <= {call.values[0] for call in CALLS}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arrays", "options", "_"), CALLS)
def test_every_loss_agrees_at_other_batch_sizes(name, arrays, options, _, dtype):
    """Weights of examples are inputs, too, as there must be as many."""
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    options = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    further = [k for k, v in options.items() if isinstance(v, np.ndarray) and v.shape[-1] == 5]
    every = (*arrays, *(options.pop(k) for k in further))

    def loss(*given):
        return getattr(tn, name)(
            *given[: len(arrays)], **options, **dict(zip(further, given[len(arrays) :], strict=True))
        )

    model = tn.onnx.export(loss, every)
    for n in (5, 3, 10):
        some = [np.take(a, np.arange(n) % 5, axis=-1) for a in every]
        close(run_runtime(model, *some)[0], np.asarray(loss(*some)))


# --- convolutional networks, and others that are functions -----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_convolutional_network(dtype):
    kernel, bias, w = (RNG.normal(size=s).astype(dtype) for s in ((4, 1, 3, 3), (4, 1, 1), (4 * 3 * 3, 2)))

    def network(images):
        maps = tn.relu(tn.conv2d(images, kernel, padding=1) + bias)
        pooled = tn.max_pool2d(maps, 2)
        return pooled.reshape(images.shape[0], -1) @ w

    images = RNG.normal(size=(3, 1, 6, 6)).astype(dtype)
    model = tn.onnx.export(network, images, batch_axis=0)
    for n in (3, 1, 8):
        agrees(model, network, RNG.normal(size=(n, 1, 6, 6)).astype(dtype), far=3e-6 if dtype == "float32" else None)


def test_a_gradient_exports_too():
    network = tn.nn.Sequential(tn.nn.Dense(3, 5, "tanh", rng=0), tn.nn.Dense(5, 1, rng=1))

    def saliency(X):
        return tn.grad(lambda x: tn.sum(network(x) ** 2))(X)

    x = RNG.normal(size=(3, 4))
    model = tn.onnx.export(saliency, x)
    for n in (4, 1, 9):
        agrees(model, saliency, RNG.normal(size=(3, n)))


@pytest.mark.parametrize(
    "choose",
    [lambda y: tn.max(y, axis=0), tn.relu, lambda y: tn.where(y > 0, y, 0.1 * y)],
    ids=["max", "relu", "where"],
)
def test_gradients_through_choices_keep_their_exact_zeros(choose):
    network = tn.nn.Sequential(tn.nn.Dense(3, 6, "relu", rng=0), tn.nn.Dense(6, 4, rng=1))

    def saliency(X):
        return tn.grad(lambda x: tn.sum(choose(network(x))))(X)

    model = tn.onnx.export(saliency, RNG.normal(size=(3, 4)))
    for n in (4, 1, 9):
        agrees(model, saliency, RNG.normal(size=(3, n)))


def test_derivatives_of_losses_by_backward_export_too():
    w = RNG.normal(size=(2, 3))

    def slope(X, labels):
        W = tn.tensor(w, requires_grad=True)
        return tn.gradients([tn.cross_entropy(W @ X, labels)], [W])[0]

    x, labels = RNG.normal(size=(3, 6)), np.array([0, 1, 1, 0, 1, 0])
    model = tn.onnx.export(slope, (x, labels))
    close(run_runtime(model, x[:, :4], labels[:4])[0], slope(x[:, :4], labels[:4]))


def test_choices_are_not_baked_in():
    def function(X):
        return tn.where(X > 0, X, X * X)

    model = tn.onnx.export(function, np.ones((2, 3)))
    agrees(model, function, -np.ones((2, 3)))


def test_own_operations_export_by_their_own_text():
    swing = tn.op(lambda x, rate=2.0: np.sin(x * rate) * x, "swing({x})", lambda g, y, x, rate=2.0: g * x,
                  name="swing_to_export", kind="elementwise")  # fmt: skip
    try:
        agrees(tn.onnx.export(swing, np.ones((2, 3))), swing, RNG.normal(size=(2, 4)))
    finally:
        del BY_NAME["swing_to_export"], tn.Tensor.swing_to_export
