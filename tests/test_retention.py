"""Results that are kept after `backward()`: memory is bounded, what code can reach stays whole, pictures say so."""

import threading
import tracemalloc
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import retention


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    """A budget that one graph of these tests is larger than, and nothing left from other tests."""
    monkeypatch.setattr(retention, "BUDGET", 1000)
    monkeypatch.setattr(retention, "_KEPT", retention._Kept())


SIZE = 1000


def parameter():
    return tn.tensor(np.linspace(0.1, 1, SIZE), requires_grad=True, name="w")


def loss_of(w, k=1.0):
    return (tn.exp(w * np.full(SIZE, k)) ** 2).sum().named("J")


def steps(n, w, keep):
    for k in range(n):
        J = loss_of(w, 1 + k / n)
        J.backward()
        keep.append(J)


def is_whole(J):
    before = [x.copy() for x in tn.gradients(J, J_leaves(J))]
    return all(np.isfinite(x).all() for x in before)


def J_leaves(J):
    return [x for x in tn.autodiff.history([J]) if x.op is None]


def grown(steps):
    tracemalloc.start()
    steps()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size


def test_kept_losses_keep_light_records():
    w, kept = parameter(), []
    w.grad = np.zeros(SIZE)
    few = grown(lambda: steps(20, w, kept))
    kept.clear()
    many = grown(lambda: steps(220, w, kept))
    assert (many - few) / 200 < 3000  # bytes a step, of 4 operations on 8,000 bytes each
    assert [J.item() for J in kept] == pytest.approx([np.sum(np.exp(w.data * (1 + k / 220)) ** 2) for k in range(220)])


def test_the_default_budget_lets_many_small_graphs_stay_whole(monkeypatch):
    monkeypatch.undo()
    w, kept = parameter(), []
    steps(100, w, kept)
    assert all(map(is_whole, kept))


def test_the_last_two_stay_whole_whatever_they_take():
    w, kept = parameter(), []
    steps(3, w, kept)
    assert is_whole(kept[-1])
    assert is_whole(kept[-2])
    with pytest.raises(tn.ReleasedError):
        kept[0].backward()


def test_gradients_count_as_backward_passes():
    w = parameter()
    kept = [loss_of(w) for _ in range(4)]
    for J in kept:
        tn.gradients(J, w)
    with pytest.raises(tn.ReleasedError):
        tn.gradients(kept[0], w)
    assert is_whole(kept[-1])


def test_results_that_are_dropped_are_not_counted():
    w = parameter()
    first = loss_of(w)
    first.backward()
    for _ in range(10):
        loss_of(w).backward()
    assert is_whole(first)


def test_the_same_result_again_and_again():
    w = parameter()
    J, K = loss_of(w), loss_of(w)
    for _ in range(5):
        J.backward()
        K.backward()
    assert is_whole(J)
    assert is_whole(K)


def test_the_message():
    w, kept = parameter(), []
    steps(3, w, kept)
    with pytest.raises(tn.ReleasedError) as refused:
        kept[0].backward()
    assert str(refused.value).startswith("the arrays that J of shape () was made from (line ")
    assert str(refused.value).endswith(
        "were released: results after it have called backward(), and all that are kept took too much memory. "
        "Compute it anew, and keep numbers, as in losses.append(loss.item())"
    )
    assert w.grad is not None


# --- what user code can reach ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["tensor", "list", "path", "picture"])
def test_what_is_held_stays_whole(held):
    w, kept = parameter(), []
    h = tn.exp(w)
    J = (h * h).sum()
    J.backward()
    value = np.exp(w.data)
    if held == "list":
        holder = [h]
    elif held == "path":
        holder = tn.paths(J, h)
    elif held == "picture":
        holder = tn.paths(J, w)
    if held != "tensor":
        del h
    steps(5, w, kept)
    if held in ("path", "picture"):
        np.testing.assert_allclose(holder.gradient, 2 * value if held == "path" else 2 * value**2)
        return
    h = holder[0] if held == "list" else h
    np.testing.assert_array_equal(h.data, value)
    np.testing.assert_allclose(tn.gradients(h.sum(), w)[0], value)


def test_what_newer_results_were_made_from_stays_whole():
    w = parameter()
    h, kept = tn.tanh(w), []
    for _ in range(6):  # each goes through the states before it
        h = tn.tanh(h)
        J = (h * h).sum()
        J.backward()
        kept.append(J)
    expected = tn.tensor(w.data, requires_grad=True)
    value = expected
    for _ in range(7):
        value = tn.tanh(value)
    np.testing.assert_allclose(tn.gradients((h * h).sum(), w)[0], tn.gradients((value * value).sum(), expected)[0])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_results_of_one_decomposition_share_their_arguments(which):
    rng = np.random.default_rng(0)
    A = tn.tensor(rng.normal(size=(20, 20)), requires_grad=True)
    B = tn.multiply(A, 2.0)
    parts = tn.svd(B)
    J = sum(p.sum() for p in parts)
    J.backward()
    held, value = parts[which], parts[which].data.copy()
    whole = B if which == 1 else None
    del parts, B
    kept = []
    for _ in range(4):
        K = tn.exp(A).sum()
        K.backward()
        kept.append(K)
    np.testing.assert_array_equal(held.data, value)
    assert np.isfinite(tn.gradients(held.sum(), A)[0]).all()
    if whole is not None:
        np.testing.assert_array_equal(whole.data, 2 * A.data)


def test_large_parameters_of_an_operation_are_arrays_too():
    w, kept = parameter(), []
    J = w[np.arange(SIZE) == 3].reshape(())
    J.backward()
    w.zero_grad()
    steps(4, w, kept)
    with pytest.raises(tn.ReleasedError):
        J.backward()


def test_what_lost_nothing_has_its_gradient():
    w, kept = tn.tensor(2.0, requires_grad=True), []
    for _ in range(5):
        J = w * w * 3.0
        J.backward()
        kept.append(J)
        big = loss_of(parameter())
        big.backward()
        kept.append(big)
    w.zero_grad()
    kept[0].backward()
    assert w.grad == 12


def test_views_and_copies_taken_out_are_nobody_elses():
    w, kept = parameter(), []
    h = tn.exp(w).reshape(10, 100)
    taken, detached, J = h.data, h.detach(), (h * h).sum()
    J.backward()
    del h
    steps(5, w, kept)
    expected = np.exp(w.data).reshape(10, 100)
    np.testing.assert_array_equal(taken, expected)
    np.testing.assert_array_equal(detached.data, expected)
    np.testing.assert_array_equal((detached * 1.0).data, expected)


def test_the_result_can_be_used_as_a_number():
    w, kept = parameter(), []
    steps(4, w, kept)
    J = kept[0]
    value = J.item()
    assert J.detach().item() == J.numpy() == float(J.data) == value
    assert (J.detach() + 1).item() == value + 1
    with pytest.raises(tn.ReleasedError):  # a sum of losses that goes back through all of them
        sum(kept[1:], J).backward()


def test_threads_have_results_of_their_own():
    w, kept = parameter(), []
    steps(1, w, kept)

    def other():
        mine = []
        steps(1, parameter(), mine)
        kept.extend(mine)

    for _ in range(3):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert all(map(is_whole, kept))


# --- pictures, and the warning ---------------------------------------------------------------------------------------


def test_pictures_say_what_was_released():
    w, kept = parameter(), []
    steps(4, w, kept)
    whole, light = tn.draw(kept[-1]).scene, tn.draw(kept[0]).scene
    assert [b.title for b in whole.boxes] == [b.title for b in light.boxes]
    assert [b.title for b in light.boxes if any(f.text == "released" for f in b.fields)] == [
        b.title for b in light.boxes if b.title not in ("w", whole.boxes[-1].title)
    ]
    with pytest.raises(tn.ReleasedError) as refused:
        kept[0].backward()
    assert [note.text for note in light.notes] == [str(refused.value)]
    assert not whole.notes
    assert "nan" not in tn.draw(kept[0]).svg().lower()
    assert tn.paths(kept[0], w).count == tn.paths(kept[-1], w).count
    with pytest.raises(tn.ReleasedError):
        tn.explain(kept[0], w)


@pytest.mark.parametrize("detail", ["ops", "layers", "neurons"])
def test_networks(detail):
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(3, 40, "tanh", rng=rng), tn.nn.Dense(40, 2, rng=rng))
    X, Y, kept = rng.normal(size=(3, 50)), rng.normal(size=(2, 50)), []
    for _ in range(4):
        J = tn.mse(model(X), Y)
        J.backward()
        kept.append(J)
    if detail == "neurons":
        with pytest.raises(tn.ReleasedError):
            tn.draw(kept[0], detail=detail)
    else:
        assert "nan" not in tn.draw(kept[0], detail=detail).svg().lower()
    tn.draw(kept[-1], detail=detail)


def test_even_light_records_are_warned_of(monkeypatch):
    monkeypatch.setattr(retention._KEPT, "warn_at", 20_000)
    w, kept = parameter(), []
    with pytest.warns(RuntimeWarning, match=r"the graphs of \d+ results that are kept take about 0 MB: keep numbers"):
        steps(40, w, kept)
    kept.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(12, w, kept)


@pytest.mark.parametrize(
    "more",
    [
        lambda c, x: c + (x > 0.5).sum(),
        lambda c, x: c + (x > 0.5),
        lambda c, x: c | (x > 0.5),
        lambda c, x: c + (x.argmax(axis=0) == 3).mean(),
    ],
)
def test_what_is_counted_over_many_steps_keeps_no_masks(more):
    """Masks carry a note of how they were made, for living pages: what a program adds up must not carry all of them."""
    x = tn.tensor(np.linspace(0, 1, 5000).reshape(500, 10), requires_grad=True)
    counted = more(tn.tensor(False), x)
    tracemalloc.start()
    try:
        for _ in range(200):
            counted = more(counted, x)
        assert tracemalloc.get_traced_memory()[0] < 1e6
    finally:
        tracemalloc.stop()
