"""NumPy calls become nodes: a recording computes each of them, and keeps what it was called with."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.compiler.decompositions import DECOMPOSITIONS, NoDecomposition, decomposed
from tinygrad_nn.compiler.homes import Setting, bits_of, saved
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
)
from tinygrad_nn.compiler.memory_plan import may_raise
from tinygrad_nn.compiler.tracers import ScalarTracer, Tracer, is_array
from tinygrad_nn.errors import CompileError
from tinygrad_nn.modes import Interpreter, interpreted_by
from tinygrad_nn.operation import DRAWN_BY

__all__ = ["Recording", "drawing", "draws"]

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


class Recording(Interpreter):
    """The calls of one run: its `nodes` in order, its `inputs`, `effects`, calls made for what they do, and `checks`.

    `generators` are those that operations drew from.  `refused` is the first error that says why the calls cannot be
    repeated.
    """

    def __init__(self, arguments: IdentityTable, captured: Any) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[ArrayInput] = []
        self.effects: list[Node] = []
        self.checks: list[Node] = []
        self.shared: list[tuple[ArrayInput, ArrayInput]] = []  # values of tensors that are an input already
        self.generators = IdentityTable()  # bit generators, with first and latest state
        self.refused: CompileError | None = None
        self.made: list[weakref.ref[Tracer]] = []
        self.closed = False  # tracers that live longer behave as the arrays that they stood for
        self.captured = captured
        self._arguments = arguments
        self._numbers: list[tuple[ScalarTracer, Setting]] = []
        self._same: dict[Any, Node] = {}
        self._tracers = IdentityTable()  # of arrays
        self._copies = IdentityTable()
        self._inside = False  # whether the forward function of an operation is running
        self._raised: list[str] = []  # errors that values decided about, which the step may catch
        self._thread = threading.get_ident()
        self._constants = IdentityTable()
        for name, rng in captured.generators:
            self.check_generator(rng, name)

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

    def untraced(self, x: Any) -> Any:
        """The value of this call."""
        return self.real(x.node) if isinstance(x, Tracer) else x

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
