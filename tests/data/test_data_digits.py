"""The embedded digits are scikit-learn's, complete, small, and split once and for all."""

import ast
import hashlib
import runpy
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tinygrad_nn.data import load_all_digits, load_digits


def test_embedded_file_equals_scikit_learn():
    pytest.importorskip("sklearn")
    expected = runpy.run_path(str(Path(__file__).with_name("regenerate_digits.py")))["from_sklearn"]()
    with np.load(files("tinygrad_nn.data") / "digits.npz", allow_pickle=False) as embedded:
        assert sorted(embedded) == sorted(expected)
        for name, array in expected.items():
            assert embedded[name].dtype == np.uint8
            np.testing.assert_array_equal(embedded[name], array)


def test_embedded_file_is_small_and_licensed():
    folder = files("tinygrad_nn.data")
    assert len((folder / "digits.npz").read_bytes()) < 100_000
    licence = (folder / "digits.LICENSE.txt").read_text(encoding="utf-8")
    for fact in ("Alpaydin", "Kaynak", "1998", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"):
        assert fact in licence


def test_split_is_complete_disjoint_and_stratified():
    X, y = load_all_digits()
    X_train, y_train, X_test, y_test = load_digits()
    assert (X_train.shape, X_test.shape) == ((64, 1442), (64, 355))
    together = np.vstack([np.hstack([X_train, X_test]), np.hstack([y_train, y_test])])
    everything = np.vstack([X, y])
    assert sorted(map(tuple, together.T)) == sorted(map(tuple, everything.T))
    np.testing.assert_array_equal(np.bincount(y_test), np.bincount(y) // 5)


def test_split_never_changes():
    # A change here would silently change every accuracy anybody has noted down.
    X_train, y_train, X_test, y_test = load_digits()
    pixels = b"".join((part.T * 16).astype(np.uint8).tobytes() for part in (X_train, X_test))
    labels = b"".join(part.astype(np.uint8).tobytes() for part in (y_train, y_test))
    assert hashlib.sha256(pixels + labels).hexdigest()[:16] == "fd52f70d83ecd066"


def test_values_labels_and_layout():
    X_train, y_train, X_test, y_test = load_digits()
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert (X.min(), X.max()) == (0.0, 1.0)
        np.testing.assert_array_equal(X * 16, np.round(X * 16))
        assert y.dtype == np.int64
        assert np.unique(y).tolist() == list(range(10))
        assert X.T.flags.c_contiguous  # an example's pixels lie side by side


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32", np.float16])
def test_dtype(dtype):
    X_train, _, X_test, _ = load_digits(dtype=dtype)
    assert X_train.dtype == X_test.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_dtype_must_float(dtype):
    with pytest.raises(TypeError, match=r"load_digits: dtype=\w+ cannot hold values between 0 and 1; give np.float32"):
        load_digits(dtype=dtype)


def test_calls_share_nothing():
    first = load_digits()
    first[0][...] = 7
    first[1][...] = 7
    assert load_digits()[0].max() == 1
    assert set(load_digits()[1].tolist()) == set(range(10))


def test_room_imports_only_itself_and_numpy():
    modules = sorted((Path(__file__).parents[2] / "tinygrad_nn" / "data").glob("*.py"))
    assert modules
    for file in modules:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                top = name.partition(".")[0]
                inside = name.startswith("tinygrad_nn.data.")
                assert inside or top == "numpy" or top in sys.stdlib_module_names, f"{file.name} imports {name}"
