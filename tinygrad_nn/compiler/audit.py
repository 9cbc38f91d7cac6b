"""The audit: some calls are replayed and carried out eagerly as well, and the two must agree to the last bit.

An engine that rounds in another way is replayed besides: it must agree but for rounding, and its outcome is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.away import here
from tinygrad_nn.compiler.captured import Captured
from tinygrad_nn.compiler.codegen import FAILED
from tinygrad_nn.compiler.homes import put_back, saved
from tinygrad_nn.compiler.ir import Node, code_line, is_of_library, same_bits
from tinygrad_nn.compiler.numpy_engine import NumpyEngine
from tinygrad_nn.compiler.observer import observing
from tinygrad_nn.compiler.rounding import Pair, first_apart
from tinygrad_nn.compiler.step import Result, Step, changed_by_other_threads, difference, parts
from tinygrad_nn.errors import CompileError
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["audited", "next_audit"]


def next_audit(calls: int, every: bool | int, exact: bool = True) -> int:
    """The number of the next call to audit: 2, 4, 8 ... 128, and every 128th after that; or every n-th; 0 for none.

    Where the engine is not `exact`, and may be much quicker than an audit, it goes on by doubling.

    >>> next_audit(1, True), next_audit(8, True), next_audit(256, True), next_audit(10, 5), next_audit(7, False)
    (2, 16, 384, 15, 0)
    """
    if every is True:
        return calls + calls if calls < 128 or not exact else (calls // 128 + 1) * 128
    return (calls // every + 1) * every if every else 0


@dataclass
class _Saved:
    """A state of the world: copies of what is `seen`, the objects that `.grad` held, and settings."""

    seen: list[list[Any]]
    held: list[Any]
    settings: list[tuple[dict[str, Any], dict[str, list[Any]]]]


class _State:
    """Whatever a step can change that has a home: tensors, gradients, arrays, generators, settings."""

    def __init__(self, step: Step, given: list[Any]):
        inputs = [of for of in step.inputs if of.kind != "grad"]
        tensors = [of.tensor if of.tensor is not None else given[of.argument] for of in inputs if of.kind == "value"]  # type: ignore[index]
        tensors += step.touched
        tensors += [given[owner] if isinstance(owner, int) else owner for owner, _ in step.without_gradient]
        self.tensors: list[Tensor] = list({id(t): t for t in tensors}.values())
        arrays = [given[of.argument] if of.argument is not None else of.array for of in inputs if of.kind != "value"]
        self.arrays = [a for a in arrays if isinstance(a, np.ndarray)]
        self.generators = step.generators
        self.holders = _of_schedules(step)

    def now(self) -> list[list[Any]]:
        """Everything that is compared, as it is at this moment: the arrays themselves."""
        gradients = [t._grad.array if isinstance(t._grad, Lent) else t._grad for t in self.tensors]
        states = [*map(saved, self.generators)]
        return [[np.asarray(t._value) for t in self.tensors], gradients, self.arrays, states]

    def read(self) -> _Saved:
        """Copies of everything."""
        settings = [(dict(h), {key: [*v] for key, v in h.items() if type(v) is list}) for h in self.holders]
        return _Saved(copy.deepcopy(self.now()), [t._grad for t in self.tensors], settings)

    def restore(self, saved: _Saved) -> None:
        """Put it back."""
        values, gradients, arrays, states = saved.seen
        for t, value, held, gradient in zip(self.tensors, values, saved.held, gradients, strict=True):
            if isinstance(t._value, np.ndarray) and not same_bits(t._value, value):
                np.copyto(t._value, value)
                t.changed()
            t._grad = held
            array = held.array if isinstance(held, Lent) else held
            if gradient is not None and not same_bits(array, gradient):
                np.copyto(array, gradient)
        for holder, (items, lists) in zip(self.holders, saved.settings, strict=True):
            for key in holder.keys() - items.keys():
                del holder[key]
            holder.update(items)
            for key, items_of_list in lists.items():
                holder[key][:] = items_of_list
        for a, value in zip(self.arrays, arrays, strict=True):
            if a.flags.writeable and not same_bits(a, value):
                np.copyto(a, value)
        for bits, state in zip(self.generators, states, strict=True):
            put_back(bits, state)

    def adopt(self, saved: _Saved, before: _Saved) -> None:
        """Put the values of an engine in the place of those that NumPy has just computed."""
        values, gradients, arrays, _ = saved.seen
        for t, value in zip(self.tensors, values, strict=True):
            if isinstance(t._value, np.ndarray) and not same_bits(t._value, value):
                np.copyto(t._value, value)
                t.changed()
        for given, gradient in zip(self.now()[1], gradients, strict=True):
            if given is not None and gradient is not None and not same_bits(given, gradient):
                np.copyto(given, gradient)
        for a, old, value in zip(self.arrays, before.seen[2], arrays, strict=True):
            if a.flags.writeable and not same_bits(a, old):  # else it is one that the step makes anew
                np.copyto(a, value)

    def pairs(self, engines: _Saved, optimizers: list[Any]) -> list[Pair]:
        """Everything that an engine has left, beside what NumPy has left."""
        of_optimizers = {id(a) for o in optimizers for holder in o.state_arrays for a in dict.values(holder)}
        values, gradients, arrays, _ = self.now()
        at = [self.name(0, i) for i in range(len(values))]
        pairs = [Pair(self.name(1, i), a, b) for i, (a, b) in enumerate(zip(engines.seen[1], gradients, strict=True))]
        for name, a, b, g in zip(at, engines.seen[0], values, gradients, strict=True):
            pairs.append(Pair(name, a, b, g, places=g is None or g.shape != b.shape))
        for i, (a, b) in enumerate(zip(engines.seen[2], arrays, strict=True)):
            pairs.append(Pair(self.name(2, i), a, b, places=id(b) in of_optimizers))
        return pairs

    def name(self, kind: int, i: int) -> str:
        """What is called what, for messages."""
        if kind > 1:
            return ("an array of shape " + str(self.arrays[i].shape)) if kind == 2 else "the state of a Generator"
        t = self.tensors[i]
        return ("the gradient of " * kind) + (t.name or f"a tensor of shape {t.shape}")


def _of_schedules(step: Step) -> list[dict[str, Any]]:
    """What schedules and optimisers change that the step calls: they do so in an audited replay, too."""
    found = [x for call in step.effects if is_of_library(call) for x in call.args if hasattr(x, "__dict__")]
    optimizers = [getattr(x, "optimizer", x) for x in found]
    return [*map(vars, found), *(group for o in optimizers for group in getattr(o, "param_groups", ()))]


def audited(program: Any, args: tuple, kwargs: dict[str, Any], miss: Any) -> Any:
    """What the step returns, carried out eagerly after a replay that must agree; `miss` if it cannot be replayed."""
    step, function = program.step, program.function
    arguments = parts(args, kwargs)
    if not step.takes(arguments):
        return miss
    state = _State(step, [x for _, x in arguments])
    before = state.read()
    replayed = program.run_for_audit(args, kwargs)
    if replayed is miss:
        return miss
    failed = replayed is FAILED
    after = state.read()
    state.restore(before)
    engines, left = FAILED, after
    if not program.engine.exact and not failed:
        engines = program.run_engine_for_audit(args, kwargs)
        NumpyEngine.settle(program.engine)
        left = state.read()
        state.restore(before)
    step.captured.renew()
    with program.engine.drawing(), np.errstate(all="ignore"), observing(state.tensors) as observer:
        result = function(*args, **kwargs)
    unseen = observer.changed()
    if observer.effects != len(step.effects):
        unseen = "how often it calls what tn.at_each_replay marks"
    if unseen:
        raise CompileError(
            f"the step changes {unseen}, and a replay does not, as the step did not when it was recorded: declare what "
            "decides about that, as in tn.compile(step, state=[...]), make it an argument, or mark it with "
            "tn.at_each_replay"
        ).with_result(result)
    if observer.changed_elsewhere():
        named = Captured(function, [x for _, x in arguments], program.state)
        elsewhere = changed_by_other_threads(observer, named)
        if elsewhere:
            raise CompileError(elsewhere).with_result(result)
    changed = step.captured.changed({id(a) for a in state.arrays})
    if changed and not step.effects:  # what is called at every replay may change anything
        raise CompileError(
            f"the step changes {changed}, and a replay does not: return what it finds out, keep what it updates in a "
            "tensor, or mark what it does with tn.at_each_replay"
        ).with_result(result)
    if failed:  # as such a call goes on in any case
        return result
    wrong = _first_difference(replayed, result, state, before, after)
    if wrong:
        where = _where(program, args, kwargs, state, before)
        raise CompileError(
            f"a replay differs from the step itself in {wrong}{where}: declare what changes, as in "
            "tn.compile(step, state=[...]), make it an argument, or keep it in a tensor"
        ).with_result(result)
    if engines is FAILED or engines is miss:  # as it was for NumPy to do, or is exact
        return result
    wrong = _apart(engines, result, state, before, left, step)
    if wrong:
        raise CompileError(differs(program.engine.name, wrong)).with_result(result)
    state.adopt(left, before)
    return engines


def differs(engine: str, what: str) -> str:
    """The error's text where an engine computes something else than NumPy."""
    return (
        f"engine={engine!r} computes {what} otherwise than NumPy, by more than rounding explains, or with NaN or "
        "infinity in other places: take engine='numpy', and report it; where a choice by rounded numbers makes the "
        "difference, as of equals in tn.argmax, audit=False leaves audits out"
    )


def _apart(engines: Any, result: Any, state: _State, before: _Saved, left: _Saved, step: Step) -> str:
    returned = [Pair("what it returns", a, b) for a, b in zip(*map(_numbers, (engines, result)), strict=True)]
    given = [*before.seen[0], *before.seen[2]]
    pairs = [*returned, *state.pairs(left, step.captured.optimizers)]
    return first_apart(pairs, given, state.now()[1])


def _numbers(result: Any) -> list[np.ndarray]:
    """What is returned that has numbers."""
    leaves = [here(x._value) if isinstance(x, Tensor) else x for x in tree.leaves(result)]
    return [np.asarray(x) for x in leaves if isinstance(x, (np.ndarray, np.generic, float))]


def apart_in_recording(step: Step, computed: Callable[[Node], Any]) -> str:
    """What an engine computes otherwise in the recorded call, whose arrays are still there; "" if nothing."""
    results = [x.node for x in tree.leaves(step.result) if isinstance(x, Result)]
    pairs = [Pair("what it returns", computed(node), node.sample) for node in results]
    gradients = {id(owner): node for owner, node in step.gradients if node is not None}
    pairs += [Pair("a gradient", computed(node), node.sample) for node in gradients.values()]
    for of in step.inputs:
        if of.node in step.written:
            node, g = step.written[of.node], gradients.get(id(of.tensor))
            sample = None if g is None or g.sample.shape != node.sample.shape else g.sample
            name = (of.tensor.name if of.tensor is not None else "") or f"an array of shape {node.sample.shape}"
            pairs.append(Pair(name, computed(node), node.sample, sample, places=sample is None))
    given = [of.node.sample for of in step.inputs]
    return first_apart(pairs, given, [node.sample for node in gradients.values()])


def _first_difference(replayed: Any, result: Any, state: _State, before: _Saved, after: _Saved) -> str:
    mine, other = tree.leaves(replayed), tree.leaves(result)
    if len(mine) != len(other) or not all(map(_same, mine, other)):
        return "what it returns"
    for kind, (was, a, b) in enumerate(zip(before.seen, after.seen, state.now(), strict=True)):
        for i, (old, x, y) in enumerate(zip(was, a, b, strict=True)):
            made_anew = kind == 2 and _same(old, y)  # an array that the step makes: the eager one is another
            if not _same(x, y) and not made_anew:
                return state.name(kind, i)
    return ""


def _same(a: Any, b: Any) -> bool:
    a, b = (x._value if isinstance(x, Tensor) else x for x in (a, b))
    if isinstance(a, (np.ndarray, np.generic, float)) and isinstance(b, (np.ndarray, np.generic, float)):
        return same_bits(np.asarray(a), np.asarray(b))
    return a is b or (type(a) is type(b) and bool(a == b))


def _where(program: Any, args: tuple, kwargs: dict[str, Any], state: _State, before: _Saved) -> str:
    """The first operation that differs from the recorded ones, found by recording the call again."""
    kept, captured = state.read(), Captured(program.function, [x for _, x in parts(args, kwargs)], program.state)
    state.restore(before)
    try:
        found = difference(program.plan.live, program.planned(args, kwargs, commit=False)[1].live)
    except Exception:  # it cannot be recorded any more, which names no operation
        found = None
    state.restore(kept)
    for watched in captured.watched:
        watched.restore()
    if found is None:
        return ""
    drawn = " (random numbers are drawn before the step, and passed as an argument)" * bool(captured.generators)
    return f": {found[1]}{drawn * ('another array' in found[1])} ({code_line(found[0].line)})"
