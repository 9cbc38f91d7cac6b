"""Losses and metrics as `fit` takes them: by name, as functions, or as what scikit-learn calls so."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinygrad_nn.nn.foreign import name_of
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.other_names import LOSSES
from tinygrad_nn.training.row_metrics import RowMetric, by_name_of_sklearn, names_of_sklearn, of_scorer, takes_rows
from tinygrad_nn.training.scores import METRICS, Accuracy, ByName, Score, accuracy

__all__ = ["Measure", "find_loss", "find_metrics", "is_metric", "mode_of"]

Measure = Callable[[Any, Any], Any]


def find_loss(loss: str | Measure, caller: str = "fit") -> Measure:
    """The loss of this name, or the function itself; ValueError naming the nearest where there is none."""
    if callable(loss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(
            f"{caller}: loss is {loss!r:.60}, expected a name such as 'mse', or a function of (prediction, target)"
        )
    found = BY_NAME.get(loss)
    if isinstance(found, Op) and found.arguments[1:] == ("target",):
        return found
    names = sorted(n for n, e in BY_NAME.items() if isinstance(e, Op) and e.arguments[1:] == ("target",))
    near = [LOSSES[loss]] if loss in LOSSES else difflib.get_close_matches(loss, names, n=1)
    raise ValueError(
        f"{caller}: there is no loss {loss!r}; " + (f"did you mean {near[0]!r}?" if near else ", ".join(names))
    )


def find_metrics(metrics: str | Iterable[Any] | Mapping[str, Measure], loss: Measure) -> dict[str, Any]:
    """The metrics by name, as `fit` takes them."""
    if not isinstance(metrics, Iterable) and not callable(metrics):
        raise TypeError(f"fit: metrics={metrics!r:.60}, expected 'accuracy', a function, or several of them")
    if isinstance(metrics, Mapping):
        named = list(metrics.items())
    else:
        several = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
        named = [(metric if isinstance(metric, str) else name_of(metric), metric) for metric in several]
    found: dict[str, Any] = {}
    for name, metric in named:
        if not isinstance(name, str):
            raise TypeError(f"fit: the name of a metric is {name!r:.60}, expected a string")
        if name in ("loss", "learning_rate", "seconds") or name.startswith("validation_"):
            raise ValueError(
                f"fit: a metric is called {name!r}, as the history calls something else: give a dict of metrics by "
                "other names"
            )
        if name in found:
            raise ValueError(f"fit: two metrics would be called {name!r}: give a dict of metrics by other names")
        found[name] = _metric(metric, loss)
    return found


def _metric(metric: Any, loss: Measure) -> Any:
    if metric is accuracy:
        return Accuracy()
    if isinstance(metric, str):
        found = METRICS.get(metric) or by_name_of_sklearn(metric)
        if found is None:
            near = _nearest(metric)
            raise ValueError(
                f"fit: there is no metric {metric!r}; "
                + (f"did you mean {near!r}? " if near else "")
                + f"There is {', '.join(METRICS)}, any metric or scorer of scikit-learn by its name where it is "
                "installed, and functions of (prediction, target)"
            )
        metric = found() if isinstance(found, type) else found
    if isinstance(metric, Score):
        return metric
    if not callable(metric):
        raise TypeError(f"fit: a metric is {metric!r:.60}, expected a name, or a function of (prediction, target)")
    if hasattr(metric, "_score_func"):
        metric = of_scorer(metric)
    return RowMetric(metric, loss) if takes_rows(metric) else metric


def is_metric(name: str) -> bool:
    """Whether a metric has this name."""
    return name in METRICS or bool(name and by_name_of_sklearn(name))


def _nearest(name: str) -> str:
    """The metric that was meant by another name; "" if none is near."""
    name = name.lower().replace("-", "_").replace(" ", "_")
    for names in ([*METRICS], names_of_sklearn()):
        near = difflib.get_close_matches(name, names, 1, 0.75)
        near += [other for other in names if min(len(name), len(other)) > 2 and name.startswith(other)]
        near += [other for other in names if len(name) > 2 and other.startswith(name)]
        if near:
            return near[0]
    return ""


def mode_of(name: str, metric: Any) -> str:
    """Whether the "min" or the "max" of a metric is the best.

    By the names of scikit-learn: an error, a loss and a deviance are to be small, and everything else, such as the
    negative of one (neg_log_loss), is to be large.

    >>> mode_of("mean_absolute_error", None), mode_of("accuracy_score", None), mode_of("validation_loss", None)
    ('min', 'max', 'min')
    """
    if isinstance(metric, ByName):
        return "min" if metric.less_is_better else "max"
    named = [name] if metric is None else [name, name_of(getattr(metric, "metric", metric))]
    less = any(word.endswith(("loss", "error", "deviance")) for word in named)
    return "min" if less and not any(word.startswith("neg_") for word in named) else "max"
