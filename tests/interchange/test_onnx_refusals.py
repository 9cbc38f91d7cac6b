"""What cannot be an ONNX model is refused, in words; names, shapes, files and metadata of what can."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exported_models import close, run_runtime

import tinygrad_nn as tn

pytestmark = pytest.mark.engines
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(1)
X = RNG.normal(size=(3, 5))
ROW = RNG.normal(size=(1, 5))
CALLS = []


def counted(x):
    CALLS.append(x)
    return x * len(CALLS)


def written_into(x):
    x[0] = 1.0
    return x


def accumulated(x):
    tn.sum((WEIGHT @ x) ** 2).backward()
    return WEIGHT.grad


WEIGHT = tn.tensor(RNG.normal(size=(2, 3)), requires_grad=True)
HERE = r"test_onnx_refusals\.py:\d+"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: tn.sum(x, axis=0) if x.shape[1] > 6 else tn.mean(x, axis=0),
         rf"on the batch size: mean to shape \(5,\) \(.*{HERE}\) with N = 5, sum to shape \(10,\) .* with N = 10"),
        (lambda x: x if float(tn.sum(x)) > 0 else -x, r"__float__\(\) looks at numbers|float\(\) looks at numbers"),
        (lambda x: np.asarray(x) * 2, r"a conversion to an array \(np\.asarray, \.numpy\(\)\) looks at numbers"),
        (lambda x: x + np.random.default_rng(0).normal(size=x.shape),
         rf"a constant array of shape \(3, 5\), used in .*{HERE}: the number .* follows no formula"),
        (lambda x: x @ np.eye(x.shape[1]), rf"used in .*{HERE}: an array of shape \(5, 5\) with N = 5, whose num"),
        (lambda x: x * ROW, r"fails with N = 10 examples, where X has 5 \(ShapeError: .*batch_axis=None exports"),
        (lambda x: x * x.shape[1] ** 2, rf"step 1, multiply \(.*{HERE}\): the number 25 with N = 5, 100 with N = 10"),
        (lambda x: x + np.random.default_rng().normal(), r"in one run is .* in the next, on the same input"),
        (counted, r"step 1, multiply .*: 1 in one run is 2 in the next, on the same input"),
        (accumulated, r"returns other numbers at its second call, .* as backward\(\) adds to \.grad"),
        (written_into, r"x\[\.\.\.\] = values writes into an array in place"),
        (lambda x: x[x > 0], r"a mask selects as many elements as .* tn\.where\(mask, x, 0\.0\) keeps the shape"),
        (lambda x: tn.squeeze(x[:1] * np.ones((1, 1))), r"with N = 1; with one example the function drops an axis"),
        (lambda x: None, r"the function returned Y of type NoneType: expected a tensor"),
        (lambda x: {}, r"the function returned nothing"),
        (lambda x: tn.svd(x), rf"^svd is not exported: ONNX has no operation that solves.*{HERE}"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(function, said):
    CALLS.clear()
    WEIGHT.grad = None
    with pytest.raises(tn.ExportError, match=said):
        tn.onnx.export(function, X)


def test_own_operations_that_are_more_than_a_list_of_operations():
    odd = tn.op(lambda x: np.asarray([v if v > 0 else -v for v in x.ravel()]).reshape(x.shape), "odd({x})",
                lambda g, y, x: g, name="odd_to_export", kind="elementwise")  # fmt: skip
    try:
        with pytest.raises(tn.ExportError, match=r"^odd_to_export is not exported: .* looks at numbers"):
            tn.onnx.export(odd, X)
    finally:
        del tn.ops.BY_NAME["odd_to_export"], tn.Tensor.odd_to_export


@pytest.mark.parametrize(
    ("layer", "said"),
    [(tn.nn.Dropout(0.5, rng=0), "Dropout in training mode, which draws a mask at random"),
     (tn.nn.BatchNorm(3), "BatchNorm in training mode, which measures the batch")],
)  # fmt: skip
def test_layers_in_training_mode_are_refused(layer, said):
    network = tn.nn.Sequential(tn.nn.Dense(3, 3, rng=0), layer)
    with pytest.raises(
        tn.ExportError, match=rf"layer 'layers\.1' is a {said} at each call: call model\.eval\(\) first"
    ):
        tn.onnx.export(network, X)
    tn.onnx.export(network.eval(), X)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tn.onnx.export(3, X), TypeError, "int is no network and no function"),
        (lambda: tn.onnx.export(tn.tanh, ()), TypeError, "give an example of each input"),
        (lambda: tn.onnx.export(tn.tanh, X[:, :0]), tn.ExportError, "X has no example"),
        (lambda: tn.onnx.export(tn.tanh, X * 1j), tn.ExportError, "dtype complex128, which is not exported"),
        (lambda: tn.onnx.export(tn.tanh, X, batch_axis=7), ValueError, r"batch_axis=7, and X has shape \(3, 5\)"),
        (lambda: tn.onnx.export(tn.tanh, X, batch_axis=(0, 1)), ValueError, r"batch_axis=\(0, 1\) for 1 inputs"),
        (lambda: tn.onnx.export(tn.tanh, X, names="a"), TypeError, r"expected several names, \('a',\) for one"),
        (lambda: tn.onnx.export(tn.tanh, X, names=["a", "a"]), ValueError, "are not all different"),
        (lambda: tn.onnx.export(tn.tanh, X, names=["a", "b", "c"]), ValueError, "3 names for 2 inputs and outputs"),
        (lambda: tn.onnx.export(tn.tanh, X, names={"Q": "a"}), ValueError, "names has 'Q'; there are x, Y"),
        (lambda: tn.onnx.export(tn.tanh, X, "no/where/m.onnx"), FileNotFoundError, "no/where: there is no such folder"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_weights_of_more_than_a_file_holds(monkeypatch):
    monkeypatch.setattr("tinygrad_nn.onnx.api.LARGEST", 100)
    with pytest.raises(tn.ExportError, match=r"the weights take 8,000 bytes, and an ONNX model in one file holds 100:"):
        tn.onnx.export(lambda x: np.ones((1000, 1)) * x[:1], X)


# --- names, shapes, files --------------------------------------------------------------------------------------------


def test_names_of_weights_results_inputs_and_outputs():
    network = tn.nn.Sequential(tn.nn.Dense(3, 2, "tanh", rng=0), tn.nn.Dense(2, 1, rng=0))
    model = tn.onnx.export(network, X)
    assert [x.name for x in model.graph.initializer] == ["layers.0.W", "layers.0.b", "layers.1.W", "layers.1.b"]
    assert {"Z¹", "A¹"} <= {node.output[0] for node in model.graph.node}
    assert [x.name for x in (*model.graph.input, *model.graph.output)] == ["X", "Y"]
    notes = {x.key: x.value for x in model.metadata_props}
    assert notes["layout"] == "N is the number of examples, which may be any"
    assert tn.nn.build(json.loads(notes["architecture"])).config() == network.config()
    assert (model.producer_name, model.ir_version, model.opset_import[0].version) == ("tinygrad_nn", 8, 18)
    model = tn.onnx.export(network, X, names={"X": "in.put", "Y": "ŷ"})
    assert [x.name for x in (*model.graph.input, *model.graph.output)] == ["in.put", "ŷ"]


def test_tied_weights_are_there_once():
    shared = tn.nn.Dense(3, 3, "tanh", rng=0)
    model = tn.onnx.export(tn.nn.Sequential(shared, shared), X)
    assert [x.name for x in model.graph.initializer] == ["layers.0.W", "layers.0.b"]


def dims(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_several_inputs_and_outputs():
    def function(a, w, shift):
        return {"sum": w @ a + shift, "parts": (tn.sum(a), a * 2), "flat": a.reshape(-1)}

    given = (X, RNG.normal(size=(5, 3)), np.float64(2.0))
    model = tn.onnx.export(function, given, batch_axis=(-1, None, None))
    assert {x.name: dims(x) for x in model.graph.input} == {"a": [3, "N"], "w": [5, 3], "shift": []}
    assert {x.name: dims(x) for x in model.graph.output} == {
        "sum": [5, "N"], "parts.0": [], "parts.1": [3, "N"], "flat": ["3*N"],
    }  # fmt: skip
    some = (X[:, :2], *given[1:])
    expected = function(*some)
    for got, wanted in zip(
        run_runtime(model, *some), (expected["sum"], *expected["parts"], expected["flat"]), strict=True
    ):
        close(np.asarray(got), wanted)


def test_integers_bools_and_tensors_as_inputs():
    table = RNG.normal(size=(4, 3))
    for function, x in (
        (lambda i: tn.take(table, i, axis=0), np.array([0, 3, 1, 1, 2])),
        (lambda m: tn.where(m, 1.0, -1.0), np.array([[True, False, True, True]])),
        (lambda t: t * 2, tn.tensor(X, requires_grad=True)),
    ):
        model = tn.onnx.export(function, x)
        plain = x.data if isinstance(x, tn.Tensor) else x
        close(run_runtime(model, plain[..., :2])[0], np.asarray(function(plain[..., :2])))


def test_an_example_of_one_column_is_enough():
    network = tn.nn.Sequential(tn.nn.Dense(3, 4, "relu", rng=0), tn.nn.Dense(4, 2, "softmax", rng=1))
    model = tn.onnx.export(network, X[:, :1])
    for n in (1, 2, 7, 0):
        x = RNG.normal(size=(3, n))
        close(run_runtime(model, x)[0], network(x))


def test_shapes_that_do_not_follow_stay_fixed():
    model = tn.onnx.export(lambda x: x * ROW, X, batch_axis=None)
    assert dims(model.graph.input[0]) == [3, 5]
    assert {x.key: x.value for x in model.metadata_props} == {"layout": "the shape of the input is fixed"}


def test_files(tmp_path):
    for path in (tmp_path / "ü b.onnx", str(tmp_path / "c.onnx")):
        for _ in range(2):  # over the former one
            model = tn.onnx.export(tn.tanh, X, path)
            assert onnx.load(path) == model
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.onnx", "ü b.onnx"]
    with pytest.raises(OSError, match="is no regular file but a folder"):
        tn.onnx.export(tn.tanh, X, tmp_path)


def test_without_the_extra_one_sentence_says_what_to_install():
    code = "import sys; sys.modules['onnx'] = None\nimport tinygrad_nn as tn\ntn.onnx.export"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    assert done.stderr.splitlines()[-1] == ("ImportError: tinygrad_nn.onnx needs onnx: pip install 'tinygrad_nn[onnx]'")
