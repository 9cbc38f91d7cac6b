"""Where the state of a step is between its replays: on the devices, until somebody reads it.

In a tensor `Away` takes the place of the value; a gradient is lent; the state of an optimiser is fetched by the dict
that holds it.  What user code holds as an array is written to at each replay, as
an eager step would.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_nn.away import Away
from tinygrad_nn.compiler.homes import AWAY
from tinygrad_nn.compiler.ir import without_history
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["DeviceGradient", "gradient_of", "home_of", "leave", "lent_result", "placed"]


class DeviceGradient(Lent):
    """A gradient on the devices."""

    __slots__ = ("_home",)

    def __init__(self, device: Any, like: Any):
        self._home = Away(device, like)

    @property
    def array(self) -> Any:
        """It as an array."""
        return self._home.taken()

    @property
    def where_it_is(self) -> Any:
        """It as an array, or as what stands for one that nobody has fetched."""
        return self._home.now()


def gradient_of(tensor: Tensor) -> Any:
    """The gradient of a tensor, where it is."""
    grad = tensor._grad
    if isinstance(grad, DeviceGradient):
        return grad.where_it_is
    return grad.array if isinstance(grad, Lent) else grad


def lent_result(device: Any, like: Any, tracked: bool, name: str | None, scalar: bool) -> Tensor:
    """A tensor that the step returns, whose value comes when it is read."""
    made = without_history(np.empty(0), name) if tracked else Tensor(np.empty(0), False, name)
    Away(device, like, scalar).stand_in(made)
    return made


def placed(tensor: Tensor) -> Any:
    """The value of a tensor where it is: on the devices, or here."""
    value = tensor._value
    return value.device if type(value) is Away else value


def leave(tensor: Tensor, device: Any, like: Any) -> None:
    """Give a tensor its new value: on the devices, or here where somebody else has the memory."""
    watch, memory = tensor.watch, tensor._value
    if type(memory) is not Away:
        if watch is not None and watch.exposed:
            watch.exposed = [entry for entry in watch.exposed if entry.is_held(tensor)]
        held = memory.base is not None or sys.getrefcount(memory) > _OWN or weakref.getweakrefcount(memory)
        if held or (watch is not None and watch.exposed):
            np.copyto(memory, np.asarray(device))
            return
    Away(device, like).stand_in(tensor)


def _references() -> int:
    """The reference count of a value that only its tensor holds, as `leave` sees it on this interpreter."""
    tensor = Tensor(np.empty(1))
    memory = tensor._value
    return sys.getrefcount(memory)


_OWN = _references()


class StateHome:
    """The arrays of an optimiser's state that are on the devices.

    `holders` are the dicts that hold them, and those that hold views of them: these ask for `fetch` before they show
    anything.
    """

    def __init__(self, holders: Iterable[Any]):
        self.holders = [*holders]
        self.arrays = {id(x): x for holder in self.holders for x in dict.values(holder)}
        self._device: dict[int, Any] = {}
        self._usual = -1  # references to all the arrays, when nobody else had one

    def value(self, array: np.ndarray) -> Any:
        """An array where it is."""
        if self._device and id(array) not in self._device and self._is_part(array):
            self.fetch()
        return self._device.get(id(array), array)

    def _is_part(self, array: np.ndarray) -> bool:
        """Whether a vector of which this array is a part is away, or a part of this vector."""
        away = [self.arrays[key] for key in self._device]
        return any(array.base is x or x.base is array for x in away)

    def leave(self, new: dict[int, Any]) -> None:
        """The new values of some of the arrays."""
        self._device |= new
        references = sum(map(sys.getrefcount, self.arrays.values()))
        if self._usual < 0:
            self._usual = references
        if references > self._usual:  # somebody else looks at one of them
            self.fetch()
            return
        for holder in self.holders:
            holder.fetch = self.fetch
        AWAY.add(self)

    def fetch(self) -> None:
        """Bring all of them here."""
        device, self._device = self._device, {}
        for holder in self.holders:
            holder.fetch = None
        AWAY.discard(self)
        for key, value in device.items():
            np.copyto(self.arrays[key], np.asarray(value))


_HOMES: weakref.WeakKeyDictionary[Any, StateHome] = weakref.WeakKeyDictionary()


def home_of(optimizer: Any) -> StateHome:
    """The home of the state of an optimiser: one for all programs that it takes part in."""
    home, holders = _HOMES.get(optimizer), optimizer.state_arrays
    if home is None or [*map(id, home.holders)] != [*map(id, holders)]:  # it has other parameters by now
        if home is not None:
            home.fetch()
        home = _HOMES[optimizer] = StateHome(holders)
    return home
