"""Steps that depend on the world, or change it: each is right, refused, or named at the next audit."""

import array
import collections
import contextlib
import csv
import functools
import gc
import io
import itertools
import logging
import os
import queue
import random
import socket
import sqlite3
import sys
import threading
import time
import types
import uuid
import warnings
import weakref

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.compiler.tracers import Tracer

CALLS = 18  # audits fall on calls 2, 4, 8 and 16
X = np.array([1.0, -2.0, 3.0])
WORLD = types.SimpleNamespace()  # what global state the steps below read
CASES = {}
scale = 1.0
config = types.ModuleType("config")
context = threading.local()


def case(make):
    """A case is called with a world of its own; it gives a step, and what happens after each call."""
    CASES[make.__name__] = make
    return make


def reads(name, holder, read, change):
    """A step that reads a number from a holder, which is changed after calls 5 and 11."""

    def make():
        kept = holder()

        def step(x):
            return x * read(kept)

        return step, lambda i: change(kept, 2.0 + i) if i in (5, 11) else None

    CASES[f"reads_{name}"] = make


class Box:
    value = 1.0

    def __init__(self, value=1.0):
        self.inner = value

    @property
    def computed(self):
        return self.inner * 2

    @classmethod
    def of_class(cls):
        return cls.value

    def method(self):
        return self.inner


class Slots:
    __slots__ = ("value",)


class DictWithAttributes(dict):
    def __getattr__(self, name):
        return self[name]


def slots():
    made = Slots()
    made.value = 1.0
    return made


def set_item(kept, value):
    kept["a"] = value


def set_first(kept, value):
    kept[0] = value


def set_inner(kept, value):
    kept.inner = value


# --- holders of a number ---------------------------------------------------------------------------------------------

reads("dict", lambda: {"a": 1.0}, lambda d: d["a"], set_item)
reads("nested_dict", lambda: {"b": {"a": 1.0}}, lambda d: d["b"]["a"], lambda d, v: set_item(d["b"], v))
reads("replaced_list", lambda: {"w": [1.0]}, lambda d: d["w"][0], lambda d, v: d.update(w=[v]))
reads("list", lambda: [1.0], lambda d: d[0], set_first)
reads("tuple_in_list", lambda: [(1.0,)], lambda d: d[0][0], lambda d, v: set_first(d, (v,)))
reads("deque", lambda: collections.deque([1.0]), lambda d: d[0], set_first)
reads("default_dict", lambda: collections.defaultdict(float, a=1.0), lambda d: d["a"], set_item)
reads("counter", lambda: collections.Counter(a=1), lambda d: d["a"], lambda d, v: set_item(d, int(v)))
reads("ordered_dict", lambda: collections.OrderedDict(a=1.0), lambda d: d["a"], set_item)
reads("user_dict", lambda: collections.UserDict(a=1.0), lambda d: d["a"], set_item)
reads("user_list", lambda: collections.UserList([1.0]), lambda d: d[0], set_first)
reads("chain_map", lambda: collections.ChainMap({}, {"a": 1.0}), lambda d: d["a"], set_item)
reads("dict_with_attributes", lambda: DictWithAttributes(a=1.0), lambda d: d.a, set_item)
reads("set", lambda: {1.0}, lambda d: sum(d), lambda d, v: d.add(v))
reads("length_of_a_list", lambda: [0], len, lambda d, v: d.append(0))
reads("array_of_python", lambda: array.array("d", [1.0]), lambda d: d[0], set_first)
reads("bytes", lambda: bytearray(b"\x01"), lambda d: d[0], lambda d, v: set_first(d, int(v)))
reads("memoryview", lambda: memoryview(bytearray(b"\x01")), lambda d: d[0], lambda d, v: set_first(d, int(v)))
reads("attribute", Box, lambda b: b.inner, set_inner)
reads("property", Box, lambda b: b.computed, set_inner)
reads("method", Box, lambda b: b.method(), set_inner)
reads("slot", slots, lambda b: b.value, lambda b, v: setattr(b, "value", v))
reads("namespace", lambda: types.SimpleNamespace(a=1.0), lambda n: n.a, lambda n, v: setattr(n, "a", v))
reads("getattr", Box, lambda b: getattr(b, "in" + "ner"), set_inner)
reads("vars", Box, lambda b: vars(b)["inner"], set_inner)
reads("text", lambda: {"a": 1.0}, lambda d: float(repr(d["a"])), set_item)
reads("format", lambda: {"a": 1.0}, lambda d: float(f"{d['a']:.3f}"), set_item)
reads("sign", lambda: {"a": 1.0}, lambda d: 1.0 if d["a"] > 2 else -1.0, lambda d, v: set_item(d, v * 2))
reads("rounded", lambda: {"a": 1.0}, lambda d: round(d["a"]), set_item)
reads("mapping_proxy", lambda: {"a": 1.0}, lambda d: types.MappingProxyType(d)["a"], set_item)
reads("numpy_array", lambda: np.ones(3), lambda a: a, lambda a, v: a.fill(v))
reads("numpy_of_an_array", lambda: np.ones(3), lambda a: float(a.max()), lambda a, v: a.fill(v))
reads("tensor", lambda: tn.tensor([1.0, 1.0, 1.0]), lambda t: t, lambda t, v: setattr(t, "data", np.full(3, v)))
reads("random", lambda: random.Random(0), lambda r: r.random(), lambda r, v: None)
reads("random_state", lambda: np.random.RandomState(0), lambda r: r.rand(), lambda r, v: None)
reads("generator", lambda: np.random.default_rng(0), lambda r: r.random(), lambda r, v: None)
reads("coin", lambda: random.Random(4), lambda r: 1.0 if r.random() < 0.2 else 2.0, lambda r, v: None)
reads("iterator", lambda: iter(range(1, 99)), next, lambda r, v: None)
reads("count", lambda: itertools.count(1), next, lambda r, v: None)
reads("cycle", lambda: itertools.cycle([1.0, 2.0]), next, lambda r, v: None)


@case
def reads_a_global():
    globals()["scale"] = 1.0

    def step(x):
        return x * scale

    return step, lambda i: globals().update(scale=1.0 + (i > 5))


@case
def reads_a_module_of_the_user():
    config.lr = 1.0

    def step(x):
        return x * config.lr

    return step, lambda i: setattr(config, "lr", 1.0 + (i > 5))


@case
def reads_a_module_imported_in_the_step():
    sys.modules["tn_test_config"] = config
    config.lr = 1.0

    def step(x):
        import tn_test_config

        return x * tn_test_config.lr

    return step, lambda i: setattr(config, "lr", 1.0 + (i > 5))


@case
def reads_a_thread_local():
    context.scale = 1.0

    def step(x):
        return x * context.scale

    return step, lambda i: setattr(context, "scale", 1.0 + (i > 5))


@case
def reads_a_class_attribute():
    Box.value = 1.0

    def step(x):
        return x * Box.of_class()

    return step, lambda i: setattr(Box, "value", 1.0 + (i > 5))


@case
def reads_through_a_weak_reference():
    box = Box()
    reference = weakref.ref(box)

    def step(x):
        return x * reference().inner

    return step, lambda i: setattr(box, "inner", 1.0 + (i > 5))


@case
def reads_a_cell_of_another_function():
    inner = 1.0

    def factor():
        return inner

    def step(x):
        return x * factor()

    def after(i):
        nonlocal inner
        inner = 1.0 + (i > 5)

    return step, after


@case
def reads_the_environment():
    os.environ["TN_TEST_SCALE"] = "1"

    def step(x):
        return x * float(os.environ["TN_TEST_SCALE"])

    return step, lambda i: os.environ.update(TN_TEST_SCALE=str(1 + (i > 5)))


@case
def reads_the_clock():
    def step(x):
        return x * (time.perf_counter() > 0)

    return step, lambda i: None


@case
def reads_a_cached_function():
    box = Box()

    @functools.lru_cache
    def factor(n):
        return box.inner * n

    def step(x):
        return x * factor(2)

    def after(i):
        box.inner = 1.0 + (i > 5)
        factor.cache_clear()

    return step, after


@case
def reads_a_context_variable():
    import contextvars

    variable = contextvars.ContextVar("variable", default=1.0)

    def step(x):
        return x * variable.get()

    return step, lambda i: variable.set(1.0 + (i > 5)) and None


@case
def a_function_is_replaced():
    box = types.SimpleNamespace(f=np.sin)

    def step(x):
        return tn.tensor(x) * 1.0 if box.f is np.sin else tn.tensor(x) * 2.0

    return step, lambda i: setattr(box, "f", np.sin if i < 5 else np.cos)


@case
def code_is_replaced():
    def double(x):
        return x * 2.0

    def triple(x):
        return x * 3.0

    def step(x):
        return double(x)

    return step, lambda i: setattr(double, "__code__", triple.__code__) if i == 5 else None


@case
def a_default_is_replaced():
    def by(x, factor=2.0):
        return x * factor

    def step(x):
        return by(x)

    return step, lambda i: setattr(by, "__defaults__", (2.0 + (i > 5),))


@case
def a_method_is_replaced():
    class Maker:
        def make(self, x):
            return x * 2.0

    maker = Maker()

    def step(x):
        return maker.make(x)

    return step, lambda i: setattr(Maker, "make", lambda self, x: x * 3.0) if i == 5 else None


@case
def a_global_comes_to_hide_a_builtin():
    globals().pop("abs", None)

    def step(x):
        return tn.tensor(x) * abs(-2.0)

    def after(i):
        if i == 5:
            globals()["abs"] = lambda x: 7.0
        if i == CALLS:
            del globals()["abs"]

    return step, after


# --- effects on Python -----------------------------------------------------------------------------------------------


def does(name, holder, effect, state):
    """A step that changes something of Python besides."""

    def make():
        kept = holder()

        def step(x):
            effect(kept, x)
            return x * 2.0

        return step, lambda i: state(kept)

    CASES[f"does_{name}"] = make


does("append", list, lambda k, x: k.append(1), len)
does("append_a_result", list, lambda k, x: k.append(tn.sum(x)), len)
does("set_an_item", dict, lambda k, x: k.update(n=k.get("n", 0) + 1), lambda k: k["n"])
does("add_to_a_set", set, lambda k, x: k.add(len(k)), len)
does("append_to_a_deque", collections.deque, lambda k, x: k.append(1), len)
does("append_to_a_user_list", collections.UserList, lambda k, x: k.append(1), len)
does("count", collections.Counter, lambda k, x: k.update(["a"]), lambda k: k["a"])
does("set_an_attribute", Box, lambda k, x: setattr(k, "inner", k.inner + 1), lambda k: k.inner)
does("add_an_attribute", Box, lambda k, x: setattr(k, f"a{len(vars(k))}", 1), lambda k: len(vars(k)))
does("change_a_nested_list", lambda: Box([]), lambda k, x: k.inner.append(1), lambda k: len(k.inner))
does("fill_an_array", lambda: np.zeros(2), lambda k, x: k.__iadd__(1.0), lambda k: k.tolist())
does("copy_to_an_array", lambda: np.zeros(3), lambda k, x: np.copyto(k, k + 1), lambda k: k.tolist())
does("sort_an_array", lambda: np.array([3.0, 1.0]), lambda k, x: k.sort(), lambda k: k.tolist())
does("advance_a_generator", lambda: np.random.default_rng(0), lambda k, x: k.random(), lambda k: k.bit_generator.state)
does("write_to_a_string", io.StringIO, lambda k, x: k.write("a"), lambda k: k.getvalue())
does("print_to_a_string", io.StringIO, lambda k, x: print("a", file=k), lambda k: k.getvalue())
does("write_rows", io.StringIO, lambda k, x: csv.writer(k).writerow([1]), lambda k: k.getvalue())
does("put_in_a_queue", queue.Queue, lambda k, x: k.put_nowait(1), lambda k: k.qsize())
does("save", io.BytesIO, lambda k, x: np.save(k, X), lambda k: len(k.getvalue()))


@case
def does_print():
    written = io.StringIO()

    def step(x):
        with contextlib.redirect_stdout(written):
            print("a step")
        return x * 2.0

    return step, lambda i: written.getvalue()


@case
def does_write_to_the_terminal():
    def step(x):
        sys.stdout.write("")
        return x * 2.0

    return step, lambda i: None


@case
def does_log():
    seen, logger = [], logging.getLogger("tn test")
    logger.setLevel("INFO")
    logger.handlers[:] = [logging.Handler()]
    logger.handlers[0].emit = seen.append

    def step(x):
        logger.info("a step")
        return x * 2.0

    return step, lambda i: len(seen)


@case
def does_send():
    mine, other = socket.socketpair()

    def step(x):
        mine.send(b"a")
        return x * 2.0

    def after(i):
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return other.recv(1000)

    after.close = lambda: (mine.close(), other.close())
    return step, after


@case
def does_insert():
    database = sqlite3.connect(":memory:")
    database.execute("create table t (n)")

    def step(x):
        database.execute("insert into t values (1)")
        return x * 2.0

    def after(i):
        return database.execute("select count(*) from t").fetchone()

    after.close = database.close
    return step, after


@case
def does_write_a_file(tmp=[]):  # noqa: B006  one list for both runs
    name = f"/tmp/tn_test_{uuid.uuid4().hex}"

    def step(x):
        with open(name, "a") as file:
            file.write("a")
        return x * 2.0

    def after(i):
        return os.path.getsize(name) if os.path.exists(name) else 0

    after.close = lambda: os.path.exists(name) and os.remove(name)
    return step, after


@case
def does_count_in_a_cell():
    n = 0

    def step(x):
        nonlocal n
        n += 1
        return x * min(1.0, n / 10)

    return step, lambda i: n


@case
def does_count_in_a_global():
    WORLD.n = 0

    def step(x):
        WORLD.n += 1
        return x * WORLD.n

    return step, lambda i: WORLD.n


@case
def does_warn():
    def step(x):
        warnings.warn("a step", UserWarning, stacklevel=1)
        return x * 2.0

    return step, lambda i: None


# --- tensors, modules, optimisers ------------------------------------------------------------------------------------


def trained(change, **settings):
    """A training step; `change(model, optimizer, i)` happens after each call."""

    def make():
        model = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=0), tn.nn.Dropout(0.4, rng=1), tn.nn.Dense(4, 1, rng=2))
        optimizer = tn.optim.Adam(model.parameters(), lr=0.1, **settings)

        def step(x):
            optimizer.zero_grad()
            J = tn.sum(model(x.reshape(3, 1)) ** 2)
            J.backward()
            optimizer.step()
            return J

        def after(i):
            change(model, optimizer, i)
            return [(p.tolist(), None if p.grad is None else p.grad.tolist()) for p in model.parameters()]

        return step, after

    CASES[f"trained_{change.__name__}"] = make


@trained
def nothing_changes(model, optimizer, i):
    pass


@trained
def other_rate(model, optimizer, i):
    optimizer.param_groups[0]["lr"] *= 0.9


@trained
def other_setting(model, optimizer, i):
    optimizer.param_groups[0]["betas"] = (0.9 - 0.1 * (i > 5), 0.999)


@trained
def evaluated(model, optimizer, i):
    model.eval() if i % 4 == 3 else model.train()


@trained
def frozen(model, optimizer, i):
    model[0].W.requires_grad = i < 5


@trained
def replaced(model, optimizer, i):
    if i == 5:
        model[0].W = tn.tensor(np.ones((4, 3)), requires_grad=True)


@trained
def clipped_outside(model, optimizer, i):
    for p in model.parameters():
        p.data = np.clip(p.data, -0.5, 0.5)


@trained
def written_outside(model, optimizer, i):
    model[0].W.data[...] *= 0.9


@trained
def other_activation(model, optimizer, i):
    model[0].activation = tn.tanh if i < 5 else tn.relu


@trained
def less_dropped(model, optimizer, i):
    model[1].p = 0.4 if i < 5 else 0.1


@trained
def another_generator(model, optimizer, i):
    if i == 5:
        model[1].rng = np.random.default_rng(7)


@trained
def state_loaded(model, optimizer, i):
    if i == 5:
        optimizer.load_state_dict(optimizer.state_dict())
        model.load_state_dict({k: v * 0.5 for k, v in model.state_dict().items()})


@trained
def gradient_kept(model, optimizer, i):
    WORLD.kept = [p.grad for p in model.parameters()]


@trained
def layer_added(model, optimizer, i):
    if i == 5:
        model.layers = (*model.layers, tn.nn.Dense(1, 1, rng=3))


@case
def a_value_is_branched_on():
    def step(x):
        y = tn.sum(x)
        return y if y > 0 else -y

    return step, lambda i: None


@case
def the_guard_against_mutation_is_awake():
    w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step(x):
        w.zero_grad()
        y = w * x
        J = tn.sum(y * y)
        y.data[...] = y.data * 0.5
        J.backward()
        return J

    return step, lambda i: None


@case
def a_parameter_is_written_between():
    w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step(x):
        w.zero_grad()
        J = tn.sum(w * w * x)
        w.data -= 0.1
        J.backward()
        return J

    return step, lambda i: None


@case
def an_index_with_repeats():
    w, index = tn.tensor([1.0, 2.0, 3.0], requires_grad=True), np.array([0, 0, 2])

    def step(x):
        w.zero_grad()
        J = tn.sum(w[index] * x)
        J.backward()
        return J

    return step, lambda i: w.grad.tolist()


@case
def an_item_is_assigned():
    index = np.array([0, 2])

    def step(x):
        y = tn.tensor(x) * 2.0
        with tn.no_grad():
            z = y.detach()
            z[index] = 7.0
        return z

    return step, lambda i: None


@case
def an_error_after_the_update():
    w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    fails = [True]

    def step(x):
        w.zero_grad()
        J = tn.sum(w * w * x)
        J.backward()
        w.data -= 0.1 * w.grad
        if fails[0]:
            raise KeyError("mine")
        return J

    def after(i):
        fails[0] = i % 3 == 0
        return w.tolist(), w.grad.tolist()

    return step, after


@case
def an_average_is_kept():
    w, average = tn.tensor([1.0, 2.0, 3.0], requires_grad=True), tn.tensor([0.0, 0.0, 0.0])

    def step(x):
        w.zero_grad()
        J = tn.sum(w * w * x)
        J.backward()
        w.data -= 0.01 * w.grad
        average.data[...] = 0.9 * average.data + 0.1 * w.data
        return J

    return step, lambda i: average.tolist()


@case
def an_attribute_is_set_in_forward():
    class Last(tn.nn.Module):
        def forward(self, x):
            self.last = x * 2.0
            return self.last

    model = Last()

    def step(x):
        return model(tn.tensor(x))

    return step, lambda i: None if not hasattr(model, "last") else np.shape(model.last)


@case
def an_argument_with_history():
    base = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step(x):
        tn.sum(base * 2.0 * x).backward()
        return base.grad

    return step, lambda i: base.zero_grad()


# --- the contract ----------------------------------------------------------------------------------------------------


def plain(seen):
    """What was seen, to be compared."""
    if isinstance(seen, (list, tuple)):
        return [plain(x) for x in seen]
    if isinstance(seen, tn.Tensor):
        return plain(seen._value)
    if isinstance(seen, (np.ndarray, np.generic)):
        return seen.dtype.str, np.shape(seen), np.asarray(seen).tolist()
    return seen


def run(make, compiled):
    """What the calls give and leave behind, and the CompileError that ended them."""
    step, after = make()
    call, seen, error = compiled(step), [], None
    try:
        for i in range(CALLS):
            x = X + (i % 3)
            try:
                result = call(x)
            except KeyError as own:
                result = repr(own)
            except tn.MutationError as own:
                result = type(own).__name__
            seen.append(plain([result, after(i)]))
    except tn.CompileError as found:
        error = found
        if hasattr(found, "result"):  # the call that was refused has ended as an eager one
            seen.append(plain([found.result, after(i)]))
    finally:
        after(CALLS)
        getattr(after, "close", lambda: None)()
    return seen, error


@pytest.fixture(autouse=True)
def no_tracer_stays_behind():
    yield
    gc.collect()
    left = [x for x in gc.get_objects() if type(x) is tn.Tensor and isinstance(x._value, Tracer)]
    assert left == []


@pytest.mark.filterwarnings("ignore:a step", "ignore:.*carried out as it is")
@pytest.mark.parametrize("audit", [1, True])
@pytest.mark.parametrize("name", CASES)
def test_right_refused_or_named_at_the_next_audit(name, audit):
    wanted, _ = run(CASES[name], lambda step: step)
    seen, error = run(CASES[name], functools.partial(tn.compile, audit=audit))
    wrong = next((i for i, (a, b) in enumerate(zip(seen, wanted, strict=False)) if a != b), None)
    if error is None:
        assert len(seen) == len(wanted)
        assert wrong is None
    elif wrong is not None:  # stale, but not for long
        assert audit is True
        assert "differs from the step itself" in str(error) or "the step changes" in str(error)
    assert error is None or ": " in str(error)  # what to do


def test_at_least_a_hundred():
    assert len(CASES) >= 100
