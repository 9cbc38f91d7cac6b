"""The program of a picture: what it holds, why it is not live if so, and its journey as JSON."""

import json
import weakref

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME
from tinygrad_nn.rule_trees import replay
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.scenes.living import program_of


def founding():
    t = tn.tensor(0.5, requires_grad=True, name="t")
    x, y = tn.exp(t).named("x"), (t**2).named("y")
    return tn.sin(x**2 + y**2).named("z")


def program(z):
    return program_of(ComputationGraph(z))


def number(value=0.5, name="t", dtype=np.float64):
    return tn.tensor(value, requires_grad=True, name=name, dtype=dtype)


def test_the_founding_example():
    picture = tn.draw(founding())
    found = picture.scene.program
    assert [(n.id, n.name, n.op, n.args, n.rules) for n in found.nodes] == [
        ("n1", "t", "", (), ()),
        ("n2", "x", "exp", ("n1",), (0,)),
        ("n3", "y", "square", ("n1",), (1,)),
        ("n4", "v₁", "square", ("n2",), (1,)),
        ("n5", "v₂", "square", ("n3",), (1,)),
        ("n6", "v₃", "add", ("n4", "n5"), (2, 2)),
        ("n7", "z", "sin", ("n6",), (3,)),
    ]
    assert found.root == "n7"
    assert found.reason == ""
    assert found.nodes[0].gradient == (-5.554313566585541,)
    assert (found.nodes[2].formula, found.nodes[2].words) == ("t²", ("g·2t",))
    assert "test_living.py" in found.nodes[2].origin
    assert {box.id for box in picture.scene.boxes} == {node.id for node in found.nodes}
    assert {arrow.id for arrow in picture.scene.arrows} == {a for node in found.nodes for a in node.arrows}


def test_it_is_small():
    text = json.dumps(json.loads(tn.draw(founding()).json())["program"], separators=(",", ":"), ensure_ascii=False)
    assert len(text.encode()) < 2_500


def test_a_chain_of_equal_nodes_carries_each_rule_once():
    v = number()
    for _ in range(60):
        v = tn.sin(v) + tn.cos(v)
    found = program(v)
    assert len(found.nodes) == 181
    assert len(found.rules) == 3


@pytest.mark.parametrize(
    "make",
    [
        founding,
        lambda: tn.softmax(number([1.0, -np.inf, 2.0]) * 2.0).max(),
        lambda: (number([[1.0, 2.0], [3.0, 4.0]])[:, [1, 0, 0]] ** -0.5).sum(),
        lambda: tn.clip(number([-0.0, np.nan]), None, 1.0).sum(),
        lambda: tn.vector_norm(number([0.1, 0.2], dtype=np.float32), ord=np.inf),
        lambda: tn.where(number([1.0, -1.0]) > 0, number([3.0, 4.0], "u"), np.array([1.0, 1e-300])).sum(),
        lambda: tn.svdvals(number([[1.0, 2.0], [3.0, 4.0]]))[0],
    ],
)
def test_it_comes_back_from_json(make):
    picture = tn.draw(make())
    again = Picture.from_json(picture.json())
    assert again.json() == picture.json()
    assert repr(again.scene.program) == repr(picture.scene.program)  # as text, as NaN is not equal to itself
    assert json.loads(picture.json())["program"]["root"] == picture.scene.program.root


def test_layers_and_neurons_have_it_too():
    model = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=0), tn.nn.Dense(4, 2, rng=1))
    for detail in ("layers", "neurons", "ops"):
        scene = tn.draw(model, np.ones((3, 5)), detail=detail).scene
        found = (scene.living or scene).program
        assert found.reason == ""
        assert {node.op for node in found.nodes} == {"", "affine", "tanh"}


# --- what is not live, and why ---------------------------------------------------------------------------------------


def test_too_many_numbers():
    w = number(np.ones(20_001), "w")
    found = program(w.sum())
    assert found.reason == "20,001 numbers go in, and pages recompute up to 20,000"
    assert [(node.op, node.value, node.rules) for node in found.nodes] == [("", (), ()), ("sum", (20001.0,), (0,))]
    assert found.rules == ()


def test_decompositions():
    assert program(tn.svdvals(number([[1.0, 2.0], [3.0, 4.0]]))[0]).reason.startswith("svd: it decomposes a matrix")


def test_half_precision():
    assert "float16" in program(number(2.0, dtype=np.float16) * 2.0).reason


def test_large_whole_numbers():
    found = program((number([1.0, 2.0]) * np.array([1, 2**53 + 2])).sum())
    assert "2⁵³" in found.reason


def test_a_changed_value():
    t = number([1.0, 2.0])
    z = (t * t).sum()
    t.data[0] = 5.0
    found = program(z)
    assert found.reason == "a value was changed, or released, after it was used"
    assert found.nodes[0].value == ()
    assert found.nodes[-1].value == (5.0,)


@pytest.fixture
def user_operation():
    made = []

    def make(*args, **fields):
        made.append(tn.op(*args, **fields))
        return made[-1]

    yield make
    for op in made:
        del BY_NAME[op.name]


def test_a_user_s_operation_is_live_if_its_rules_are_operations(user_operation):
    cube = user_operation(
        lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube_here", kind="elementwise"
    )
    found = program(cube(number(2.0)))
    assert found.reason == ""
    assert [step.op for step in found.rules[found.nodes[-1].forward].code] == ["multiply", "multiply"]


def test_and_says_why_not_otherwise(user_operation):
    step = user_operation(lambda x: x * 1, "{x}!", lambda g, y, x: g if x > 1 else g * 2, name="step_here")
    found = program(step(number(2.0)) * 3.0)
    assert found.reason == "step_here: it looks at numbers to decide what to do (bool)"
    assert found.nodes[-1].slopes[0] == 3.0
    assert found.nodes[1].slopes == (1.0,)
    loop = user_operation(lambda x: np.asarray(x) * 1, "{x}?", lambda g, y, x: g, name="loop_here")
    assert program(loop(number(2.0))).reason == "loop_here: its function cannot be written as operations of the tables"


MASKS = {
    "where": (lambda x: tn.where(x > 0, x * x, 0.1 * x), "t > 0"),
    "product": (lambda x: x * (x > 0), "t > 0"),
    "arithmetic": (lambda x: x * ((x > 0) * 1.0 + 1), "((t > 0) ⊙ 1) + 1"),
    "logic": (lambda x: tn.where((x > 0) & ~(x > 2), x, -x), "(t > 0) & (~(t > 2))"),
    "NumPy": (lambda x: np.where(np.less_equal(x, [0.0, 1.0, -3.0]), x, -x), "t ≤ [3]"),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_follow(name):
    of, formula = MASKS[name]
    x = number([1.0, -2.0, 2.5])
    found = program(of(x).sum())
    assert found.reason == ""
    (mask,) = [node for node in found.nodes if not node.tracked and node.op]
    assert (mask.formula, mask.held, mask.args) == (formula, False, (found.nodes[0].id,))
    for numbers in (x.value, -x.value, np.array([3.0, 0.0, -0.0])):
        again = replay(found.rules[mask.forward], None, None, [numbers])
        expected = next(
            node for node in tn.operation.recorded(of(number(numbers)).sum()) if node.index and not node.tracked
        )
        np.testing.assert_array_equal(again, expected.value)


def test_masks_are_held_whose_origin_is_not_in_the_picture():
    x = number([1.0, -2.0])
    for z in (tn.where(tn.sin(x) > 0, x, 0.0), tn.where(x.detach() > 0, x, 0.0), x * tn.tensor(np.array([1, 0]))):
        held = {node.name: node.held for node in program(z.sum()).nodes}
        assert list(held.values()).count(True) == 1
        assert not held["t"]
    mask = x > 0
    x.data = np.array([-1.0, 2.0])
    assert [node.held for node in program(tn.where(mask, x, 0.0).sum()).nodes].count(
        True
    ) == 1  # it was computed before


def test_a_mask_keeps_no_graph_alive():
    x = number([1.0, -2.0])
    y = tn.exp(x)
    mask, gone = y > 1, weakref.ref(y)
    del y
    assert gone() is None
    assert program(tn.where(mask, x, 0.0).sum()).reason == ""
