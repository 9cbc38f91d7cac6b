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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.away import Away
from tinygrad_nn.compiler.homes import FirstGradient, Setting, put_back
from tinygrad_nn.compiler.identity import IdentityTable
from tinygrad_nn.compiler.ir import ArrayInput, Node, code_line, leaves, map_leaves, tensor_of, without_history
from tinygrad_nn.compiler.recording import Recording, draws
from tinygrad_nn.compiler.tracers import Tracer, is_array
from tinygrad_nn.errors import CompileError, label
from tinygrad_nn.modes import MODE, interpreted_by
from tinygrad_nn.mutation import clock
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor

__all__ = ["Trace"]

_VARYING = ("lr", "momentum", "betas")  # what schedules set: looked up at each replay; other settings are compared


class Trace(Recording):
    """One recorded run: what the step sees of tensors, arrays and settings, and what it leaves of them.

    `captured` is told which modules run and which settings are read.
    """

    def __init__(self, arguments: IdentityTable, captured: Any) -> None:
        super().__init__(arguments, captured)
        self.abandoned: set[Node] = set()  # calls that are not needed for the errors that they may raise
        self.stand_ins = IdentityTable()  # of tensors
        self.gradients_read: dict[int, ArrayInput] = {}  # those that tensors had before (or None), by index
        self.start = next(clock)
        self.copied: list[np.ndarray] = []  # arrays given as settings that were not followed
        self._entered = IdentityTable()  # the groups of settings that were read
        self._gradients_before = IdentityTable()  # of tensors whose new one is published already
        self._given_as_settings: list[np.ndarray] = []

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
