"""Losses with weights, ignored and smoothed labels, and reductions: against PyTorch, and what is refused."""

import numpy as np
import pytest

import tinygrad_nn as tn

RNG = np.random.default_rng(11)
P, T = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))
PROBABLE, SIGNS = RNG.random((3, 5)), np.sign(RNG.normal(size=(3, 5)))
LABELS, IGNORING = np.array([0, 2, 1, 1, 0]), np.array([0, -100, 1, -100, 2])
SOFT = RNG.dirichlet(np.ones(3), 5).T
CLASSES, EXAMPLES, OUTPUTS = np.array([0.5, 2.0, 1.5]), RNG.random(5), RNG.random((3, 1))
LOGS = np.log(SOFT)

# name, arrays, keywords; and the same call of PyTorch: a function of (torch, F, arrays in its shapes), summed over
# outputs and averaged over examples as ours, where it knows another mean
CALLS = []


def call(name, *arrays, torch=None, **options):
    CALLS.append(pytest.param(name, arrays, options, torch, id=f"{name} {options}"))


def error_loss(name, each):
    for options in ({}, {"weight": EXAMPLES}, {"weight": OUTPUTS}, {"weight": EXAMPLES * OUTPUTS}):
        for reduction in ("mean", "sum", "none"):
            call(name, P, T, reduction=reduction, torch=each, **options)


error_loss("mse", lambda F, p, t: 0.5 * F.mse_loss(p, t, reduction="none"))
error_loss("l1_loss", lambda F, p, t: F.l1_loss(p, t, reduction="none"))
error_loss("huber_loss", lambda F, p, t: F.huber_loss(p, t, reduction="none"))
call(
    "huber_loss",
    P,
    T,
    delta=0.3,
    reduction="sum",
    torch=lambda F, p, t: F.huber_loss(p, t, delta=0.3, reduction="none"),
)
for options in ({}, {"weight": EXAMPLES}, {"pos_weight": OUTPUTS}, {"weight": OUTPUTS, "pos_weight": 3 * OUTPUTS}):
    for reduction in ("mean", "sum", "none"):
        call("binary_cross_entropy", 3 * P, PROBABLE, reduction=reduction, **options,
             torch=lambda F, p, t, pos_weight=None: F.binary_cross_entropy_with_logits(
                 p, t, pos_weight=pos_weight, reduction="none"))  # fmt: skip
call("binary_cross_entropy", 0.2 + 0.6 * PROBABLE, PROBABLE[::-1].copy(), from_logits=False,
     torch=lambda F, p, t: F.binary_cross_entropy(p, t, reduction="none"))  # fmt: skip
for reduction in ("mean", "sum", "none"):
    for options in ({}, {"weight": CLASSES}, {"label_smoothing": 0.1}, {"weight": CLASSES, "label_smoothing": 0.3}):
        call("cross_entropy", P, LABELS, reduction=reduction, torch="cross_entropy", **options)
        call("cross_entropy", P, IGNORING, reduction=reduction, torch="cross_entropy", ignore_index=-100, **options)
        call("cross_entropy", P, SOFT, reduction=reduction, torch="cross_entropy", **options)
    call("nll_loss", LOGS, LABELS, reduction=reduction, torch="nll_loss", weight=CLASSES)
    call("nll_loss", LOGS, IGNORING, reduction=reduction, torch="nll_loss", ignore_index=-100)
    call(
        "kl_div", LOGS, np.roll(SOFT, 1, 1), reduction=reduction, torch=lambda F, p, t: F.kl_div(p, t, reduction="none")
    )
    call("kl_div", LOGS, np.roll(LOGS, 1, 1), reduction=reduction, log_target=True,
         torch=lambda F, p, t: F.kl_div(p, t, log_target=True, reduction="none"))  # fmt: skip
    call("hinge_loss", P, SIGNS, reduction=reduction, torch=lambda F, p, t: (1 - p * t).clamp(min=0))
    call("multi_margin_loss", P, LABELS, reduction=reduction, torch="multi_margin_loss")
    call(
        "multi_margin_loss",
        P,
        LABELS,
        reduction=reduction,
        weight=CLASSES,
        power=2,
        margin=0.5,
        torch="multi_margin_loss",
    )
    call("margin_ranking_loss", P, T, SIGNS, reduction=reduction, margin=0.2,
         torch=lambda F, a, b, t: F.margin_ranking_loss(a, b, t, margin=0.2, reduction="none"))  # fmt: skip
    call("cosine_embedding_loss", P, T, SIGNS[0], reduction=reduction, margin=0.1, torch="cosine_embedding_loss")
call("cosine_similarity", P, T, torch=lambda F, a, b: F.cosine_similarity(a, b, dim=0))


def of_pytorch(torch, theirs, arrays, options):
    """The loss in PyTorch, which takes rows or, where its losses are of elements, sums them as ours."""
    F, options = torch.nn.functional, dict(options)
    reduction = options.get("reduction", "mean")
    if isinstance(theirs, str):
        renamed = {"power": "p"}
        arrays = [a.T if a.ndim == 2 else a for a in arrays]
        options = {renamed.get(k, k): torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        return getattr(F, theirs)(*arrays, **options)
    weight = options.get("weight")
    more = {"pos_weight": torch.tensor(options["pos_weight"])} if "pos_weight" in options else {}
    each = theirs(F, *arrays, **more)
    if each.ndim == 1:
        return each
    each = (each if weight is None else each * torch.tensor(weight)).sum(0)
    return {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "arrays", "options", "theirs"), CALLS)
def test_value_and_derivatives_are_those_of_pytorch(name, arrays, options, theirs):
    torch = pytest.importorskip("torch")
    given = [tn.tensor(a, requires_grad=True) if a.dtype.kind == "f" and a is not SIGNS else a for a in arrays]
    inputs = given[:1]
    others = [torch.tensor(a, requires_grad=i == 0) for i, a in enumerate(arrays)]
    y, z = getattr(tn, name)(*given, **options), of_pytorch(torch, theirs, others, options)
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-7, atol=1e-9)
    first = tn.gradients((y * y).sum(), inputs, create_graph=True)
    wanted = torch.autograd.grad((z * z).sum(), others[:1], create_graph=True)
    np.testing.assert_allclose(first[0].value, wanted[0].detach().numpy(), rtol=1e-6, atol=1e-9)
    if name == "multi_margin_loss":
        return  # PyTorch has no second derivative of it
    second, twice = tn.gradients((first[0] ** 2).sum(), inputs), torch.autograd.grad((wanted[0] ** 2).sum(), others[:1])
    np.testing.assert_allclose(second[0], twice[0].numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "arrays", "options", "theirs"), CALLS)
def test_every_call_agrees_with_finite_differences_and_keeps_single_precision(name, arrays, options, theirs):
    function = getattr(tn, name)
    assert tn.gradcheck(lambda *xs: function(*xs, *arrays[len(xs) :], **options), arrays[0], order=2)
    single = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    weights = {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    x = tn.tensor(single[0], requires_grad=True)
    y = function(x, *single[1:], **weights)
    np.testing.assert_allclose(y.value, function(*arrays, **options), rtol=1e-4, atol=1e-5)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "target"), [("mse", T), ("l1_loss", T), ("huber_loss", T), ("cross_entropy", LABELS),
                         ("cross_entropy", SOFT), ("binary_cross_entropy", PROBABLE)],
)  # fmt: skip
def test_reductions_are_of_the_loss_of_each_example(name, target):
    loss = getattr(tn, name)
    each = loss(P, target, reduction="none")
    assert each.shape == (5,)
    one_by_one = [loss(P[:, [i]], target[..., [i]]) for i in range(5)]
    np.testing.assert_allclose(each, one_by_one, rtol=1e-12)
    np.testing.assert_allclose(loss(P, target, reduction="sum"), np.sum(one_by_one))
    np.testing.assert_allclose(loss(P, target), np.mean(one_by_one))
    assert loss(P, target, reduction="mean") == pytest.approx(float(loss(P, target)), rel=1e-15)
    assert loss(P[:, 0], target[..., 0], reduction="none").shape == ()


def test_a_weight_of_ones_changes_nothing():
    for name, target, ones in [("mse", T, np.ones(5)), ("l1_loss", T, np.ones((3, 5))), ("huber_loss", T, np.ones(())),
                               ("binary_cross_entropy", PROBABLE, np.ones(5)),
                               ("cross_entropy", LABELS, np.ones(3)), ("cross_entropy", SOFT, np.ones(3))]:  # fmt: skip
        loss = getattr(tn, name)
        np.testing.assert_allclose(loss(P, target, weight=ones), loss(P, target), rtol=1e-14)


def test_labels_of_places_are_averaged_over_examples_with_weights_too():
    scores, labels = RNG.normal(size=(3, 4, 5)), RNG.integers(0, 3, size=(4, 5))
    plain = tn.cross_entropy(scores, labels)
    np.testing.assert_allclose(tn.cross_entropy(scores, labels, weight=np.ones(3)), plain, rtol=1e-14)
    np.testing.assert_allclose(tn.cross_entropy(scores, labels, ignore_index=7), plain, rtol=1e-14)
    assert tn.cross_entropy(scores, labels, reduction="none").shape == (5,)


def test_nothing_is_left_when_every_label_is_ignored():
    x = tn.tensor(P, requires_grad=True)
    loss = tn.cross_entropy(x, np.full(5, -1), ignore_index=-1)
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(x.grad, 0)


def test_certain_probabilities_and_impossible_classes_give_no_nan():
    x = tn.tensor([[1.0, 0.0, 0.5]], requires_grad=True)
    loss = tn.binary_cross_entropy(x, np.array([[1.0, 0.0, 0.5]]), from_logits=False)
    loss.backward()
    np.testing.assert_allclose(loss.value, np.log(2) / 3)
    np.testing.assert_allclose(x.grad, [[-1 / 3, 1 / 3, 0]])
    x = tn.tensor([[0.5], [-np.inf]], requires_grad=True)
    tn.cross_entropy(x, np.array([0]), weight=np.array([2.0, 1.0])).backward()
    np.testing.assert_array_equal(x.grad, 0)
    p = tn.tensor([[0.0], [1.0]], requires_grad=True)
    loss = tn.kl_div(np.array([[-np.inf], [0.0]]), p)
    loss.backward()
    assert loss.item() == 0
    assert np.isfinite(p.grad).all()


def test_half_precision_is_summed_without_an_overflow_where_the_mean_fits():
    error, nothing = np.full((2, 4000), 20, np.float16), np.zeros((2, 4000), np.float16)
    losses = tn.mse(error, nothing, weight=np.ones(4000, np.float16)), tn.hinge_loss(-error, 1 + nothing)
    assert losses == (400, 42)
    assert all(loss.dtype == np.float16 for loss in losses)


def test_a_weight_may_be_a_tensor_with_a_gradient():
    weight = tn.tensor(CLASSES, requires_grad=True)
    assert tn.gradcheck(lambda w: tn.cross_entropy(P, LABELS, weight=w), CLASSES, order=2)
    tn.mse(P, T, weight=tn.tensor(EXAMPLES, requires_grad=True)).backward()
    tn.cross_entropy(P, LABELS, weight=weight).backward()
    assert weight.grad.shape == (3,)


def test_smoothing_gives_each_class_its_share_whatever_the_columns_sum_to():
    """As PyTorch: of targets that are no distribution, too."""
    target = 3 * np.abs(T)
    smoothed = tn.cross_entropy(P, target, label_smoothing=0.3)
    np.testing.assert_allclose(smoothed, tn.cross_entropy(P, 0.7 * target + 0.3 / 3), rtol=1e-12)


def test_a_compiled_step_with_options_is_the_eager_one():
    w = tn.tensor(RNG.normal(size=(3, 3)), requires_grad=True)

    def step(x, labels):
        w.zero_grad()
        loss = tn.cross_entropy(w @ x, labels, weight=CLASSES, ignore_index=-100, label_smoothing=0.1)
        loss = loss + tn.mse(w @ x, x, weight=EXAMPLES) + tn.binary_cross_entropy(w @ x, PROBABLE, pos_weight=OUTPUTS)
        loss.backward()
        return loss

    compiled = tn.compile(step)
    for x, labels in ((P, LABELS), (T, IGNORING), (P + T, LABELS[::-1].copy())):
        found = compiled(x, labels).item(), w.grad.copy()
        np.testing.assert_allclose(found[0], step(x, labels).item(), rtol=1e-12)
        np.testing.assert_allclose(found[1], w.grad, rtol=1e-12, atol=1e-15)


SHAPES = (
    "prediction has shape (3, 5), target has shape (5, 3): the shapes must be equal: losses never broadcast; "
    "target.T fits (examples are columns)"
)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tn.mse(P, T.T, reduction="sum"), tn.ShapeError, f"mse: {SHAPES}"),
        (lambda: tn.hinge_loss(P, T.T), tn.ShapeError, f"hinge_loss: {SHAPES}"),
        (lambda: tn.mse(P, T, reduction="median"), ValueError,
         "mse: reduction='median'; expected 'mean', 'sum' or 'none'"),
        (lambda: tn.mse(P, T, weight=np.ones(3)), tn.ShapeError,
         ("mse: weight has shape (3,); expected one that broadcasts to (3, 5): a weight of each example (5,), or of "
          "each element")),
        (lambda: tn.binary_cross_entropy(P, PROBABLE, pos_weight=np.ones((2, 3, 5))), tn.ShapeError,
         ("binary_cross_entropy: pos_weight: weight has shape (2, 3, 5); expected one that broadcasts to (3, 5): a "
          "weight of each example (5,), or of each element")),
        (lambda: tn.binary_cross_entropy(P, 2 + PROBABLE, reduction="sum"), ValueError,
         f"binary_cross_entropy: target {2 + PROBABLE[0, 0]} at index (0, 0) is not a probability from 0 to 1"),
        (lambda: tn.cross_entropy(P, LABELS, weight=EXAMPLES), tn.ShapeError,
         "cross_entropy: weight has shape (5,); expected (3,), one for each class"),
        (lambda: tn.cross_entropy(P, SOFT, ignore_index=2), ValueError,
         "cross_entropy: ignore_index=2 is a class label, but the target has columns of weights"),
        (lambda: tn.huber_loss(P, T, delta=-1.0), ValueError,
         "huber_loss: delta=-1.0; expected the size of an error, above 0, where the pieces meet"),
        (lambda: tn.huber_loss(P, T, delta=0, reduction="sum"), ValueError,
         "huber_loss: delta=0; expected the size of an error, above 0, where the pieces meet"),
        (lambda: tn.cross_entropy(P, LABELS, label_smoothing=2), ValueError,
         "cross_entropy: label_smoothing=2; expected a share from 0 to 1"),
        (lambda: tn.cross_entropy(P, LABELS + 1, reduction="sum"), ValueError,
         "cross_entropy: label 3 at index 1 is not one of the 3 classes 0 ... 2"),
        (lambda: tn.nll_loss(P, LABELS + 1), ValueError,
         "nll_loss: label 3 at index 1 is not one of the 3 classes 0 ... 2"),
        (lambda: tn.nll_loss(P, LABELS[:4]), tn.ShapeError,
         ("nll_loss: scores has shape (3, 5), target has shape (4,): expected class labels of shape (5,) or one-hot "
          "columns of shape (3, 5)")),
        (lambda: tn.multi_margin_loss(P, LABELS * 1.0), ValueError,
         ("multi_margin_loss: class labels must be integers, target has dtype float64 (first value 0.0 at index 0); "
          "target.astype(int) converts")),
        (lambda: tn.cosine_embedding_loss(P, T, LABELS[:3]), tn.ShapeError,
         "cosine_embedding_loss: a has shape (3, 5), target has shape (3,); expected (5,), 1 or −1 for each column"),
        (lambda: tn.mse(P, T, colour=1), TypeError,
         "mse does not take colour=; it is mse(prediction, target, *, weight=None, reduction='mean')"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, said):
    with pytest.raises(error) as refused:
        call()
    assert str(refused.value) == said


# --- half precision, which ends at 65504 ------------------------------------------------------------------------------

MANY = 100_000
HALVES = (np.random.default_rng(0).normal(size=MANY) + 2).astype(np.float16)
TARGET = np.zeros((1, MANY), np.float16)


@pytest.mark.parametrize(
    "f",
    [
        tn.mean, tn.var, tn.std, tn.norm, tn.logsumexp, np.average, np.nanmean, np.nanvar, np.nanstd,
        lambda x: tn.mean(x, where=HALVES > 1), lambda x: np.average(x, weights=np.abs(HALVES)),
        lambda x: tn.mean(x * x), lambda x: tn.softmax(x, axis=0).max(),
        lambda x: tn.mean(x.reshape(2, -1), axis=1).sum(),
        lambda x: tn.var(x, correction=1), lambda x: tn.log_softmax(x, axis=0)[0],
        *[lambda x, loss=loss: loss(x.reshape(1, -1), np.zeros((1, MANY), x.dtype))
          for loss in (tn.mse, tn.l1_loss, tn.huber_loss, tn.binary_cross_entropy, tn.hinge_loss)],
        lambda x: tn.mse(x.reshape(1, -1), np.zeros((1, MANY), x.dtype), weight=np.ones(MANY, x.dtype)),
        lambda x: tn.cross_entropy(x.reshape(2, -1), np.zeros(MANY // 2, int)),
    ],
)  # fmt: skip
def test_means_over_more_elements_than_half_precision_counts(f):
    """Value and gradient are those of float64, rounded: gradients of 1e-5 lie where float16 has steps of 6e-8."""
    half, double = (tn.tensor(HALVES.astype(dtype), requires_grad=True) for dtype in (np.float16, np.float64))
    value, expected = f(half), f(double)
    assert value.dtype == np.float16
    np.testing.assert_allclose(value.item(), expected.item(), rtol=2e-3)
    upstream = np.float16(1000.0)  # as loss scaling does
    value.backward(upstream)
    expected.backward(np.float64(1000.0))
    assert half.grad.dtype == np.float16
    np.testing.assert_allclose(half.grad, double.grad, rtol=4e-3, atol=7e-5)  # 1000 steps of 6e-8


def test_steps_of_adam_in_half_precision():
    p = tn.tensor(np.ones(3, np.float16), requires_grad=True)
    p.grad = np.zeros(3, np.float16)
    tn.optim.Adam([p], lr=0.1).step()
    np.testing.assert_array_equal(p.data, np.ones(3))
    p.grad = np.full(3, 1e-4, np.float16)
    tn.optim.Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.data, 0.9, rtol=1e-3)


# --- probabilities that are given as such -----------------------------------------------------------------------------

EDGES = [0.0, 1e-45, 1e-14, 1e-5, 0.3, 1 - 1e-7, 1.0]


def as_pytorch(p, y):
    """F.binary_cross_entropy's formula: logarithms of at least −100, the slope's denominator at least 1e-12."""
    with np.errstate(divide="ignore"):
        losses = -(y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100))
    return losses, (p - y) / np.maximum(p * (1 - p), 1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_cross_entropy_of_probabilities_is_finite_everywhere(dtype, label):
    p = tn.tensor(np.array([EDGES], dtype), requires_grad=True)
    y = np.full((1, len(EDGES)), label, dtype)
    losses = tn.binary_cross_entropy(p, y, from_logits=False, reduction="none")
    expected, slope = as_pytorch(p.numpy().astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(losses.data, expected[0], rtol=2e-3 if dtype == np.float16 else 1e-5, atol=1e-6)
    losses.astype(np.float64).sum().backward()
    assert not np.isnan(p.grad).any()
    if dtype == np.float64:
        same = (abs(p.numpy() - y) == 1) | (p.numpy() * (1 - p.numpy()) > 1e-12)  # elsewhere PyTorch goes to 0
        np.testing.assert_allclose(p.grad[same], slope[same], rtol=1e-6)
        assert np.isfinite(p.grad).all()


def test_binary_cross_entropy_of_probabilities_is_that_of_logits():
    """With first and second derivatives, also against differences."""
    z, y = np.random.default_rng(0).normal(size=(2, 5)), np.random.default_rng(1).random((2, 5))

    def of_probabilities(z):
        return tn.binary_cross_entropy(tn.sigmoid(z), y, from_logits=False)

    def of_logits(z):
        return tn.binary_cross_entropy(z, y)

    for derive in (lambda f: f, tn.grad, tn.hessian):
        np.testing.assert_allclose(derive(of_probabilities)(z), derive(of_logits)(z), rtol=1e-10, atol=1e-12)
    p = 0.1 + 0.8 * y
    assert tn.gradcheck(lambda p: tn.binary_cross_entropy(p, y, from_logits=False), p, order=2)
    one = np.eye(3)[:, [0, 2]]
    assert tn.gradcheck(lambda p: tn.cross_entropy(p, one, from_logits=False), p[:, :3].repeat(2, 0)[:3, :2], order=2)


@pytest.mark.parametrize("loss", [tn.binary_cross_entropy, tn.cross_entropy])
def test_logits_are_no_probabilities(loss, raised):
    assert raised(ValueError, loss, np.array([[0.5, 3.0], [0.5, 0.0]]), np.eye(2), from_logits=False) == (
        f"{loss.name}: with from_logits=False, the prediction 3.0 at index (0, 1) is not a probability from 0 to 1; "
        "logits are taken without from_logits=False"
    )
