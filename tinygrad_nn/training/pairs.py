"""Which loss goes with which last activation: one that does the activation itself must not get it done already.

A sigmoid before a loss that takes logits trains badly without a word: the loss takes the sigmoid of a sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_nn.errors import label
from tinygrad_nn.nn.foreign import name_of
from tinygrad_nn.nn.outputs import last_operation
from tinygrad_nn.operation import Op
from tinygrad_nn.ops import elementwise
from tinygrad_nn.tensor import Tensor

__all__ = ["logits_of_graph", "refuse_cost", "refuse_pair", "takes_logits"]


def takes_logits(loss: Any) -> bool:
    """Whether it is a loss that makes probabilities of logits itself."""
    return isinstance(loss, Op) and loss.training.probabilities is not None


def refuse_pair(caller: str, loss: Any, prediction: Any, J: Any, hint: str = "") -> None:
    """ValueError for a last activation that the loss, or what it calls, does itself, or cannot do with.

    `prediction` and `J` are recorded.  The loss is known if it is one of the package, also as a `functools.partial`;
    of any other, the graph from J to the prediction says what it does with it.  `hint` is the way out, where the caller
    has chosen the last activation.
    """
    last = last_operation(prediction)
    if last is None:
        return
    whole = getattr(loss, "func", loss)
    of_probabilities = getattr(loss, "keywords", {}).get("from_logits") is False
    training = getattr(whole, "training", None)
    if training is None:
        refused = _within(loss, last, prediction, J)
    elif training.probabilities is not None:
        refused = _of_probabilities(whole, last) if of_probabilities else _of_logits(name_of(whole), whole, last)
    else:
        refused = _of_other(whole, training.takes, last)
    if refused:
        raise ValueError(f"{caller}: {refused.partition(_LEAVE_OUT)[0]}{hint}" if hint else f"{caller}: {refused}")


_LEAVE_OUT = "leave out the last activation"


def _of_logits(name: str, loss: Op, last: Op) -> str:
    """What is wrong with an activation before a loss that takes logits; "" if nothing."""
    own: Op = loss.training.probabilities
    one, gives = own.kind == "elementwise", last.training.gives
    if gives == "probabilities":
        probably = f"; with loss=lambda p, y: tn.{loss.name}(p, y, from_logits=False) it stays" if last is own else ""
        return (
            f"the model ends in {last.name}, and {name} takes logits, of which it takes the {own.name} itself: "
            f"{_LEAVE_OUT}{probably}"
        )
    if gives and one:
        sign, side = ("negative", "below") if gives == "nonnegative" else ("positive", "above")
        return (
            f"the model ends in {last.name}, which gives no {sign} number, and {name} takes logits: no probability "
            f"could be {side} ½; {_LEAVE_OUT}"
        )
    return ""


def _of_probabilities(loss: Op, last: Op) -> str:
    """What is wrong with a last operation before a loss with ``from_logits=False``."""
    own: Op = loss.training.probabilities
    if last.matrix_product or last.training.gives == "log-probabilities":
        has = "has no last activation" if last.matrix_product else f"ends in {last.name}"
        return (
            f"the model {has}, and {loss.name} with from_logits=False takes probabilities: "
            f"let it end in {own.name!r}, or leave out from_logits=False"
            + f" and {last.name}"
            * (not last.matrix_product)
        )
    return ""


def _of_other(loss: Callable, takes: str, last: Op) -> str:
    """The same of a loss that takes log-probabilities, or scores of both signs."""
    name, gives = name_of(loss), last.training.gives
    if takes == "log-probabilities" and (gives in ("probabilities", "nonnegative") or last.matrix_product):
        has = "has no last activation" if last.matrix_product else f"ends in {last.name}"
        other = "" if last.matrix_product else f"{_LEAVE_OUT} and "
        return (
            f"the model {has}, and {name} takes log-probabilities: let it end in 'log_softmax', or {other}give "
            "loss=tn.cross_entropy, which takes logits"
        )
    if takes == "signs" and gives:
        sign = "negative" if gives in ("probabilities", "nonnegative") else "positive"
        return (
            f"the model ends in {last.name}, which gives no {sign} number, and {name} takes scores of both signs: "
            f"{_LEAVE_OUT}"
        )
    return ""


def logits_of_graph(prediction: Any, J: Any) -> bool:
    """Whether the graph from J to the prediction takes it as logits."""
    return any(node.op.training.probabilities is not None for node in _uses(prediction, J))


def _within(loss: Any, last: Op, prediction: Any, J: Any) -> str:
    """The same of a loss of somebody's own, by what its graph does with the prediction."""
    for node in _uses(prediction, J):
        op = node.op
        if op.training.probabilities is not None:
            refused = _of_logits(f"{op.name}, which the loss {name_of(loss)} calls,", op, last)
        elif last.training.gives == "probabilities" and _makes_probabilities(op):
            refused = (
                f"the model ends in {last.name}, and the loss {name_of(loss)} takes the {op.name} of that, as of "
                f"logits: {_LEAVE_OUT}; of probabilities, tn's losses are taken with from_logits=False"
            )
        else:
            continue
        if refused:
            return refused
    return ""


def _makes_probabilities(op: Op) -> bool:
    """Whether it is sigmoid, softmax or their logarithms; softplus is −log(1 − σ)."""
    return op.training.gives in ("probabilities", "log-probabilities") or op is elementwise.softplus


def _uses(prediction: Any, J: Any) -> list[Any]:
    """The recorded results that an operation makes of the prediction, its negative, or its numbers elsewhere."""
    if not isinstance(prediction, Tensor):
        return []
    same, found = {id(prediction)}, []
    for node in _between(prediction, J):
        if not any(id(x) in same for x in node.inputs):
            continue
        op: Any = node.op
        if (op.view or op.kind == "linear" or op is elementwise.negative) and len(node.inputs) == 1:
            same.add(id(node))
        elif id(node.inputs[0]) in same:
            found.append(node)
    return found


def _between(prediction: Any, J: Any) -> list[Tensor]:
    """The results that were computed after the prediction, in their order."""
    found, stack = {J.index: J}, [J]
    while stack:
        for x in stack.pop().inputs:
            if isinstance(x, Tensor) and x.index > prediction.index and x.index not in found:
                found[x.index] = x
                stack.append(x)
    return [found[index] for index in sorted(found)]


def refuse_cost(caller: str, loss: Any, J: Any) -> None:
    """TypeError or ValueError for a cost that training cannot go down on."""
    name = name_of(loss)
    if not isinstance(J, Tensor):
        kind = type(J).__name__
        raise TypeError(
            f"{caller}: the loss {name} returned {'an' if kind[0] in 'aeiou' else 'a'} {kind}, expected a tensor of "
            "one number: compute it from the prediction by operations and functions of tn or NumPy, without .numpy(), "
            ".data, .item() or .detach()"
        )
    if J.size != 1:
        raise ValueError(
            f"{caller}: the loss {name} returned {label(J, 'a tensor')} of shape {J.shape}, expected one number: "
            "give its mean over the examples, as by reduction='mean', or .sum() / N"
        )
    if not J.requires_grad:
        raise ValueError(
            f"{caller}: the loss {name} returned a tensor that depends on no parameter: compute it from the "
            "prediction, without .numpy(), .data or .detach(); are all parameters frozen?"
        )
