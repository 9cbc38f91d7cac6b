"""Rules as data: carried out again they are the rules, and what cannot be data says why."""

import json

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.rule_trees import (
    Instruction,
    NotTraceable,
    Numbers,
    Rule,
    array_from_numbers,
    as_numbers,
    forward_tree,
    plain_params,
    replay,
    rule_tree,
)
from tinygrad_nn.samples import samples_of

ENTRIES = sorted(
    (op for op in BY_NAME.values() if isinstance(op, Op) and op.__module__.startswith("tinygrad_nn.ops")),
    key=lambda op: op.name,
)


def calls(op):
    for args, params in samples_of(op):
        yield [np.asarray(op.checks.prepare(a) if op.checks.prepare else a) for a in args], params


def through_json(rule):
    """The rule after a journey as text."""
    record = {
        "result": rule.result,
        "code": [[i.op, i.args, i.params, i.dtype] for i in rule.code],
        "arrays": [[n.value, n.shape, n.dtype] for n in rule.arrays],
    }
    back = json.loads(json.dumps(record))
    code = tuple(Instruction(op, tuple(args), params, dtype) for op, args, params, dtype in back["code"])
    arrays = tuple(Numbers(tuple(value), tuple(shape), dtype) for value, shape, dtype in back["arrays"])
    assert Rule(back["result"], code, arrays) == rule
    return Rule(back["result"], code, arrays)


@pytest.mark.parametrize("op", ENTRIES, ids=lambda op: op.name)
@np.errstate(all="ignore")
def test_every_rule_and_every_function_is_a_list_of_operations(op):
    for args, params in calls(op):
        y = np.asarray(op.compute(args, params))
        again = replay(through_json(forward_tree(op, args, params)), None, None, args)
        np.testing.assert_allclose(np.asarray(again, float), np.asarray(y, float), rtol=1e-13, atol=1e-13)
        g = np.random.default_rng(1).normal(size=y.shape)
        for slot in filter(op.differentiable, range(len(args))):
            part = replay(through_json(rule_tree(op, slot, y, args, params)), g, y, args)
            np.testing.assert_allclose(part, op.vjps[slot](g, y, *args, **params), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("op", [op for op in ENTRIES if op.kind == "elementwise"], ids=lambda op: op.name)
@np.errstate(all="ignore")
def test_a_rule_holds_at_other_numbers_than_those_it_was_traced_at(op):
    (args, params), *_ = calls(op)
    for slot in filter(op.differentiable, range(len(args))):
        others = [a if a.dtype.kind != "f" else a * 0.7 + 0.1 for a in args]
        rule = rule_tree(op, slot, op.compute(others, params), others, params)
        y = np.asarray(op.compute(args, params))
        np.testing.assert_allclose(
            replay(rule, np.float64(1.0), y, args), op.vjps[slot](np.float64(1.0), y, *args, **params), rtol=1e-13
        )


def rule_of(rule):
    x = np.array([1.0, -2.0])
    op = Op("mine", np.array, "{x}", (rule,), arguments=("x",))
    return rule_tree(op, 0, x, [x])


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * x if x[0] > 0 else g,
        lambda g, y, x: g * float(x[0]),
        lambda g, y, x: g * x.item() if x.size == 1 else g * x.tolist()[0],
        lambda g, y, x: g * np.asarray(x),
        lambda g, y, x: g * (2.0 if np.any(x > 0) else 1.0),
        lambda g, y, x: g[x > 0],
    ],
)
def test_a_rule_that_looks_at_numbers_is_refused_and_never_frozen(rule):
    with pytest.raises(NotTraceable, match="numbers"):
        rule_of(rule)


def test_other_reasons_are_given():
    with pytest.raises(NotTraceable, match=r"it calls numpy\.nextafter"):
        rule_of(lambda g, y, x: np.nextafter(g, x))
    with pytest.raises(NotTraceable, match="KeyError"):
        rule_of(lambda g, y, x: {}["a"])


def test_shapes_and_dtypes_may_be_asked_for():
    rule = rule_of(lambda g, y, x: g / x.size if x.dtype == np.float64 and x.ndim == 1 else g)
    assert rule == Rule("#0", (Instruction("divide", ("g", "2")),))


def test_what_nothing_needs_is_left_out():
    rule = rule_of(lambda g, y, x: (np.exp(x), g * np.array([1.0, 2.0]), g + np.array([3.0, 4.0]))[2])
    assert rule == Rule("#0", (Instruction("add", ("g", "@0")),), (Numbers((3.0, 4.0), (2,)),))


def test_rules_of_composed_functions_come_for_free():
    softmax = BY_NAME["softmax"]
    names = [i.op for i in forward_tree(softmax, [np.ones(3)]).code]
    assert names == ["max", "subtract", "exp", "sum", "divide"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_arrays_come_back_exactly(dtype):
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-300, 300, (2, 3)), np.zeros((0, 2)), np.float64(0.1)):
        with np.errstate(over="ignore"):
            x = np.asarray(x).astype(dtype) if dtype != "int64" else np.asarray(np.sign(x), dtype)
        back = array_from_numbers(as_numbers(x))
        assert back.dtype == x.dtype
        np.testing.assert_array_equal(back, x, strict=True)


def test_equal_elements_are_written_once_and_signs_of_zeros_kept():
    assert as_numbers(np.ones((3, 4))) == Numbers((1.0,), (3, 4))
    assert [np.signbit(v) for v in as_numbers(np.array([0.0, -0.0])).value] == [False, True]
    assert as_numbers(np.float32(0.1)).value == (0.1,)


def test_parameters_are_plain():
    given = {"axis": (0, np.int64(1)), "index": (slice(None, None, -1), None, ...), "ord": -np.inf, "dtype": np.float32}
    assert json.dumps(plain_params(given)) == (
        '{"axis": [0, 1], "index": [{"slice": [null, null, -1]}, null, {"ellipsis": true}], '
        '"ord": {"number": "-inf"}, "dtype": "float32"}'
    )


def test_a_user_s_operation_is_written_out():
    cube = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube_of_tests", kind="elementwise")
    try:
        assert [i.op for i in forward_tree(cube, [np.float64(2)]).code] == ["multiply", "multiply"]
    finally:
        del BY_NAME["cube_of_tests"]
