"""tinygrad-nn export: a saved network becomes an ONNX model, and what is wrong is said in one line."""

import subprocess
import sys

import numpy as np
import pytest
from exported_models import close, run_runtime

import tinygrad_nn as tn
from tinygrad_nn import cli

pytestmark = pytest.mark.engines
onnx = pytest.importorskip("onnx")


def network(dtype="float32"):
    return tn.nn.Sequential(
        tn.nn.Dense(3, 5, "gelu", rng=0, dtype=dtype), tn.nn.Dropout(0.3, rng=0), tn.nn.Dense(5, 2, rng=1, dtype=dtype)
    )


def test_in_a_process_of_its_own(tmp_path):
    pytest.importorskip("onnxruntime")
    model = network()
    model.save(tmp_path / "model.safetensors", tn.optim.Adam(model.parameters()))
    command = [sys.executable, "-W", "error", "-m", "tinygrad_nn", "export", "model.safetensors", "model.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("model: model.onnx (")
    x = np.random.default_rng(0).normal(size=(3, 9)).astype(np.float32)
    close(run_runtime(onnx.load(tmp_path / "model.onnx"), x)[0], model.eval()(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.safetensors"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["none.safetensors", "m.onnx"], "none.safetensors: No such file or directory"),
        (["model.npz", "no/where/m.onnx"], "no/where: there is no such folder"),
        (["model.npz", "m.onnx", "--shape", "4"], "expects examples as columns, shape (3, N)"),
        (["model.npz", "m.onnx", "--shape", "a,b"], "--shape a,b: expected numbers such as 784 or 3,8,8"),
        (["model.npz", "m.onnx", "--shape", "0"], "--shape 0: expected numbers"),
        (["broken.npz", "m.onnx"], "is not a whole checkpoint"),
        (["activation.npz", "m.onnx"], "--shape says the shape of one example"),
    ],
)
def test_mistakes_are_answered_in_one_line(command, answer, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network().save("model.npz")
    tn.nn.Activation("relu").save("activation.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert cli.main(["export", *command]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-nn: error: ")
    assert answer in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("*.onnx*"))


def test_what_stands_before_the_network_of_a_table_is_not_in_the_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = tn.data.Table({"size": [1.0, 2, 8], "kind": ["a", "b", "a"], "sold": ["no", "no", "yes"]})
    preprocessor = tn.data.Preprocessor(target="sold").fit(table)
    tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(3, 2, rng=0)), preprocessor).save("sold.npz")
    assert cli.main(["export", "sold.npz", "m.onnx"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "It takes the features that preprocessor.transform(rows) makes, not the rows of the table: size, kind=a, kind=b"
    ]


def test_the_shape_of_one_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tn.nn.Sequential(tn.nn.Flatten(), tn.nn.Dense(12, 2, rng=0)).save("images.npz")
    assert cli.main(["export", "images.npz", "m.onnx", "--shape", "3,2,2"]) == 0
    assert "input 3×2×2×N" in capsys.readouterr().out
    (given,) = onnx.load("m.onnx").graph.input
    assert [d.dim_value or d.dim_param for d in given.type.tensor_type.shape.dim] == [3, 2, 2, "N"]
