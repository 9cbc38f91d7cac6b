"""Values that belong to the step itself are followed, wherever Python keeps them: its globals, its self, its class."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest

import tinygrad_nn as tn

X = np.ones(2)
factor = 2.0


@pytest.fixture(autouse=True)
def _usual_factor():
    yield
    globals().update(factor=2.0)


# --- globals, however the function is written ------------------------------------------------------------------------


def in_one_line():
    return lambda x: tn.sum(x) * factor


def over_several_lines():
    f = (  # noqa: E731  a lambda is what it is about
        lambda x: tn.sum(x)
        * factor
    )  # fmt: skip
    return f


def among_others():
    functions = {"a": lambda x: x, "b": lambda x: (
        tn.sum(x)
        * factor)}  # fmt: skip
    return functions["b"]


def behind_a_decorator():
    def twice(f):
        return lambda x: f(x) * 1

    @twice
    def step(x):
        return tn.sum(x) * factor

    return step


def within_a_comprehension():
    return lambda x: sum(tn.sum(x) * factor for _ in range(1))


def without_source():
    made = {"tn": tn}
    exec("def step(x):\n    return tn.sum(x) * factor", globals() | made, made)
    step = made["step"]
    return type(step)(step.__code__, globals(), "step")


def within_a_compiled_step():
    inner = tn.compile(lambda x: tn.sum(x) * factor)
    return lambda x: inner(x) * 1


def behind_a_cache():
    @functools.cache
    def scaled(n):
        return lambda x: tn.sum(x) * n * factor

    return lambda x: scaled(1)(x)


WRITTEN = [
    in_one_line, over_several_lines, among_others, behind_a_decorator, within_a_comprehension, without_source,
    within_a_compiled_step, behind_a_cache,
]  # fmt: skip


@pytest.mark.parametrize("make", WRITTEN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("calls", [1, 4])
def test_globals(make, calls):
    step = tn.compile(make(), audit=False)
    for _ in range(calls):
        assert step(X).item() == 4.0
    globals().update(factor=5.0)
    assert step(X).item() == 10.0


# --- attributes of self ----------------------------------------------------------------------------------------------


class Plain:
    scale = 2.0

    def step(self, x):
        return tn.sum(x) * self.scale


class Inheriting(Plain):
    pass


class ByProperty(Plain):
    @property
    def twice(self):
        return self.scale + self.scale

    def step(self, x):
        return tn.sum(x) * self.twice


class ByHelper(Plain):
    def scaled(self, x):
        return x * self.scale

    def step(self, x):
        return self.scaled(tn.sum(x))


class Called(Plain):
    def __call__(self, x):
        return tn.sum(x) * self.scale


class Decorated(Plain):
    @tn.compile
    def step(self, x):
        return tn.sum(x) * self.scale


class Inner(Decorated):
    def step(self, x):
        return super().step(x) * 1


@dataclasses.dataclass
class Data:
    scale: float = 2.0
    step = Plain.step


@dataclasses.dataclass(slots=True)
class Slotted:
    scale: float = 2.0

    def step(self, x):
        return tn.sum(x) * self.scale


class Model(tn.nn.Module):
    scale = 2.0

    def forward(self, x):
        return tn.sum(x) * self.scale

    step = forward


class ByClass(Plain):
    @classmethod
    def step(cls, x):
        return tn.sum(x) * cls.scale


CLASSES = [Plain, Inheriting, ByProperty, ByHelper, Called, Decorated, Inner, Data, Slotted, Model, ByClass]


def of_object(made, value):
    made.scale = value


def of_its_class(made, value):
    type(made).scale = value


def of_its_parent(made, value):
    type(made).__mro__[1].scale = value


def removed(made, _):
    vars(made).pop("scale", None)


CHANGES = [of_object, of_its_class, of_its_parent, removed]


@pytest.mark.parametrize(
    "changes", [*itertools.permutations(CHANGES, 2)], ids=lambda c: "_".join(f.__name__ for f in c)
)
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_attributes_of_self(cls, changes):
    """One change after the other, each followed at the next call, audited or not."""
    if cls in (Slotted, Data) and not {*changes} <= {of_object, removed}:
        pytest.skip("the value is always the object's own")
    kept = {c: dict(vars(c)) for c in cls.__mro__[:2] if not c.__module__.startswith("tinygrad_nn")}
    made = cls()
    plain = (
        (made if cls is Called else made.step) if cls is not Decorated else functools.partial(cls.step.function, made)
    )
    step = made.step if cls is Decorated else tn.compile(plain, audit=False)
    try:
        for i, change in enumerate([lambda *_: None, *changes]):
            if change is removed and not hasattr(made, "__dict__"):
                continue
            if change is of_its_parent and cls.__mro__[1] in (object, tn.nn.Module):
                continue
            change(made, 3.0 + i)
            for _ in range(3):
                assert step(X).item() == plain(X).item()
    finally:
        for c, attributes in kept.items():
            for name in [*vars(c)]:
                if name not in attributes:
                    delattr(c, name)
            if "scale" in attributes and attributes["scale"] is not vars(c)["scale"]:
                c.scale = attributes["scale"]


def test_a_method_that_is_replaced():
    class Steps(Plain):
        def loss(self, x):
            return tn.sum(x)

        def step(self, x):
            return self.loss(x)

    made = Steps()
    step = tn.compile(made.step, audit=False)
    assert [step(X).item() for _ in range(3)] == [2.0, 2.0, 2.0]
    Steps.loss = lambda self, x: tn.sum(x) * 7
    assert step(X).item() == 14.0
    made.loss = lambda x: tn.sum(x) * 3
    assert step(X).item() == 6.0


def test_an_object_that_answers_to_any_name():
    class Items(dict):
        def __getattr__(self, name):
            return self[name]

    items = Items(scale=2.0)
    step = tn.compile(lambda x: tn.sum(x) * items.scale)
    assert step(X).item() == 4.0
    items["scale"] = 5.0
    assert step(X).item() == 10.0
