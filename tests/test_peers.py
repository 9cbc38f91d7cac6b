"""Every operation of api.md called in the ways of NumPy, compared with JAX: value, first and second derivative."""

import numpy as np
import pytest
from by_day import by_day
from peers import jax_names

import tinygrad_nn as tn

pytestmark = pytest.mark.peers

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.normal(size=shape)


def positive(*shape):
    return RNG.uniform(0.3, 3.0, size=shape)


def inside(*shape):
    return RNG.uniform(-0.8, 0.8, size=shape)


def zeros_in(x, *places):
    x = x.copy()
    for place in places:
        x[place] = 0.0
    return x


def square(*shape):
    return normal(*shape) + 3 * np.eye(shape[-1])


def spd(*shape):
    x = normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


A, B, C, V, W, S = normal(2, 3), normal(2, 3), normal(2, 3, 4), normal(3), normal(3), normal()
UNARY = {
    "exp expm1 exp2 square abs sign negative sin cos arctan sinh cosh tanh arcsinh sinc": normal,
    "log log1p log2 log10 sqrt cbrt reciprocal": positive,
    "tan arcsin arccos arctanh": inside,
    "arccosh": lambda *shape: 1 + positive(*shape),
    "erf sigmoid log_sigmoid relu leaky_relu elu selu gelu silu softplus softsign mish hard_tanh": normal,
    "erfc celu hard_swish hard_sigmoid soft_shrink hard_shrink tanh_shrink": normal,
    "gammaln digamma": positive,
    "erfinv": inside,
}
BINARY = {
    "add subtract multiply divide maximum minimum hypot arctan2 logaddexp": (positive, positive),
    "power": (positive, normal),
}
PAIRS = [((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 1), (3,)), ((4, 1, 3), (2, 1)), ((0, 3), (3,)), ((1,), (2, 1, 1))]
AXES = [{}, {"axis": 0}, {"axis": -2}, {"axis": (0, 2)}, {"axis": (-1, 0)}, {"axis": ()}, {"axis": 1, "keepdims": True},
        {"keepdims": True}, {"axis": None}]  # fmt: skip
MATMUL = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
          ((5, 2, 3), (1, 3, 4)), ((4, 1, 2, 3), (5, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((2, 0), (0, 3)),
          ((1, 1), (1, 1))]  # fmt: skip
EINSUM = [("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)),
          ("ij->", (2, 3)), ("ij->j", (2, 3)), ("i,j->ij", (2,), (3,)), ("i,j->ji", (2,), (3,)), ("i,i->", (3,), (3,)),
          ("i,i->i", (3,), (3,)), ("ij,kl->il", (2, 3), (2, 4)), ("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4)),
          ("...ij,jk", (5, 2, 3), (3, 4)), ("i...,i...->...", (2, 3), (2, 3)), ("...,...", (2, 3), (3,)),
          ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("iij,j->i", (2, 2, 3), (3,)), ("iii->i", (3, 3, 3)),
          ("ij,->ij", (2, 3), ()), ("bhqd,bhkd->bhqk", (2, 1, 3, 4), (2, 1, 5, 4)),
          ("a b , b c -> a c", (2, 3), (3, 2)),
          ("...ii->...", (2, 3, 3)), ("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)), ("i,j,k->", (2,), (3,), (4,)),
          ("...i->...", (2, 3)), ("ijij->ij", (2, 3, 2, 3)), ("ij,ji->", (2, 3), (3, 2))]  # fmt: skip
INDICES = [0, -1, (1, -2), slice(None), slice(None, None, -1), slice(-1, None, -2), (Ellipsis, 1), (None, 1), Ellipsis,
           (slice(None), None, slice(1, None)), [0, 1, 1], np.array([[0, 1], [1, 1]]), ([0, 1], [2, 2]), (0, [2, 2]),
           (slice(None), [0, 0]), ([0, 1, 0], slice(None), [3, 3, 3]), (slice(None), slice(None), [1, 1]),
           (Ellipsis, [0, 3, 0]), ([1, 1], None, [0, 0]), np.arange(24).reshape(2, 3, 4) % 3 == 0,
           (slice(None), np.array([True, False, True])), np.array([True, False]), [], (1, Ellipsis, -1), (1, 1, 1),
           (np.int64(1), np.array(2)), ([[0], [1]], [[0, 2]]), (np.array([True, True]), [0, 1]),
           slice(2, 1)]  # fmt: skip
NORMS = [(V, {}), (A, {}), (C, {}), (A, {"axis": 1}), (A, {"axis": (0, 1)}), (C, {"axis": (2, 0)})]
NORMS += [(V, {"ord": o}) for o in (1, 2, 3, 0.5, 2.5, -1, -2, np.inf, -np.inf)]
NORMS += [(A, {"ord": o, "axis": -1, "keepdims": True}) for o in (1, 2, 3, np.inf, -np.inf)]
NORMS += [(A, {"ord": o}) for o in ("fro", 1, -1, np.inf, -np.inf)]
NORMS += [(C, {"ord": o, "axis": (2, 0), "keepdims": k}) for o in ("fro", 1, -np.inf) for k in (False, True)]

CALLS = []  # name, arrays, arguments behind them, keywords


def call(name, *arrays, rest=(), **kwargs):
    CALLS.append((name, arrays, rest, kwargs))


for names, draw in UNARY.items():
    for name in names.split():
        for shape in [(), (3,), (2, 3), (2, 1, 3), (0, 2)]:
            call(name, draw(*shape))
for names, draws in BINARY.items():
    for name in names.split():
        for shapes in PAIRS:
            call(name, *(draw(*shape) for draw, shape in zip(draws, shapes, strict=True)))
for name in ("sum", "mean", "prod", "max", "min"):
    for kwargs in AXES:
        call(name, C, **kwargs)
    call(name, C, rest=(1,))
    call(name, S)
    call(name, V, axis=0)
for name in ("var", "std"):
    for kwargs in AXES:
        if kwargs.get("axis") != ():
            call(name, C, **kwargs)
    call(name, C, ddof=1)
    call(name, C, axis=(0, 2), ddof=2, keepdims=True)
    call(name, C, axis=-1, ddof=0.5)
for kwargs in AXES:
    if kwargs.get("axis") != ():
        call("logsumexp", C, **kwargs)
for name in ("softmax", "log_softmax"):
    for axis in (0, 1, -1):
        call(name, C, axis=axis)
        call(name, C, rest=(axis,))
for x in (positive(4), zeros_in(normal(4), 1), zeros_in(normal(4), 0, 2), np.zeros(3), normal(1)):
    call("prod", x)
    call("cumprod", x)
for x in (zeros_in(C, (0, 1, 2)), zeros_in(C, (0, 1), (1, 2, 0))):
    for axis in (0, -1, (0, 2), None):
        call("prod", x, axis=axis)
for name in ("cumsum", "cumprod"):
    for axis in (None, 0, 1, -1):
        call(name, C, axis=axis)
        call(name, zeros_in(C, (0, 1, 2)), axis=axis)
for x, kwargs in NORMS:
    call("norm", x, **kwargs)
for shapes in MATMUL:
    call("matmul", *(normal(*s) for s in shapes))
    if max(map(len, shapes)) < 3:
        call("dot", *(normal(*s) for s in shapes))
call("dot", S, A)
call("dot", A, S)
call("dot", A, normal(4, 3, 2))
call("dot", V, normal(4, 3, 2))
call("dot", C, normal(2, 4, 3))
for shapes in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((), (3,)), ((2, 3), ()), ((2, 2, 3), (4, 3))]:
    call("inner", *(normal(*s) for s in shapes))
for shapes in [((2,), (3,)), ((2, 2), (3,)), ((), (3,)), ((2, 3), (2, 3))]:
    call("outer", *(normal(*s) for s in shapes))
for shapes in [((2,), (3,)), ((2, 2), (3, 2)), ((), (3,)), ((2, 3), (2,)), ((2,), (1, 2, 3))]:
    call("kron", *(normal(*s) for s in shapes))
for axes in (0, 1, 2, ([0], [1]), ((1, 0), (0, 1)), (1, 0), ([-1], [-2]), [[0, 1], [1, 0]]):
    call("tensordot", normal(3, 3), normal(3, 3), axes=axes)
call("tensordot", C, normal(4, 3, 5), axes=([2, 1], [0, 1]))
call("tensordot", C, normal(4, 5), rest=(1,))
for text, *shapes in EINSUM:
    call("einsum", *(normal(*s) for s in shapes), subscripts=text)
for batch in ((), (2,), (2, 1)):
    call("inv", square(*batch, 3, 3))
    call("det", square(*batch, 3, 3))
    call("slogdet", square(*batch, 3, 3))
    call("slogdet", -square(*batch, 3, 3))
    call("cholesky", spd(*batch, 3, 3))
    call("solve", square(*batch, 3, 3), normal(*batch, 3, 2))
    call("det", normal(*batch, 2, 2))
    call("inv", square(*batch, 1, 1))
call("solve", square(3, 3), V)
call("solve", square(3, 3), normal(2, 3, 4))
call("solve", square(2, 3, 3), normal(3, 4))
for k in (0, 1, -1, 5):
    for name in ("tril", "triu"):
        call(name, A, rest=(k,))
        call(name, C, k=k)
    call("diag", V, rest=(k,))
    call("diag", A, k=min(k, 2))
    call("diagonal", C, rest=(min(k, 2),))
    call("trace", C, offset=min(k, 2))
call("diagonal", C, axis1=1, axis2=2)
call("diagonal", C, offset=-1, axis1=-1, axis2=0)
call("trace", C, axis1=2, axis2=-2)
for shape in [(6,), (3, 2), (-1,), (-1, 2), (1, 2, 3, 1), -1, [3, 2]]:
    call("reshape", A, rest=(shape,))
call("ravel", C)
call("ravel", S)
for axes in [(), ((2, 0, 1),), ((-1, 0, -2),), (None,)]:
    call("transpose", C, rest=axes)
for pair in [(0, 1), (-1, 0), (2, 2)]:
    call("swapaxes", C, rest=pair)
    call("moveaxis", C, rest=pair)
call("moveaxis", C, rest=((0, 1), (-1, 0)))
call("moveaxis", C, source=[2, 0], destination=[0, 2])
for axis in (None, 0, -1, (0, -1)):
    call("squeeze", normal(1, 3, 1), **({} if axis is None else {"axis": axis}))
for axis in (0, -1, 1, (0, -1), (1, 2)):
    call("expand_dims", A, rest=(axis,))
for shape, target in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((1,), 4), ((2, 1, 3), (4, 2, 5, 3))]:
    call("broadcast_to", normal(*shape), rest=(target,))
for axis in (0, 1, -1):
    call("concatenate", C, C + 1, C * 2, axis=axis)
    call("concatenate", A, normal(*((4, 3) if axis == 0 else (2, 5))), rest=(axis,))
    call("stack", C, C + 1, axis=axis)
call("concatenate", A, V, axis=None)
call("stack", S, S + 1)
call("stack", A, rest=(1,))
for arrays in [(A, B), (V, W, V), (C, C)]:
    call("hstack", *arrays)
    call("vstack", *arrays)
call("hstack", S, V)
call("vstack", V, A)
for cut in (2, 4, [1], [1, 3], [2, 2], np.array([1, 2])):
    call("split", normal(4, 4), rest=(cut,))
    call("split", normal(3, 4), rest=(cut,), axis=-1)
for reps in (2, (2,), (2, 1), (1, 2), (3, 1, 2), (2, 1, 1, 2), 0, (0, 2), [2, 2]):
    call("tile", A, rest=(reps,))
call("tile", S, rest=(3,))
for repeats, kwargs in [
    (2, {}),
    (0, {}),
    (3, {"axis": 0}),
    (2, {"axis": -1}),
    ([1, 2, 0], {"axis": 1}),
    ([2], {"axis": 1}),
]:
    call("repeat", A, rest=(repeats,), **kwargs)
for shift, axis in [(1, None), (-4, None), (2, 0), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 2), (1, 1)), (7, -1), (0, 0)]:
    call("roll", A, rest=(shift,), axis=axis)
for axis in (None, 0, -1, (0, 1), (2,)):
    call("flip", C, axis=axis)
for width in (1, (1, 2), ((1, 2), (0, 3)), ((1, 0),), 0, [[2, 1], [1, 1]]):
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        call("pad", normal(4, 4), rest=(width,), mode=mode)
call("pad", A, rest=(1, "constant"), constant_values=2.5)
call("pad", A, rest=(1,), constant_values=((1, 2), (3, 4)))
call("pad", V, rest=(5,), mode="wrap")
call("pad", V, rest=(5,), mode="reflect")
for indices, axis in [
    (0, 0),
    ([0, 1, 1], 0),
    ([[0, -1], [2, 2]], 1),
    ([5, 0, -1, -1], None),
    (2, None),
    ([], 0),
    ([1], -1),
]:
    call("take", A, rest=(np.array(indices, dtype=int),), axis=axis)
for index in INDICES:
    call("getitem", C, rest=(index,))
call("where", A > 0, A, B)
call("where", A > 0, A, S)
call("where", V > 0, A, normal(2, 1))
call("where", np.array(True), A, B)
call("clip", A, rest=(-0.5, 0.5))
call("clip", A, rest=(None, 0.5))
call("clip", A, rest=(-0.5, None))
call("clip", A, min=-0.3)
call("clip", A, rest=(np.full(3, -0.5), np.full((2, 1), 0.5)))
call("clip", A, normal(3) - 1, normal(2, 1) + 1)
call("clip", A, normal(3) + 1, normal(2, 1) - 1)
for shape in [(3, 5), (3,), (), (4, 1)]:
    call("mse", normal(*shape), normal(*shape))
    call("l1_loss", normal(*shape), normal(*shape))
    call("huber_loss", 3 * normal(*shape), normal(*shape))
    call("huber_loss", 3 * normal(*shape), normal(*shape), delta=0.5)
    call("binary_cross_entropy", 3 * normal(*shape), RNG.random(shape))
call("cross_entropy", normal(3, 5), rest=(np.array([0, 2, 1, 1, 0]),))
call("cross_entropy", normal(3), rest=(np.array(2),))
call("cross_entropy", normal(3, 5), np.eye(3)[:, [0, 2, 1, 1, 0]])
call("cross_entropy", normal(3, 5), RNG.dirichlet(np.ones(3), 5).T)
for axis in (0, 1, -1):
    for name in ("cummax", "cummin", "logcumsumexp"):
        call(name, C, axis=axis)
for p in (1, 2, 3):
    call("cdist", A, normal(4, 3), ord=p)
for n in (0, 1, 2):
    call("polygamma", positive(4), n=n)
call("normal_logpdf", A, V, positive(2, 1))
for channels, groups, how in [(4, 1, {}), (2, 2, {"stride": (2, 1), "padding": (1, 0)}), (4, 1, {"dilation": (1, 2)})]:
    call("conv2d", normal(2, 4, 5, 6), normal(2, channels, 2, 3), groups=groups, **how)
call("elu", normal(5), alpha=0.3)
call("celu", normal(5), alpha=0.3)
call("gelu", normal(5), approximate="tanh")
call("softplus", normal(5), beta=2.0)
call("leaky_relu", normal(5), negative_slope=0.3)
call("hard_tanh", normal(5), min=-0.2, max=0.4)


def called(xp, name, arrays, rest, kwargs):
    """One call, spelled as in NumPy."""
    match name:
        case "einsum":
            return xp.einsum(kwargs["subscripts"], *arrays)
        case "concatenate" | "stack" | "hstack" | "vstack":
            return getattr(xp, name)(arrays, *rest, **kwargs)
        case "polygamma":
            return xp.polygamma(kwargs["n"], *arrays)
        case "slogdet":
            return xp.slogdet(*arrays)[1]
    return getattr(xp, name)(*arrays, *rest, **kwargs)


def every(arrays):
    return tuple(range(len(arrays)))


def parts(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


@pytest.mark.parametrize("name", by_day(sorted({name for name, *_ in CALLS}), one_of=3))
def test_value_and_derivatives_are_those_of_jax(name):
    xp = jax_names()
    import jax
    import jax.numpy as jnp

    for _, arrays, rest, kwargs in (c for c in CALLS if c[0] == name):
        argnums = [i for i, a in enumerate(arrays) if np.asarray(a).dtype.kind == "f"]
        rng = np.random.default_rng(0)

        def f(xp, *given, arrays=arrays, rest=rest, kwargs=kwargs, argnums=argnums):
            args = [np.asarray(a) for a in arrays]
            for i, x in zip(argnums, given, strict=True):
                args[i] = x
            return parts(called(xp, name, args, rest, kwargs))

        inputs = [np.asarray(arrays[i]) for i in argnums]
        weights = [rng.normal(size=y.shape) for y in jax.eval_shape(lambda *xs, f=f: f(xp, *xs), *inputs)]
        again = [rng.normal(size=x.shape) for x in inputs]

        def everything(*xs, f=f, weights=weights, again=again):
            """Value, gradients of Σ⟨w, y⟩, and gradients of Σ⟨u, these⟩."""
            slope = jax.grad(
                lambda *xs: sum(jnp.sum(w * y) for w, y in zip(weights, f(xp, *xs), strict=True)), every(xs)
            )
            twice = jax.grad(lambda *xs: sum(jnp.sum(u * g) for u, g in zip(again, slope(*xs), strict=True)), every(xs))
            return f(xp, *xs), slope(*xs), twice(*xs)

        expected = jax.jit(everything)(*inputs)
        tensors = [tn.tensor(x, requires_grad=True) for x in inputs]
        y = f(tn, *tensors)
        g = tn.gradients(sum((t * w).sum() for t, w in zip(y, weights, strict=True)), tensors, create_graph=True)
        h = tn.gradients(sum((t * u).sum() for t, u in zip(g, again, strict=True)), tensors)
        for kind, ours, theirs in zip(("value", "first", "second"), (y, g, h), expected, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                a, text = a.value if isinstance(a, tn.Tensor) else a, f"{kind}: {name} {rest} {kwargs}"
                assert np.shape(a) == np.shape(b), text
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8, err_msg=text)
