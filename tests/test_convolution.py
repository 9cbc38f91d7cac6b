"""Convolution and pooling: against the sum written out, against PyTorch, and what is refused."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn


def pairs(value, n):
    return value if isinstance(value, tuple) else (value,) * n


def windows_of(x, size, stride, padding, dilation, outside=0.0):
    """(place, window) for every window of a padded image, with loops."""
    n = x.ndim - 2
    size, stride, padding, dilation = (pairs(v, n) for v in (size, stride, padding, dilation))
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)), constant_values=outside)
    counts = [(m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], size, stride, dilation, strict=True)]
    for place in itertools.product(*map(range, counts)):
        cut = [
            slice(i * s, i * s + d * (k - 1) + 1, d) for i, s, d, k in zip(place, stride, dilation, size, strict=True)
        ]
        yield place, counts, x[(slice(None), slice(None), *cut)]


def written_out(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    y = None
    for place, counts, window in windows_of(x, weight.shape[2:], stride, padding, dilation):
        y = np.zeros((len(x), len(weight), *counts)) if y is None else y
        for o in range(len(weight)):
            group = o // (len(weight) // groups)
            seen = window[:, group * weight.shape[1] : (group + 1) * weight.shape[1]]
            y[(slice(None), o, *place)] = np.sum(seen * weight[o], axis=tuple(range(1, x.ndim)))
    return y if bias is None else y + bias.reshape(-1, *(1,) * (x.ndim - 2))


OPTIONS = [
    {}, {"stride": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 2}, {"stride": 3, "padding": 2, "dilation": 2},
    {"groups": 4, "stride": 2},
]  # fmt: skip
PAIRED = [{"stride": (2, 1), "padding": (0, 2)}, {"dilation": (1, 3), "padding": (1, 2), "groups": 2}]
CONVOLUTIONS = [(1, o) for o in OPTIONS] + [(2, o) for o in OPTIONS + PAIRED]
POOLS = [{"size": 2}, {"size": 3, "stride": 1}, {"size": 3, "stride": 2, "padding": 1}]


def drawn(n, groups=1):
    rng = np.random.default_rng(n)
    return rng.normal(size=(2, 4, 9, 8)[: 2 + n]), rng.normal(size=(4, 4 // groups, 3, 2)[: 2 + n]), rng.normal(size=4)


@pytest.mark.parametrize(("n", "options"), CONVOLUTIONS)
def test_convolution_is_the_sum_written_out(n, options):
    x, weight, bias = drawn(n, options.get("groups", 1))
    found = (tn.conv1d, tn.conv2d)[n - 1](x, weight, bias, **options)
    np.testing.assert_allclose(found, written_out(x, weight, bias, **options), rtol=1e-12, atol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize(("n", "options"), CONVOLUTIONS)
def test_convolution_and_its_derivatives_are_those_of_pytorch(n, options):
    torch = pytest.importorskip("torch")
    arrays = drawn(n, options.get("groups", 1))
    ours = [tn.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = (tn.conv1d, tn.conv2d)[n - 1](*ours, **options)
    z = (torch.conv1d, torch.conv2d)[n - 1](*theirs, **options)
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-10, atol=1e-12)
    first = tn.gradients((y * y * y).sum(), ours, create_graph=True)
    wanted = torch.autograd.grad((z * z * z).sum(), theirs, create_graph=True)
    second = tn.gradients(sum((g * g).sum() for g in first), ours)
    twice = torch.autograd.grad(sum((g * g).sum() for g in wanted), theirs)
    for a, b in zip((*(g.value for g in first), *second), (*wanted, *twice), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("options", POOLS)
@pytest.mark.parametrize(("name", "reduce"), [("max", np.max), ("avg", np.mean)])
@pytest.mark.parametrize("n", [1, 2])
def test_pooling_reduces_windows(n, name, reduce, options):
    x = drawn(n)[0]
    how = {"stride": options["size"], "padding": 0, **options}
    y = getattr(tn, f"{name}_pool{n}d")(x, **options)
    places = list(windows_of(x, **how, dilation=1, outside=-np.inf if name == "max" else 0.0))
    assert y.shape == (2, 4, *places[0][1])
    for place, _, window in places:
        np.testing.assert_allclose(y[(..., *place)], reduce(window, axis=tuple(range(2, x.ndim))))


@pytest.mark.peers
@pytest.mark.parametrize("options", POOLS)
@pytest.mark.parametrize("name", ["max", "avg"])
@pytest.mark.parametrize("n", [1, 2])
def test_pooling_and_its_gradient_are_those_of_pytorch(n, name, options):
    torch = pytest.importorskip("torch")
    x = tn.tensor(drawn(n)[0], requires_grad=True)
    other = torch.tensor(x.value, requires_grad=True)
    y = getattr(tn, f"{name}_pool{n}d")(x, **options)
    how = dict(options, kernel_size=options["size"])
    del how["size"]
    z = getattr(torch.nn.functional, f"{name}_pool{n}d")(other, **how)
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-12)
    (y * y).sum().backward()
    (z * z).sum().backward()
    np.testing.assert_allclose(x.grad, other.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_ties_of_a_window_share_the_gradient():
    x = tn.tensor([[[2.0, 2.0, 0.0, 1.0]]], requires_grad=True)
    tn.max_pool1d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[0.5, 0.5, 0, 1]]])


def test_single_precision_stays_and_integers_are_promoted():
    x, weight = drawn(2)[0].astype(np.float32), drawn(2)[1].astype(np.float32)
    for y in (tn.conv2d(x, weight, padding=1), tn.max_pool2d(x, 2, padding=1), tn.avg_pool2d(x, 2, padding=1)):
        assert y.dtype == np.float32
    np.testing.assert_array_equal(tn.max_pool1d([[[1, 5, 2]]], 3, padding=1), [[[5.0]]])
    np.testing.assert_array_equal(tn.conv1d([[[1, 5, 2]]], [[[1, 1]]]), [[[6, 7]]])


def test_a_compiled_convolution_is_the_eager_one():
    x, weight, bias = drawn(2)
    weight, bias = tn.tensor(weight, requires_grad=True), tn.tensor(bias, requires_grad=True)

    def step(x):
        weight.zero_grad()
        bias.zero_grad()
        y = tn.max_pool2d(tn.relu(tn.conv2d(x, weight, bias, padding=1, stride=2)), 2)
        loss = (y * y).sum()
        loss.backward()
        return loss

    compiled = tn.compile(step)
    for scale in (1.0, 2.0, -1.5):
        found = compiled(scale * x).item(), weight.grad.copy(), bias.grad.copy()
        expected = step(scale * x).item(), weight.grad, bias.grad
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_empty_batches():
    x = tn.tensor(np.zeros((0, 4, 9)), requires_grad=True)
    weight = tn.tensor(np.ones((2, 4, 3)), requires_grad=True)
    y = tn.conv1d(x, weight)
    assert y.shape == (0, 2, 7)
    y.sum().backward()
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(weight.grad, np.zeros(weight.shape))
    assert tn.max_pool1d(np.zeros((0, 4, 9)), 3).shape == (0, 4, 3)


X, W = np.zeros((2, 4, 9)), np.zeros((6, 4, 3))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tn.conv1d(X[0], W), tn.ShapeError,
         "conv1d: x has shape (4, 9); expected (N, channels, length); x.reshape(1, 4, 9) makes it one example"),
        (lambda: tn.conv2d(X, W), tn.ShapeError,
         ("conv2d: x has shape (2, 4, 9); expected (N, channels, height, width); x.reshape(1, 2, 4, 9) makes it one "
          "example")),
        (lambda: tn.conv1d(X, W[0]), tn.ShapeError,
         "conv1d: weight has shape (4, 3); expected (out, channels / groups, ...size) with 1 axes of size"),
        (lambda: tn.conv1d(X, W, groups=2), tn.ShapeError,
         ("conv1d: x has shape (2, 4, 9), weight has shape (6, 4, 3), groups is 2: expected a weight of shape "
          "(out, 4 channels / groups, ...size), with out and the channels divisible by groups")),
        (lambda: tn.conv1d(X, W, np.zeros(4)), tn.ShapeError,
         "conv1d: bias has shape (4,); expected (6,), one for each channel of the result"),
        (lambda: tn.conv1d(X[..., :2], W), tn.ShapeError,
         ("conv1d: x has shape (2, 4, 2), padded to (2,), and a window covers (3,): a window must fit in; pad more "
          "with padding=")),
        (lambda: tn.conv1d(X, W, stride=0), ValueError, "conv1d: stride=0; expected a whole number of at least 1"),
        (lambda: tn.conv2d(X[None], W[None], stride=(1, 2, 3)), ValueError,
         "conv2d: stride=(1, 2, 3); expected a whole number of at least 1, or a tuple of 2"),
        (lambda: tn.conv1d(X, W, stride=2, padding="same"), ValueError,
         "conv1d: padding='same' keeps the shape with stride 1 only; stride is (2,)"),
        (lambda: tn.conv1d(X, W, padding="full"), ValueError,
         "conv1d: padding='full'; expected 'valid', 'same' or whole numbers"),
        (lambda: tn.max_pool1d(X, 2, padding=2), ValueError,
         "max_pool1d: padding=2 is more than half of the window (2,), which would lie outside"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, said):
    with pytest.raises(error) as refused:
        call()
    assert str(refused.value) == said
