"""Splits keep every example once, respect classes when asked, and never leave a part empty silently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_nn.data import load_digits, split


@given(n=st.integers(10, 60), seed=st.integers(0, 5), fractions=st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.5), (1.0,)]))
def test_every_example_once_with_its_target(n, seed, fractions):
    Y = np.stack([np.arange(n), -np.arange(n)])
    X = np.arange(n) + 100.0 * np.arange(3)[:, None]
    parts = split(X, Y, fractions, seed)
    assert len(parts) == len(fractions)
    for (X_part, Y_part), fraction in zip(parts, fractions, strict=True):
        np.testing.assert_array_equal(X_part, X[:, Y_part[0]])
        np.testing.assert_array_equal(Y_part[1], -Y_part[0])
        assert Y_part[0].tolist() == sorted(Y_part[0])
        assert abs(Y_part.shape[1] - fraction * n) <= 1
    assert sorted(np.hstack([Y_part[0] for _, Y_part in parts])) == list(range(n))


def test_random_and_repeatable():
    X, y = np.arange(50.0).reshape(1, 50), np.arange(50)

    def labels(rng):
        return [part[1].tolist() for part in split(X, y, rng=rng)]

    assert labels(0) == labels(0) == labels(np.random.default_rng(0))
    assert labels(0) != labels(1)
    assert labels(None) != labels(None)


@given(st.lists(st.integers(5, 30), min_size=1, max_size=5), st.integers(0, 5))
def test_stratified_parts_have_their_fraction_of_every_class(sizes, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) * 3 - 1, sizes))
    parts = split(np.zeros((1, y.size)), y, (0.6, 0.2, 0.2), seed, stratify=True)
    for (_, y_part), fraction in zip(parts, (0.6, 0.2, 0.2), strict=True):
        for k, size in enumerate(sizes):
            assert abs((y_part == 3 * k - 1).sum() - fraction * size) <= 1
    assert sum(y_part.size for _, y_part in parts) == y.size


def test_stratified_is_random_within_the_class():
    X, y = np.arange(40.0).reshape(1, 40), np.repeat([0, 1], 20)
    first, second = (split(X, y, (0.5, 0.5), rng=seed, stratify=True)[0][0].ravel().tolist() for seed in (0, 1))
    assert first != second


def test_parts_are_copies_stored_example_by_example():
    X, y, _, _ = load_digits(np.float32)
    (X_train, y_train), _ = split(X, y, (0.8, 0.2), rng=0)
    assert X_train.dtype == np.float32
    assert X_train.T.flags.c_contiguous
    assert not np.shares_memory(X_train, X)
    assert not np.shares_memory(y_train, y)


@pytest.mark.parametrize(
    ("fractions", "shown"),
    [
        ((0.6, 0.2), "(0.6, 0.2) with sum 0.8"),
        ((0.5, 0.6), "(0.5, 0.6) with sum 1.1"),
        ((1.2, -0.2), "(1.2, -0.2) with sum 1"),
        ((1.0, 0.0), "(1.0, 0.0) with sum 1"),
        ((), "() with sum 0"),
        (0.8, "0.8 with sum 0.8"),
        ((np.nan, 1.0), "(nan, 1.0) with sum nan"),
    ],
)
def test_wrong_fractions(raised, fractions, shown):
    assert raised(ValueError, split, np.zeros((1, 10)), np.zeros(10), fractions) == (
        f"split: fractions={shown}, expected positive numbers with sum 1, such as (0.6, 0.2, 0.2)"
    )


def test_empty_parts_are_refused(raised):
    assert raised(ValueError, split, np.zeros((1, 2)), np.zeros(2)) == (
        "split: 2 examples leave none for part 2 (fraction 0.2); take larger fractions"
    )
    assert raised(ValueError, split, np.zeros((1, 12)), np.array([0] * 10 + [7] * 2), stratify=True) == (
        "split: 2 examples of class 7 leave none for part 2 (fraction 0.2); take larger fractions or stratify=False"
    )


def test_wrong_shapes(raised):
    with pytest.raises(
        ValueError, match=r"split: X \(10, 3\) has 3 examples, Y \(10,\) has 10; .*: X\.T \(3, 10\) fits"
    ):
        split(np.zeros((10, 3)), np.zeros(10))
    assert raised(ValueError, split, np.zeros((2, 10)), np.zeros((3, 10)), stratify=True) == (
        "split: Y has shape (3, 10), stratify=True expects class labels (N,); Y.argmax(0) fits"
    )
    with pytest.raises(TypeError, match=r"split: rng='a' is of type str, expected a numpy\.random\.Generator"):
        split(np.zeros((2, 10)), np.zeros(10), rng="a")
