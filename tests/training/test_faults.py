"""What can go wrong in a training: numbers that do not fit, what a model keeps, inner derivatives, metrics of rows."""

import contextlib
import signal

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.training import evaluate

X = np.random.default_rng(0).normal(size=(2, 64))
Y = X[:1] * X[1:]

COMPILED = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])

# --- norms scale first ------------------------------------------------------------------------------------------------

EXTREMES = [(np.float32, 1e20), (np.float32, 1e30), (np.float32, 1e-30), (np.float64, 1e200), (np.float64, 1e-200),
            (np.float64, 1e-310), (np.float16, 3e2), (np.float16, 1e-3)]  # fmt: skip
EXTREME = pytest.mark.parametrize(("dtype", "size"), EXTREMES, ids=lambda x: getattr(x, "__name__", x))


@COMPILED
@EXTREME
@pytest.mark.parametrize("clip", [None, 1e-3])
def test_gradients_whose_squares_do_not_fit_are_finite(dtype, size, compiled, clip):
    """And clipped to the length they are to have, not to 0."""
    layer = tn.nn.Dense(2, 1, bias=False, rng=0, dtype=dtype)
    before = layer.W.numpy().astype(np.float64)
    batch = np.array([[3.0], [4.0]], dtype)

    def loss(prediction, target):
        return tn.sum(prediction) * dtype(size)

    rate = 1.0 if clip else min(0.1 / size, 1e300)
    optimizer = tn.optim.SGD(layer.parameters(), lr=rate)
    history = tn.fit(layer, loss, optimizer, [(batch, batch)], 1, clip=clip, compile=compiled)
    (norm,) = history.gradient_norms["W"]
    exact = 5 * float(dtype(size))
    assert norm == pytest.approx(exact, rel=1e-2 if dtype == np.float16 else 1e-6)
    moved = np.linalg.norm(layer.W.numpy().astype(np.float64) - before)
    if clip is None:
        assert moved == pytest.approx(rate * exact, rel=1e-2, abs=1e-16)
    else:
        assert moved == pytest.approx(min(exact, clip), rel=0.2 if dtype == np.float16 else 1e-3, abs=1e-8)


@EXTREME
@pytest.mark.parametrize("order", [1, 1.5, 2, 3, np.inf])
def test_clipping_by_hand(dtype, size, order):
    w = tn.tensor(np.zeros(2, dtype), requires_grad=True)
    w.grad = (np.array([3.0, 4.0]) * size).astype(dtype)
    direction = w.grad.astype(np.float64) / np.linalg.norm(w.grad.astype(np.float64) / size) / size
    norm = tn.optim.clip_grad_norm_([w], 0.5 * size, order)
    parts = np.array([3.0, 4.0])
    exact = np.linalg.norm(parts, order) * size
    assert norm == pytest.approx(exact, rel=2e-3 if dtype == np.float16 else 1e-6)
    if dtype != np.float16 and size != 1e-310:  # whose digits end there
        length = 0.5 * np.linalg.norm(parts) / np.linalg.norm(parts, order)
        rel = 5e-3 if dtype == np.float16 else 1e-5
        less = 1 if size > 1 else 1 / (1 + min(1e-6, exact) / exact)  # PyTorch's 1e-6 in the denominator
        np.testing.assert_allclose(w.grad.astype(np.float64) / size, direction * length * less, rtol=rel)


@EXTREME
@pytest.mark.parametrize("order", [None, 1.5, 2, 3])
def test_norms(dtype, size, order):
    x = tn.tensor((np.array([[3.0, 4.0], [0.0, 0.0]]) * size).astype(dtype), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = tn.norm(x, order, axis=1)
        y.sum().backward()
    p = order or 2
    rel = 1e-2 if dtype == np.float16 else 1e-5
    np.testing.assert_allclose(y.numpy().astype(np.float64) / size, [np.linalg.norm([3, 4], p), 0], rtol=rel)
    slope = (np.array([3.0, 4.0]) / np.linalg.norm([3.0, 4.0], p)) ** (p - 1)
    np.testing.assert_allclose(x.grad, [slope, [0, 0]], rtol=rel)


def test_the_advice_fits_the_cause(network, raised):
    def diverge(x=X, y=Y, model=None, make=tn.optim.SGD, loss=tn.mse, rate=0.1, **more):
        model = model or network(outputs=1)
        text = raised(
            tn.NonFiniteError, tn.fit, model, loss, make(model.parameters(), lr=rate), (x, y), 5, rng=0, **more
        )
        return text.partition("the model has its best parameters, those of ")[2]

    hole, gap = X.copy(), Y.copy()
    hole[1, 5], gap[0, 7] = np.nan, np.inf
    assert diverge(x=hole, batch_size=None, clip=1.0) == (
        "the start: X[1, 5] is nan: leave out such examples, or fill the gaps, before training"
    )
    assert diverge(y=gap, batch_size=None).endswith(
        "Y[0, 7] is inf: leave out such examples, or fill the gaps, before training"
    )
    broken = network(outputs=1)
    broken[0].W.data[0, 0] = np.nan
    assert diverge(model=broken).endswith(": W¹ is not finite before the step: give it other first values")
    steep = diverge(loss=lambda p, y: tn.mse(p, y) + tn.log(p[0, 0] * 0.0))
    assert "there was no update yet, so it is not the learning rate" in steep
    assert diverge(rate=1e200).endswith(": try a smaller learning rate, or clip=")
    assert diverge(rate=1e200, clip=1e200).endswith(": try a smaller learning rate")
    assert diverge(rate=1e200, make=tn.optim.OnlineLBFGS, batch_size=None).endswith(": try a smaller learning rate")


# --- what a model keeps -----------------------------------------------------------------------------------------------


class Keeping(tn.nn.Module):
    """Keeps whatever it can of what it has computed."""

    def __init__(self):
        self.a, self.b = tn.nn.Dense(2, 4, "tanh", rng=0), tn.nn.Dense(4, 1, rng=1)

    def forward(self, X):
        with tn.no_grad():
            self.last = self.a(X)
        self.recorded = self.a(X)
        self.several = [self.last, {"detached": self.recorded.detach()}]
        return self.b(self.recorded)


def keep(epochs, **more):
    model = Keeping()
    optimizer = tn.optim.Adam(model.parameters(), 0.05)
    return model, tn.fit(model, tn.mse, optimizer, (X, Y), epochs, batch_size=24, rng=0, **more)


def test_what_a_model_keeps_is_no_hindrance_to_resuming(tmp_path):
    """The last batch has another size than the first, and a fresh model has kept nothing."""
    through, whole = keep(4)
    keep(2, checkpoint=tmp_path / "run", resume=True)
    resumed, history = keep(4, checkpoint=tmp_path / "run", resume=True)
    assert history.loss == whole.loss
    assert all(np.array_equal(value, resumed.state_dict()[name]) for name, value in through.state_dict().items())
    assert list(through.state_dict()) == ["a.W", "a.b", "b.W", "b.b"]


@pytest.mark.parametrize("at", [(1, 1), (1, 2), (2, 1), (3, 3)])
def test_what_a_model_keeps_does_not_spoil_ctrl_c(at):
    class Press:
        def on_batch_end(self, epoch, batch, loss):
            if (epoch, batch) == at:
                signal.raise_signal(signal.SIGINT)

    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _, history = keep(5, callbacks=Press(), patience=3)
    finally:
        signal.signal(signal.SIGINT, found)
    assert history.interrupted
    assert len(history) == at[0] - 1


def test_what_a_model_keeps_does_not_hide_a_divergence():
    model = Keeping()
    with pytest.raises(tn.NonFiniteError, match="try a smaller learning rate"):
        tn.fit(model, tn.mse, tn.optim.SGD(model.parameters(), 1e200), (X, Y), 5, batch_size=24, rng=0)
    assert all(np.isfinite(p.data).all() for p in model.parameters())


# --- inner derivatives ------------------------------------------------------------------------------------------------


class Hamiltonian(tn.nn.Module):
    """Its output is a derivative of a network by its input."""

    def __init__(self, way):
        self.energy, self.way = tn.nn.Sequential(tn.nn.Dense(2, 6, "tanh", rng=0), tn.nn.Dense(6, 1, rng=1)), way

    def forward(self, X):
        if self.way == "grad":
            return tn.grad(lambda x: self.energy(x).sum())(tn.tensor(X))
        if self.way == "hessian":
            return tn.grad(lambda x: tn.grad(lambda x: self.energy(x).sum())(x).sum())(tn.tensor(X))
        x = tn.tensor(X, requires_grad=True)
        return tn.gradients(self.energy(x).sum(), [x], create_graph=True)[0]


@pytest.mark.parametrize("way", ["gradients", "grad", "hessian"])
def test_a_model_that_takes_derivatives_is_validated(way):
    model = Hamiltonian(way)
    optimizer = tn.optim.Adam(model.parameters(), 0.02)
    history = tn.fit(model, tn.mse, optimizer, (X, X), 8, validation=(X, X), metrics="accuracy", rng=0)
    assert history.validation_loss[-1] < history.validation_loss[0]
    assert evaluate(model, tn.mse, (X, X))["loss"] == pytest.approx(history.validation_loss[-1])
    assert evaluate(model, "mse", (X, X))["loss"] == pytest.approx(tn.mse(model(X), X).item())


@pytest.mark.parametrize("way", ["gradients", "grad"])
def test_a_loss_that_takes_derivatives_is_validated(way):
    """A physics-informed network: du/dx₀ = u."""
    model = tn.nn.Sequential(tn.nn.Dense(2, 6, "tanh", rng=0), tn.nn.Dense(6, 1, rng=1))

    def loss(prediction, target):
        if way == "gradients":
            x = tn.tensor(X, requires_grad=True)
            u = model(x)
            slope = tn.gradients(u.sum(), [x], create_graph=True)[0]
        else:
            u, slope = model(X), tn.grad(lambda x: model(x).sum())(tn.tensor(X))
        return tn.mse(slope[:1], u) + tn.mse(prediction, target)

    history = tn.fit(model, loss, tn.optim.Adam(model.parameters(), 0.02), (X, Y), 5, validation=(X, Y), rng=0)
    assert history.validation_loss[-1] < history.validation_loss[0]
    assert evaluate(model, loss, (X, Y))["loss"] == pytest.approx(loss(model(X), Y).item())


def test_plots_ask_a_model_that_takes_derivatives():
    plot = pytest.importorskip("tinygrad_nn.plot")
    assert plot.decision_boundary(Hamiltonian("gradients"), X, resolution=5).get_images()
    assert plot.confusion_matrix(Hamiltonian("gradients"), X, (X[0] > 0).astype(int)).texts


def test_nothing_is_recorded_where_nothing_needs_it(network):
    """Validating a network of the package holds no graph."""
    kept = []

    def metric(prediction, target):
        kept.append(prediction)
        return 0.0

    evaluate(network(outputs=1), tn.mse, (X, Y), [metric])
    assert kept[0].op is None


# --- metrics of rows --------------------------------------------------------------------------------------------------


def classifier(outputs, last=None):
    return tn.nn.Sequential(tn.nn.Dense(2, 8, "tanh", rng=0), tn.nn.Dense(8, outputs, last, rng=1))


SIDES, THIRDS = (X[0] > 0).astype(int), np.digitize(X[0], [-0.5, 0.5])
PROBLEMS = {
    "labels": (classifier(3), tn.cross_entropy, THIRDS),
    "one-hot": (classifier(3), tn.cross_entropy, np.eye(3)[:, THIRDS]),
    "two": (classifier(2), tn.cross_entropy, SIDES),
    "a logit": (classifier(1), tn.binary_cross_entropy, SIDES[np.newaxis].astype(float)),
    "a probability": (classifier(1, "sigmoid"), tn.mse, SIDES[np.newaxis].astype(float)),
    "a closure": (classifier(1), lambda p, y: tn.binary_cross_entropy(p, y), SIDES[np.newaxis].astype(float)),
}


def every_metric():
    """Those of scikit-learn that score: with what they need."""
    sklearn = pytest.importorskip("sklearn.metrics")
    for name in sorted(sklearn.get_scorer_names()):
        scorer = sklearn.get_scorer(name)
        needs = scorer._response_method
        yield name, scorer._score_func, scorer._kwargs, "predict" if needs == "predict" else "predict_proba"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("problem", PROBLEMS)
def test_metrics_of_scikit_learn_that_ask_for_classes(problem):
    from functools import partial

    model, loss, target = PROBLEMS[problem]
    labels = target if target.ndim == 1 else target.argmax(axis=0) if len(target) > 1 else target[0].astype(int)
    outputs = model(X).numpy()
    two = labels.max() == 1
    if len(outputs) > 1:
        e = np.exp(outputs - outputs.max(axis=0))
        P = (e / e.sum(axis=0)).T
    else:
        p = outputs[0] if problem == "a probability" else 1 / (1 + np.exp(-outputs[0]))
        P = np.stack([1 - p, p], axis=1)
    tried = 0
    for name, function, options, needs in every_metric():
        if "regression" in function.__module__:
            continue
        y_pred = P.argmax(axis=1) if needs == "predict" else P[:, 1] if two else P
        try:
            expected = float(function(labels, y_pred, **options))
        except ValueError:  # not of so many classes
            continue
        metric = partial(function, **options)
        found = evaluate(model, loss, (X, target), {name: metric})[name]
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True), name
        tried += 1
    assert tried > 20


@pytest.mark.parametrize("outputs", [1, 2])
def test_metrics_of_scikit_learn_that_ask_for_numbers(outputs):
    model, target = classifier(outputs), np.concatenate([Y, X[:1]])[:outputs] ** 2 + 0.1
    tried = 0
    for _, function, options, _ in every_metric():
        if "regression" in function.__module__:
            rows, predicted = target.T, model(X).numpy().T
            with contextlib.suppress(ValueError):  # not of negative predictions
                expected = function(rows, predicted, **options)
                assert evaluate(model, tn.mse, (X, target), [function])[function.__name__] == pytest.approx(expected)
                tried += 1
    assert tried > 6 - outputs


def test_a_metric_of_rows_is_of_the_whole_epoch(network):
    """No mean over batches, on training data and on validation data; and it does not keep steps from being compiled."""
    metrics = pytest.importorskip("sklearn.metrics")
    model = classifier(2)
    seen = []

    def mine(y_true, y_pred):
        seen.append((y_true.shape, y_pred.shape))
        return metrics.f1_score(y_true, y_pred)

    history = tn.fit(
        model, tn.cross_entropy, tn.optim.Adam(model.parameters(), 0.05), (X, SIDES), 20, batch_size=24, rng=0,
        validation=(X, SIDES), metrics=[metrics.f1_score, mine, metrics.log_loss], monitor="validation_f1_score",
        compile=False,
    )  # fmt: skip
    assert seen[0] == seen[1] == ((64,), (64,))
    assert history.metrics["f1_score"] == history.metrics["mine"]
    assert history.metrics["validation_f1_score"][-1] == metrics.f1_score(SIDES, model(X).data.argmax(axis=0))
    assert history.metrics["log_loss"][-1] == pytest.approx(history.loss[-1])


def test_metrics_of_one_name(raised):
    """One of them would be lost."""

    def share(prediction, target):
        return 0.5

    model = classifier(2)
    for metrics in ([share, share], ["accuracy", "accuracy"]):
        assert "would be called" in raised(ValueError, evaluate, model, tn.cross_entropy, (X, SIDES), metrics)
    assert len(evaluate(model, tn.cross_entropy, (X, SIDES), {"a": share, "b": share})) == 3


def test_state_paths_that_collide_are_refused_before_anything_is_written(tmp_path, raised):
    class Dotted(tn.nn.Module):
        def __init__(self, inner):
            self.layer = tn.nn.Dense(2, 1, rng=0)
            self.parts = {"a.b": tn.tensor([1.0], requires_grad=True), "a": {"b": inner}}

        def forward(self, X):
            return self.layer(X)

    for inner in (tn.tensor([2.0, 3.0], requires_grad=True), tn.nn.Dense(2, 1)):
        model = Dotted(inner)
        if isinstance(inner, tn.nn.Module):
            model.parts["a.b"] = tn.nn.Dense(2, 2)
        text = raised(ValueError, model.save, tmp_path / "model")
        assert "have the path 'parts.a.b" in text
        assert "rename one" in text
        optimizer = tn.optim.SGD(model.parameters())
        with pytest.raises(ValueError, match=r"have the path 'parts\.a\.b"):
            tn.fit(model, tn.mse, optimizer, (X, Y), 1, checkpoint=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_metrics_that_are_none(raised):
    metrics = pytest.importorskip("sklearn.metrics")
    model = classifier(2)
    assert "the metric confusion_matrix returned ndarray, expected a number" in raised(
        TypeError, evaluate, model, tn.cross_entropy, (X, SIDES), [metrics.confusion_matrix]
    )
