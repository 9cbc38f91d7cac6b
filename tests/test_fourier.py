"""Fourier transforms as pairs of real arrays: NumPy's values, JAX's derivatives, and what is made of them."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 7))
CASES = list(itertools.product((None, 1, 4, 5, 8, 9), (0, 1, -2), (None, "ortho", "forward")))


@pytest.mark.parametrize(("n", "axis", "norm"), CASES)
def test_values_are_numpys_and_both_ways_are_differentiable(n, axis, norm):
    z = np.fft.rfft(X, n, axis, norm)
    real, imag = tn.rfft_parts(X, n, axis, norm)
    np.testing.assert_allclose(real + 1j * imag, z, atol=1e-12)
    np.testing.assert_allclose(tn.power_spectrum(X, n, axis, norm), np.abs(z) ** 2, atol=1e-12)
    length = n if n is None or n > 1 else 2
    np.testing.assert_allclose(tn.irfft_parts(X, X[::-1], length, axis, norm),
                               np.fft.irfft(X + 1j * X[::-1], length, axis, norm), atol=1e-12)  # fmt: skip
    assert tn.gradcheck(lambda x: tn.power_spectrum(x, n, axis, norm), X, order=2)
    assert tn.gradcheck(lambda a, b: tn.irfft_parts(a, b, length, axis, norm) ** 2, X, X[::-1].copy(), order=2)


@pytest.mark.parametrize("n", [None, 4, 9])
def test_a_spectral_loss_has_the_derivatives_of_jax(n):
    jax = pytest.importorskip("jax", reason="extra `jax` is not installed")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    def ours(x):
        return np.log(1 + tn.power_spectrum(x, n)).sum()

    def theirs(x):
        return jnp.log(1 + jnp.abs(jnp.fft.rfft(x, n)) ** 2).sum()

    np.testing.assert_allclose(tn.grad(ours)(X), jax.grad(theirs)(X), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tn.hessian(ours)(X), jax.hessian(theirs)(X), rtol=1e-9, atol=1e-10)


def test_a_product_of_spectra_is_a_convolution():
    a, b = RNG.normal(size=9), RNG.normal(size=4)

    def by_spectra(a, b):
        (p, q), (r, s) = tn.rfft_parts(a, 12), tn.rfft_parts(b, 12)
        return tn.irfft_parts(p * r - q * s, p * s + q * r, 12)

    np.testing.assert_allclose(by_spectra(a, b), np.convolve(a, b), atol=1e-12)
    weights = RNG.normal(size=12)
    for slot in (0, 1):
        got = tn.grad(lambda a, b: (by_spectra(a, b) * weights).sum(), slot)(a, b)
        np.testing.assert_allclose(
            got, tn.grad(lambda a, b: (tn.convolve(a, b) * weights).sum(), slot)(a, b), atol=1e-12
        )


def test_within_vmap_and_a_compiled_step():
    np.testing.assert_allclose(tn.vmap(tn.grad(lambda x: tn.power_spectrum(x)[1]))(X),
                               np.stack([tn.grad(lambda x: tn.power_spectrum(x)[1])(x) for x in X]))  # fmt: skip
    p = tn.tensor(X[0], requires_grad=True)

    def step(target):
        p.zero_grad()
        loss = np.square(tn.power_spectrum(p) - target).sum()
        loss.backward()
        return loss

    target = np.ones(4)
    value, gradient = step(target).item(), p.grad.copy()
    compiled = tn.compile(step)
    for _ in range(3):
        assert compiled(target).item() == value
        np.testing.assert_array_equal(p.grad, gradient)


def test_what_is_refused():
    with pytest.raises(
        TypeError, match=r"np\.fft\.rfft is not recorded .* complex, .*: tn\.rfft_parts and tn\.irfft_parts"
    ):
        np.fft.rfft(tn.tensor(X, requires_grad=True))
    with pytest.raises(ValueError, match="rfft_parts: norm is 'other'; expected 'backward', 'ortho' or 'forward'"):
        tn.rfft_parts(X, norm="other")
    with pytest.raises(IndexError, match=r"power_spectrum: x has shape .*: axis 2 is out of bounds"):
        tn.power_spectrum(X, axis=2)
    with pytest.raises(ValueError, match=r"rfft_parts: .*Invalid number of FFT data points \(0\) specified"):
        tn.rfft_parts(X, 0)
