"""tn.compile(engine="jax"): the contract of a compiled step, with its state on devices until somebody reads it."""

import copy
import pickle

import numpy as np
import pytest
import trainings
from on_devices import in_process

import tinygrad_nn as tn
from tinygrad_nn import nn, optim
from tinygrad_nn.away import Away

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures("quick_xla")]


def batch(i, n=16, labels=False):
    rng = np.random.default_rng(i)
    return rng.standard_normal((4, n)), rng.integers(0, 3, n) if labels else rng.random((3, n))


def training(loss=tn.mse, optimiser=lambda p: optim.Adam(p, lr=0.01), layers=None, dtype=np.float64):
    """Model, optimiser, and the step as it is written."""
    layers = layers or [nn.Dense(4, 8, "tanh", rng=0, dtype=dtype), nn.Dense(8, 3, rng=1, dtype=dtype)]
    return trainings.training(optimiser, lambda: layers, loss)


def pair(**how):
    """The same training twice: eagerly, and compiled for JAX."""
    eager, other = training(**how), training(**how)
    return (*eager, *other[:2], tn.compile(other[2], engine="jax", audit=False))


def assert_same(a, b, tolerance=1e-12):
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(y.value, x.value, rtol=tolerance, atol=tolerance)


def are_away(model):
    return all(type(p._value) is Away for p in model.parameters())


# --- where the state is ----------------------------------------------------------------------------------------------


def test_state_stays_on_the_devices_until_it_is_read():
    model, optimizer, step, twin, other, compiled = pair()
    for i in range(5):
        step(*batch(i))
        J = compiled(*batch(i))
    assert are_away(twin)
    assert type(J._value) is Away
    assert all(
        p.shape == q.shape and p.dtype == q.dtype for p, q in zip(model.parameters(), twin.parameters(), strict=True)
    )
    assert are_away(twin), "shape and dtype are known without the array"
    assert repr(twin.parameters().__next__()).startswith("tensor")
    assert_same(model, twin)
    assert not are_away(twin)
    for name, array in optimizer.state_dict()["state"][0].items():
        np.testing.assert_allclose(other.state_dict()["state"][0][name], array, rtol=1e-12)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert type(q.grad) is np.ndarray
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-12, atol=1e-15)


def test_a_parameter_that_is_read_and_changed_between_steps():
    model, _, step, twin, _, compiled = pair()
    held = next(twin.parameters()).data  # whoever has the array sees every step in it, as eagerly
    for i in range(12):
        step(*batch(i))
        compiled(*batch(i))
        for net in (model, twin):
            W, b = [*net.parameters()][:2]
            if i % 3 == 0:
                W.data *= 0.9
            if i % 4 == 1:
                b.data = b.data + 0.1
            if i % 5 == 2:
                W.data[0, 1] = 0.5
    np.testing.assert_array_equal(held, next(twin.parameters()).value)
    assert_same(model, twin)


def test_saved_and_loaded_in_the_middle(tmp_path):
    model, optimizer, step, twin, other, compiled = pair()
    for i in range(4):
        step(*batch(i))
        compiled(*batch(i))
    twin.save(tmp_path / "model")
    saved = copy.deepcopy(twin), pickle.loads(pickle.dumps(twin)), other.state_dict()
    for i in range(4, 8):
        compiled(*batch(i))
    for one in saved[:2]:
        assert_same(model, one)
    twin.load(tmp_path / "model")
    other.load_state_dict(saved[2])
    for i in range(4, 8):
        step(*batch(i))
        compiled(*batch(i))
    assert_same(model, twin)
    for i, arrays in optimizer.state_dict()["state"].items():
        for name, array in arrays.items():
            np.testing.assert_allclose(other.state_dict()["state"][i][name], array, rtol=1e-12, atol=1e-15)


def test_steps_share_parameters():
    """Two of JAX, one of NumPy, and the eager one, in turns."""
    model, _, step, twin, _, compiled = pair()
    evaluate = tn.compile(lambda X, Y: tn.mse(twin(X), Y), engine="jax", audit=False)
    replay = tn.compile(compiled.function, audit=False)
    for i in range(12):
        step(*batch(i))
        (compiled, compiled.function, compiled, replay)[i % 4](*batch(i))
        np.testing.assert_allclose(
            evaluate(*batch(99)).item(), tn.mse(model(batch(99)[0]), batch(99)[1]).item(), rtol=1e-12
        )
    assert_same(model, twin)


def test_gradients_accumulate_and_go_from_step_to_step():
    runs = []
    for engine in ("numpy", "jax"):
        model, optimizer, _ = training()
        add = tn.compile(lambda X, Y, model=model: tn.mse(model(X), Y).backward(), engine=engine, audit=False)
        update = tn.compile(optimizer.step, engine=engine, audit=False)
        for i in range(9):
            add(*batch(i))
            if i % 3 == 2:
                update()
                optimizer.zero_grad()
        runs.append(model)
    assert_same(*runs)


# --- the contract ----------------------------------------------------------------------------------------------------


def test_audits_find_nothing_and_nothing_is_recorded_twice():
    model, _, step = training()
    twin, _, other = training()
    compiled = tn.compile(other, engine="jax")
    for i in range(20):
        step(*batch(i))
        compiled(*batch(i))
    assert len(compiled._programs) == 1
    assert compiled.program.next_audit == 32
    assert_same(model, twin)


def test_an_audit_finds_what_is_not_declared(raised):
    class Settings:
        scale = 2.0

    settings = Settings()
    step = tn.compile(lambda x: tn.sum(x) * settings.scale, engine="jax")
    step(np.ones(3))
    settings.scale = 5.0
    text = raised(tn.CompileError, step, np.ones(3))
    assert text.startswith("a replay differs from the step itself in what it returns: multiply got 2.0")
    declared = tn.compile(lambda x: tn.sum(x) * settings.scale, engine="jax", state=[settings])
    assert [declared(np.ones(3)).item() for settings.scale in (1.0, 2.0, 2.0, 4.0)] == [3.0, 6.0, 6.0, 12.0]


def test_batches_of_other_sizes_and_kinds():
    model, _, step, twin, _, compiled = pair()
    for i in range(12):
        step(*batch(i, n=5 + i % 3))
        compiled(*batch(i, n=5 + i % 3))
    assert len(compiled._programs) == 3
    assert_same(model, twin)


@pytest.mark.parametrize("dtype", [">f8", ">i4", np.longdouble])
@pytest.mark.parametrize("given", [True, False])
def test_numbers_that_jax_does_not_have_are_refused_by_dtype(dtype, given, raised):
    x = np.arange(3.0).astype(dtype)
    if x.dtype == np.float64:
        pytest.skip("a long double is a double here")
    w = tn.tensor(x)
    step = tn.compile(lambda a: tn.sum(a * a) if given else tn.sum(w * a.astype("f8")), engine="jax")
    name = "int32" if dtype == ">i4" else "float64"
    assert raised(tn.CompileError, step, x if given else np.ones(3)) == (
        f"an array of the step, of shape (3,), has dtype {x.dtype}, which JAX does not have: .astype('{name}') "
        "converts it; engine='numpy' takes it as it is"
    )


@pytest.mark.parametrize("n", [-1, 3])
def test_labels_that_are_none_are_refused_as_ever(n, raised):
    model, _, step, twin, _, compiled = pair(loss=tn.cross_entropy)
    for i in range(3):
        step(*batch(i, labels=True))
        compiled(*batch(i, labels=True))
    X, labels = batch(9, labels=True)
    labels[4] = n
    text = raised(ValueError, compiled, X, labels)
    assert text == raised(ValueError, step, X, labels)
    assert f"label {n} at index 4" in text
    step(*batch(4, labels=True))
    compiled(*batch(4, labels=True))
    assert_same(model, twin)


@pytest.mark.parametrize(
    ("function", "good", "wrong"),
    [
        (tn.inv, np.diag([1.0, 2.0]), np.ones((2, 2))),
        (tn.cholesky, np.diag([1.0, 2.0]), np.diag([1.0, -2.0])),
    ],
    ids=["inv", "cholesky"],
)
def test_what_lapack_refuses_is_refused(function, good, wrong, raised):
    step = tn.compile(function, engine="jax", audit=False)
    for _ in range(2):
        np.testing.assert_allclose(step(good), function(good))
    assert raised(np.linalg.LinAlgError, step, wrong) == raised(np.linalg.LinAlgError, function, wrong)


def test_indices_beyond_the_end_are_refused():
    step = tn.compile(lambda x, i: tn.take(x, i, axis=0), engine="jax", audit=False)
    x = np.arange(4.0)
    for places in ([0, 3], [-4, 1], [2, 2]):
        np.testing.assert_array_equal(step(x, np.array(places)), x[places])
    with pytest.raises(IndexError):
        step(x, np.array([0, 4]))


def test_an_error_of_the_steps_own_and_ctrl_c_leave_a_whole_step():
    model, _, step, twin, _, compiled = pair()
    stop = []

    @tn.at_each_replay
    def perhaps(J):
        if stop:
            raise stop[0]

    def watched(X, Y):
        J = compiled.function(X, Y)
        perhaps(J)
        return J

    whole = tn.compile(watched, engine="jax", audit=False)
    for i in range(3):
        step(*batch(i))
        whole(*batch(i))
    for error in (KeyboardInterrupt(), RuntimeError("enough")):
        stop.append(error)
        step(*batch(5))
        with pytest.raises(type(error)):
            whole(*batch(5))
        stop.clear()
        assert_same(model, twin)
        step(*batch(6))
        whole(*batch(6))
    assert_same(model, twin)


def test_schedules_and_clipping():
    runs = []
    for engine in ("numpy", "jax"):
        model, optimizer, _ = training(optimiser=lambda p: optim.SGD(p, lr=0.1, momentum=0.9))
        schedule = optim.OneCycleLR(optimizer, max_lr=0.2, total_steps=30)

        def step(X, Y, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            J = tn.mse(model(X), Y)
            J.backward()
            norm = optim.clip_grad_norm_(model.parameters(), 0.1)
            optim.clip_grad_value_(model.parameters(), 0.05)
            optimizer.step()
            return J, norm

        step = tn.compile(step, engine=engine, audit=False)
        for i in range(15):
            J, norm = step(*batch(i))
            schedule.step()
        assert len(step._programs) == 1
        runs.append((model, J.item(), float(norm)))
    assert_same(runs[0][0], runs[1][0])
    np.testing.assert_allclose(runs[1][1:], runs[0][1:], rtol=1e-12)


def test_a_schedule_within_the_step():
    runs = []
    for engine in ("numpy", "jax"):
        model, optimizer, step = training(optimiser=lambda p: optim.SGD(p, lr=0.1))
        schedule = optim.ExponentialLR(optimizer, 0.9)

        def whole(X, Y, step=step, schedule=schedule):
            J = step(X, Y)
            schedule.step()
            return J

        whole = tn.compile(whole, engine=engine, audit=False)
        for i in range(8):
            whole(*batch(i))
        assert schedule.last_epoch == 8
        runs.append(model)
    assert_same(*runs)


def test_dropout_draws_from_its_generator_in_another_way():
    """Other numbers than NumPy's, the same ones for the same seed, new ones at each step; prediction drops nothing."""
    drawn = []
    for _ in range(2):
        model = nn.Sequential(nn.Dropout(0.25, rng=3))
        step = tn.compile(lambda X, model=model: model(X), engine="jax", audit=False)
        drawn.append([step(np.ones((40, 50))).numpy() for _ in range(4)])
    np.testing.assert_array_equal(*drawn)
    for y in drawn[0]:
        assert set(np.unique(y)) == {0.0, 1 / 0.75}
        assert abs((y == 0).mean() - 0.25) < 0.05
    assert not np.array_equal(drawn[0][2], drawn[0][3])
    model.eval()
    np.testing.assert_array_equal(step(np.ones((40, 50))), np.ones((40, 50)))


def with_dropout():
    layers = [nn.Dense(4, 8, "tanh", rng=0), nn.Dropout(0.5, rng=7), nn.Dense(8, 3, rng=1)]
    return training(layers=layers)


def test_audits_change_neither_masks_nor_numbers():
    runs = []
    for audit in (True, False, 2):
        model, _, step = with_dropout()
        compiled = tn.compile(step, engine="jax", audit=audit)
        Js = [compiled(*batch(i)).item() for i in range(9)]
        runs.append([np.array(Js), *(p.value for p in model.parameters()), model[1].rng.integers(1 << 32)])
    for run in runs[1:]:
        for a, b in zip(runs[0], run, strict=True):
            np.testing.assert_array_equal(b, a)


def test_a_training_with_dropout_that_is_resumed_is_the_same_to_the_last_bit(tmp_path):
    def run(epochs, **how):
        model, optimizer, _ = with_dropout()
        tn.fit(model, "cross_entropy", optimizer, (batch(0, 70)[0], batch(0, 70, True)[1]), epochs, batch_size=32,
               rng=3, progress=False, engine="jax", **how)  # fmt: skip
        return [p.value for p in model.parameters()]

    straight, path = run(4), tmp_path / "run.npz"
    run(2, checkpoint=path, resume=True)
    for a, b in zip(straight, run(4, checkpoint=path, resume=True), strict=True):
        np.testing.assert_array_equal(b, a)


def _other_numbers(compiled, change, jax):
    """Let the engine compute something else than was recorded."""
    launch = compiled.program._code.launch
    computed = launch._computed

    def changed(*given):
        with jax.enable_x64(True):
            return [change(x) for x in computed(*given)]

    launch._computed = changed


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: x * (1 + 1e-12), ""),
        (lambda x: x * (1 + 1e-7), "what it returns"),
        (lambda x: x.at[(0,) * x.ndim].set(np.nan), "what it returns"),
        (lambda x: x.at[0, 0].set(np.inf) if x.shape == (8, 4) else x, "the gradient of W¹"),
    ],
    ids=["rounding", "more", "NaN", "infinity"],
)
def test_an_audit_compares_what_jax_computes(change, what, raised, quick_xla):
    model, _, step = training()
    compiled = tn.compile(step, engine="jax", audit=1)
    compiled(*batch(0))
    _other_numbers(compiled, change, quick_xla)
    if not what:
        compiled(*batch(0))
        return
    text = raised(tn.CompileError, compiled, *batch(0))
    assert text.startswith(f"engine='jax' computes {what} otherwise than NumPy, by more than rounding explains")
    assert all(np.isfinite(p.value).all() for p in model.parameters())  # the eager outcome


def test_the_users_precision_is_left_alone(quick_xla):
    jnp = quick_xla.numpy
    _, _, step, _, _, compiled = pair()
    for i in range(2):
        step(*batch(i))
        J = compiled(*batch(i))
    assert J.dtype == np.float64
    assert not quick_xla.config.jax_enable_x64
    assert jnp.ones(2).dtype == np.float32
    _, _, step, _, _, compiled = pair(dtype=np.float32)
    for i in range(2):
        J = compiled(*(x.astype(np.float32) for x in batch(i)))
    assert J.dtype == np.float32


def test_an_operation_of_your_own_by_its_forward_text_or_by_lowered(raised):
    def text(x):
        return np.where(x > 0, np.log1p(np.abs(x)), np.asarray(x) if isinstance(x, float) else -x) * 2.0

    def opaque(x):
        return np.asarray([float(v) ** 2 for v in np.asarray(x).ravel()]).reshape(x.shape)

    before = dict(tn.operation.BY_NAME), dict(tn.operation.BY_FUNCTION)
    try:
        mine = tn.op(text, "mine({x})", lambda g, y, x: g * np.sign(x), name="mine_for_jax")
        other = tn.op(opaque, "o({x})", lambda g, y, x: g * 2 * x, name="opaque_for_jax")
        helped = tn.op(opaque, "o({x})", lambda g, y, x: g * 2 * x, name="helped_for_jax", lowered=lambda x: x * x)
        x = tn.tensor([1.0, -2.0], requires_grad=True)
        for op in (mine, helped):
            step = tn.compile(lambda x, op=op: op(x), engine="jax", audit=False)
            for _ in range(2):
                np.testing.assert_allclose(step(x).value, op(x).value, rtol=1e-15)
        error = raised(tn.CompileError, tn.compile(lambda x: other(x), engine="jax"), x)
        assert "opaque_for_jax (line" in error
        assert "cannot be carried out by JAX: it asks for an array of NumPy" in error
        assert "give the operation a lowered= made of simpler functions" in error
    finally:
        for table, old in zip((tn.operation.BY_NAME, tn.operation.BY_FUNCTION), before, strict=True):
            table.clear()
            table.update(old)
        for name in ("mine_for_jax", "opaque_for_jax", "helped_for_jax"):
            if hasattr(tn.Tensor, name):
                delattr(tn.Tensor, name)


def plain_step(x):
    return x + 1.0


def test_a_copy_is_the_same_one_as_of_functions():
    step = tn.compile(plain_step, engine="jax")
    step(np.ones(2))
    assert copy.deepcopy(step) is step


def test_prints():
    _, _, _, _, _, compiled = pair()
    compiled(*batch(0))
    assert "out = launch(" in repr(compiled.program)
    assert tn.draw(compiled).source.startswith("digraph")


# --- fit -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [None, 0.5])
def test_fit(clip):
    X, y = np.random.default_rng(0).normal(size=(4, 70)), np.random.default_rng(1).integers(0, 3, 70)
    runs = []
    for engine in ("numpy", "jax"):
        model, optimizer, _ = training(layers=[nn.Dense(4, 8, "tanh", rng=0), nn.BatchNorm(8), nn.Dense(8, 3, rng=1)])
        history = tn.fit(model, "cross_entropy", optimizer, (X, y), 4, batch_size=32, rng=0, clip=clip,
                         progress=False, metrics="accuracy", validation=(X, y), engine=engine)  # fmt: skip
        runs.append((model, history))
    np.testing.assert_allclose(runs[1][1].loss, runs[0][1].loss, rtol=1e-9)
    assert runs[1][1].metrics == runs[0][1].metrics


def test_fit_refuses_what_does_not_go_together(raised):
    model, optimizer, _ = training()
    data = (np.ones((4, 8)), np.ones((3, 8)))
    text = raised(ValueError, tn.fit, model, tn.mse, optimizer, data, 1, engine="jax", compile=False)
    assert text == "fit: engine='jax' runs compiled steps, and compile=False: leave one of them out"
    online = optim.OnlineLBFGS(model.parameters())
    assert "OnlineLBFGS computes the loss" in raised(ValueError, tn.fit, model, tn.mse, online, data, 1, engine="jax")
    assert "engine='cuda', expected 'auto', 'numpy', 'numba' or 'jax'" in raised(
        ValueError, tn.fit, model, tn.mse, optimizer, data, 1, engine="cuda"
    )


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_stablehlo_file_runs_at_any_batch_size(tmp_path, quick_xla):
    export = pytest.importorskip("jax.export")
    model = nn.Sequential(
        nn.Dense(4, 8, rng=0), nn.BatchNorm(8), nn.Activation("gelu"), nn.Dropout(0.5, rng=3), nn.LayerNorm(8),
        nn.Residual(nn.Dense(8, 8, "silu", rng=2)), nn.Dense(8, 3, "softmax", rng=1),
    )  # fmt: skip
    path = tn.export_stablehlo(model, tmp_path / "model.stablehlo")
    assert all(module.training for module in model.modules())
    loaded = export.deserialize(path.read_bytes())
    assert "stablehlo.dot_general" in loaded.mlir_module()
    assert loaded.platforms == ("cpu", "cuda", "tpu")
    model.eval()
    with quick_xla.enable_x64(True):
        for n in (1, 7):
            X = np.random.default_rng(n).normal(size=(4, n))
            np.testing.assert_allclose(loaded.call(X), model(X).value, rtol=1e-13)


def test_functions_and_images_as_stablehlo(tmp_path, quick_xla):
    export = pytest.importorskip("jax.export")
    K = tn.tensor(np.random.default_rng(0).normal(size=(2, 1, 3, 3)).astype(np.float32))
    X = np.random.default_rng(1).normal(size=(4, 1, 6, 6)).astype(np.float32)

    def model(X):
        return tn.sum(tn.relu(tn.conv2d(X, K, padding=1)), axis=(1, 2, 3))

    loaded = export.deserialize(tn.export_stablehlo(model, tmp_path / "m", X=X, batch_axis=0).read_bytes())
    np.testing.assert_allclose(loaded.call(X[:3]), model(tn.tensor(X[:3])).value, rtol=1e-5)


@pytest.mark.parametrize("dtype", [int, float])
def test_embeddings_as_stablehlo(dtype, tmp_path, quick_xla):
    export = pytest.importorskip("jax.export")
    model = nn.Sequential(nn.Embedding(10, 4, padding_idx=0, rng=0), nn.Dense(4, 2, rng=1))
    path = tn.export_stablehlo(model, tmp_path / "m", X=np.arange(5, dtype=dtype))
    known, unknown = np.array([0, 3, 9, 9], dtype), np.array([3, 10, -1], dtype)
    with quick_xla.enable_x64(True):
        run = export.deserialize(path.read_bytes()).call
        np.testing.assert_allclose(run(known), model(known).value, rtol=1e-13)
        np.testing.assert_array_equal(np.isnan(run(unknown)), [[False, True, True]] * 2)


def test_what_cannot_be_exported_says_why(tmp_path, raised):
    path = tmp_path / "model"
    text = raised(ValueError, tn.export_stablehlo, lambda X: X, path)
    assert text.endswith("which does not begin with a Dense layer: give an example, X=")
    X = np.ones((2, 4))
    assert "batch_axis=2 is no axis of X" in raised(ValueError, tn.export_stablehlo, tn.exp, path, X=X, batch_axis=2)
    text = raised(tn.CompileError, tn.export_stablehlo, lambda X: X if tn.sum(X) > 0 else -X, path, X=X)
    assert text.startswith("tn.export_stablehlo: the model decides something by the numbers")
    rng = np.random.default_rng(0)
    drop = nn.Dropout(0.5, rng=rng)
    assert "random numbers" in raised(tn.CompileError, tn.export_stablehlo, lambda X: drop(X), path, X=X)
    text = raised(tn.CompileError, tn.export_stablehlo, lambda X: X * np.arange(4.0), path, X=X)
    assert "N" in text
    assert not path.exists()


# --- without JAX -----------------------------------------------------------------------------------------------------


def test_a_missing_jax_is_one_sentence_and_it_is_loaded_when_used():
    done = in_process(
        "import sys, tinygrad_nn as tn, tinygrad_nn.compiler, tinygrad_nn.training\n"
        "assert not [m for m in sys.modules if m.partition('.')[0] in ('jax', 'jaxlib')]\n"
        "sys.modules['jax'] = None\n"
        "for call in (lambda: tn.compile(abs, engine='jax'), lambda: tn.export_stablehlo(None, 'x')):\n"
        "    try: call()\n"
        "    except ImportError as error: print(error)\n"
    )
    assert done.stdout.splitlines() == [
        "engine='jax' needs JAX: pip install 'tinygrad_nn[jax]'",
        "tn.export_stablehlo needs JAX: pip install 'tinygrad_nn[jax]'",
    ], done.stderr
