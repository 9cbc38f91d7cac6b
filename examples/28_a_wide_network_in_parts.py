"""A network too wide for one device: examples are divided over one axis of a mesh, rows of W over the other.

To be seen: with JAX, each of the simulated devices holds a part of each matrix of the parameters and of Adam's state,
and J is the J that NumPy computes on one processor. Without JAX only that is shown; the picture is of the network.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((32, 64)), rng.random((8, 64))


def network():
    """Two wide layers, from the same start each time."""
    sizes = ((32, 256, "tanh"), (256, 256, "tanh"), (256, 8, None))
    return tn.nn.Sequential(*(tn.nn.Dense(*size, rng=i) for i, size in enumerate(sizes)))


def train(model, **engine):
    """J of some steps of Adam."""
    optimizer = tn.optim.Adam(model.parameters(), lr=1e-3)

    @tn.compile(**engine)
    def step(X, Y):
        optimizer.zero_grad()
        J = tn.mse(model(X), Y)
        J.backward()
        optimizer.step()
        return J

    return [step(X, Y).item() for _ in range(21)]


model = network()
print("NumPy:", *(f"{J:.6f}" for J in train(model)[::5]))
if importlib.util.find_spec("jax"):
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")  # before JAX starts
    jax = importlib.import_module("jax")
    n = len(jax.devices())
    mesh = jax.make_mesh((max(n // 2, 1), min(n, 2)), ("data", "model"))
    print("JAX:  ", *(f"{J:.6f}" for J in train(network(), engine="jax", mesh=mesh)[::5]))
    held = {(x.shape, x.addressable_shards[0].data.shape) for x in jax.live_arrays() if x.ndim == 2}
    for whole, part in sorted(held):
        print(f"of an array of shape {whole} each device holds {part}")
else:
    print("JAX is not installed: pip install 'tinygrad_nn[jax]'")
picture = out / "network.svg"
tn.draw(model).save(picture)
print(f"picture: {picture}")
