"""A recorded step as one pure function of JAX: from all that it starts from to all that it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_nn.compiler.ir import Node, code_line, look_up, map_leaves, refuse_nan
from tinygrad_nn.compiler.xla.draws import Keys
from tinygrad_nn.compiler.xla.lowered import Answers, UndecidedError, answers_of, lowered_call
from tinygrad_nn.compiler.xla.table import Guarded, NoLoweringError, function_for
from tinygrad_nn.errors import CompileError

__all__ = ["Emission"]

_FLAT = {np.ravel, np.reshape, np.ndarray.ravel, np.ndarray.reshape}
# What XLA simplifies, so that an infinity on the way is gone: log(exp(x)), exp(a) exp(b).
_SIMPLIFIED: dict[Any, Any] = {np.log: np.exp, np.multiply: np.exp}
_PRODUCTS = {np.matmul, np.dot, np.vdot, np.inner, np.ndarray.dot}


class Emission:
    """The function of some recorded calls.

    `__call__(values, numbers, seeds)` takes the arrays of `inputs`, the numbers that are looked up, and one whole
    number for each Generator; it returns the values of `outputs`, and how often what the program takes for granted does
    not hold: a sum, which on several devices is one with the other sums.  `answers` says how functions decide, and is
    filled while the recorded arrays are there.
    """

    def __init__(
        self, live: Sequence[Node], inputs: Sequence[Node], outputs: Sequence[Node], answers: dict[Node, Answers]
    ):
        self.answers = answers
        self.live, self.inputs, self.outputs = live, inputs, outputs
        self.numbers = [node for node in live if node.func is look_up]
        found = [x for node in live for x in _leaves(node) if isinstance(x, np.random.Generator)]
        self.generators = list({id(x): x for x in found}.values())
        self.guarded = False  # known when the function was traced

    def __call__(self, values: Sequence[Any], numbers: Sequence[Any], seeds: Sequence[Any]) -> tuple[list[Any], Any]:
        """Everything that the step computes."""
        env: dict[Node, Any] = dict(zip(self.inputs, values, strict=True))
        env |= dict(zip(self.numbers, numbers, strict=True))
        next_key = Keys({id(g): seed for g, seed in zip(self.generators, seeds, strict=True)})
        holds: list[Any] = []
        for node in self.live:
            if node not in env:
                try:
                    env[node] = self._value(node, env, next_key, holds)
                except CompileError:
                    raise
                except Exception as reason:
                    raise CompileError(
                        f"{node.name.lstrip('_')} ({code_line(node.line)}) cannot be carried out by JAX: {reason}: "
                        "take engine='numpy', or give the operation a lowered= made of simpler functions"
                    ) from reason
        self.guarded = bool(holds)
        out = [env[node] for node in self.outputs]
        dtype = next((x.dtype for x in out if jnp.issubdtype(x.dtype, jnp.floating)), np.float32)
        return out, sum((jnp.sum(jnp.logical_not(x), dtype=dtype) for x in holds), start=jnp.zeros((), dtype))

    def _value(self, node: Node, env: dict[Node, Any], next_key: Callable, holds: list[Any]) -> Any:
        if node.func is None:
            raise NoLoweringError("an array that is no input")
        kept = _SIMPLIFIED.get(node.func) if isinstance(node.func, np.ufunc) else None

        def given(x: Any) -> Any:
            if not isinstance(x, Node):
                return x
            return jax.lax.optimization_barrier(env[x]) if kept is not None and x.func is kept else env[x]

        args, kwargs = map_leaves((node.args, node.kwargs), given)
        if node.func is refuse_nan:
            holds.append(jnp.logical_not(jnp.isnan(args[0])))
            return jnp.zeros(())
        pair = _summed_product(node)
        if pair is not None:
            a, b = (env[x] for x in pair)
            y = jnp.sum(a * b)
        else:
            try:
                y = function_for(node.func)(*args, **kwargs)
            except NoLoweringError:
                y, conditions = self._lowered(node, args, kwargs, next_key)
                holds += conditions
        if type(y) is Guarded:
            holds += y.holds
            y = y.value
        return _like(y, node)

    def _lowered(self, node: Node, args: tuple, kwargs: dict[str, Any], next_key: Callable) -> tuple[Any, list[Any]]:
        """What another function than NumPy's gives, as it was decided in the recorded run."""
        try:
            return lowered_call(node.func, node.name, args, kwargs, next_key, self.answers.get(node))
        except UndecidedError:
            recorded = map_leaves((node.args, node.kwargs), lambda x: x.sample if isinstance(x, Node) else x)
            self.answers[node] = answers_of(node.func, node.name, *recorded)
            return lowered_call(node.func, node.name, args, kwargs, next_key, self.answers[node])


def _leaves(node: Node) -> list[Any]:
    found: list[Any] = []
    map_leaves((node.args, node.kwargs), found.append)
    return found


def _like(y: Any, node: Node) -> Any:
    """The result, in the dtype that NumPy's has."""
    sample = node.sample
    if isinstance(sample, (tuple, list)):
        return y
    y = jnp.asarray(y)
    if y.shape != sample.shape:
        raise NoLoweringError(f"its result has shape {y.shape} there, and {sample.shape} in NumPy")
    return y if y.dtype == sample.dtype else y.astype(sample.dtype)


def _summed_product(node: Node) -> Any:
    """Two arrays of one shape whose flattened product a node is: as a sum it needs no rearranging between devices."""
    if node.func not in _PRODUCTS or len(node.args) != 2 or not all(isinstance(x, Node) for x in node.args):
        return None
    a, b = (_unflattened(x) for x in node.args)
    flat = all(x.sample.ndim == 1 for x in node.args)
    return (a, b) if flat and a.sample.shape == b.sample.shape and a.sample.ndim != 1 else None


def _unflattened(node: Node) -> Node:
    while node.func in _FLAT and isinstance(node.args[0], Node):
        node = node.args[0]
    return node
