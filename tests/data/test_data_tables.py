"""Rows come in, columns go out: without a copy where possible, and a bad cell is named by row and column."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinygrad_nn.data import batches, from_rows, load_csv

ROWS = np.array([[5.1, 3.5, 0.0], [6.2, 2.9, 1.0], [4.7, 3.2, 0.0], [6.0, 2.2, 1.0]])


# --- arrays


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2), elements=st.floats(-9, 9)), st.data())
def test_array_transposes_and_divides(rows, data):
    width = rows.shape[1]
    target = data.draw(st.integers(-width, width - 1))
    np.testing.assert_array_equal(from_rows(rows), rows.T)
    X, y = from_rows(rows, target)
    np.testing.assert_array_equal(X, np.delete(rows, target, axis=1).T)
    np.testing.assert_array_equal(y, rows[:, target])
    X, Y = from_rows(rows, [target])
    np.testing.assert_array_equal(X, np.delete(rows, target, axis=1).T)
    np.testing.assert_array_equal(Y, rows[:, [target]].T)


@pytest.mark.parametrize("target", [0, 2, -1, [1, 2], [0]])
def test_array_is_not_copied_when_targets_are_at_an_end(target):
    assert np.shares_memory(from_rows(ROWS), ROWS)
    X, y = from_rows(ROWS, target)
    assert np.shares_memory(X, ROWS)
    assert np.shares_memory(y, ROWS)


def test_dtype_is_kept():
    assert from_rows(ROWS.astype(np.float32)).dtype == np.float32
    assert from_rows(np.eye(2, dtype=np.uint8)).dtype == np.uint8


def test_several_targets_keep_the_order_asked_for():
    X, Y = from_rows(ROWS, [2, 0])
    np.testing.assert_array_equal(Y, ROWS[:, [2, 0]].T)
    np.testing.assert_array_equal(X, ROWS[:, [1]].T)


def test_array_of_objects():
    rows = np.array([[1, 2.5, "a"], [np.float32(3), True, "b"]], dtype=object)
    X, y = from_rows(rows, -1)
    assert X.tolist() == [[1, 3], [2.5, 1]]
    assert X.dtype == np.float64
    assert y.tolist() == ["a", "b"]
    assert y.dtype.kind == "U"
    assert from_rows(rows[:, :2], 0)[1].dtype == np.float64
    assert from_rows(np.array([[1, 2], [3, 4]], dtype=object), 0)[1].dtype == np.int64


@pytest.mark.parametrize(
    ("cell", "shown", "hint"),
    [
        ("7.5", "'7.5'", "leave the column out, or code it as numbers first"),
        (None, "None", "fill the gap, or leave the row out"),
        (datetime.date(2020, 1, 1), "datetime.date(2020, 1, 1)", "leave the column out, or code it as numbers first"),
    ],
)
def test_array_of_objects_names_the_cell(raised, cell, shown, hint):
    rows = np.array([[1, 2], [3, cell]], dtype=object)
    assert raised(ValueError, from_rows, rows) == f"from_rows: row 1, column 1: {shown} is not a number; {hint}"


def test_wrong_tables(raised):
    assert raised(TypeError, from_rows, [[1, 2]]) == (
        "from_rows: table is of type list, expected a 2-D array or a frame; "
        "np.asarray(table) makes an array of nested lists, load_csv reads a file"
    )
    assert raised(ValueError, from_rows, np.ones(3)) == (
        "from_rows: table has shape (3,), expected (N, features); table.reshape(-1, 1) makes one column of it"
    )
    assert raised(ValueError, from_rows, np.ones((3, 2, 2))) == (
        "from_rows: table has shape (3, 2, 2), expected (N, features)"
    )


def test_wrong_targets(raised):
    assert raised(ValueError, from_rows, ROWS, 3) == "from_rows: there is no column 3 in 3 columns (0 to 2)"
    assert raised(ValueError, from_rows, ROWS, -4) == "from_rows: there is no column -4 in 3 columns (0 to 2)"
    assert raised(ValueError, from_rows, ROWS, "y") == "from_rows: there is no column 'y'; the columns are 0, 1, 2"
    assert raised(TypeError, from_rows, ROWS, ROWS[:, 0]) == (
        "from_rows: target is of type ndarray, expected the name or number of a column or a list of them; "
        "labels kept apart from the table need no turning"
    )
    assert raised(ValueError, from_rows, ROWS, [0, 1, 2]) == (
        "from_rows: target=[0, 1, 2] leaves 0 of 3 columns as features; expected at least one feature and one target"
    )
    assert raised(ValueError, from_rows, ROWS, []) == (
        "from_rows: target=[] leaves 3 of 3 columns as features; expected at least one feature and one target"
    )


# --- frames


@pytest.fixture
def pd():
    return pytest.importorskip("pandas")


@pytest.fixture
def flowers(pd):
    return pd.DataFrame(
        {
            "length": [5.1, 6.2, 4.7],
            "petals": [5, 6, 5],
            "species": ["setosa", "virginica", "setosa"],
            "code": np.array([0, 1, 0], dtype=np.int8),
        }
    )


def test_frame_of_one_dtype_is_not_copied(pd):
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    X = from_rows(frame)
    np.testing.assert_array_equal(X, ROWS.T)
    assert np.shares_memory(X, frame.to_numpy())


def test_frame_with_target(flowers):
    X, y = from_rows(flowers.drop(columns="species"), "code")
    assert X.tolist() == [[5.1, 6.2, 4.7], [5, 6, 5]]
    assert y.tolist() == [0, 1, 0]
    assert y.dtype == np.int8  # not made float by its neighbours
    X, y = from_rows(flowers.drop(columns="code"), target="species")
    assert X.dtype == np.float64
    assert y.tolist() == ["setosa", "virginica", "setosa"]
    assert y.dtype.kind == "U"
    X, Y = from_rows(flowers.drop(columns="species"), ["petals", "code"])
    assert X.shape == (1, 3)
    assert Y.tolist() == [[5, 6, 5], [0, 1, 0]]
    assert from_rows(flowers.drop(columns="species"), -1)[1].tolist() == [0, 1, 0]


def test_frame_target_fits_batches(flowers):
    X, y = from_rows(flowers.drop(columns="code"), target="species")
    with pytest.raises(ValueError, match=r"classes, Y = np\.unique\(Y, return_inverse=True\) numbers text labels"):
        batches(X, y, 2)
    classes, y = np.unique(y, return_inverse=True)
    assert classes.tolist() == ["setosa", "virginica"]
    assert len(batches(X, y, 2)) == 2


def test_frame_of_mixed_numbers(pd):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [True, False], "c": pd.array([1, 2], dtype="Int64")})
    assert from_rows(frame).tolist() == [[1.5, 2.5], [1, 0], [1, 2]]


def test_frame_cells_that_are_no_numbers(raised, pd, flowers):
    assert raised(ValueError, from_rows, flowers, "code") == (
        "from_rows: row 0, column 'species': 'setosa' is not a number; "
        "leave the column out, or code it as numbers first"
    )
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": pd.array([1, None], dtype="Int64")})
    assert raised(ValueError, from_rows, frame) == (
        "from_rows: row 1, column 'b': <NA> is not a number; fill the gap, or leave the row out"
    )
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": np.array(["cat", None], dtype=object)})
    assert raised(ValueError, from_rows, frame, "b").replace("nan", "None") == (  # pandas 3 says nan
        "from_rows: row 1, column 'b': None is not text, as 'cat' is; fill the gap, or leave the row out"
    )


def test_frame_names(raised, pd, flowers):
    assert raised(ValueError, from_rows, flowers, "specis") == (
        "from_rows: there is no column 'specis'; did you mean 'species'?"
    )
    assert raised(ValueError, from_rows, flowers, "xyz") == (
        "from_rows: there is no column 'xyz'; the columns are length, petals, species, code"
    )
    twice = pd.DataFrame(ROWS, columns=["a", "b", "a"])
    assert raised(ValueError, from_rows, twice) == (
        "from_rows: column 'a' is there twice; give every column its own name"
    )
    numbered = pd.DataFrame(ROWS, columns=[10, 2, 0])
    assert from_rows(numbered, 2)[1].tolist() == ROWS[:, 1].tolist()  # a name goes before a number


class Frame:
    """The least that from_rows asks of a frame."""

    def __init__(self, **columns):
        self.values = columns
        self.columns = list(columns)

    def __getitem__(self, names):
        return Frame(**{name: self.values[name] for name in names})

    def to_numpy(self):
        return np.stack(list(self.values.values()), axis=1)


def test_any_frame_will_do():
    frame = Frame(a=np.array([1.5, 2.5]), b=np.array([3, 4]), c=np.array(["x", "y"]))
    X, y = from_rows(frame, "c")
    assert (X.tolist(), y.tolist()) == ([[1.5, 2.5], [3, 4]], ["x", "y"])
    X, y = from_rows(frame[["a", "b"]], "b")
    assert (X.tolist(), y.tolist(), y.dtype.kind) == ([[1.5, 2.5]], [3, 4], "i")


def test_series_is_no_table(raised, pd):
    assert raised(TypeError, from_rows, pd.Series([1, 2])).startswith("from_rows: table is of type Series")


# --- CSV


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_csv_with_header_and_text_target(write):
    path = write('length, width ,species\r\n5.1,3.5,setosa\r\n\r\n6.2, 2.9,"virginica"\r\n')
    X, y = load_csv(path, target="species")
    assert X.tolist() == [[5.1, 6.2], [3.5, 2.9]]
    assert X.dtype == np.float64
    assert X.T.flags.c_contiguous
    assert y.tolist() == ["setosa", "virginica"]


def test_csv_with_several_targets(write):
    X, Y = load_csv(str(write("a,b,c\n1,2,3\n4,5,6\n")), target=["c", 0])
    assert (X.tolist(), Y.tolist()) == ([[2, 5]], [[3, 6], [1, 4]])


def test_csv_without_target(write):
    assert load_csv(write("a,b\n1,2\n3,nan\n"))[0].tolist() == [1, 3]
    assert load_csv(write("1,2\n3,-4e-1")).tolist() == [[1, 3], [2, -0.4]]


@pytest.mark.parametrize(
    ("cells", "values", "dtype"),
    [
        ("0 1 2", [0, 1, 2], np.int64),
        ("0 1.5 2", [0, 1.5, 2], np.float64),
        ("0 1.0 99999999999999999999", [0, 1, 1e20], np.float64),
        ("9223372036854775807 0 -9223372036854775808", [2**63 - 1, 0, -(2**63)], np.int64),
        ("9223372036854775808 9223372036854775809 0", [2**63, 2**63 + 1, 0], np.uint64),
        ("a b a", ["a", "b", "a"], np.dtype("U1")),
    ],
)
def test_csv_kinds_of_target(write, cells, values, dtype):
    X, y = load_csv(write("".join(f"{cell},7\n" for cell in cells.split())), 0)
    assert y.tolist() == values
    assert y.dtype == dtype
    assert X.tolist() == [[7, 7, 7]]


def test_csv_header_found_or_told(raised, write):
    path = write("5.1,setosa\n6.2,virginica\n")
    assert load_csv(path, -1)[1].tolist() == ["setosa", "virginica"]  # a line with a number is no header
    path = write("1990,2000\n1,2\n")
    assert load_csv(path).shape == (2, 2)
    X, y = load_csv(path, "2000", header=True)
    assert (X.tolist(), y.tolist()) == ([[1]], [2])
    assert "line 1, column 0: 'a' is not a number" in raised(ValueError, load_csv, write("a\n1\n"), header=False)


def test_csv_other_delimiters_and_byte_order_mark(write):
    X, y = load_csv(write("größe;y\n1;2\n", "utf-8-sig"), "y", delimiter=";")
    assert (X.tolist(), y.tolist()) == ([[1]], [2])
    _, y = load_csv(write("größe;y\n1;2\n", "utf-8-sig"), "größe", delimiter=";")
    assert y.tolist() == [1]


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2), elements=st.floats(allow_nan=False)))
def test_csv_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("\n".join(",".join(map(repr, row)) for row in rows.tolist()))
    np.testing.assert_array_equal(load_csv(path), rows.T)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("a,b\n1,2\n\n3,x\n", None,
         "{path}, line 4, column 'b': 'x' is not a number; leave the column out, or code it by categories='one_hot'"),
        ("a,b\n1,2\n3,\n", None, "{path}, line 3, column 'b': '' is not a number; fill the gap, or leave the row out"),
        ("1,2\n3,NA\n", None, "{path}, line 2, column 1: 'NA' is not a number; fill the gap, or leave the row out"),
        ("a;b\n1;2\n", None,
         "{path} has a single column, 'a;b'; is delimiter=';' what separates its cells?"),
        ("a\n1;2\n", None,
         "{path}, line 2, column 'a': '1;2' is not a number; is it the delimiter? delimiter=';' or '\\t' may fit"),
        ("a,y\n1,cat\n2,3\n", "y",
         "{path}, line 2, column 'y': 'cat' is not a number; leave the column out, or code it as numbers first"),
        ("a,y\n1,cat\n2,\n", "y", "{path}, line 3, column 'y' is empty; fill the gap, or leave the row out"),
        ("a,b\n1,2\n3\n", None, ("{path}, line 3 has 1 cell, line 1 has 2; "
         "cells are separated by ',', text that contains it stands in double quotes")),
        ("", None, "{path} is empty, expected one example per line"),
        ("\n \n", None, "{path} is empty, expected one example per line"),
        ("a,b\n", None, "{path} holds no examples, only the header a, b"),
        ("a,b\n1,2\n", "c", "there is no column 'c'; the columns are a, b"),
        ("a,b,a\n1,2,3\n", "a", "there are 2 columns 'a'; choose one by its number"),
        ("a\n1\n", "a", "target='a' leaves 0 of 1 columns as features; expected at least one feature and one target"),
    ],
)  # fmt: skip
def test_csv_errors(raised, write, text, target, expected):
    path = write(text)
    assert raised(ValueError, load_csv, path, target) == "load_csv: " + expected.format(path=path)


def test_csv_files_of_another_kind(raised, write, tmp_path):
    path = write("größe\n1\n", "latin-1")
    message = raised(ValueError, load_csv, path)
    assert message.startswith(f"load_csv: {path} is no CSV file in UTF-8 (")
    assert message.endswith("); encoding='cp1252' reads what older programs of Windows wrote, or save it in UTF-8")
    message = raised(ValueError, load_csv, write("a,b\n1,2\n", "utf-16"))
    assert message.endswith("); encoding='utf-16' reads it")
    message = raised(ValueError, load_csv, write("a,b\n1"), encoding="utf-16")
    assert message.startswith(f"load_csv: {path} is no CSV file in UTF-16 (")
    assert message.endswith("); give another encoding=")
    assert "missing.csv" in raised(FileNotFoundError, load_csv, tmp_path / "missing.csv")


# --- what cannot be held as it stands

TOO_LARGE = "is too large for float64; measure the column in another unit, or leave it out"
MANY = f"'{'7' * 39} … (5,002 characters)"
REFUSED = {
    "1,7\n-1,7\n18446744073709551615,7\n": (
        "line 3, column 0: 18446744073709551615 does not fit into an integer of 64 bits with the others; a letter in "
        "front makes labels text, which is kept as it is, and a decimal point makes them float64"
    ),
    "1,7\n1e999,7\n": f"line 2, column 0: '1e999' {TOO_LARGE}",
    f"1,{'7' * 5000}\n": f"line 1, column 1: {MANY} {TOO_LARGE}",
    f"{'7' * 5000},1\n": f"line 1, column 0: {MANY} {TOO_LARGE}",
    "a,1\na\0,2\n": "line 2, column 0: 'a\\x00' ends in a zero character, which NumPy does not keep; remove it",
}


@pytest.mark.parametrize(("lines", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_csv_cells_that_cannot_be_held_are_refused(write, lines, message):
    path = write(lines)
    with pytest.raises(ValueError, match="load_csv") as refused:
        load_csv(path, target=0)
    assert str(refused.value) == f"load_csv: {path}, {message}"


NO_NUMBERS = [
    "1_0",
    "1__0",
    "_1",
    "1_",
    "1_0.5",
    "1e1_0",
    "٣",
    "１２",
    "1٣",
    "−1",
    "0x10",
    "0b1",
    "1j",
    "1.",
    "1,0",
    "++1",
    "1 0",
]


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_csv_numbers_are_those_that_files_have(write, cell):
    quoted = f'"{cell}"'
    if cell == "1.":
        assert load_csv(write(f"{cell},.5\n")).tolist() == [[1], [0.5]]
        return
    with pytest.raises(ValueError, match=r"line 2, column 0: .* is not a number"):
        load_csv(write(f"1,2\n{quoted},2\n"))
    with pytest.raises(ValueError, match=r"line 2, column 0: .* is not a number"):
        load_csv(write(f"10,2\n{quoted},2\n"), 0)  # one label of 10 and 1_0 would be wrong, and so would two
    assert load_csv(write(f"{quoted},2\na,2\n"), 0)[1].tolist() == [cell, "a"]
    assert load_csv(write(f"{quoted}\n2\n")).tolist() == [[2]]  # it is a name


def test_csv_labels_with_underscores_are_told_apart(write):
    y = load_csv(write("a_1,7\n1_0,7\n1_00,7\n10_0,7\n"), 0)[1]
    assert y.tolist() == ["a_1", "1_0", "1_00", "10_0"]


def test_csv_with_an_open_quote_or_a_wrong_delimiter_is_refused(write):
    with pytest.raises(ValueError, match=r"is no CSV file \(unexpected end of data\)"):
        load_csv(write('1,2\n3,"4\n'))
    for delimiter in ("", ",,", '"', "\n", " ", None):
        with pytest.raises(ValueError, match="expected a single character such as"):
            load_csv(write("1,2\n"), delimiter=delimiter)


TWO_COLUMNS = "is not a number; make two columns of its real and its imaginary part"
OBJECTS = [
    (1 + 2j, f"(1+2j) {TWO_COLUMNS}"),
    (np.complex64(2), f"np.complex64(2+0j) {TWO_COLUMNS}"),
    (10**400, f"1{'0' * 39} … (401 characters) {TOO_LARGE}"),
    (10**5000, f"a cell of type int {TOO_LARGE}"),
    (np.datetime64("2020"), "np.datetime64('2020') is not a number; leave the column out, or code it as numbers first"),
]


@pytest.mark.parametrize(("cell", "message"), OBJECTS, ids=range(len(OBJECTS)))
def test_objects_that_cannot_be_held_are_refused(cell, message):
    rows = np.array([[1.0, 2.0], [3.0, None]], dtype=object)
    rows[1, 1] = cell
    for target in (None, [1]):
        with pytest.raises(ValueError, match="from_rows") as refused:
            from_rows(rows, target)
        assert str(refused.value) == f"from_rows: row 1, column 1: {message}"


def test_complex_and_masked_tables_are_refused():
    with pytest.raises(ValueError, match=r"row 0, column 0: np.complex128\(1j\) is not a number; make two columns"):
        from_rows(np.full((2, 2), 1j))
    with pytest.raises(
        TypeError, match=r"^from_rows: table is a masked array; table.filled\(value\) makes a plain one$"
    ):
        from_rows(np.ma.masked_array(ROWS, ROWS > 3))
    with pytest.raises(TypeError, match=r"^batches: X is a masked array; X.filled\(value\) makes a plain one$"):
        batches(np.ma.masked_array(ROWS, ROWS > 3), np.zeros(3), 2)
    with pytest.raises(ValueError, match=r"X has dtype complex128 .*; compute with X.real and X.imag$"):
        batches(np.full((2, 2), 1j), np.zeros(2), 2)


def test_whole_labels_keep_all_their_digits():
    rows = np.array([[0.5, 2**53 + 1], [0.5, 2**63 - 1]], dtype=object)
    assert from_rows(rows, 1)[1].tolist() == [2**53 + 1, 2**63 - 1]
    rows[0, 1] = 2**64 - 1
    assert from_rows(rows, 1)[1].tolist() == [2**64 - 1, 2**63 - 1]
    rows[0, 1] = -1
    assert from_rows(rows, 1)[1].dtype == np.int64
    rows[0, 1], rows[1, 1] = -1, 2**63
    with pytest.raises(
        ValueError, match="row 1, column 1: 9223372036854775808 does not fit into an integer of 64 bits"
    ):
        from_rows(rows, 1)


def test_a_matrix_is_a_table():
    X, y = from_rows(ROWS.view(np.matrix), 2)
    assert (type(X), X.shape, y.shape) == (np.ndarray, (2, 4), (4,))
