"""What a step changes while it is carried out eagerly: tensors and modules that the recording may not have met."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_nn.compiler.captured import ABSENT, same_value
from tinygrad_nn.compiler.identity import IdentityTable
from tinygrad_nn.compiler.ir import same_bits
from tinygrad_nn.modes import OBSERVERS
from tinygrad_nn.mutation import clock
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["Observer", "forget_observers", "observing"]


class _Before:
    """A tensor as it was when it was first about to change, and whether this thread was the one to change it."""

    __slots__ = ("certain", "gradient", "own", "tracked", "value")

    def __init__(self, t: Tensor, compared: bool):
        self.value = np.array(t._value) if compared else None
        self.gradient = _copied(t._grad) if compared else None
        self.tracked, self.certain, self.own = t.tracked, False, False

    def difference(self, t: Tensor) -> str:
        """What of it is another one now, for messages; "" if nothing."""
        name = t.name or f"a tensor of shape {t.shape}"
        if t.tracked is not self.tracked:
            return f"requires_grad of {name}"
        if self.value is None:
            return ""
        if self.certain or not same_bits(np.asarray(t._value), self.value):
            return name
        gradient = _copied(t._grad)
        same = gradient is self.gradient or (
            gradient is not None and self.gradient is not None and same_bits(gradient, self.gradient)
        )
        return "" if same else f"the gradient of {name}"


def _copied(gradient: Any) -> Any:
    array = gradient.array if isinstance(gradient, Lent) else gradient
    return None if array is None else np.array(array)


class Observer:
    """Is told of each tensor that is about to be changed, and of each attribute of a module.

    Of the tensors that are `compared` by somebody else, it looks at `requires_grad` only.  Tensors that were made since
    are the step's own.
    """

    def __init__(self, compared: Iterable[Tensor] = ()):
        self.start, self.thread = next(clock), threading.get_ident()
        self.effects = 0  # calls of what every replay calls
        self._compared = IdentityTable((t, True) for t in compared)
        self._tensors = IdentityTable()
        self._attributes = IdentityTable()  # of modules
        self._made = IdentityTable()

    def tensor(self, t: Tensor, certain: bool) -> None:
        """A tensor may be changed from now on; or has been, which is `certain`."""
        if t.index > self.start or isinstance(t._value, Traced):
            return
        before = self._tensors.get(t)
        if before is None:
            before = self._tensors[t] = _Before(t, t not in self._compared)
        before.certain = before.certain or certain
        before.own = before.own or threading.get_ident() == self.thread

    def effect(self) -> None:
        """What every replay calls is called."""
        self.effects += threading.get_ident() == self.thread

    def attribute(self, module: Any, name: str) -> None:
        """An attribute of a module is about to be changed."""
        if threading.get_ident() != self.thread:
            return
        if not vars(module):
            self._made[module] = True  # by the step itself
        elif module not in self._made:
            of_module = self._attributes.setdefault(module, {})
            of_module.setdefault(name, getattr(module, name, ABSENT))

    def changed(self) -> str:
        """What this thread has changed; "" if nothing."""
        found = (before.difference(t) for t, before in self._tensors.items() if before.own)
        attributes = (
            f"{type(module).__name__}.{name}"
            for module, before in self._attributes.items()
            for name, old in before.items()
            if not same_value(getattr(module, name, ABSENT), old)
        )
        return next(filter(None, (*found, *attributes)), "")

    def changed_elsewhere(self) -> list[tuple[Tensor, str]]:
        """What other threads have changed."""
        found = [(t, before.difference(t)) for t, before in self._tensors.items() if not before.own]
        return [(t, what) for t, what in found if what]


class observing:  # noqa: N801  used as a function
    """Within it an observer is told what changes.

    No generator, and removed again by `forget_observers`: Ctrl-C may come between the two.
    """

    def __init__(self, compared: Iterable[Tensor] = ()):
        self._observer = Observer(compared)

    def __enter__(self) -> Observer:
        OBSERVERS.append(self._observer)
        return self._observer

    def __exit__(self, *_: object) -> None:
        OBSERVERS.remove(self._observer)


def forget_observers(mine: bool) -> None:
    """Let go the observers of this thread; or, in a process that was forked, those of all other threads."""
    OBSERVERS[:] = [observer for observer in OBSERVERS if (observer.thread == threading.get_ident()) is not mine]
