"""Reverse mode and forward mode over recorded operations: the chain rule, once.

A node has `_value`, `op`, `inputs`, `params`, `slots` (the inputs that a gradient flows to), `index` and `tracked`; its
inputs were made before it, so the order of creation is a topological order, and sorting by `index` is all the ordering
there is.

`sweep` is the backward pass as it is taught.  `quick_sweep` computes the same numbers with less work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_nn.anomalies import refuse_non_finite_part
from tinygrad_nn.errors import ShapeError, label, wrong_rule
from tinygrad_nn.modes import MODE, operand
from tinygrad_nn.operation import Op, Traced

__all__ = ["gradients", "history", "pullback", "pushforward", "unbroadcast"]

OnPart = Callable[[Any, int, Any], None]


def history(outputs: Iterable[Any], wanted: Iterable[Any] | None = None) -> list[Any]:
    """All nodes that `outputs` were made from and that a gradient reaches, in order of creation.

    With `wanted`, only those that depend on one of these.
    """
    found: dict[int, Any] = {}
    stack = [node for node in outputs if node.tracked]
    while stack:
        node = stack.pop()
        if node.index not in found:
            found[node.index] = node
            inputs = node.inputs
            for slot in node.slots:
                if inputs[slot].index not in found:
                    stack.append(inputs[slot])
    order = [found[index] for index in sorted(found)]
    if wanted is None:
        return order
    reached = {x.index for x in wanted}
    for node in order:
        if node.index not in reached and any(node.inputs[slot].index in reached for slot in node.slots):
            reached.add(node.index)
    return [node for node in order if node.index in reached]


FEW = 1 << 9  # so many numbers may be summed one by one; of more, NumPy sums sums of parts, and keeps the digits


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum over what broadcasting repeated: the gradient of an input of this shape."""
    if g.ndim == 2 and shape == (g.shape[0], 1) and g.shape[1] <= FEW and g.dtype.char in "fd":
        ones = _ones(g.shape[1], g.dtype)  # BLAS is the quickest to sum rows: every bias takes this way
        if type(g) is np.ndarray:
            return g.dot(ones)
        if not g.tracked:
            return np.matmul(g, ones)
    extra = g.ndim - len(shape)
    if extra < 0:
        return np.broadcast_to(g, shape)
    axes = _repeated(g.shape, shape)
    if axes:  # `np.sum` takes a Python detour that small arrays feel
        g = np.add.reduce(g, axis=axes, keepdims=True) if type(g) is np.ndarray else np.sum(g, axes, keepdims=True)
    if extra:
        g = np.reshape(g, g.shape[extra:])
    return g if g.shape == shape else np.broadcast_to(g, shape)


@lru_cache(maxsize=1000)
def _repeated(long: tuple[int, ...], short: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which broadcasting repeats an array of shape `short` to make one of shape `long`."""
    extra = len(long) - len(short)
    return tuple([i for i, n in enumerate(long) if i < extra or (short[i - extra] == 1 and n != 1)])


@lru_cache(maxsize=1000)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    column = np.ones((n, 1), dtype)
    column.flags.writeable = False
    return column


# --- the backward pass -----------------------------------------------------------------------------------------------


def sweep(
    outputs: Sequence[Any], seeds: Sequence[Any], wanted: Sequence[Any] | None = None, record: bool = False,
    on_part: OnPart | None = None,
) -> dict[Any, Any]:  # fmt: skip
    """The gradients of Σ ⟨seed, output⟩ at the leaves and retained nodes, or at `wanted`: backpropagation.

    From the last operation to the first: when a node's turn comes, everything made from it has sent its part, so its
    gradient is complete.  Its operation's rules turn that into one part for each input.  A part is summed over what
    broadcasting repeated, and parts for the same input are added.

    An operation that selects (where, maximum, relu ...) gives an exact zero to what it did not select.  Behind it
    0 · ∞ and 0 · NaN are 0, through all operations that act on each element by itself.

    With `record`, the rules see the nodes themselves instead of their arrays, and so leave a graph behind.
    `on_part(node, slot, part)` sees every part.
    """
    order = history(outputs, wanted)
    keep = None if wanted is None else set(wanted)
    inside = {node.index for node in order}
    gradients: dict[Any, Any] = {}
    for node, seed in zip(outputs, seeds, strict=True):
        if node.index in inside:
            gradients[node] = gradients[node] + seed if node in gradients else seed
    results: dict[Any, Any] = {}
    behind_choice: set[Any] = set()
    for node in reversed(order):
        g = gradients.pop(node)
        if (node.op is None or node.retain) if keep is None else node in keep:
            results[node] = g
        if node.op is None:
            continue
        node.check_unchanged()
        op, params = node.op, node.params or {}
        y, values = (node, node.inputs) if record else (node._value, [array_of(x) for x in node.inputs])
        exact = node in behind_choice and op.kind in ZEROS_STAY
        for slot in node.slots:
            x = node.inputs[slot]
            if x.index not in inside:
                continue
            part = op.vjps[slot](g, y, *values, **params)
            if exact and op.kind == "elementwise":
                part = exact_zeros(g, part)
            part = fitted(part, node, slot)
            if on_part is not None:
                on_part(node, slot, part)
            gradients[x] = gradients[x] + part if x in gradients else part
            if exact or op.selects:
                behind_choice.add(x)
    return results


ZEROS_STAY = ("elementwise", "linear", "multilinear")  # kinds whose rules pass an exact zero on as one


def exact_zeros(g: Any, part: Any) -> Any:
    """What the branch not taken gets: 0 · ∞ and 0 · NaN are 0 where the zero is exact.

    Only the NaN is replaced: `part` still depends on g, for the next derivative.
    """
    return np.where(np.logical_and(g == 0, np.isnan(part)), 0.0, part)


def fitted(part: Any, node: Any, slot: int) -> Any:
    """What a rule has returned, in the shape and dtype of the input it belongs to."""
    value = node.inputs[slot]._value
    try:
        if part.shape != value.shape:
            part = unbroadcast(part, value.shape)
        return part if part.dtype == value.dtype else part.astype(value.dtype)
    except (AttributeError, ValueError):
        raise wrong_rule(node, slot, part) from None


def array_of(x: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return getattr(x, "_value", x)


def pullback(
    outputs: Sequence[Any], seeds: Sequence[Any], wanted: Sequence[Any] | None = None, record: bool = False,
    on_part: OnPart | None = None,
) -> dict[Any, Any]:  # fmt: skip
    """Vector-Jacobian products, as `sweep` describes them, in the quickest way that serves."""
    mode = MODE.get()
    if on_part is None and mode.anomalies:
        on_part = refuse_non_finite_part
    with np.errstate(all="ignore"):  # an infinite slope is an answer here; `detect_anomaly` is there to ask about it
        if record or on_part is not None or mode.interpreter is not None:  # tracers have no value to look at
            return sweep(outputs, seeds, wanted, record, on_part)
        return quick_sweep(outputs, seeds, wanted)


def quick_sweep(outputs: Sequence[Any], seeds: Sequence[Any], wanted: Sequence[Any] | None = None) -> dict[Any, Any]:
    """What `sweep` computes, on arrays.

    A heap finds the next node without ordering all of them first.  Values are compared with what they were only where
    somebody could have changed them.  Sums of parts that were made here are added to in place.
    """
    inside = keep = None  # all nodes
    if wanted is not None:
        inside, keep = {node.index for node in history(outputs, wanted)}, {node.index for node in wanted}
    # by index: gradient, node, whether the gradient was made here by an addition, whether it comes from behind a choice
    pending: dict[int, list[Any]] = {}
    turns: list[int] = []  # the indices, negative: the youngest is next
    for node, seed in zip(outputs, seeds, strict=True):
        if node.index in pending:
            pending[node.index][0] = pending[node.index][0] + seed
        elif inside is None or node.index in inside:
            pending[node.index] = [seed, node, False, False]
            heappush(turns, -node.index)
    results: dict[Any, Any] = {}
    while turns:
        index = -heappop(turns)
        g, node, _, behind = pending.pop(index)
        op, slots = node.op, node.slots
        if (op is None or node.retain) if keep is None else index in keep:
            results[node] = g
        if inside is not None:
            slots = [slot for slot in slots if node.inputs[slot].index in inside]
        if not slots:
            continue
        y, inputs, params, kind, values = node._value, node.inputs, node.params, type(node), []
        unchanged = node.watch is None
        for x in inputs:
            if type(x) is kind:
                values.append(x._value)
                if x.watch is not None and (x.watch.exposed or x.watch.changed > index):
                    unchanged = False
            else:
                values.append(x)
        if not unchanged:
            node.check_unchanged()
        behind = behind and op.kind in ZEROS_STAY
        for slot in slots:
            rule, x = op.vjps[slot], inputs[slot]
            part = rule(g, y, *values, **params) if params else rule(g, y, *values)
            value = x._value
            if behind and op.kind == "elementwise" and has_nan(part):
                part = exact_zeros(g, part)
            if not (type(part) is SINGLE is type(value) or fits(part, value)):
                part = fitted(part, node, slot)
            entry = pending.get(x.index)
            if entry is None:
                pending[x.index] = [part, x, False, behind or op.selects]
                heappush(turns, -x.index)
                continue
            if entry[2]:
                entry[0] += part
            else:
                entry[0] = entry[0] + part
                entry[2] = True
            if behind or op.selects:
                entry[3] = True
    return results


SINGLE = np.float64  # the type of a single number


def fits(part: Any, value: Any) -> bool:
    """Whether it is an array of the same shape and dtype, seen at a glance."""
    return type(part) is np.ndarray and part.shape == value.shape and part.dtype is value.dtype


def has_nan(part: Any) -> bool:
    """Whether there may be a NaN in it."""
    if type(part) is SINGLE:
        return bool(part != part)
    if type(part) is not np.ndarray:
        return True
    total = np.add.reduce(part, axis=None)
    return bool(total != total)


def copied(g: Any) -> Any:
    """An array of one's own; other kinds of arrays stay what they are."""
    return np.array(g) if isinstance(g, (np.ndarray, np.generic)) and not isinstance(g, Traced) else g.copy()


def gradients(outputs: Any, inputs: Any, grad_outputs: Any = None, create_graph: bool = False) -> list[Any]:
    """Gradients of `outputs` with respect to `inputs`; no `.grad` is touched.

    Parameters
    ----------
    outputs : a recorded tensor, or several, whose gradients are added.
    inputs : a tensor that requires a gradient, or several; intermediate results are welcome.
    grad_outputs : upstream gradient of each output, in its shape; may be left out for single numbers.
    create_graph : record the computation of the gradients, so that they can be differentiated again.

    Returns
    -------
    One gradient for each input, in its shape and dtype: tensors with `create_graph`, else arrays.  An input that no
    output depends on gets zeros.

    Raises
    ------
    ValueError : for an output of several elements without `grad_outputs`, or an input that requires no gradient.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> (slope,) = tn.gradients(x**3, x, create_graph=True)
    >>> slope.item(), tn.gradients(slope, x)[0].item()
    (12.0, 12.0)

    Source: the founding text's "Interlude: The Chain Rule and Nested Dependencies".
    """
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(outputs) == 1 or grad_outputs is None:  # one output may have its gradient as a plain list of numbers
        several = isinstance(grad_outputs, (list, tuple)) and len(grad_outputs) == 1
        grad_outputs = grad_outputs if several else [grad_outputs] * len(outputs)
    if not isinstance(grad_outputs, (list, tuple)) or len(grad_outputs) != len(outputs):
        raise ValueError(f"gradients: {len(outputs)} outputs need grad_outputs= a list of {len(outputs)} arrays")
    outputs, inputs, grad_outputs = ([operand(x) for x in given] for given in (outputs, inputs, grad_outputs))
    for role, values in (("outputs", outputs), ("inputs", inputs)):
        for i, value in enumerate(values):
            if not isinstance(value, Traced):
                raise TypeError(
                    f"gradients: {role}[{i}] is of type {type(value).__name__}, expected a recorded tensor; "
                    "tn.grad differentiates functions of arrays"
                )
    seeds = [seed_for(y, g, "grad_outputs") for y, g in zip(outputs, grad_outputs, strict=True)]
    if not create_graph:
        seeds = [array_of(s) for s in seeds]
    for i, x in enumerate(inputs):
        if not x.tracked:
            raise ValueError(
                f"gradients: {label(x, f'inputs[{i}]')} of shape {x.shape} does not require a gradient; "
                "create it with requires_grad=True before computing the outputs"
            )
    found = pullback(outputs, seeds, wanted=inputs, record=create_graph)
    results = [found[x] if x in found else np.zeros_like(x._value) for x in inputs]
    if create_graph:
        # A constant gradient depends on nothing, but may be differentiated again: that gives zeros.
        return [
            g if isinstance(g, Traced) and g.tracked else type(x)(copied(array_of(g)), True)
            for g, x in zip(results, inputs, strict=True)
        ]
    return [copied(g) for g in results]


def seed_for(output: Any, gradient: Any, keyword: str) -> Any:
    """The upstream gradient to start from: 1 for a single number, else what the caller gives, in the output's shape."""
    value, name = output._value, label(output, "the output")
    if not output.tracked:
        raise ValueError(
            f"{name} of shape {value.shape} was not computed from a tensor that requires a gradient: "
            "create one with tn.tensor(..., requires_grad=True), and compute outside tn.no_grad()"
        )
    if gradient is None:
        if value.size != 1:
            raise ValueError(
                f"{name} has shape {value.shape}, and only a single number has a gradient by itself: "
                f"reduce it, as in .sum(), or pass {keyword}= an array of that shape"
            )
        return value.dtype.type(1) if value.ndim == 0 else np.ones_like(value)
    if not isinstance(gradient, Traced):
        try:
            gradient = np.asarray(gradient, dtype=value.dtype)
        except (TypeError, ValueError):
            raise TypeError(
                f"{keyword} is {gradient!r:.60}: expected an array of numbers of shape {value.shape}, as {name} has"
            ) from None
    if gradient.shape != value.shape:
        raise ShapeError(f"{keyword} has shape {gradient.shape}, {name} has shape {value.shape}: they must be equal")
    return gradient


def pushforward(
    outputs: Sequence[Any], inputs: Sequence[Any], tangents: Sequence[Any], record: bool = False
) -> list[Any]:
    """Jacobian-vector products: how the outputs move when the inputs move by `tangents`.  None where one does not."""
    anomalies = MODE.get().anomalies
    moving: dict[int, Any] = {x.index: t for x, t in zip(inputs, tangents, strict=True)}
    with np.errstate(all="ignore"):
        for node in history(outputs, inputs):
            if node.op is None or node.index in moving:
                continue
            node.check_unchanged()
            y = node if record else node._value
            values = node.inputs if record else [array_of(x) for x in node.inputs]
            along = [moving.get(x.index) if isinstance(x, Traced) else None for x in node.inputs]
            tangent = tangent_of(node.op, along, y, values, node.params or {})
            if tangent is not None:
                if anomalies:
                    refuse_non_finite_part(node, -1, tangent)
                moving[node.index] = tangent
    return [moving.get(node.index) for node in outputs]


def tangent_of(op: Op, tangents: Sequence[Any], y: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """The tangent of one operation's output, from the kind of its Jacobian."""
    if op.jvp is not None:
        return op.jvp(tangents, y, *inputs, **params)
    moving = [(slot, t) for slot, t in enumerate(tangents) if t is not None and op.vjps[slot] is not None]
    if not moving:
        return None
    if op.kind == "linear":
        given = [np.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        return op.apply(given, params)
    total: Any = None
    for slot, t in moving:
        if op.kind == "multilinear":
            part = op.apply([t if i == slot else x for i, x in enumerate(inputs)], params)
        elif op.kind in ("elementwise", "symmetric"):  # the Jacobian equals its transpose
            t = t if t.shape == y.shape else np.broadcast_to(t, y.shape)
            part = op.vjps[slot](t, y, *inputs, **params)
            if op.kind == "elementwise":
                part = exact_zeros(t, part)
        elif op.kind == "reduction":  # each row of the Jacobian is the gradient of one output element
            slopes = op.vjps[slot](np.ones_like(y), y, *inputs, **params)
            axes = {k: v for k, v in params.items() if k in ("axis", "keepdims")}
            part = np.sum(slopes * t, **axes)
        else:
            raise NotImplementedError(f"{op.name} has no forward-mode rule: give its entry a kind or a jvp")
        part = part if part.shape == y.shape else np.broadcast_to(part, y.shape)
        total = part if total is None else total + part
    return total.astype(y.dtype) if total.dtype != y.dtype else total
