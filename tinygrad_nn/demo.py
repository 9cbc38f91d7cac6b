"""The demo: a network learns digits, its graph is drawn, the chain rule explained, and gradients checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number

__all__ = ["demonstrate"]


def demonstrate(folder: Path, save: Callable[[Any, Path], None]) -> None:
    """From data to trained network to pictures, which `save` writes into the folder."""
    start = time.perf_counter()
    t, z = chain_rule_example()
    save(tn.draw(z, wrt=t), folder / "chain_rule.html")
    heading("A living page", f"open {folder / 'chain_rule.html'} in a browser while the network learns")
    show("move t, and everything follows; Step goes through the backward pass")

    X_train, y_train, X_test, y_test = tn.data.load_digits()
    heading("Data", "handwritten digits, 8 × 8 pixels: each image is one column of 64 numbers")
    show(f"to learn from: {X_train.shape[1]:,} images, X {X_train.shape}")
    show(f"to test on:    {X_test.shape[1]:5,} images, X {X_test.shape}")

    heading("Network", "64 pixels → 32 neurons → 10 digits")
    rng = np.random.default_rng(1)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))
    show(model.summary())
    show("J = 1/N Σₙ −log softmax(Z²)ₙ[yₙ], the cross-entropy with the true digits y")

    heading("The first training step, drawn", "values forward, gradients backward")
    J = tn.cross_entropy(model(X_train[:, :32]), tn.tensor(y_train[:32], name="y")).named("J")
    for name in ("training_step.svg", "training_step.html"):
        save(tn.draw(J), folder / name)
    show(f"J = {format_number(J.item())} before anything is learned; see training_step.html")

    heading("Training", "gradient descent with momentum, mini-batches of 32 columns")
    train(model, tn.data.batches(X_train, y_train, batch_size=32, rng=rng), epochs=20)
    with tn.no_grad():
        right = int(np.sum(model(X_test).numpy().argmax(axis=0) == y_test))
    show(f"test accuracy {right / y_test.size:.4f}: {right} of {y_test.size} images never seen before are read rightly")

    heading("The chain rule", "z = sin(x² + y²), x = exp(t), y = t², at t = 0.5")
    show_paths(tn.paths(z, t))
    save(tn.draw(z, wrt=t), folder / "chain_rule.svg")
    show("see chain_rule.html, or the picture chain_rule.svg")

    heading("Gradient check", "(J(w + h) − J(w − h)) / 2h against backpropagation")
    check_gradients(model, X_train[:, 32:40], y_train[32:40])

    heading("Files", f"done in {time.perf_counter() - start:.1f} s")
    for name in ("chain_rule.html", "training_step.html", "chain_rule.svg", "training_step.svg"):
        show(str(folder / name))
    show("Open the pages in a browser. `play` opens one on which you type.")
    show("`examples` lists small programs to read and change.")


def heading(title: str, rest: str) -> None:
    """A part of the demo begins."""
    print(f"\n{title}: {rest}")


def show(text: str) -> None:
    """Print below a heading."""
    for line in text.splitlines():
        print(f"    {line}".rstrip())


def train(model: Any, batches: Any, epochs: int) -> None:
    """Gradient descent, with a line that tells how far it is: alive in a terminal, else only the last state of it."""
    optimizer = tn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    alive = sys.stdout.isatty()
    for epoch in range(1, epochs + 1):
        costs = []
        for X, y in batches:
            J = tn.cross_entropy(model(X), y)
            optimizer.zero_grad()
            J.backward()
            optimizer.step()
            costs.append(J.item())
        if alive or epoch == epochs:
            line = f"    epoch {epoch:2} of {epochs}   J = {np.mean(costs):.4f}"
            print(f"\r{line}" if alive else line, end="" if epoch < epochs else "\n", flush=True)


def chain_rule_example() -> tuple[tn.Tensor, tn.Tensor]:
    """t = 0.5, and M. Thill's example z(t) = sin(x² + y²) with x = exp(t) and y = t²."""
    t = tn.tensor(0.5, requires_grad=True, name="t")
    x, y = tn.exp(t).named("x"), (t**2).named("y")
    u, v = (x**2).named("u"), (y**2).named("v")
    return t, tn.sin((u + v).named("s")).named("z")


def show_paths(paths: Any) -> None:
    """Each path with its factors and their product, and the sum."""
    rows = []
    for i, path in enumerate(paths, 1):
        route = " → ".join(node.name for node in path.nodes)
        slopes = [f"({format_number(d)})" if d < 0 else format_number(d) for d in path.local_derivatives]
        rows.append((f"path {i}: {route}", f"{' × '.join(slopes)} =", path.contribution))
    rows.append(("dz/dt, the sum of the paths", "", sum(contribution for *_, contribution in rows)))
    rows.append(("dz/dt, by backpropagation", "", tn.gradients(paths.target, paths.source)[0]))
    left, middle = (max(len(row[i]) for row in rows) for i in (0, 1))
    for name, factors, value in rows:
        show(f"{name:{left}}   {factors:>{middle}} {format_number(value)}")


def check_gradients(model: Any, X: np.ndarray, y: np.ndarray) -> None:
    """The steepest derivative of each parameter beside its finite difference, then all of them by `tn.gradcheck`."""
    model.zero_grad()
    tn.cross_entropy(model(X), y).backward()
    show(f"{'derivative':15}{'backpropagation':>18}{'finite differences':>22}{'difference':>13}")
    for parameter in model.parameters():
        at = np.unravel_index(np.abs(parameter.grad).argmax(), parameter.shape)
        place, h = ", ".join(map(str, at)), 1e-5
        costs = []
        with tn.no_grad():
            value = parameter.numpy()
            for step in (h, -h):
                parameter.data[at] = value[at] + step
                costs.append(tn.cross_entropy(model(X), y).item())
            parameter.data[at] = value[at]
        got, expected = parameter.grad[at], (costs[0] - costs[1]) / (2 * h)
        name = f"∂J/∂{parameter.name}[{place}]"
        show(f"{name:15}{got:18.12f}{expected:22.12f}{abs(got - expected):13.0e}")

    def J(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        return tn.cross_entropy(W2 @ tn.tanh(W1 @ X + b1) + b2, y)

    tn.gradcheck(J, *model.parameters())
    show(f"and all {sum(p.size for p in model.parameters()):,} of them by tn.gradcheck: they agree")
