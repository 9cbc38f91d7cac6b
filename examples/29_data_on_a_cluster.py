"""Data on a cluster: a network learns from pieces that no machine holds together.

Two processes compute the gradients of pieces, a tree adds them up, and the optimiser steps here. Each piece is made
where it is needed, as a file would be read, so memory stays flat however much there is: `MB=2000` makes 2 GB. To be
seen: the cost falls, and the share of unseen examples classified rightly rises. data_on_a_cluster.svg is the graph of
a piece. Needs Dask, pip install 'tinygrad_nn[dask]'; without it the pieces are computed here, one after the other.
"""

import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

ALL = round(2500 * float(os.environ.get("MB", 4)))  # examples: a megabyte holds 2500 of 100 numbers in float32
COLUMNS = min(ALL // 4, 62_500)  # of a piece
teacher = np.random.default_rng(1).normal(size=(5, 100))


def piece(k):
    """Piece number k: columns of random numbers, and which of five directions each goes along most."""
    X = np.random.default_rng([2, k]).standard_normal((100, COLUMNS), np.float32)
    return X, np.argmax(teacher @ X, axis=0)


def cluster(stack):
    """Two processes of 900 MB."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        return print("Dask is not installed: the pieces are computed in this process")
    workers = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "900MB", "dashboard_address": None}
    return stack.enter_context(Client(stack.enter_context(LocalCluster(**workers))))


if __name__ == "__main__":  # worker processes import this file, too
    rng, out = np.random.default_rng(0), Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    model = tn.nn.Sequential(tn.nn.Dense(100, 32, "tanh", rng=rng), tn.nn.Dense(32, 5, rng=rng))
    optimizer = tn.optim.Adam(model.parameters(), lr=0.02)
    X, y = piece(10**6)
    with ExitStack() as stack:
        client, pieces = cluster(stack), [partial(piece, k) for k in range(ALL // COLUMNS)]
        for step in range(1, 21):
            J, gradients, n = tn.distributed.gradients(client, model, tn.cross_entropy, pieces)  # of logits
            for p, g in zip(model.parameters(), gradients, strict=True):
                p.grad = g
            optimizer.step()
            if step % 5 == 0:
                right = np.mean(model(X).numpy().argmax(axis=0) == y)
                print(f"step {step:2}   cost of {n:,} examples {J:.4f}   unseen ones right {right:.3f}")
    X, y = X[:, :50], y[:50]
    tn.draw(tn.cross_entropy(model(X), tn.tensor(y, name="y")).named("J")).save(out / "data_on_a_cluster.svg")
    print(f"picture: {out / 'data_on_a_cluster.svg'}")
