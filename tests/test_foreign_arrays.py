"""Law 7: other kinds of arrays than NumPy's go through every entry of the tables, and nobody looks at their numbers."""

import copy
import re
import warnings

import numpy as np
import pytest
from duck_array import Duck, FetchedError, numbers
from test_ops import ALL, every, is_float

import tinygrad_nn as tn
from tinygrad_nn.samples import samples_of

ORDER = 1e-12  # in double precision, and for the special functions, which are computed another way


def duck(a):
    return Duck(np.array(a)) if isinstance(a, np.ndarray) else a


def pieces(a):
    """In two chunks an axis."""
    from dask.array import from_array

    if not isinstance(a, np.ndarray):
        return a
    return from_array(np.array(a), chunks=tuple(max(1, -(-n // 2)) for n in a.shape), asarray=True)


def computed(*arrays):
    """The numbers of Dask arrays, at last."""
    import dask

    return dask.compute(*(getattr(a, "_value", a) for a in arrays), scheduler="synchronous")


@pytest.fixture
def never():
    """Dask with a scheduler that fails when it is called, and no warning of a function that it lacks."""
    dask = pytest.importorskip("dask")

    def refuse(*args, **kwargs):
        raise AssertionError("a Dask array was computed")

    with dask.config.set(scheduler=refuse), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def same(found, expected, what):
    for mine, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), what
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=ORDER, err_msg=what)


def through(op, kind, order):
    """Everything that a kind of array and NumPy's arrays make of the samples of an entry: forward, gradients, theirs.

    Pairs of an array of this kind and what it must hold.
    """
    for arrays, params in samples_of(op):
        if op.checks.prepare is not None:
            arrays = tuple(map(op.checks.prepare, arrays))
        rng = np.random.default_rng(1)
        expected = op.apply(arrays, params)
        yield op.apply([kind(a) for a in arrays], params), expected
        slots = [i for i, a in enumerate(arrays) if is_float(a) and op.differentiable(i)]
        if not slots or np.asarray(expected).dtype.kind != "f":
            continue
        seed = np.asarray(rng.normal(size=np.shape(expected)), np.asarray(expected).dtype)
        directions = [np.asarray(rng.normal(size=arrays[i].shape), arrays[i].dtype) for i in slots]
        made = [_gradients(op, slots, [to(a) for a in arrays], params, to(seed), [to(d) for d in directions], order)
                for to in (kind, lambda a: a)]  # fmt: skip
        yield from zip(*made, strict=True)


def _gradients(op, slots, arrays, params, seed, directions, order):
    leaves = [tn.tensor(a, requires_grad=True) if i in slots else a for i, a in enumerate(arrays)]
    inputs = [leaves[i] for i in slots]
    y = op.apply(leaves, params)
    if not y.tracked:
        return []
    y.backward(seed)
    found = [x.grad for x in inputs]
    if order > 1:
        first = tn.gradients(y, inputs, seed, create_graph=True)
        again = [(g, d) for g, d in zip(first, directions, strict=True) if g.op is not None]
        if again:
            found += tn.gradients([g for g, _ in again], inputs, [d for _, d in again])
    return found


@every(list(ALL.values()))
def test_a_strict_kind_of_array_goes_through_every_entry(op):
    for mine, theirs in through(op, duck, order=2):
        assert isinstance(mine, Duck), f"{op.name} makes a {type(mine).__name__}"
        same([numbers(mine)], [theirs], op.name)


@pytest.mark.engines
@every(list(ALL.values()))
def test_dask_arrays_go_through_every_entry_and_none_is_computed(op, never):
    made = list(through(op, pieces, order=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the numbers, as NumPy's
        same(computed(*(mine for mine, _ in made)), [theirs for _, theirs in made], op.name)
    assert all(hasattr(mine, "dask") for mine, _ in made), f"{op.name} makes another kind of array"


def test_the_duck_is_strict():
    x = duck(np.ones(3))
    for look in (np.asarray, float, bool, int, list, lambda x: x.item()):
        with pytest.raises(FetchedError):
            look(x)
    for mix in (
        lambda: x + np.ones(3),
        lambda: np.concatenate([x, np.ones(3)]),
        lambda: np.where(np.ones(3) > 0, x, x),
    ):
        with pytest.raises(TypeError, match="mix"):
            mix()


# --- networks ---------------------------------------------------------------------------------------------------------


def trained(kind, steps=3):
    """A network whose parameters and data are of this kind, by hand: what there is after some steps."""
    rng = np.random.default_rng(0)
    W, b, V = (
        tn.tensor(kind(a), requires_grad=True)
        for a in (rng.normal(size=(8, 4)), np.zeros((8, 1)), rng.normal(size=(3, 8)))
    )
    X, y = rng.normal(size=(4, 6)), np.array([0, 1, 2, 2, 1, 0])
    X, y = kind(X), kind(y)
    for _ in range(steps):
        J = tn.cross_entropy(V @ tn.relu(W @ X + b), y)
        for p in (W, b, V):
            p.zero_grad()
        J.backward()
        with tn.no_grad():
            for p in (W, b, V):
                p.data = p.data - 0.1 * p.grad
    return [J._value, *(p._value for p in (W, b, V))]


def test_a_network_of_ducks_is_trained_as_one_of_numpy():
    same(map(numbers, trained(duck)), trained(lambda a: a), "training")


@pytest.mark.engines
def test_a_network_over_dask_arrays_is_trained_without_computing(never):
    same(computed(*trained(pieces)), trained(lambda a: a), "training")


def test_an_optimiser_says_that_it_writes_into_numpys_arrays():
    w = tn.tensor(duck(np.ones(2)), requires_grad=True, name="w")
    with pytest.raises(TypeError, match=r"w is a Duck of duck_array.*w.data = w.data - lr \* w.grad"):
        tn.optim.SGD([w], lr=0.1)


@pytest.mark.engines
@pytest.mark.parametrize("optimizer", [tn.optim.SGD, tn.optim.Adam])
def test_parameters_of_numpy_learn_from_dask_arrays(optimizer, never):
    """The gradients are planned, and fetched together; an optimiser does not fetch them."""
    results = []
    for kind in (pieces, lambda a: a):
        rng = np.random.default_rng(0)
        model = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=rng), tn.nn.LayerNorm(4), tn.nn.Dense(4, 2, rng=rng))
        step = optimizer(model.parameters(), lr=0.1)
        J = tn.cross_entropy(model(kind(rng.normal(size=(3, 8)))), kind(rng.integers(0, 2, 8)))
        J.backward()
        parameters = list(model.parameters())
        if kind is pieces:
            with pytest.raises(TypeError, match=r"the gradient of .* is a Array of dask.*np.asarray\(p.grad\)"):
                step.step()
            for p, g in zip(parameters, computed(*(p.grad for p in parameters)), strict=True):
                p.grad = g
        step.step()
        results.append([p.numpy() for p in parameters])
    same(*results, optimizer.__name__)


@pytest.mark.engines
def test_transforms_take_dask_arrays_or_say_why_not(never):
    x, t = np.random.default_rng(0).normal(size=(2, 2, 3))
    f = lambda x: tn.sum(tn.tanh(x) ** 3)  # noqa: E731
    ways = [lambda x, t: tn.grad(f)(x), lambda x, t: tn.jvp(f, (x,), (t,))[1], lambda x, t: tn.hvp(f, x, t)]
    for way in ways:
        same(computed(way(pieces(x), pieces(t))), [way(x, t)], "transform")
    with pytest.raises(TypeError, match="vmap: an argument is a Array of dask, expected NumPy's"):
        tn.vmap(f)(pieces(x))
    with pytest.raises(TypeError, match=r"is written at each call in training, .*model.eval\(\)"):
        tn.nn.BatchNorm(2)(pieces(x))


@pytest.mark.engines
def test_numbers_of_dask_arrays_come_when_they_are_asked_for():
    x = tn.tensor(pieces(np.arange(4.0)), requires_grad=True)
    J = (x * x).sum()
    J.backward()
    assert J.item() == 14.0
    assert float(J.detach()) == 14.0
    np.testing.assert_array_equal(x.numpy(), np.arange(4.0))
    np.testing.assert_array_equal(np.asarray(x.detach()), np.arange(4.0))
    np.testing.assert_array_equal(*computed(x.grad), 2 * np.arange(4.0))
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
    np.testing.assert_array_equal(copy.deepcopy(x).numpy(), np.arange(4.0))


@pytest.mark.engines
def test_the_text_of_a_tensor_waits_for_no_numbers(never):
    x = tn.tensor(pieces(np.arange(4.0)), requires_grad=True)
    assert re.fullmatch(r"tensor\(dask.array<.*>, requires_grad=True\)", repr(x))


@pytest.mark.engines
def test_labels_that_nobody_looks_at_make_the_cost_nan_where_they_are_wrong(never):
    logits = pieces(np.zeros((3, 4)))
    right, wrong = (tn.cross_entropy(logits, pieces(np.array(y))) for y in ([0, 1, 2, 0], [0, 1, 3, 0]))
    assert computed(right, wrong) == pytest.approx((np.log(3), np.nan), nan_ok=True)
    with pytest.raises(ValueError, match="class labels must be integers"):
        tn.cross_entropy(logits, pieces(np.zeros(4)))


@pytest.mark.engines
def test_dask_indices_and_unknown_sizes_work_or_say_what_to_do(never):
    x = tn.tensor(pieces(np.arange(6.0)), requires_grad=True)
    mask = pieces(np.arange(6)) > 2
    with pytest.raises(TypeError, match=r"an index is an array of dask, whose numbers nobody fetches here: .*tn.where"):
        x[mask]
    with pytest.raises(TypeError, match="classes= says how many"):
        tn.one_hot(pieces(np.array([0, 1])))
    unknown = pieces(np.arange(6.0))[mask]
    for ask in (lambda: tn.tensor(unknown), lambda: tn.sum(unknown), lambda: x[0] * unknown):
        with pytest.raises(
            TypeError, match=r"has shape \(nan,\), with blocks of unknown sizes.*compute_chunk_sizes\(\)"
        ):
            ask()
