"""Every operation of the tables as an ONNX model: right in both programs that run it, or refused by its name."""

import numpy as np
import pytest
from exported_models import OPERATIONS, RANDOM, calls_of, close, run_reference, run_runtime

import tinygrad_nn as tn

pytestmark = pytest.mark.engines
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tinygrad_nn.onnx.lowering import LOWER, REFUSED  # noqa: E402  the extra may be missing

# Named in ONNX's words: what has no model, by the operations that a reader knows
NO_MODEL = {"inv", "solve", "slogdet", "cholesky", "eigh", "svd", "qr", "pinv", "argpartition"}


def named(op):
    return op.name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in RANDOM], ids=named)
def test_every_operation_exports_right_or_is_refused_by_name(op, dtype):
    for function, arrays in calls_of(op, dtype):
        if op in REFUSED:
            with pytest.raises(tn.ExportError, match=rf"^{op.public_name} is not exported: "):
                tn.onnx.export(function, arrays, batch_axis=None)
            continue
        model = tn.onnx.export(function, arrays, batch_axis=None)
        expected = function(*arrays)
        close(np.asarray(run_reference(model, *arrays)[0]), expected)
        close(run_runtime(model, *arrays)[0], expected)


def test_what_is_refused_is_little():
    public = {op.public_name for op in REFUSED if not op.name.startswith("_")}
    assert public | {op.public_name for op in REFUSED} <= NO_MODEL | {"det"}, "det: only its gradient"
    assert not set(REFUSED) & set(LOWER)


@pytest.mark.parametrize("op", sorted(RANDOM, key=named), ids=named)
def test_what_draws_at_random_is_refused(op):
    for function, arrays in calls_of(op, "float64"):
        with pytest.raises(tn.ExportError, match=f"{op.public_name} draws random numbers at each call"):
            tn.onnx.export(function, arrays, batch_axis=None)


SMALL = [np.float16, np.int8, np.int32, np.int64, np.uint8, bool]


@pytest.mark.parametrize("dtype", SMALL, ids=lambda t: np.dtype(t).name)
def test_other_dtypes_follow_numpy(dtype):
    a = np.array([[1, 0, 3], [4, 5, 6]]).astype(dtype)
    for function in (
        lambda x: x + x, lambda x: x * 2, lambda x: tn.sum(x, axis=0), lambda x: tn.max(x, axis=1), lambda x: tn.exp(x),
        lambda x: tn.where(x > 2, x, 0), lambda x: tn.mean(x, axis=1), lambda x: tn.astype(x, np.float32) / 3,
    ):  # fmt: skip
        model = tn.onnx.export(function, a)
        for given in (a, a[:, :1]):
            with np.errstate(all="ignore"):
                close(run_runtime(model, given)[0], function(given), far=2e-3)


EDGES = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-30, -80.0, 80.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "sigmoid",
        "tanh",
        "softplus",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "abs",
        "sign",
        "maximum",
        "max",
        "min",
        "where",
        "sqrt",
        "log",
        "erf",
        "cbrt",
        "round",
    ],
)
def test_nan_infinities_and_zeros_are_those_of_numpy(name, dtype):
    x = EDGES.astype(dtype)
    function = {
        "maximum": lambda x: tn.maximum(x, 0.5), "where": lambda x: tn.where(x > 0, x, -1.0),
        "max": lambda x: tn.max(x, axis=0), "min": lambda x: tn.min(x, axis=0),
    }.get(name, getattr(tn, name))  # fmt: skip
    model = tn.onnx.export(function, x)
    with np.errstate(all="ignore"):
        close(run_runtime(model, x)[0], np.asarray(function(x)))
