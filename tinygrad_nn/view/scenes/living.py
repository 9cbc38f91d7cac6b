"""The computation behind a picture, with its rules as data: what a page needs to carry it out at other numbers."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.chain import Edge, local_derivative
from tinygrad_nn.masks import Made
from tinygrad_nn.operation import BY_NAME, Op, Traced
from tinygrad_nn.rule_trees import (
    NotTraceable,
    Rule,
    as_numbers,
    forward_tree,
    function_tree,
    is_basic,
    number_text,
    plain_params,
    rule_tree,
    tangent_tree,
)
from tinygrad_nn.view.graph.computation import ComputationGraph, Constant
from tinygrad_nn.view.graph.network import Network
from tinygrad_nn.view.program_record import DenseLayer, Operation, Program, ProgramNode, Snapshot, Start
from tinygrad_nn.view.scenes.operations import Ids, role

__all__ = ["program_of"]

MOST_NUMBERS = 20_000  # of all leaves together
MOST_NODES = 500
MOST_ARGUMENTS = 64  # of one operation
FEW = 1_000  # elements: larger arrays are left out of a program that is not live
EXACT = 2.0**53  # whole numbers up to here are numbers of a browser as well
PRECISIONS = ("float64", "float32")


def program_of(graph: ComputationGraph, start: Start | None = None, snapshots: Any = None) -> Program:
    """The program of a recorded graph, with the ids that boxes and arrows have; with the reason if it is not live.

    `snapshots` has the values of parameters during a training, see `tn.training.Snapshots`.
    """
    reason = _too_large(graph)
    if reason:
        return Program(graph.key(graph.root), reason=reason)
    found = _Writer(graph, _too_much(graph)).program()
    layers = () if found.reason else _layers(graph)
    found = dataclasses.replace(found, start=start or Start(), layers=layers)
    return found if snapshots is None or found.reason else _with_snapshots(graph, found, snapshots)


def _too_large(graph: ComputationGraph) -> str:
    """Why not even the structure is written down."""
    if len(graph.nodes) > MOST_NODES:
        return f"it has {len(graph.nodes):,} nodes, and pages recompute up to {MOST_NODES:,}"
    arguments = max(len(node.inputs) for node in graph.nodes if not isinstance(node, Constant))
    if arguments > MOST_ARGUMENTS:
        return f"an operation has {arguments:,} arguments, and pages take up to {MOST_ARGUMENTS}"
    return ""


def _layers(graph: ComputationGraph) -> tuple[DenseLayer, ...]:
    """The dense layers of a graph, where each stands on the one before."""
    try:
        layers = Network(graph).layers
    except ValueError:
        return ()
    return tuple(
        DenseLayer(*("" if node is None else graph.key(node) for node in (x.W, x.b, x.before, x.Z, x.A)))
        for x in layers
    )


def _with_snapshots(graph: ComputationGraph, program: Program, snapshots: Any) -> Program:
    """What parameters were.  ValueError where the graph was made from none of them."""
    kept = [node for node in graph.nodes if node.op is None and node in snapshots.values]
    if not kept:
        name = graph.name(graph.root)
        raise ValueError(f"draw: {name} was made from none of the parameters that snapshots= has values of")
    return dataclasses.replace(
        program,
        snapshots=tuple(Snapshot(graph.key(node), _in_base64(snapshots.values[node])) for node in kept),
        at=tuple(snapshots.at),
        unit=snapshots.unit,
    )


def _in_base64(arrays: Any) -> str:
    return base64.b64encode(np.asarray(arrays, dtype="<f4").tobytes()).decode()


def _too_much(graph: ComputationGraph) -> str:
    """Why it cannot be carried out again, whatever its operations are: too many numbers, or others than were used."""
    numbers = sum(np.size(node.value) for node in graph.nodes if node.op is None)
    if numbers > MOST_NUMBERS:
        return f"{numbers:,} numbers go in, and pages recompute up to {MOST_NUMBERS:,}"
    if sum(np.size(node.value) for node in graph.nodes) > 10 * MOST_NUMBERS:
        return f"its results hold more numbers than the {10 * MOST_NUMBERS:,} that pages recompute"
    if graph.stale or graph.broken:
        return "a value was changed, or released, after it was used"
    return ""


class _Writer:
    """Writes the program of one graph; equal rules are written once.

    If it turns out not to be live, it is written again: without rules and large arrays, with the recorded slopes.
    """

    def __init__(self, graph: ComputationGraph, reason: str):
        self.graph, self.ids = graph, Ids(graph)
        self.rules: dict[Rule, int] = {}
        self.numbers: dict[Any, int] = {}  # of rules, by operation, argument and form of the call
        self.reason = reason
        self.finished = bool(reason)  # known not to be live

    def program(self) -> Program:
        """All of it."""
        nodes = [self._node(node) for node in self.graph.nodes]
        if self.reason:
            self.finished = True
            nodes = [self._node(node) for node in self.graph.nodes]
        names = {node.op for node in nodes if node.op}
        names |= {step.op for rule in self.rules for step in rule.code}
        operations = tuple(_operation(BY_NAME[name]) for name in sorted(names) if isinstance(BY_NAME.get(name), Op))
        rules = () if self.reason else tuple(self.rules)
        return Program(self.ids.nodes[self.graph.root.index], tuple(nodes), operations, rules, self.reason)

    def _node(self, node: Any) -> ProgramNode:
        graph, value = self.graph, np.asarray(node.value)
        gradient = graph.gradient.get(node.index)
        self._check_numbers(node)
        left_out = self.finished and (value.size > FEW or node.index in graph.stale)
        leaf = ProgramNode(
            self.ids.nodes[node.index],
            graph.name(node),
            role(graph, node).value,
            () if left_out else as_numbers(value).value,
            value.shape,
            str(value.dtype),
            gradient=None if gradient is None or left_out else as_numbers(gradient).value,
            tracked=node.tracked,
            held=_may_be_computed(node),
            origin=graph.origin(node),
        )
        return self._mask(node, leaf) if node.op is None else self._result(node, leaf)

    def _mask(self, node: Any, leaf: ProgramNode) -> ProgramNode:
        """A leaf; a mask as it was computed from other nodes, where these are all in the picture."""
        made = None if self.finished or isinstance(node, Constant) else Made.of(node)
        if made is None or any(x.index not in self.ids.nodes or x.index in self.graph.stale for x in made.sources):
            return leaf
        values = [x.value for x in made.sources]
        try:
            if not np.array_equal(made.again(*values), node.value, equal_nan=True):
                return leaf  # what it was computed from has changed since
            rule = function_tree(made.again, [np.asarray(x) for x in values])
            _refuse_not_live(rule)
        except NotTraceable:
            return leaf
        return dataclasses.replace(
            leaf,
            op=next(reversed(made.notes.values()))[0].name,
            args=tuple(self.ids.nodes[x.index] for x in made.sources),
            arrows=("",) * len(values),
            rules=(-1,) * len(values),
            words=("",) * len(values),
            forward=self.rules.setdefault(rule, len(self.rules)),
            held=False,
            formula=made.formula([self.graph.name(x) for x in made.sources]),
        )

    def _result(self, node: Any, leaf: ProgramNode) -> ProgramNode:
        slots = range(len(node.inputs))
        by_slot = {slot.slot: slot for slot in self.graph.incoming.get(node.index, ())}
        fields = {name: getattr(leaf, name) for name in leaf.__dataclass_fields__} | {
            "op": node.op.name,
            "args": tuple(self._argument(by_slot.get(i), node.inputs[i]) for i in slots),
            "arrows": tuple(self.ids.arrows[by_slot[i].key] if i in by_slot else "" for i in slots),
            "params": {} if self.finished else plain_params(node.params or {}),
            "forward": self._forward(node),
            "rules": tuple(self._rule(node, i) if i in node.slots else -1 for i in slots),
            "tangents": self._tangents(node),
            "formula": self.graph.formula(node),
            "words": tuple(self.graph.rule(by_slot[i]) or "" if i in node.slots else "" for i in slots),
            "slopes": tuple(self._slope(node, i) for i in slots) if self.finished else (),
        }
        return ProgramNode(**fields)

    def _argument(self, slot: Any, x: Any) -> str:
        return number_text(x) if slot is None else self.ids.nodes[slot.source.index]

    def _check_numbers(self, node: Any) -> None:
        value = np.asarray(node.value)
        if self.finished:
            return
        if value.dtype.kind == "f" and str(value.dtype) not in PRECISIONS:
            self.reason = (
                self.reason or f"{self.graph.name(node)} is of dtype {value.dtype}, which browsers do not have"
            )
        if value.dtype.kind in "iu" and value.size and np.max(np.abs(value.astype(float))) > EXACT:
            self.reason = self.reason or f"{self.graph.name(node)} has whole numbers above 2⁵³, which browsers round"

    def _rule(self, node: Any, slot: int) -> int:
        if self.finished:
            return 0
        op, args, params = node.op, _values(node), node.params
        return self._traced(node, slot, lambda: rule_tree(op, slot, node.value, args, params))

    def _tangents(self, node: Any) -> tuple[int, ...]:
        """The rules of forward mode, where they do not follow from the kind; without one there is no flow."""
        op, args, params = node.op, _values(node), node.params
        if self.finished or op.jvp is None:
            return ()

        def trace(slot: int) -> Rule | None:
            try:
                return tangent_tree(op, slot, node.value, args, params)
            except NotTraceable:
                return None

        return tuple(
            self._traced(node, ("tangent", i), functools.partial(trace, i)) if i in node.slots else -1
            for i in range(len(args))
        )

    def _forward(self, node: Any) -> int:
        op = node.op
        if self.finished:
            return -1

        def trace() -> Rule | None:
            tree = forward_tree(op, _values(node), node.params)
            if not is_basic(tree, op):
                return tree
            if op.docs.not_live:
                raise NotTraceable(op.docs.not_live)
            if BY_NAME.get(op.name) is not op or not op.__module__.startswith("tinygrad_nn."):
                raise NotTraceable("its function cannot be written as operations of the tables")
            return None

        return self._traced(node, "forward", trace)

    def _traced(self, node: Any, what: Any, trace: Callable[[], Rule | None]) -> int:
        """The number of a rule, traced once for all calls of one form; −1 where there is none, perhaps for a reason."""
        key = (node.op, what, *_form(node))
        if key not in self.numbers:
            try:
                rule = trace()
                self.numbers[key] = -1 if rule is None else self.rules.setdefault(rule, len(self.rules))
                _refuse_not_live(rule)
            except NotTraceable as why:
                self.numbers[key] = -1
                self.reason = self.reason or f"{node.op.public_name}: {why}"
        return self.numbers[key]

    def _slope(self, node: Any, slot: int) -> float:
        """The recorded local derivative between single numbers."""
        x = node.inputs[slot]
        if (
            slot not in node.slots
            or np.size(x.value) != 1
            or np.size(node.value) != 1
            or node.index in self.graph.broken
        ):
            return math.nan
        value: Any = local_derivative(Edge(x, node, slot)).value
        return float(value)


def _refuse_not_live(rule: Rule | None) -> None:
    for step in rule.code if rule is not None else ():
        why = BY_NAME[step.op].docs.not_live
        if why:
            raise NotTraceable(why)


def _values(node: Any) -> list[Any]:
    return [x.value if isinstance(x, Traced) else x for x in node.inputs]


def _form(node: Any) -> tuple[Any, ...]:
    """What a trace depends on: shapes, dtypes, Python's numbers and parameters, and no other number."""
    kinds = [(np.shape(x), str(x.dtype)) if hasattr(x, "dtype") else (type(x).__name__, x) for x in _values(node)]
    return (*kinds, json.dumps(plain_params(node.params or {})))


def _may_be_computed(node: Any) -> bool:
    """Whether it is, or may be, a mask or an index that an operation made, which is recorded as a constant."""
    whole = np.asarray(node.value).dtype.kind in "biu"
    return not isinstance(node, Constant) and node.op is None and (whole or node._note is not None)


def _operation(op: Op) -> Operation:
    return Operation(op.name, op.kind or "", op.entries, op.selects, op.passes, op.matrix_product)
