"""Random numbers of a step, from one whole number that it draws from each Generator: the same ones in every call.

The function of JAX makes a key of that number.  Where the step is carried out by NumPy, when it is recorded and in an
audit, the Generators among the settings of operations are exchanged for those here, which draw from the same keys.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from tinygrad_nn.compiler.ir import map_leaves
from tinygrad_nn.compiler.xla.lowered import Keyed
from tinygrad_nn.operation import DRAWN_BY

__all__ = ["Draws", "Keys", "seed_from"]


def seed_from(generator: np.random.Generator) -> int:
    """The whole number that all numbers of one step are drawn from."""
    return int(generator.integers(1 << 32))


class Keys:
    """A new key of JAX for each function that draws, from the seeds of Generators by their id."""

    def __init__(self, seeds: dict[int, Any]):
        self._latest = {of: jax.random.key(seed) for of, seed in seeds.items()}

    def add(self, generator: Any, seed: int) -> None:
        """One more Generator."""
        self._latest[id(generator)] = jax.random.key(np.uint32(seed))

    def __call__(self, generator: Any) -> Any:
        """The next key."""
        self._latest[id(generator)], one = jax.random.split(self._latest[id(generator)])
        return one


class Draws:
    """Within it, what NumPy carries out draws the numbers that the function of JAX would; `seeds` by a Generator's id.

    It is for one run of a step: another one has other seeds.
    """

    def __init__(self) -> None:
        self.seeds: dict[int, int] = {}
        self._generators: list[np.random.Generator] = []  # whose ids they are
        self._keys = Keys({})

    def __enter__(self) -> Draws:
        self._before = DRAWN_BY.get()
        DRAWN_BY.set(self.exchanged)
        return self

    def __exit__(self, *_: object) -> None:
        DRAWN_BY.set(self._before)

    def exchanged(self, settings: Any) -> Any:
        """Settings, or arguments, with what draws in the place of Generators."""
        return map_leaves(settings, self._exchanged)

    def _exchanged(self, x: Any) -> Any:
        if not isinstance(x, np.random.Generator):
            return x
        with jax.enable_x64(True):
            if id(x) not in self.seeds:
                self.seeds[id(x)] = seed_from(x)
                self._generators.append(x)
                self._keys.add(x, self.seeds[id(x)])
            return Keyed(self._keys(x), _as_numpy)


def _as_numpy(y: jax.Array) -> Any:
    return np.array(y)[()]
