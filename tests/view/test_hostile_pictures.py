"""Picture files as somebody forges them: refused in words, or drawn in every format, and never more than a picture."""

import copy
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view import Film, Picture
from tinygrad_nn.view.renderers import places
from tinygrad_nn.view.scene import Arrow, Box, Cluster, Role, Scene

w = tn.tensor(2.0, requires_grad=True, name="w")
V = tn.tensor(np.ones((2, 3)), requires_grad=True, name="V")


def net():
    return tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 2, rng=1))


def compiled():
    step = tn.compile(lambda a: tn.sum(a * 2))
    step(np.ones(3))
    return step


def scenes():
    """A film and pictures of all kinds, as plain JSON."""
    J = tn.sum(V * w) + w * w
    loss = tn.mse(net()(np.ones((2, 4))), np.ones((2, 4)))
    pictures = [
        tn.draw(J), tn.draw(J, show=("value", "heatmap")), tn.draw(loss), tn.draw(compiled()),
        tn.compare(tn.draw(J), tn.draw(w * w)),
        *(tn.draw(net(), detail=detail) for detail in ("layers", "neurons")), tn.draw(J, steps=True),
    ]  # fmt: skip
    return [(type(picture), json.loads(picture.json())) for picture in pictures]


SCENES = scenes()


# --- nothing but a picture -------------------------------------------------------------------------------------------

INJECTIONS = [
    '<a> headlabel=<<TABLE><TR><TD><IMG SRC="/etc/hostname"/></TD></TR></TABLE>> URL="javascript:alert(1)" x=<b>',
    '<<TABLE><TR><TD HREF="javascript:alert(1)">x</TD></TR></TABLE>>', "<b>", "<>", 'x" URL="javascript:alert(1)',
    "x\\", "x:n:s",
    "a b", "a;b", "a]; b [label=1", "é", "", "-1", "1", "n1.2", "n1\n", "__proto__", "x" * 51,
]  # fmt: skip
PLACES = [
    ("boxes", "id"),
    ("arrows", "id"),
    ("clusters", "id"),
    ("arrows", "source"),
    ("boxes", "cluster"),
    ("clusters", "parent"),
]


def with_frame(scene):
    """A picture that has frames, within each other."""
    scene = copy.deepcopy(scene)
    scene["clusters"] = [{"id": "outer", "label": "o"}, {"id": "inner", "label": "i", "parent": "outer"}]
    scene["boxes"][0]["cluster"] = "inner"
    return scene


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(("part", "name"), PLACES)
def test_an_id_is_nothing_but_an_id(part, name, text):
    scene = with_frame(SCENES[0][1])
    Picture.from_json(json.dumps(scene)).svg()
    scene[part][0][name] = text
    if text == "" and name in ("cluster", "parent"):
        return  # none
    with pytest.raises(ValueError, match="a picture needs"):
        Picture.from_json(json.dumps(scene))


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_scene_that_is_made_by_hand_is_held_to_the_same(text):
    a, b = (Box(k, Role.INPUT, k, k) for k in "ab")
    evil = Box(text, Role.INPUT, "c", "c")
    for scene in (
        Scene("", (a, b, evil)),
        Scene("", (a, b), (Arrow(text, "a", "b"),)),
        Scene("", (a, evil), (Arrow("e", "a", text),)),
        Scene("", (a, b), (), (Cluster(text, ""),)),
    ):
        with pytest.raises(ValueError, match="a picture needs ids"):
            repr(Picture(scene).source)
    size = ((10.0, 10.0), "")
    for boxes, arrows, frames in (
        ({text: size}, [], []),
        ({"a": size, "b": size}, [(Arrow(text, "a", "b"), (0.0, 0.0))], []),
        ({"a": size}, [], [Cluster(text, "")]),
    ):
        with pytest.raises(ValueError, match="a picture needs ids"):
            places.place(boxes, arrows, frames)


@pytest.mark.parametrize("word", ["node", "graph", "edge", "digraph", "subgraph", "strict", "Node"])
def test_words_of_dot_are_ids_as_others(word, engine):
    text = json.dumps(SCENES[0][1])
    first = SCENES[0][1]["boxes"][0]["id"]
    text = re.sub(rf"\b{first}\b", word, text)
    Picture.from_json(text, engine).svg()
    size = ((10.0, 10.0), "frame")
    found = places.place(
        {word: size, "b": size}, [(Arrow("e", word, "b"), (0.0, 0.0))], [Cluster("frame", "")], engine=engine
    )
    assert word in found.boxes


SHAPES = {"path", "polygon", "polyline", "ellipse", "rect", "line", "circle"}
ELEMENTS = {"svg", "g", "title", "desc", "style", "text", "tspan"} | SHAPES


def is_only_a_picture(svg):
    for element in ET.fromstring(svg).iter():
        tag = element.tag.rpartition("}")[2]
        assert tag in ELEMENTS, tag
        assert not any(name.rpartition("}")[2].lower().startswith(("href", "on")) for name in element.attrib)


@pytest.mark.parametrize("k", range(len(SCENES)))
def test_any_text_of_a_picture_is_text(k):
    """Wherever a file has a text that is no id, in every format."""
    kind, plain = SCENES[k]
    evil = '</script></title><script>alert(1)</script><IMG SRC="x"/>" URL="javascript:alert(1)" \\N %s {x} \\input{x}'

    def poisoned(node, name=""):
        if isinstance(node, dict):
            return {key: poisoned(value, key) for key, value in node.items()}
        if isinstance(node, list):
            return [poisoned(value, name) for value in node]
        free = {
            "title",
            "label",
            "text",
            "note",
            "tooltip",
            "name",
            "product",
            "factors",
            "heading",
            "check",
            "share",
            "detail",
        }
        return f"{node}{evil}" if isinstance(node, str) and name in free else node

    changed = {name: part if name in ("program", "living") else poisoned(part, name) for name, part in plain.items()}
    picture = kind.from_json(json.dumps(changed))
    is_only_a_picture(picture.svg())
    page = picture.html()
    assert page.count("<script") == page.count("</script>") <= 1
    assert "<img" not in page.lower().replace("<img alt", "")


# --- crafted, one by one ----------------------------------------------------------------------------------------------


def scenes_within(n):
    return {"title": "", **({"simpler": scenes_within(n - 1)} if n else {})}


CRAFTED = {
    "unknown source": lambda s: s["arrows"][0].update(source="nobody"),
    "no target": lambda s: s["arrows"][0].pop("target"),
    "from itself": lambda s: s["arrows"][0].update(source=s["arrows"][0]["target"]),
    "one number": lambda s: s["boxes"][0].update(at=[1.0]),
    "far away": lambda s: [b.update(at=[1e300, 1.0]) for b in s["boxes"]],
    "nowhere": lambda s: [b.update(at=["nan", 1.0]) for b in s["boxes"]],
    "some have places": lambda s: s["boxes"][0].update(at=[1.0, 2.0]),
    "all at one place": lambda s: [b.update(at=[1.0, 2.0]) for b in s["boxes"]],
    "two of one id": lambda s: s["boxes"][1].update(id=s["boxes"][0]["id"]),
    "empty heat map": lambda s: s["boxes"][0]["fields"][0].update(grid={"cells": [], "scale": 1}),
    "empty row": lambda s: s["boxes"][0]["fields"][0].update(grid={"cells": [[]], "scale": 1}),
    "uneven rows": lambda s: s["boxes"][0]["fields"][0].update(grid={"cells": [[1.0], [1, 2]], "scale": 1}),
    "scale": lambda s: s["boxes"][0]["fields"][0].update(grid={"cells": [[1.0]], "scale": -1}),
    "frame of nothing": lambda s: s["boxes"][0].update(cluster="nowhere"),
    "frame in itself": lambda s: s.update(clusters=[{"id": "c", "label": "", "parent": "c"}]),
    "frames in a ring": lambda s: s.update(clusters=[{"id": a, "label": "", "parent": b} for a, b in ("cd", "dc")]),
    "thick": lambda s: s["arrows"][0].update(weight=1e300),
    "thin": lambda s: s["arrows"][0].update(flow="nan"),
    "space": lambda s: s.update(space=1e300),
    "too large for a float": lambda s: s.update(space=10**400),
    "caption": lambda s: s.update(caption={"text": "", "lines": 10**8}),
    "live": lambda s: s["boxes"][0]["fields"][0].update(live="value"),
    "live of nobody": lambda s: s["boxes"][0]["fields"][0].update(live="value nobody"),
    "root": lambda s: s["program"].update(root="nobody"),
    "later argument": lambda s: s["program"]["nodes"][0].update(args=[s["program"]["nodes"][-1]["id"]]),
    "huge array": lambda s: s["program"]["nodes"][0].update(shape=[10**9]),
    "wrong size": lambda s: s["program"]["nodes"][0].update(shape=[3], value=[1.0, 2.0]),
    "no rule": lambda s: s["program"]["nodes"][-1].update(rules=[99], forward=99),
    "dtype": lambda s: s["program"]["nodes"][0].update(dtype="O"),
    "surrogates": lambda s: s["program"]["nodes"][-1].update(params={"axis": "\ud800"}),
    "params": lambda s: s["program"]["nodes"][-1].update(params=[1]),
    "start": lambda s: s["program"].update(start={"view": "nothing"}),
    "scenes in scenes": lambda s: s.update(simpler=scenes_within(9)),
}  # fmt: skip


@pytest.mark.parametrize("name", CRAFTED)
def test_what_no_picture_could_have_is_refused(name):
    scene = copy.deepcopy(SCENES[0][1])
    CRAFTED[name](scene)
    with pytest.raises(ValueError, match="a picture"):
        Picture.from_json(json.dumps(scene))


NONE = ["[" * 100_000 + "]" * 100_000, '{"simpler":' * 5000 + "1" + "}" * 5000, "9" * 5000, '{"a":1', "\ud800"]


@pytest.mark.parametrize("text", NONE, ids=["lists", "records", "number", "cut", "surrogate"])
def test_json_that_is_none_or_too_deep_is_refused(text):
    for kind in (Picture, Film):
        with pytest.raises(ValueError, match=r"picture|char|digits"):
            kind.from_json(text)


def test_a_film_has_frames_that_belong_together():
    film = next(plain for kind, plain in SCENES if kind is Film)
    for change in (
        lambda f: f.update(frames=[], captions=[]),
        lambda f: f["captions"].pop(),
        lambda f: f["frames"][1]["boxes"].pop(),
        lambda f: f["frames"][1]["arrows"][0].update(target="nobody"),
    ):
        crafted = copy.deepcopy(film)
        change(crafted)
        with pytest.raises(ValueError, match="a picture needs"):
            Film.from_json(json.dumps(crafted))


# --- mutants ----------------------------------------------------------------------------------------------------------

VALUES = [
    "", "x", "n1", "n2", "e1", "value n1", "<b>", "nan", "inf", "-inf", "é→\n\t", "\u0007", "\ud800", "right", "circle",
    "label", "sign", "text", "back", "parameter", 0, 1, -1, 2, 7, 10**6, 10**9, 10**400, 0.0, -0.0, 0.5, 1e-320, 1e300,
    -1e300, True, False, None, [], {}, [0], [1.0, 2.0], [[1.0]],
]  # fmt: skip


def spots(node, path=()):
    """All containers in a tree, with their keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from spots(child, (*path, key))


def at(node, path):
    for key in path:
        node = node[key]
    return node


def mutant(rng, plain):
    plain = copy.deepcopy(plain)
    for _ in range(1 + int(rng.random() < 0.3)):
        there = [*spots(plain)]
        if not there:
            break
        path = there[rng.integers(len(there))]
        holder, key = at(plain, path[:-1]), path[-1]
        kind = rng.integers(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            same = [p for p in there if type(at(plain, p)) is type(holder[key])]  # something from elsewhere
            holder[key] = copy.deepcopy(at(plain, same[rng.integers(len(same))]))
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[rng.integers(len(holder))]))
        elif kind == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = holder[key] * [2, -1, 1000, 1e-9, 0][rng.integers(5)]
        else:
            holder[key] = VALUES[rng.integers(len(VALUES))]
    return plain


FORMS = {
    Picture: ("svg", "png", "text", "html", "json", "tex", "living", "source", "repr"),
    Film: ("svg", "html", "json", "repr"),
}


def drawn(picture, form):
    if form == "source":
        return picture.source
    if form == "repr":
        return repr(picture), hash(picture)
    if form == "living":
        return picture._repr_html_()
    return getattr(picture, form)()


def check(seed, forms=None):
    rng = np.random.default_rng(seed)
    kind, plain = SCENES[rng.integers(len(SCENES))]
    text = json.dumps(mutant(rng, plain))
    try:
        picture = kind.from_json(text)
    except ValueError as reason:
        refused = str(reason)
    else:
        refused = ""
    if refused:
        assert re.match(r"a picture('s \w+)? (needs|is)", refused), refused
        return 0
    for form in forms or FORMS[kind]:
        found = drawn(picture, form)
        if form == "svg":
            is_only_a_picture(found)
    again = kind.from_json(picture.json())
    assert again == picture
    return 1


def test_mutants_are_refused_or_drawn():
    assert 20 < sum(check(seed, ("svg", "json", "repr")) for seed in range(120)) < 110


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
def test_hundreds_of_mutants_are_refused_or_drawn_in_all_formats():
    loaded = sum(check(seed) for seed in range(120, 360))
    assert 40 < loaded < 220
