"""Every plot, light and dark: colours of the pictures, ticks that people read, nothing cut off; and what is drawn."""

import inspect

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("matplotlib")

from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from tinygrad_nn import plot
from tinygrad_nn.plot.style import Look, look_for, tick
from tinygrad_nn.training import History, evaluate
from tinygrad_nn.view.renderers.style import NEGATIVE, POSITIVE, dark, paper, tint, variables

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 40))
SIDES = (X[0] + rng.normal(size=40) * 0.3 > 0).astype(int)
MODEL = tn.nn.Sequential(tn.nn.Dense(2, 6, "tanh", rng=0), tn.nn.Dense(6, 1, rng=1))
FOUND = tn.attribution.integrated_gradients(MODEL, X, baseline="mean", feature_names=["the width of it", "height"])
CURVES = History(
    loss=[0.69, 0.65, 0.6], validation_loss=[3000.0, 200.0, 1e-3], monitor="loss",
    metrics={"accuracy": [0.5, 0.6, 0.7]}, gradient_norms={f"W{i}": [1e-9, 1.0] for i in range(10)},
)  # fmt: skip


def bowl(x, y):
    return x * x + 4 * y * y


PLOTS = {
    "calibration": (MODEL, X, SIDES),
    "confusion_matrix": (MODEL, X, SIDES),
    "contour_path": (bowl, {"SGD": np.array([[1.0, 1.0], [0.5, 0.1]])}),
    "contributions": (FOUND,),
    "contributions of one": (FOUND[0],),
    "decision_boundary": (MODEL, X, SIDES),
    "history": (CURVES,),
    "loss_surface": (MODEL, tn.binary_cross_entropy, (X, SIDES[np.newaxis].astype(float))),
    "residuals": (MODEL, X, X[:1] * 1000),
    "roc_curve": (MODEL, X, SIDES),
    "weights": (MODEL,),
    "weights_as_images": (rng.normal(size=(5, 6)), (2, 3)),
}
NO_PLOTS = {"descend", "descent_gif"}  # numbers; a file
SETTINGS = {"loss_surface": {"resolution": 4}, "decision_boundary": {"resolution": 20}}


def drawn(name, **settings):
    function = name.split()[0]
    return getattr(plot, function)(*PLOTS[name], **SETTINGS.get(function, {}), **settings)


def test_each_plot_is_looked_at():
    assert {name.split()[0] for name in PLOTS} | NO_PLOTS == set(plot.__all__)


@pytest.fixture
def written(monkeypatch):
    """All texts that are drawn, with the box of each and that of the figure."""
    found, draw = [], Text.draw

    def recording(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            figure = self.get_figure(root=True).bbox
            found.append((self, self.get_window_extent(renderer).extents, np.array(figure.extents)))
        return draw(self, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", recording)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PLOTS)
def test_light_and_dark(name, theme, written):
    shown = drawn(name, theme=theme)
    figure = shown if isinstance(shown, Figure) else shown.figure
    assert to_hex(figure.get_facecolor()) == paper(theme)
    assert shown._repr_png_()[:4] == b"\x89PNG"
    look = look_for(theme)
    inks = {look.ink, look.quiet, look.paper}  # letters on the paper; in a cell of a strong colour those of the paper
    assert len(written) > 3
    for text, (x0, y0, x1, y1), (_, _, width, height) in written:
        assert to_hex(text.get_color()) in inks, text
        assert min(x0, y0, width - x1, height - y1) >= -1, f"{text} is cut off"
        assert "-" not in text.get_text(), text  # a true minus sign


@pytest.mark.parametrize("name", PLOTS)
def test_the_theme_follows_the_background(name):
    parameters = inspect.signature(getattr(plot, name.split()[0])).parameters
    assert parameters["theme"].default is None
    with pytest.raises(ValueError, match="plot: theme='blue', expected 'light', 'dark', or None for what suits"):
        drawn(name, theme="blue")
    if "ax" in parameters:
        ax = Figure(facecolor="black").add_subplot(facecolor="black")
        assert drawn(name, ax=ax) is ax
        assert to_hex(ax.get_facecolor()) == "#000000"  # given axes stay as they are
        colours = {to_hex(line.get_color()) for line in ax.lines}
        assert not colours & (set(Look("light").colours) - set(Look("dark").colours))


def test_colours_are_those_of_pictures():
    for theme in ("light", "dark"):
        look, named = look_for(theme), variables(theme)
        assert look.colours[:4] == [named[f"lane{k}"] for k in range(1, 5)]
        assert len(set(look.colours)) == len(look.colours)
        assert (look.ink, look.paper) == (named["ink"], named["paper"])
        of_pictures = [tint(x, 1) if theme == "light" else dark(f'"{tint(x, 1)}"')[1:-1] for x in (-1, 0, 1)]
        assert [to_hex(look.signs(x)) for x in (0.0, 0.5, 1.0)] == of_pictures
        assert [look.sign(True), look.sign(False)] == [named["lane1"], named["lane2"]]
    lines = map(look_for("light").line, range(64))
    assert len({(line["color"], str(line["linestyle"])) for line in lines}) == 64
    with pytest.raises(AttributeError):
        look.unknown  # noqa: B018


def test_settings_of_matplotlib_say_what_is_dark():
    import matplotlib

    with matplotlib.rc_context({"figure.facecolor": "black"}):
        assert look_for(None) == Look("dark")
    assert look_for(None) == Look("light")


def test_ticks_are_numbers_that_people_read():
    assert [tick(v) for v in (0.0, 0.05, 2.0, 1500.0, -0.25, 1e6, 3e-5, -1e-7)] == [
        "0", "0.05", "2", "1,500", "−0.25", "10⁶", "3·10⁻⁵", "−10⁻⁷",
    ]  # fmt: skip
    figure = plot.history(CURVES)
    figure.draw_without_rendering()
    for ax in figure.axes:
        low, high = ax.get_ylim()
        shown = [t.get_text() for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
        assert 2 <= len(shown) <= 9, shown
        assert not any("e" in text or "$" in text for text in shown)
        epochs = [t.get_text() for t in ax.get_xticklabels() if ax.get_xlim()[0] <= t.get_position()[0]]
        assert all(text.isdigit() for text in epochs)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def line_model():
    layer = tn.nn.Dense(2, 1)
    layer.W.data[...] = [[2.0, 0.0]]
    return layer


Y = 2 * X[:1] + rng.normal(size=(1, 40))


class Rows:
    """An estimator of rows."""

    def predict(self, rows):
        return 2 * rows[:, 0]


TABLE = tn.data.Table({"a": X[0], "b": X[1], "y": Y[0]})
FORMS = {  # one output, by whoever says it and however it is given
    "columns": (2 * X[:1], Y),
    "numbers": (2 * X[0], Y[0]),
    "columns and numbers": (2 * X[:1], Y[0]),
    "rows of one": (2 * X[:1].T, Y.T),
    "a tensor": (tn.tensor(2 * X[:1]), tn.tensor(Y)),
    "a model": (line_model(), X, Y),
    "a function": (lambda X: 2 * X[0], X, Y[0]),
    "an estimator, columns": (Rows(), X, Y[0]),
    "an estimator, rows": (Rows(), X.T, Y[0]),
    "an estimator, columns of numbers": (Rows(), X, Y),
    "an estimator, rows of numbers": (Rows(), X.T, Y.T),
    "lists": ((2 * X[0]).tolist(), Y[0].tolist()),
    "a predictor of rows": (tn.nn.Predictor(line_model()), X.T, Y[0]),
    "a predictor of columns": (tn.nn.Predictor(line_model(), examples="columns"), X, Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_residuals(form):
    ax = plot.residuals(*FORMS[form])
    points = np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)])
    expected = np.stack([2 * X[0], Y[0] - 2 * X[0]], axis=1)
    assert np.allclose(points[np.lexsort(points.T)], expected[np.lexsort(expected.T)])
    error = Y[0] - 2 * X[0]
    fit = 1 - np.sum(error**2) / np.sum((Y[0] - Y.mean()) ** 2)
    assert ax.get_title() == f"R² {fit:.3f}".rstrip("0") + f", RMSE {np.sqrt(np.mean(error**2)):.3g}"
    above, below = (c for c in ax.collections if isinstance(c, PathCollection))
    assert (above.get_offsets()[:, 1] >= 0).all()
    assert (below.get_offsets()[:, 1] < 0).all()
    assert [to_hex(c.get_facecolor()[0]) for c in (above, below)] == [POSITIVE.line, NEGATIVE.line]


def test_residuals_of_a_table_are_in_its_units():
    preprocessor = tn.data.Preprocessor(target="y").fit(TABLE)
    model = tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(2, 1, rng=0)), preprocessor)
    ax = plot.residuals(model, TABLE, Y[0])
    points = np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)])
    assert sorted(points[:, 0]) == pytest.approx(sorted(model.predict(TABLE)))
    assert sorted(points.sum(axis=1)) == pytest.approx(sorted(Y[0]))


def test_residuals_say_what_they_cannot_draw(raised):
    two = np.ones((2, 5))
    no_numbers = (
        "predicted are of dtype <U1 and shape (1,), expected numbers (d, N) or (N,); of classes plot.confusion_matrix "
        "says how they were mistaken"
    )
    plot.residuals(two, two, output=1)
    for arguments, settings, text in [
        ((two, two), {}, "there are 2 outputs: output= says which, from 0 to 1"),
        ((two, two), {"output": 2}, "output=2, expected a number from 0 to 1"),
        ((two, two[:, :4]), {"output": 0}, "predicted has shape (2, 5), actual (2, 4): expected the same"),
        ((np.array(["a"]), np.array(["a"])), {}, no_numbers),
        ((np.array([1.0, np.nan]), np.ones(2)), {}, "1 of 2 examples have numbers that are not finite"),
    ]:  # fmt: skip
        assert raised(ValueError, plot.residuals, *arguments, **settings) == f"residuals: {text}"


def test_weights_are_counted(raised):
    figure = plot.weights(MODEL)
    assert [ax.get_title() for ax in figure.axes] == ["W¹ (6 × 2)", "W² (1 × 6)"]
    for ax, layer in zip(figure.axes, MODEL, strict=True):
        W = layer.W.value
        counts = [bar.get_height() for bar in ax.patches]
        above = [bar.get_height() for bar in ax.patches if bar.get_x() >= -1e-12]
        assert (sum(counts), sum(above)) == (W.size, (W >= 0).sum())
        assert {to_hex(bar.get_facecolor()) for bar in ax.patches if bar.get_x() >= -1e-12} == {POSITIVE.line}
    assert [ax.get_title() for ax in plot.weights(MODEL.state_dict()).axes] == [
        "layers.0.W (6 × 2)",
        "layers.1.W (1 × 6)",
    ]
    many = plot.weights({f"m{i}": np.eye(3) for i in range(5)})
    assert [ax.get_xlabel() for ax in many.axes[:5]] == ["mean 0.33, σ 0.47, 67% zero"] * 5
    assert (
        raised(ValueError, plot.weights, {"b": np.ones((3, 1))})
        == "weights: there is no parameter with rows and columns"
    )
    bad = {"W": np.array([[1.0, np.inf]])}
    assert raised(ValueError, plot.weights, bad) == "weights: 1 weights of W are not finite"


def test_loss_surface_is_the_loss(raised):
    """Of a quadratic, whose level lines are known; the model stays as it was."""
    model, data = line_model(), (X, Y)
    before = model.state_dict()
    one = {"W": np.array([[1.0, 0.0]])}, {"b": np.array([[1.0]])}
    ax = plot.loss_surface(model, tn.mse, data, directions=one, resolution=21, span=0.5)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())
    assert model.training
    lines = next(c for c in ax.collections if hasattr(c, "levels") and not c.filled)
    at = line_model()
    for level, path in list(zip(lines.levels, lines.get_paths(), strict=True))[3:-1:4]:
        for a, b in path.vertices[::10]:
            at.load_state_dict({"W": [[2.0 + a, 0.0]], "b": [[b]]})
            assert evaluate(at, tn.mse, data)["loss"] == pytest.approx(level, rel=0.02)
    for settings, text in [
        ({"span": 0}, "span=0, expected a length above 0"),
        ({"resolution": 1}, "resolution=1, expected a number of points from 2"),
        ({"directions": [one[0]]}, "directions= are two, each a dict of arrays by the names of parameters"),
        ({"directions": ({"V": 1}, {})}, "there is no parameter 'V'; there are W, b"),
        ({"directions": ({"W": [1.0]}, {})},
         "the direction of W has shape (1,), expected that of the parameter, (1, 2)"),
    ]:  # fmt: skip
        assert raised(ValueError, plot.loss_surface, model, tn.mse, data, **settings) == f"loss_surface: {text}"
    with pytest.raises(ZeroDivisionError):
        plot.loss_surface(model, lambda p, y: 1 / 0, data)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())


def test_contributions_are_those_of_the_result(raised):
    one = next(one for one in FOUND if np.ptp(np.sign(one.by_feature)) == 2)
    ax = plot.contributions(one)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(one.by_feature[one.order, 0])
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [name.split(":")[0] for name in names] == [one.feature_names[i] for i in one.order]
    colours = [POSITIVE.line if bar.get_width() >= 0 else NEGATIVE.line for bar in ax.patches]
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == colours
    assert set(colours) == {POSITIVE.line, NEGATIVE.line}
    ax = plot.contributions(FOUND)
    for dots in (c for c in ax.collections if isinstance(c, PathCollection)):
        signs = [POSITIVE.line if x >= 0 else NEGATIVE.line for x in dots.get_offsets()[:, 0]]
        assert [to_hex(colour) for colour in dots.get_facecolors()] == signs
    rows = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    for i, (k, offsets) in enumerate(zip(FOUND.order, rows, strict=True)):
        assert np.allclose(offsets[:, 0], FOUND.by_feature[k])
        assert (abs(offsets[:, 1] - i) <= 0.33).all()
    assert ax.get_title().endswith("mean of 40 examples")
    wide = tn.attribution.gradient_input(tn.nn.Dense(9, 1, rng=0), np.ones((9, 1)))
    ax = plot.contributions(wide, most=3)
    assert ax.get_yticklabels()[-1].get_text() == "6 more"
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(wide.values.sum())
    assert raised(TypeError, plot.contributions, X) == (
        "contributions: got ndarray, expected what tn.attribution.gradient_input, integrated_gradients or by_path "
        "returns"
    )
    assert raised(ValueError, plot.contributions, FOUND, most=0) == "contributions: most=0, expected at least 1"


def test_what_else_is_given_is_refused_by_name(raised):
    assert raised(TypeError, plot.history, [1.0, 0.5]) == (
        "history: got list, expected what tn.fit returns, or a fitted estimator of tn.sklearn"
    )
    assert raised(TypeError, plot.weights, [1.0]) == (
        "weights: got list, expected a tn.nn.Module, a fitted estimator of tn.sklearn, or a dict of arrays"
    )
    assert raised(TypeError, plot.loss_surface, Rows(), tn.mse, (X, Y)) == (
        "loss_surface: model is of type Rows, expected a tn.nn.Module; of an estimator of tn.sklearn it is "
        "estimator.model_"
    )


def test_estimators_have_curves_and_weights():
    sklearn = pytest.importorskip("tinygrad_nn.sklearn")
    model = sklearn.MLPClassifier((3,), max_iter=2, tol=None, random_state=0).fit(X.T, SIDES)
    assert list(plot.history(model).axes[0].lines[0].get_ydata()) == model.loss_curve_
    assert len(plot.weights(model).axes) == 2
    assert len([ax for ax in plot.weights_as_images(model, (1, 2)).axes if ax.images]) == 3


def test_a_class_without_examples_has_no_curve(raised):
    P = np.full((3, 4), 1 / 3) + np.eye(3, 4) / 10
    ax = plot.roc_curve(P, np.array([0, 1, 1, 0]), names=["a", "b", "c"])
    assert [text.get_text()[:18] for text in ax.get_legend().get_texts()] == [
        "a: AUC 1.000", "b: AUC 0.625", "no example of c",
    ]  # fmt: skip
    for draw in (plot.confusion_matrix, plot.roc_curve):
        assert raised(ValueError, draw, P, [0, 1, 2, 0], names=["a"]).endswith(": 1 names for 3 classes")


def test_a_dollar_is_no_formula():
    """A name such as "$a_$" would be read as a formula, and as a broken one."""
    names = ["$a_$", "price in $, or in $"]
    found = tn.attribution.gradient_input(MODEL, X, feature_names=names, class_names=names)
    of_curves = History(loss=[1.0, 0.5], metrics={"$a_$": [1.0, 2.0]})
    weights = {"$a_$": np.eye(3)}
    drawn_with = [
        plot.contributions(found).figure, plot.contributions(found[0]).figure, plot.history(of_curves),
        plot.weights(weights), *(getattr(plot, name)(MODEL, X, SIDES, names=names).figure for name in
                                 ("confusion_matrix", "roc_curve", "calibration")),
    ]  # fmt: skip
    for figure in drawn_with:
        figure.draw_without_rendering()
        assert any("\\$" in text.get_text() for text in figure.findobj(Text))


def test_no_epoch_has_no_curve(raised):
    assert raised(ValueError, plot.history, History()) == "history: nothing has been measured: there was no epoch"


def test_long_words_of_contributions_stay_in_the_figure():
    rng = np.random.default_rng(0)
    network = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=rng), tn.nn.Dense(4, 2, rng=rng))
    long = "a rather long name of a class, as people have them"
    X = rng.normal(size=(3, 40))
    found = tn.attribution.integrated_gradients(
        network, X, baseline=X[:, :20], output=long, class_names=[long, "other"]
    )
    figure = plot.contributions(found).figure
    figure.draw_without_rendering()
    ax = figure.axes[0]
    for text in (ax.title, ax.xaxis.label):
        lines = text._get_wrapped_text().split("\n")  # as it is drawn
        text.set(text="\n".join(lines), wrap=False)
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_no_legend_covers_a_learning_curve():
    history = tn.training.History()
    epochs = np.arange(30)
    history.loss[:] = list(np.exp(np.sin(3.0 * epochs)))
    history.gradient_norms = {f"W{k}": list(np.exp(np.sin(2.0 * epochs + k))) for k in range(4)}
    figure = plot.history(history)
    figure.draw_without_rendering()
    for ax in figure.axes:
        box = ax.get_legend().get_window_extent()
        assert not any(box.contains(x, y) for line in ax.lines for x, y in ax.transData.transform(line.get_xydata()))
        assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("name", "method"), [("confusion_matrix", "predict"), ("roc_curve", "predict_proba")])
def test_several_labels_at_a_time_are_no_classes(raised, name, method):
    Y = np.stack([SIDES, 1 - SIDES, SIDES])
    table = tn.data.Table({"u": X[0], "v": X[1], "a": Y[0], "b": Y[1], "c": Y[2]})
    preprocessor = tn.data.Preprocessor(target=["a", "b", "c"], task="classification").fit(table)
    network = tn.nn.Sequential(tn.nn.Dense(2, 3, rng=0))
    labels = tn.nn.Predictor(network, preprocessor)
    said = (
        f"{name}: the model gives each row 3 labels at a time; label k by itself is shown of (model.{method}(X)[:, k], "
    )
    assert raised(ValueError, getattr(plot, name), labels, table, SIDES).startswith(said)
    getattr(plot, name)(getattr(labels, method)(table)[:, 0], SIDES)
    pytest.importorskip("sklearn")
    estimator = tn.sklearn.MLPClassifier((3,), max_iter=2, tol=None).fit(X.T, Y.T)
    assert raised(ValueError, getattr(plot, name), estimator, X.T, SIDES).startswith(said)
    found = tn.attribution.gradient_input(labels, table[:1], output="b")
    assert found.explained == "output b"


def test_a_predictor_of_numbers_has_no_classes(raised):
    table = tn.data.Table({"u": X[0], "v": X[1], "sum": X.sum(axis=0)})
    preprocessor = tn.data.Preprocessor(target="sum").fit(table)
    model = tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(2, 1, rng=0)), preprocessor)
    for name in ("confusion_matrix", "roc_curve", "calibration"):
        assert raised(ValueError, getattr(plot, name), model, table, SIDES) == (
            f"{name}: the model predicts numbers, 'sum', and no classes; plot.residuals shows how far off they are"
        )
