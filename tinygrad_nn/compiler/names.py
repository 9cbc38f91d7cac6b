"""Names in a generated program: of arrays, functions and constants, and how arguments are written."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections import Counter
from typing import Any

import numpy as np

from tinygrad_nn.compiler.ir import Node

__all__ = ["Names"]

# What the source of a program calls by these names.
_OWN = {"args", "kwargs", "bind", "replay", "changed", "result", "turns", "turn", "MISS", "FAILED", "array", "clock",
        "gradient", "blocks", "empty", "ndarray", "effects"}  # fmt: skip
_SIMPLE = (int, float, bool, str, type(None), type(Ellipsis))


class Names:
    """What the source of a program refers to: `namespace` by name, and the lines of `start` that make the rest once."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.start: list[str] = []  # lines of `bind`
        self._taken: set[str] = {*_OWN, *namespace, *keyword.kwlist, *dir(builtins)}
        self._made: dict[Any, str] = {}  # what there is only once: constants, functions, bound methods
        self._counts: Counter[Any] = Counter()  # how often a name was wished for

    def name_of(self, node: Node) -> str:
        """The variable that holds a value."""
        raise NotImplementedError

    def new_name(self, wish: str) -> str:
        """A name that nothing has yet."""
        wish = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", wish)).strip("_") or "x"
        wish = f"_{wish}" if wish[0].isdigit() else wish
        name = wish
        while name in self._taken:
            self._counts[wish] += 1
            name = f"{wish}_{self._counts[wish] + 1}"
        self._taken.add(name)
        return name

    def numbered(self, letter: str) -> str:
        """What to wish for: the next of such names as t1, t2 ..."""
        self._counts["number", letter] += 1
        return f"{letter}{self._counts['number', letter]}"

    def once(self, key: Any, wish: str, text: str = "", value: Any = None) -> str:
        """The name of something that is made once: by a line of `bind`, or here."""
        if key not in self._made:
            name = self._made[key] = self.new_name(wish)
            if text:
                self.start.append(f"{name} = {text}")
            else:
                self.namespace[name] = value
        return self._made[key]

    def constant(self, value: Any, wish: str = "c") -> str:
        """The name of an object."""
        return self.once(("object", id(value)), wish, value=value)

    def function(self, func: Any, wish: str = "") -> str:
        """The name of a function."""
        owner = getattr(func, "__self__", None)
        if isinstance(owner, np.ufunc):
            return self.once((owner, func.__name__), f"{owner.__name__}_{func.__name__}", value=func)
        return self.once(func, wish or getattr(func, "__name__", "f"), value=func)

    def dtype(self, dtype: Any) -> str:
        """The name of a dtype."""
        return self.once(("dtype", dtype.str), dtype.name, value=dtype)

    def number(self, value: Any, dtype: Any) -> str:
        """A constant operand as an array of no dimensions: that spares NumPy the conversion at each call."""
        x = np.array(value, dtype)
        self.namespace["array"] = np.array
        key = "number", x.dtype.str, x.tobytes()
        if key in self._made:
            return self._made[key]
        text = f"array({self.text(x.item())}, {self.dtype(x.dtype)})"
        return self.once(key, self.numbered("c"), text)

    def spelled_out(self, line: str) -> str:
        """A line with the constants written out."""
        made = [(key, c) for key, c in self._made.items() if isinstance(key, tuple) and key[0] == "number"]
        numbers = {c: f"{np.frombuffer(key[2], key[1])[0]:.6g}" for key, c in made}
        return re.sub(r"\w+", lambda word: numbers.get(word[0], word[0]), line)

    def text(self, tree: Any) -> str:
        """Arguments as Python."""
        if isinstance(tree, Node):
            return self.name_of(tree)
        if type(tree) is tuple:
            return "(" + "".join(f"{self.text(x)}, " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self.text, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{self.text(k)}: {self.text(x)}" for k, x in tree.items()) + "}"
        if type(tree) is slice:
            return f"slice({self.text(tree.start)}, {self.text(tree.stop)}, {self.text(tree.step)})"
        if type(tree) is float and not np.isfinite(tree):
            return f"float('{tree}')"
        return repr(tree) if type(tree) in _SIMPLE else self.constant(tree)
