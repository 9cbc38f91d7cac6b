"""Learning the digits, 64-64-10, Adam, 30 epochs of batches of 32, against scikit-learn's MLPClassifier."""

from __future__ import annotations

import functools
import itertools
import warnings

import numpy as np
import pytest
from measure import Figure, Race, Step, race

import tinygrad_nn as tn

EPOCHS, SIZE = 30, 32
X_train, y_train, X_test, y_test = tn.data.load_digits()
ROWS, TEST_ROWS = np.ascontiguousarray(X_train.T), np.ascontiguousarray(X_test.T)


# --- each learns from a seed, and returns how to find its share of right answers -------------------------------------


def fit(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    model = tn.nn.Sequential(
        tn.nn.Dense(64, 64, "relu", rng=rng, dtype=dtype), tn.nn.Dense(64, 10, rng=rng, dtype=dtype)
    )
    data = tn.data.batches(X_train.astype(dtype), y_train, SIZE, rng=rng)
    tn.fit(model, tn.cross_entropy, tn.optim.Adam(model.parameters()), data, EPOCHS)
    return lambda: np.mean(model(X_test).numpy().argmax(axis=0) == y_test)


def estimator(seed):
    model = tn.sklearn.MLPClassifier((64,), batch_size=SIZE, max_iter=EPOCHS, tol=None, random_state=seed)
    model.fit(ROWS, y_train)
    return lambda: model.score(TEST_ROWS, y_test)


def scikit_learn(seed):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (64,), batch_size=SIZE, max_iter=EPOCHS, tol=0.0, n_iter_no_change=EPOCHS, alpha=0.0, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it could go on
        model.fit(ROWS, y_train)
    return lambda: model.score(TEST_ROWS, y_test)


RIVALS = {
    "tn.fit": fit,
    "tn.fit, float32": functools.partial(fit, dtype=np.float32),
    "tn.sklearn.MLPClassifier": estimator,
    "scikit-learn": scikit_learn,
}
OURS = ("tn.fit", "tn.sklearn.MLPClassifier")


def start(rival: str) -> Step:
    """Another seed at each call, for `measure.Remote`."""
    seeds = itertools.count()
    return lambda: RIVALS[rival](next(seeds))


@functools.cache
def times(rounds: int = 5) -> Race:
    """All of them in turns, once."""
    return race("bench_digits", RIVALS, rounds=rounds)


def mistakes(rival: str) -> float:
    """Share of wrong answers on the test set, in percent, mean over five seeds."""
    return 100 - 100 * float(np.mean([RIVALS[rival](seed)() for seed in range(5)]))


FIGURES = [
    *(
        Figure(
            f"the digits learned by `{name}`, time against scikit-learn's", 0.6, "×",
            lambda name=name: min(times().ratio(name, "scikit-learn")),
        )
        for name in OURS
    ),
    *(Figure(f"wrong digits after `{name}`", 3.0, "%", functools.partial(mistakes, name)) for name in OURS),
]  # fmt: skip


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_digits(figure):
    figure.check()
