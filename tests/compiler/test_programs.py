"""Random programs, compiled and replayed on fresh inputs with changed parameters: what eager computes, bit for bit."""

import numpy as np
import pytest
from by_day import by_day

import tinygrad_nn as tn

PROGRAMS = 300
CALLS = 5
SHAPES = [(3, 4), (3, 1), (1, 4), (4,), ()]
UNARY = [tn.tanh, tn.sigmoid, tn.relu, tn.exp, tn.sin, tn.abs, tn.square, tn.softplus, tn.negative, tn.erf, tn.sign,
         tn.gelu, tn.cos, lambda t: tn.log(t * t + 1), lambda t: tn.sqrt(tn.abs(t) + 0.5)]  # fmt: skip
BINARY = [tn.add, tn.subtract, tn.multiply, tn.maximum, tn.minimum, tn.hypot, tn.logaddexp, tn.arctan2,
          lambda a, b: a / (b * b + 1), lambda a, b: tn.where(a > b, a, b * 2),
          lambda a, b: tn.where(b > 0, tn.sin(a), b), lambda a, b: a * (b > 0.1),
          lambda a, b: tn.abs(a) ** tn.tanh(b)]  # fmt: skip
REDUCE = [tn.sum, tn.mean, tn.max, tn.min, tn.var, tn.std, tn.logsumexp, tn.prod, tn.norm]
MATRIX = [lambda t: t.T, lambda t: t[::2], lambda t: t[:, 1], lambda t: tn.softmax(t, axis=0), lambda t: tn.flip(t, 1),
          lambda t: tn.cumsum(t, axis=1), lambda t: tn.reshape(t, (2, 6)), lambda t: tn.concatenate([t, t * 2], axis=1),
          lambda t: tn.stack([t, t + 1]).sum(axis=0), lambda t: t @ t.T, lambda t: t[[0, 2, 0]], lambda t: tn.tril(t),
          lambda t: tn.clip(t, -0.5, 0.7), lambda t: tn.roll(t, 1, axis=0), lambda t: tn.einsum("ij,ij->i", t, t),
          lambda t: tn.log_softmax(t, axis=1), lambda t: tn.tile(t, (1, 2)), lambda t: t.mean(axis=(0, 1)),
          lambda t: tn.pad(t, 1), lambda t: tn.index_update(t, (0, 1), 0.5),
          lambda t: (t.detach() if isinstance(t, tn.Tensor) else t) * t]  # fmt: skip


def random_program(seed):
    """A list of instructions: function, operands by number."""
    rng = np.random.default_rng(seed)
    shapes = [SHAPES[i] for i in rng.integers(0, len(SHAPES), 4)] + [(3, 4)]
    values = [np.zeros(s) + 0.3 for s in shapes]
    lines = []
    while len(lines) < rng.integers(4, 14):
        kind = rng.choice(["unary", "binary", "reduce", "matrix"], p=[0.3, 0.4, 0.1, 0.2])
        i, j = (int(k) for k in rng.integers(max(0, len(values) - 6), len(values), 2))
        if kind == "unary":
            line = UNARY[rng.integers(len(UNARY))], (i,)
        elif kind == "binary":
            line = BINARY[rng.integers(len(BINARY))], (i, j)
        elif kind == "reduce":
            function, axis = REDUCE[rng.integers(len(REDUCE))], rng.choice([None, 0, -1])
            axis = None if axis is None or not values[i].ndim else int(axis)
            keep = bool(rng.integers(2)) and function is not tn.norm
            line = (lambda t, f=function, a=axis, k=keep: f(t, axis=a, keepdims=k)), (i,)
        else:
            line = MATRIX[rng.integers(len(MATRIX))], (i,)
        try:
            with np.errstate(all="ignore"):
                value = line[0](*(tn.tensor(values[k]) for k in line[1])).value
        except (ValueError, IndexError, TypeError):  # the shapes do not fit
            continue
        if value.size <= 200:
            values.append(np.asarray(value))
            lines.append(line)
    return shapes, lines


def make(seed, program):
    """A step that computes, differentiates, and updates its parameters and a running mean."""
    shapes, lines = program
    rng = np.random.default_rng(seed)
    parameters = [tn.tensor(rng.standard_normal(s), requires_grad=True, name=f"p{i}") for i, s in enumerate(shapes[:3])]
    seen = tn.tensor(np.zeros(shapes[0]))

    def step(x, y):
        for p in parameters:
            p.zero_grad()
        values = [*parameters, x, tn.tensor(y)]
        for function, operands in lines:
            values.append(function(*(values[k] for k in operands)))
        total = sum(tn.sum(tn.tanh(v)) for v in values[-3:])
        if isinstance(total, tn.Tensor) and total.requires_grad:
            total.backward()
        for p in parameters:
            if p.grad is not None:
                p.data -= 0.1 * p.grad
        seen.data = 0.9 * seen.data + 0.1 * parameters[0].data
        return total, values[-1]

    return parameters, seen, step


@pytest.mark.parametrize("block", by_day(range(10)))
def test_random_programs(block):
    for seed in range(block * PROGRAMS // 10, (block + 1) * PROGRAMS // 10):
        shapes, _ = program = random_program(seed)
        parameters, seen, step = make(seed, program)
        others, seen_too, other_step = make(seed, program)
        compiled = tn.compile(other_step)
        rng = np.random.default_rng(seed + 1)
        with np.errstate(all="ignore"):
            for call in range(CALLS):
                x, y = rng.standard_normal(shapes[3]), rng.standard_normal((3, 4)) * (1 - 2 * (call % 2))
                expected, got = step(x, y), compiled(x, y)
                for a, b in zip(expected, got, strict=True):
                    np.testing.assert_array_equal(
                        getattr(b, "value", b), getattr(a, "value", a), err_msg=f"{seed=} {call=}"
                    )
                for p, q in zip([*parameters, seen], [*others, seen_too], strict=True):
                    np.testing.assert_array_equal(q.value, p.value, err_msg=f"{seed=} {call=} {p.name}")
                    assert (q.grad is None) == (p.grad is None)
                    if p.grad is not None:
                        np.testing.assert_array_equal(q.grad, p.grad, err_msg=f"{seed=} {call=} gradient of {p.name}")
                if call == 2:  # changed from outside
                    for p, q in zip(parameters, others, strict=True):
                        p.data, q.data = -p.data, -q.data
        assert len(compiled._programs) == 1
