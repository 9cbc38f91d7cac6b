"""A table whose keys are objects themselves: it holds them, as the id of one that was freed comes again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["IdentityTable"]


class IdentityTable:
    """Like a dict, with objects as keys that are told apart by `is`.

    >>> table = IdentityTable([([], 1)])
    >>> table[key := []] = 2
    >>> [] in table, table[key], table.get([], 0), len(table)
    (False, 2, 0, 2)
    """

    __slots__ = ("_entries",)

    def __init__(self, items: Iterable[tuple[Any, Any]] = ()) -> None:
        self._entries: dict[int, tuple[Any, Any]] = {id(key): (key, value) for key, value in items}

    def __contains__(self, key: Any) -> bool:
        return id(key) in self._entries

    def __getitem__(self, key: Any) -> Any:
        return self._entries[id(key)][1]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._entries[id(key)] = key, value

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or the default."""
        entry = self._entries.get(id(key))
        return default if entry is None else entry[1]

    def setdefault(self, key: Any, default: Any) -> Any:
        """The value of a key, which is the default if it has none yet."""
        return self._entries.setdefault(id(key), (key, default))[1]

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Keys with their values, in the order of insertion."""
        return iter([*self._entries.values()])

    def values(self) -> Iterator[Any]:
        """The values."""
        return (value for _, value in self.items())

    def clear(self) -> None:
        """Let go of everything."""
        self._entries.clear()
