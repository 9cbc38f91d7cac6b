"""One place decides how an output becomes a class: accuracy, evaluate, plots and estimators say the same of it."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.nn import outputs
from tinygrad_nn.training import accuracy, evaluate

X = np.random.default_rng(0).normal(size=(2, 300))
SIDES = (X[0] > 0).astype(int)
THIRDS = np.digitize(X[0], [-0.5, 0.5])


class Own(tn.nn.Module):
    """A model whose last activation no layer names."""

    def __init__(self, layer, last=None):
        self.layer, self.last = layer, last

    def forward(self, X):
        Z = self.layer(X)
        return (Z if self.last is None else self.last(Z)).reshape(Z.shape)


def line(last=None, slopes=(4.0,)):
    """Outputs that say "right of 0" (one), or which third (several), by a boundary known to the test."""
    layer = tn.nn.Dense(2, len(slopes), last)
    layer.W.data[...] = np.stack([np.array(slopes), np.zeros(len(slopes))], axis=1)
    if len(slopes) == 3:  # lines that cross at ±0.5
        layer.b.data[...] = np.array([[0.0], [2.0], [0.0]])
    return layer


THREE = (-4.0, 0.0, 4.0)
FORMS = {  # model, classes
    "one logit": (line(), SIDES),
    "one probability": (line("sigmoid"), SIDES),
    "one logit of a model of one's own": (Own(line()), SIDES),
    "one probability of a model of one's own": (Own(line(), tn.sigmoid), SIDES),
    "one probability, in several operations": (Own(line(), lambda Z: 1 / (1 + tn.exp(-Z))), SIDES),
    "one probability and dropout": (tn.nn.Sequential(line("sigmoid"), tn.nn.Dropout(0.5)), SIDES),
    "one logit, frozen": (line(), SIDES),
    "one probability, frozen": (line("sigmoid"), SIDES),
    "two logits": (line(slopes=(-4.0, 4.0)), SIDES),
    "two probabilities": (line("softmax", slopes=(-4.0, 4.0)), SIDES),
    "K logits": (line(slopes=THREE), THIRDS),
    "K probabilities": (line("softmax", slopes=THREE), THIRDS),
    "K probabilities, each by itself": (line("sigmoid", slopes=THREE), THIRDS),
}
for name, (model, _) in FORMS.items():
    if "frozen" in name:
        for p in list(model.parameters()):
            p.requires_grad = False

EACH = pytest.mark.parametrize("form", FORMS)


def targets(classes):
    """The same in all forms that a target may have."""
    k = classes.max() + 1
    yield classes
    yield classes[np.newaxis]
    yield classes.astype(float)
    if k == 2:
        yield classes.astype(bool)
        yield classes[np.newaxis].astype(float)
    yield np.eye(k)[:, classes]


@EACH
@pytest.mark.parametrize("loss", [tn.mse, "own"])
def test_evaluate_and_accuracy(form, loss):
    """Whatever the loss, which may be a function that tells nothing."""
    model, classes = FORMS[form]
    loss = loss if loss is tn.mse else lambda prediction, target: tn.sum(prediction) * 0.0
    one = len(model(X[:, :1]).data) == 1
    Y = classes[np.newaxis].astype(float) if one else np.eye(classes.max() + 1)[:, classes]
    for metrics in ("accuracy", [accuracy], {"accuracy": accuracy}):
        assert evaluate(model, loss, (X, Y), metrics)["accuracy"] == 1
    assert evaluate(model, loss, (X, 1 - Y), "accuracy")["accuracy"] < 0.5
    assert accuracy(model.eval()(X), classes) == 1
    assert accuracy(model(X).data, classes) == 1  # by the values alone


@EACH
def test_confusion_matrix(form):
    plot = pytest.importorskip("tinygrad_nn.plot")
    model, classes = FORMS[form]
    k = classes.max() + 1
    for target in targets(classes):
        ax = plot.confusion_matrix(model, X, target)
        assert ax.get_title() == "300 of 300 right (100.0%)"
        assert [text.get_text() for text in ax.get_xticklabels()] == [str(i) for i in range(k)]
        assert title_is_within(ax)
    outputs = model.eval()(X)
    for predicted in (outputs, outputs.numpy()):
        assert plot.confusion_matrix(predicted, classes).get_title() == "300 of 300 right (100.0%)"
    named = plot.confusion_matrix(model, X, np.array(list("abc"))[classes], names=list("abc")[:k])
    assert named.get_title() == "300 of 300 right (100.0%)"


def title_is_within(ax):
    ax.figure.draw_without_rendering()
    box, figure = ax.title.get_window_extent(), ax.figure.bbox
    return figure.x0 <= box.x0 and box.x1 <= figure.x1 and box.y1 <= figure.y1


@EACH
def test_decision_boundary(form):
    plot = pytest.importorskip("tinygrad_nn.plot")
    model, classes = FORMS[form]
    for target in targets(classes):
        ax = plot.decision_boundary(model, X, target, resolution=80)
        assert places_of_borders(ax) == pytest.approx([0.0] if classes.max() == 1 else [-0.5, 0.5], abs=0.05)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == [f"class {i}" for i in range(classes.max() + 1)]
    assert all(p.grad is None for p in model.parameters())


def places_of_borders(ax):
    """Where the upright borders are."""
    from matplotlib.contour import ContourSet

    lines = [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, ContourSet)]
    return sorted({round(float(x), 1) for line in lines for x in line[:, 0]})


HARD = (
    np.clip(SIDES + (np.random.default_rng(1).random(300) < 0.15), 0, 1),
    (THIRDS + (np.random.default_rng(1).random(300) < 0.15)) % 3,
)  # with mistakes, so that there is something to measure


def curves(ax):
    """Name, printed area, and points of each curve of a ROC plot."""
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    lines = [line for line in ax.lines if "AUC" in str(line.get_label())]
    assert [line.get_label() for line in lines] == texts
    for line in lines:
        name, area = line.get_label().split(": AUC ")
        yield name, float(area), line.get_xdata(), line.get_ydata()


@EACH
def test_roc_curve(form):
    """Of scikit-learn's area, and of its points."""
    plot, metrics = pytest.importorskip("tinygrad_nn.plot"), pytest.importorskip("sklearn.metrics")
    model, classes = FORMS[form]
    k = classes.max() + 1
    hard = HARD[k - 2]
    P = outputs.probabilities(*outputs.ask(model, X))
    said = outputs.log_odds(*outputs.ask(model, X))
    for target in (hard, np.eye(k)[:, hard]):
        found = list(curves(plot.roc_curve(model, X, target)))
        assert [name for name, *_ in found] == ([f"class {i}" for i in range(k)] if k > 2 else ["class 1"])
        for i, (_, printed, false, true) in zip(range(k) if k > 2 else [1], found, strict=True):
            area = metrics.roc_auc_score(hard == i, said[i])
            assert np.trapezoid(true, false) == pytest.approx(area)
            assert printed == round(area, 3)
            assert area == pytest.approx(metrics.roc_auc_score(hard == i, P[i]), abs=5e-3)  # which are rounded
            theirs = metrics.roc_curve(hard == i, said[i], drop_intermediate=False)
            assert np.allclose(false, theirs[0])
            assert np.allclose(true, theirs[1])
    (first, *_), (again, *_) = curves(plot.roc_curve(model.eval()(X), hard)), found
    assert (first[0], np.allclose(first[2], again[2])) == (again[0], True)
    assert all(p.grad is None for p in model.parameters())


@EACH
def test_calibration(form):
    """Points are the mean probability and the share of each part; the error is the mean distance."""
    plot = pytest.importorskip("tinygrad_nn.plot")
    model, classes = FORMS[form]
    k = classes.max() + 1
    hard = HARD[k - 2]
    P = outputs.probabilities(*outputs.ask(model, X))
    sure, right = (P[1], hard == 1) if k == 2 else (P.max(axis=0), hard == P.argmax(axis=0))
    parts = [(sure >= i / 5) & (sure < (i + 1) / 5 if i < 4 else sure <= 1) for i in range(5)]
    expected = [(sure[part].mean(), right[part].mean()) for part in parts if part.any()]
    error = sum(part.sum() * abs(sure[part].mean() - right[part].mean()) for part in parts if part.any()) / 300
    for target in (hard, np.eye(k)[:, hard]):
        ax = plot.calibration(model, X, target, bins=5)
        (line,) = (line for line in ax.lines if line.get_marker() == "o")
        assert np.allclose(np.transpose(line.get_data()), expected)
        assert ax.get_title() == f"expected calibration error {error:.3f}"
        (top,) = ax.child_axes
        assert [bar.get_height() for bar in top.patches] == [part.sum() for part in parts]
        assert ax.get_xlabel() == ("probability of class 1" if k == 2 else "probability of the predicted class")


@EACH
@pytest.mark.parametrize("plot_of", ["roc_curve", "calibration"])
def test_names_are_what_labels_mean(form, plot_of, raised):
    plot = pytest.importorskip("tinygrad_nn.plot")
    model, classes = FORMS[form]
    k = classes.max() + 1
    texts = np.array(["no", "yes", "perhaps"])[HARD[k - 2]]
    draw = getattr(plot, plot_of)
    ax = draw(model, X, texts, names=["no", "yes", "perhaps"][:k])
    said = ax.get_legend().get_texts()[-1].get_text().split(":")[0] if plot_of == "roc_curve" else ax.get_xlabel()
    assert said.endswith(("yes", "perhaps") if k == 2 or plot_of == "roc_curve" else "the predicted class")
    assert raised(ValueError, draw, model, X, texts) == (
        f"{plot_of}: the outputs are numbered, and some labels are like {texts.tolist()[0]!r}: names= says what the "
        "numbers mean"
    )
    assert raised(ValueError, draw, model, X, texts, names=["a"]) == f"{plot_of}: 1 names for {k} classes"
    assert raised(ValueError, draw, model, X[:, :9], HARD[k - 2]) == f"{plot_of}: 9 predictions for 300 actual classes"


def test_certain_examples_keep_their_order():
    """Where probabilities are all 1, logits are not."""
    plot = pytest.importorskip("tinygrad_nn.plot")
    logits, actual = np.array([50.0, 60.0, 70.0, 80.0]), np.array([0, 1, 0, 1])
    for said in (logits[np.newaxis], np.stack([0 * logits, logits]), np.stack([-logits, 0 * logits])):
        assert next(curves(plot.roc_curve(said, actual)))[1] == 0.75


def test_ties_count_half():
    plot, metrics = pytest.importorskip("tinygrad_nn.plot"), pytest.importorskip("sklearn.metrics")
    P = np.random.default_rng(0).random(300).round(1)  # eleven values
    actual = (np.random.default_rng(1).random(300) < P).astype(int)
    ((_, _, false, true),) = curves(plot.roc_curve(P, actual))
    assert len(false) == 12
    assert np.trapezoid(true, false) == pytest.approx(metrics.roc_auc_score(actual, P))
    assert (
        plot.roc_curve(P, actual)
        .get_legend()
        .get_texts()[0]
        .get_text()
        .endswith(f"{metrics.roc_auc_score(actual, P):.3f}")
    )


class Labelled:
    """An estimator that says the side of each row, by labels."""

    def __init__(self, low, high):
        self.classes_ = np.array([low, high])

    def predict(self, rows):
        return self.classes_[(rows[:, 0] > 0).astype(int)]


LABELS = [(0, 1), (3, 7), (-1, 1), ("no", "yes"), (False, True), (1.0, 2.0)]


@pytest.mark.parametrize("labels", LABELS, ids=str)
@pytest.mark.parametrize("kind", ["MLPClassifier", "by labels", "by labels it does not name", "a function"])
def test_plots_of_what_says_labels(labels, kind):
    plot = pytest.importorskip("tinygrad_nn.plot")
    y = np.array(labels)[SIDES]
    if kind == "MLPClassifier":
        sklearn = pytest.importorskip("tinygrad_nn.sklearn")
        model = sklearn.MLPClassifier((), learning_rate_init=0.5, max_iter=20, tol=None, random_state=0).fit(X.T, y)
        assert (model.predict(X.T) == y).mean() > 0.95
    else:
        model = Labelled(*labels)
        if kind == "by labels it does not name":
            del vars(model)["classes_"]
            model.predict = lambda rows: np.array(labels)[(rows[:, 0] > 0).astype(int)]
        elif kind == "a function":
            model = lambda X: np.array(labels)[(X[0] > 0).astype(int)]  # noqa: E731
    ax = plot.confusion_matrix(model, X, y)
    right = int(ax.get_title().split()[0])
    assert right == 300 if kind != "MLPClassifier" else right > 285
    assert len(ax.get_xticklabels()) == 2 or kind != "MLPClassifier"  # numbers count from 0, unless it is said
    assert title_is_within(ax)
    ax = plot.decision_boundary(model, X, y, resolution=80)
    assert max(map(abs, places_of_borders(ax))) < 0.2
    named = ["0", "1"] if labels == (False, True) and kind == "a function" else [str(label) for label in labels]
    said = [text.get_text().removeprefix("class ") for text in ax.get_legend().get_texts()]
    assert (
        said == named
        or [float(s == "True" or s == "1") for s in said] == [0, 1]
        or [float(s) for s in said] == list(labels)
    )


def test_labels_that_a_model_does_not_know(raised):
    plot = pytest.importorskip("tinygrad_nn.plot")
    text = raised(ValueError, plot.confusion_matrix, line(), X, np.where(SIDES > 0, "yes", "no"))
    assert text.startswith(
        "confusion_matrix: some labels are numbers, and some like 'no'" if not SIDES[0] else "confus"
    )
    assert "names= says what the numbers mean" in text
    assert raised(ValueError, plot.decision_boundary, line(), X, np.where(SIDES > 0, "yes", "no"), resolution=5) == (
        "decision_boundary: there is the label 'yes', and the classes are 0, 1; give labels of these, or their numbers "
        "from 0"
    )


@pytest.fixture(scope="module")
def sizes():
    """A table of which one number decides, with text labels, and the model trained on it."""
    table = tn.data.Table({"size": X[0] * 3 + 10, "other": X[1], "sold": np.where(SIDES, "yes", "no")})
    preprocessor = tn.data.Preprocessor(target="sold").fit(table)
    network = tn.nn.Sequential(tn.nn.Dense(2, preprocessor.n_outputs, rng=0))
    optimizer = tn.optim.Adam(network.parameters(), lr=0.1)
    tn.fit(network, tn.cross_entropy, optimizer, preprocessor.pair(table), epochs=30, rng=0, progress=False)
    return table, tn.nn.Predictor(network, preprocessor)


@pytest.mark.parametrize("which", ["table", "arrays of rows", "arrays of columns", "estimator"])
def test_plots_of_what_has_names_for_its_classes(sizes, which):
    plot = pytest.importorskip("tinygrad_nn.plot")
    table, predictor = sizes
    actual, given = np.where(SIDES, "yes", "no"), table
    if which == "estimator":
        sklearn = pytest.importorskip("tinygrad_nn.sklearn")
        predictor = sklearn.MLPClassifier((), learning_rate_init=0.5, max_iter=20, tol=None, random_state=0)
        predictor, given = predictor.fit(X.T, actual), X
    elif which != "table":
        how = which.split()[-1]
        predictor = tn.nn.Predictor(line(slopes=(-4.0, 4.0)), classes=["no", "yes"], examples=how)
        given = X.T if how == "rows" else X
    ax = plot.confusion_matrix(predictor, given, actual)
    assert int(ax.get_title().split()[0]) > 285
    assert [text.get_text() for text in ax.get_yticklabels()] == ["no", "yes"]
    ((name, area, *_),) = curves(plot.roc_curve(predictor, given, actual))
    assert (name, area > 0.99) == ("yes", True)
    assert plot.calibration(predictor, given, actual).get_xlabel() == "probability of yes"
    plane = X if which != "table" else predictor.preprocessor.transform(table)
    ax = plot.decision_boundary(predictor, plane, actual, resolution=40)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no", "yes"]


def test_labels_say_nothing_of_how_sure_they_are(raised):
    plot = pytest.importorskip("tinygrad_nn.plot")
    for draw in (plot.roc_curve, plot.calibration):
        name = draw.__name__
        assert raised(ValueError, draw, SIDES, SIDES) == (
            f"{name}: predicted are labels (int64), which do not say how sure they are: give logits or probabilities "
            "(classes, N), or (1, N) of class 1 of two"
        )
        assert raised(ValueError, draw, Labelled(0, 1), X, SIDES) == (
            f"{name}: Labelled has no predict_proba, and labels alone do not say how sure it is"
        )
        assert raised(TypeError, draw, line(), X) == (
            f"{name}: expected (predicted, actual) or (model, X, actual), got Dense and 1 more"
        )
        assert "1 predictions are not finite" in raised(ValueError, draw, np.array([[0.5, np.nan]]), [0, 1])
        assert raised(ValueError, draw, np.zeros((1, 0)), np.zeros(0, int)) == f"{name}: there are no examples"
    assert raised(ValueError, plot.roc_curve, np.array([[0.1, 0.2]]), [1, 1]) == (
        "roc_curve: all 2 examples are of one class, and a curve compares two"
    )
    for bins in (0, 2.5, True):
        text = raised(ValueError, plot.calibration, np.array([[0.1, 0.2]]), [0, 1], bins=bins)
        assert text == f"calibration: bins={bins!r}, expected a number from 1"


def test_what_the_outputs_are_is_seen_by_the_last_operation():
    for last, kind in [("sigmoid", "probabilities"), (None, "logits"), ("tanh", "logits"), ("softplus", "")]:
        model = line(last)
        assert outputs.kind_of(model(X)) == outputs.said(model, X) == kind
        with tn.no_grad():
            assert outputs.kind_of(model(X)) == ""
            assert outputs.said(model, X) == kind
    assert outputs.kind_of(line("sigmoid")(X).astype(np.float32).reshape(-1)) == "probabilities"


def test_evaluating_changes_nothing():
    layers = tn.nn.Dense(2, 3, rng=0), tn.nn.BatchNorm(3), tn.nn.Dropout(0.5, rng=0), tn.nn.Dense(3, 1, rng=0)
    model = tn.nn.Sequential(*layers)
    before, state = model.state_dict(), model[2].rng.bit_generator.state
    evaluate(model, tn.mse, (X, SIDES[np.newaxis]), "accuracy")
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
    assert model[2].rng.bit_generator.state == state
    assert model.training
