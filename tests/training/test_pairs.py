"""Every loss with every last activation: what a loss does itself must not be done already."""

import ast
import functools
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.nn.dense import _may_activate
from tinygrad_nn.operation import BY_NAME

ACTIVATIONS = sorted(name for name, entry in BY_NAME.items() if _may_activate(entry) and not name.startswith("_"))
X = np.random.default_rng(0).uniform(0.1, 0.9, size=(2, 24))
LABELS = (X[0] > 0.5).astype(int)
ONE_HOT = np.eye(2)[:, LABELS]


def limits(name):
    """What the numbers of an activation are limited to, by trying it."""
    x = np.random.default_rng(0).normal(size=(3, 5000)) * 5
    with np.errstate(all="ignore"):
        y = BY_NAME[name].forward(x, **BY_NAME[name].defaults)
    y = y[np.isfinite(y)]
    if y.min() >= 0:
        return "probabilities" if y.max() <= 1 else "nonnegative"
    return "log-probabilities" if y.max() <= 0 else ""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_entries_say_what_an_activation_gives(name):
    assert BY_NAME[name].training.gives == limits(name)


def train(loss, last, *, target=ONE_HOT, replay=False, wrap=None):
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 2, last, rng=1))
    model[1].W.data[...] = abs(model[1].W.data) * 0.1  # so that all functions are defined there
    model[1].b.data[...] = 0.5
    if wrap:
        model = wrap(model)
    return tn.fit(model, loss, tn.optim.SGD(model.parameters(), 1e-9), (X, target), 1, rng=0, compile=replay)


REFUSED = {
    tn.cross_entropy: {"probabilities"},
    tn.binary_cross_entropy: {"probabilities", "log-probabilities", "nonnegative"},
    tn.nll_loss: {"probabilities", "nonnegative"},
    tn.kl_div: {"probabilities", "nonnegative"},
    tn.hinge_loss: {"probabilities", "log-probabilities", "nonnegative"},
    tn.mse: set(),
    tn.l1_loss: set(),
    tn.huber_loss: set(),
}


@pytest.mark.parametrize("last", ACTIVATIONS)
@pytest.mark.parametrize("loss", REFUSED, ids=lambda loss: loss.__name__)
def test_every_pair(loss, last):
    target = 2 * ONE_HOT - 1 if loss is tn.hinge_loss else ONE_HOT
    try:
        train(loss, last, target=target)
        said = ""
    except tn.NonFiniteError:
        pytest.skip("not defined there")
    except ValueError as refused:
        said = str(refused)
    if last == "positive" and loss in (tn.nll_loss, tn.kl_div):  # +z: no activation
        assert said.startswith("fit: the model has no last activation")
    elif limits(last) in REFUSED[loss]:
        assert said.startswith(f"fit: the model ends in {last}")
        assert loss.__name__ in said
        assert "leave out the last activation" in said
    else:
        assert not said


def test_losses_that_take_log_probabilities_want_some():
    for loss in (tn.nll_loss, tn.kl_div):
        with pytest.raises(ValueError, match=r"^fit: the model has no last activation, and .* takes log-probabilities"):
            train(loss, None)
        train(loss, "log_softmax")


def test_the_texts(raised):
    assert raised(ValueError, train, tn.binary_cross_entropy, "sigmoid") == (
        "fit: the model ends in sigmoid, and binary_cross_entropy takes logits, of which it takes the sigmoid itself: "
        "leave out the last activation; "
        "with loss=lambda p, y: tn.binary_cross_entropy(p, y, from_logits=False) it stays"
    )
    assert raised(ValueError, train, "cross_entropy", "sigmoid") == (
        "fit: the model ends in sigmoid, and cross_entropy takes logits, of which it takes the softmax itself: "
        "leave out the last activation"
    )
    assert raised(ValueError, train, tn.binary_cross_entropy, "softplus") == (
        "fit: the model ends in softplus, which gives no negative number, and binary_cross_entropy takes logits: "
        "no probability could be below ½; leave out the last activation"
    )
    of_probabilities = functools.partial(tn.binary_cross_entropy, from_logits=False)
    assert raised(ValueError, train, of_probabilities, None) == (
        "fit: the model has no last activation, and binary_cross_entropy with from_logits=False takes probabilities: "
        "let it end in 'sigmoid', or leave out from_logits=False"
    )


class Own(tn.nn.Module):
    """A model that applies its last activation where no layer names it."""

    def __init__(self, model):
        self.model = model

    def forward(self, X):
        return tn.softmax(self.model(X)).astype(np.float64)


def test_wherever_the_activation_is():
    ways = {
        "layer": lambda model: tn.nn.Sequential(model, tn.nn.Activation("softmax")),
        "function": lambda model: tn.nn.Sequential(model, lambda Z: tn.softmax(Z, axis=0)),
        "own": Own,
        "nested": lambda model: tn.nn.Sequential(tn.nn.Sequential(Own(model))),
    }
    for way, wrap in ways.items():
        with pytest.raises(ValueError, match=r"^fit: the model ends in softmax, and cross_entropy takes logits"):
            train(tn.cross_entropy, None, wrap=wrap, replay=way == "layer")


OWN = {
    "a closure": lambda p, y: tn.cross_entropy(p, y) + 0.0,
    "with a penalty": lambda p, y: tn.cross_entropy(p, y) + 0.1 * (p * p).sum(),
    "smoothed": lambda p, y: tn.cross_entropy(p, y, label_smoothing=0.1),
    "partial": functools.partial(tn.cross_entropy, label_smoothing=0.1),
    "weighted": lambda p, y: tn.cross_entropy(p, LABELS[: p.shape[1]], weight=np.array([1.0, 2.0])),
    "by hand": lambda p, y: -(y * tn.log_softmax(p)).sum() / p.shape[1],
    "each by itself": lambda p, y: tn.binary_cross_entropy(p, y, pos_weight=np.array(2.0)),
    "transposed": lambda p, y: tn.binary_cross_entropy(p.T, y.T),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("own", OWN)
def test_whatever_the_loss_is_called_in(own, compiled):
    with pytest.raises(ValueError, match=r"^fit: the model ends in softmax, .* leave out the last activation"):
        train(OWN[own], "softmax", replay=compiled)
    train(OWN[own], None, replay=compiled)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_probabilities_have_a_spelling_of_their_own(compiled):
    """And learn the same as logits."""
    losses = []
    for last, loss in [
        (None, tn.binary_cross_entropy),
        ("sigmoid", lambda p, y: tn.binary_cross_entropy(p, y, from_logits=False)),
        ("sigmoid", functools.partial(tn.binary_cross_entropy, from_logits=False)),
    ]:
        model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 2, last, rng=1))
        optimizer = tn.optim.SGD(model.parameters(), 0.5)
        history = tn.fit(model, loss, optimizer, (X, ONE_HOT), 30, rng=0, metrics="accuracy", compile=compiled)
        losses.append(history.loss)
        assert history.metrics["accuracy"][-1] > 0.9
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-9)


def test_own_losses_of_probabilities_are_let_through():
    for loss in (
        lambda p, y: -(y * tn.log(p)).sum() / p.shape[1],
        lambda p, y: tn.cross_entropy(p, y, from_logits=False),
        lambda p, y: tn.nll_loss(tn.log(p), y),
        tn.mse,
    ):
        train(loss, "softmax")


def test_estimators_refuse_it_too(raised):
    sklearn = pytest.importorskip("tinygrad_nn.sklearn")
    text = raised(ValueError, sklearn.MLPClassifier(loss=lambda p, y: tn.cross_entropy(p, y)).fit, X.T, LABELS)
    assert text == (
        "MLPClassifier: the model ends in softmax, and cross_entropy, which the loss <lambda> calls, takes logits, of "
        "which it takes the softmax itself: give the loss by name or as a functools.partial, or take it with "
        "from_logits=False"
    )
    for loss in (
        lambda p, y: tn.cross_entropy(p, y, from_logits=False),
        functools.partial(tn.cross_entropy, label_smoothing=0.1),
        functools.partial(tn.binary_cross_entropy, from_logits=False),
        functools.partial(tn.binary_cross_entropy, pos_weight=2.0),
    ):
        model = sklearn.MLPClassifier((3,), loss=loss, max_iter=1, tol=None).fit(X.T, LABELS, np.ones(len(X.T)))
        assert np.allclose(model.predict_proba(X.T).sum(axis=1), 1)


def places_that_use_a_loss_of_logits():
    """Pages, examples, and docstrings of the package."""
    root = Path(tn.__file__).parent.parent
    for path in [root / "README.md", *(root / "docs").glob("*.md"), *(root / "examples").glob("*.py")]:
        if path.name != "edge_cases.md":  # generated: a table of values
            yield path.name, path.read_text("utf-8")
    for path in (root / "tinygrad_nn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and (text := ast.get_docstring(node)):
                yield f"{path.name}: {getattr(node, 'name', '')}", text


@pytest.mark.skipif(not (Path(tn.__file__).parent.parent / "docs").exists(), reason="the repository is not there")
def test_whoever_uses_a_loss_of_logits_says_so():
    silent = [
        name for name, text in places_that_use_a_loss_of_logits() if "cross_entropy" in text and "logit" not in text
    ]
    assert not silent
