"""Gradients of data that no single machine holds: of pieces, on a cluster of Dask's, added up in a tree.

Workers compute, the optimiser stays here.  Needs the extra `dask`, except for pieces that come one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.autodiff import gradients as gradients_of
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import numbers_of
from tinygrad_nn.ops.targets import examples as count_examples

__all__ = ["Gradients", "gradients"]


class Gradients(NamedTuple):
    """What `tn.distributed.gradients` returns."""

    cost: float  # the mean over all examples
    gradients: list[np.ndarray]  # one for each of `model.parameters()`, in its shape
    examples: int  # of all pieces


def gradients(client: Any, model: Module, loss: Callable[[Any, Any], Any], pieces: Iterable[Any]) -> Gradients:
    """The cost over all pieces, and its gradients: what one process with all of the data would compute.

    Each piece is a pure function of the numbers that the parameters have now, in a task of its own.  A worker that
    dies costs the repetition of its tasks.  Sums are taken in a fixed tree, over neighbours, so that the same pieces
    give the same numbers to the last bit, on however many workers.  The model here is left as it is: put the gradients
    into `.grad` and let an optimiser step.

    Parameters
    ----------
    client : a `dask.distributed.Client`, or None to compute the pieces here, one after the other.
    model : called with the X of a piece; what it is made of must be picklable.
    loss : (prediction, target) -> the mean over examples, as all losses here are by default.
    pieces : each a pair (X, y), a function without arguments that makes one (where it runs, and again after a loss),
        or a future or delayed object of Dask's of either.  Arrays that are handed over travel at each call; what a
        function reads or makes does not.

    Raises
    ------
    ValueError : no pieces.
    TypeError : a piece that is no pair; a model whose state changes as it is called in training mode, as the running
        mean of BatchNorm and the random numbers of Dropout do: pieces would not be pure functions.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 1, rng=np.random.default_rng(0))
    >>> X, Y = np.arange(10.0).reshape(2, 5), np.ones((1, 5))
    >>> whole = tn.distributed.gradients(None, model, tn.mse, [(X, Y)])
    >>> parts = tn.distributed.gradients(None, model, tn.mse, [(X[:, :3], Y[:, :3]), (X[:, 3:], Y[:, 3:])])
    >>> parts.examples, np.allclose(parts.cost, whole.cost), np.allclose(parts.gradients[0], whole.gradients[0])
    (5, True, True)

    Source: the gradient of a mean is the mean of gradients, weighted by the number of examples; M. Thill, "Yet another
    Neural Networks Introduction", section "Cost".
    """
    pieces = list(pieces)
    if not pieces:
        raise ValueError("distributed.gradients: no pieces; expected pairs (X, y), or functions that make them")
    if client is None:
        made = [_of_piece(copy.deepcopy((model, loss)), piece, i) for i, piece in enumerate(pieces)]
        return _mean(_in_a_tree(made, _added))
    packed = _packed(model, loss)
    # A task of its own, and not scattered: what only a worker holds is lost with it, what a task returns is made again.
    sent = client.submit(_as_it_is, packed, key=_key(client, "model"), pure=False)
    parts = [
        client.submit(
            _of_packed, sent, _ready(client, piece), i, key=_key(client, f"gradient-of-piece-{i}"), pure=False
        )
        for i, piece in enumerate(pieces)
    ]
    total = _in_a_tree(parts, lambda a, b: client.submit(_added, a, b, key=_key(client, "sum"), pure=False))
    return _mean(total.result())


def _key(client: Any, name: str) -> str:
    """A name for a task that no other task has, of this call or another."""
    from uuid import uuid4

    return f"{name}-{uuid4().hex}"


def _packed(model: Module, loss: Callable) -> bytes:
    """Model and loss as bytes, with functions of a script or notebook, and without gradients."""
    try:
        import cloudpickle
    except ImportError:
        raise ImportError("tn.distributed needs Dask: pip install 'tinygrad_nn[dask]'") from None
    held = [(p, p.grad) for p in model.parameters()]
    try:
        for p, _ in held:
            p.grad = None
        return cloudpickle.dumps((model, loss))
    finally:
        for p, grad in held:
            p.grad = grad


def _ready(client: Any, piece: Any) -> Any:
    """A piece as an argument of a task: what is only planned so far is computed on the cluster."""
    from dask.base import is_dask_collection

    if isinstance(piece, (tuple, list)):
        return tuple(_ready(client, part) for part in piece)
    return client.compute(piece) if is_dask_collection(piece) else piece


def _in_a_tree(parts: list[Any], add: Callable) -> Any:
    """The sum of neighbours, of neighbouring sums, and so on: an order that the number of parts alone decides."""
    while len(parts) > 1:
        parts = [add(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0]


# --- what runs on workers: pure functions ----------------------------------------------------------------------------


def _as_it_is(packed: bytes) -> bytes:
    return packed


def _of_packed(packed: bytes, piece: Any, number: int) -> tuple[int, float, list[Any]]:
    import cloudpickle

    return _of_piece(cloudpickle.loads(packed), piece, number)


def _of_piece(computed: tuple[Module, Callable], piece: Any, number: int) -> tuple[int, float, list[Any]]:
    """The number of examples of a piece, and the sums over them of cost and gradients."""
    model, loss = computed
    piece = piece() if callable(piece) else piece
    if not isinstance(piece, (tuple, list)) or len(piece) != 2:
        raise TypeError(
            f"distributed.gradients: piece {number} is {piece!r:.60}; expected a pair (X, y), or a function"
        )
    X, target = piece
    before = _state(model)
    prediction = model(X)
    cost = loss(prediction, target)
    changed = [path for path, state in _state(model).items() if state != before[path]]
    if changed:
        raise TypeError(
            f"distributed.gradients: calling the model changes {', '.join(changed)}, which is lost with the piece: "
            "call model.eval() before, or use layers without such state, as LayerNorm in the place of BatchNorm"
        )
    n = int(count_examples(numbers_of(prediction)))  # type: ignore[no-untyped-call]
    parameters = list(model.parameters())
    return n, float(cost.item()) * n, [g * n for g in gradients_of(cost, parameters)]


def _state(model: Module) -> dict[str, Any]:
    """What a call of the model may change: its buffers, and its generators of random numbers."""
    found: dict[str, Any] = {path: buffer.value.tobytes() for path, buffer in model.named_buffers()}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, np.random.Generator):
                found[f"{path}.{name}".lstrip(".")] = repr(value.bit_generator.state)
    return found


def _added(a: tuple, b: tuple) -> tuple:
    return a[0] + b[0], a[1] + b[1], [g + h for g, h in zip(a[2], b[2], strict=True)]


def _mean(total: tuple) -> Gradients:
    n, cost, sums = total
    return Gradients(cost / max(n, 1), [g / max(n, 1) for g in sums], n)
