"""Arrays that operations take as settings are followed, or compared at each call, when they are refilled in place."""

import inspect

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of

X = np.arange(12.0).reshape(3, 4) - 5.3


def plain(x):
    """Results as bytes, to compare them to the last bit."""
    if isinstance(x, (tuple, list)):
        return [plain(part) for part in x]
    x = np.asarray(x.value if isinstance(x, tn.Tensor) else x)
    return x.dtype.str, x.shape, x.tobytes()


def others(array):
    """Other contents for an array, the smaller changes first."""
    yield from (np.flip(array), np.roll(array, 1), array[..., ::-1] if array.ndim else array)
    if array.dtype.kind == "b":
        yield ~array
    else:
        yield from (array + 1, array - 1, array * 0, array * 0 + 1, array * 0 + 2)


def refill(array, call):
    """Change an array in place, to what gives another valid result; False if there is nothing of that kind."""
    before, first = array.copy(), plain(call())
    for other in others(before):
        array[...] = other
        try:
            if plain(call()) != first:
                array[...] = before
                return other
        except Exception:
            pass
    array[...] = before
    return None


def follows(call, arrays):
    """Whether the compiled call gives what the call gives, when one of the arrays is refilled in place."""
    for array in arrays:
        other = refill(array, call)
        if other is None:
            continue
        for calls in (1, 4):
            before, step = array.copy(), tn.compile(call, audit=False)
            try:
                for _ in range(calls):
                    step()
                for new in (other, before, other):
                    array[...] = new
                    assert plain(step()) == plain(call())
            except tn.CompileError as error:
                assert ": " in str(error)  # noqa: PT017  refused by name
            finally:
                array[...] = before


def as_arrays(value):
    """A setting with arrays in the place of its numbers, and these arrays."""
    if isinstance(value, (bool, str, type(None), float)):
        return value, []
    if isinstance(value, (int, np.ndarray)):
        array = np.array(value)
        return array, [array]
    if isinstance(value, list):
        array = np.array(value)
        return (array, [array]) if array.dtype.kind in "ifb" else (value, [])
    if isinstance(value, slice):
        pairs = [as_arrays(x) for x in (value.start, value.stop, value.step)]
        return slice(*[x for x, _ in pairs]), [a for _, some in pairs for a in some]
    if isinstance(value, tuple):
        pairs = [as_arrays(x) for x in value]
        return tuple(x for x, _ in pairs), [a for _, some in pairs for a in some]
    return value, []


OPERATIONS = {
    name: op for name, op in BY_NAME.items()
    if isinstance(op, Op) and op.defaults and not name.startswith("_") and op.__module__.startswith("tinygrad_nn")
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_settings_of_operations(name):
    op = OPERATIONS[name]
    for arrays, params in samples_of(op)[:6]:
        for key, value in params.items():
            setting, changing = as_arrays(value)
            given = {**params, key: setting}
            operands = [tn.tensor(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]

            def call():
                return op(*operands, **given)  # noqa: B023

            try:
                call()
            except Exception:  # it takes no arrays there
                continue
            follows(call, changing)


t, i, mask = tn.tensor(X), np.array([0, 2, 1]), np.array([True, False, True])
BY_HAND = {
    "index": lambda i: t[i],
    "index_and_operand": lambda i: t[i] * i[:, None],
    "number": lambda i: t[i[0]] * 1,
    "no_dimensions": lambda k: t[k] * 1,
    "part_of_an_array": lambda i: t[i[1:]],
    "slices": lambda k: t[:k],
    "several_axes": lambda i: t[:, i],
    "pairs": lambda i: t[i, i],
    "array_index": lambda i: np.asarray(X)[i] * t[0],
    "take": lambda i: tn.take(t, i, axis=0),
    "np_take": lambda i: np.take(t, i, axis=1),
    "index_add": lambda i: tn.index_add(t, i, np.ones((3, 4))),
    "index_update": lambda i: tn.index_update(t, i, np.ones((3, 4)) * np.arange(3.0)[:, None]),
    "repeat": lambda i: tn.repeat(t, i, axis=0),
    "split": lambda i: [part * 1 for part in np.split(t, np.sort(i)[1:])],
    "split_at": lambda i: [part * 1 for part in np.split(t, i)],
    "quantile": lambda q: np.quantile(t, q),
    "percentile": lambda q: np.percentile(t, q * 10),
    "interp": lambda q: np.interp(t, np.arange(3.0), q),
    "interp_at": lambda i: np.interp(t, np.arange(3), i),
    "polyval": lambda q: np.polyval(q, t),
    "polyval_of_integers": lambda i: np.polyval(i, t),
    "roll": lambda k: np.roll(t, k),
    "ddof": lambda k: np.var(t, ddof=k),
    "axis": lambda k: tn.sum(t, axis=k),
    "tril": lambda k: np.tril(t, k),
    "pad": lambda i: np.pad(t, i[:2]),
    "tile": lambda i: np.tile(t, i[:2] + 1),
    "reshape": lambda i: t.reshape(*(i[:1] + 3), -1),
    "clip": lambda q: np.clip(t, q[0], 3.0),
    "searchsorted": lambda q: np.searchsorted(np.sort(q), t.numpy() * 0 + 1) * t,
    "gradient": lambda q: np.gradient(t, np.cumsum(q + 1), axis=0),
    "trapezoid": lambda q: np.trapezoid(t, np.cumsum(q + 1), axis=0),
    "average": lambda q: np.average(t, axis=0, weights=q + 1),
    "delete": lambda k: np.delete(t, k, axis=0),
    "insert": lambda k: np.insert(t, k, 1.0, axis=0),
    "cross_entropy": lambda i: tn.cross_entropy(t, np.append(i, 0)),
    "one_hot": lambda i: np.eye(3)[i] @ t,
}  # fmt: skip
KINDS = {"i": lambda: np.array([0, 2, 1]), "k": lambda: np.array(1), "q": lambda: np.array([0.5, 0.25, 0.75])}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    f = BY_HAND[name]
    (kind,) = inspect.signature(f).parameters
    setting = KINDS[kind]()
    try:
        f(setting)
    except Exception as reason:
        pytest.skip(f"not valid eagerly: {reason}")
    follows(lambda: f(setting), [setting])


MASKS = {
    "tensor": lambda m: t[m],
    "columns": lambda m: t[:, np.append(m, True)],
    "sum": lambda m: t[m].sum(),
    "compress": lambda m: np.compress(m, t, axis=0),
    "where": lambda m: tn.where(m[:, None], t, 0.0),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks(name):
    m = mask.copy()
    follows(lambda: MASKS[name](m), [m])


def test_masks_of_array_arguments():
    m = mask.copy()
    step = tn.compile(lambda x: x[m] * np.ones(1), audit=False)
    x = np.arange(3.0)
    for new in ([1, 0, 1], [1, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]):
        m[:] = np.array(new, bool)
        assert step(x).tolist() == x[m].tolist()


def test_an_array_of_an_object_is_found_as_well():
    class Batches:
        at = None

    batches = Batches()
    batches.at = np.array([0, 1])
    step = tn.compile(lambda: t[batches.at] * 1, audit=False)
    step(), step()
    batches.at[:] = [2, 0]
    assert step().tolist() == t[batches.at].tolist()


def test_assignment_at_an_index():
    total, at = tn.tensor(np.zeros(4)), np.array([0])

    def run(compiled):
        total.data = np.zeros(4)
        at[:] = 0

        def step(x):
            total[at] = x

        step = compiled(step)
        for i in (0, 0, 0, 1, 2, 2):
            at[:] = i
            step(np.array([1.0 + i]))
        return total.tolist()

    assert run(tn.compile) == run(lambda f: f)


def test_the_error_of_the_audit_names_random_numbers_only_where_there_are_some():
    numbers = [np.array([0, 1])]
    step = tn.compile(lambda: t[numbers[0].copy()] * 1)
    step()
    numbers[0][:] = 2
    with pytest.raises(tn.CompileError, match="a replay differs") as caught:
        step()
    assert "random" not in str(caught.value)
