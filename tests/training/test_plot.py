"""Plots: what is drawn is what was measured; nothing is shown, and nothing needs a screen."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from tinygrad_nn import plot
from tinygrad_nn.training import History
from tinygrad_nn.view.renderers.style import tint


@pytest.fixture
def history():
    return History(
        loss=[3.0, 2.0, 1.0], validation_loss=[3.0, 1.5, 2.0], monitor="validation_loss",
        metrics={"accuracy": [0.5, 0.6, 0.7]}, gradient_norms={"W": [1.0, 0.5]}, update_ratios={"W": [0.0, 0.1]},
    )  # fmt: skip


def test_history_has_a_panel_for_what_was_measured(history):
    figure = plot.history(history)
    assert isinstance(figure, Figure)
    loss, metrics, norms, ratios = figure.axes
    assert [line.get_label() for line in loss.lines[:2]] == ["loss", "validation loss"]
    assert loss.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert loss.lines[0].get_xdata().tolist() == [1, 2, 3]
    (dot,) = (line for line in loss.lines if line.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (2, 1.5)
    assert metrics.get_yscale() == "linear"
    assert norms.get_yscale() == "log"
    assert ratios.get_yscale() == "linear"  # a zero has no logarithm
    history.metrics = {}
    assert len(plot.history(history).axes) == 3


def test_lines_differ_by_more_than_colour(history):
    assert len({line.get_linestyle() for line in plot.history(history).axes[0].lines[:2]}) == 2


def step(X):
    """Class 1 right of 0.5, as scores."""
    return np.stack([0.5 - X[0], X[0] - 0.5]) * 100


@pytest.mark.parametrize("one_hot", [False, True])
def test_decision_boundary_lies_where_the_model_changes_its_mind(one_hot):
    X = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    y = np.array([0, 1, 1])
    ax = plot.decision_boundary(step, X, np.eye(2)[:, y] if one_hot else y, resolution=50)
    assert isinstance(ax, Axes)
    (border,) = (c.get_paths()[0].vertices for c in ax.collections if isinstance(c, ContourSet))
    assert border[:, 0] == pytest.approx(0.5, abs=0.02)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class 0", "class 1"]


def test_decision_boundary_of_networks_and_estimators(moons):
    X, y = moons
    one, two = (tn.nn.Sequential(tn.nn.Dense(2, n, "sigmoid", rng=0), tn.nn.Dropout(0.5)) for n in (1, 3))
    for model in (one, two):
        assert plot.decision_boundary(model, X, resolution=20).get_images()
        assert model.training  # as before; asked in eval mode
        assert all(p.grad is None for p in model.parameters())

    class Estimator:
        def predict(self, rows):
            assert rows.shape == (400, 2)
            return np.where(rows[:, 0] > 0, "b", "a")

    assert plot.decision_boundary(Estimator(), X, y, resolution=20).get_images()


def test_decision_boundary_wants_points_in_the_plane(raised):
    assert raised(ValueError, plot.decision_boundary, step, np.ones((5, 2))) == (
        "decision_boundary: X has shape (5, 2), expected points in the plane (2, N); X.T fits"
    )


def test_weights_as_images(raised):
    model = tn.nn.Sequential(tn.nn.Dense(6, 5, rng=0), tn.nn.Dense(5, 2, rng=1))
    for weights in (model, model[0].W, model[0].W.numpy()):
        images = [ax.images[0] for ax in plot.weights_as_images(weights, (2, 3)).axes if ax.images]
        assert len(images) == 5
        assert np.array_equal(images[1].get_array(), model[0].W.value[1].reshape(2, 3))
        assert {image.get_clim() for image in images} == {images[0].get_clim()}  # one scale
        assert images[0].get_clim()[0] == -images[0].get_clim()[1]
        assert to_hex(images[0].cmap(1.0)) == tint(1, 1)  # a sign has the colour that it has in pictures
        assert to_hex(images[0].cmap(0.0)) == tint(-1, 1)
        assert to_hex(images[0].cmap(0.5)) == tint(0, 1)
    assert len([ax for ax in plot.weights_as_images(model, (2, 3), count=2).axes if ax.images]) == 2
    assert "W has shape (5, 6), expected (units, 8 · 8 pixels)" in raised(ValueError, plot.weights_as_images, model)


def test_confusion_matrix(raised):
    actual, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    scores = np.eye(3)[:, predicted]
    for arguments in [(predicted, actual), (scores, actual), (lambda X: scores, np.ones((2, 6)), actual)]:
        ax = plot.confusion_matrix(*arguments)
        assert ax.get_title() == "4 of 6 right (66.7%)"
        counts = {text.get_position(): text.get_text() for text in ax.texts}
        assert counts == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (2, 2): "2", (0, 2): "1"}  # (predicted, actual)
    ax = plot.confusion_matrix(predicted, actual, names=["a", "b", "c"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert "4 predictions for 6 actual classes" in raised(ValueError, plot.confusion_matrix, predicted[:4], actual)


def bowl(x, y):
    return x * x + 4 * y * y


def test_descent_is_that_of_the_optimisers():
    paths = plot.descend(
        bowl, {"SGD": lambda p: tn.optim.SGD(p, lr=0.1), "wild": lambda p: tn.optim.SGD(p, lr=1e200)}, (1, 1), 3
    )
    assert paths["SGD"].shape == (4, 2)
    assert paths["SGD"][1].tolist() == pytest.approx([0.8, 0.2])
    assert len(paths["wild"]) == 2  # it ends where numbers do
    ax = plot.contour_path(bowl, {"SGD": paths["SGD"]}, x=(-2, 2))
    assert ax.get_xlim() == (-2, 2)
    (line,) = (line for line in ax.lines if line.get_label() == "SGD")
    assert np.array_equal(np.transpose(line.get_data()), paths["SGD"])


def test_descent_as_an_animation(tmp_path):
    image = pytest.importorskip("PIL.Image")
    paths = plot.descend(bowl, {"SGD": lambda p: tn.optim.SGD(p, lr=0.05)}, (1, 1), 8)
    file = plot.descent_gif(tmp_path / "descent.gif", bowl, paths, frames=5)
    with image.open(file) as gif:
        assert gif.n_frames == 5
        assert gif.size == (480, 368)


def test_axes_given_are_drawn_into():
    ax = Figure().add_subplot()
    assert plot.decision_boundary(step, np.eye(2), ax=ax, resolution=5) is ax
    assert plot.confusion_matrix(np.array([0, 1]), np.array([0, 1]), ax=ax) is ax


def test_nothing_is_shown_and_no_screen_is_asked_for(tmp_path):
    """pyplot, which opens windows and remembers figures, is not even imported."""
    code = (
        "import sys, numpy as np; from tinygrad_nn import plot\n"
        "plot.confusion_matrix(np.array([0, 1]), np.array([0, 1])).figure.savefig('a.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {**os.environ, "DISPLAY": ":99"}
    del environment["MPLBACKEND"]
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path, env=environment)


def test_without_matplotlib_the_error_says_what_to_install():
    code = "import sys; sys.modules['matplotlib'] = None\nfrom tinygrad_nn import plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: tinygrad_nn.plot needs matplotlib: pip install 'tinygrad_nn[plot]'" in done.stderr
