"""Trainings for engines: every optimiser, layer and loss, also on eight simulated devices of JAX."""

import collections
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import trainings
from trainings import ACTIVATIONS, OPTIMISERS

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.away import Away

# A bias before BatchNorm has the gradient 0: of its rounding errors Adam makes steps of full size, others each time.
LAYERS = {
    "BatchNorm": lambda d: [
        nn.Dense(4, 8, rng=0, bias=False, dtype=d),
        nn.BatchNorm(8, dtype=d),
        nn.Activation("tanh"),
    ],
    "LayerNorm": lambda d: [nn.Dense(4, 8, rng=0, dtype=d), nn.LayerNorm(8, dtype=d), nn.Activation("relu")],
    "Residual": lambda d: [nn.Dense(4, 8, rng=0, dtype=d), nn.Residual(nn.Dense(8, 8, "tanh", rng=3, dtype=d))],
    "no bias": lambda d: [nn.Dense(4, 8, "tanh", rng=0, bias=False, dtype=d)],
    "softmax": lambda d: [nn.Dense(4, 8, "softmax", rng=0, dtype=d)],
    **{name: lambda d, name=name: [nn.Dense(4, 8, name, rng=0, dtype=d)] for name in ACTIVATIONS},
}
LOSSES = {
    "mse": (tn.mse, "real"), "l1": (tn.l1_loss, "real"), "huber": (tn.huber_loss, "real"),
    "labels": (tn.cross_entropy, "labels"), "one-hot": (tn.cross_entropy, "one-hot"),
    "binary": (tn.binary_cross_entropy, "binary"),
}  # fmt: skip
ALL = [*itertools.product(OPTIMISERS, LAYERS, LOSSES)]
N, STEPS = 16, 20


def share():
    """Some of all combinations: each optimiser, layer and loss occurs in them, with changing partners."""
    n = max(len(OPTIMISERS), len(LAYERS))
    kinds = [[*OPTIMISERS], [*LAYERS], [*LOSSES]]
    return [tuple(names[i % len(names)] for names in kinds) for i in range(n)]


def batch(i, kind, dtype):
    rng = np.random.default_rng(i)
    X, Y, labels = rng.standard_normal((4, N)), rng.random((3, N)), rng.integers(0, 3, N)
    target = {"real": Y, "binary": (Y > 0.5) * 1.0, "labels": labels, "one-hot": np.eye(3)[:, labels]}[kind]
    return X.astype(dtype), target if kind == "labels" else target.astype(dtype)


def training(optimiser, layers, loss, dtype):
    """Model and step."""
    made = [*LAYERS[layers](dtype), nn.Dense(8, 3, rng=1, dtype=dtype)]
    model, _, step = trainings.training(OPTIMISERS[optimiser], lambda: made, LOSSES[loss][0])
    return model, step


def assert_same_training(names, dtype=np.float64, **how):
    """Train eagerly and compiled: J, parameters and buffers agree, to rounding."""
    ofJ, of_parameters = (1e-12, 1e-12) if dtype == np.float64 else (1e-6, 2e-5)
    (eager, step), (twin, other) = training(*names, dtype), training(*names, dtype)
    compiled = tn.compile(other, engine="jax", audit=False, **how)
    for i in range(STEPS):
        data = batch(i, LOSSES[names[2]][1], dtype)
        J, K = step(*data), compiled(*data)
        np.testing.assert_allclose(K.item(), J.item(), rtol=ofJ, atol=ofJ, err_msg=f"{names}: J of step {i}")
    assert all(type(p._value) is Away for p in twin.parameters()), f"{names}: not carried out by JAX"
    for (name, a), b in zip(eager.state_dict().items(), twin.state_dict().values(), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=of_parameters, atol=of_parameters, err_msg=f"{names}: {name}")
    return compiled


def collectives(compiled):
    """How often devices talk in one step, by what they say."""
    text = compiled.program.lowered.compile().as_text()
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    return dict(collections.Counter(re.findall(rf"= .*? ({kinds})(?:-start)?\(", text)))


def in_process(code, **environment):
    """What a Python of its own does with this code."""
    here = Path(tn.__file__).parent.parent
    paths = os.pathsep.join(map(str, (here, here / "tests")))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=3000,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip


def on_eight_devices(code):
    """The same, with eight simulated devices: how many there are is said before JAX starts."""
    done = in_process(code, XLA_FLAGS="--xla_force_host_platform_device_count=8")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def main(*kinds):
    """Train on eight devices."""
    import jax

    assert len(jax.devices()) == 8
    jax.config.update("jax_disable_most_optimizations", True)
    mesh = jax.make_mesh((8,), ("data",))
    for names in ALL if "all" in kinds else share()[::3]:
        dtype = np.float32 if names[0] == "AdamW" else np.float64
        print(*names, collectives(assert_same_training(names, dtype, mesh=mesh)))
