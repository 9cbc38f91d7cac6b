"""Tensors in other programs, by DLPack: their values as copies, and nothing whose history would be lost."""

import numpy as np
import pytest

import tinygrad_nn as tn

ARRAYS = [
    np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.float32(3), np.array([True, False]), np.arange(3),
    np.zeros((0, 2), np.float32), np.ones(2, np.float16), np.arange(4, dtype=np.uint8),
]  # fmt: skip


def ways():
    yield pytest.param(lambda: np.from_dlpack, id="numpy")
    for name in ("as_tensor", "tensor", "from_dlpack"):
        yield pytest.param(
            lambda name=name: getattr(pytest.importorskip("torch"), name), id=f"torch.{name}", marks=pytest.mark.peers
        )
    for name in ("asarray", "from_dlpack"):
        yield pytest.param(
            lambda name=name: getattr(pytest.importorskip("jax.numpy"), name), id=f"jax.{name}", marks=pytest.mark.peers
        )


WAYS = list(ways())


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # JAX computes in 32 bits unless told otherwise
@pytest.mark.parametrize("way", WAYS)
def test_other_programs_take_the_values(way):
    take = way()
    for a in ARRAYS:
        b = np.asarray(take(tn.tensor(a)))
        np.testing.assert_array_equal(b, a)
        assert b.dtype == a.dtype or (b.dtype.kind == a.dtype.kind and "jax" in take.__module__)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_recorded_is_refused(way):
    take = way()
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="w")
    for t in (x, x * 2):
        with pytest.raises(TypeError, match="that would silently leave the graph"):
            take(t)
        np.testing.assert_array_equal(np.asarray(take(t.detach())), t.data)


def test_writing_into_what_was_taken_changes_nothing():
    t = tn.tensor([1.0, 2.0])
    np.from_dlpack(t)  # read-only or not
    t.__dlpack__()
    assert t.data.tolist() == [1, 2]
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="copy=False cannot be kept"):
        np.from_dlpack(t, copy=False)
    with pytest.raises(BufferError, match=r"device \(2, 0\) was asked for"):
        t.__dlpack__(dl_device=(2, 0))


@pytest.mark.peers
def test_pytorch_may_write_into_its_copy():
    torch = pytest.importorskip("torch")
    t = tn.tensor([1.0, 2.0])
    torch.from_dlpack(t)[0] = 9
    assert t.data.tolist() == [1, 2]


@pytest.mark.peers
def test_and_back():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(tn.tensor(torch.arange(3.0)).data, [0, 1, 2])
