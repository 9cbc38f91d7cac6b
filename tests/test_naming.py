"""What tensors are called: as in the program, and the same in pictures, explanations and lists of paths."""

import gc
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_nn as tn


def number(value=2.0):
    return tn.tensor(value, requires_grad=True)


def names_in(picture):
    return [box.name for box in picture.scene.boxes]


def test_paths_pictures_and_explanations_use_the_same_names():
    a, b = number(2.0), number(3.0)
    d = a * b
    e = a + b
    f = d * e * d
    paths = tn.paths(f, a)
    assert repr(paths) == "<sum over 3 paths from a to f>"
    assert next(repr(path) for path in paths) == "<path a → d → v₁ → f: 90>"
    assert names_in(tn.draw(f, a)) == ["a", "b", "d", "e", "v₁", "f"]
    assert "a → d → v₁ → f" in tn.explain(f, a)
    assert repr(paths.through("d")) == "<sum over 2 paths from a to f>"
    with pytest.raises(ValueError, match=r"no node on these paths is called 'c'; there are a, d, e, f$"):
        paths.through("c")


def test_only_numbered_names_are_marked():
    a = number()
    f = tn.exp(a * 2) + np.ones(2)
    assert {box.name: box.numbered for box in tn.draw(f).scene.boxes} == {
        "a": False, "v₁": True, "v₂": True, "c₁": True, "f": False
    }  # fmt: skip
    assert "<i>" in tn.draw(f).source
    assert "<i>" not in tn.draw(a).source


def test_lists_dicts_objects_and_named_tuples_are_searched():
    stack = [SimpleNamespace(W=number()), {"rate": 0.1, "w": number(), 3: number()}]
    y = stack[0].W * stack[1]["w"] * stack[1][3]
    assert names_in(tn.draw(y))[:3] == ["stack[0].W", "stack[1]['w']", "stack[1][3]"]


def test_parameters_that_share_a_name_are_told_apart_by_where_they_are():
    layers = [tn.nn.Dense(2, 2), tn.nn.Dense(2, 1)]
    h = np.ones((2, 1))
    for layer in layers:
        h = layer(h)
    assert {"layers[0].W", "layers[1].W", "layers[0].b", "layers[1].b"} <= set(names_in(tn.draw(h)))


def test_own_names_go_before_paths():
    model = tn.nn.Sequential(tn.nn.Dense(2, 2, "tanh"), tn.nn.Dense(2, 1))
    assert {"W¹", "W²"} <= set(names_in(tn.draw(model(np.ones((2, 1))))))


def test_what_a_loop_left_over_names_nothing_that_has_a_better_name():
    params = {"w": number(), "b": number()}
    for _, p in params.items():
        p.grad = None
    for q in [params["b"], number(7.0)]:
        q.grad = None
    y = params["w"] * p + q
    assert names_in(tn.draw(y)) == ["params['w']", "params['b']", "q", "v₁", "y"]


def test_a_variable_goes_before_the_place_it_came_from():
    params = [number(), number()]
    w = params[0]
    y = w * params[1]
    assert names_in(tn.draw(y)) == ["w", "params[1]", "y"]


W = number()


def f_of(x):
    h = W * x
    return tn.tanh(h)


def twice_of(x):
    h = x
    for _ in range(2):
        h = tn.tanh(h)
    return h


def shown(z):
    return tn.draw(z)


def test_functions_that_have_ended_name_what_they_assigned():
    x = number()
    y = f_of(x)
    assert names_in(tn.draw(y)) == ["W", "x", "h", "y"]
    y = twice_of(x)
    assert names_in(tn.draw(y)) == ["x", "v₁", "y"]  # both were called h


def test_what_was_assigned_goes_before_the_place_where_it_is_kept():
    def make():
        kept = tn.exp(number())
        again = kept
        for _ in range(2):
            again = tn.sin(again)
        return [kept, again]

    results = make()
    assert names_in(tn.draw(results[1]))[1:] == ["kept", "v₂", "results[1]"]


def test_callers_of_the_caller_name_their_variables():
    x = number()
    assert names_in(shown(tn.exp(x))) == ["x", "z"]


def test_a_function_names_what_it_remembers():
    def make():
        kept = number()
        return lambda x: kept * x

    model = make()
    x = number()
    assert names_in(tn.draw(model(x))) == ["kept", "x", "z"]


def test_arrays_are_called_as_the_variable_that_was_passed_in():
    x, w = np.array([1.0, 2.0]), tn.tensor([3.0, 4.0], requires_grad=True)
    assert names_in(tn.draw(w * x)) == ["w", "x", "z"]
    inputs = tn.tensor(x * 2)
    other = np.array([2.0, 4.0])
    assert names_in(tn.draw((inputs * w).sum())) == ["w", "inputs", "v₁", "z"]
    assert names_in(tn.draw(w * tn.tensor(other))) == ["w", "other", "z"]


def test_given_names_alone_count_where_there_are_some():
    a, b = number(), number()
    c = a * b
    assert names_in(tn.draw(c, names={"left": a})) == ["left", "v₁", "z"]
    assert repr(tn.paths(c, a, names={"left": a})) == "<sum over 1 path from left to z>"


def test_an_object_that_the_package_made_names_nothing():
    _hidden = number()
    optimizer, kept = tn.optim.SGD([_hidden], lr=0.1), tn.paths(tn.exp(_hidden), _hidden)
    assert optimizer
    assert kept.count == 1
    assert names_in(tn.draw(tn.sin(_hidden))) == ["v₁", "z"]


def with_an_array():
    x = np.ones(1000)
    a = number()
    return tn.paths(tn.exp(a), a), weakref.ref(x)


def test_names_keep_no_array_alive():
    paths, gone = with_an_array()
    gc.collect()
    assert gone() is None
    assert repr(paths) == "<sum over 1 path from a to z>"


def test_large_data_of_the_caller_takes_no_time():
    table = [[[0.0] * 3 for _ in range(100)] for _ in range(1000)]
    codes = dict.fromkeys(range(100_000), "text")
    a = number()
    z = tn.exp(a)
    start = time.perf_counter()
    assert names_in(tn.draw(z, show=())) == ["a", "z"]
    assert time.perf_counter() - start < 0.5
    assert len(table) + len(codes) == 101_000


class Hostile:
    @property
    def __dict__(self):
        raise RuntimeError("do not look")


def test_objects_that_refuse_to_be_looked_at_are_left_alone():
    hostile, cycle = Hostile(), []
    cycle.append([cycle, hostile])
    a = number()
    assert names_in(tn.draw(tn.exp(a))) == ["a", "z"]


def test_wild_keys_are_text():
    params = {'"]<script>\x00': number()}
    z = tn.exp(params['"]<script>\x00'])
    assert names_in(tn.draw(z)) == ["params['\"]<script>\\x00']", "z"]
    assert "<script" not in tn.draw(z).svg()


@pytest.mark.parametrize(("z", "t", "role"), [("z", "a", "z"), ("b", "a", "t")])
def test_paths_between_things_that_are_no_tensors_are_refused(z, t, role):
    a = number()
    values = {"b": tn.exp(a), "z": 1.0, "a": "a"}
    with pytest.raises(TypeError, match=f"paths takes tensors, {role} is of type"):
        tn.paths(values[z], values[t])
