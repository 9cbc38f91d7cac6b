"""The random generators that modules hold in their attributes: found, described, and put back where they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.checkpoint.generators import Rng, take_over

__all__ = ["Held", "described_drawing", "found_in", "put_back"]


@dataclass(frozen=True)
class Held:
    """A generator, and the places that share it: for each name, the module and the keys that lead to it from there."""

    rng: Rng
    places: dict[str, tuple[Any, tree.Path]]


def found_in(modules: dict[str, Any]) -> list[Held]:
    """The generators of modules by path: in attributes, and in lists, tuples and dicts in them.

    An attribute `rng` has the name of its module, another place one that begins with it.
    """
    found: dict[int, Held] = {}
    names = set[str]()
    for path, module in modules.items():
        for keys, value in tree.leaves_with_path(vars(module)):
            if isinstance(value, Rng):
                name = path if keys == ("rng",) else ".".join([path, "/".join(map(str, keys))]).lstrip(".")
                while name in names:  # a key may hold a dot or a slash
                    name += "'"
                names.add(name)
                found.setdefault(id(value), Held(value, {})).places[name] = module, keys
    return list(found.values())


def described_drawing(held: Iterable[tuple[Rng, Iterable[str]]]) -> dict[str, str]:
    """What is drawn from where, in words."""
    return {
        name: "random" if isinstance(rng, np.random.Generator) else type(rng).__name__
        for rng, names in held
        for name in names
    }


def put_back(held: list[Held], saved: Iterable[tuple[Rng, list[str]]]) -> None:
    """Let all places draw what those of the same names would have drawn, and share as they did."""
    places = {name: place for each in held for name, place in each.places.items()}
    here = {name: each.rng for each in held for name in each.places}
    for rng, names in saved:
        shared = here[names[0]]
        if not take_over(shared, rng):
            shared = rng
        for name in names:
            module, (attribute, *keys) = places[name]
            value = _with(getattr(module, attribute), keys, shared)
            if value is not getattr(module, attribute):
                setattr(module, attribute, value)


def _with(node: Any, keys: list[Any], rng: Rng) -> Any:
    """A tree with this generator at the end of these keys; lists and dicts are those that were there."""
    if not keys:
        return rng
    first, *rest = keys
    child = _with(node[first], rest, rng)
    if child is node[first]:
        return node
    if isinstance(node, tuple):
        return getattr(type(node), "_make", type(node))([child if i == first else old for i, old in enumerate(node)])
    node[first] = child
    return node
