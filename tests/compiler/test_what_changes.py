"""What may change between the calls of a step: each call gives what it gives eagerly, or a CompileError."""

import contextvars
import gc

import numpy as np
import pytest

import tinygrad_nn as tn

CASES = {}
X = np.array([1.0, -2.0])


def case(make):
    """A case yields what can be seen of a step after each call; `compiled` is `tn.compile`, or changes nothing."""
    CASES[make.__name__] = make
    return make


def parameter(*values, dtype=float):
    return tn.tensor(np.array(values or (1.0, 2.0), dtype), requires_grad=True)


def training(optimizer, p, *, after=lambda: None, before=lambda: None):
    def step(x):
        before()
        optimizer.zero_grad()
        (p * x * p).sum().backward()
        optimizer.step()
        after()

    return step


# --- arguments -------------------------------------------------------------------------------------------------------


@case
def numpy_scalars(compiled):
    step = compiled(lambda x, k: x * k + k**3)
    for k in (1.0, 2.0, 3.0, 0.3, 0.7):
        yield step(X, np.float64(k))
        yield step(X.astype(np.float32), np.float32(k))


@case
def strides(compiled):
    step = compiled(lambda x: np.sum(x * x, axis=1))
    x = np.random.default_rng(0).normal(size=(30, 422))
    for given in (x, x, x, np.asfortranarray(x), x[:, ::2].copy(), x[:, ::2], x):
        yield step(given)


@case
def ranges(compiled):
    step = compiled(lambda x, r: x * r.start)
    for r in (range(2), range(2), range(5, 5), range(0), range(3, 3)):
        yield step(X, r)


@case
def a_tensor_given_twice_and_another(compiled):
    a, b = parameter(), parameter(3.0, 4.0)
    step = compiled(lambda s, t, u: (s * t * u).sum())
    for given in ((a, b, a), (a, b, a), (a, a, b), (a, b, a)):
        yield step(*given).item()


@case
def a_tensor_that_comes_to_share_memory(compiled):
    p = parameter()

    def step(t):
        p.data *= 2
        return (t * 1).sum()

    step = compiled(step)
    for given in (tn.tensor(X), tn.tensor(X), tn.tensor(X), p.detach(), tn.tensor(X)):
        yield step(given).item(), p.numpy()


@case
def a_captured_tensor_that_comes_to_share_memory(compiled):
    p, q = parameter(), tn.tensor(X)

    def step():
        p.data *= 2
        return (q * 1).sum()

    step = compiled(step)
    for i in range(6):
        if i == 3:
            q.data = p.data
        yield step().item(), p.numpy()


# --- settings, modules, objects --------------------------------------------------------------------------------------


@case
def settings_of_other_types(compiled):
    p = parameter()
    optimizer = tn.optim.SGD([p], lr=0.1, momentum=0.5)
    step = compiled(training(optimizer, p))
    for key, value in (("lr", 0.1), ("lr", 1), ("lr", np.float64(0.2)), ("lr", np.array([0.1, 0.2])), ("momentum", 0.0),
                       ("momentum", 0.9), ("weight_decay", 0.1), ("lr", 0.1), ("lr", 0.0), ("lr", 0.3)):  # fmt: skip
        optimizer.param_groups[0][key] = value
        step(X)
        yield p.numpy()


@case
def settings_that_the_step_changes(compiled):
    p = parameter()
    optimizer = tn.optim.SGD([p], lr=0.1)
    group = optimizer.param_groups[0]
    step = compiled(training(optimizer, p, after=lambda: group.update(lr=group["lr"] * 0.5)))
    for _ in range(4):
        step(X)
        yield p.numpy()


@case
def settings_that_the_step_reads(compiled):
    optimizer = tn.optim.SGD([parameter()], lr=0.1)
    step = compiled(lambda x: x * optimizer.param_groups[0]["lr"])
    for rate in (0.1, 0.1, 0.1, 0.2, 0.2, 0.3):
        optimizer.param_groups[0]["lr"] = rate
        yield step(X)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Rprop"])
def test_optimizers_may_be_declared(name):
    def trained(compiled):
        p, q = parameter(), parameter(3.0, 4.0, 5.0)
        optimizer = getattr(tn.optim, name)([p, q], lr=0.1)
        schedule = tn.optim.ExponentialLR(optimizer, 0.9)

        def step(x):
            optimizer.zero_grad()
            ((p * x).sum() * (q * q).sum()).backward()
            optimizer.step()
            schedule.step()

        step = compiled(step)
        for _ in range(6):
            step(X)
        return p.numpy().tolist(), q.numpy().tolist(), optimizer.param_groups[0]["lr"]

    declared = {}

    def compiled(step):
        found = dict(zip(step.__code__.co_freevars, step.__closure__, strict=True))
        declared.update({name: found[name].cell_contents for name in ("optimizer", "schedule")})
        return tn.compile(step, state=[*declared.values()])

    assert trained(compiled) == trained(lambda step: step)
    assert len(declared) == 2


@case
def further_parameters(compiled):
    p, q = parameter(), parameter(3.0, 4.0)
    optimizer = tn.optim.SGD([p], lr=0.1)
    step = compiled(training(optimizer, p))
    for i in range(9):
        q.grad = np.ones(2)
        if i == 3:
            optimizer.add_param_group({"params": [q]})
        if i == 6:
            optimizer.param_groups[0]["params"].append(q)
        step(X)
        yield p.numpy(), q.numpy()


SCHEDULES = {
    "exponential": lambda o: tn.optim.ExponentialLR(o, 0.9),
    "cosine": lambda o: tn.optim.CosineAnnealingLR(o, 5),
    "one_cycle": lambda o: tn.optim.OneCycleLR(o, max_lr=0.5, total_steps=40),
}


def with_schedule(place, make):
    def changes(compiled):
        p = parameter()
        optimizer = tn.optim.SGD([p], lr=0.1, momentum=0.5)
        step = compiled(training(optimizer, p, **{place: make(optimizer).step}))
        for _ in range(18):
            step(X)
            yield p.numpy(), optimizer.param_groups[0]["lr"]

    return changes


for _place in ("before", "after"):
    for _name, _make in SCHEDULES.items():
        CASES[f"schedule_{_name}_{_place}_the_update"] = with_schedule(_place, _make)


@case
def attributes_of_modules_that_do_not_run(compiled):
    class Scaled(tn.nn.Module):
        def __init__(self):
            self.scale = 2.0

        def forward(self, x):
            return x * self.scale

    module = Scaled()
    steps = [compiled(lambda x: x * module.scale), compiled(lambda x: module.forward(x) * module.training)]
    for scale in (2.0, 2.0, 2.0, 5.0, 5.0, 7.0):
        module.scale = scale
        yield [step(X) for step in steps]
    module.eval()
    yield [step(X) for step in steps]


@case
def objects_that_are_called(compiled):
    class Step:
        k = 1.0

        def __init__(self):
            self.rate = 2.0

        def __call__(self, x):
            return self.scaled(x) * self.k

        def scaled(self, x):
            return x * self.rate

    called = Step()
    step = compiled(called)
    for rate in (2.0, 2.0, 2.0, 5.0, 7.0):
        called.rate = rate
        yield step(X)


@pytest.mark.parametrize("kind", ["slots", "class", "attribute of a class", "nothing to compare"])
def test_declared_objects(kind):
    class Slots:
        __slots__ = ("a",)

    class Plain:
        a = 1.0

    holder = {"slots": Slots(), "class": Plain, "attribute of a class": Plain(), "nothing to compare": object()}[kind]
    if kind == "nothing to compare":
        with pytest.raises(tn.CompileError, match=r"state\[0\] is a object, and a change in it would go unnoticed"):
            tn.compile(lambda x: x, state=[holder])(X)
        return
    target = Plain if "class" in kind else holder
    target.a = 1.0
    step = tn.compile(lambda x: x * holder.a, state=[holder])
    for value in (1.0, 1.0, 1.0, 2.0, 3.0):
        target.a = value
        np.testing.assert_array_equal(step(X), X * value)


# --- gradients -------------------------------------------------------------------------------------------------------


@case
def a_gradient_of_two_parameters(compiled):
    p, q = parameter(), parameter(3.0, 4.0)
    p.grad = q.grad = np.ones(2)
    update = compiled(tn.optim.SGD([p, q], lr=0.1).step)
    for i in range(5):
        if i == 2:
            p.grad, q.grad = np.ones(2), np.full(2, 10.0)
        update()
        yield p.numpy(), q.numpy()


@case
def gradients_that_are_exchanged(compiled):
    p, q = parameter(), parameter()
    p.grad, q.grad = np.array([1.0, 1.0]), np.array([2.0, 2.0])

    def step():
        p.grad, q.grad = q.grad, p.grad

    step = compiled(step)
    for _ in range(5):
        step()
        yield p.grad.copy(), q.grad.copy()


@case
def a_gradient_changed_in_place(compiled):
    p = parameter()
    held = p.grad = np.zeros(2)

    def step(x):
        p.grad += x

    step = compiled(step)
    for _ in range(6):
        step(X)
        yield held.copy(), p.grad.copy(), held is p.grad


@case
def gradients_of_other_shapes_and_dtypes(compiled):
    p = parameter()
    update = compiled(tn.optim.SGD([p], lr=0.1).step)
    for grad in (np.ones(2), np.ones(2), np.array([1 / 3, 2 / 3], np.float32), np.array([1.0]), np.ones((3, 2)), None):
        p.grad = grad
        try:
            update()
        except tn.ShapeError as error:
            yield str(error)
        yield p.numpy()


# --- NumPy -----------------------------------------------------------------------------------------------------------


@case
def out_with_where(compiled):
    p, k = parameter(5.0, 6.0), np.zeros(2)

    def step(x):
        np.add(x, 1, where=x > 0, out=p.data)
        np.multiply(x, 3, out=k, where=x > 0)
        return x

    step = compiled(step)
    for sign in (1, 1, 1, -1):
        step(X * sign)
        yield p.numpy(), k.copy()


@case
def out_with_where_into_a_new_array(compiled):
    step = compiled(lambda x: np.add(x, 1, where=x > 0, out=np.zeros(2)))
    for sign in (1, 1, -1, 1, -1):
        yield step(X * sign)


@case
def numbers_are_not_changed_in_place(compiled):
    def step(x):
        a = b = x.sum()
        a += 1
        return a, b

    step = compiled(step)
    for _ in range(3):
        yield step(X)


@case
def numbers_in_other_dtypes(compiled):
    step = compiled(lambda x: x.sum().astype(np.float64) ** 0.37 * x)
    for scale in (1, 2, 3, 4):
        yield step(np.array([0.3, 4.1], np.float32) * scale)


# --- what is called for what it does ---------------------------------------------------------------------------------


@case
def effects_that_read_tensors(compiled):
    p, seen = parameter(), []
    optimizer = tn.optim.SGD([p], lr=0.1)
    look = tn.at_each_replay(lambda: seen.append((p.numpy(), p.grad.copy())))
    step = compiled(training(optimizer, p, after=look))
    for _ in range(5):
        step(X)
    yield from seen


@case
def effects_in_the_context_of_the_caller(compiled):
    number, seen = contextvars.ContextVar("number"), []
    look = tn.at_each_replay(lambda: seen.append(number.get()))
    p = parameter()
    step = compiled(training(tn.optim.SGD([p], lr=0.1), p, after=look))
    for i in range(5):
        number.set(i)
        step(X)
    yield from seen


# --- numbers that are not finite, errors, and what has to be put back then -----------------------------------------


def behind_a_choice(values):
    """The gradient through a choice is 0 where nothing was chosen, though NaN comes back to it."""

    def changes(compiled):
        p, scale = parameter(-1.0, 2.0), [1.0]

        def step(x):
            p.grad = None
            (tn.relu(p * x) * scale[0]).sum().backward()

        step = compiled(step)
        for scale[0] in values:
            step(np.ones(2))
            yield p.grad.copy()

    return changes


for _values in ((1.0, 1.0, np.nan, np.nan, 1.0, np.inf, 2.0), (np.nan, np.nan, 1.0, 1.0)):
    CASES[f"behind_a_choice_{_values[0]}_first"] = behind_a_choice(_values)


@case
def arguments_behind_a_choice(compiled):
    p = parameter(-1.0, 2.0)
    optimizer = tn.optim.Adam([p], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (tn.relu(p) * x).sum().backward()
        optimizer.step()

    step = compiled(step)
    for x in (X, X, X, X * np.nan, X, X * np.inf, X, X, X):
        step(x)
        yield p.numpy(), p.grad.copy()


@case
def draws_before_an_error(compiled):
    rng = np.random.default_rng(0)
    drop = tn.nn.Dropout(0.5, rng=rng)
    step = compiled(lambda A: tn.inv(A) * drop(tn.tensor(np.ones((2, 2)))))
    for A in (np.eye(2), np.eye(2), np.eye(2), np.zeros((2, 2)), np.eye(2), np.zeros((2, 2)), np.eye(2)):
        try:
            yield step(A)
        except np.linalg.LinAlgError as error:
            yield str(error)
        yield rng.bit_generator.state["state"]["state"] % 2**60


@case
def draws_that_nobody_reads(compiled):
    drop = tn.nn.Dropout(0.5, rng=np.random.default_rng(0))

    def step(x):
        drop(tn.tensor(x))

    step = compiled(step)
    for _ in range(5):
        step(X)
        yield drop.rng.bit_generator.state["state"]["state"] % 2**60


@case
def a_number_for_a_tensor(compiled):
    step = compiled(lambda x, k: x * k)
    for k in (tn.tensor(2.0), tn.tensor(3.0), 4.0, tn.tensor(2.0), np.array(3.0), tn.tensor(1.0), 2.0):
        yield step(X, k)


@pytest.mark.parametrize("audit", [1, True])
def test_a_refused_audit_leaves_what_an_eager_call_leaves(audit):
    def world():
        p = parameter()
        optimizer = tn.optim.SGD([p], lr=0.1, momentum=0.5)
        return p, optimizer, tn.optim.ExponentialLR(optimizer, 0.9)

    thing = Holder()
    thing.kept = 1.0
    (p, optimizer, schedule), (q, eager, other) = world(), world()

    def make(p, optimizer, schedule):
        def step(x):
            optimizer.zero_grad()
            loss = (p * x * p).sum() * thing.kept
            loss.backward()
            optimizer.step()
            schedule.step()
            return loss

        return step

    compiled, plainly = tn.compile(make(p, optimizer, schedule), audit=audit), make(q, eager, other)
    for i in range(4):
        thing.kept = 1.0 if i < 3 else 2.0
        wanted = plainly(X)
        if i == 3:
            with pytest.raises(tn.CompileError, match=r"multiply got 1\.0 when it was recorded, 2\.0 now") as refused:
                compiled(X)
            assert refused.value.result.item() == wanted.item()
        else:
            compiled(X)
        assert (p.numpy().tolist(), p.grad.tolist()) == (q.numpy().tolist(), q.grad.tolist())
        assert plain(optimizer.state_dict()["param_groups"][0]["lr"]) == plain(eager.param_groups[0]["lr"])
        assert schedule.state_dict() == other.state_dict()


# --- all of them -----------------------------------------------------------------------------------------------------


def plain(seen):
    if isinstance(seen, (tuple, list)):
        return [plain(x) for x in seen]
    array = np.asarray(seen)
    return (repr(array.tolist()), array.dtype.str) if array.dtype.kind != "U" else str(seen)


def until_refused(case):
    found = []
    try:
        for seen in case(tn.compile):
            found.append(plain(seen))
    except tn.CompileError:
        found.append(tn.CompileError)
    return found


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_each_call_is_the_eager_one(name):
    wanted = [plain(seen) for seen in CASES[name](lambda step: step)]
    found = until_refused(CASES[name])
    if name == "settings_that_the_step_changes":  # an audit finds nothing wrong, as the first call is refused
        assert found.pop() is tn.CompileError
    assert found == wanted[: len(found)]
    assert len(found) == len(wanted) or not found


class Slots:
    __slots__ = ("kept",)


class Holder:
    kept = None


KEPT = contextvars.ContextVar("kept")
slots = Slots()


@pytest.mark.parametrize("put", [
    lambda y: setattr(slots, "kept", y), lambda y: setattr(Holder, "kept", y), KEPT.set,
], ids=["slots", "class", "contextvar"])  # fmt: skip
@pytest.mark.parametrize("tensor", [False, True])
def test_values_that_are_kept_out_of_sight(put, tensor):
    p = parameter()

    def step(x):
        y = x * 2 * p if tensor else x * 2
        put(y)
        return y + 1

    with pytest.raises(tn.CompileError, match=r"keeps a value that it computes .*x \* 2") as caught:
        tn.compile(step)(X)
    wanted, found = step(X), caught.value.result
    np.testing.assert_array_equal(*(x.data if tensor else x for x in (found, wanted)))
    kept = [KEPT.get(None), Holder.kept, getattr(slots, "kept", None)]
    for y in kept:
        if y is not None and not tensor:
            np.testing.assert_array_equal(y + 1, X * 2 + 1)
            assert y.sum() == (X * 2).sum()
    slots.kept = Holder.kept = None
    KEPT.set(None)


def test_ordinary_steps_leave_nothing_to_collect():
    p = parameter()
    step = tn.compile(training(tn.optim.Adam([p], lr=0.1), p))
    gc.collect()
    gc.disable()
    try:
        before = {id(x): x for x in gc.get_objects() if type(x).__name__ == "Tracer"}  # what other tests hold
        step(X)
        assert not [x for x in gc.get_objects() if type(x).__name__ == "Tracer" and id(x) not in before]
    finally:
        gc.enable()


def test_keys_that_are_no_literals_are_named():
    step = tn.compile(lambda d: {k: v * 2 for k, v in d.items()})
    with pytest.raises(tn.CompileError, match="a dict whose keys are not all strings"):
        step({object: X})
