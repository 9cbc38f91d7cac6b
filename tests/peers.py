"""Our names in PyTorch and JAX: independent references under one spelling."""

from types import SimpleNamespace

import numpy as np
import pytest

IN_TORCH = """
exp expm1 exp2 log log1p log2 log10 sqrt square abs sign reciprocal negative sin cos tan arcsin arccos arctan sinh cosh
tanh arcsinh arccosh arctanh sinc erf sigmoid relu add subtract multiply divide hypot arctan2 logaddexp maximum minimum
matmul einsum remainder fmod positive copysign fmax fmin i0
"""
MOVES = "reshape ravel transpose swapaxes moveaxis squeeze expand_dims broadcast_to tile repeat roll flip take diagonal"
IN_SCIPY = "erf erfc erfinv gammaln digamma logsumexp polygamma i0"
IN_JAX = "celu log_sigmoid mish silu selu elu leaky_relu relu sigmoid softmax log_softmax"


def examples(x):
    """N, as in our losses: the number of columns; a vector is one example."""
    return (x.shape[-1] if x.ndim > 1 else 1) or 1


def torch_names():
    """PyTorch as a namespace; what only moves elements is a gather from places that NumPy itself worked out."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional

    def constant(value):
        return torch.as_tensor(np.array(value))

    def moved(function):
        def call(x, *rest, **params):
            places = function(np.arange(x.numel()).reshape(tuple(x.shape)), *rest, **params)
            return x.reshape(-1)[constant(places)]

        return call

    def pad(x, width, mode="constant"):
        if mode != "constant":
            return moved(np.pad)(x, width, mode=mode)
        places = np.pad(np.arange(x.numel()).reshape(tuple(x.shape)), width, constant_values=-1)
        return torch.where(constant(places >= 0), x.reshape(-1)[constant(np.maximum(places, 0))], 0.0)

    def split(x, cut, axis=0):
        parts = np.split(np.arange(x.numel()).reshape(tuple(x.shape)), cut, axis)
        return [x.reshape(-1)[constant(part)] for part in parts]

    def axes(x, axis):
        return tuple(range(x.ndim)) if axis is None else tuple(i % x.ndim for i in np.atleast_1d(axis).tolist())

    def over(function):
        return lambda x, axis=None, keepdims=False, **more: function(x, axes(x, axis), keepdim=keepdims, **more)

    def prod(x, dims, keepdim):
        for i in dims:
            x = torch.prod(x, i, keepdim=True)
        return x if keepdim else x.reshape([n for i, n in enumerate(x.shape) if i not in dims])

    def spread(function):
        return lambda x, dims, keepdim, ddof=0: function(x, dims, correction=ddof, keepdim=keepdim)

    def along(function):
        return lambda x, axis=None: function(x.reshape(-1), 0) if axis is None else function(x, axis)

    def joined(function):
        return lambda arrays, axis=0: function(list(arrays), axis)

    def norm(x, axis=None, keepdims=False, **order):
        return torch.linalg.vector_norm(x, dim=axes(x, axis), keepdim=keepdims, **order)

    def solve(a, b):
        if b.ndim == 1:
            return torch.linalg.solve(a, b[:, None])[..., 0]
        return torch.linalg.solve(a, b[(None,) * max(0, a.ndim - b.ndim)])  # of fewer axes: rows of vectors, to PyTorch

    def masked(function):
        return lambda x, k=0: x * constant(function(np.ones(tuple(x.shape)), k))

    def index_update(x, index, values):
        mask = np.zeros(tuple(x.shape), bool)
        mask[index] = True
        return torch.where(constant(mask), values, x)

    def dot(a, b):
        return torch.tensordot(a, b, ([a.ndim - 1], [b.ndim - 2])) if b.ndim > 2 else torch.matmul(a, b)

    names = {name: getattr(torch, name) for name in IN_TORCH.split()}
    names |= {name: getattr(F, name) for name in ("leaky_relu", "elu", "selu", "gelu", "silu", "softsign", "mish")}
    names |= {name: getattr(torch.special, name) for name in ("erfc", "erfinv", "gammaln", "digamma", "polygamma")}
    names |= {
        "celu": F.celu, "hard_swish": F.hardswish, "soft_shrink": F.softshrink, "hard_shrink": F.hardshrink,
        "tanh_shrink": F.tanhshrink, "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
        "cummax": lambda x, axis: torch.cummax(x, axis)[0], "cummin": lambda x, axis: torch.cummin(x, axis)[0],
        # torch.logcumsumexp has wrong second derivatives where its upstream gradient is zero
        "logcumsumexp": lambda x, axis: torch.log(torch.cumsum(torch.exp(x), axis)),
    }  # fmt: skip
    names |= {name: getattr(torch.linalg, name) for name in ("inv", "det", "slogdet", "cholesky")}
    names |= {name: moved(getattr(np, name)) for name in MOVES.split()}
    names |= {
        name: over(function)
        for name, function in {
            "sum": torch.sum, "mean": torch.mean, "prod": prod, "var": spread(torch.var), "std": spread(torch.std),
            "max": torch.amax, "min": torch.amin, "logsumexp": torch.logsumexp,
        }.items()
    }  # fmt: skip
    return SimpleNamespace(
        **names, constant=constant, pad=pad, split=split, norm=norm, solve=solve, index_update=index_update,
        dot=dot, fabs=torch.abs, copy=torch.clone, degrees=torch.rad2deg, radians=torch.deg2rad,
        sort=lambda x, axis=-1: torch.sort(x, axis)[0], diff=lambda x, axis=-1: torch.diff(x, dim=axis),
        median=lambda x, axis: torch.quantile(x, 0.5, axis),
        take_along_axis=lambda x, places, axis: torch.take_along_dim(x, constant(places), axis),
        power=torch.pow, cbrt=lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), clip=torch.clamp,
        log_sigmoid=F.logsigmoid, softplus=lambda x: F.softplus(x, threshold=1e9), hard_tanh=F.hardtanh,
        where=lambda c, a, b: torch.where(c if torch.is_tensor(c) else constant(c), a, b),
        softmax=lambda x, axis=0: torch.softmax(x, axis), log_softmax=lambda x, axis=0: torch.log_softmax(x, axis),
        cumsum=along(torch.cumsum), cumprod=along(torch.cumprod), tril=masked(np.tril), triu=masked(np.triu),
        getitem=moved(lambda a, index: a[index]), concatenate=joined(torch.cat), stack=joined(torch.stack),
        hstack=lambda arrays: torch.hstack(list(arrays)), vstack=lambda arrays: torch.vstack(list(arrays)),
        diag=lambda x, k=0: torch.diag(x, k), trace=lambda x, k=0: moved(np.diagonal)(x, k).sum(-1),
        outer=lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
        kron=lambda a, b: torch.kron(a.contiguous(), b.contiguous()),
        inner=lambda a, b: torch.inner(a, b), tensordot=lambda a, b, axes: torch.tensordot(a, b, axes),
        mse=lambda p, t: ((p - t) ** 2).sum() / (2 * examples(p)),
        l1_loss=lambda p, t: (p - t).abs().sum() / examples(p),
        huber_loss=lambda p, t: F.huber_loss(p, t, reduction="sum") / examples(p),
        binary_cross_entropy=lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="sum") / examples(z),
        cross_entropy=lambda z, labels: F.cross_entropy(z.T, constant(labels)),
    )  # fmt: skip


def jax_names():
    """JAX as a namespace."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from jax import nn

    def fixed(index):
        """Lists are not indices in JAX."""
        return np.array(index, dtype=None if np.size(index) else int) if isinstance(index, list) else index

    def cross_entropy(z, target):
        if target.ndim < z.ndim:
            target = jnp.moveaxis(nn.one_hot(target, z.shape[0]), -1, 0)
        return -jnp.sum(target * nn.log_softmax(z, axis=0)) / examples(z)

    def binary_cross_entropy(z, t):
        return -jnp.sum(t * nn.log_sigmoid(z) + (1 - t) * nn.log_sigmoid(-z)) / examples(z)

    def huber_loss(p, t, delta=1.0):
        e = jnp.abs(p - t)
        return jnp.sum(jnp.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))) / examples(p)

    def conv2d(x, weight, groups=1, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
        return jax.lax.conv_general_dilated(
            x, weight, stride, [(p, p) for p in padding], rhs_dilation=dilation, feature_group_count=groups
        )

    names = {name: getattr(jnp, name) for name in dir(jnp) if not name.startswith("_")}
    names |= {name: getattr(jnp.linalg, name) for name in ("norm", "inv", "det", "solve", "slogdet")}
    names |= {name: getattr(nn, name) for name in IN_JAX.split()}
    names |= {name: getattr(jax.scipy.special, name) for name in IN_SCIPY.split()}
    return SimpleNamespace(**names | {
        "constant": lambda value: value, "normal_logpdf": jax.scipy.stats.norm.logpdf, "conv2d": conv2d,
        "softplus": lambda x, beta=1.0: nn.softplus(beta * x) / beta,
        "gelu": lambda x, approximate="none": nn.gelu(x, approximate=approximate == "tanh"),
        "hard_sigmoid": nn.hard_sigmoid, "hard_swish": nn.hard_swish, "tanh_shrink": lambda x: x - jnp.tanh(x),
        "soft_shrink": lambda x: x - jnp.clip(x, -0.5, 0.5), "hard_shrink": lambda x: jnp.where(abs(x) > 0.5, x, 0),
        "cummax": lambda x, axis: jax.lax.cummax(x, axis % x.ndim),
        "cummin": lambda x, axis: jax.lax.cummin(x, axis % x.ndim),
        "logcumsumexp": lambda x, axis: jax.lax.cumlogsumexp(x, axis % x.ndim),
        "cdist": lambda a, b, **order: jnp.linalg.norm(a[:, None] - b[None], axis=-1, **order),
        "softsign": nn.soft_sign,
        "hard_tanh": lambda x, **bounds: jnp.clip(x, **{"min": -1, "max": 1, **bounds}),
        "getitem": lambda x, i: x[tuple(map(fixed, i)) if isinstance(i, tuple) else fixed(i)],
        "take": lambda x, indices, **more: jnp.take(x, fixed(indices), **more),
        "cholesky": lambda x: jnp.linalg.cholesky(x),
        "repeat": lambda x, repeats, **more: jnp.repeat(x, fixed(repeats), **more),
        "split": lambda x, cut, axis=0: jnp.split(x, fixed(cut), axis),
        "index_update": lambda x, index, values: x.at[index].set(values),
        "mse": lambda p, t: jnp.sum((p - t) ** 2) / (2 * examples(p)), "cross_entropy": cross_entropy,
        "l1_loss": lambda p, t: jnp.sum(jnp.abs(p - t)) / examples(p), "huber_loss": huber_loss,
        "binary_cross_entropy": binary_cross_entropy,
    })  # fmt: skip
