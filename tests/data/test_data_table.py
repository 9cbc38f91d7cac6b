"""Tables: numbers and text as they are in a file or a frame, gaps included; both readers make the same of any file."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_nn.data import Table, arrow, load_csv, load_table, penguins_csv, records


def as_lists(table):
    """Names and cells, with None in every gap and the kind of each column."""
    return {
        name: (values.dtype.kind, [None if cell != cell else cell for cell in values.tolist()])
        for name, values in table.columns.items()
    }


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


# --- files


def test_numbers_text_and_gaps(write):
    table = load_table(write("n,x,t\n1,0.5,a\n2,,NA\n-3,1e3, b \n"))
    assert as_lists(table) == {
        "n": ("i", [1, 2, -3]), "x": ("f", [0.5, None, 1000.0]), "t": ("O", ["a", None, "b"]),
    }  # fmt: skip
    assert (len(table), table.names) == (3, ("n", "x", "t"))
    assert "x" in table
    assert list(table) == ["n", "x", "t"]
    assert repr(table).splitlines()[1:] == [
        "  n  numbers  -3 to 2", "  x  numbers  0.5 to 1000, 1 gap", "  t  text     2 different: 'a' 1, 'b' 1, 1 gap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("\ufeffa,b\n1,x\n", {}, {"a": [1], "b": ["x"]}),
        ("a;b\r\n1,5;x\r\n,5;y\r\n", {"delimiter": ";", "decimal": ","}, {"a": [1.5, 0.5], "b": ["x", "y"]}),
        ("a;b\n1.5;x\n2,5;y\n2,5;y\n", {"delimiter": ";", "decimal": ",", "text": ["a"]},
         {"a": ["1.5", "2,5", "2,5"], "b": ["x", "y", "y"]}),
        ("# made by hand\na,b\n# more\n1,x\n", {"comment": "#"}, {"a": [1], "b": ["x"]}),
        ('a,b\n1,"two\nlines"\n2,"a ""quote"""\n', {}, {"a": [1, 2], "b": ["two\nlines", 'a "quote"']}),
        ("a,b\n1,NA\n2,x\n", {"missing": []}, {"a": [1, 2], "b": ["NA", "x"]}),
        ("a,b\n-999,?\n2,x\n", {"missing": ["-999"]}, {"a": [None, 2.0], "b": ["?", "x"]}),
        ("zip,n\n01234,1\n99999,2\n", {"text": ["zip"]}, {"zip": ["01234", "99999"], "n": [1, 2]}),
        ("1,x\n2,y\n", {}, {"x0": [1, 2], "x1": ["x", "y"]}),
        ("a,b\nx,y\n", {"header": False}, {"x0": ["a", "x"], "x1": ["b", "y"]}),
        ("a,b,\n1,x,\n2,y,\n", {}, {"a": [1, 2], "b": ["x", "y"]}),  # lines that end in a delimiter
        ("a,b\n,x\n,y\n", {}, {"a": [None, None], "b": ["x", "y"]}),
        ("a,b\n99999999999999999999,2020-01-01\n1,x\n", {}, {"a": [1e20, 1.0], "b": ["2020-01-01", "x"]}),
        ("b,a\n1,2\n", {"columns": ["a"]}, {"a": [2]}),
        ("name; town\nAnn\nBob; York\n", {}, {"name; town": ["Ann", "Bob; York"]}),  # one column of text
        ("1,5\n2,5\n", {"delimiter": ";", "decimal": ","}, {"x0": [1.5, 2.5]}),
        ("a,b\ntrue,1\nfalse,2\n", {}, {"a": ["true", "false"], "b": [1, 2]}),
        ("a,b\n1,x\n\n  \n2,y\n", {}, {"a": [1, 2], "b": ["x", "y"]}),
        ("a,b\n1_000,1\n٣,2\n", {}, {"a": ["1_000", "٣"], "b": [1, 2]}),  # no numbers of a file
    ],
)  # fmt: skip
def test_what_files_hold(write, text, settings, expected):
    assert {name: cells for name, (_, cells) in as_lists(load_table(write(text), **settings)).items()} == expected


@pytest.mark.parametrize(
    ("text", "settings", "error", "message"),
    [
        ("", {}, ValueError, "load_table: {path} is empty, expected one example per line"),
        ("a,b\n", {}, ValueError, "load_table: {path} holds no examples, only the header a, b"),
        ("a,b\n1,2\n3\n", {}, ValueError,
         ("load_table: {path}, line 3 has 1 cell, line 1 has 2; cells are separated by "
         "',', text that contains it stands in double quotes")),
        ("a,b\n1,2\n3,4\n5,x\n", {}, ValueError,
         ("load_table: {path}, line 4, column 'b': 'x' is not a number, as 2 of 3 "
         "cells of the column are; missing=[*tn.data.GAPS, 'x'] makes a gap of it; text=[...] takes the column as "
         "text")),
        ("a\n1\n-\nk.A.\n-\n2\n3\n4\n", {"missing": ["", "NA"]}, ValueError,
         ("load_table: {path}, line 3, column 'a': '-' is not a number, as 4 of 7 cells of the column are; "
         "missing=['', 'NA', '-', 'k.A.'] makes gaps; text=[...] takes the column as text")),
        ("a\n1\nsold in the year of the flood\n2\n", {}, ValueError,
         ("load_table: {path}, line 3, column 'a': 'sold in the year of the flood' is not a number, as 2 of 3 cells "
         "of the column are; text=[...] takes the column as text")),
        ("a;b\nx;2\ny;3\n", {}, ValueError,
         "load_table: {path} has a single column, 'a;b'; is delimiter=';' what separates its cells?"),
        ("a;b\nx;2,5\ny;3\n", {}, ValueError,
         "load_table: {path}, line 2 has 2 cells, line 1 has 1; is delimiter=';' what separates its cells?"),
        ('a;b\n"x; y";2\n', {}, ValueError,
         ("load_table: {path} is no CSV file (',' expected after '\"'); is delimiter=';' what separates its cells?")),
        ("a,b\nx,2\n", {"delimiter": ";"}, ValueError,
         "load_table: {path} has a single column, 'a,b'; is delimiter=',' what separates its cells?"),
        ("a\tb\nx\t2\n", {}, ValueError,
         "load_table: {path} has a single column, 'a\\tb'; is delimiter='\\t' what separates its cells?"),
        ("a,a\n1,2\n", {}, ValueError, "load_table: {path}: there are 2 columns 'a'; rename them"),
        ("a,b\n1,2\n", {"columns": ["B"]}, ValueError,
         "load_table: {path}: there is no column 'B'; did you mean 'b'?"),
        ("a,b\n1,2\n", {"columns": "a"}, TypeError, "load_table: columns='a', expected a list of texts"),
        ("a,b\n1e999,2\n", {}, ValueError, ("load_table: {path}, line 2, column 'a': '1e999' is too large for float64; "
         "measure the column in another unit, or take it as text=[...]")),
        ("a,b\n1,2\n", {"delimiter": ",,"}, ValueError,
         "load_table: delimiter=',,', expected a single character such as ',' ';' or '\\t'"),
        ("a,b\n1,2\n", {"decimal": ","}, ValueError,
         "load_table: decimal=',' with delimiter=',' cannot be told apart; such files mostly have ';'"),
        ("a,b\n1,2\n", {"decimal": "'"}, ValueError, "load_table: decimal=\"'\", expected '.' or ','"),
        ("a,b\n1,2\n", {"comment": ""}, ValueError,
         "load_table: comment='', expected how such lines begin, as '#', or None"),
        ("a,b\n1,2\n", {"encoding": "utf-9"}, ValueError,
         "load_table: there is no encoding 'utf-9'; expected 'utf-8', 'cp1252' or another of Python"),
        ("a,b\n1,2\n", {"missing": "NA"}, TypeError, "load_table: missing='NA', expected a list of texts"),
    ],
)  # fmt: skip
def test_errors_of_files(raised, write, text, settings, error, message):
    path = write(text)
    assert raised(error, load_table, path, **settings) == message.format(path=path)


TEXT = "; text=[...] takes the column as text"
PANDAS = ", or tn.data.Table(pandas.read_csv(path, thousands='%s', ...))"
OTHER_NUMBERS = [
    (";", ".", ["49,12", "8,5", "-3,50"], "'49,12' is not a number; decimal=',' reads it" + TEXT),
    (";", ".", ["49,12", "8,5", "7"],
     "'49,12' is not a number, as 1 of 3 cells of the column are; decimal=',' reads it" + TEXT),
    (";", ".", ["7", "8", "3,5"],
     "'3,5' is not a number, as 2 of 3 cells of the column are; decimal=',' reads it" + TEXT),
    (",", ".", ['"49,12"', '"8,5"'], "'49,12' is not a number; write numbers with decimal '.'" + TEXT),
    (";", ".", ["1,234", "5,678"],
     "'1,234' is not a number; decimal=',' reads it, or write numbers without commas between thousands"
     + PANDAS % "," + TEXT),
    (",", ".", ['"1,234.5"', '"5,678,901"'],
     "'1,234.5' is not a number; write numbers without commas between thousands" + PANDAS % "," + TEXT),
    (";", ".", ["1.234,5", "2.678,25"],
     "'1.234,5' is not a number; write numbers without commas between thousands" + PANDAS % "," + TEXT),
    (";", ",", ["49.12", "8.5"], "'49.12' is not a number; decimal='.' reads it" + TEXT),
    (";", ",", ["1.234,5", "5.678.901"],
     "'1.234,5' is not a number; write numbers without points between thousands" + PANDAS % "." + TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("delimiter", "decimal", "cells", "said"), OTHER_NUMBERS, ids=range(len(OTHER_NUMBERS)))
def test_numbers_of_other_files_are_no_text(raised, write, monkeypatch, delimiter, decimal, cells, said):
    path = write(f"price{delimiter}n\n" + "".join(f"{cell}{delimiter}x\n" for cell in cells))
    settings = {"delimiter": delimiter, "decimal": decimal}
    line = 2 + next(i for i, cell in enumerate(cells) if not cell.isdigit())
    for worth in (0, 1 << 60):
        monkeypatch.setattr(arrow, "_WORTH", worth)
        message = raised(ValueError, load_table, path, **settings)
        assert message == f"load_table: {path}, line {line}, column 'price': {said}"
        assert load_table(path, text=["price"], **settings)["price"].tolist() == [cell.strip('"') for cell in cells]
    way_out = said.partition("; ")[2].removesuffix(TEXT)
    assert raised(ValueError, load_csv, path, columns=["price"], **settings) == (
        f"load_csv: {path}, line {line}, column 'price': {said.partition(' is ')[0]} is not a number; {way_out}"
    )


@pytest.mark.parametrize("cells", [
    ["01.03.2024", "02.03.2024"], ["192.168.0.1", "10.0.0.1"], ["1.2.3", "1.3.0"], ["1,2,3", "4,5,6"], ["a,5", "3,5"],
])  # fmt: skip
def test_what_only_looks_like_numbers_is_text(write, cells):
    path = write("v;n\n" + "".join(f"{cell};x\n" for cell in cells))
    assert load_table(path, delimiter=";")["v"].tolist() == cells


@pytest.mark.parametrize(("start", "said"), [
    (b"PK\x03\x04\x14\x00", "a workbook of Excel or a zip file; tn.data.Table(pandas.read_excel(path))"),
    (b"PAR1\x15\x04", "a Parquet file; tn.data.Table(pyarrow.parquet.read_table(path)) reads it"),
    (b"\x1f\x8b\x08", "packed by gzip; unpack it"),
])  # fmt: skip
def test_a_file_that_is_no_text(raised, tmp_path, monkeypatch, start, said):
    path = tmp_path / "t.csv"
    path.write_bytes(start + b"\x00\xff,\xd7\n" * 20)
    for worth in (0, 1 << 60):
        monkeypatch.setattr(arrow, "_WORTH", worth)
        assert raised(ValueError, load_table, path).startswith(f"load_table: {path} is {said}")


def test_a_file_in_another_encoding(raised, write):
    path = write("größe,ort\n1,Köln\n", "cp1252")
    message = raised(ValueError, load_table, path)
    assert message.startswith(f"load_table: {path} is no CSV file in UTF-8 (")
    assert message.endswith("); encoding='cp1252' reads what older programs of Windows wrote, or save it in UTF-8")
    assert as_lists(load_table(path, encoding="cp1252")) == {"größe": ("i", [1]), "ort": ("O", ["Köln"])}


def test_the_penguins():
    table = load_table(penguins_csv())
    gaps = {name: int(table.missing(name).sum()) for name in table}
    assert len(table) == 344
    assert {name: n for name, n in gaps.items() if n} == {
        "bill_length_mm": 2, "bill_depth_mm": 2, "flipper_length_mm": 2, "body_mass_g": 2, "sex": 11,
    }  # fmt: skip


# --- both readers

CELLS = st.one_of(
    st.sampled_from(["", "NA", "nan", "inf", "-inf", "1", "-2", "0.5", "1e5", "x", "0x10", "1_0", "True", "a b", " 7 ",
                     "2020-01-01", "12:30", "9223372036854775807", "9223372036854775808", "1e999", '"quoted"', '"a,b"',
                     '"a\nb"', '"1"', "#", "# no", "é", "+5", ".5", "5.", "nan(1)", "NaN", "null", "null\0", '""', "00",
                     "-0", "1e-400", "0.1000000000000000055511151231257827", "1,5", "٣"]),
    st.floats().map(repr), st.integers(-(2**70), 2**70).map(str), st.text("abcé 1.,;-\"'", max_size=4),
)  # fmt: skip


@st.composite
def files(draw):
    width, delimiter, end = draw(st.integers(2, 4)), draw(st.sampled_from(",;")), draw(st.sampled_from(["\n", "\r\n"]))
    columns = [draw(st.lists(st.one_of(st.just("7"), CELLS), min_size=1, max_size=3)) for _ in range(width)]
    rows = draw(st.lists(st.tuples(*map(st.sampled_from, columns)), min_size=1, max_size=6))
    header = draw(st.sampled_from([["n0", "n1", "n2", "n3"], ["a", "a", "b", "c"], ["1", "2", "x", "y"]]))[:width]
    text = end.join(delimiter.join(row) for row in [header, *rows])
    settings = {
        "delimiter": delimiter,
        "decimal": "," if delimiter == ";" and draw(st.booleans()) else ".",
        "comment": draw(st.sampled_from([None, "#"])),
        "missing": draw(st.sampled_from([records.GAPS, (), ("x", "-2")])),
        "header": draw(st.sampled_from([None, True])),
    }
    return text + end * draw(st.booleans()), settings


def outcome(function, *arguments, **settings):
    try:
        found = function(*arguments, **settings)
    except ValueError as error:
        return str(error)
    if isinstance(found, Table):
        return repr(as_lists(found))  # 1 and 1.0 apart, and all NaN alike
    return repr([(part.dtype.kind, part.tolist()) for part in (found if isinstance(found, tuple) else (found,))])


def compared(path, text, options):
    path.write_bytes(text.encode())
    strict = {name: value for name, value in options.items() if name != "missing"}
    calls = [
        (load_table, {**options}),
        (load_table, {**options, "text": ["n0"]}),
        (load_csv, strict),
        (load_csv, {**options, "target": 1}),
        (load_csv, {**options, "fill": "mean", "categories": "one_hot"}),
    ]
    for function, arguments in calls:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arrow, "_WORTH", 0)
            quick = outcome(function, path, **arguments)
            patch.setattr(arrow, "_WORTH", 1 << 60)
            assert quick == outcome(function, path, **arguments), (text, arguments)


@pytest.mark.parametrize("text", ["a,b\n7,-0\n", "a,b\n-0,-0.0\n", "a,b\n-0,99999999999999999999\n1,-0\n"])
def test_zeros_have_one_sign_to_both_readers(write, text):
    pytest.importorskip("pyarrow")
    compared(write(""), text, {})


@given(files())
@settings(max_examples=40)
def test_arrow_reads_what_python_reads(tmp_path_factory, file):
    pytest.importorskip("pyarrow")
    compared(tmp_path_factory.mktemp("csv") / "t.csv", *file)


@pytest.mark.nightly
@given(files())
@settings(max_examples=1500)
def test_arrow_reads_what_python_reads_in_thousands_of_files(tmp_path_factory, file):
    pytest.importorskip("pyarrow")
    compared(tmp_path_factory.mktemp("csv") / "t.csv", *file)


def test_large_files_go_through_arrow(write, monkeypatch):
    pytest.importorskip("pyarrow")
    path = write("a,b,t\n" + "".join(f"{i},{i / 7!r},{'xyz'[i % 3]}\n" for i in range(5000)))
    monkeypatch.setattr("tinygrad_nn.data.table.read_records", None)
    monkeypatch.setattr("tinygrad_nn.data.tables.read_records", None)
    table = load_table(path)
    assert table["b"].tolist() == [i / 7 for i in range(5000)]
    X, y = load_csv(path, target="t")
    assert (X.shape, y[:3].tolist()) == ((2, 5000), ["x", "y", "z"])
    assert load_csv(path, "a", categories="one_hot", fill="mean")[0].shape == (4, 5000)


# --- other sources


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames(library):
    module = pytest.importorskip(library)
    columns = {"n": [1, 2, 3], "x": [0.5, None, 1.5], "t": ["a", None, "b"], "b": [True, False, True]}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    pieces = frame.to_batches() if library == "pyarrow" else []
    for whole in (frame, *pieces):
        assert as_lists(Table(whole)) == {
            "n": ("i", [1, 2, 3]), "x": ("f", [0.5, None, 1.5]), "t": ("O", ["a", None, "b"]),
            "b": ("O", ["True", "False", "True"]),
        }  # fmt: skip


def test_columns_that_a_frame_has_coded():
    """Arrow's `to_numpy` of a coded column puts the first value in gaps."""
    expected = {"a": ("O", ["x", None, "y"])}
    arrow_, pandas, polars = map(pytest.importorskip, ("pyarrow", "pandas", "polars"))
    assert as_lists(Table(arrow_.table({"a": arrow_.array(["x", None, "y"]).dictionary_encode()}))) == expected
    assert as_lists(Table(pandas.DataFrame({"a": pandas.Categorical(["x", None, "y"])}))) == expected
    assert as_lists(Table(polars.DataFrame({"a": ["x", None, "y"]}, schema={"a": polars.Categorical}))) == expected
    nullable = pandas.DataFrame({"i": pandas.array([1, None], "Int64"), "b": pandas.array([True, None], "boolean")})
    assert as_lists(Table(nullable)) == {"i": ("f", [1.0, None]), "b": ("O", ["True", None])}


def test_rows_columns_and_parts():
    table = Table([{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"b": "z"}])
    assert table.shape == np.shape(table) == (3, 2)
    assert as_lists(table) == {"a": ("f", [1.0, None, None]), "b": ("O", ["x", "y", "z"])}
    assert table[1:]["b"].tolist() == ["y", "z"]
    assert table[[2, 0]]["b"].tolist() == ["z", "x"]
    assert table[table["b"] == "y"]["b"].tolist() == ["y"]
    assert table[["b"]].names == table.without("a").names == ("b",)
    assert len(table[[]]) == 0
    assert as_lists(Table(table)) == as_lists(table)
    assert as_lists(Table({"i": [1, 2**70]})) == {"i": ("f", [1.0, 2.0**70])}


@pytest.mark.parametrize(
    ("times", "texts"),
    [
        (np.array(["2024-03-31", "NaT"], "M8[ns]"), ["2024-03-31", None]),
        (np.array(["2024-03-31T18:30", "2024-03-31"], "M8[m]"), ["2024-03-31T18:30:00", "2024-03-31T00:00:00"]),
        (np.array(["2024-03-31T00:00:00.25"], "M8[ns]"), ["2024-03-31T00:00:00.250000"]),
        ([datetime.date(2024, 3, 31), None], ["2024-03-31", None]),
        ([datetime.datetime(2024, 3, 31, 18, 30, tzinfo=datetime.UTC)], ["2024-03-31T18:30:00+00:00"]),
    ],
)
def test_dates_and_times_become_text(times, texts):
    assert Table({"t": times})["t"].tolist() == texts


NOT_TABLES = [
    (lambda: Table([1, 2]), TypeError, ("Table: expected a dict of columns, a list of dicts, or a frame, got list; "
     "Table(dict(zip(names, rows.T))) names the columns of an array")),
    (lambda: Table("a.csv"), TypeError, "Table: 'a.csv' is a text; tn.data.load_table(path) reads a CSV file"),
    (lambda: load_table({"a": [1]}), TypeError,
     "load_table: path is of type dict, expected that of a CSV file; tn.data.Table(frame) takes frames and dicts"),
    (lambda: Table({"a": [1], "b": [1, 2]}), ValueError, "Table: the columns have different lengths: a 1, b 2"),
    (lambda: Table({"a": "xyz"}), TypeError,
     "Table: column 'a' is 'xyz', expected a list or an array; one row is [{...}]"),
    (lambda: Table({1: [1]}), TypeError, "Table: a column is called 1, expected a text: rename it '1'"),
    (lambda: Table({"a": [[1], [2]]}), TypeError,
     ("Table: column 'a', row 0: [1] is of type list; expected numbers alone, text alone or dates alone, with None in "
     "gaps")),
    (lambda: Table({"a": np.eye(2)}), ValueError, "Table: column 'a' has shape (2, 2), expected (N,)"),
    (lambda: Table({"a": [1, "x"]}), TypeError, ("Table: column 'a', row 1: 'x' is of type str, and 1 of type int; "
     "expected numbers alone, text alone or dates alone, with None in gaps")),
    (lambda: Table({"t": np.array([3], "m8[s]")}), TypeError,
     ("Table: column 't' has dtype timedelta64[s], expected numbers or text; t / np.timedelta64(1, 'D') counts days")),
    (lambda: Table({"a": np.ma.masked_array([1, 2], [0, 1])}), TypeError,
     "Table: column 'a' is a masked array; .filled(value) makes a plain one"),
    (lambda: Table({"a": [1]})["b"], ValueError, "Table: there is no column 'b'; the columns are a"),
    (lambda: Table({"a": [1]}).without("A"), ValueError, "Table: there is no column 'A'; did you mean 'a'?"),
    (lambda: Table({"a": [1]}).a, AttributeError, "Table has no attribute 'a': table['a'] is the column"),
    (lambda: Table({"a": [1]}).head(), AttributeError, "Table has no attribute 'head': table[:5] has its first rows"),
    (lambda: Table({"a": [1]}).b, AttributeError, "Table has no attribute 'b'"),
    (lambda: np.asarray(Table({"a": [1]})), TypeError,
     ("a Table is no array of numbers: preprocessor.transform(table) makes columns (features, N) of it, where "
     "preprocessor = tn.data.Preprocessor(...).fit(train); table[name] is one of its columns")),
    (lambda: Table({"a": [1]}).split(stratify=True), TypeError,
     "Table.split: stratify=True, expected the name of a column of classes or None"),
    (lambda: Table({"a": [1]}).without(["a"]), TypeError,
     "Table.without: ['a'] is no name; table.without('a', 'b') leaves out two columns"),
    (lambda: Table({"a": [1]})[0], TypeError,
     "Table: table[0:1] is the table of one row; a column is asked for by name"),
    (lambda: Table({"a": [1]})[[0.5]], TypeError,
     "Table: [0.5] chooses no rows: expected names, a slice, row numbers or truth values"),
    (lambda: Table({"a": ["x", None]}).split((0.5, 0.5), stratify="a"), ValueError,
     "Table.split: column 'a' has gaps; table[~table.missing('a')]"),
    (lambda: Table({"a": [1]}).__setitem__("days", [2]), TypeError,
     ("Table: a table stays as it is: table = tn.data.Table({**table.columns, 'days': values}) is one with another "
      "column")),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), NOT_TABLES, ids=range(len(NOT_TABLES)))
def test_what_is_no_table(raised, make, error, message):
    assert raised(error, make) == message


def test_a_split_keeps_shares_of_classes():
    table = load_table(penguins_csv())
    train, test = table.split((0.75, 0.25), rng=0, stratify="species")
    assert len(train) + len(test) == 344
    for species in ("Adelie", "Chinstrap", "Gentoo"):
        n = (table["species"] == species).sum()
        assert abs((train["species"] == species).sum() - 0.75 * n) <= 0.5
    assert train.reading == table.reading  # how the file was read
