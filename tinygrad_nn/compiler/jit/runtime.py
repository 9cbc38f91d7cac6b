"""What compiled kernels are made of: memory by its address, and NumPy's own loops."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["address", "addresses", "call", "load", "loop_address", "pointer", "store"]

# --- memory ----------------------------------------------------------------------------------------------------------


@intrinsic
def pointer(context: Any, number: Any, dtype: Any) -> Any:
    """The address of elements of a type."""
    signature = types.CPointer(dtype.dtype)(types.int64, dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return signature, generate


@intrinsic
def address(context: Any, array: Any) -> Any:
    """Where the elements of an array begin."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(made.data, context.get_value_type(types.int64))

    return types.int64(array), generate


def _mark(module: Any, instruction: Any, scope: int, scopes: int) -> None:
    """Tell LLVM that memories of different numbers do not overlap; of number 0 nothing is known."""
    if not scope:
        return
    domain = module.add_metadata(["tinygrad_nn"])
    each = [module.add_metadata([f"memory {i}", domain]) for i in range(1, scopes)]
    instruction.set_metadata("alias.scope", module.add_metadata([each[scope - 1]]))
    others = [x for i, x in enumerate(each) if i != scope - 1]
    if others:
        instruction.set_metadata("noalias", module.add_metadata(others))


@intrinsic(prefer_literal=True)
def load(context: Any, memory: Any, index: Any, scope: Any, scopes: Any) -> Any:
    """An element; `scope` is the number of the memory, of so many `scopes`."""
    numbers = scope.literal_value, scopes.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = context.cast(builder, args[1], signature.args[1], types.int64)
        loaded = builder.load(builder.gep(args[0], [at]))
        _mark(builder.module, loaded, *numbers)
        return context.data_model_manager[signature.return_type].from_data(builder, loaded)

    return memory.dtype(memory, index, scope, scopes), generate


@intrinsic(prefer_literal=True)
def store(context: Any, memory: Any, index: Any, value: Any, scope: Any, scopes: Any) -> Any:
    """Write an element."""
    numbers = scope.literal_value, scopes.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = context.cast(builder, args[1], signature.args[1], types.int64)
        element = context.cast(builder, args[2], signature.args[2], memory.dtype)
        data = context.data_model_manager[memory.dtype].as_data(builder, element)
        _mark(builder.module, builder.store(data, builder.gep(args[0], [at])), *numbers)
        return context.get_dummy_value()

    return types.void(memory, index, value, scope, scopes), generate


# --- NumPy's loops ---------------------------------------------------------------------------------------------------


@intrinsic
def call(context: Any, function: Any, data: Any, args: Any, dims: Any, steps: Any) -> Any:
    """Call a loop of NumPy's: `args` are the addresses that it works on, as in PyUFuncGenericFunction."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        number, byte = context.get_value_type(types.int64), ir.IntType(8).as_pointer()

        def listed(tuple_: Any, kind: Any) -> Any:
            memory = cgutils.alloca_once(builder, ir.ArrayType(number, len(kind)))
            for i, item in enumerate(cgutils.unpack_tuple(builder, tuple_, len(kind))):
                whole = context.cast(builder, item, kind[i], types.int64)
                builder.store(whole, cgutils.gep_inbounds(builder, memory, 0, i))
            return builder.bitcast(memory, byte)

        kind = ir.FunctionType(ir.VoidType(), [byte] * 4).as_pointer()
        given = [listed(values[i], signature.args[i]) for i in (2, 3, 4)]
        builder.call(builder.inttoptr(values[0], kind), [*given, builder.inttoptr(values[1], byte)])
        return context.get_dummy_value()

    return types.void(function, data, args, dims, steps), generate


class _UFunc(ctypes.Structure):
    """The first fields of PyUFuncObject, as NumPy's header ufuncobject.h gives them to extensions."""

    _fields_ = (
        ("head", ctypes.c_byte * object.__basicsize__),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    )


def loop_address(ufunc: np.ufunc, kinds: str) -> tuple[int, int] | None:
    """Where NumPy's loop of a ufunc for types such as "ff->f" is, and the data that it takes; None if unknown."""
    if kinds not in ufunc.types or sys.implementation.name != "cpython":
        return None
    fields = _UFunc.from_address(id(ufunc))
    counts = fields.nin, fields.nout, fields.nargs, fields.ntypes
    if counts != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes) or fields.name != ufunc.__name__.encode():
        return None  # another layout than this one
    at, n = ufunc.types.index(kinds), ufunc.nargs
    numbers = [np.dtype(kind).num for kind in kinds.replace("->", "")]
    if [*fields.types[at * n : (at + 1) * n]] != numbers or not fields.functions[at]:
        return None
    return fields.functions[at] or 0, fields.data[at] or 0


class _Memory(bytearray):
    """Bytes that keep the arrays alive whose addresses they are."""

    kept: Any


def addresses(*items: Any) -> np.ndarray:
    """A table of addresses, of arrays and of (ufunc, types), two for each loop; it keeps the arrays alive."""
    numbers: list[int] = []
    kept = [item if isinstance(item, tuple) else np.asarray(item) for item in items]
    for item in kept:
        if isinstance(item, tuple):
            numbers += loop_address(*item) or (0, 0)
        else:
            numbers.append(item.__array_interface__["data"][0])
    memory = _Memory(np.array(numbers, np.int64).tobytes())
    memory.kept = kept
    return np.frombuffer(memory, np.int64)
