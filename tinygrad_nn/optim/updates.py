"""Single and fused updates: a rule applied to one parameter, or to many small ones as one vector.

Rules read state through `current`, and new state is written by `_write`: nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_nn.errors import gradient_shape_error, label
from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.modes import OBSERVERS, about_to_change
from tinygrad_nn.optim.rule import Group
from tinygrad_nn.tensor import Tensor, current

__all__ = ["SMALL", "FusedUpdate", "HalfUpdate", "SingleUpdate", "StateArrays", "updates_of", "widened"]

SMALL = 1 << 14  # elements; copying larger parameters would take longer than the calls that it saves


class StateArrays(dict[str, np.ndarray]):
    """The state of one parameter: arrays by name.  They are written to, never replaced.

    `fetch` brings them here, where a compiled step keeps them on a device; it is called before they are shown.
    """

    fetch: Callable[[], None] | None = None

    def __getitem__(self, key: str) -> np.ndarray:
        if self.fetch is not None:
            self.fetch()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:  # which `dict(state)` asks, too
        if self.fetch is not None:
            self.fetch()
        return super().__iter__()

    def items(self) -> Any:
        """The names with their arrays."""
        if self.fetch is not None:
            self.fetch()
        return super().items()

    def values(self) -> Any:
        """The arrays."""
        if self.fetch is not None:
            self.fetch()
        return super().values()

    def get(self, key: str, default: Any = None) -> Any:
        """An array, or the default."""
        if self.fetch is not None:
            self.fetch()
        return super().get(key, default)

    def __reduce__(self) -> Any:
        return type(self), ({**self},)

    def __missing__(self, key: str) -> np.ndarray:
        raise RuntimeError(
            f"the state holds no {key!r}: the setting that needs it was off when the optimiser was made; "
            "make a new optimiser with it on"
        )


def _write(state: Any, new: dict[str, Any]) -> None:
    for name, value in new.items():
        state[name][...] = value


class SingleUpdate:
    """One parameter and its state."""

    def __init__(self, p: Tensor, state: StateArrays):
        self.p, self.state = p, state

    def step(self, rule: Callable, group: Group) -> None:
        """Apply the rule, if there is a gradient, and the parameter has not been frozen since it was computed."""
        p = self.p.here()
        if not p.tracked:
            return
        value, g = p._value, p._grad
        if type(value) is not np.ndarray or type(g) is not np.ndarray:  # tracers, single numbers, lent gradients
            value, g = p.value, p.grad
            if is_foreign(g):
                raise TypeError(
                    f"the gradient of {label(p, 'a parameter')} is a {type(g).__name__} of "
                    f"{type(g).__module__.partition('.')[0]}, whose numbers nobody has asked for: "
                    "fetch it into p.grad before the step, as p.grad = np.asarray(p.grad) does for Dask"
                )
        if g is None:
            return
        if getattr(g, "shape", None) != value.shape:
            raise gradient_shape_error(p)
        state = current(self.state) if self.state else self.state
        change, new = rule(value, g, state, group)
        if OBSERVERS:
            about_to_change(p)
        value -= change
        (p.watch or p.watched()).change()
        if new:
            _write(state, new)


def widened(x: Any) -> Any:
    """The array in which a rule works: float32 for float16, whose squares and ε = 1e-8 would be 0."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


class HalfUpdate(SingleUpdate):
    """One parameter in float16: the rule and its state work in float32.

    There is no master copy in float32 of the parameter itself: it would be a second place of its value, which a program
    that writes to the first, or loads it, would leave behind.
    """

    def step(self, rule: Callable, group: Group) -> None:
        """Apply the rule, if there is a gradient."""
        super().step(lambda p, g, state, group: rule(widened(p), widened(g), state, group), group)


class FusedUpdate:
    """Small parameters of one dtype, stepped as one vector: a NumPy call costs as much as hundreds of its elements.

    The rule treats each element by itself, so that the result is the same to the last bit.  The state of each parameter
    is a part of one vector, too.  Single numbers, such as step counters, are the elements of another vector; while all
    are equal the first of them stands for all.
    """

    def __init__(self, params: tuple[Tensor, ...], states: tuple[StateArrays, ...]):
        self.params = params
        self.singles = [SingleUpdate(*pair) for pair in zip(params, states, strict=True)]
        self.dtype, self.shapes = params[0].dtype, tuple([p.shape for p in params])
        ends = list(accumulate([p.size for p in params], initial=0))
        self.parts = tuple([slice(*ends[i : i + 2]) for i in range(len(params))])
        self.vectors, self.numbers = StateArrays(), set()
        for name in states[0]:
            arrays = [state[name] for state in states]
            self.vectors[name] = vector = np.concatenate([a.ravel() for a in arrays])
            if any(a.shape != p.shape for a, p in zip(arrays, params, strict=True)):
                self.numbers.add(name)
            for i, (state, part) in enumerate(zip(states, self.parts, strict=True)):
                part = slice(i, i + 1) if name in self.numbers else part
                state[name] = vector[part].reshape(state[name].shape)

    def step(self, rule: Callable, group: Group, equal: bool) -> bool:
        """Apply the rule to each parameter that has a gradient and is not frozen, and to all at once if all are so.

        `equal` says whether their step counters are equal.  Returns whether they still are.
        """
        gradients, values = [], []
        for p, shape in zip(self.params, self.shapes, strict=True):
            g: Any = p.grad if p.requires_grad else None
            if not equal or getattr(g, "shape", None) != shape or g.dtype != self.dtype or is_foreign(g):
                return self._step_one_by_one(rule, group)
            gradients.append(g)
            values.append(p.value)
        vectors = current(self.vectors)
        state = vectors
        if self.numbers:
            state = StateArrays({name: v[:1].reshape(()) if name in self.numbers else v for name, v in vectors.items()})
        flat, g = (np.concatenate([x.ravel() for x in arrays]) for arrays in (values, gradients))
        change, new = rule(flat, g, state, group)
        for p, value, part, shape in zip(self.params, values, self.parts, self.shapes, strict=True):
            value -= change[part].reshape(shape)
            p.changed()
        _write(vectors, new)
        return True

    def _step_one_by_one(self, rule: Callable, group: Group) -> bool:
        missing = [p.grad is None or not p.requires_grad for p in self.params]
        for p in self.params:  # before any of them is stepped, as the others would then have counted one step more
            if p.grad is not None and getattr(p.grad, "shape", None) != p.shape:
                raise gradient_shape_error(p)
        for update in self.singles:
            update.step(rule, group)
        return not self.numbers or all(missing) or not any(missing)

    def counters_are_equal(self) -> bool:
        """Whether each single number is the same for all parameters."""
        return all((self.vectors[name] == self.vectors[name][0]).all() for name in self.numbers)


def updates_of(
    rule: Callable, params: Sequence[Tensor], states: Sequence[StateArrays]
) -> tuple[list[FusedUpdate], list[SingleUpdate]]:
    """Fused updates of small parameters with state, where the rule is fusable, and single ones of all others."""
    single: list[SingleUpdate] = []
    by_dtype: dict[np.dtype, list[tuple[Tensor, StateArrays]]] = {}
    for p, state in zip(params, states, strict=True):
        if p.dtype == np.float16:
            single.append(HalfUpdate(p, state))
        elif state and p.size <= SMALL and hasattr(rule, "fusable"):
            by_dtype.setdefault(p.dtype, []).append((p, state))
        else:
            single.append(SingleUpdate(p, state))
    single += [SingleUpdate(*pairs[0]) for pairs in by_dtype.values() if len(pairs) == 1]
    fused = [FusedUpdate(*zip(*pairs, strict=True)) for pairs in by_dtype.values() if len(pairs) > 1]
    return fused, single
