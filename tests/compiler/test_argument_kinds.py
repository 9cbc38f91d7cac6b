"""Arguments of mixed kinds are told apart, whatever they are and however Python reuses the memory of temporaries."""

import gc

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.compiler.identity import IdentityTable

MAKE = {
    "numpy scalar": lambda v: np.float64(v),
    "float32 scalar": lambda v: np.float32(v),
    "integer scalar": lambda v: np.int64(int(8 * v)),
    "array of no dimensions": lambda v: np.array(v),
    "array": lambda v: np.array([v, -v]),
    "tensor of a number": lambda v: tn.tensor(v),
    "tensor": lambda v: tn.tensor([v, 2 * v]),
    "parameter": lambda v: tn.tensor(v, requires_grad=True),
    "float": lambda v: v,
}


def text(result):
    """What a result says, gradients and kinds included."""
    if isinstance(result, (tuple, list)):
        return [text(x) for x in result]
    value = result.numpy() if isinstance(result, tn.Tensor) else np.asarray(result)
    return type(result).__name__, value.dtype.str, value.tolist()


def test_several_numpy_scalars():
    given = tuple(map(np.float64, (1, 2, 3)))
    assert tn.compile(lambda a, b, c: (a, b, c))(*given) == (1, 2, 3)


def test_numpy_scalars_train_as_eagerly():
    def train(compiled):
        w, b = tn.tensor(3.0, requires_grad=True), tn.tensor(10.0, requires_grad=True)
        optimizer = tn.optim.SGD([w, b], lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            J = tn.square(w * x + b - y)
            J.backward()
            optimizer.step()
            return J

        step = compiled(step)
        return [step(np.float64(i), np.float64(2 * i)).item() for i in range(5)], w.item(), b.item()

    assert train(tn.compile) == train(lambda step: step)


@pytest.mark.parametrize("seed", range(60))
def test_mixed_kinds(seed):
    """Random kinds, some arguments the same object twice, some within lists and dicts: each as eagerly."""
    rng = np.random.default_rng(seed)
    kinds = [list(MAKE)[i] for i in rng.integers(0, len(MAKE), rng.integers(2, 6))]

    def given():
        values = [MAKE[kind](float(v) / 8) for kind, v in zip(kinds, rng.integers(-40, 40, len(kinds)), strict=True)]
        values.append(values[repeated])
        return values[:2], {"more": values[2:]}

    repeated = int(rng.integers(0, len(kinds)))
    by_itself = [bool(x) for x in rng.integers(0, 2, len(kinds) + 1)]

    def step(first, more):
        given = [*first, *more["more"]]
        total = tn.sum(tn.tensor(0.5))
        for i, x in enumerate(given):
            total = total + (i + 1) * tn.sum(x) if by_itself[i] else total * tn.sum(x) - given[i - 1]
        return [total, *given[::-1]]

    compiled = tn.compile(step)
    for _ in range(5):
        args = given()
        assert text(compiled(*args)) == text(step(*args))


def test_the_same_argument_twice_is_still_the_same_after_other_arrays_were_bound():
    w = tn.tensor([0.0, 0.0])
    step = tn.compile(lambda a, b: w + a * 2 + b, audit=False)
    x, y = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    step(x, x)
    w.data = np.array([0.0, 1.0])  # another array: the program is written anew
    step(x, x)
    assert step(x, y).tolist() == [12.0, 25.0]


def test_a_table_by_identity_holds_its_keys():
    table = IdentityTable()
    for i in range(100):
        assert np.asarray(float(i)) not in table
        table[np.asarray(float(i))] = i
        gc.collect()
    assert [value for _, value in table.items()] == [float(key) for key, _ in table.items()] == [*range(100)]
