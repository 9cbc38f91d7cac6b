"""Preprocessing: measured on training rows alone, the same after saving, and a clear word for rows that are unlike."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_nn.data import Preprocessor, Table, load_csv, load_table, penguins_csv

TRAIN = Table({
    "age": [31, None, 8, 61],
    "sex": ["f", "m", None, "f"],
    "ill": ["no", "no", "yes", "no"],
    "cost": [1.0, 3.0, 5.0, 7.0],
})  # fmt: skip


def test_numbers_are_standardised_by_the_training_rows():
    preprocessor = Preprocessor(columns=["cost"]).fit(TRAIN)
    X = preprocessor.transform(TRAIN)
    np.testing.assert_allclose([X.mean(), X.std()], [0, 1], atol=1e-15)
    np.testing.assert_allclose(preprocessor.transform([{"cost": 4.0 + 5**0.5}]), [[1]])  # no mean of its own
    assert Preprocessor(columns=["cost"], scale=False).fit(TRAIN).transform(TRAIN).tolist() == [[1, 3, 5, 7]]
    assert Preprocessor(columns=["cost"], dtype=np.float32).fit(TRAIN).transform(TRAIN).dtype == np.float32


@pytest.mark.parametrize(
    ("fill", "expected"), [("mean", 100 / 3), ("median", 31), ("most_frequent", 8), (-1, -1), (0.5, 0.5)]
)
def test_what_fills_gaps(fill, expected):
    preprocessor = Preprocessor(columns=["age"], fill=fill, scale=False).fit(TRAIN)
    assert preprocessor.transform(TRAIN)[0].tolist() == [31, expected, 8, 61]
    assert preprocessor.transform([{"age": None}, {"age": 7}])[0].tolist() == [expected, 7]


def test_indicator_says_where_gaps_were():
    preprocessor = Preprocessor(target="ill", indicator=True, scale=False).fit(TRAIN)
    assert preprocessor.feature_names == ["age", "age is missing", "sex=f", "sex=m", "sex is missing", "cost"]
    assert preprocessor.transform(TRAIN)[1].tolist() == [0, 1, 0, 0]
    assert preprocessor.transform([{"age": 3, "sex": None, "cost": 1.0}])[:, 0].tolist() == [3, 0, 0, 0, 1, 1]


def test_categories():
    one_hot = Preprocessor(columns=["sex"]).fit(TRAIN).transform([{"sex": s} for s in ("m", "f", None, "x")])
    assert one_hot.T.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    index = Preprocessor(columns=["age", "sex"], encode="index").fit(TRAIN)
    assert index.category_sizes == {1: 4}
    assert index.transform([{"age": 1, "sex": s} for s in ("f", "m", None, "x")])[1].tolist() == [1, 2, 3, 0]
    filled = Preprocessor(columns=["sex"], fill_text="most_frequent").fit(TRAIN)
    assert filled.transform(TRAIN).T.tolist() == [[1, 0], [0, 1], [1, 0], [1, 0]]
    codes = Preprocessor(columns=["year"], categories=["year"]).fit({"year": [2007, 2008, 2007.0]})
    assert codes.feature_names == ["year=2007", "year=2008"]
    assert codes.transform([{"year": 2008.0}, {"year": 2009}]).T.tolist() == [[0, 1], [0, 0]]


def test_dates_are_days_since_the_first_of_training():
    days = {"day": ["2024-03-01", "2024-02-28", None, "2024-02-28T12:00", "2024-02-29 01:00+01:00"]}
    preprocessor = Preprocessor(dates=["day"], fill=0, scale=False, indicator=True).fit(days)
    assert preprocessor.feature_names == ["day", "day is missing"]
    assert preprocessor.transform(days).tolist() == [[2, 0, 0, 0.5, 1], [0, 0, 1, 0, 0]]
    assert preprocessor.transform({"day": ["2025-02-27", "2024-02-27"]})[0].tolist() == [365, -1]
    X = Preprocessor(dates=["day"]).fit(days).transform(days)
    np.testing.assert_allclose([X.mean(), X.std()], [0, 1], atol=1e-15)
    compact = Preprocessor(dates=["day"], scale=False).fit({"day": [20240228, 20240301]})  # numbers, to a file's reader
    assert compact.transform({"day": [20240229]}).tolist() == [[1]]


def test_dates_in_a_form_of_their_own():
    days = {"day": ["01.03.2024", "28.02.2024", None, " 29.02.2024"]}
    preprocessor = Preprocessor(dates={"day": "%d.%m.%Y"}, fill=0, scale=False).fit(days)
    again = Preprocessor.from_config(json.loads(json.dumps(preprocessor.config())))
    for one in (preprocessor, again):
        assert one.transform(days).tolist() == [[2, 0, 0, 1]]
        times = np.array(["2024-03-02T12:00"], "M8[s]")  # of a frame, in ISO 8601
        assert one.transform({"day": times}).tolist() == [[3.5]]
    zones = Preprocessor(dates={"t": "%d.%m.%Y %H:%M %z"}, scale=False).fit({"t": ["01.03.2024 01:00 +0200"]})
    assert zones.transform({"t": ["2024-03-01"]}).tolist() == [[1 / 24]]


def test_dates_are_saved_with_the_model_and_read_from_files(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("signup,n\n20240110,1\n20240101,2\n,3\n")
    table = load_table(path)
    preprocessor = Preprocessor(dates=["signup"]).fit(table)
    again = Preprocessor.from_config(json.loads(json.dumps(preprocessor.config())))
    assert (again.transform(path) == preprocessor.transform(path)).all()
    for wrong in ({"first": "soon"}, {"first": 3}, {"form": "soon"}, {"form": 3}, {"scale": 0.0}, {"kind": "numbers"}):
        config = preprocessor.config()
        config["features"][0] |= wrong
        with pytest.raises(ValueError, match=r"the preprocessing"):
            Preprocessor.from_config(config)


def test_targets():
    classes = Preprocessor(target="ill").fit(TRAIN)
    assert (classes.classes_.tolist(), classes.targets(TRAIN).tolist()) == (["no", "yes"], [0, 0, 1, 0])
    assert (classes.n_features, classes.n_outputs) == (5, 2)
    numbers = Preprocessor(target="cost", columns=["age"]).fit(TRAIN)
    Y = numbers.targets(TRAIN)
    assert (Y.shape, numbers.classes_, numbers.n_outputs) == ((1, 4), None, 1)
    np.testing.assert_allclose([Y.mean(), Y.std()], [0, 1], atol=1e-15)
    np.testing.assert_allclose(numbers.in_units(Y), [[1, 3, 5, 7]])
    several = Preprocessor(target=["cost", "age"]).fit(TRAIN[~TRAIN.missing("age")])
    assert several.n_outputs == 2
    coded = Preprocessor(target="k", task="classification").fit({"x": [1, 2, 3], "k": [7, 9, 7]})
    assert (coded.classes_.tolist(), coded.targets({"x": [1], "k": [9.0]}).tolist()) == ([7, 9], [1])


def test_several_labels_are_targets_of_0_and_1():
    rows = {"x": [1, 2, 3], "wet": [0, 1, 1], "cold": [True, False, True]}
    preprocessor = Preprocessor(target=["wet", "cold"], task="classification").fit(rows)
    again = Preprocessor.from_config(json.loads(json.dumps(preprocessor.config())))
    for one in (preprocessor, again):
        assert (one.targets(rows).tolist(), one.n_outputs, one.classes_) == ([[0, 1, 1], [1, 0, 1]], 2, None)
        assert one.has_labels
    assert not Preprocessor(target=["wet", "x"], task="regression").fit(rows).has_labels


def test_columns_are_found_by_name_whatever_their_order():
    preprocessor = Preprocessor(target="ill").fit(TRAIN)
    X = preprocessor.transform(TRAIN)
    turned = Table({name: TRAIN[name] for name in ("cost", "sex", "ill", "age")})
    assert (preprocessor.transform(turned) == X).all()
    assert (preprocessor.transform(turned.without("ill")) == X).all()
    assert (preprocessor.transform(turned[1:2]) == X[:, 1:2]).all()
    extra = {**TRAIN.columns, "note": ["a"] * 4}
    assert (preprocessor.transform(extra, extra="ignore") == X).all()


def test_a_constant_column_and_a_single_row():
    preprocessor = Preprocessor().fit({"a": [0.1, 0.1, 0.1], "b": ["x"] * 3})
    assert preprocessor.transform([{"a": 0.1, "b": "x"}]).tolist() == [[0], [1]]
    single = Preprocessor().fit([{"a": 5, "b": "x"}])
    assert single.transform([{"a": 6, "b": "y"}]).tolist() == [[1], [0]]


def test_huge_integers():
    preprocessor = Preprocessor(scale=False).fit({"a": [2**62, 2**62 + 2**20]})
    assert preprocessor.transform({"a": [2**62]}).tolist() == [[2.0**62]]
    assert Preprocessor(scale=False).fit({"a": [10**30, 1]}).transform({"a": [10**30]}).tolist() == [[1e30]]


ROW = {"age": 1, "sex": "f", "cost": 2.0}
LARGE = {"a": [1e308, -1e308, 1.0]}
FIT = "Preprocessor.fit: "
ERRORS = [
    (lambda p: p.transform([{"age": 1, "sex": "f"}]),
     ("Preprocessor.transform: the columns 'cost' of training are missing; "
     "there are age, sex")),
    (lambda p: p.transform([{"age": 1, "Sex": "f", "cost": 1}]),
     ("Preprocessor.transform: the columns 'sex' of training are "
     "missing; 'Sex' is new: rename it; there are age, Sex, cost")),
    (lambda p: p.transform([{**ROW, "note": "x"}]),
     ("Preprocessor.transform: training had no columns 'note': leave them "
     "out by table.without(...), or say extra='ignore'")),
    (lambda p: p.transform([{**ROW, "age": "old"}]),
     ("Preprocessor.transform: column 'age', row 0: 'old' is text, and the "
     "column was numbers in training; is it a slip, or a gap by another name?")),
    (lambda p: p.transform([ROW, {**ROW, "age": np.inf}]),
     "Preprocessor.transform: column 'age', row 1 is infinite"),
    (lambda p: p.transform(ROW),
     "Preprocessor.transform: a dict of single values is one row: give [{...}], a list of rows"),
    (lambda p: p.transform(np.ones((3, 7))),
     ("Preprocessor.transform: rows has shape (3, 7), expected (N, 3), a row for "
     "each example with the columns age, sex, cost: rows.T (7, 3) fits")),
    (lambda p: p.transform([ROW], extra="drop"),
     "Preprocessor.transform: extra='drop', expected 'error' or 'ignore'"),
    (lambda p: p.targets([ROW]),
     "Preprocessor.targets: there is no column 'ill'; the columns are age, sex, cost"),
    (lambda p: p.targets([{**ROW, "ill": "maybe"}]),
     ("Preprocessor.targets: column 'ill', row 0 has the class 'maybe', which "
     "training did not have; there were no, yes")),
    (lambda p: Preprocessor(unknown="error").fit(TRAIN).transform([{**ROW, "ill": "noo"}]),
     ("Preprocessor.transform: column 'ill', row 0 has 'noo', which training did not have (did you mean 'no'?); "
      "unknown='zero' takes it as none of them")),
    (lambda p: Preprocessor(unknown="error").fit(TRAIN).transform([{**ROW, "ill": None}]),
     ("Preprocessor.transform: column 'ill', row 0 is a gap, which training did not have: there were no, yes; "
      "unknown='zero' takes it as none of them")),
    (lambda p: Preprocessor(fill=None).fit(TRAIN),
     FIT + "column 'age' has 1 gaps, the first in row 1: say fill='mean', "
     "'median', 'most_frequent' or a number"),
    (lambda p: Preprocessor(fill=None).fit(TRAIN[2:]).transform(TRAIN),
     ("Preprocessor.transform: column 'age', row 1 is a "
     "gap, and none is filled (fill=None): fill it, or leave the row out")),
    (lambda p: Preprocessor().fit({"a": [None, None]}),
     FIT + "column 'a' has no value at all: table.without('a')"),
    (lambda p: Preprocessor().fit({"a": [1.0, np.inf]}),
     FIT + "column 'a' has an infinite value: leave such rows out"),
    (lambda p: Preprocessor().fit(LARGE),
     FIT + "column 'a' is too large for float64: take another unit"),
    (lambda p: Preprocessor(max_categories=2).fit({"a": ["x", "y", "z"]}),
     FIT + "column 'a' has 3 different texts in 3 rows, "
     "as 'x': leave it out by table.without('a'), or give max_categories=3"),
    (lambda p: Preprocessor(max_categories=2).fit({"signup": ["2024-01-03", "2024-01-01", None, "2024-02-01"]}),
     FIT + "column 'signup' has 3 different texts in 4 rows, as '2024-01-01': Preprocessor(dates=['signup']) makes "
     "numbers of dates; or leave it out by table.without('signup'), or give max_categories=3"),
    (lambda p: Preprocessor(dates=["day"]).fit({"day": ["2024-01-03", "03.01.2024"]}),
     FIT + "column 'day', row 1: '03.01.2024' is no date such as 2024-03-31; "
     "dates={'day': '%d.%m.%Y'} reads it"),
    (lambda p: Preprocessor(dates=["day"]).fit({"day": ["03.01.2024", "13.01.2024"]}),
     FIT + "column 'day', row 0: '03.01.2024' is no date such as 2024-03-31; dates={'day': '%d.%m.%Y'} reads it"),
    (lambda p: Preprocessor(dates=["day"]).fit({"day": ["03/01/2024"]}),
     FIT + "column 'day', row 0: '03/01/2024' is no date such as 2024-03-31; dates={'day': '%d/%m/%Y'} or "
     "dates={'day': '%m/%d/%Y'} reads it"),
    (lambda p: Preprocessor(dates={"day": "%d.%m.%Y"}).fit({"day": ["3.1.2024", "31.2.2024"]}),
     FIT + "column 'day', row 1: '31.2.2024' is no date such as 31.03.2024"),
    (lambda p: Preprocessor(dates={"day": "DD.MM.YYYY"}),
     "Preprocessor: dates={'day': 'DD.MM.YYYY'}, expected how days are written, as '%d.%m.%Y' for 31.03.2024"),
    (lambda p: Preprocessor(max_categories=2).fit({"day": ["03.01.2024", "02.01.2024", "13.01.2024"]}),
     FIT + "column 'day' has 3 different texts in 3 rows, as '02.01.2024': Preprocessor(dates={'day': '%d.%m.%Y'}) "
     "makes numbers of dates; or leave it out by table.without('day'), or give max_categories=3"),
    (lambda p: Preprocessor(dates=["day"]).fit({"day": ["2024-01-03"]}).transform({"day": ["2024-02-30"]}),
     "Preprocessor.transform: column 'day', row 0: '2024-02-30' is no date such as 2024-03-31"),
    (lambda p: Preprocessor(target="a").fit({"x": range(150), "a": [f"H{i}" for i in range(150)]}),
     FIT + "the target 'a' has 150 different texts in 150 rows, as 'H0', which are no classes: predict another column"),
    (lambda p: Preprocessor().classes_, "Preprocessor has no attribute 'classes_': it is measured by fit(train)"),
    (lambda p: p.fit_transform, "Preprocessor has no attribute 'fit_transform': fit(rows).transform(rows)"),
    (lambda p: p.columns_, "Preprocessor has no attribute 'columns_'"),
    (lambda p: Preprocessor(target=["a", "b"]).fit({"x": [1, 2], "a": [0, 1], "b": [1, 1]}),
     FIT + "the targets 'a', 'b' hold 0 and 1 alone: say task='classification' for labels that a row has or has not, "
     "or task='regression'"),
    (lambda p: Preprocessor(target=["a", "b"], task="classification").fit({"x": [1, 2], "a": [0, 1], "b": [1, 2]}),
     FIT + "the target 'b', row 1 holds 2, expected 0 or 1, or truth values, as a row has one of several labels or "
     "has not"),
    (lambda p: Preprocessor(dates=["day"]).fit({"days": ["2024-01-03"]}),
     FIT + "there is no column 'day'; did you mean 'days'?"),
    (lambda p: Preprocessor(dates=["day"]).fit({"day": [None, None]}),
     FIT + "column 'day' has no value at all: table.without('day')"),
    (lambda p: Preprocessor(target="il").fit(TRAIN),
     FIT + "there is no column 'il'; did you mean 'ill'?"),
    (lambda p: Preprocessor(target="a").fit({"a": ["x", "y"]}),
     FIT + "no column is left to predict from, besides the target "
     "['a']"),
    (lambda p: Preprocessor(target="age").fit(TRAIN),
     FIT + "the target 'age' has a gap in row 1: leave such rows out by "
     "table[~table.missing('age')]"),
    (lambda p: Preprocessor(target="k").fit({"x": [1, 2], "k": [0, 1]}),
     FIT + "the target 'k' has whole numbers, 2 different "
     "ones: say task='classification' or task='regression'"),
    (lambda p: Preprocessor(target="k").fit({"x": [1, 2], "k": ["a", "a"]}),
     FIT + "the target 'k' has one class only, 'a'"),
    (lambda p: Preprocessor(target="k", task="regression").fit({"x": [1], "k": ["a"]}),
     FIT + "the target 'k' is text, and "
     "numbers are to be learnt"),
    (lambda p: Preprocessor(target="k", task="classification").fit({"x": [1, 2], "k": [0.5, 1]}),
     FIT + "the target 'k' has "
     "fractions, which are no classes: task='regression'"),
    (lambda p: Preprocessor(target="a", columns=["a"]).fit({"a": [1.5]}),
     FIT + "['a'] is the target, and among columns= as "
     "well"),
    (lambda p: Preprocessor().fit(Table({"a": []})),
     FIT + "the table has no rows"),
    (lambda p: Preprocessor().transform(TRAIN),
     "Preprocessor.transform was asked for before fit; call fit(train) first"),
    (lambda p: Preprocessor().n_features,
     "Preprocessor.n_features was asked for before fit; call fit(train) first"),
    (lambda p: Preprocessor(columns=["age"]).fit(TRAIN).n_outputs,
     ("Preprocessor: there is no target: "
     "Preprocessor(target=...)")),
    (lambda p: Preprocessor(fill="average"),
     ("Preprocessor: fill='average', expected 'mean', 'median', 'most_frequent', a "
     "number or None")),
    (lambda p: Preprocessor(encode="onehot"),
     "Preprocessor: encode='onehot', expected one of 'one_hot', 'index'"),
    (lambda p: Preprocessor(fill=True),
     "Preprocessor: fill=True, expected 'mean', 'median', 'most_frequent', a number or None"),
    (lambda p: Preprocessor(columns="age"), "Preprocessor: columns='age', expected a list of names of columns"),
    (lambda p: Preprocessor(target=["a", "a"]), "Preprocessor: target names 'a' twice"),
    (lambda p: Preprocessor(max_categories="many"),
     "Preprocessor: max_categories='many' is of type str, expected an int"),
    (lambda p: Preprocessor(dtype=np.float16, scale=False).fit({"a": [1e6]}).transform({"a": [2.0, 1e6]}),
     "Preprocessor.transform: column 'a', row 1: 1e+06 is too large for float16"),
    (lambda p: p.targets([{**ROW, "ill": None}]),
     "Preprocessor.targets: the target 'ill' has a gap in row 0: leave such rows out by table[~table.missing('ill')]"),
    (lambda p: Preprocessor(target="cost").fit(TRAIN).targets([{"cost": 1.0}, {"cost": None}]),
     ("Preprocessor.targets: the target 'cost' has a gap in row 1: leave such rows out by "
      "table[~table.missing('cost')]")),
    (lambda p: Preprocessor(dtype=int),
     ("Preprocessor: dtype=int64 cannot hold values between 0 and 1; give np.float32 or "
     "np.float64")),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "message"), ERRORS, ids=range(len(ERRORS)))
def test_errors(raised, ask, message):
    fitted = Preprocessor(target="ill").fit(TRAIN)
    assert raised((ValueError, TypeError, RuntimeError, AttributeError), ask, fitted) == message


# --- saved


@pytest.mark.parametrize("target", ["ill", "cost", ["cost"], None])
@pytest.mark.parametrize("settings", [{}, {"indicator": True, "encode": "index"}, {"scale": False, "unknown": "error"}])
def test_the_same_after_saving(target, settings):
    preprocessor = Preprocessor(target=target, **settings).fit(TRAIN)
    config = json.loads(json.dumps(preprocessor.config()))
    again = Preprocessor.from_config(config)
    assert (again.transform(TRAIN) == preprocessor.transform(TRAIN)).all()
    assert json.loads(json.dumps(again.config())) == config
    assert again.feature_names == preprocessor.feature_names
    if target:
        assert (again.targets(TRAIN) == preprocessor.targets(TRAIN)).all()


def test_files_are_read_as_in_training(tmp_path):
    train, new = tmp_path / "train.csv", tmp_path / "new.csv"
    train.write_text("# export\nzip;x;y\n01234;1,5;NA\n99999;-99;b\n01234;2,5;b\n", "cp1252")
    table = load_table(train, text=["zip"], delimiter=";", decimal=",", comment="#", encoding="cp1252", missing=["-99"])
    part, _ = table.split((0.67, 0.33), rng=1)
    config = json.loads(json.dumps(Preprocessor(target="y", scale=False).fit(table).config()))
    again = Preprocessor.from_config(config)
    assert again.classes_.tolist() == ["NA", "b"]
    new.write_text("x;zip\n-99;01234\n7,5;99999\n", "cp1252")
    X = again.transform(new)
    assert X.T.tolist() == [[1, 0, 2.0], [0, 1, 7.5]]
    assert part.reading == table.reading


MUTANTS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "numbers", "classes", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "names"]), inner, max_size=2),
    max_leaves=5,
)


def places(config, path=()):
    """Every place in a configuration."""
    yield path
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


@given(st.data())
def test_a_forged_configuration_is_refused_or_works(data):
    """Whatever a file says: a ValueError, or a preprocessor that transforms."""
    settings = {"indicator": True, "encode": data.draw(st.sampled_from(["one_hot", "index"]))}
    preprocessor = Preprocessor(target=data.draw(st.sampled_from(["ill", "cost"])), **settings).fit(TRAIN)
    config = json.loads(json.dumps(preprocessor.config()))
    path = data.draw(st.sampled_from(list(places(config))))
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    if path:
        inner[path[-1]] = data.draw(MUTANTS)
    else:
        config = data.draw(MUTANTS)
    try:
        forged = Preprocessor.from_config(config)
        X = forged.transform(TRAIN, extra="ignore")
    except ValueError:
        return
    assert X.shape == (forged.n_features, 4)


# --- load_csv in one call


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("age,sex,y\n30,f,1\nNA,m,0\n50,,1\n")
    return path


def test_load_csv_with_text_and_gaps(csv):
    X, y = load_csv(csv, "y", fill="mean", categories="one_hot")
    assert X.tolist() == [[30, 40, 50], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert y.tolist() == [1, 0, 1]
    assert load_csv(csv, "y", fill=0, categories="index", indicator=True)[0].tolist() == [
        [30, 0, 50], [0, 1, 0], [1, 2, 3],
    ]  # fmt: skip
    np.testing.assert_array_equal(load_csv(csv, columns=["age"], missing=["NA"]), [[30, np.nan, 50]])
    assert load_csv(csv, "y", columns=[0], fill="median")[0].tolist() == [[30, 40, 50]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["age"]},
         ("load_csv: {path}, line 3, column 'age': 'NA' is not a number; fill the gap, or leave the "
         "row out")),
        ({"fill": "mean"},
         ("load_csv: {path}, line 2, column 'sex': 'f' is not a number; "
         "missing=[*tn.data.GAPS, 'f'] makes a gap of it; categories='one_hot' codes text")),
        ({"categories": "one_hot"}, "load_csv: {path}, column 'age' has gaps: say what takes their place by fill="),
        ({"columns": ["age", "y"], "target": "y"},
         "load_csv: column 'y' is among columns= and the target as well"),
        ({"columns": "age"}, "load_csv: columns='age', expected a list of names or numbers"),
        ({"fill": "max", "categories": "index"},
         ("Preprocessor: fill='max', expected 'mean', 'median', 'most_frequent', a "
         "number or None")),
        ({"categories": "dummies", "fill": 0},
         "Preprocessor: encode='dummies', expected one of 'one_hot', 'index'"),
        ({"target": "sex", "columns": ["y"], "missing": [""]},
         "load_csv: {path}, line 4, column 'sex' is empty; fill the gap, or leave the row out"),
    ],
)  # fmt: skip
def test_load_csv_says_what_to_do(raised, csv, settings, message):
    assert raised(ValueError, load_csv, csv, **settings) == message.format(path=csv)


@pytest.mark.parametrize("large", [False, True])  # by Python's reader, and by Arrow's
def test_load_csv_makes_no_categories_of_ids_and_dates(raised, tmp_path, large):
    path = tmp_path / "t.csv"
    n, long = 120, "x" * 70_000 * large
    path.write_text(f"id,day,{long}\n" + "".join(f"c{i:03},20{i // 12 + 10}-{i % 12 + 1:02}-01,1\n" for i in range(n)))
    others = "choose others by columns=[...]; load_table and a Preprocessor(max_categories=...) take them all"
    assert raised(ValueError, load_csv, path, columns=["id"], categories="one_hot") == (
        f"load_csv: {path}: column 'id' has 120 different texts in 120 rows, as 'c000': {others}"
    )
    assert raised(ValueError, load_csv, path, columns=["day"], categories="index") == (
        f"load_csv: {path}: column 'day' has 120 different texts in 120 rows, as '2010-01-01': "
        f"Preprocessor(dates=['day']) makes numbers of dates; or {others}"
    )


def test_a_real_table():
    table = load_table(penguins_csv())
    preprocessor = Preprocessor(target="species", indicator=True).fit(table)
    X, y = preprocessor.pair(table)
    assert X.shape == (preprocessor.n_features, 344)
    assert np.isfinite(X).all()
    assert np.bincount(y).tolist() == [152, 68, 124]
    assert preprocessor.classes_.tolist() == ["Adelie", "Chinstrap", "Gentoo"]
