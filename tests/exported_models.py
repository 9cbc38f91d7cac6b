"""What the tests of exported models share: sample calls of every operation, and how a model is run."""

import functools

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of

OPERATIONS = [op for op in BY_NAME.values() if isinstance(op, Op) and op.__module__.startswith("tinygrad_nn.")]
RANDOM = {op for op in OPERATIONS if "rng" in op.defaults}  # masks drawn at each call
FAR = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-12}


def calls_of(op, dtype):
    """The samples of an entry in this dtype, as functions of the arrays, and the arrays."""
    for arrays, params in samples_of(op):
        arrays = tuple(a.astype(dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays)
        yield functools.partial(_called, op, params), arrays


def _called(op, params, *arrays):
    return op.apply(arrays, params)


def close(got, expected, far=None):
    """Equal up to rounding, relative to the largest element; NaN is NaN, infinities are infinities."""
    expected = np.asarray(expected.numpy() if isinstance(expected, tn.Tensor) else expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)]).astype(float)
    scale = max(1.0, np.max(finite, initial=0.0))
    np.testing.assert_allclose(got, expected, rtol=0, atol=(far or FAR[expected.dtype.name]) * scale)


def run_reference(model, *arrays):
    from onnx.reference import ReferenceEvaluator

    return run(ReferenceEvaluator(model), [i.name for i in model.graph.input], arrays)


def run_runtime(model, *arrays):
    return run(session(model), [i.name for i in model.graph.input], arrays)


def session(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(program, names, arrays):
    with np.errstate(all="ignore"):
        return program.run(None, {name: np.asarray(a) for name, a in zip(names, arrays, strict=True)})
