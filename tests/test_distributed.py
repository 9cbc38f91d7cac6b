"""Gradients of data in pieces: the same as of the whole, on a cluster as here, also when a worker dies."""

import os
import pickle
import time

import numpy as np
import pytest

import tinygrad_nn as tn


def model_of(rng=0, *layers):
    rng = np.random.default_rng(rng)
    return tn.nn.Sequential(tn.nn.Dense(3, 8, "tanh", rng=rng), *layers, tn.nn.Dense(8, 4, rng=rng))


def piece(k, n=50):
    """Generated where it is needed; of another length each."""
    rng = np.random.default_rng(k)
    X = rng.normal(size=(3, n + k))
    return X, np.argmax(np.vstack([X, X.sum(0)]), axis=0)


class Piece:
    """The same as a function that can be sent."""

    def __init__(self, k):
        self.k = k

    def __call__(self):
        return piece(self.k)


def of_whole(model, n=7):
    X, y = (np.concatenate(parts, axis=-1) for parts in zip(*map(piece, range(n)), strict=True))
    cost = tn.cross_entropy(model(X), y)
    return cost.item(), tn.gradients(cost, list(model.parameters()))


def assert_same(found, cost, gradients):
    assert found.cost == pytest.approx(cost, rel=1e-13)
    for mine, theirs in zip(found.gradients, gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-15)


def test_gradients_of_pieces_are_those_of_the_whole_and_the_model_stays_as_it_is():
    model = model_of()
    before = pickle.dumps(model.state_dict())
    found = tn.distributed.gradients(None, model, tn.cross_entropy, [Piece(k) for k in range(6)] + [piece(6)])
    assert_same(found, *of_whole(model))
    assert found.examples == 7 * 50 + 21
    assert pickle.dumps(model.state_dict()) == before
    assert all(p.grad is None for p in model.parameters())


def test_an_optimiser_trains_with_them_and_leaves_a_frozen_parameter_as_it_is():
    model = model_of()
    frozen = next(model.parameters())
    frozen.requires_grad, before = False, frozen.numpy()
    optimizer = tn.optim.SGD(model.parameters(), lr=0.5)
    costs = []
    for _ in range(3):
        found = tn.distributed.gradients(None, model, tn.cross_entropy, [piece(0), piece(1)])
        for p, g in zip(model.parameters(), found.gradients, strict=True):
            p.grad = g
        optimizer.step()
        costs.append(found.cost)
    np.testing.assert_array_equal(frozen.numpy(), before)
    assert costs[2] < costs[1] < costs[0]


@pytest.mark.parametrize(
    ("layer", "changed"),
    [(lambda: tn.nn.BatchNorm(8), "running"), (lambda: tn.nn.Dropout(0.5, rng=np.random.default_rng(0)), "rng")],
)
def test_a_model_whose_state_changes_is_refused_and_goes_in_evaluation_mode(layer, changed):
    model = model_of(0, layer())
    with pytest.raises(TypeError, match=rf"calling the model changes layers\.1\.\w*{changed}.*model\.eval\(\)"):
        tn.distributed.gradients(None, model, tn.cross_entropy, [piece(0)])
    assert tn.distributed.gradients(None, model.eval(), tn.cross_entropy, [piece(0)]).cost > 0


def test_errors_say_what_is_expected():
    with pytest.raises(ValueError, match="no pieces; expected pairs"):
        tn.distributed.gradients(None, model_of(), tn.cross_entropy, [])
    with pytest.raises(TypeError, match=r"piece 1 is 5; expected a pair \(X, y\)"):
        tn.distributed.gradients(None, model_of(), tn.cross_entropy, [piece(0), lambda: 5])


# --- on a cluster ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    """Two processes, whose workers Dask starts again when they die."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit="900MB"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_on_a_cluster_the_numbers_are_the_same_to_the_last_bit(client):
    from dask import delayed

    model = model_of()
    here = tn.distributed.gradients(None, model, tn.cross_entropy, [Piece(k) for k in range(7)])
    ways = [
        [Piece(k) for k in range(7)],
        [piece(k) for k in range(7)],
        client.map(piece, range(7)),
        [delayed(piece)(k) for k in range(7)],
    ]
    for pieces in ways:
        there = tn.distributed.gradients(client, model, lambda p, t: tn.cross_entropy(p, t), pieces)
        assert there.cost == here.cost
        for mine, theirs in zip(there.gradients, here.gradients, strict=True):
            np.testing.assert_array_equal(mine, theirs)


class Deadly:
    """A piece at which the worker dies, the first time."""

    def __init__(self, marker, k):
        self.marker, self.k = str(marker), k

    def __call__(self):
        if not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os._exit(1)
        time.sleep(0.05)
        return piece(self.k)


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_that_dies_costs_a_retry_and_not_the_result(client, tmp_path):
    model, marker = model_of(), tmp_path / "died"
    pieces = [Deadly(marker, k) if k == 4 else Piece(k) for k in range(7)]
    before = {w["pid"] for w in client.run(lambda: {"pid": os.getpid()}).values()}
    found = tn.distributed.gradients(client, model, tn.cross_entropy, pieces)
    assert marker.exists()
    client.wait_for_workers(2, timeout=20)
    assert {w["pid"] for w in client.run(lambda: {"pid": os.getpid()}).values()} != before
    assert_same(found, *of_whole(model))


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_error_in_a_piece_comes_back_as_it_is(client):
    with pytest.raises(TypeError, match=r"piece 0 is 5; expected a pair"):
        tn.distributed.gradients(client, model_of(), tn.cross_entropy, [lambda: 5])
