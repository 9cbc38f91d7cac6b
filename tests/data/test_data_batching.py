"""Every epoch deals out every example once, in safe arrays, and wrong shapes are explained."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_nn.data import batches


def examples(n, features=3):
    """Column n of X and label n carry the number n, so that pairs can be recognised."""
    X = np.arange(n) + 1000.0 * np.arange(features)[:, None]
    return X, np.arange(n)


@given(
    n=st.integers(1, 40), size=st.one_of(st.none(), st.integers(1, 45)), shuffle=st.booleans(), seed=st.integers(0, 9)
)
def test_an_epoch_is_every_example_once(n, size, shuffle, seed):
    X, y = examples(n)
    epoch = batches(X, y, size, shuffle, seed)
    pairs = list(epoch)
    assert len(pairs) == len(epoch)
    for X_batch, y_batch in pairs:
        np.testing.assert_array_equal(X_batch, X[:, y_batch])
    assert all(y_batch.size == (size or n) for _, y_batch in pairs[:-1])
    order = np.concatenate([y_batch for _, y_batch in pairs])
    assert sorted(order) == list(range(n))
    if not shuffle or size is None:
        assert order.tolist() == list(range(n))


@given(n=st.integers(1, 40), size=st.integers(1, 40), shuffle=st.booleans())
def test_drop_last_leaves_whole_batches(n, size, shuffle):
    if size > n:
        return
    epoch = batches(*examples(n), size, shuffle, rng=0, drop_last=True)
    sizes = [y_batch.size for _, y_batch in epoch]
    assert sizes == [size] * (n // size)
    assert len(epoch) == n // size


def test_each_epoch_has_a_new_order_and_a_seed_repeats_it():
    X, y = examples(50)

    def two_epochs(rng):
        epoch = batches(X, y, 8, rng=rng)
        return [np.concatenate([y_batch for _, y_batch in epoch]).tolist() for _ in range(2)]

    first, second = two_epochs(3)
    assert first != second
    assert two_epochs(3) == [first, second]
    assert two_epochs(np.random.default_rng(3)) == [first, second]
    assert two_epochs(4) != [first, second]


def test_the_generator_given_is_the_one_used():
    rng = np.random.default_rng(0)
    epoch = batches(*examples(10), 5, rng=rng)
    assert epoch.rng is rng
    state = rng.bit_generator.state
    first = [y_batch.tolist() for _, y_batch in epoch]
    rng.bit_generator.state = state
    assert [y_batch.tolist() for _, y_batch in epoch] == first


def test_fresh_entropy_without_rng():
    X, y = examples(200)
    orders = {tuple(next(iter(batches(X, y, 200)))[1].tolist()) for _ in range(2)}
    assert len(orders) == 2


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "read-only": lambda a: np.broadcast_to(a, (1, *a.shape))[0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 4, 8, None])
@pytest.mark.parametrize("features", [1, 3])
def test_batches_are_fresh_and_nobody_can_write_to_them(layout, shuffle, size, features):
    X, y = examples(8, features)
    X, Y = LAYOUTS[layout](X.astype(np.float32)), LAYOUTS[layout](np.stack([y, -y]))
    for X_batch, Y_batch in batches(X, Y, size, shuffle, rng=0):
        assert X_batch.shape == (features, size or 8)
        assert Y_batch.shape == (2, size or 8)
        assert (X_batch.dtype, Y_batch.dtype) == (np.float32, Y.dtype)
        np.testing.assert_array_equal(X_batch, X[:, Y_batch[0]])
        for batch, source in ((X_batch, X), (Y_batch, Y)):
            with pytest.raises(ValueError, match="cannot set WRITEABLE"):
                batch.flags.writeable = True
            assert batch.flags.c_contiguous
            assert not batch.flags.writeable
            assert not np.shares_memory(batch, source)
    assert X.flags.writeable is (layout != "read-only")


def test_images_have_their_examples_on_the_last_axis():
    X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for X_batch, y_batch in batches(X, np.arange(5), 2, rng=0):
        np.testing.assert_array_equal(X_batch, X[..., y_batch])


def test_repr():
    assert repr(batches(*examples(10), 4)) == "Batches(X (3, 10), Y (10,), batch_size=4, shuffle=True: 3 an epoch)"
    assert repr(batches(*examples(10), 4, False, drop_last=True)) == (
        "Batches(X (3, 10), Y (10,), batch_size=4, shuffle=False, drop_last=True: 2 an epoch)"
    )


class Tensor:
    def numpy(self):
        raise AssertionError("only named, never called")


class Frame:
    columns = ("a",)


@pytest.mark.parametrize(
    ("X_shape", "Y_shape", "text"),
    [
        ((1437, 64), (1437,), ("X (1437, 64) has 64 examples, Y (1437,) has 1437; examples are columns, "
         "so the last axes must agree: X.T (64, 1437) fits")),
        ((64, 1437), (1437, 10), ("X (64, 1437) has 1437 examples, Y (1437, 10) has 10; examples are columns, "
         "so the last axes must agree: Y.T (10, 1437) fits")),
        ((5, 4), (5, 3), ("X (5, 4) has 4 examples, Y (5, 3) has 3; examples are columns, "
         "so the last axes must agree: X.T (4, 5) with Y.T (3, 5) fits")),
        ((5, 4), (3,), "X (5, 4) has 4 examples, Y (3,) has 3; examples are columns, so the last axes must agree"),
        ((4,), (4,), "X has shape (4,), expected (features, N); X.reshape(1, -1) makes one feature of it"),
        ((), (4,), "X has shape (), expected (features, N)"),
        ((2, 4), (), "Y has shape (), expected labels (N,) or targets (d, N)"),
        ((2, 0), (0,), "X (2, 0) holds no example; expected N of at least 1"),
    ],
)  # fmt: skip
def test_wrong_shapes(raised, X_shape, Y_shape, text):
    assert raised(ValueError, batches, np.zeros(X_shape), np.zeros(Y_shape), 2) == f"batches: {text}"


def test_wrong_types(raised):
    X, y = examples(4)
    text = "batches: {} is of type {}, expected a NumPy array; {}"
    assert raised(TypeError, batches, Tensor(), y, 2) == text.format("X", "Tensor", "give X.numpy()")
    assert raised(TypeError, batches, X, Tensor(), 2) == text.format("Y", "Tensor", "give Y.numpy()")
    assert raised(TypeError, batches, X, [0, 1, 2, 3], 2) == text.format("Y", "list", "np.asarray(Y) makes one")
    frame = text.format("X", "Frame", "tn.data.from_rows(X) turns a frame into columns")
    assert raised(TypeError, batches, Frame(), y, 2) == frame


def test_wrong_dtypes(raised):
    X, y = examples(2)
    assert raised(ValueError, batches, X, np.array(["cat", "dog"]), 1) == (
        "batches: Y has dtype <U3 (Y[0] is 'cat'), expected real numbers; "
        "classes, Y = np.unique(Y, return_inverse=True) numbers text labels"
    )
    assert raised(ValueError, batches, X.astype(object), y, 1) == (
        "batches: X has dtype object (X[0, 0] is 0.0), expected real numbers; "
        "X.astype(float) converts numbers that are stored as objects"
    )


def test_wrong_batch_size_and_rng(raised):
    X, y = examples(4)
    assert raised(ValueError, batches, X, y, 0) == "batches: batch_size=0, expected at least 1"
    assert raised(ValueError, batches, X, y, -3) == "batches: batch_size=-3, expected at least 1"
    assert raised(TypeError, batches, X, y, 2.0) == "batches: batch_size=2.0 is of type float, expected an int"
    assert raised(ValueError, batches, X, y, 5, drop_last=True) == (
        "batches: drop_last=True leaves no batch, as batch_size=5 is more than the 4 examples of X (3, 4); "
        "take a smaller batch_size or drop_last=False"
    )
    expected = "expected a numpy.random.Generator, an int seed of at least 0, or None; np.random.default_rng(0) makes"
    assert f"batches: rng=0.5 is of type float, {expected}" in raised(TypeError, batches, X, y, 2, rng=0.5)
    assert f"batches: rng=-1 is of type int, {expected}" in raised(TypeError, batches, X, y, 2, rng=-1)
    assert "is of type RandomState" in raised(TypeError, batches, X, y, 2, rng=np.random.RandomState(0))


def test_without_targets_there_is_only_x():
    X = examples(7)[0]
    order = batches(X, batch_size=3, rng=0)
    assert repr(order) == f"Batches(X {X.shape}, batch_size=3, shuffle=True: 3 an epoch)"
    np.testing.assert_array_equal(np.sort(np.concatenate(list(order), axis=-1)), np.sort(X))
    assert batches(X).batch_size == 32


def test_images_with_the_examples_first(raised):
    assert raised(ValueError, batches, np.ones((20, 1, 4, 5)), np.zeros(20), 5) == (
        "batches: X (20, 1, 4, 5) has 5 examples, Y (20,) has 20; examples are columns, so the last axes must agree: "
        "np.moveaxis(X, 0, -1) (1, 4, 5, 20) fits; where the model wants the examples first, as tn.conv2d does, it "
        "starts with np.moveaxis(X, -1, 0)"
    )
