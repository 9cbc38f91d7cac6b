"""engine="numba" gives what the step itself gives, to the last bit, and is never in the way.

Most kernels are carried out by Python here, as compiling takes a second each: what is written is then tried, and not
how numba compiles it. `test_compiled_...` compile for good.
"""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from by_day import by_day
from compiler import test_changing_worlds, test_networks, test_programs
from kernels_in_python import kernels_in_python
from test_ops import ALL, cases, leaves

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.compiler import api, engines
from tinygrad_nn.training.compiling import engine_worth

pytest.importorskip("numba")
from tinygrad_nn.compiler.jit import cache, engine, runtime

pytestmark = pytest.mark.engines


@pytest.fixture(autouse=True)
def _folder(tmp_path_factory, monkeypatch):
    """A cache of these tests, which they share."""
    monkeypatch.setenv("TINYGRAD_NN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "kernels"))


@pytest.fixture
def python(monkeypatch):
    """Kernels in Python."""
    monkeypatch.setattr(engine, "kernels_of", kernels_in_python)


@pytest.fixture
def everywhere(monkeypatch):
    """`tn.compile` without engine= takes numba."""
    monkeypatch.setattr(api, "engine_of", lambda *_: engine.NumbaEngine())


def assert_same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        a, b = (np.asarray(getattr(x, "value", x)) for x in (a, b))
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
        if a.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))


def assert_same_program(seed):
    """A random program, compiled and not: what it returns, its parameters, and what it leaves in a tensor."""
    shapes, _ = program = test_programs.random_program(seed)
    (parameters, seen, step), (others, seen_too, other) = (test_programs.make(seed, program) for _ in range(2))
    compiled, rng = tn.compile(other), np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        for _ in range(4):
            x, y = rng.standard_normal(shapes[3]), rng.standard_normal((3, 4))
            assert_same(compiled(x, y), step(x, y))
            assert_same([*others, seen_too], [*parameters, seen])


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("op", by_day(ALL.values(), one_of=3), ids=lambda op: op.name)
def test_every_operation_and_its_derivatives(op):
    for dtype in (np.float64, np.float32):
        for arrays, params in cases(op, dtype):
            inputs = leaves(arrays)
            tracked = [x for x in inputs if isinstance(x, tn.Tensor)]

            def step(params=params, inputs=inputs, tracked=tracked):
                for x in tracked:
                    x.grad = None
                y = op.apply(inputs, params)
                if isinstance(y, tn.Tensor) and y.tracked:
                    tn.sum(y * y).backward()
                return [y * 1, *(x.grad for x in tracked if x.grad is not None)]

            results = []
            for name in ("numpy", "numba"):
                wrapped, told = tn.compile(step, engine=name, audit=2), ""
                with np.errstate(all="ignore"):
                    try:
                        for _ in range(3):  # the second one is audited
                            found = wrapped()
                        found = [np.array(getattr(x, "value", x)) for x in found]
                    except Exception as refused:
                        found, told = [], f"{type(refused).__name__}: {refused}"
                results.append((found, told))
            numpy, numba = results
            assert numba[1] == numpy[1]
            if not numba[1]:
                assert_same(numba[0], numpy[0])


TRAININGS = [*itertools.product(test_networks.OPTIMISERS, test_networks.LAYERS, ("mse", "l1_loss", "huber_loss"))]


def assert_trained_alike(name, layers, loss, steps=20):
    layers = test_networks.LAYERS[layers]
    test_networks.assert_equal_training(
        test_networks.OPTIMISERS[name], layers, getattr(tn, loss), test_networks.real, steps=steps
    )


@pytest.mark.usefixtures("python", "everywhere")
@pytest.mark.parametrize("part", range(4))
def test_a_share_of_all_trainings(part):
    for training in TRAININGS[part * 2 :: 37]:
        assert_trained_alike(*training, steps=5)


@pytest.mark.nightly
@pytest.mark.usefixtures("python", "everywhere")
@pytest.mark.parametrize("part", range(12))
def test_all_trainings(part):
    for training in TRAININGS[part::12]:
        assert_trained_alike(*training)


@pytest.mark.usefixtures("python", "everywhere")
def test_a_share_of_random_programs():
    for seed in range(10_000, 10_040):
        assert_same_program(seed)


@pytest.mark.usefixtures("python", "everywhere")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_share_of_changing_worlds():
    for seed in range(500, 520):
        test_changing_worlds.run(seed)


@pytest.mark.usefixtures("python")
def test_what_no_kernel_computes_is_a_call_of_numpy_between_kernels():
    x = np.arange(6.0).reshape(2, 3)
    half, integers = x.astype(np.float16), x.astype(np.int32)

    def step(x, half, integers):
        y = tn.exp(x) * 2 + 1
        return tn.cumsum(y, axis=1) * y, half * half + half, integers * 3, y[::-1] * integers

    compiled = tn.compile(step, engine="numba")
    for _ in range(5):
        assert_same(compiled(x, half, integers), step(x, half, integers))
    listing = str(compiled.program)
    assert "kernel(table" in listing
    assert "cumsum(" in listing


@pytest.mark.usefixtures("python")
def test_numbers_that_are_none_pass_without_a_warning():
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 5e-324])

    def step(x, n):
        mask = (x > 0) * (x != x)
        return x * x, x / x, -x, tn.abs(x), tn.sqrt(x), tn.where(x > 0, x, -x), mask * x, tn.maximum(x, 0), n * n + n

    compiled = tn.compile(step, engine="numba", audit=False)
    n = np.array([2**62, -(2**63), 3])
    for _ in range(3):
        found = compiled(values, n)
    with np.errstate(all="ignore"):
        assert_same(found, step(values, n))


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("shape", [(0,), (3, 0), (1, 1), (2, 1, 3)])
def test_small_shapes_and_views(shape):
    x = np.random.default_rng(0).normal(size=shape)
    w = tn.tensor(np.asfortranarray(x), requires_grad=True)
    turned = tn.tensor(np.repeat(x, 2, axis=0)[::2], requires_grad=True)

    def step(x):
        w.grad = turned.grad = None
        total = tn.sum(tn.tanh(w * x + turned) * 2 + tn.transpose(w).reshape(w.shape))
        total.backward()
        w.data -= 0.1 * w.grad
        return total, w.grad, turned.grad, w * 1

    compiled, start = tn.compile(step, engine="numba"), w.numpy().copy()
    found = [compiled(x) for _ in range(4)]
    w.data = start
    for result in found:
        assert_same(result, step(x))


# --- what numba makes of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "dtype"), [("BatchNorm", np.float64), ("Dropout", np.float64)])
@pytest.mark.usefixtures("everywhere")
def test_compiled_networks(layers, dtype):
    assert_trained_alike("Adam", layers, "mse", 20)


@pytest.mark.usefixtures("everywhere")
def test_compiled_float32():
    layers = test_networks.dense(4, 8, 3, dtype=np.float32)
    test_networks.assert_equal_training(
        test_networks.OPTIMISERS["Nesterov"], layers, tn.mse, lambda i: test_networks.real(i, dtype=np.float32), 20
    )


@pytest.mark.usefixtures("everywhere")
def test_compiled_random_programs():
    for seed in (1, 5):
        assert_same_program(seed)


def test_compiled_expressions_at_the_ends_of_numbers():
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 5e-324, 1.0])

    def step(x, y, n):
        found = [x + y, x - y, x * y, x / y, -x, +x, tn.abs(x), tn.sqrt(x), tn.square(x), tn.reciprocal(x), n + n,
                 n * n, -n, tn.where(x > y, x, y), (x >= y) * x, (x < y) * 1.0, (x == y) * x, (x != y) * x]  # fmt: skip
        return found + [tn.sum(found[0]), tn.max(x * 1.0), tn.exp(x), tn.maximum(x, y)]

    compiled = tn.compile(step, engine="numba", audit=False)
    X, Y, n = np.repeat(values, 9), np.tile(values, 9), np.array([2**62, -(2**63), 3, 0])
    for kind in (np.float64, np.float32):
        with np.errstate(all="ignore"):
            args = X.astype(kind), Y.astype(kind), n
            wanted = step(*args)
        for _ in range(3):
            assert_same(compiled(*args), wanted)


def small(engine="numba", **settings):
    w = tn.tensor(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)

    def step(x):
        w.grad = None
        loss = tn.mean(tn.tanh(w @ x) ** 2)
        loss.backward()
        w.data -= 0.1 * w.grad
        return loss

    return w, tn.compile(step, engine=engine, **settings)


X = np.random.default_rng(0).normal(size=(4, 5))


def test_compiled_in_threads():
    """Each call is whole: threads that share a step, and threads with steps of their own."""
    steps = [small() for _ in range(3)]
    for _, step in steps:
        step(X)
    threads = [
        threading.Thread(target=lambda s=step: [s(X) for _ in range(200)]) for _, step in steps for _ in range(1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same([w for w, _ in steps[1:]], [steps[0][0]] * 2)


IN_ANOTHER_PROCESS = """
import sys, warnings
warnings.simplefilter("error")
from compiler.test_jit import small, X
w, step = small()
for _ in range(3): step(X)
assert "kernel(table" in str(step.program)
print(w.numpy().tobytes().hex())
"""


def started(folder):
    """Another process that trains with kernels in this folder."""
    here = os.path.dirname(os.path.dirname(__file__))
    env = os.environ | {
        "TINYGRAD_NN_CACHE_DIR": str(folder),
        "PYTHONPATH": f"{here}{os.pathsep}{os.environ['PYTHONPATH']}",
    }
    return subprocess.Popen([sys.executable, "-c", IN_ANOTHER_PROCESS], env=env, stdout=subprocess.PIPE)


def said(process):
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return out.strip()


def test_two_processes_compile_at_once_and_a_third_finds_it(tmp_path):
    w, step = small(engine="numpy")
    for _ in range(3):
        step(X)
    wanted = w.numpy().tobytes().hex().encode()
    processes = [started(tmp_path), started(tmp_path)]
    assert [*map(said, processes)] == [wanted] * 2
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("__pycache__/*.nbc")}
    assert len(kept) == 1
    assert said(started(tmp_path)) == wanted
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("__pycache__/*.nbc")} == kept


@pytest.mark.parametrize("damage", ["cut off", "other text", "no folder"])
def test_a_cache_that_is_damaged_is_no_obstacle(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_NN_CACHE_DIR", str(tmp_path / "kernels"))
    (small()[1])(X)
    if damage == "no folder":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("TINYGRAD_NN_CACHE_DIR", str(tmp_path / "file" / "kernels"))
        assert cache.cache_folder() is None
    for path in (tmp_path / "kernels" / "__pycache__").iterdir():
        path.write_bytes(path.read_bytes()[:-50] if damage == "cut off" else b"not a pickle")
    (w, step), (twin, eager) = small(), small(engine="numpy")
    for _ in range(3):
        assert_same([step(X), w], [eager(X), twin])
    assert "kernel(table" in str(step.program)


def test_where_numba_fails_numpy_goes_on(monkeypatch):
    def fail(functions):
        raise SystemError("internal error\nof many lines")

    monkeypatch.setattr(engine, "kernels_of", fail)
    (w, step), (twin, eager) = small(), small(engine="numpy")
    with pytest.warns(RuntimeWarning) as warned:
        step(X)
    assert str(warned[0].message) == (
        "tn.compile: engine='numba' could not compile the step, which runs as NumPy calls (SystemError: internal error)"
    )
    eager(X)
    for _ in range(3):
        assert_same([step(X), w], [eager(X), twin])


def test_a_ufunc_of_another_layout_is_left_to_numpy():
    assert runtime.loop_address(np.exp, "d->d") is not None
    assert runtime.loop_address(np.exp, "no->such") is None


def test_without_numba_it_is_one_sentence(monkeypatch, raised):
    for name in [name for name in sys.modules if name.startswith("tinygrad_nn.compiler.jit")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    text = raised(ImportError, tn.compile, lambda x: x, engine="numba")
    assert text == "engine='numba' needs Numba: pip install 'tinygrad_nn[numba]'"
    assert not engines.is_installed("numba")


def test_nothing_of_numba_is_loaded_before_it_is_asked_for():
    program = "import sys, tinygrad_nn as tn; tn.compile(lambda x: x); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("python")
def test_fit_takes_an_engine(raised):
    def trained(**settings):
        model = nn.Sequential(nn.Dense(2, 4, "tanh", rng=1), nn.Dropout(0.2, rng=3), nn.Dense(4, 2, rng=2))
        optimizer = tn.optim.Adam(model.parameters())
        history = tn.fit(model, tn.cross_entropy, optimizer, tn.data.make_xor(), 6, rng=0, clip=0.5, **settings)
        return [history.loss, *model.parameters()]

    assert_same(trained(engine="numba"), trained(compile=False))
    text = raised(ValueError, trained, engine="numba", compile=False)
    assert text == "fit: engine='numba' runs compiled steps, and compile=False: leave one of them out"
    assert "engine='tpu', expected 'auto', 'numpy', 'numba' or 'jax'" in raised(ValueError, trained, engine="tpu")


def test_auto_takes_numba_for_long_trainings_only():
    assert [engine_worth("auto", n) for n in (300, 100_000, 1_000_000)] == ["numpy", "numpy", "numba"]
    assert engine_worth("numpy", 1_000_000) == "numpy"
