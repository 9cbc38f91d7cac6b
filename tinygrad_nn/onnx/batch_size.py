"""What follows the number of examples: recordings at several batch sizes are compared, and numbers become formulas."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.errors import ExportError
from tinygrad_nn.exact_zeros import probe_numbers
from tinygrad_nn.onnx.recording import Constant, Number, Recording, Ref, Step

__all__ = ["Dim", "Pattern", "Power", "Repeated", "at", "merged"]


@dataclass(frozen=True)
class Dim:
    """A whole number that follows the batch size N: scale·N + offset, rounded down."""

    scale: Fraction
    offset: Fraction

    def at(self, n: int) -> int:
        """The number at this batch size."""
        return math.floor(self.scale * n + self.offset)


@dataclass(frozen=True)
class Power:
    """A number that follows N: factor · (scale·N + offset)^exponent, as 1/N and √N do."""

    base: Dim
    exponent: float
    factor: float = 1.0

    def at(self, n: int) -> float:
        """The number at this batch size."""
        return self.factor * float(self.base.scale * n + self.base.offset) ** self.exponent


@dataclass(frozen=True)
class Pattern:
    """An array whose shape follows N, with elements start + Σ stepₖ·iₖ."""

    shape: tuple[Any, ...]
    start: Any
    steps: tuple[Any, ...]
    dtype: np.dtype

    def at(self, n: int) -> np.ndarray:
        """The array at this batch size."""
        shape = tuple(at(d, n) for d in self.shape)
        y = np.full(shape, at(self.start, n), self.dtype)
        for axis, step in enumerate(self.steps):
            places = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
            y = y + (places * at(step, n)).astype(self.dtype)
        return y.astype(self.dtype)


@dataclass(frozen=True)
class Repeated:
    """An array whose shape follows N, filled with one sequence of numbers again and again, as `np.resize` does."""

    shape: tuple[Any, ...]
    numbers: np.ndarray


def at(x: Any, n: int) -> Any:
    """A number or array at a batch size."""
    return x.at(n) if isinstance(x, (Dim, Power, Pattern)) else x


class _Unlike(Exception):  # noqa: N818  caught where it is known which step it is
    """Parts of recordings that no formula makes equal."""


def merged(recordings: Sequence[Recording], sizes: Sequence[int]) -> Recording:
    """One recording for all batch sizes, of those at some of them; ExportError where there is none.

    Of equal sizes, the recordings must be equal.
    """
    first = recordings[0]
    _same_course(recordings, sizes)
    shapes = [_symbolic_shape(list(x), sizes) for x in zip(*(r.shapes for r in recordings), strict=True)]
    result = Recording(first.inputs, called=first.called, shapes=shapes)
    needed = set().union(*(r.needed() for r in recordings))
    for i, steps in enumerate(zip(*(r.steps for r in recordings), strict=True)):
        if Ref("step", i) not in needed:  # such as what the backward pass tries out
            result.steps.append(steps[0])
            continue
        try:
            shape = _merge([s.shape for s in steps], sizes)
            args = tuple(_merge(list(a), sizes) for a in zip(*(s.args for s in steps), strict=True))
            params = _merge([s.params for s in steps], sizes)
        except _Unlike as reason:
            s = steps[0]
            raise ExportError(
                f"step {i + 1}, {s.op.public_name}{f' ({s.line})' if s.line else ''}: {reason}; {_FIXED}"
            ) from None
        result.steps.append(Step(steps[0].op, args, params, shape, steps[0].dtype, steps[0].line))
    for i, constants in enumerate(zip(*(r.constants for r in recordings), strict=True)):
        if Ref("constant", i) not in needed:
            result.constants.append(constants[0])
            continue
        try:
            array = _merge([c.array for c in constants], sizes)
        except _Unlike as reason:
            name, line = constants[0].name, constants[0].line
            what = f"the array {name}" if name else f"a constant array of shape {constants[0].array.shape}"
            raise ExportError(f"{what}, used in {line}: {reason}; {_FIXED}") from None
        result.constants.append(Constant(array, constants[0].name, constants[0].line))
    result.outputs = [
        (name, ref, _symbolic_shape([r.outputs[i][2].shape for r in recordings], sizes))
        for i, (name, ref, _) in enumerate(first.outputs)
    ]
    return result


_FIXED = "batch_axis=None exports the function for the shape of X alone"


def _same_course(recordings: Sequence[Recording], sizes: Sequence[int]) -> None:
    first = recordings[0]
    for r, n in zip(recordings[1:], sizes[1:], strict=True):
        for a, b in itertools.zip_longest(first.steps, r.steps):
            same = a and b and a.op is b.op and a.dtype == b.dtype and len(a.args) == len(b.args)
            if not same or len(a.shape) != len(b.shape):
                raise ExportError(
                    f"what the function does depends on the batch size: {_told(a)} with N = {sizes[0]}, {_told(b)} "
                    f"with N = {n}; {_FIXED}"
                )
        if [(o[0], o[1]) for o in first.outputs] != [(o[0], o[1]) for o in r.outputs] or len(first.constants) != len(
            r.constants
        ):
            raise ExportError(f"what the function returns, or is made of, depends on the batch size; {_FIXED}")


def _told(step: Step | None) -> str:
    if step is None:
        return "nothing more"
    return f"{step.op.public_name} to shape {step.shape}{f' ({step.line})' if step.line else ''}"


def _symbolic_shape(shapes: list[tuple[int, ...]], sizes: Sequence[int]) -> Any:
    try:
        return _merge(shapes, sizes)
    except _Unlike as reason:
        raise ExportError(f"the shape of a result: {reason}; {_FIXED}") from None


def _merge(values: list[Any], sizes: Sequence[int]) -> Any:
    """What gives each of these values at its batch size."""
    first = values[0]
    kinds = {type(v) for v in values}
    if len(kinds) > 1 and not kinds <= {int, np.int64, np.intp}:
        raise _Unlike(f"{_written(first)} with N = {sizes[0]} is {_written(values[-1])} with N = {sizes[-1]}")
    if isinstance(first, Number):
        return Number(_merge([v.value for v in values], sizes))
    if isinstance(first, Ref):
        return _equal(values, sizes)
    if tree.is_plain_or_slice(first):
        return _merge_nodes(values, sizes)
    if isinstance(first, (bool, str, type(None), np.bool_)):
        return _equal(values, sizes)
    if sizes[0] == sizes[1] and not isinstance(first, np.ndarray):
        same = all(v == first or v != v for v in values)
        return first if same else _equal(values, sizes)
    if isinstance(first, (int, np.integer)):
        return first if all(v == first for v in values) else _dim([int(v) for v in values], sizes)
    if isinstance(first, (float, np.floating)):
        return _number([float(v) for v in values], sizes)
    if isinstance(first, np.ndarray):
        return _array(values, sizes)
    return _equal(values, sizes)


def _merge_nodes(values: list[Any], sizes: Sequence[int]) -> Any:
    first = values[0]
    keys = [[key for key, _ in tree.nodes_with_path(v, tree.is_plain_or_slice)] for v in values]
    if any(k != keys[0] for k in keys):
        raise _Unlike(f"{_written(first)} with N = {sizes[0]} is {_written(values[-1])} with N = {sizes[-1]}")
    leaves = [tree.leaves(v, tree.is_plain_or_slice) for v in values]
    return tree.unflatten(first, [_merge(list(x), sizes) for x in zip(*leaves, strict=True)], tree.is_plain_or_slice)


def _equal(values: list[Any], sizes: Sequence[int]) -> Any:
    if any(v is not values[0] and v != values[0] for v in values):
        if sizes[0] == sizes[1]:
            raise _Unlike(f"{_written(values[0])} in one run is {_written(values[-1])} in the next, on the same input")
        raise _Unlike(f"{_written(values[0])} with N = {sizes[0]} is {_written(values[-1])} with N = {sizes[-1]}")
    return values[0]


def _written(x: Any) -> str:
    return f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else f"{x!r:.60}"


def _line(values: Sequence[Any], sizes: Sequence[int]) -> tuple[Fraction, Fraction] | None:
    """Scale and offset of the line through these values, if there is one."""
    scale = Fraction(values[1] - values[0]) / (sizes[1] - sizes[0])
    offset = Fraction(values[0]) - scale * sizes[0]
    return (scale, offset) if all(scale * n + offset == v for v, n in zip(values, sizes, strict=True)) else None


def _dim(values: list[int], sizes: Sequence[int]) -> Dim:
    line = _line(values, sizes)
    if line is None:
        told = ", ".join(f"{v} with N = {n}" for v, n in zip(values, sizes, strict=True))
        raise _Unlike(f"the number {told} does not follow N by a formula a·N + b")
    return Dim(*line)


def _number(values: list[float], sizes: Sequence[int]) -> Any:
    if all(v == values[0] or (v != v and values[0] != values[0]) for v in values):
        return values[0]
    if all(np.isfinite(values)) and all(values):
        for exponent in (1.0, -1.0, 0.5, -0.5):
            powers = [abs(v) ** (1 / exponent) for v in values]
            unit = powers[1] - powers[0]
            offset = powers[0] - unit / (sizes[1] - sizes[0]) * sizes[0]
            scale = unit / (sizes[1] - sizes[0])
            fitted = [scale * n + offset for n in sizes]
            if np.allclose(fitted, powers, rtol=1e-12, atol=0):
                shift = Fraction(offset / scale).limit_denominator(64)
                base = Dim(
                    Fraction(1), shift if abs(float(shift) - offset / scale) < 1e-9 else Fraction(offset / scale)
                )
                factor = math.copysign(abs(scale) ** exponent, values[0])
                found = Power(base, exponent, factor)
                if np.allclose([found.at(n) for n in sizes], values, rtol=1e-12, atol=0):
                    return found
    told = ", ".join(f"{v:.6g} with N = {n}" for v, n in zip(values, sizes, strict=True))
    raise _Unlike(f"the number {told} follows no formula that is known (a·N + b, its reciprocal, its root)")


def _array(values: list[np.ndarray], sizes: Sequence[int]) -> Any:
    first = values[0]
    if any(v.dtype != first.dtype or v.ndim != first.ndim for v in values):
        raise _Unlike("its dtype or its number of axes follows the batch size")
    if all(v.shape == first.shape for v in values):
        if all(v.tobytes() == first.tobytes() for v in values):
            return first
        if not first.ndim and sizes[0] != sizes[1]:
            return _scalar_array(values, sizes)
        when = "from call to call" if sizes[0] == sizes[1] else "with the batch size"
        raise _Unlike(f"its numbers change {when}")
    shape = _merge([v.shape for v in values], sizes)
    probe = probe_numbers().astype(first.dtype) if first.dtype.kind == "f" else None
    if probe is not None and all(np.array_equal(v, np.resize(probe, v.shape)) for v in values):
        return Repeated(tuple(shape), probe)
    pattern = _pattern(values, shape, sizes)
    for n, v in zip(sizes, values, strict=True):
        if not np.array_equal(pattern.at(n), v, equal_nan=v.dtype.kind == "f"):
            raise _Unlike(
                f"an array of shape {v.shape} with N = {n}, whose numbers no formula gives, follows the batch"
            )
    return pattern


def _scalar_array(values: list[np.ndarray], sizes: Sequence[int]) -> Pattern:
    kind = first.dtype if (first := values[0]).dtype.kind != "b" else None
    if kind is None:
        raise _Unlike("a truth value depends on the batch size")
    return Pattern((), _merge([v.item() for v in values], sizes), (), kind)


def _pattern(values: list[np.ndarray], shape: Any, sizes: Sequence[int]) -> Pattern:
    """The element at the front, and how much further each axis leads."""
    first = values[0]
    if first.dtype.kind == "b" and any(v.size and not (v == v.flat[0]).all() for v in values):
        raise _Unlike("a mask whose shape follows the batch size")
    kinds = [v.astype(np.int64) if v.dtype.kind in "iub" else v for v in values]
    if any(not v.size for v in kinds):
        raise _Unlike("an array is empty with some batch sizes")
    start = _merge([v.flat[0].item() for v in kinds], sizes)
    steps = []
    for axis in range(first.ndim):
        one = [(0,) * axis + (1,) + (0,) * (v.ndim - axis - 1) for v in kinds]
        found = [v[i].item() - v.flat[0].item() if v.shape[axis] > 1 else None for v, i in zip(kinds, one, strict=True)]
        known = [(f, n) for f, n in zip(found, sizes, strict=True) if f is not None]
        if not known:
            steps.append(0)
        elif len(known) < len(found):
            raise _Unlike("an axis is 1 long with some batch sizes")
        else:
            steps.append(_merge([0 if f != f else f for f in found], sizes))
    return Pattern(tuple(shape), start, tuple(steps), first.dtype)
