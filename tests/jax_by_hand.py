"""A training step as one writes it in JAX, and the same one of this package: three wide layers, Adam, float32."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import tinygrad_nn as tn

RATE = 1e-3


def network(width):
    """The package's model: both start from its parameters."""
    sizes = [*itertools.pairwise([width] * 4)]
    dense = [tn.nn.Dense(*pair, "tanh" if i < 2 else None, rng=i, dtype=np.float32) for i, pair in enumerate(sizes)]
    return tn.nn.Sequential(*dense)


def batch(width, n):
    rng = np.random.default_rng(0)
    return rng.standard_normal((width, n)).astype(np.float32), rng.random((width, n)).astype(np.float32)


def ours(width):
    model = network(width)
    optimizer = tn.optim.Adam(model.parameters(), lr=RATE)

    @tn.compile(engine="jax", audit=False)
    def step(X, Y):
        optimizer.zero_grad()
        J = tn.mse(model(X), Y)
        J.backward()
        optimizer.step()
        return J

    return step


def J_of(weights, X, Y):
    A = X
    for i, (W, b) in enumerate(weights):
        A = jnp.matmul(W, A, precision=jax.lax.Precision.HIGHEST) + b
        A = jnp.tanh(A) if i < len(weights) - 1 else A
    return jnp.sum((A - Y) ** 2) / (2 * X.shape[1])


@jax.jit
def by_hand(state, X, Y):
    """One step of Adam: the new state, J and the gradients, as the package's step leaves them too."""
    weights, m, v, t = state
    J, g = jax.value_and_grad(J_of)(weights, X, Y)
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    weights = jax.tree.map(
        lambda w, m, v: w - RATE * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), weights, m, v
    )
    return (weights, m, v, t), J, g


def start(width):
    """The state before the first step by hand."""
    weights = [(jnp.asarray(layer.W.numpy()), jnp.asarray(layer.b.numpy())) for layer in network(width)]
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return weights, zeros, zeros, jnp.float32(0)


def cost_of(compiled):
    """What XLA says of the operations and the memory of a compiled function."""
    cost = compiled.cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    memory = compiled.memory_analysis()
    kinds = memory.temp_size_in_bytes, memory.argument_size_in_bytes, memory.output_size_in_bytes
    return cost["flops"], sum(kinds)
