"""Reverse mode over recorded operations: the chain rule, once.

A node has `_value`, `op`, `inputs`, `params`, `slots` (the inputs that a gradient flows to), `index` and `tracked`; its
inputs were made before it, so the order of creation is a topological order, and sorting by `index` is all the ordering
there is.

`sweep` is the backward pass as it is taught.  `quick_sweep.py` computes the same numbers with less work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.anomalies import refuse_non_finite_part
from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.exact_zeros import both, fitted_zeros, given_zeros, sent_back
from tinygrad_nn.foreign import is_foreign, of_kind
from tinygrad_nn.modes import MODE, operand
from tinygrad_nn.operands import real_operand
from tinygrad_nn.operation import Traced
from tinygrad_nn.parts import array_of, fitted, unbroadcast
from tinygrad_nn.quick_sweep import quick_sweep
from tinygrad_nn.retention import finished

__all__ = ["gradients", "history", "pullback", "seed_for", "sweep", "unbroadcast"]

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
    0 · ∞ and 0 · NaN are 0: `zeros` holds which elements of a gradient are such zeros, see `exact_zeros.py`.

    With `record`, the rules see the nodes themselves instead of their arrays, and so leave a graph behind.
    `on_part(node, slot, part)` sees every part.
    """
    order = history(outputs, wanted)
    keep = None if wanted is None else set(wanted)
    inside = {node.index for node in order}
    gradients: dict[Any, Any] = {}
    zeros: dict[Any, Any] = {}
    for node, seed in zip(outputs, seeds, strict=True):
        if node.index in inside:
            _add(node, seed, given_zeros(seed), gradients, zeros)
    results: dict[Any, Any] = {}
    for node in reversed(order):
        g = gradients.pop(node)
        if (node.op is None or node.retain) if keep is None else node in keep:
            results[node] = g
        slots = [slot for slot in node.slots if node.inputs[slot].index in inside]
        if not slots:
            continue
        node.check_unchanged()
        op, params = node.op, node.params or {}
        arrays = (node._value, [array_of(x) for x in node.inputs])
        y, values = (node, node.inputs) if record else arrays
        sent = sent_back(op, slots, g, zeros[node], y, values, arrays, params, record)
        for slot, (part, exact) in zip(slots, sent, strict=True):
            exact = fitted_zeros(exact, part, arrays[1][slot], node._value)
            part = fitted(part, node, slot)
            if on_part is not None:
                on_part(node, slot, part)
            _add(node.inputs[slot], part, exact, gradients, zeros)
    return results


def _add(x: Any, part: Any, exact: Any, gradients: dict[Any, Any], zeros: dict[Any, Any]) -> None:
    """Add a part to the gradient of a node; an exact zero stays one where all parts have one."""
    first = x not in gradients
    gradients[x] = part if first else gradients[x] + part
    zeros[x] = exact if first else both(zeros[x], exact)


def pullback(
    outputs: Sequence[Any], seeds: Sequence[Any], wanted: Sequence[Any] | None = None, record: bool = False,
    on_part: OnPart | None = None,
) -> dict[Any, Any]:  # fmt: skip
    """Vector-Jacobian products, as `sweep` describes them, in the quickest way that serves."""
    mode = MODE.get()
    if on_part is None and mode.anomalies:
        on_part = refuse_non_finite_part
    with np.errstate(all="ignore"):  # an infinite slope is an answer here; `detect_anomaly` is there to ask about it
        if record or on_part is not None or any(map(is_foreign, [y._value for y in outputs])):
            return sweep(outputs, seeds, wanted, record, on_part)
        if wanted is None:
            found = quick_sweep(outputs, seeds)
        else:
            inside = {node.index for node in history(outputs, wanted)}
            found = quick_sweep(outputs, seeds, inside, {node.index for node in wanted})
        return sweep(outputs, seeds, wanted) if found is None else found


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

    Source: M. Thill, "Yet another Neural Networks Introduction", section "Interlude: The Chain Rule and Nested
    Dependencies".
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
                    "gradients(..., create_graph=True) gives tensors, and tn.grad differentiates functions of arrays"
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
    if len(outputs) == 1:
        finished(outputs[0])
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
        return value.dtype.type(1) if value.ndim == 0 and not is_foreign(value) else np.ones_like(value)
    if not isinstance(gradient, Traced):
        try:
            gradient = of_kind(real_operand(gradient, "backward", keyword), value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{keyword} is {gradient!r:.60}: expected an array of numbers of shape {value.shape}, as {name} has"
            ) from None
    if gradient.shape != value.shape:
        raise ShapeError(f"{keyword} has shape {gradient.shape}, {name} has shape {value.shape}: they must be equal")
    return gradient
