"""Trees: nested tuples, lists and dicts."""

from collections import OrderedDict, namedtuple

import pytest

from tinygrad_nn import tree

Point = namedtuple("Point", "x y")
NESTED = {"a": [1, (2, 3)], "b": Point(4, {"c": 5}), "d": ()}


class Bag(list):
    """Not plain."""


def test_map_keeps_the_structure():
    assert tree.map(lambda x: -x, NESTED) == {"a": [-1, (-2, -3)], "b": Point(-4, {"c": -5}), "d": ()}
    assert type(tree.map(abs, NESTED)["b"]) is Point
    assert tree.map(abs, -1) == 1


def test_leaves_come_in_order_and_with_their_paths():
    assert tree.leaves(NESTED) == [1, 2, 3, 4, 5]
    spelled = [tree.keystr(path, "x") for path, _ in tree.leaves_with_path(NESTED)]
    assert spelled == ["x['a'][0]", "x['a'][1][0]", "x['a'][1][1]", "x['b'][0]", "x['b'][1]['c']"]
    assert [eval(text, {"x": NESTED}) for text in spelled] == tree.leaves(NESTED)


def test_nodes_come_before_their_children():
    paths = [path for path, _ in tree.nodes_with_path({"a": [1, ()]})]
    assert paths == [(), ("a",), ("a", 0), ("a", 1)]


def test_unflatten_is_the_way_back():
    assert tree.unflatten(NESTED, tree.leaves(NESTED)) == NESTED
    assert tree.unflatten(None, [7]) == 7


def test_what_is_a_node_can_be_said():
    assert tree.leaves([Bag([1]), OrderedDict(a=2)]) == [1, 2]
    assert tree.leaves([Bag([1]), OrderedDict(a=2)], tree.is_plain) == [Bag([1]), OrderedDict(a=2)]
    assert type(tree.map(abs, Bag([-1]))) is Bag
    index = (slice(1, None), [2])
    assert tree.leaves(index) == [slice(1, None), 2]
    assert tree.leaves(index, tree.is_plain_or_slice) == [1, None, None, 2]
    assert tree.map(lambda x: x, index, tree.is_plain_or_slice) == index
    assert tree.unflatten(index, [5, 6, 7, 8], tree.is_plain_or_slice) == (slice(5, 6, 7), [8])


def test_leaves_in_the_order_of_another_tree():
    assert tree.leaves_like({"a": 0, "b": (0, 0)}, {"b": [2, 3], "a": 1}, "tangent") == [1, 2, 3]


@pytest.mark.parametrize("other", [{"a": 1}, {"a": 1, "c": 2}, [1, 2], 3])
def test_another_structure_is_refused(other):
    with pytest.raises(ValueError, match=r"the tangent must have the structure .* a dict of the keys \['a', 'b'\]"):
        tree.leaves_like({"a": 0, "b": 0}, other, "tangent")
    with pytest.raises(ValueError, match="a tuple of 2 parts"):
        tree.leaves_like((0, 0), (1,), "tangent")
