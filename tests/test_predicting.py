"""`tinygrad-nn predict`: a saved model and a raw file, in another process."""

import csv
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import cli
from tinygrad_nn.data import Preprocessor, load_table, penguins_csv
from tinygrad_nn.predicting import in_options, predictions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained model of the penguins, another of their mass, and a plain network."""
    folder = tmp_path_factory.mktemp("models")
    table = load_table(penguins_csv())
    preprocessor = Preprocessor(target="species").fit(table)
    rng = np.random.default_rng(0)
    network = tn.nn.Sequential(
        tn.nn.Dense(preprocessor.n_features, 8, "relu", rng=rng), tn.nn.Dense(8, preprocessor.n_outputs, rng=rng)
    )
    optimizer = tn.optim.Adam(network.parameters(), lr=0.02)
    tn.fit(network, tn.cross_entropy, optimizer, preprocessor.pair(table), epochs=10, rng=0)
    tn.nn.Predictor(network, preprocessor).save(folder / "species")
    mass = table[~table.missing("body_mass_g")]
    preprocessor = Preprocessor(target="body_mass_g", indicator=True).fit(mass)
    tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(preprocessor.n_features, 1, rng=0)), preprocessor).save(
        folder / "mass"
    )
    tn.nn.Sequential(tn.nn.Dense(2, 2, rng=0)).save(folder / "plain.npz")
    return folder


def read(text):
    names, *rows = csv.reader(text.splitlines())
    return names, rows


def test_in_another_process(folder, tmp_path):
    raw = tmp_path / "raw.csv"
    raw.write_text("sex,year,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g\r\n"
                   "male,2007,Torgersen,39.1,18.7,181,3750\r\nNA,2009,Dream,,NA,217,5300\r\n")  # fmt: skip
    command = [sys.executable, "-W", "error", "-m", "tinygrad_nn", "predict", str(folder / "species.safetensors")]
    done = subprocess.run([*command, str(raw)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    model = tn.nn.load(folder / "species")
    assert read(done.stdout) == (["species"], [[label] for label in model.predict(raw)])


def test_probabilities_to_a_file(folder, tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    status = cli.main(["predict", str(folder / "species"), str(penguins_csv()), "--proba", "--out", str(out)])
    assert (status, capsys.readouterr().out) == (0, f"344 predictions: {out}\n")
    names, rows = read(out.read_text("utf-8"))
    assert names == ["species=Adelie", "species=Chinstrap", "species=Gentoo"]
    model = tn.nn.load(folder / "species")
    np.testing.assert_array_equal(np.array(rows, float), model.predict_proba(penguins_csv()))  # to the last bit


def test_numbers(folder, capsys):
    assert cli.main(["predict", str(folder / "mass"), str(penguins_csv())]) == 0
    names, rows = read(capsys.readouterr().out)
    assert names == ["body_mass_g"]
    np.testing.assert_array_equal(np.array(rows, float)[:, 0], tn.nn.load(folder / "mass").predict(penguins_csv()))


def test_a_network_without_preprocessing_takes_rows_of_numbers(folder, tmp_path, capsys):
    raw = tmp_path / "raw.csv"
    raw.write_text("a;b\n1,5;2\n3;4\n")
    assert cli.main(["predict", str(folder / "plain.npz"), str(raw), "--delimiter", ";", "--decimal", ","]) == 0
    names, rows = read(capsys.readouterr().out)
    network = tn.nn.load(folder / "plain.npz")
    assert names == ["y0", "y1"]
    np.testing.assert_array_equal(np.array(rows, float), network(np.array([[1.5, 3], [2, 4]])).numpy().T)


def test_a_file_written_in_another_way(folder, tmp_path, capsys):
    raw = tmp_path / "raw.csv"
    raw.write_text("% from Excel\nsex;year;island;bill_length_mm;bill_depth_mm;flipper_length_mm;body_mass_g;größe\n"
                   "male;2007;-;39,1;-;181;3750;1\n", "cp1252")  # fmt: skip
    options = ["--delimiter=;", "--decimal=,", "--comment=%", "--encoding=cp1252", "--missing=-", "--ignore-extra"]
    assert cli.main(["predict", str(folder / "species"), str(raw), *options]) == 0
    row = {"sex": "male", "year": 2007, "island": None, "bill_length_mm": 39.1, "bill_depth_mm": None,
           "flipper_length_mm": 181, "body_mass_g": 3750}  # fmt: skip
    assert read(capsys.readouterr().out)[1] == [tn.nn.load(folder / "species").predict([row]).tolist()]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("none data.csv", "there is no file none.safetensors"),
        ("species none.csv", "there is no file none.csv"),
        ("species .", "cannot read .: Is a directory"),
        ("data.csv data.csv", "data.csv ends in '.csv', expected .safetensors or .npz"),
        ("broken.npz data.csv", "broken.npz is not a whole checkpoint"),
        ("species empty.csv", "load_table: empty.csv is empty, expected one example per line"),
        ("species data.csv", "Preprocessor.transform: the columns 'island', 'bill_length_mm'"),
        ("mass data.csv --proba", "mass predicts numbers, which have no probabilities: leave out --proba"),
        ("species extra.csv", "training had no columns 'note': --ignore-extra leaves them out\n"),
        ("mass slip.csv", "column 'year': 'x' is not a number; --missing 'x' makes a gap of it\n"),
        ("mass comma.csv --delimiter=;", "column 'year': '7,5' is not a number; --decimal ',' reads it\n"),
        (
            "mass comma.csv",
            "comma.csv, line 2 has 2 cells, line 1 has 1; is --delimiter ';' what separates its cells?\n",
        ),
        (
            "plain.npz text.csv",
            "column 'b' is text, and plain.npz has no preprocessor: save tn.nn.Predictor(network, preprocessor)\n",
        ),
        (
            "plain.npz odd.csv",
            "'x' is not a number, as 2 of 3 cells of the column are; --missing 'x' makes a gap of it\n",
        ),
        ("plain.npz gap.csv", "load_csv: gap.csv, line 2, column 'b': '' is not a number; fill the gap"),
        ("plain.npz data.csv", "Predictor: X has shape (1, 3), expected rows (N, 2), one for each example"),
        (
            "species latin.csv",
            "); --encoding 'cp1252' reads what older programs of Windows wrote, or save it in UTF-8\n",
        ),
        ("species data.csv --delimiter=;;", "--delimiter ';;', expected a single character"),
        ("species data.csv --encoding utf-9", "there is no encoding 'utf-9'"),
        (f"species {penguins_csv()} -o no/such.csv", "cannot write no/such.csv: No such file or directory"),
    ],
)
def test_mistakes_are_answered_in_one_line(folder, monkeypatch, capsys, arguments, answer):
    monkeypatch.chdir(folder)
    (folder / "broken.npz").write_bytes(b"PK")
    (folder / "empty.csv").write_text("")
    (folder / "data.csv").write_text("a,b,c\n1,2,3\n")
    (folder / "text.csv").write_text("a,b\n1,x\n")
    (folder / "odd.csv").write_text("a,b\n1,1\n1,2\n1,x\n")
    (folder / "gap.csv").write_text("a,b\n1,\n")
    names = tn.nn.load(folder / "species").preprocessor.known[1:]
    for file, mark, year, more in (("extra", ",", "7", ["note"]), ("slip", ",", "x", []), ("comma", ";", "7,5", [])):
        cells = [year if name == "year" else "1" for name in [*names, *more]]
        (folder / f"{file}.csv").write_text(f"{mark.join([*names, *more])}\n{mark.join(cells)}\n")
    (folder / "latin.csv").write_text("größe,b\n1,2\n", "cp1252")
    assert cli.main(["predict", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tinygrad-nn: error: ")
    assert answer in error
    assert error.count("\n") == 1


def test_dates_of_a_raw_file(tmp_path, capsys):
    """They are counted from the first day of training, which the model's file knows."""
    raw = tmp_path / "raw.csv"
    raw.write_text("signup,n\n2024-03-01,1\n2024-02-28,2\n2024-02-29,3\n")
    preprocessor = Preprocessor(target="n", dates=["signup"], scale=False, task="regression").fit(load_table(raw))
    network = tn.nn.Sequential(tn.nn.Dense(1, 1, rng=0))
    network[0].W.data[:], network[0].b.data[:] = 2, 1
    tn.nn.Predictor(network, preprocessor).save(tmp_path / "m")
    raw.write_text("signup\n2024-03-02\n2024-02-27\n")
    assert cli.main(["predict", str(tmp_path / "m"), str(raw)]) == 0
    assert read(capsys.readouterr().out) == (["n"], [["7.0"], ["-1.0"]])


def test_arguments_in_messages_become_options():
    said = "column 'a': '-' is not a number; missing=[*tn.data.GAPS, '-', \"don't know\"] makes gaps"
    options = "column 'a': '-' is not a number; --missing '-' --missing \"don't know\" makes gaps"
    assert in_options(said + "; text=[...] takes the column as text") == options
    odd = said.replace("'a'", "'missing=['")
    assert in_options(odd) == odd


def test_what_is_missing_is_added_to_what_was_in_training(tmp_path):
    (tmp_path / "gaps.csv").write_text("a,b\n1,-\nNA,2\n")
    table = load_table(tmp_path / "gaps.csv", missing=["NA", "-"])
    preprocessor = Preprocessor().fit(table)
    tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(2, 1, rng=0)), preprocessor).save(tmp_path / "m.npz")
    (tmp_path / "new.csv").write_text("a,b\n1,-\nNA,2\nnone,3\n")
    assert predictions(tmp_path / "m.npz", tmp_path / "new.csv", missing=["none"])[1].shape == (3, 1)
