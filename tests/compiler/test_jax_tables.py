"""The tables in JAX: what every entry computes there, and its derivative rules, from the samples of the entry."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of

OPS = {name: entry for name, entry in BY_NAME.items() if isinstance(entry, Op)}
GROUP = 16  # compiled together: a compilation by XLA has a cost of its own


def calls_of(op, every):
    """The samples of an entry (the first and the last, or all), each with what gradients flow to."""
    samples = samples_of(op)
    for arrays, params in samples if every else samples[:1] + samples[1:][-1:]:
        if op.checks.prepare is not None:
            arrays = tuple(op.checks.prepare(a) for a in arrays)
        yield (
            [
                tn.tensor(a, requires_grad=True)
                if isinstance(a, np.ndarray)
                and a.dtype.kind == "f"
                and op.differentiable(min(i, len(op.arguments) - 1))
                else a
                for i, a in enumerate(arrays)
            ],
            params,
        )


def step_of(ops, every):
    """Samples of some entries, forward and backward, as one step, and its arguments."""
    calls = [(op, params) for op in ops for _, params in calls_of(op, every)]

    def step(samples):
        results = []
        for (op, params), args in zip(calls, samples, strict=True):
            y = op.apply(args, params)
            results.append(y)
            leaves = [a for a in args if isinstance(a, tn.Tensor)]
            if isinstance(y, tn.Tensor) and y.requires_grad:
                seed = np.cos(np.arange(y.size)).reshape(y.shape)
                results += tn.gradients(y, leaves, grad_outputs=seed)
        return results

    return step, [args for op in ops for args, _ in calls_of(op, every)]


def leaves_of(results):
    flat = []
    for y in results:
        parts = y if isinstance(y, (tuple, list)) else (y,)
        flat += [part.value if isinstance(part, tn.Tensor) else part for part in parts if part is not None]
    return flat


def grouped():
    names = [*OPS]
    return [names[i : i + GROUP] for i in range(0, len(names), GROUP)]


@pytest.mark.engines
@pytest.mark.parametrize("names", grouped(), ids=lambda names: f"{names[0]}...{names[-1]}")
def test_every_entry_computes_what_numpy_computes(names, quick_xla):
    assert_computed(names, every=False)


@pytest.mark.nightly
@pytest.mark.parametrize("names", grouped(), ids=lambda names: f"{names[0]}...{names[-1]}")
def test_every_sample_of_every_entry(names, quick_xla):
    assert_computed(names, every=True)


def assert_computed(names, every):
    step, samples = step_of([OPS[name] for name in names], every)
    compiled = tn.compile(step, engine="jax", audit=False)
    compiled(samples)
    compiled.function = None  # which a replay by JAX does not call
    for a, b in zip(leaves_of(step(samples)), leaves_of(compiled(samples)), strict=True):
        assert (b.dtype, b.shape) == (a.dtype, a.shape)
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


# --- masks, infinities and NaN: with all of XLA's rewriting, which makes a choice of a product with a mask ------------

ODD = np.array([1.0, -2.0, 0.5, np.inf, -np.inf, np.nan, 1000.0, 0.0, 1e308, -1e200])
VALUES = {
    "x": lambda x: x,
    **{name: OPS[name] for name in ("exp", "log", "sqrt", "reciprocal", "square", "sinh", "softplus", "cumsum")},
}
MASKS = {
    "compared": lambda x: x < 1,
    "both": lambda x: np.logical_and(x > -1, x < 1),
    "whole": lambda x: (x < 1).astype(int),
    "float": lambda x: (x < 1).astype(x.dtype),
    "chosen": lambda x: tn.where(x < 1, 1.0, 0.0),
    "simplified": lambda x: tn.log(tn.exp(x)) + tn.exp(x) * tn.exp(-x),
    "column": lambda x: tn.sum(tn.reshape(x < 1, (-1, 1)) * 1, axis=1),
}
USES = {
    "product": lambda v, m: v * m,
    "from the left": lambda v, m: m * v,
    "quotient": lambda v, m: m / v,
    "sum": lambda v, m: tn.sum(v * m),
    "dot": lambda v, m: tn.sum(v * m * v),
    "matmul": lambda v, m: tn.reshape(m * 1.0, (1, -1)) @ tn.reshape(v, (-1, 1)),
}


@pytest.mark.engines
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_mask_hides_neither_nan_nor_infinity(dtype):
    with np.errstate(over="ignore"):
        x = tn.tensor(ODD.astype(dtype), requires_grad=True)

    def step(x):
        results = []
        for value in VALUES.values():
            for mask in MASKS.values():
                results += [use(value(x), mask(x.detach())) for use in USES.values()]
        return results + tn.gradients(tn.sum(tn.exp(x) * (x.detach() < 1)), [x])

    compiled = tn.compile(step, engine="jax")
    compiled(x)
    audited = compiled(x)  # which finds no difference
    with np.errstate(all="ignore"):
        wanted = leaves_of(step(x))
    assert sum(np.isnan(a).any() for a in wanted) > len(wanted) / 2
    for results in (audited, compiled(x)):
        for a, b in zip(wanted, leaves_of(results), strict=True):
            np.testing.assert_array_equal(np.isnan(b), np.isnan(a))
            np.testing.assert_array_equal(np.isinf(b), np.isinf(a))
            np.testing.assert_allclose(b, a, rtol=1e-5 if dtype == np.float32 else 1e-12)
