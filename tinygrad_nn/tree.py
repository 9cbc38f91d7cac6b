"""Trees: nested tuples (named ones too), lists and dicts, whose leaves are everything else.

`is_node` says which values are inner nodes, where the usual ones do not fit: `is_container` takes subclasses as well,
`is_plain` refuses them, and `is_plain_or_slice` goes into slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = [
    "is_container", "is_plain", "is_plain_or_slice", "keystr", "leaves", "leaves_like", "leaves_with_path", "map",
    "nodes_with_path", "unflatten",
]  # fmt: skip

IsNode = Callable[[Any], bool]
Path = tuple[Any, ...]  # the keys and indices that lead from the root to a node


def is_container(x: Any) -> bool:
    """Whether it is a tuple, list or dict, or of a subclass of these."""
    return isinstance(x, (tuple, list, dict))


def is_plain(x: Any) -> bool:
    """Whether it is made of its items and nothing else: a tuple, list, dict or named tuple, but no other subclass."""
    kind = type(x)
    return kind is tuple or kind is list or kind is dict or (isinstance(x, tuple) and hasattr(kind, "_make"))


def is_plain_or_slice(x: Any) -> bool:
    """As `is_plain`; a slice is a node of start, stop and step."""
    return type(x) is slice or is_plain(x)


def _items(node: Any) -> Iterable[tuple[Any, Any]]:
    """Key and child, in order."""
    if isinstance(node, dict):
        return node.items()
    if isinstance(node, slice):
        return ("start", node.start), ("stop", node.stop), ("step", node.step)
    return enumerate(node)


def map(f: Callable[[Any], Any], tree: Any, is_node: IsNode = is_container) -> Any:  # noqa: A001  as in jax.tree.map
    """The same structure with ``f(leaf)`` for each leaf; subclasses of dict become dicts.

    >>> map(abs, {"a": [-1, 2], "b": -3})
    {'a': [1, 2], 'b': 3}
    """
    if not is_node(tree):
        return f(tree)
    if isinstance(tree, dict):
        return {key: map(f, child, is_node) for key, child in tree.items()}
    children = [map(f, child, is_node) for _, child in _items(tree)]
    if isinstance(tree, slice):
        return slice(*children)
    kind = type(tree)
    return getattr(kind, "_make", kind)(children)


def leaves(tree: Any, is_node: IsNode = is_container) -> list[Any]:
    """The leaves, in order.

    >>> leaves({"a": [1, 2], "b": (3, [])})
    [1, 2, 3]
    """
    if not is_node(tree):
        return [tree]
    return [leaf for _, child in _items(tree) for leaf in leaves(child, is_node)]


def leaves_with_path(tree: Any, is_node: IsNode = is_container) -> list[tuple[Path, Any]]:
    """Each leaf after the keys that lead to it.

    >>> leaves_with_path({"a": [1, 2]})
    [(('a', 0), 1), (('a', 1), 2)]
    """
    return [(path, node) for path, node in nodes_with_path(tree, is_node) if not is_node(node)]


def nodes_with_path(tree: Any, is_node: IsNode = is_container, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Inner nodes and leaves, each after the keys that lead to it, a node before its children."""
    yield path, tree
    if is_node(tree):
        for key, child in _items(tree):
            yield from nodes_with_path(child, is_node, (*path, key))


def keystr(path: Path, root: str = "") -> str:
    """A path as Python writes it.

    >>> keystr((0, "x"), "args")
    "args[0]['x']"
    """
    return root + "".join([f"[{key!r}]" for key in path])


def unflatten(like: Any, leaves: Iterable[Any], is_node: IsNode = is_container) -> Any:
    """The structure of `like` with other leaves, taken in order from an iterable.

    >>> unflatten({"a": [0, 0], "b": 0}, [1, 2, 3])
    {'a': [1, 2], 'b': 3}
    """
    rest = iter(leaves)
    return map(lambda _: next(rest), like, is_node)


def leaves_like(like: Any, tree: Any, what: str) -> list[Any]:
    """The leaves of `tree`, called `what` in errors, in the order of `like`, whose structure it must have.

    Raises ValueError where it has another one.  A list may stand for a tuple, and dicts may be in another order.

    >>> leaves_like({"a": 0, "b": 0}, {"b": 2, "a": 1}, "tangent")
    [1, 2]
    """
    if not is_container(like):
        return [tree]
    if isinstance(like, dict):
        same, parts = isinstance(tree, dict) and tree.keys() == like.keys(), f"the keys {list(like)}"
    else:
        same, parts = isinstance(tree, (list, tuple)) and len(tree) == len(like), f"{len(like)} parts"
    if not same:
        raise ValueError(
            f"the {what} must have the structure of what it belongs to, a {type(like).__name__} of {parts}"
        )
    return [leaf for key, child in _items(like) for leaf in leaves_like(child, tree[key], what)]
