"""Loaders on thousands of damaged inputs: right, as Python would read them, or refused in the package's own words."""

import csv
import decimal
import fractions
import gzip
import io
import struct
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.data import Standardizer, batches, from_rows, load_csv, load_mnist, one_hot

SHORT, LONG = range(400), range(400, 6_000)
both = pytest.mark.parametrize(
    "seeds", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.nightly)]
)


def mutated(rng, data, tokens):
    """Bytes with a few of them changed, cut out, repeated, or with a token put in."""
    data = bytearray(data)
    for _ in range(rng.integers(0, 5)):
        i = int(rng.integers(0, len(data) + 1))
        kind = rng.integers(0, 5)
        if kind == 0:
            data[i : i + 1] = bytes([rng.integers(0, 256)])
        elif kind == 1:
            data[i:i] = tokens[rng.integers(0, len(tokens))]
        elif kind == 2:
            del data[i : i + int(rng.integers(1, 9))]
        elif kind == 3:
            data[i:i] = data[i : i + int(rng.integers(1, 30))]
        else:
            del data[len(data) - int(rng.integers(0, 4)) :]
    return bytes(data)


def outcome(call, *args):
    """What it returns, and the message of an error that the package may raise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return call(*args), ""
    except (ValueError, TypeError) as error:
        return None, str(error)


# --- CSV -------------------------------------------------------------------------------------------------------------

CELLS = [
    b"1", b"-2.5", b"3e4", b" 7 ", b"nan", b"-inf", b"9223372036854775807", b"9223372036854775808", b"1e999", b"1_0",
    b"18446744073709551616", b"4" * 5000, b"0x1", b"", b"setosa", b'"1"', b'"a,b"', "٣".encode(), "−1".encode(), b"1j",
    b"9007199254740993", b"a\0", b"1.7976931348623159e308", b"True", b"NA", b"-1", b"00", b"1e-999",
]  # fmt: skip
TOKENS = [*CELLS, b",", b"\n", b"\r", b"\r\n", b'"', b";", b"\t", b"\0", b"\xef\xbb\xbf", b"\xff", b"\xc2\x85"]


def csv_file(rng):
    columns = int(rng.integers(1, 5))
    simple = rng.random() < 0.6
    cells = CELLS[:4] if simple else CELLS
    lines = [b",".join(cells[rng.integers(0, len(cells))] for _ in range(columns)) for _ in range(rng.integers(1, 7))]
    if rng.random() < 0.3:
        lines.insert(0, b",".join(b"abcdef"[k : k + 1] for k in range(columns)))
    return mutated(rng, b"\n".join(lines), TOKENS)


def check_csv(rng, path):
    path.write_bytes(csv_file(rng))
    target = [None, 0, -1, "a", [0], [0, -1]][rng.integers(0, 6)]
    header = [None, True, False][rng.integers(0, 3)]
    loaded, message = outcome(load_csv, path, target, header)
    if message:
        assert message.startswith((f"load_csv: {path}", "load_csv: there ", "load_csv: target="))
        assert len(message) < 600
        return False
    text = path.read_bytes().decode("utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), skipinitialspace=True) if "".join(row).strip()]
    X = loaded if target is None else loaded[0]
    rows = rows[-X.shape[1] :]
    chosen = [] if target is None else target if isinstance(target, list) else [0 if target == "a" else target]
    n = len(rows[0])
    chosen = [j % n for j in chosen]
    if target == "a":  # wherever the header has it
        return True
    features = [[number(row[j]) for row in rows] for j in range(n) if j not in chosen]
    np.testing.assert_array_equal(X, np.array(features))
    if isinstance(target, list):
        np.testing.assert_array_equal(loaded[1], [[number(row[j]) for row in rows] for j in chosen])
    elif target is not None:
        for y, row in zip(loaded[1].tolist(), rows, strict=True):
            cell = row[chosen[0]].strip()
            assert y == cell if isinstance(y, str) else y == int(cell) if isinstance(y, int) else same(y, number(cell))
    return True


def number(cell):
    """A number that is written as in other programs' files, too."""
    assert cell.strip().isascii()
    assert "_" not in cell
    return float(cell)


def same(a, b):
    return a == b or (a != a and b != b)


@both
def test_csv_files(seeds, tmp_path):
    loaded = sum(check_csv(np.random.default_rng(seed), tmp_path / "t.csv") for seed in seeds)
    assert len(seeds) / 10 < loaded < len(seeds) * 9 / 10


# --- IDX -------------------------------------------------------------------------------------------------------------


def idx_files(rng):
    n, height, width = (int(k) for k in rng.integers(1, 4, 3))
    images = struct.pack(">4I", 0x0803, n, height, width) + rng.bytes(n * height * width)
    return images, struct.pack(">2I", 0x0801, n) + bytes(rng.integers(0, 10, n, dtype=np.uint8))


def check_idx(rng, folder):
    for file in folder.iterdir():
        file.unlink()
    images, labels = idx_files(rng)
    tokens = [bytes(4), b"\xff" * 4, struct.pack(">I", 2), b"\x1f\x8b", b"\x08\x03", bytes(16)]
    files = {}
    for part in ("train", "t10k"):
        for kind, name, data in (("images", "images-idx3-ubyte", images), ("labels", "labels-idx1-ubyte", labels)):
            zipped, damaged = rng.random() < 0.3, rng.random() < 0.4
            data = mutated(rng, data, tokens) if damaged and rng.random() < 0.7 else data
            files[part, kind] = data
            if zipped:
                data = gzip.compress(data)
                data = mutated(rng, data, tokens) if damaged and rng.random() < 0.5 else data
                try:
                    files[part, kind] = gzip.decompress(data)
                except Exception:
                    files[part, kind] = None
            (folder / f"{part}-{name}{'.gz' if zipped else ''}").write_bytes(data)
    loaded, message = outcome(load_mnist, folder, np.float64)
    if message:
        assert message.startswith(f"load_mnist: {folder}")
        return False
    for (part, kind), array in zip(
        [(p, k) for p in ("train", "t10k") for k in ("images", "labels")], loaded, strict=True
    ):
        data = files[part, kind]
        axes = 3 if kind == "images" else 1
        magic, n, *size = struct.unpack(f">{axes + 1}I", data[: 4 * axes + 4])
        assert magic == 0x0800 + axes
        body = np.frombuffer(data[4 * axes + 4 :], np.uint8).reshape(n, *size)
        np.testing.assert_array_equal(array, body.reshape(n, -1).T / 255 if kind == "images" else body)
    return True


@both
def test_idx_files(seeds, tmp_path):
    loaded = sum(check_idx(np.random.default_rng(seed), tmp_path) for seed in seeds)
    assert len(seeds) / 20 < loaded < len(seeds) * 9 / 10


# --- rows of odd objects ---------------------------------------------------------------------------------------------


class Odd:
    """Says that it is a number, and is none."""

    def __init__(self, wrong):
        self.wrong = wrong

    def __float__(self):
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong

    def __repr__(self):
        raise RuntimeError("no repr")


NUMBERS = [
    1, -2.5, True, np.float32(0.1), np.int8(-3), np.uint64(2**63), 2**53 + 1, 2**63, -(2**63), decimal.Decimal("0.1"),
    fractions.Fraction(1, 3), float("nan"), float("inf"), decimal.Decimal("Infinity"), np.bool_(True), np.float16(2.0),
    np.longdouble(0.1), Odd(2.5),
]  # fmt: skip
OTHERS = [
    10**400, 10**5000, -(2**70), 1j, np.complex64(1 + 2j), np.complex128(3), "1.5", "", b"1", None, [1], {}, float,
    np.array([1.0]), np.array(2.0), np.datetime64("2020-01-01"), np.timedelta64(3, "s"), np.ma.masked, slice(1),
    decimal.Decimal("1e400"), decimal.Decimal("sNaN"), np.longdouble("1e400"), fractions.Fraction(10**400), object(),
    Odd(KeyError("x")), Odd("text"), "a\0", "\ud800", tn.tensor(1.0, requires_grad=True),
]  # fmt: skip


def table(rng):
    n, columns = (int(k) for k in rng.integers(1, 5, 2))
    cells = np.empty((n, columns), dtype=object)
    for i in np.ndindex(n, columns):
        pool = NUMBERS if rng.random() < 0.95 else OTHERS
        cells[i] = pool[rng.integers(0, len(pool))]
    if rng.random() < 0.3:  # a column of text, or of whole numbers
        labels = [["a", "b", "\ud800"], [0, 1, 2**63 - 1], [2**63, 2**64 - 1, 5], ["a", "a\0"]][rng.integers(0, 4)]
        for i in range(n):
            cells[i, 0] = labels[rng.integers(0, len(labels))]
    kind = rng.integers(0, 8)
    if kind == 0:
        kinds = [complex, "M8[s]", "m8[s]", "S3", "U3", [("a", float)], np.longdouble, np.uint64, bool]
        return rng.integers(0, 9, (n, columns)).astype(kinds[rng.integers(0, len(kinds))])
    if kind == 1:
        return np.ma.masked_array(rng.normal(size=(n, columns)), rng.random((n, columns)) < 0.5)
    return cells


def check_rows(rng):
    rows = table(rng)
    target = [None, 0, -1, [0]][rng.integers(0, 4)]
    loaded, message = outcome(from_rows, rows, target)
    if message:
        assert message.startswith("from_rows: ")
        assert len(message) < 400
        return False
    assert not isinstance(rows, np.ma.MaskedArray)
    n = rows.shape[1]
    chosen = [] if target is None else [t % n for t in np.atleast_1d(target)]
    X = loaded if target is None else loaded[0]
    features = [j for j in range(n) if j not in chosen]
    for column, j in zip(X, features, strict=True):
        for x, cell in zip(column, rows[:, j], strict=True):
            assert same(x, float(cell) if rows.dtype == object else cell)
    if isinstance(target, int):
        for y, cell in zip(loaded[1], rows[:, chosen[0]], strict=True):
            assert same(y, float(cell) if isinstance(cell, Odd) or y.dtype.kind == "f" else cell)
    return True


@both
def test_rows_of_odd_objects(seeds):
    loaded = sum(check_rows(np.random.default_rng(seed)) for seed in seeds)
    assert len(seeds) / 10 < loaded < len(seeds) * 9 / 10


# --- arguments of the others -----------------------------------------------------------------------------------------


def argument(rng):
    shape = tuple(int(k) for k in rng.integers(0, 4, rng.integers(0, 4)))
    kinds = [float, int, bool, np.uint64, complex, "M8[s]", "S2", "U2", object, np.float16, np.longdouble, "m8[D]"]
    array = rng.integers(-2, 9, shape).astype(kinds[rng.integers(0, len(kinds))] if rng.random() < 0.6 else int)
    choice = rng.integers(0, 12)
    if choice == 0:
        return np.ma.masked_array(array, array == array)
    if choice == 1:
        return array.tolist()
    if choice < 5:
        return [*rng.integers(0, 4, 3).tolist(), (NUMBERS + OTHERS)[rng.integers(0, len(NUMBERS + OTHERS))]]
    if choice == 5:
        return (NUMBERS + OTHERS)[rng.integers(0, len(NUMBERS + OTHERS))]
    return array


def standardised(X, Y):
    return Standardizer().fit(X).transform(X)


CALLS = {
    "one_hot": lambda X, Y: one_hot(X),
    "Standardizer.": standardised,
    "batches": lambda X, Y: list(batches(X, Y, 2, rng=0)),
    "split": lambda X, Y: tn.data.split(X, Y, (0.5, 0.5), rng=0),
}


@both
@pytest.mark.parametrize("caller", CALLS)
def test_odd_arguments(caller, seeds):
    accepted = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X, Y = argument(rng), argument(rng)
        result, message = outcome(CALLS[caller], X, Y)
        if message:
            assert message.startswith(caller)
            continue
        accepted += 1
        if caller == "one_hot":
            np.testing.assert_array_equal(result.argmax(0), X)
    assert accepted
