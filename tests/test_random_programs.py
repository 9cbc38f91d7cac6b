"""Random programs: derivatives against differences, forward mode, and (marked peers) PyTorch and JAX."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import jax_names, torch_names
from random_programs import program
from test_ops import DIFFERENTIABLE

import tinygrad_nn as tn


def derivatives(f, inputs):
    """Value, gradient, and the Hessian's product with directions drawn from the seed, by reverse mode twice."""
    tensors = [tn.tensor(x, requires_grad=True) for x in inputs]
    y = f(tn, *tensors)
    first = tn.gradients(y, tensors, create_graph=True)
    moved = sum((g * u).sum() for g, u in zip(first, directions(f, inputs), strict=True))
    return y.value, [g.value for g in first], tn.gradients(moved, tensors)


def directions(f, inputs):
    rng = np.random.default_rng(f.seed)
    return [rng.normal(size=x.shape) for x in inputs]


def close(ours, theirs, what, f, tolerance=1e-8):
    scale = max(1.0, *(np.abs(b).max(initial=0) for b in theirs))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=f"{what}: {f}")


def central(function, inputs, step):
    """The derivative of a function along `step`, by Richardson's extrapolation of central differences."""

    def slope(h):
        ahead, behind = (function([x + sign * h * u for x, u in zip(inputs, step, strict=True)]) for sign in (1, -1))
        return [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]

    return [(4 * fine - coarse) / 3 for fine, coarse in zip(slope(5e-5), slope(1e-4), strict=True)]


def check_ourselves(seed):
    f, inputs = program(seed)
    u = directions(f, inputs)
    y, first, second = derivatives(f, inputs)
    np.testing.assert_allclose(f(tn, *inputs), y, rtol=1e-12)  # arrays in, arrays out
    close([sum(np.sum(g * t) for g, t in zip(first, u, strict=True))],
          central(lambda xs: [f(tn, *xs)], inputs, u), "first", f, 1e-6)  # fmt: skip
    close(second, central(lambda xs: derivatives(f, xs)[1], inputs, u), "second", f, 1e-5)
    _, moved = tn.jvp(lambda *xs: f(tn, *xs), inputs, u)
    close([moved], [sum(np.sum(g * t) for g, t in zip(first, u, strict=True))], "forward", f, 1e-10)
    twice = tn.hvp(lambda *xs: f(tn, *xs), inputs, u)
    close(twice if len(inputs) > 1 else [twice], second, "forward over reverse", f, 1e-10)


@pytest.mark.parametrize(
    "seeds", [range(i, i + 20) for i in range(0, 200, 20)], ids=lambda r: f"{r.start}..{r.stop - 1}"
)
def test_derivatives_against_differences_and_forward_mode(seeds):
    for seed in seeds:
        check_ourselves(seed)


def test_programs_are_reproducible_and_cover_the_tables():
    f, inputs = program(7)
    again, same = program(7)
    assert f(tn, *inputs) == again(tn, *same)
    names = set().union(*(program(seed)[0].names for seed in range(600)))
    composed_or_constant = {"sign", "affine", "one_hot", "astype", "vector_norm", "ldexp"}
    composed_or_constant |= {"floor", "ceil", "trunc", "rint", "round", "floor_divide", "heaviside"}
    for op in DIFFERENTIABLE:
        assert op.name in names or op.name.startswith("_") or op.name in composed_or_constant, op.name


def test_hessians_of_programs_are_symmetric():
    for seed in range(40):
        f, inputs = program(seed, length=5)
        ends = np.cumsum([x.size for x in inputs])
        if ends[-1] > 30:
            continue

        def flat(v, f=f, inputs=inputs, ends=ends):
            return f(tn, *[v[e - x.size : e].reshape(x.shape) for x, e in zip(inputs, ends, strict=True)])

        hessian = tn.hessian(flat)(np.concatenate([x.ravel() for x in inputs]))
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-10 * max(1.0, np.abs(hessian).max(initial=0)))


HOLDS = {
    "data": lambda t: t.data, "transposed data": lambda t: t.data.T, "detach": lambda t: t.detach(), "T": lambda t: t.T,
    "[...]": lambda t: t[...], "reshape": lambda t: t.reshape(-1), "nothing": lambda t: t,
}  # fmt: skip


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS)
def test_writes_between_forward_and_backward_are_noticed_or_harmless(hold):
    """Somewhere in a program somebody takes hold of a value, and writes to it before backward()."""
    outcomes = {"refused": 0, "right": 0}
    for seed in range(60):
        f, inputs = program(seed, length=8)
        expected, at = derivatives(f, inputs)[1], seed % (len(inputs) + len(f.steps))
        held = []

        def watch(values, at=at, held=held):
            if len(values) == at + 1 or (at < len(values) and not held):
                held.append(hold(values[at]))

        leaves = [tn.tensor(x, requires_grad=True) for x in inputs]
        total = f.total(tn, f.run(tn, leaves, watch))
        array = held[0].data if isinstance(held[0], tn.Tensor) else held[0]
        if not array.flags.writeable:
            continue
        array[...] = 0.5 * array + 0.3
        try:
            total.backward()
        except tn.MutationError:
            outcomes["refused"] += 1
        else:
            outcomes["right"] += 1
            close([np.zeros(x.shape) if x.grad is None else x.grad for x in leaves], expected, "after a write", f)
    assert min(outcomes.values()) > 5


def torch_derivatives(f, inputs):
    xp = torch_names()
    import torch

    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    y = f(xp, *tensors)

    def slopes(y, **more):
        if not y.requires_grad:
            return [torch.zeros_like(x) for x in tensors]
        return torch.autograd.grad(y, tensors, allow_unused=True, materialize_grads=True, **more)

    first = slopes(y, create_graph=True)
    moved = sum((g * torch.tensor(u)).sum() for g, u in zip(first, directions(f, inputs), strict=True))
    return y.item(), [g.detach().numpy() for g in first], [h.numpy(force=True) for h in slopes(moved)]


@pytest.mark.peers
@pytest.mark.parametrize("block", [*range(4), *(pytest.param(i, marks=pytest.mark.nightly) for i in range(4, 20))])
def test_programs_against_torch(block):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        f, inputs = program(seed)
        for what, ours, theirs in zip(
            ("value", "first", "second"), derivatives(f, inputs), torch_derivatives(f, inputs), strict=True
        ):
            close([ours] if what == "value" else ours, [theirs] if what == "value" else theirs, f"{what} of {seed}", f)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(st.integers(10**6, 10**9), st.integers(1, 30))
def test_programs_of_any_length_against_torch(seed, length):
    f, inputs = program(seed, length)
    for ours, theirs in zip(derivatives(f, inputs)[1:], torch_derivatives(f, inputs)[1:], strict=True):
        close(ours, theirs, f"{seed}, {length}", f, 1e-7)


@pytest.mark.peers
@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 60), marks=pytest.mark.nightly)], ids=str)
def test_programs_against_jax(seeds):
    xp = jax_names()
    import jax
    import jax.numpy as jnp

    for seed in seeds:
        f, inputs = program(seed)
        every, u = tuple(range(len(inputs))), directions(f, inputs)
        first = jax.grad(lambda *xs, f=f: f(xp, *xs), every)
        second = jax.grad(lambda *xs, g=first, u=u: sum(jnp.sum(a * b) for a, b in zip(g(*xs), u, strict=True)), every)
        y, g, h = jax.jit(lambda *xs, f=f, g=first, h=second: (f(xp, *xs), g(*xs), h(*xs)))(*inputs)
        ours = derivatives(f, inputs)
        close([ours[0]], [y], f"value of {seed}", f)
        close(ours[1], g, f"first of {seed}", f)
        close(ours[2], h, f"second of {seed}", f)
