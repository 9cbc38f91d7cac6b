"""Estimators at their default settings against scikit-learn's: accuracy by cross-validation, and time to fit.

`python tests/benchmarks/bench_sklearn.py` prints the table of docs/scikit_learn.md.
"""

from __future__ import annotations

import functools
import itertools
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from measure import Figure, Race, Step, race

import tinygrad_nn as tn

SEEDS, FOLDS = 2, 5
RIVALS = ("tn.sklearn", "scikit-learn")


class Table(NamedTuple):
    """Standardised rows, and what is to be predicted: classes or numbers."""

    X: np.ndarray
    y: np.ndarray
    classes: bool


# --- data sets: scikit-learn's own, and generated ones ----------------------------------------------------------------


def own(name: str, classes: bool = True) -> Table:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return standardised(X, y, classes)


def generated(name: str, classes: bool = True, **settings) -> Table:
    from sklearn import datasets

    X, y = getattr(datasets, f"make_{name}")(random_state=0, **settings)
    return standardised(X, y, classes)


def standardised(X: np.ndarray, y: np.ndarray, classes: bool) -> Table:
    spread = X.std(axis=0)
    X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return Table(X, y if classes else (y - y.mean()) / y.std(), classes)


def houses(n: int = 3000) -> Table:
    """Like scikit-learn's California housing, which would have to be downloaded: skewed numbers, places, caps."""
    rng = np.random.default_rng(0)
    income, age = rng.lognormal(1.2, 0.45, n), rng.uniform(1, 52, n)
    rooms, people = rng.lognormal(1.65, 0.3, n), rng.lognormal(1.0, 0.3, n)
    north, east = rng.normal(size=(2, n)) + rng.choice([-1.5, 1.5], n)
    coast = np.exp(-((north + east) ** 2))
    value = 0.4 * income + 0.008 * age + 1.2 * coast * income / 4 + 0.3 * np.log(rooms / people)
    value = np.minimum(value + rng.normal(0, 0.45, n), 5.0)
    return standardised(np.column_stack([income, age, rooms, people, north, east]), value, classes=False)


def customers(n: int = 2000) -> Table:
    """A file of customers: numbers with gaps, categories, yes or no with much noise; imputed and one-hot encoded."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n, 6))
    numbers[:, 0] = np.exp(0.7 * numbers[:, 0])
    categories = [rng.choice(k, n, p=rng.dirichlet(np.full(k, 2.0))) for k in (3, 5, 8, 12)]
    z = 0.8 * numbers[:, 1] - 0.6 * numbers[:, 0] + 0.7 * numbers[:, 2] * (categories[0] == 1)
    z += sum(rng.normal(0, 0.6, 12)[c] for c in categories)
    y = np.array(["leaves", "stays"])[(rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)]
    gaps = rng.random(numbers.shape) < 0.08
    numbers[gaps] = np.nan
    numbers = np.where(gaps, np.nanmean(numbers, axis=0), numbers)
    scaled = standardised(np.column_stack([numbers, gaps]), y, classes=True).X
    return Table(np.column_stack([scaled, *(np.eye(c.max() + 1)[c] for c in categories)]), y, classes=True)


TABLES: dict[str, Callable[[], Table]] = {
    "iris": lambda: own("iris"),
    "wine": lambda: own("wine"),
    "breast cancer": lambda: own("breast_cancer"),
    "digits": lambda: own("digits"),
    "diabetes": lambda: own("diabetes", classes=False),
    "two moons": lambda: generated("moons", n_samples=1000, noise=0.3),
    "two classes, 20 features": lambda: generated("classification", n_samples=2000, n_features=20, n_informative=5),
    "five classes, a tenth wrong": lambda: generated(
        "classification", n_samples=1500, n_features=30, n_informative=12, n_classes=5, flip_y=0.1
    ),
    "Friedman 1": lambda: generated("friedman1", classes=False, n_samples=1000, noise=1.0),
    "linear, with noise": lambda: generated(
        "regression", classes=False, n_samples=800, n_features=15, n_informative=8, noise=20.0
    ),
    "houses": houses,
    "customers, with gaps": customers,
}
MEASURED = functools.cache(lambda name: TABLES[name]())


def estimator(rival: str, classes: bool, seed: int):
    kinds = tn.sklearn
    if rival == "scikit-learn":
        from sklearn import neural_network as kinds
    return (kinds.MLPClassifier if classes else kinds.MLPRegressor)(random_state=seed)


def fitted(rival: str, table: Table, rows, seed: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both say that they could go on
        return estimator(rival, table.classes, seed).fit(table.X[rows], table.y[rows])


# --- accuracy ---------------------------------------------------------------------------------------------------------


@functools.cache
def scores(rival: str, name: str) -> np.ndarray:
    """Accuracy or R² on the rows left out, for each seed and fold: both rivals see the same rows."""
    from sklearn.model_selection import KFold, StratifiedKFold

    table, found = MEASURED(name), []
    for seed in range(SEEDS):
        folds = (StratifiedKFold if table.classes else KFold)(FOLDS, shuffle=True, random_state=seed)
        for rows, others in folds.split(table.X, table.y):
            found.append(fitted(rival, table, rows, seed).score(table.X[others], table.y[others]))
    return np.array(found)


def behind(name: str) -> float:
    """By how much scikit-learn's mean score is better, beyond two standard errors of the difference."""
    difference = scores("scikit-learn", name) - scores("tn.sklearn", name)
    return float(difference.mean() - 2 * difference.std(ddof=1) / np.sqrt(len(difference)))


# --- time -------------------------------------------------------------------------------------------------------------


def start(rival: str, name: str) -> Step:
    """Another seed at each call, for `measure.Remote`."""
    seeds, table = itertools.count(), MEASURED(name)
    return lambda: fitted(rival, table, slice(None), next(seeds) % SEEDS)


@functools.cache
def times(name: str, rounds: int = 4) -> Race:
    return race("bench_sklearn", RIVALS, name, rounds=rounds)


def total(rival: str) -> float:
    """Seconds to fit all tables once."""
    return sum(times(name).times[rival].median for name in TABLES) / 1e6


FIGURES = [
    Figure(
        "fitting 12 tables at default settings, time against scikit-learn's", 0.6, "×",
        lambda: total("tn.sklearn") / total("scikit-learn"),
    ),
    Figure(
        "the worst of 12 tables: by how much scikit-learn's score is better, beyond two standard errors", 0.001, "",
        lambda: max(map(behind, TABLES)),
    ),
]  # fmt: skip


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_estimators(figure):
    figure.check()


def table(timed: bool = True) -> str:
    """What docs/scikit_learn.md shows."""
    lines = [
        "| table | rows × features | score | `tn.sklearn` | scikit-learn | difference | time |",
        "| --- |" + " --- |" * 6,
    ]
    for name in TABLES:
        data, (ours, theirs) = MEASURED(name), (scores(rival, name) for rival in RIVALS)
        gap = ours - theirs
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        ratio = f"{times(name).ratio(*RIVALS).median:.2f} ×" if timed else ""
        kind = "accuracy" if data.classes else "R²"
        cells = f"{ours.mean():.4f} | {theirs.mean():.4f} | {gap.mean():+.4f} ± {error:.4f} | {ratio}"
        lines.append(f"| {name} | {data.X.shape[0]} × {data.X.shape[1]} | {kind} | {cells} |")
        print(lines[-1], file=sys.stderr, flush=True)
    if timed:
        lines.append(f"| all | | | | | | {total(RIVALS[0]) / total(RIVALS[1]):.2f} × |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table("--accuracy" not in sys.argv))
