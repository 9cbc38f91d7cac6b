"""Exercises on graphs: adding up paths, and an order to walk in (lessons 3 and 4)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn.course.verdict import AnswerError, expect

__all__ = ["add_paths", "order"]

Edge = tuple[str, str, float]

GRAPHS: dict[str, list[Edge]] = {
    "one path": [("t", "x", 3.0), ("x", "z", 4.0)],
    "two paths": [("t", "x", 2.0), ("t", "y", 5.0), ("x", "z", 3.0), ("y", "z", -1.0)],
    "an arrow past a node": [("t", "z", 7.0), ("t", "x", 2.0), ("x", "z", 0.5)],
    "z = x + x": [("t", "x", 1.5), ("x", "z", 1.0), ("x", "z", 1.0)],
    "two diamonds": [
        ("t", "a", 1.0), ("t", "b", 2.0), ("a", "c", 3.0), ("b", "c", 4.0),
        ("c", "d", 5.0), ("c", "e", 6.0), ("d", "z", 7.0), ("e", "z", 8.0),
    ],
    "a way that leads nowhere": [("t", "x", 2.0), ("t", "q", 9.0), ("x", "z", 3.0), ("w", "z", 4.0)],
    "a short way and a long one": [("t", "u", 4.0), ("u", "z", 5.0), ("u", "v", 1.0), ("v", "z", 4.0)],
}  # fmt: skip


def add_paths(answer: Callable) -> str:
    """Lesson 3: `add_paths(edges, start, end)`, the sum over all paths of the products of their local derivatives."""
    for name, drawn in GRAPHS.items():
        for edges in (drawn, drawn[::-1], sorted(drawn, key=lambda edge: edge[2])):
            _judge_sum(name, edges, answer(list(edges), "t", "z"))
    _many(answer)
    return f"{len(GRAPHS)} graphs, and one of 2⁴⁰ paths"


def _judge_sum(name: str, edges: list[Edge], got: Any) -> None:
    products = _products(edges)
    lone = _products(list({(a, b): (a, b, d) for a, b, d in edges}.values()))
    in_turn = "The arrows stand in no particular order: a node must have all its parts before it hands them on."
    expect(
        f"for {name}, {_written(edges)},",
        got,
        float(sum(products)),
        {
            "Two arrows between the same nodes are two paths: a dictionary keyed by (tail, head) keeps one.": sum(lone),
            "That is the last path alone: what comes by a second path has to be added, `+=` instead of `=`.": products[
                -1
            ],
            "That is the first path alone: what comes by the others has to be added, `+=`.": products[0],
            "That is the largest path alone: what comes by the others has to be added.": max(products, key=abs),
            "The products of the paths were multiplied: what comes by several paths adds up.": float(np.prod(products)),
            "The local derivatives along a path were added: they multiply.": _sums(edges),
            "What leads nowhere counts 0: the adjoint of the end is 1, and no other node begins with 1.": float(
                sum(_products(edges, ends=True))
            ),
            "An arrow with no way to the end was counted.": sum(d for tail, _, d in edges if tail == "t"),
            in_turn: _once_over(edges),
            in_turn + " ": _once_over([(head, tail, d) for tail, head, d in edges[::-1]], "z", "t"),
            "Nothing has come from the end: its own adjoint is 1, and all others are added up from there.": 0.0,
        },
    )


def _once_over(edges: list[Edge], start: str = "t", end: str = "z") -> float:
    """What comes of taking the arrows as they stand in the list."""
    sums = defaultdict(float, {start: 1.0})
    for tail, head, d in edges:
        sums[head] += d * sums[tail]
    return sums[end]


def _many(answer: Callable) -> None:
    """Forty diamonds: who lists paths one by one would not come back, so they are tried with ever more of them."""
    for n in (10, 16):
        calls = itertools.count()

        class Counted(str):
            """A name of a node that notices how often it is compared."""

            __hash__ = str.__hash__

            def __eq__(self, other: object) -> bool:
                if next(calls) > 200_000:  # noqa: B023
                    raise AnswerError(
                        f"with {2**n:,} paths it takes ever longer: do not list paths one by one. "  # noqa: B023
                        "Let each node collect what its own arrows bring, once, and hand the sum on."
                    )
                return str.__eq__(self, other)

        names = [Counted(k) for k in ("t", *map(str, range(1, n)), "z")]
        edges = [(a, b, 1.0) for a, b in itertools.pairwise(names) for _ in range(2)]
        expect(f"for {n} doublings one after the other", answer(edges, names[0], names[-1]), 2.0**n, {})
    plain = ["t", *map(str, range(1, 40)), "z"]
    long = [(a, b, 1.0) for a, b in itertools.pairwise(plain) for _ in range(2)]
    expect("for 40 doublings one after the other", answer(long, "t", "z"), 2.0**40, {})


def _products(edges: list[Edge], node: str = "t", ends: bool = False) -> list[float]:
    """The product along each path from t to z (with `ends` to any end), in the order in which they are met."""
    if node == "z" or (ends and all(tail != node for tail, _, _ in edges)):
        return [1.0]
    return [d * rest for tail, head, d in edges if tail == node for rest in _products(edges, head, ends)]


def _sums(edges: list[Edge]) -> float:
    def along(node: str) -> list[float]:
        return [0.0] if node == "z" else [d + rest for tail, head, d in edges if tail == node for rest in along(head)]

    return sum(along("t"))


def _written(edges: list[Edge]) -> str:
    return ", ".join(f"{tail} –{d:g}→ {head}" for tail, head, d in edges)


def order(answer: Callable) -> str:
    """Lesson 4: `order(root)`, all nodes, each before those that it was made from."""
    graphs = {
        "sin(t) · t": _short_and_long(),
        "((t + t) + (t + t)) twice over": _doubled(),
        "a random program": _random(),
    }
    for name, root in graphs.items():
        _judge(name, answer(root), root)
    _judge("a chain of 3,000 operations", answer(_deep()), None)
    return f"{len(graphs)} graphs, and a chain of 3,000 operations"


def _short_and_long() -> tn.Tensor:
    t = tn.tensor(0.5, requires_grad=True, name="t")
    u = tn.sin(t).named("u")
    v = (u * u).named("v")
    return ((v * t).named("w") + u).named("z")


def _doubled() -> tn.Tensor:
    x = tn.tensor(1.0, requires_grad=True, name="t")
    for k in range(14):
        x = (x + x).named(f"x{k}")
    return x


def _random() -> tn.Tensor:
    rng = np.random.default_rng(1)
    nodes = [tn.tensor(float(k), requires_grad=True, name=f"x{k}") for k in range(3)]
    for k in range(25):
        i, j = rng.integers(len(nodes), size=2)
        nodes.append((nodes[i] + nodes[j]).named(f"n{k}"))
    root = nodes[0]
    for node in nodes[1:]:
        root = (root + node).named(f"{root.name}+")
    return root.named("z")


def _deep() -> tn.Tensor:
    x = tn.tensor(1.0, requires_grad=True, name="t")
    for k in range(3000):
        x = (x + 1).named(f"x{k}")
    return x


def _judge(name: str, got: Any, root: tn.Tensor | None) -> None:
    if got is None:
        raise AnswerError(f"of {name}: it returns None: is there a `return`?")
    if isinstance(got, tn.Tensor):
        raise AnswerError(f"of {name}: it returns a tensor: return a list of all of them.")
    got = list(got)
    if any(not isinstance(node, tn.Tensor) for node in got):
        raise AnswerError(f"of {name}: it returns things that are no nodes: return a list of the nodes themselves.")
    places = defaultdict(list)
    for k, node in enumerate(got):
        places[id(node)].append(k)
    twice = [node for node in got if len(places[id(node)]) > 1]
    if twice:
        raise AnswerError(
            f"of {name}: it lists {_called(twice[0])} {len(places[id(twice[0])])} times: a node that is used twice is "
            "still one node. Remember those you have seen."
        )
    for node in got:
        for x in node.inputs:
            if isinstance(x, tn.Tensor) and x.requires_grad:
                _before(name, got, places, node, x)
    if root is not None and (not got or got[0] is not root):
        raise AnswerError(f"of {name}: it does not begin with the root: the gradient starts there.")


def _before(name: str, got: list, places: dict, node: tn.Tensor, x: tn.Tensor) -> None:
    if id(x) not in places:
        raise AnswerError(f"of {name}: it leaves out {_called(x)}, from which {_called(node)} was made.")
    if places[id(x)][0] > places[id(node)][0]:
        return
    backwards = places[id(got[-1])][0] != 0 and all(
        places[id(i)][0] < places[id(n)][0] for n in got for i in n.inputs if id(i) in places
    )
    if backwards:
        raise AnswerError(f"of {name}: it lists what comes first in the program first: turn the list around.")
    raise AnswerError(
        f"of {name}: {_called(x)} comes before {_called(node)}, which was made from it: {_called(x)} would send its "
        "gradient on before all parts have come. It is not enough to have met a node: all that use it must come before."
    )


def _called(node: tn.Tensor) -> str:
    return node.name or "an unnamed node"
