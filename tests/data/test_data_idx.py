"""IDX files are read whole or refused with the reason: cut anywhere, mixed up, misnamed, packed or not."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinygrad_nn.data import load_mnist

RNG = np.random.default_rng(0)
IMAGES = {"train": RNG.integers(0, 256, (6, 3, 2), dtype=np.uint8), "t10k": RNG.integers(0, 256, (4, 3, 2), np.uint8)}
LABELS = {"train": np.arange(6, dtype=np.uint8), "t10k": np.arange(4, dtype=np.uint8) + 5}


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.tobytes()


def write(folder, style="{part}-{kind}-idx{n}-ubyte", pack=False):
    for part in ("train", "t10k"):
        for kind, n, array in (("images", 3, IMAGES[part]), ("labels", 1, LABELS[part])):
            data, name = idx(array), style.format(part=part, kind=kind, n=n)
            (folder / (name + ".gz" * pack)).write_bytes(gzip.compress(data) if pack else data)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


@pytest.mark.parametrize("style", ["{part}-{kind}-idx{n}-ubyte", "{part}-{kind}.idx{n}-ubyte"])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("as_text", [False, True])
def test_reads_all_names(tmp_path, style, pack, as_text):
    write(tmp_path, style, pack)
    X_train, y_train, X_test, y_test = load_mnist(str(tmp_path) if as_text else tmp_path)
    for X, y, part in ((X_train, y_train, "train"), (X_test, y_test, "t10k")):
        assert X.dtype == np.float32
        assert y.dtype == np.int64
        np.testing.assert_array_equal(X, IMAGES[part].reshape(-1, 6).T.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(y, LABELS[part])
        assert X.T.flags.c_contiguous
        assert X.flags.writeable
        assert y.flags.writeable
    np.testing.assert_allclose(X_train[:, 2].reshape(3, 2) * 255, IMAGES["train"][2], rtol=1e-6)


def test_dtype(folder):
    assert load_mnist(folder, dtype=np.float64)[0].dtype == np.float64
    with pytest.raises(TypeError, match=r"load_mnist: dtype=uint8 cannot hold values between 0 and 1"):
        load_mnist(folder, dtype=np.uint8)


def test_full_range_is_zero_to_one(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.array([0, 255] * 18, np.uint8).reshape(6, 3, 2)))
    X_train = load_mnist(folder)[0]
    assert (X_train.min(), X_train.max()) == (0, 1)


@pytest.fixture(scope="module")
def refused(raised):
    """The error text of loading a folder."""
    return lambda folder, error=ValueError: raised(error, load_mnist, folder)


def test_missing(refused, folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert refused(folder, FileNotFoundError) == (
        f"load_mnist: {folder} holds none of t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz, "
        "t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz; put the t10k labels there, nothing is downloaded"
    )
    nowhere = folder / "nowhere"
    assert refused(nowhere, FileNotFoundError) == (
        f"load_mnist: there is no folder {nowhere}; give the folder that holds the MNIST files"
    )


def test_swapped_kinds_and_foreign_files(refused, folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    images.write_bytes(idx(LABELS["train"]))
    assert refused(folder) == (
        f"load_mnist: {images} starts with 0x00000801 and is an IDX file of labels; images start with 0x00000803"
    )
    images.write_bytes(b"<html>404 not found</html>")
    assert refused(folder) == (
        f"load_mnist: {images} starts with 0x3c68746d and is no IDX file of bytes; images start with 0x00000803"
    )
    images.write_bytes(idx(IMAGES["train"]))
    labels.write_bytes(idx(IMAGES["train"]))
    assert refused(folder) == (
        f"load_mnist: {labels} starts with 0x00000803 and is an IDX file of images; labels start with 0x00000801"
    )


def test_wrong_sizes(refused, folder):
    images = folder / "train-images-idx3-ubyte"
    whole = idx(IMAGES["train"])
    images.write_bytes(whole[:-1])
    assert refused(folder) == (
        f"load_mnist: {images} is cut short: its header announces 6 x 3 x 2 pixels of one byte, 35 bytes follow; "
        "fetch the file again"
    )
    images.write_bytes(whole + b"\0")
    assert refused(folder) == (
        f"load_mnist: {images} is too long: its header announces 6 x 3 x 2 pixels of one byte, 37 bytes follow; "
        "fetch the file again"
    )
    images.write_bytes(whole[:7])
    assert refused(folder) == f"load_mnist: {images} is cut short: 7 bytes, and the header alone has 16"
    images.write_bytes(whole[:4] + b"\xff" * 12 + whole[16:])  # must not try to allocate what it announces
    assert "4294967295 x 4294967295 x 4294967295 pixels of one byte, 36 bytes follow" in refused(folder)


def test_wrong_counts(refused, folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(LABELS["t10k"]))
    assert refused(folder) == (
        f"load_mnist: {images} holds 6 images, but {labels} 4 labels; take both from one data set"
    )
    labels.write_bytes(idx(LABELS["train"]))
    images.write_bytes(idx(IMAGES["train"].reshape(6, 6, 1)))
    assert refused(folder) == (
        f"load_mnist: {folder} holds training images of 6 x 1 pixels, but test images of 3 x 2; "
        "put the four files of one data set into the folder"
    )


def test_gzip_and_names_that_lie(refused, tmp_path):
    write(tmp_path, pack=True)
    images = tmp_path / "train-images-idx3-ubyte.gz"
    packed = images.read_bytes()
    images.write_bytes(idx(IMAGES["train"]))
    assert refused(tmp_path) == (
        f"load_mnist: {images} is not gzip, in spite of its name; it looks unpacked already: "
        "rename it to train-images-idx3-ubyte"
    )
    images.write_bytes(b"<html>")
    assert refused(tmp_path) == f"load_mnist: {images} is not gzip, in spite of its name; fetch it again"
    plain = tmp_path / "train-images-idx3-ubyte"
    plain.write_bytes(packed)
    assert refused(tmp_path) == f"load_mnist: {plain} is compressed; rename it to train-images-idx3-ubyte.gz"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_cut_is_refused(refused, tmp_path, data):
    pack = data.draw(st.booleans())
    write(tmp_path, pack=pack)
    name = data.draw(st.sampled_from(["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])) + ".gz" * pack
    file = tmp_path / name
    whole = file.read_bytes()
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert str(file) in refused(tmp_path)
    for left in tmp_path.iterdir():
        left.unlink()


def test_damaged_gzip_is_refused(refused, tmp_path):
    write(tmp_path, pack=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    whole = bytearray(file.read_bytes())
    whole[-6] ^= 1  # its check sum
    file.write_bytes(whole)
    assert refused(tmp_path).startswith(f"load_mnist: {file} is damaged or cut short (CRC check failed")


def test_a_bomb_is_not_unpacked(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_nn.data.idx.LARGEST", 10_000)
    write(tmp_path, pack=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        text = refused(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert text == f"load_mnist: {file} is larger than 10,000 bytes when unpacked; unpack it if it is to be so"
    assert peak < 2_000_000


@pytest.mark.parametrize("shape", [(0, 2, 2), (0, 2**32 - 1, 2**32 - 1), (6, 0, 3), (2**32 - 1, 0, 2**32 - 1)])
def test_files_that_hold_nothing_are_refused(folder, refused, shape):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in shape))
    announced = " x ".join(map(str, shape))
    assert refused(folder) == (
        f"load_mnist: {path} holds nothing: its header announces {announced} images; fetch it again"
    )
