"""One recorded step: its arguments, the arrays it starts from, what it returns and what it leaves behind."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.compiler.captured import PLAIN, Captured, same_value
from tinygrad_nn.compiler.identity import IdentityTable
from tinygrad_nn.compiler.ir import ArrayInput, Node, abstract_like, leaves, same_bits, without_history
from tinygrad_nn.compiler.memory_plan import may_raise
from tinygrad_nn.compiler.observer import Observer, observing
from tinygrad_nn.compiler.recording import draws
from tinygrad_nn.compiler.tracers import Tracer
from tinygrad_nn.compiler.tracing import Trace
from tinygrad_nn.errors import CompileError
from tinygrad_nn.modes import interpreted_by
from tinygrad_nn.operation import SEEN
from tinygrad_nn.tensor import Tensor

__all__ = ["Given", "Owner", "Result", "Step", "difference", "owners_of", "parts", "signature"]

_UNCOMPARED = (list, dict, set, bytearray, collections.deque)  # but for plain lists and dicts
Owner = Tensor | int  # a tensor, or the number of the argument that it is


# --- nested arguments ------------------------------------------------------------------------------------------------


def parts(args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    """All parts of nested arguments, each with the Python that leads to it, the whole before its parts."""
    found = []
    for root, given in (("args", args), ("kwargs", kwargs)):
        found += [(tree.keystr(path, root), x) for path, x in tree.nodes_with_path(given, tree.is_plain)]
    return found


def _is_data(x: Any) -> bool:
    """Whether it is an array or a NumPy scalar."""
    return isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, Tracer)


def signature(arguments: Sequence[tuple[str, Any]]) -> tuple:
    """What two calls must have in common to run the same program."""
    first = {id(x): i for i, (_, x) in reversed([*enumerate(arguments)])}
    return tuple([(path, _kind(x), first[id(x)] if _is_data(x) or type(x) is Tensor else 0) for path, x in arguments])


def _kind(x: Any) -> Any:
    kind = type(x)
    if _is_data(x):
        if isinstance(x, np.ndarray) and kind not in (np.ndarray, np.memmap):
            raise CompileError(
                f"an argument of shape {x.shape} is of type {kind.__name__}, which computes in its own way: pass a "
                "plain array, made by np.array(argument)"
            )
        return kind, x.shape, x.strides, x.dtype.str
    if kind is Tensor:
        return kind, x.shape, x._value.strides, x.dtype.str, x.tracked
    if tree.is_plain(x):
        if kind is dict and not all(map(_can_be_written, x)):
            raise CompileError(
                "an argument is a dict whose keys are not all strings, numbers or tuples of these: pass a list"
            )
        return (kind, *x) if kind is dict else (kind, len(x))
    if isinstance(x, PLAIN):
        inexact = isinstance(x, (float, complex, range))  # NaN is NaN, -0.0 is not 0.0, and range(0) not range(1, 1)
        return kind, repr(x) if inexact else x
    if isinstance(x, _UNCOMPARED) or hasattr(kind, "__next__"):
        raise CompileError(
            f"an argument is of type {kind.__name__}, and a change in it would go unnoticed: pass a tuple, a list, a "
            "dict or an array"
        )
    return kind, id(x)


def _can_be_written(key: Any) -> bool:
    """Whether a key of a dict can be written as Python."""
    if type(key) is tuple:
        return all(map(_can_be_written, key))
    return type(key) in (str, bytes, int, bool, type(None)) or (type(key) is float and np.isfinite(key))


def owners_of(arrays: list[np.ndarray]) -> set[int]:
    """What an array that shares memory with one of these is, or is a view of."""
    found = set()
    for array in arrays:
        owner: Any = array
        while owner is not None:
            found.add(id(owner))
            owner = getattr(owner, "base", None)
    return found


def changed_by_other_threads(observer: Observer, captured: Captured) -> str:
    """Which tensor that the step can name was changed meanwhile by another thread; "" if none."""
    for t, what in observer.changed_elsewhere():
        if captured.names(t):  # else it may be nobody's business
            return (
                f"{what} is changed by another thread while the step runs, and a replay would not do that: do what "
                "that thread does in the step itself, or outside of it"
            )
    return ""


class showing_settings:  # noqa: N801  used as a function
    """Within it operations show what they are given.  No generator, which Ctrl-C may leave in the middle."""

    def __init__(self, seen: Callable[..., None]):
        self._seen = seen

    def __enter__(self) -> None:
        self._before = SEEN.get()
        SEEN.set(self._seen)

    def __exit__(self, *_: object) -> None:
        SEEN.set(self._before)


class Result:
    """A leaf of what the step returns, that is computed: as a tensor like this one, or as an array."""

    def __init__(self, node: Node, tensor: Tensor | None = None):
        self.node, self.is_tensor = node, tensor is not None
        self.tracked, self.name = (False, None) if tensor is None else (tensor.tracked, tensor.name)

    def of(self, value: Any) -> Any:
        """This result with a value, which is the caller's own."""
        value = np.array(value)[()] if self.node.scalar else np.array(value)
        if self.tracked:
            return without_history(value, self.name)
        return Tensor(value, False, self.name) if self.is_tensor else value


class Given:
    """A leaf of what the step returns: a tensor that is one of its arguments."""

    def __init__(self, argument: int):
        self.argument = argument


# --- the step --------------------------------------------------------------------------------------------------------


class Step:
    """A function, recorded while it ran once with these arguments.

    `outcome` is what that call returned.  `arguments` are all parts of the arguments with their paths; `result` has
    `Result` and `Given` leaves; `written` says which value an input ends with; `gradients`, what becomes of `.grad`,
    and `earlier`, what it was before; `without_gradient`, whether there was none at first; `tracked`, which tensors
    gradients flow through.

    The call ends as one eager call would have, whether it returns, raises an error of the step's own, or is refused
    when it has ended.  Where it is broken off by a CompileError, nothing was changed.
    """

    def __init__(
        self,
        function: Callable,
        args: tuple,
        kwargs: dict[str, Any],
        state: Sequence[Any],
        commit: bool = True,
        keep: bool = False,
    ):
        self.arguments = parts(args, kwargs)
        self._at = IdentityTable((x, i) for i, (_, x) in reversed([*enumerate(self.arguments)]))
        self.captured = Captured(function, [x for _, x in self.arguments], state)
        data = [i for i, (_, x) in enumerate(self.arguments) if _is_data(x) or type(x) is Tensor]
        trace = Trace(IdentityTable((self.arguments[i][1], i) for i in reversed(data)), self.captured)
        try:
            self._record(trace, function, args, kwargs, commit, keep)
        finally:
            trace.close()
        kept = trace.kept()
        if kept and commit:
            raise CompileError(kept).with_result(self.outcome)

    def _record(
        self, trace: Trace, function: Callable, args: tuple, kwargs: dict[str, Any], commit: bool, keep: bool
    ) -> None:
        inside = tree.map(lambda x: self._given(trace, x), (args, kwargs), tree.is_plain)
        found = tree.map(lambda x: x, inside, tree.is_plain)
        try:
            with observing() as observer, showing_settings(trace.setting), interpreted_by(trace):
                with np.errstate(all="ignore"):
                    raw = function(*inside[0], **inside[1])
                trace.note_settings()
                self._refuse_changed_arguments(trace, found, inside)
                self.result = tree.map(lambda x: self._returned(trace, x), raw, tree.is_plain)
                trace.check_what_was_seen()
                trace.check_errors_caught()
        except CompileError:  # broken off: nothing has been done
            trace.undo()
            raise
        except BaseException:
            if commit:
                trace.settle()
                trace.commit()  # as an eager call would have done
            raise
        self._collect(trace)
        refusal = self.captured.refusal({id(of.array) for of in self.inputs}) or self.shared_memory()
        refusal = refusal or changed_by_other_threads(observer, self.captured)
        self.outcome = tree.map(lambda x: self._outcome(trace, x), self.result, tree.is_plain)
        self.captured.hand_over(trace.handed_over)
        if not commit:
            trace.undo()
            return
        if keep:
            trace.keep_inputs()
        trace.commit()
        if trace.refused is not None or refusal:
            raise (trace.refused or CompileError(refusal)).with_result(self.outcome)

    def _given(self, trace: Trace, x: Any) -> Any:
        """What the step sees of a leaf of its arguments."""
        if not _is_data(x):
            return x
        if type(x) is np.ndarray:
            return trace.tracer(x)
        array = np.asarray(x)  # of a NumPy scalar, or of a file in memory: another object each time
        return trace.tracer(array, ArrayInput(array, "argument", argument=self._at[x]), isinstance(x, np.generic))

    def _returned(self, trace: Trace, x: Any) -> Any:
        if type(x) is Tensor:
            if x in self._at:
                return Given(self._at[x])
            return Result(trace.value(x).node, x)
        x = trace.tracer(x) if isinstance(x, np.ndarray) and not isinstance(x, Tracer) else x
        if isinstance(x, Tracer):
            return Result(x.node)
        if not isinstance(x, (*PLAIN, type)):
            trace.refuse(
                f"the step returns a {type(x).__name__}, and a replay could not make it",
                "return arrays, tensors and numbers, in tuples, lists or dicts",
            )
            return trace.handed_over(x)
        return x

    def _outcome(self, trace: Trace, leaf: Any) -> Any:
        if isinstance(leaf, Given):
            return self.arguments[leaf.argument][1]
        return leaf.of(trace.real(leaf.node)) if isinstance(leaf, Result) else leaf

    def _refuse_changed_arguments(self, trace: Trace, found: Any, inside: Any) -> None:
        """CompileError if the run has changed lists or dicts among its arguments, which were copies."""
        nothing = itertools.repeat((None, None), 9)
        for (path, before), (_, after) in zip(parts(*found), [*parts(*inside), *nothing], strict=False):
            same = before is after
            if tree.is_plain(before):
                same = type(before) is type(after) and len(before) == len(after)
                same = same and (type(before) is not dict or [*before] == [*after])
            if not same:
                raise CompileError(
                    f"the step changes its argument {path.partition('[')[0]}, a list or a dict, and a replay would "
                    "not: return what it finds out, or mark what it does with tn.at_each_replay"
                )

    def _collect(self, trace: Trace) -> None:
        """Take from the trace what a program is made of."""
        trace.settle()
        self.inputs, self.effects, self.calls, self.shared = trace.inputs, trace.effects, trace.nodes, trace.shared
        self.generators = [bits for bits, _ in trace.generators.items()]
        self.draws = [node for node in trace.nodes if draws((node.args, node.kwargs))]
        self.checks = trace.checks
        self.touched = [t for t, _ in trace.stand_ins.items() if t.index < trace.start and t not in self._at]
        calls = [n for n in trace.nodes if n.func is not None and n.base is None and n not in trace.abandoned]
        self.risks = [n for n in calls if may_raise(n.func, n.args)]
        for of in self.inputs:
            if of.argument is not None:
                of.tensor = None
        self.written = {of.node: of.tracer.node for of in self.inputs if of.written and of.tracer.node is not of.node}
        self.gradients: list[tuple[Owner, Node | None]] = []
        self.without_gradient: list[tuple[Owner, bool]] = []
        self.earlier: dict[Node, Node] = {}
        self.tracked: list[tuple[Tensor, bool]] = []
        for tensor, stand_in in trace.stand_ins.items():
            owner: Owner = self._at.get(tensor, tensor)
            had = trace.gradients_read.get(tensor.index)
            if trace.gives_gradient(stand_in):
                node = None if stand_in._grad is None else trace.value(stand_in._grad).node
                self.gradients.append((owner, node))
                if node is not None and had is not None and had.array is not None:
                    self.earlier[node] = had.node
            if had is not None:
                self.without_gradient.append((owner, had.array is None))
            if isinstance(owner, Tensor):
                self.tracked.append((tensor, tensor.tracked))
            if tensor.tracked is not stand_in.tracked:
                trace.refuse("the step sets requires_grad", "set it before the step")
        found = {id(x) for x in self.captured.aliases}
        for of in self.inputs:
            if of.kind == "array" and id(of.array) in found:
                of.kind = "captured"
        self.aliases = [(i, x) for i, (_, x) in enumerate(self.arguments) if id(x) in found]

    def shared_memory(self) -> str:
        """Which arrays are written to and share memory with others; '' if none."""
        arrays = [of for of in self.inputs if isinstance(of.array, np.ndarray) and (self.calls or of.argument is None)]
        for a, b in itertools.combinations(arrays, 2):
            if (a.written or b.written) and np.may_share_memory(a.array, b.array) and self._uses(a) and self._uses(b):
                names = [of.tensor.name if of.tensor is not None and of.tensor.name else "an array" for of in (a, b)]
                return (
                    f"{names[0]} and {names[1]}, of shapes {a.array.shape} and {b.array.shape}, share memory that the "
                    "step writes to: give each an array of its own"
                )
        return ""

    def _that_can_overlap(self) -> list[ArrayInput]:
        return [of for of in self.inputs if of.kind != "grad" and isinstance(of.array, np.ndarray)]

    def could_overlap(self, rebound: Container[ArrayInput]) -> list[tuple[ArrayInput, ArrayInput]]:
        """Each array that another call may exchange, with each input that is written to, or the other way round."""
        others = self._that_can_overlap()
        arrays = [of for of in others if (of.argument is not None or of in rebound) and of.array.ndim]
        others = [of for of in others if of.array.ndim]
        return [(a, b) for a in arrays for b in others if b is not a and (b.written or (a.written and b not in arrays))]

    def _uses(self, of: ArrayInput) -> bool:
        """Whether the step reads or writes it, or gives it out."""
        given_out = [*tree.leaves(self.result), *(node for _, node in self.gradients)]
        read = not self.calls or any(of.node in call.inputs() for call in self.calls)
        return of.written or read or any(of.node in (x, getattr(x, "node", None)) for x in given_out)

    def forget(self, nodes: Iterable[Node]) -> None:
        """Let the arrays of the recorded call go; what stays has their layout."""
        kept = set(nodes)
        for node in kept:
            node.sample = abstract_like(node.sample)
        self.inputs = [of for of in self.inputs if of.node in kept]
        for of in self.inputs:
            if of.argument is not None or of.kind == "grad":
                of.array = abstract_like(of.array)
        outlines = IdentityTable((x, _outline(x)) for _, x in self.arguments)  # the same array is still the same
        self.arguments = [(path, outlines[x]) for path, x in self.arguments]
        self._at.clear()
        self.calls = []
        self.outcome = None
        self.captured.forget()

    # -- another call

    def takes(self, arguments: Sequence[tuple[str, Any]]) -> bool:
        """Whether these are of the kinds that were recorded: data where there was data, under the same paths."""
        return len(arguments) == len(self.arguments) and all(
            path == other and (type(x) is Tensor, _is_data(x)) == (type(y) is Tensor, _is_data(y))
            for (path, x), (other, y) in zip(arguments, self.arguments, strict=True)
        )

    def rebound(self) -> list[ArrayInput] | None:
        """The inputs that are other arrays now; None if what is captured has changed, or an array's layout."""
        if not self.captured.same():
            return None
        found = [of for of in self.inputs if of.now() is not of.array]
        for of in found:
            now = of.now()
            if type(now) is not np.ndarray or (now.shape, now.strides) != (of.array.shape, of.array.strides):
                return None
            if now.dtype != of.array.dtype:
                return None
            of.array = now
        return found


def _outline(x: Any) -> Any:
    if type(x) is Tensor:
        return Tensor(abstract_like(x._value), x.tracked)
    return abstract_like(x) if _is_data(x) else x


# --- where two recordings differ -------------------------------------------------------------------------------------


def difference(a: Sequence[Node], b: Sequence[Node]) -> tuple[Node, str] | None:
    """Where two recordings first differ, and in what."""
    at = {node: i for nodes in (a, b) for i, node in enumerate(nodes)}
    for x, y in zip(a, b, strict=False):
        if x.input is not None and y.input is not None:
            if not _same_input(x.input, y.input):
                return y, "it reads another array than the one that was recorded"
        elif x.func != y.func or _layout(x.sample) != _layout(y.sample):
            return y, f"{x.name} when it was recorded, {y.name} now"
        else:
            mine, other = ([at[v] if isinstance(v, Node) else v for v in leaves((n.args, n.kwargs))] for n in (x, y))
            if len(mine) != len(other):
                return y, f"{y.name} gets other arguments"
            for v, w in zip(mine, other, strict=True):
                if not _same_constant(v, w) and getattr(v, "key", v) is not getattr(w, "key", w):
                    return y, f"{y.name} got {v!r} when it was recorded, {w!r} now"
    if len(a) != len(b):
        return max(a, b, key=len)[min(len(a), len(b))], "it makes more calls the one time than the other"
    return None


def _same_constant(a: Any, b: Any) -> bool:
    both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return same_bits(a, b) if both else same_value(a, b)


def _layout(sample: Any) -> Any:
    several = isinstance(sample, (tuple, list))
    return [_layout(x) for x in sample] if several else (sample.shape, sample.dtype)


def _same_input(a: ArrayInput, b: ArrayInput) -> bool:
    if (a.kind, a.argument) != (b.kind, b.argument) or a.tensor is not b.tensor:
        return False
    if a.kind in ("array", "captured") and a.array is not b.array:
        same_type = a.array.dtype == b.array.dtype
        return same_type and np.array_equal(a.array, b.array, equal_nan=a.array.dtype.kind == "f")
    return True
