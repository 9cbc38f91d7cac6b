"""The seam of tracing: whatever reads or changes a tensor asks the current interpreter."""

import ast
import contextlib
import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.modes import MODE, Interpreter, Mode
from tinygrad_nn.mutation import clock
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import Tensor, current

PACKAGE = Path(tn.__file__).parent


class Tripled(Interpreter):
    """Stands in with three times the value, and notes the operations: whoever goes round the seam is noticed."""

    def __init__(self, *arrays):
        self.arrays = arrays
        self.start = next(clock)
        self.seen = {}
        self.operations = []

    def tensor(self, t):
        if t.index > self.start or any(t is stand_in for _, stand_in in self.seen.values()):
            return t
        if id(t) not in self.seen:
            stand_in = Tensor(t._value * 3, t.tracked, t.name)
            stand_in.index = t.index
            stand_in._grad = None if t._grad is None else t._grad * 3
            self.seen[id(t)] = t, stand_in
        return self.seen[id(t)][1]

    def operand(self, x, name=""):
        if isinstance(x, Tensor):
            return self.tensor(x)
        return x * 3 if any(x is array for array in self.arrays) else x

    def carry_out(self, op, values, params):
        self.operations.append(op.name)
        return op.forward(*values, **params)


@contextlib.contextmanager
def interpreted(interpreter, grad=True):
    token = MODE.set(Mode(grad, interpreter=interpreter))
    try:
        yield interpreter
    finally:
        MODE.reset(token)


def vector(**options):
    return tn.tensor([1.0, 2.0], name="v", **options)


READS = {
    "value": (vector, lambda t: t.value.tolist(), [3.0, 6.0]),
    "data": (vector, lambda t: t.data.tolist(), [3.0, 6.0]),
    "numpy": (vector, lambda t: t.numpy().tolist(), [3.0, 6.0]),
    "tolist": (vector, lambda t: t.tolist(), [3.0, 6.0]),
    "detach": (vector, lambda t: t.detach()._value.tolist(), [3.0, 6.0]),
    "astype, recorded": (vector, lambda t: t.astype("f4")._value.tolist(), [3.0, 6.0]),
    "astype": (vector, lambda t: t.astype(int)._value.tolist(), [3, 6]),
    "np.asarray": (vector, lambda t: np.asarray(t).tolist(), [3.0, 6.0]),
    "np.array_equal": (vector, lambda t: np.array_equal(t, [3.0, 6.0]), True),
    "repr": (vector, repr, "tensor([3., 6.], name='v')"),
    "format": (vector, "{}".format, "tensor([3., 6.], name='v')"),
    "copy": (vector, lambda t: copy.copy(t)._value.tolist(), [3.0, 6.0]),
    "pickle": (vector, lambda t: pickle.loads(pickle.dumps(t))._value.tolist(), [3.0, 6.0]),
    "tensor": (vector, lambda t: tn.tensor(t)._value.tolist(), [3.0, 6.0]),
    "tensor of an array": (lambda: np.ones(2), lambda x: tn.tensor(x)._value.tolist(), [3.0, 3.0]),
    "operation on an array": (lambda: np.ones(2), lambda x: (x + vector())._value.tolist(), [4.0, 5.0]),
    "current": (vector, lambda t: current(t).tolist(), [3.0, 6.0]),
    "current array": (lambda: np.ones(2), lambda x: current({"m": x})["m"].tolist(), [3.0, 3.0]),
    "operation": (vector, lambda t: (t + 1.0)._value.tolist(), [4.0, 7.0]),
    "NumPy's function": (vector, lambda t: np.negative(t)._value.tolist(), [-3.0, -6.0]),
    "index": (vector, lambda t: t[1]._value.item(), 6.0),
    "iteration": (vector, lambda t: [x._value.item() for x in t], [3.0, 6.0]),
    "as an index": (lambda: tn.tensor(1, dtype=int), lambda t: "abcdefg"[t], "d"),
    "item": (lambda: tn.tensor(2.0), lambda t: t.item(), 6.0),
    "float": (lambda: tn.tensor(2.0), float, 6.0),
    "int": (lambda: tn.tensor(2.0), int, 6),
    "complex": (lambda: tn.tensor(2.0), complex, 6 + 0j),
    "bool": (lambda: tn.tensor(2.0), bool, True),
    "round": (lambda: tn.tensor(0.5), round, 2),
    "format of a number": (lambda: tn.tensor(2.0), "{:.1f}".format, "6.0"),
}


@pytest.mark.parametrize("door", READS)
def test_whatever_reads_a_tensor_sees_the_stand_in(door):
    make, read, expected = READS[door]
    x = make()
    with interpreted(Tripled(x)):
        assert read(x) == expected


def _assign_data(t):
    t.data = np.array([15.0, 15.0])


def _write_data(t):
    t.data[...] = 15


def _subtract(t):
    t.data -= -12.0
    t.data[1] = 15


def _assign_value(t):
    t.value = np.array([15.0, 15.0])


def _assign_item(t):
    t[:] = 15


WRITES = {"data =": _assign_data, "data[...] =": _write_data, "data -=": _subtract, "value =": _assign_value,
          "t[...] =": _assign_item}  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_whatever_changes_a_tensor_changes_the_stand_in(write):
    t = vector()
    with interpreted(Tripled()) as interpreter:
        write(t)
        assert t.tolist() == [15, 15]
        stand_in = interpreter.tensor(t)
    assert stand_in._value.tolist() == [15, 15]
    assert stand_in.watch is None or stand_in.watch is not t.watch
    assert t.tolist() == [1, 2]


def test_state_of_the_gradient_is_the_stand_ins():
    w = vector(requires_grad=True)
    w.grad = np.array([1.0, 1.0])
    with interpreted(Tripled()) as interpreter:
        assert w.grad.tolist() == [3, 3]
        w.zero_grad()
        assert w.grad is None
        (w * w).sum().backward()
        assert w.grad.tolist() == [6, 12]
        w.grad = w.grad / 2
        w.retain_grad()
        w.requires_grad = False
        assert not w.requires_grad
        stand_in = interpreter.tensor(w)
    assert (stand_in._grad.tolist(), stand_in.retain, stand_in.tracked) == ([3, 6], True, False)
    assert (w.grad.tolist(), w.retain, w.requires_grad) == ([1, 1], False, True)
    assert interpreter.operations == ["multiply", "sum"]


def test_derivatives_find_the_stand_ins():
    w, x = vector(requires_grad=True), tn.tensor(2.0, requires_grad=True)
    seed, point, one = np.array([1.0, 0.0]), np.ones(2), np.array(1.0)
    with interpreted(Tripled(seed, point, one)):
        assert tn.gradients((w * w).sum(), w)[0].tolist() == [6, 12]
        (slope,) = tn.gradients(w * w, w, seed, create_graph=True)
        assert slope.tolist() == [18, 0]
        assert tn.gradients(slope.sum(), w)[0].tolist() == [6, 0]
        assert tn.grad(lambda v: (v * x * w).sum())(point).tolist() == [18, 36]
        x.backward(one)
        assert x.grad == 3
    assert w.grad is None
    assert x.grad is None


def test_a_change_under_an_interpreter_passes_the_mutation_guard():
    w = vector(requires_grad=True)
    with interpreted(Tripled()):
        y = (w * w).sum()
        with tn.no_grad():
            w[0] = 7.0
        with pytest.raises(tn.MutationError, match=r"v of shape \(2,\) was changed after multiply used it"):
            y.backward()
    (w * w).sum().backward()
    assert w.grad.tolist() == [2, 4]


def test_the_error_of_an_operation_is_the_same():
    with interpreted(Tripled()), pytest.raises(tn.ShapeError, match=r"add: v has shape \(2,\)"):
        vector() + np.ones(3)


class Sealed(Traced):
    """An array whose numbers nobody may read."""

    shape, ndim, size, dtype, tracked = (), 0, 1, np.dtype("f8"), False

    def _refuse(self, *_, **__):
        raise LookupError("sealed")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = item = tolist = astype = as_index = _refuse
    __array_ufunc__ = __array_function__ = _refuse

    def copy(self):
        return self


class Sealing(Tripled):
    def tensor(self, t):
        return Tensor(Sealed())


REFUSED = {
    "numpy": lambda t: t.numpy(), "item": lambda t: t.item(), "tolist": lambda t: t.tolist(), "float": float,
    "int": int, "bool": bool, "complex": complex, "round": round, "repr": repr, "format": "{:.1f}".format,
    "np.asarray": np.asarray, "np.isclose": lambda t: np.isclose(t, 1.0), "copy": copy.deepcopy, "pickle": pickle.dumps,
    "as an index": lambda t: np.arange(3)[t], "index of a tensor": lambda t: tn.tensor([1.0])[t],
    "astype": lambda t: t.astype(int),
}  # fmt: skip


@pytest.mark.parametrize("read", REFUSED.values(), ids=REFUSED)
def test_a_tracer_refuses_by_itself(read):
    t = tn.tensor(1, dtype=int)
    with interpreted(Sealing()), pytest.raises(LookupError, match="sealed"):
        read(t)


def test_the_array_of_a_tracer_is_the_tracer():
    t = tn.tensor(1.0)
    stand_in, interpreter = Tensor(Sealed()), Sealing()
    interpreter.tensor = lambda x: stand_in
    with interpreted(interpreter):
        assert type(t.data) is Sealed
        t.data = other = Sealed()
        assert t.data is other
    assert t.item() == 1


def test_the_interpreter_is_asked_in_few_places():
    """In tensor.py at three places at most."""

    def asked(file):
        tree = ast.parse((PACKAGE / file).read_text())
        return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "interpreter"]

    assert len(asked("tensor.py")) <= 3
    others = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if "compiler" not in p.parts}
    elsewhere = {
        "autodiff.py",
        "modes.py",
        "nn/module.py",
        "nn/sparse.py",
        "optim/optimizer.py",
        "retention.py",
        "tensor.py",
        "transforms.py",
        "batched.py",
        "vectorize.py",
    }
    assert {file for file in others if asked(file)} <= elsewhere
