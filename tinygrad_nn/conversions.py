"""Tensors as Python numbers, text, indices, plain arrays and copies; and arrays from all kinds of data.

What `Tensor` has as methods stands here as functions of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn import notebook, operands
from tinygrad_nn.errors import label
from tinygrad_nn.foreign import fetched, is_foreign, own, refuse_unknown_sizes
from tinygrad_nn.modes import ACTIVE, MODE
from tinygrad_nn.notation import format_number
from tinygrad_nn.numpy_protocol import LEAVES_GRAPH
from tinygrad_nn.operation import Traced
from tinygrad_nn.ops import arithmetic

__all__ = ["array_from", "check_differentiable", "refuse_recorded"]

# --- numbers and text ------------------------------------------------------------------------------------------------


def to(kind: type) -> Callable[[Any], Any]:
    """The conversion to this type of number; refused where it would silently leave the graph."""

    def convert(t: Any) -> Any:
        if t.requires_grad:
            raise TypeError(
                f"{label(t, 'a tensor')} cannot become {'an' if kind is int else 'a'} {kind.__name__}: that would "
                "silently leave the graph; take .item() or .detach() to leave it on purpose, "
                "tn.index_update(array, index, t) to write it into an array"
            )
        return kind(fetched(t.value).item())

    return convert


def to_bool(t: Any) -> bool:
    """Whether the number is not 0."""
    return bool(t.value)


def to_index(t: Any) -> int:
    """A single integer, where Python wants an index."""
    if t.dtype.kind not in "iu" or t.ndim:
        raise TypeError(f"only single integers can be an index, this tensor has dtype {t.dtype}, shape {t.shape}")
    return int(t.value)


def as_index(t: Any) -> Any:
    """The value, where the tensor is used as an index."""
    value = t.value
    if isinstance(value, Traced):
        return value.as_index()
    if value.dtype.kind not in "iub":
        raise IndexError(
            f"an index must have an integer or bool dtype, this tensor has {t.dtype}: tn.tensor([0, 1], dtype=int) has "
            "one, and .astype(int) converts"
        )
    return np.array(fetched(value))


def rounded(t: Any, digits: int | None = None) -> Any:
    """`round` of each element: a tensor, which stays in the graph."""
    return arithmetic.round(t, decimals=digits or 0)


def is_recorded(t: Any) -> bool:
    """Whether it has a history that an array of its value would lose: an operation, or a transform at work on it."""
    return t.requires_grad and (t.op is not None or bool((t.params or {}).get(ACTIVE)))


def formatted(t: Any, spec: str) -> str:
    """A single number in this format."""
    return format(t.value.item(), spec) if spec and t.size == 1 else format(str(t), spec)


def text(t: Any) -> str:
    """The numbers, and what sets the tensor apart."""
    value = t.value if is_foreign(t.value) else np.asarray(t.value)  # nobody waits for numbers in order to see a name
    shown = repr(value) if value is t.value and is_foreign(value) else None
    parts = [shown or np.array2string(value, separator=", ", prefix="tensor(", threshold=200)]
    if value.dtype not in (np.float64, np.bool_):
        parts.append(f"dtype={value.dtype}")
    if t.name:
        parts.append(f"name={t.name!r}")
    if t.op is not None:
        parts.append(f"op={t.op.name}")
    elif t.requires_grad:
        parts.append("requires_grad=True")
    return f"tensor({', '.join(parts)})"


EDGE = 5  # rows or columns of a larger array that are shown


def as_html(t: Any) -> str:
    """What a notebook shows: the numbers on tints of their size, and what sets the tensor apart."""
    if is_foreign(t.value):
        return notebook.paragraph(text(t))
    value = np.asarray(t.value)
    said = [f"shape {value.shape}", str(value.dtype)]
    said += [f"made by {t.op.name}"] if t.op is not None else ["requires_grad=True"] if t.requires_grad else []
    title = notebook.heading(f"{t.name or 'tensor'}: {', '.join(said)}")
    if not 0 < value.ndim <= 2 or not value.size:
        return title + notebook.paragraph(np.array2string(value, separator=", ", threshold=200))
    rows, columns = (_shown(n) for n in np.atleast_2d(value).shape)
    numbers = np.atleast_2d(value)
    finite = np.abs(numbers[np.isfinite(numbers)].astype(float))
    scale = float(np.max(finite, initial=0.0))
    cells, styles = [], {}
    for i, row in enumerate(rows):
        cells.append(["⋮" if row is None else "…" if j is None else format_number(numbers[row, j]) for j in columns])
        for k, j in enumerate(columns):
            if row is not None and j is not None:
                styles[i, k] = notebook.tinted(float(numbers[row, j]), scale)
    return title + notebook.table(cells, right=range(len(columns)), styles=styles)


def _shown(n: int) -> list[int | None]:
    """The rows or columns that are shown, with None for what is left out."""
    return list(range(n)) if n <= 2 * EDGE else [*range(EDGE), None, *range(n - EDGE, n)]


# --- arrays and copies -----------------------------------------------------------------------------------------------


def to_array(t: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """A plain array, of a tensor that requires no gradient."""
    if t.requires_grad:
        ways = (
            "tn.stack joins several, tn.index_update writes them into an array, tn.vmap does what np.vectorize does; "
        )
        raise TypeError(LEAVES_GRAPH.format(label(t, "a tensor"), "become an array", ways))
    return np.array(fetched(t.value), dtype=dtype)


CPU = 1  # kDLCPU of the DLPack specification


def to_dlpack(t: Any, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
    """A capsule of a copy of the values, of a tensor that requires no gradient (DLPack 1.0).

    A copy, as somebody who writes into shared memory would change what was recorded.
    """
    if copy is False:
        raise BufferError(f"{label(t, 'a tensor')} gives copies of its values away; copy=False cannot be kept")
    if dl_device not in (None, to_dlpack_device(t)):
        raise BufferError(f"{label(t, 'a tensor')} lies in the memory of the CPU, device {dl_device} was asked for")
    array, older = to_array(t), {} if max_version is None else {"max_version": max_version}
    return array.__dlpack__(stream=stream, **older) if array.flags.writeable else array.copy().__dlpack__(stream=stream)


def to_dlpack_device(t: Any) -> tuple[int, int]:
    """The memory of the CPU."""
    return CPU, 0


def copied(t: Any, memo: dict[int, Any] | None = None) -> Any:
    """A tensor like this one, with memory of its own."""
    _refuse_copy(t, "deep copy")
    grad = None if t.grad is None else t.grad.copy()
    result = _restored(type(t), own(t.value), t.requires_grad, t.name, grad, t.is_frozen)
    if memo is not None:
        memo[id(t)] = result
    return result


def pickled(t: Any) -> Any:
    """What `pickle` keeps of a tensor."""
    _refuse_copy(t, "pickling")
    return _restored, (
        type(t),
        t.value if is_foreign(t.value) else np.asarray(t.value),
        t.requires_grad,
        t.name,
        t.grad,
        t.is_frozen,
    )


def _restored(kind: type, value: Any, tracked: bool, name: str | None, grad: Any, frozen: bool = False) -> Any:
    result = kind(value, tracked or frozen, name)
    result.grad = grad
    if frozen:
        result.requires_grad = False
    return result


def refuse_recorded(new: Any, what: str) -> None:
    """TypeError for a tensor with a history that what takes it would lose."""
    if MODE.get().grad and hasattr(new, "params") and is_recorded(new):
        raise TypeError(
            f"{what} takes numbers, and the history of {label(new, 'a recorded tensor')} of shape {new.shape} would be "
            "lost: take .detach(), or tn.nn.functional_call(model, parameters, X), which keeps it"
        )


def _refuse_copy(t: Any, what: str) -> None:
    if t.op is not None or is_recorded(t):
        origin = f"made by {t.op.public_name}" if t.op is not None else "the variable of a transform"
        raise TypeError(
            f"{what} of a recorded tensor ({origin}) would leave its graph behind: "
            "take t.detach(), or the array t.numpy()"
        )


def array_from(data: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A copy of `data` as an array of real numbers: what `tn.tensor` holds; `name` is what errors call it."""
    data = getattr(data, "_value", data)
    if not isinstance(data, np.matrix):  # a tensor of it is asked for, whose * is that of tensors
        operands.refuse_kind(data, "tensor", name or "the data")
    if hasattr(type(data), "__array_function__") and not issubclass(type(data), np.ndarray):  # kept as it is
        refuse_unknown_sizes(data, "tensor", name or "the data")
        value: Any = data.copy() if dtype is None else data.astype(dtype)
    else:
        value = operands.array_from(data, "tensor", dtype)
        if not isinstance(data, (list, tuple)):  # whose memory it may be
            value = np.array(value)
        if dtype is None and value.dtype.kind in "iu" and not hasattr(data, "__array__"):
            value = value.astype(np.float64)
    if value.dtype.kind not in operands.REAL:
        hint = operands.hint_for(value, "data")
        raise TypeError(f"tensor: expected real numbers, the data has dtype {value.dtype}: {data!r:.80}; {hint}")
    return value


def check_differentiable(value: Any) -> None:
    """TypeError for an array that no gradient can flow through."""
    if value.dtype.kind != "f":
        raise TypeError(
            f"requires_grad=True needs floating-point numbers, the data has dtype {value.dtype}: "
            "convert it, as in tn.tensor(data, requires_grad=True, dtype=float)"
        )
