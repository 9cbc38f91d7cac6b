"""The digits, 64-64-10, Adam, 30 epochs of batches of 32, in turns with scikit-learn's MLPClassifier.

    python tests/benchmarks/bench_training.py [rounds]

prints the wall time of training (median and best) and the mean test accuracy over the seeds; with
`pytest tests/benchmarks/bench_training.py` the accuracy must be at least 0.97, and the time at most 0.6 of theirs.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("sklearn")

from sklearn.neural_network import MLPClassifier

EPOCHS, SIZE = 30, 32
X_train, y_train, X_test, y_test = tn.data.load_digits()
ROWS, TEST_ROWS = np.ascontiguousarray(X_train.T), np.ascontiguousarray(X_test.T)


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
    model = MLPClassifier(
        (64,), batch_size=SIZE, max_iter=EPOCHS, tol=0.0, n_iter_no_change=EPOCHS, alpha=0.0, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it could go on
        model.fit(ROWS, y_train)
    return lambda: model.score(TEST_ROWS, y_test)


RUNS = {
    "tn.fit": fit,
    "tn.fit, float32": lambda seed: fit(seed, np.float32),
    "tn.sklearn.MLPClassifier": estimator,
    "scikit-learn": scikit_learn,
}


def in_turns(rounds: int, names=tuple(RUNS)) -> dict[str, tuple[list[float], float]]:
    """Seconds of each round, and the mean accuracy, by name."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    shares: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(rounds):
        for name in names:
            start = time.perf_counter()
            score = RUNS[name](seed)
            seconds[name].append(time.perf_counter() - start)
            shares[name].append(score())
    return {name: (seconds[name], float(np.mean(shares[name]))) for name in names}


def test_digits_are_learned_well_and_fast():
    found = in_turns(5, ("tn.fit", "tn.sklearn.MLPClassifier", "scikit-learn"))
    theirs, _ = found.pop("scikit-learn")
    for name, (ours, accuracy) in found.items():
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f"{name}: accuracy {accuracy:.4f}, {ratio:.2f} of scikit-learn's time")
        assert accuracy >= 0.97
        assert ratio <= 0.6


if __name__ == "__main__":
    results = in_turns(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    theirs = results["scikit-learn"][0]
    for name, (ours, accuracy) in results.items():
        median, best = statistics.median(ours), min(ours)
        ratios = f"{median / statistics.median(theirs):.2f} {best / min(theirs):.2f}"
        print(
            f"{name:26} median {median:.3f} s  best {best:.3f} s  of scikit-learn's {ratios}  accuracy {accuracy:.4f}"
        )
