"""A step of tn.compile(engine="jax") against the same one written by hand in JAX, in turns in one process.

Both run XLA, and share its threads: there is nothing to keep apart.
"""

import statistics
import time

import pytest

jax_by_hand = pytest.importorskip("jax_by_hand")

LIMIT = 1.05
ROUNDS, WIDTH, N = 15, 1024, 1024


def test_a_wide_step_takes_no_longer_than_by_hand():
    X, Y = jax_by_hand.batch(WIDTH, N)
    step, state = jax_by_hand.ours(WIDTH), jax_by_hand.start(WIDTH)
    ours, theirs = [], []
    for i in range(ROUNDS + 3):
        begun = time.perf_counter()
        J = step(X, Y).item()
        between = time.perf_counter()
        state, K, _ = jax_by_hand.by_hand(state, X, Y)
        K = K.item()
        if i >= 3:  # recorded, compiled, warm
            ours.append(between - begun)
            theirs.append(time.perf_counter() - between)
        assert abs(J - K) <= 1e-5 * abs(K)
    ratios = statistics.median(ours) / statistics.median(theirs), min(ours) / min(theirs)
    print(f"\n{1e3 * statistics.median(ours):.1f} ms, by hand {1e3 * statistics.median(theirs):.1f} ms: ", end="")
    print(f"{ratios[0]:.3f} of medians, {ratios[1]:.3f} of best times")
    assert min(ratios) <= LIMIT, ratios
