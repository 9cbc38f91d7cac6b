"""A step is recorded by running it once, on tracers that compute and take notes.

Arguments that are arrays are replaced by a `Tracer`, and the trace answers with one for the value of every tensor that
the step meets.  Ordinary code (layers, losses, derivative rules, optimisers) then runs as ever, and each NumPy function
that it calls leaves a `Node`.  So nothing in this package knows a derivative, a layer or an update rule.

The run computes with real values, and nothing of the user's is exchanged meanwhile: tensors, arrays and settings are as
they were until `commit` does to them what the step did to their tracers.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.away import Away
from tinygrad_nn.compiler.decompositions import DECOMPOSITIONS, NoDecomposition, decomposed
from tinygrad_nn.compiler.homes import FirstGradient, Setting, bits_of, put_back, saved
from tinygrad_nn.compiler.identity import IdentityTable
from tinygrad_nn.compiler.ir import (
    ArrayInput,
    Node,
    cast,
    code_line,
    item,
    leaves,
    line_outside,
    look_up,
    map_leaves,
    refuse_nan,
    same_bits,
    tensor_of,
    without_history,
)
from tinygrad_nn.compiler.memory_plan import may_raise
from tinygrad_nn.compiler.tracers import ScalarTracer, Tracer, is_array
from tinygrad_nn.errors import CompileError, label
from tinygrad_nn.modes import MODE, Interpreter, interpreted_by
from tinygrad_nn.mutation import clock
from tinygrad_nn.operation import DRAWN_BY, Op
from tinygrad_nn.tensor import Tensor

__all__ = ["Trace", "drawing", "draws"]

_COMPARED = 1 << 24  # bytes up to which an array is looked at again, to see that only tracers change it
# What these return depends on shapes and dtypes only.
_ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.zeros_like, np.ones_like,
                 np.empty_like, np.may_share_memory, np.shares_memory, np.can_cast, np.common_type}  # fmt: skip
_SHAPE_FROM_VALUES = {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.trim_zeros,
                      np.bincount, np.union1d, np.intersect1d, np.setdiff1d, np.histogram, np.delete, np.setxor1d,
                      np.ndarray.nonzero, np.ndarray.compress}  # fmt: skip
_IN_PLACE = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}
_IN_PLACE |= {getattr(np.ndarray, name) for name in ("fill", "sort", "put", "partition", "resize", "setfield")}
_MISTAKES = (ValueError, TypeError, IndexError, OverflowError)  # of a call: NumPy's function itself raises them, too
_VARYING = ("lr", "momentum", "betas")  # what schedules set: looked up at each replay; other settings are compared


class Trace(Interpreter):
    """One recorded run: its `nodes` in order, its `inputs`, `effects`, calls made for what they do, and `checks`.

    `captured` is told which modules run and which settings are read; `generators` are those that operations drew from.
    `refused` is the first error that says why the step cannot be replayed.
    """

    def __init__(self, arguments: IdentityTable, captured: Any) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[ArrayInput] = []
        self.effects: list[Node] = []
        self.checks: list[Node] = []
        self.abandoned: set[Node] = set()  # calls that are not needed for the errors that they may raise
        self.shared: list[tuple[ArrayInput, ArrayInput]] = []  # values of tensors that are an input already
        self.stand_ins = IdentityTable()  # of tensors
        self.generators = IdentityTable()  # bit generators, with first and latest state
        self.gradients_read: dict[int, ArrayInput] = {}  # those that tensors had before (or None), by index
        self.start = next(clock)
        self.refused: CompileError | None = None
        self.made: list[weakref.ref[Tracer]] = []
        self.closed = False  # tracers that live longer behave as the arrays that they stood for
        self.captured = captured
        for name, rng in captured.generators:
            self.check_generator(rng, name)
        self._arguments = arguments
        self._entered = IdentityTable()  # the groups of settings that were read
        self._numbers: list[tuple[ScalarTracer, Setting]] = []
        self._same: dict[Any, Node] = {}
        self._tracers = IdentityTable()  # of arrays
        self._copies = IdentityTable()
        self._gradients_before = IdentityTable()  # of tensors whose new one is published already
        self._inside = False  # whether the forward function of an operation is running
        self._raised: list[str] = []  # errors that values decided about, which the step may catch
        self._thread = threading.get_ident()
        self._constants = IdentityTable()
        self._given_as_settings: list[np.ndarray] = []
        self.copied: list[np.ndarray] = []  # those of them that were not followed

    # -- refusals

    def refuse(self, what: str, hint: str) -> CompileError:
        """The error for something that a replay could not repeat.

        The first one is raised when the run has ended: until then the step goes on with the values of this call.
        """
        error = CompileError(f"{what} ({code_line(line_outside())}): {hint}")
        if self._inside:
            raise error
        self.refused = self.refused or error
        return error

    def is_over(self) -> bool:
        """Whether tracers act as the arrays that they stand for: afterwards, and in other threads than the step's."""
        if self.closed or threading.get_ident() == self._thread:
            return self.closed
        self.refused = self.refused or CompileError(
            f"the step works in another thread ({code_line(line_outside())}), and a replay would not: do that outside "
            "of the step, or mark it with tn.at_each_replay"
        )
        return True

    # -- what an interpreter is asked

    def tensor(self, tensor: Tensor) -> Tensor:
        """What stands for a tensor."""
        if isinstance(tensor._value, Tracer) or self.is_over():
            return tensor
        found = self.stand_ins.get(tensor)
        if found is None:
            if tensor.op is not None and tensor.tracked and tensor.index < self.start:
                raise self.refuse(
                    f"{label(tensor, 'a tensor')} of shape {tensor.shape} was computed before the step, from tensors "
                    "that require a gradient",
                    "compute it inside the step, or detach() it",
                )
            found = self.stand_ins[tensor] = self._stand_in(tensor)
        return found

    def _stand_in(self, tensor: Tensor) -> Tensor:
        if isinstance(tensor._value, np.generic):
            tensor._value = np.asarray(tensor._value)  # as `tensor.data` does: a NumPy scalar has no memory
        if type(tensor._value) is Away:
            tensor._value.taken()
        number = self._arguments.get(tensor)
        value = self.tracer(tensor._value, ArrayInput(tensor._value, "value", tensor=tensor, argument=number))
        stand_in = Tensor(value, tensor.tracked, tensor.name)
        stand_in.index = tensor.index
        stand_in._grad = FirstGradient(self, tensor, number)
        return stand_in

    def operand(self, x: Any, name: str = "") -> Any:
        """What the step sees of an operand."""
        if self.is_over():
            return self.untraced(x)
        if isinstance(x, Tensor):
            return self.tensor(x)
        if not is_array(x):
            return x
        tracer = self.tracer(x)
        if name and tracer.of is not None:
            tracer.of.name = name
        return tracer

    def value(self, x: Any) -> Any:
        """What the step sees of an array, or of a tensor's value."""
        return self.operand(x)._value if isinstance(x, Tensor) else self.operand(x)

    def settings(self, group: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """The settings of an optimiser: what schedules set is looked up at each replay, others are compared."""
        if self.is_over():
            return group
        seen = dict(group)
        for key in _VARYING:
            value = group.get(key)
            if type(value) is float and value:  # of 0, a rule leaves something out
                seen[key] = self.number(Setting(group, key))
            elif type(value) is tuple and all(type(x) is float for x in value):
                seen[key] = tuple([self.number(Setting(group, key, i)) for i in range(len(value))])
        if group not in self._entered:
            self._entered[group] = True
            numbers = [key for key in group if key not in ("params", "initial_lr")]
            self.captured.add_settings(group, [key for key in numbers if seen[key] is group[key]], numbers, optimizer)
        return seen

    def entered(self, module: Any) -> None:
        """A module runs: its attributes are compared before each replay."""
        if not self.is_over():
            self.captured.add_module(module)

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """An operation: as the NumPy calls of its forward function, or, where that looks at values, as a whole."""
        if self.is_over():
            return op.forward(*map_leaves(values, self.untraced), **map_leaves(params, self.untraced))
        values = [self.tracer(v) if is_array(v) else v for v in values]
        params = map_leaves(params, self._constant)
        if not any(isinstance(v, Tracer) for v in leaves((values, params))):
            return op.forward(*values, **params)
        of_shapes: Any = ()
        if not draws(params) and not self._inside:
            result, of_shapes = self._in_parts(op, values, params)
            if result is not None:
                return result
        raised = len(self._raised)
        try:
            return self.call(op.forward, tuple(values), params, op.name)
        except of_shapes:  # no value decides about it
            del self._raised[raised:]
            raise

    def _constant(self, x: Any) -> Any:
        """A setting that is an array as one that nobody changes: the array itself is compared before each replay."""
        if not is_array(x) or x in self._constants:
            return x
        self.copied.append(x)
        x = x.copy()
        self._constants[x] = True
        return x

    def _in_parts(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> tuple[Any, Any]:
        """An operation as the NumPy calls of its forward function; None, and nothing noted, where it looks at values.

        And the kinds of error that shapes alone have made.
        """
        of_shapes: Any = ()
        nodes, checks, raised = len(self.nodes), len(self.checks), len(self._raised)
        self._inside = True
        try:
            result = op.forward(*values, **params)
            if len(self._raised) == raised:  # else it has caught an error, which is a choice as well
                return result, of_shapes
        except ValueError as error:
            of_shapes = () if len(self._raised) > raised else type(error)
        except Exception:  # it asks more of an array than a tracer can answer
            pass
        finally:
            self._inside = False
        del self._raised[raised:], self.checks[checks:]
        self.abandoned.update(self.nodes[nodes:])  # a view may have come to stand for one of them, all the same
        self._same = {key: node for key, node in self._same.items() if node.index < nodes}
        return None, of_shapes

    def setting(self, given: Any, copied: bool = False) -> None:
        """What an operation is given, operands among it: it may make numbers and copies of arrays, or has `copied`."""
        if MODE.get().interpreter is self and not self.is_over():
            arrays = [x for x in leaves(given) if is_array(x)]
            self._given_as_settings += arrays
            self.copied += arrays * copied

    def note_settings(self) -> None:
        """Arrays that the step has used, and that did not take part as they are, are compared before each replay."""
        unfollowed = [array for array in self._given_as_settings if array not in self._tracers]
        named = [] if self.effects else [array for array in self.captured.named_arrays() if array not in self._tracers]
        for array in (*self.copied, *unfollowed, *named):
            self.captured.add_array(array)

    def effect(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
        """Call this now, and at each replay at this point of the program; numbers may be others afterwards."""
        if self.is_over():
            args, kwargs = map_leaves((args, kwargs), self.untraced)
            function(*args, **kwargs)
            return

        def noted(func: Callable, *args: Any, **kwargs: Any) -> Node:
            return self._append(Node(func, args, kwargs, np.zeros(()), func.__name__, pure=False))

        def given(x: Any) -> Any:
            if isinstance(x, Tensor):
                return noted(tensor_of, self.value(x).node, x.name)
            return noted(np.array, x.node) if isinstance(x, Tracer) else x

        def real(x: Any) -> Any:
            if isinstance(x, Tensor):
                return tensor_of(self.real(self.value(x).node), x.name)
            return np.array(self.real(x.node)) if isinstance(x, Tracer) else x

        args_now, kwargs_now = map_leaves((args, kwargs), real)
        args, kwargs = map_leaves((args, kwargs), given)
        self.effects.append(noted(function, *args, **kwargs))
        changed_before = self.captured.changed({id(of.array) for of in self.inputs})
        self.settle()
        self.publish()
        with interpreted_by(None):
            function(*args_now, **kwargs_now)
        if not changed_before:
            self.captured.renew()
        for number, setting in self._numbers:
            number.stand_for(self.looked_up(setting, float))

    # -- arrays and numbers from outside

    def tracer(self, array: Any, of: ArrayInput | None = None, scalar: bool = False) -> Tracer:
        """The tracer of an array, one for each array; or of a NumPy scalar."""
        found = self._tracers.get(array)
        if found is not None and of is not None and of.tensor is not None and found.of is not None:
            self.shared.append((of, found.of))
        if found is None:
            number = self._arguments.get(array)
            of = of or ArrayInput(array, "array" if number is None else "argument", argument=number)
            found = self._tracers[array] = self.tracer_of(of, scalar)
            if of.kind == "array" and array.nbytes <= _COMPARED:
                self._copies[array] = array.copy()
        return found

    def tracer_of(self, of: ArrayInput, scalar: bool = False) -> Tracer:
        """A tracer for an input."""
        if of.kind == "grad" and not is_array(of.array):
            raise self.refuse(
                f"a gradient is a {type(of.array).__name__}, and a replay needs an array", "assign an array to .grad"
            )
        self.inputs.append(of)
        of.node = self._append(Node(None, (), {}, of.array, "input", of=of))
        of.node.scalar = scalar
        of.tracer = Tracer(self, of.node, of=of)
        return of.tracer

    def number(self, setting: Setting) -> ScalarTracer:
        """The tracer of a number that is looked up at each replay."""
        number = ScalarTracer(self, self.looked_up(setting, float))
        self._numbers.append((number, setting))
        return number

    def looked_up(self, setting: Setting, dtype: Any) -> Node:
        """The number that is found in settings, in a dtype; looked up again after each effect."""
        key = len(self.effects), id(setting.holder), setting.key, setting.index, np.dtype(dtype)
        if key not in self._same:
            sample = np.array(setting.now(), dtype)
            self._same[key] = self._append(Node(look_up, (setting,), {}, sample, "look_up", pure=False))
        return self._same[key]

    # -- calls

    def call(self, func: Callable, args: tuple, kwargs: dict[str, Any], name: str = "") -> Any:
        """Call a NumPy function, or another one without side effects, and note it down."""
        if self.is_over():
            args, kwargs = map_leaves((args, kwargs), self.untraced)
            return func(*args, **kwargs)
        if func in _ABOUT_SHAPES:
            args, kwargs = map_leaves((args, kwargs), lambda x: x.node.sample if isinstance(x, Tracer) else x)
            return func(*args, **kwargs)
        name = name or getattr(func, "__name__", "call")
        if func in _SHAPE_FROM_VALUES or (func is np.where and len(args) == 1):
            self.refuse(f"np.{name}", "the shape of its result depends on values; tn.where keeps the shape")
        if func in _IN_PLACE or name == "at":
            raise self.refuse(
                f"{name}, which works in place", "assign to x[...], or use a function that returns its result"
            )
        if func in DECOMPOSITIONS:
            raised = len(self._raised)
            with contextlib.suppress(NoDecomposition, *_MISTAKES):  # else recorded as it is
                result = decomposed(func, args, kwargs)
                if self._is_what_numpy_gives(result, func, args, kwargs):
                    return result
            del self._raised[raised:]
        tracers = [x for x in leaves((args, kwargs)) if isinstance(x, Tracer)]
        args, kwargs = map_leaves((args, kwargs), self._node_of)
        return self._given(self.record(func, args, kwargs, name), tracers)

    def _is_what_numpy_gives(self, result: Any, func: Callable, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether a decomposition is right, so that an oversight in it costs time and not digits."""
        args, kwargs = map_leaves((args, kwargs), self.untraced)
        try:
            wanted = func(*args, **kwargs)
        except Exception:  # which is raised when the function itself is recorded
            return False
        return same_bits(np.asarray(self.untraced(result)), np.asarray(wanted))

    def _node_of(self, x: Any) -> Any:
        x = self.tracer(x) if is_array(x) and x not in self._constants else x
        return x.node if isinstance(x, Tracer) else x

    def _given(self, node: Node, tracers: Sequence[Tracer] = ()) -> Any:
        """What the caller gets to see of a node."""
        if isinstance(node.sample, (tuple, list)):
            parts = [self._given(self.record(item, (node, i), {}, "item")) for i in range(len(node.sample))]
            kind = type(node.sample)
            return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
        view_of = next((x for x in tracers if x.node is node.base), None) if node.base is not None else None
        return Tracer(self, node, view_of)

    def record(self, func: Any, args: tuple, kwargs: dict[str, Any], name: str) -> Node:
        """The node of this call: the one that is there already, if the same has been computed before."""
        drawing = draws((args, kwargs))
        try:
            key = None if drawing else (func, _key(args), _key(kwargs))
            if key in self._same:
                return self._same[key]
        except TypeError:  # not hashable
            key = None
        sample = self._computed(func, args, kwargs)
        if not isinstance(sample, (np.ndarray, np.generic, tuple, list)):
            raise self.refuse(
                f"{name} gives a {type(sample).__name__} here, which is no array",
                "a replay could not repeat it; use the tensor functions",
            )
        node = Node(func, args, kwargs, sample, name, pure=not drawing)
        node.scalar = node.scalar or (func is cast and args[0].scalar)
        for x in node.inputs():
            if x.sample is sample:
                return x
            if isinstance(sample, np.ndarray) and isinstance(x.sample, np.ndarray):
                node.base = x if np.may_share_memory(sample, x.sample) else node.base
        if key is not None:
            self._same[key] = node
        return self._append(node)

    def _computed(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        drawn_from = []
        for x in leaves((args, kwargs)):
            if isinstance(x, np.random.Generator):
                drawn_from.append(x)
                self.check_generator(x, "a Generator")
        real_args, real_kwargs = map_leaves((args, kwargs), lambda x: x.sample if isinstance(x, Node) else x)
        try:
            with interpreted_by(None):
                result = (drawing(func) if drawn_from else func)(*real_args, **real_kwargs)
        except Exception as error:
            if may_raise(func, args) or isinstance(error, FloatingPointError):
                what = getattr(func, "__name__", "a call").lstrip("_")
                self._raised.append(f"{what} raises a {type(error).__name__} here ({code_line(line_outside())})")
            raise
        for x in drawn_from:
            bits = bits_of(x)
            self.generators[bits] = self.generators[bits][0], saved(bits)
        return result

    def check_generator(self, rng: np.random.Generator | np.random.RandomState, name: str) -> None:
        """Refuse if NumPy has drawn from a generator since an operation did, or since it was first seen."""
        bits = bits_of(rng)
        state = saved(bits)
        if self.generators.setdefault(bits, (state, state))[1] != state:
            self.refused = self.refused or CompileError(
                f"the step draws random numbers from {name}{self.captured.line_that_names(name)}, and a replay would "
                "use the same ones again: draw before the step, and pass them as an argument"
            )

    def real(self, node: Node) -> Any:
        """The value of a node in this call."""
        sample = node.sample
        return sample[()] if node.scalar else sample

    def has_nan(self, node: Node) -> bool:
        """Whether there is a NaN in it now; if not, a replay that finds one stops and gives way to another program.

        Effects would be there already when it stops, so behind these the answer is that there may always be one.
        """
        if self.effects or bool(np.isnan(node.sample).any()):
            return True
        self.checks.append(self._append(Node(refuse_nan, (node,), {}, np.zeros(()), "refuse_nan", pure=False)))
        return False

    def _append(self, node: Node) -> Node:
        node.index = len(self.nodes)
        self.nodes.append(node)
        return node

    # -- NumPy writing into real arrays

    def before_writing(self, array: Any) -> Any:
        """What a part of an array keeps that is not written to: one that the step makes is the same at each replay."""
        known = isinstance(array, Tracer) or array in self._arguments or self.captured.names(array)
        return array if known else array.copy()

    def write_through(self, array: np.ndarray, value: Any) -> None:
        """NumPy writes into an array of the user's: noted, and carried out, as NumPy may read it again."""
        tracer = self.tracer(array)
        tracer.write(value)
        assert tracer.of is not None
        if tracer.of.node.sample is array:
            tracer.of.node.sample = array.copy()
        np.copyto(array, self.real(tracer.node))
        if array in self._copies:
            self._copies[array] = array.copy()

    def check_what_was_seen(self) -> None:
        """Refuse if NumPy has written into an array that took part, or drawn from a generator, and no tracer saw it."""
        for name, rng in self.captured.generators:
            self.check_generator(rng, name)
        for of in self.inputs:
            copy = self._copies.get(of.array)
            if copy is not None and not np.array_equal(of.array, copy, equal_nan=copy.dtype.kind == "f"):
                self.refuse(
                    f"an array of shape {copy.shape} is changed by NumPy while it takes part in the step",
                    "make a new array instead, or keep what changes in a tensor",
                )

    def check_errors_caught(self) -> None:
        """Refuse if the step has gone on after an error that the values of this call decided about."""
        if self._raised:
            self.refused = self.refused or CompileError(
                f"the step catches an error: {self._raised[0]}, and a replay could not choose anew: write a choice "
                "with tn.where, or keep this line out of tn.compile"
            )

    # -- the end

    def settle(self) -> None:
        """Tensors whose `data` was assigned: the value goes to the memory that they have."""
        tracers = [(self._tracers[tensor._value], stand_in._value) for tensor, stand_in in self.stand_ins.items()]
        assigned = [(tracer, value.copy()) for tracer, value in tracers if value is not tracer]
        for tracer, value in assigned:
            tracer.write(value)

    def handed_over(self, x: Any) -> Any:
        """A real value for one that the step has put somewhere."""
        if isinstance(x, Tracer):
            return np.array(self.real(x.node))[()]
        if type(x) is Tensor and isinstance(x._value, Tracer):
            real = without_history(np.array(self.real(x._value.node)), x.name)
            x._value, x.op, x.inputs, x.params, x.slots = real._value, None, (), None, ()
            if x.tracked:
                x.op, x.inputs, x.slots = real.op, real.inputs, real.slots
        return x

    def commit(self) -> None:
        """Do to the real tensors and arrays what the step did to their tracers."""
        gradients = [  # they may be views of what is about to be written
            (tensor, None if stand_in._grad is None else np.array(self.handed_over(stand_in._grad)))
            for tensor, stand_in in self.stand_ins.items()
            if self.gives_gradient(stand_in)
        ]
        final = [(of, np.array(self.real(of.tracer.node))) for of in self.inputs if of.written]
        for of, value in final:
            np.copyto(of.array, value)
            if of.kind == "value" and of.tensor is not None:
                of.tensor.changed()
        for tensor, gradient in gradients:
            tensor._grad = gradient
        for tensor, stand_in in self.stand_ins.items():
            if tensor.tracked is not stand_in.tracked:
                tensor._frozen, tensor.tracked = tensor.tracked, stand_in.tracked

    def publish(self) -> None:
        """Let what is called for what it does see tensors as the step has left them so far."""
        for of in self.inputs:
            if of.written and of.tracer.node is not of.node:
                value = np.array(self.real(of.tracer.node))
                self._keep(of)  # further calls read the first value, and views of it
                np.copyto(of.array, value)
                if of.array in self._copies:
                    self._copies[of.array] = of.array.copy()
        for tensor, stand_in in self.stand_ins.items():
            if self.gives_gradient(stand_in):
                self._gradients_before.setdefault(tensor, tensor._grad)
                tensor._grad = None if stand_in._grad is None else np.array(self.real(self.value(stand_in._grad).node))

    def _keep(self, of: ArrayInput) -> None:
        """Let the first value of an input be another array than that which is about to be written to."""
        if of.node.sample is of.array:
            of.node.sample = of.array.copy()
            for node in self.nodes:
                if node.base is not None and node.root() is of.node:
                    node.sample = np.array(node.sample)

    def keep_inputs(self) -> None:
        """Let the recorded calls keep all values that they began with, whatever is written when they end."""
        for of in self.inputs:
            if of.written:
                self._keep(of)

    def gives_gradient(self, stand_in: Tensor) -> bool:
        """Whether the step leaves a tensor with another gradient than it had."""
        grad = stand_in._grad
        if grad is None:
            first = self.gradients_read.get(stand_in.index)
            return first is None or first.array is not None
        if isinstance(grad, Tracer):  # one that was changed in place is written to
            return grad.of is None or grad.of is not self.gradients_read.get(stand_in.index)
        return not isinstance(grad, FirstGradient)

    def undo(self) -> None:
        """Put back what a run that was broken off has changed already: arrays that NumPy wrote to, and generators."""
        for of in self.inputs:
            if of.node.sample is not of.array and isinstance(of.array, np.ndarray):
                np.copyto(of.array, of.node.sample)
        for bits, (state, _) in self.generators.items():
            put_back(bits, state)
        for tensor, grad in self._gradients_before.items():
            tensor._grad = grad

    def untraced(self, x: Any) -> Any:
        """The value of this call."""
        return self.real(x.node) if isinstance(x, Tracer) else x

    def close(self) -> None:
        """The recording is over: the tracers go, and with them the arrays."""
        for ref in self.made:
            with contextlib.suppress(Exception):  # it may be gone
                ref().node  # type: ignore[union-attr]  # noqa: B018  a view takes the value that it has now
        for of in self.inputs:
            of.tracer = None
        for container in (self._tracers, self._same, self._numbers, self._copies, self.stand_ins):
            container.clear()
        self.closed = True

    def kept(self) -> str:
        """Why the step cannot be replayed, if something has kept a value that it has computed; '' otherwise."""
        if any(ref() is not None for ref in self.made):
            gc.collect()
        for ref in self.made:
            tracer = ref()
            if tracer is not None:
                return (
                    f"the step keeps a value that it computes ({code_line(tracer.node.line)}) in an object, where a "
                    "replay would not change it: return it, or mark what keeps it with tn.at_each_replay"
                )
        return ""


def _key(args: Any) -> Any:
    """What makes two calls the same."""
    if isinstance(args, (tuple, list)):
        return type(args), *map(_key, args)
    if isinstance(args, dict):
        return tuple((k, _key(x)) for k, x in args.items())
    if isinstance(args, slice):
        return slice, _key(args.start), _key(args.stop), _key(args.step)
    if isinstance(args, (float, np.floating)) and not isinstance(args, Tracer):
        return type(args), float(args).hex()  # -0.0 is not 0.0, and NaN is NaN
    return type(args), args


def draws(args: Any) -> bool:
    """Does it draw random numbers?  Then every call is another one."""
    return any(isinstance(x, np.random.Generator) for x in leaves(args))


def drawing(func: Callable) -> Callable:
    """A function that is given Generators, with what an engine exchanges them for."""

    def drawn(*args: Any, **kwargs: Any) -> Any:
        by = DRAWN_BY.get()
        args, kwargs = (args, kwargs) if by is None else by((args, kwargs))
        return func(*args, **kwargs)

    return drawn
