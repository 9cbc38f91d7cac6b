"""The digits on eight devices: the step that NumPy trains with, divided among them by JAX.

To be seen: the same costs and the same accuracy as on one processor, as each device computes the gradient of its share
of the examples, and one sum over all devices makes the gradient of J of them. The devices are simulated on this
machine's processor, so nothing gets faster here. Without JAX the step runs on NumPy alone; the picture shows the step.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X, y, X_test, y_test = tn.data.load_digits()
X, X_test = X.astype(np.float32), X_test.astype(np.float32)
rng = np.random.default_rng(0)
orders = [rng.permutation(X.shape[1])[:1408].reshape(11, 128) for _ in range(12)]  # 8 devices divide 128 evenly


def train(**engine):
    """Train from the same start: J of each epoch, and the test accuracy."""
    dense = [tn.nn.Dense(64, 32, "relu", rng=1, dtype=np.float32), tn.nn.Dense(32, 10, rng=2, dtype=np.float32)]
    model = tn.nn.Sequential(*dense)
    optimizer = tn.optim.Adam(model.parameters(), lr=0.01)

    @tn.compile(**engine)
    def step(X, y):
        optimizer.zero_grad()
        J = tn.cross_entropy(model(X), y)  # of logits
        J.backward()
        optimizer.step()
        return J

    costs = [np.mean([step(X[:, batch], y[batch]).item() for batch in order]) for order in orders]
    return costs, (model.eval()(X_test).value.argmax(axis=0) == y_test).mean(), step


costs, accuracy, step = train()
print(f"NumPy, one processor: J {costs[0]:.4f} to {costs[-1]:.4f}, test accuracy {accuracy:.3f}")
if importlib.util.find_spec("jax"):
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")  # before JAX starts
    jax = importlib.import_module("jax")
    mesh = jax.make_mesh((len(jax.devices()),), ("data",))
    costs, accuracy, step = train(engine="jax", mesh=mesh)
    print(f"JAX, {mesh.size} devices: J {costs[0]:.4f} to {costs[-1]:.4f}, test accuracy {accuracy:.3f}")
    text = step.program.lowered.compile().as_text()
    print(f"sums over all devices in a step: {text.count(' all-reduce(')}")
else:
    print("JAX is not installed: pip install 'tinygrad_nn[jax]'")
picture = out / "the_step.svg"
tn.draw(step).save(picture)
print(f"picture: {picture}")
