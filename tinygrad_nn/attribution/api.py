"""The three questions: at the example, along a line to it, and through which units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.attribution.layers import MAX_NUMBERS, LayerPaths, Level, add_flows, levels_between, no_flows
from tinygrad_nn.attribution.lines import Nodes, nodes_along
from tinygrad_nn.attribution.result import Attribution, PathAttribution
from tinygrad_nn.attribution.target import Target, as_columns, find_target
from tinygrad_nn.modes import enable_grad

__all__ = ["by_path", "gradient_input", "integrated_gradients"]

POINTS = 256  # so many points at once are split up by unit
LINES = 200_000  # numbers in the lines that are integrated at once


def gradient_input(
    model: Any,
    X: Any,
    output: Any = None,
    *,
    of: str = "output",
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[Any] | None = None,
) -> Attribution:
    """Gradient × input: how much of an output comes from each feature, if the model were as steep everywhere as here.

    Parameters
    ----------
    model : a module, or a function of columns (features ..., N) to outputs (outputs, N); or an estimator of
        `tn.sklearn`, which takes rows (N, features); or a `tn.nn.Predictor`.  It is asked as in prediction, and nothing
        of it changes.
    X : the examples, all of them at once; a data frame names its features.  Of a `Predictor` a table, as its `predict`
        takes it, or arrays of what its network sees; contributions are of the features that the preprocessor makes.
    output : which output is explained: the name or label of a class, the number of an output from 0, or one of these
        for each example.  By default the only one, or the class that is predicted for each example.  Of two classes
        with a single output this is class 1, and class 0 is what speaks against it.
    of : "output", the number as the model says it; "probability" of the class; or "log_odds", log p / (1 − p), the
        logit above those of all other classes.
    feature_names, class_names : what tables and pictures call them; an estimator knows its own.

    Returns
    -------
    An `Attribution`.  ``result.values`` has the shape of X.  The contributions of a linear model without biases add up
    to its output, as those of a relu network without biases do; ``result.gap`` is the rest.

    Raises
    ------
    ValueError : shapes that do not fit, numbers that are not finite, an output that is not there, a model whose answer
        about an example depends on the others.
    TypeError : a model without derivatives, such as scikit-learn's own.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 1)
    >>> model.load_state_dict({"W": [[2.0, -1.0]], "b": [[0.5]]})
    >>> result = tn.attribution.gradient_input(model, np.array([[3.0], [4.0]]), feature_names=["width", "height"])
    >>> result.values.tolist(), result.gap.tolist()
    ([[6.0], [-4.0]], [0.5])
    >>> print(result)
    Where the output came from: gradient × input
                          value  contribution  share
    width                     3             6   60 %  ▓▓▓▓▓▓▓▓▓▓▓▓
    height                    4            −4   40 %  ░░░░░░░░
    ------------------------------------------------
    sum of contributions                    2
    biases, curvature                     0.5
    output                                2.5

    Source: Shrikumar, Greenside, Shcherbina, Kundaje, "Not just a black box" (2016).
    """
    target = find_target("gradient_input", model, X, output, of, feature_names, class_names)
    f, slopes = target(target.columns, np.arange(len(target)))
    again = partial(_split, None, None, 1e-3)
    values = target.by_feature(slopes * target.columns)
    return Attribution("gradient × input", target, values, None, f, np.zeros_like(f), again)


def integrated_gradients(
    model: Any,
    X: Any,
    output: Any = None,
    *,
    baseline: Any = "zeros",
    of: str = "output",
    steps: int | None = None,
    tolerance: float = 1e-3,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[Any] | None = None,
) -> Attribution:
    """Integrated gradients: (x − b) times the gradient, averaged along the line from a baseline b to each example x.

    They add up to f(x) − f(b).  How far they are from it is ``result.gap``, the completeness gap.

    Parameters
    ----------
    model, X, output, of, feature_names, class_names : as for `gradient_input`.
    baseline : where lines begin: "zeros"; "mean", of the examples in X; or numbers, one baseline (features,), or many
        (features, M), for estimators (M, features), for a `Predictor` a table, over which the contributions are
        averaged: expected gradients.
    steps : points on each line (Gauss and Legendre).  By default a line is taken in pieces, which are halved where
        their contributions do not add up to what f changes there: at the kinks of a relu network.
    tolerance : how far contributions may be off then, as a part of the sum of their sizes; ``gap`` says how far they
        are.

    Returns
    -------
    An `Attribution`, whose ``reference`` is f(b), or its mean over the baselines.

    Raises
    ------
    ValueError, TypeError : as `gradient_input`; and for baselines that do not fit.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> result = tn.attribution.integrated_gradients(lambda X: X[:1] * X[1:], np.array([[3.0], [4.0]]))
    >>> result.values.round(6).tolist(), result.outputs.tolist()  # each of the two factors is as important
    ([[6.0], [6.0]], [12.0])

    Source: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017; for many baselines Erion,
    Janizek, Sturmfels, Lundberg, Lee, "Improving performance of deep learning models with axiomatic attribution priors
    and expected gradients" (2021).
    """
    caller = "integrated_gradients"
    target = find_target(caller, model, X, output, of, feature_names, class_names)
    start = _baselines(caller, target, baseline)
    reference, values, _ = _along_lines(caller, target, start.columns, steps, tolerance)
    f, _ = target(target.columns, np.arange(len(target)))
    m = start.given.shape[-1]
    method = "integrated gradients" if m == 1 else f"expected gradients, {m} baselines"
    again = partial(_split, start, steps, tolerance)
    return Attribution(method, target, values, start.given, f, reference, again)


def by_path(
    model: Any,
    X: Any,
    output: Any = None,
    *,
    baseline: Any = None,
    of: str = "output",
    steps: int | None = None,
    tolerance: float = 1e-3,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[Any] | None = None,
) -> PathAttribution:
    """The contributions of the features, split up by the hidden units through which their paths run.

    The paths from a feature to the output add up to its contribution, and each runs through one unit of every layer.
    So the sum over all paths through a unit is what this unit passes on of the feature, exactly, and nothing is lost
    from layer to layer.

    Parameters
    ----------
    baseline : None for the paths at the example itself, which add up to `gradient_input`; or as for
        `integrated_gradients`, to which the paths along the lines add up then (the conductance of units).
    model, X, output, of, steps, tolerance, feature_names, class_names : as there.

    Returns
    -------
    A `PathAttribution`.  ``result.layers[0].contributions`` is (features, units, N); ``result.layers[0].top(5)`` are
    the units that carry most; ``result.draw()`` is a picture.  Layers are whatever all paths go through: hidden layers,
    what residual blocks, convolutions and normalising layers make; of a layer and its activation the activation.

    Raises
    ------
    ValueError, TypeError : as the other two; and where features × units × examples are more than 50 million.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
    >>> X = np.array([[1.0], [0.5]])
    >>> result = tn.attribution.by_path(model, X)
    >>> layer = result.layers[0]
    >>> layer.name, layer.contributions.shape, np.allclose(layer.contributions.sum(axis=1), result.values)
    ('A¹', (2, 3, 1), True)

    The same sum, of the paths that `tn.paths` lists one by one:

    >>> x = tn.tensor(X, requires_grad=True, name="X")
    >>> through = tn.paths(model(x), x, at=(0, 0)).element_flow
    >>> (A,) = (node for node in through if node.name == "A¹")
    >>> np.allclose(through[A][:, 0] * X[0, 0], layer.contributions[0, :, 0])
    True

    Source: for lines, Dhamdhere, Sundararajan, Yan, "How important is a neuron?", ICLR 2019; the paths are those of
    `tn.paths`.
    """
    target = find_target("by_path", model, X, output, of, feature_names, class_names)
    start = None if baseline is None else _baselines("by_path", target, baseline)
    return _split(start, steps, tolerance, target)


@enable_grad()
def _split(start: Baselines | None, steps: int | None, tolerance: float, target: Target) -> PathAttribution:
    """What `by_path` returns."""
    n = len(target)
    f, slopes = target(target.columns, np.arange(n))
    if start is None:
        everyone = np.arange(n)
        layers = _through_layers(target, Nodes(everyone, np.ones(n), np.ones(n)), everyone, 0 * target.columns)
        method, reference = "gradient × input, by path", np.zeros_like(f)
        values = target.by_feature(slopes * target.columns)
    else:
        reference, values, (nodes, begin, example) = _along_lines("by_path", target, start.columns, steps, tolerance)
        layers = _through_layers(target, nodes, example, begin)
        method = "integrated gradients, by path"
    again = partial(_split, start, steps, tolerance)
    given = None if start is None else start.given
    return PathAttribution(method, target, values, given, f, reference, again, layers)


# --- along lines -----------------------------------------------------------------------------------------------------


def _along_lines(
    caller: str, target: Target, start: np.ndarray, steps: int | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray, tuple[Nodes, np.ndarray, np.ndarray]]:
    """f at the baselines (N,), contributions, and the nodes on lines with their beginnings and examples."""
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(
            f"{caller}: steps={steps!r}, expected a number of points, or None to find out how many it takes"
        )
    if not 0 < tolerance < 1:
        raise ValueError(f"{caller}: tolerance={tolerance!r}, expected a part such as 1e-3")
    n, m = len(target), start.shape[-1]
    example, first = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    begin = start[..., first]
    way = target.columns[..., example] - begin
    at_start, _ = target(begin, example)
    size = max(1, LINES // max(1, way[..., 0].size))
    parts, found = [], []
    for i in range(0, n * m, size):
        some = slice(i, i + size)

        def evaluate(points: np.ndarray, lines: Any, of: np.ndarray = example[some]) -> tuple[np.ndarray, np.ndarray]:
            return target(points, of[lines])

        nodes, values = nodes_along(evaluate, begin[..., some], way[..., some], steps, tolerance)
        parts.append(values)
        found.append(Nodes(nodes.line + i, nodes.at, nodes.weight / m))
    nodes = Nodes(*(np.concatenate(x) for x in zip(*((p.line, p.at, p.weight) for p in found), strict=True)))
    values = np.concatenate(parts, axis=-1).reshape(*way.shape[:-1], n, m).mean(axis=-1)
    return at_start.reshape(n, m).mean(axis=1), target.by_feature(values), (nodes, begin, example)


class Baselines(NamedTuple):
    """Where lines begin: features (features ..., M), and as columns of the target."""

    given: np.ndarray
    columns: np.ndarray


def _baselines(caller: str, target: Target, baseline: Any) -> Baselines:
    """Where lines begin.  A vector that is that of no category is NaN in `given`."""
    columns = target.given
    if isinstance(baseline, str):
        if baseline not in ("zeros", "mean"):
            raise ValueError(f"{caller}: baseline={baseline!r}, expected 'zeros', 'mean' or numbers")
        if baseline == "zeros":
            zeros = np.zeros_like(target.columns[..., :1])
            return Baselines(target.without_category(np.zeros_like(columns[..., :1]), zeros), zeros)
        if len(target) == 1:
            raise ValueError(
                f"{caller}: the mean of a single example is the example: give baseline= the mean of others"
            )
        mean = target.columns.mean(axis=-1, keepdims=True)
        return Baselines(target.without_category(columns.mean(axis=-1, keepdims=True), mean), mean)
    if np.shape(baseline) == columns.shape[:-1]:
        baseline = np.asarray(baseline)[np.newaxis] if target.in_rows else np.asarray(baseline)[..., np.newaxis]
    given, _ = as_columns(caller, "baseline", baseline, target.model, target.in_rows)
    if given.shape[:-1] != columns.shape[:-1] or not given.shape[-1]:
        raise ValueError(
            f"{caller}: baseline has shape {np.shape(baseline)}, and an example {columns.shape[:-1]}: give one "
            "baseline like an example, or many beside each other, as in X"
        )
    given = given.astype(columns.dtype)
    return Baselines(given, target.enter(given))


# --- through the units -----------------------------------------------------------------------------------------------


def _through_layers(target: Target, nodes: Nodes, example: np.ndarray, begin: np.ndarray) -> tuple[LayerPaths, ...]:
    """What runs through each layer, summed over the weighted nodes of each example."""
    n, columns = len(target), target.columns
    f, x, output = target.record(columns, np.arange(n))
    levels = _levels(target, f, x, output)
    if not levels:
        return ()
    features = columns[..., 0].size
    widths = [features, *(level.node.size // n for level in levels)]
    most = max(max(features, below) * above for below, above in pairwise(widths))
    if most * n > MAX_NUMBERS:
        raise ValueError(
            f"by_path: {features} features and layers of {', '.join(map(str, widths[1:]))} units make {most:,} numbers "
            f"for each of {n} examples, more than {MAX_NUMBERS:,} together: take fewer examples at once"
        )
    totals = no_flows(levels, features, n)
    for i in range(0, len(nodes.line), POINTS):
        line, at, weight = (x[i : i + POINTS] for x in (nodes.line, nodes.at, nodes.weight))
        of = example[line]
        way = columns[..., of] - begin[..., line]
        f, x, output = target.record(begin[..., line] + at.astype(way.dtype) * way, of)
        add_flows(totals, _levels(target, f, x, output), x, f, way, weight, of)
    found = []
    for k, (level, (contributions, incoming)) in enumerate(zip(levels, totals, strict=True)):
        contributions = target.by_feature(contributions)
        incoming = contributions if k == 0 else incoming
        values = level.node.value.reshape(-1, n).astype(float)
        a, b, c = (np.moveaxis(x, -1, 0) if target.in_rows else x for x in (contributions, incoming, values))
        found.append(LayerPaths(level.name, level.activation, a, b, c, target.in_rows))
    return tuple(found)


def _levels(target: Target, f: Any, x: Any, output: Any) -> list[Level]:
    return levels_between(f, x, output, target.of != "output") if f.tracked else []
