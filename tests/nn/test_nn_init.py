"""First values: variances, ranges, orthogonality, dtypes and seeds."""

import math

import numpy as np
import pytest

from tinygrad_nn.nn import init

VARIANCES = {  # of a (300, 200) matrix
    "glorot_uniform": 2 / 500, "glorot_normal": 2 / 500, "he_uniform": 2 / 200, "he_normal": 2 / 200,
    "lecun_uniform": 1 / 200, "lecun_normal": 1 / 200, "normal": 1.0, "uniform": 1 / 3, "orthogonal": 1 / 300,
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_and_variance(name):
    W = getattr(init, name)((300, 200), rng=1)
    assert abs(W.mean()) < 4 * math.sqrt(VARIANCES[name] / W.size)
    assert abs(W.var() / VARIANCES[name] - 1) < 0.03
    if name.endswith("uniform"):
        assert abs(W).max() <= math.sqrt(3 * VARIANCES[name])


@pytest.mark.parametrize("name", init.__all__)
def test_shape_dtype_and_seed(name):
    draw = getattr(init, name)
    for dtype in (np.float32, np.float64):
        W = draw((4, 3), rng=np.random.default_rng(5), dtype=dtype)
        assert W.shape == (4, 3)
        assert W.dtype == dtype
        np.testing.assert_allclose(W, draw((4, 3), rng=5), rtol=1e-6)
    assert draw((4, 3)).dtype == np.float64


@pytest.mark.parametrize("name", [n for n in init.__all__ if n.startswith(("glorot", "he", "lecun", "orth"))])
def test_filters_count_their_field_and_vectors_are_refused(name, raised):
    W = getattr(init, name)((20, 10, 5, 5), rng=0)
    assert W.shape == (20, 10, 5, 5)
    assert raised(ValueError, getattr(init, name), (3,)) == (
        f"{name}: shape (3,) has no fan-in; expected a weight matrix (fan_out, fan_in); "
        "a bias starts with nn.init.zeros"
    )


def test_filters_have_the_fan_in_of_their_field():
    assert abs(init.lecun_normal((40, 10, 5, 5), rng=0).var() * 250 - 1) < 0.05


def test_gains():
    assert np.array_equal(init.glorot_uniform((3, 2), 0, gain=2.0), 2 * init.glorot_uniform((3, 2), 0))
    np.testing.assert_allclose(init.he_normal((3, 2), 0, negative_slope=1.0), init.lecun_normal((3, 2), 0))
    assert (init.constant((2, 2), value=3.0) == 3).all()
    assert abs(init.normal((500,), rng=0, mean=5.0, std=0.1).mean() - 5) < 0.02


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 2)])
def test_orthogonal(shape):
    W = init.orthogonal(shape, rng=0, gain=2.0).reshape(shape[0], -1) / 2
    product = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)
