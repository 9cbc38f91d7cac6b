"""Scenes and renderers: what a picture says, and how it is written, know nothing of each other."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tinygrad_nn as tn
from tinygrad_nn.view import Picture
from tinygrad_nn.view.api import DETAILS
from tinygrad_nn.view.renderers.style import arrow_look, box_look
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Cluster, Direction, Field, Note, Role, Scene, Shape

VIEW = Path(tn.__file__).parent / "view"


@pytest.fixture(params=Direction)
def scene(request):
    """A scene that no graph was ever recorded for: a box of each role and shape, an arrow of each kind."""
    roles = [Box(f"r{i}", role, role.name, f"a {role}", (Field("value", "1"),)) for i, role in enumerate(Role)]
    shapes = [Box(f"s{i}", Role.OPERATION, shape.name, f"<{shape}>", shape=shape) for i, shape in enumerate(Shape)]
    arrows = [Arrow(f"e{i}", "r0", "r1", label=f"is {kind}", kind=kind) for i, kind in enumerate(ArrowKind)]
    inner = Box("n", Role.STATE, "n", "within", cluster="b")
    frames = Cluster("a", "a frame"), Cluster("b", "a frame in it", parent="a")
    notes = (Note("careful", bad=True),)
    return Scene("By hand", (*roles, *shapes, inner), tuple(arrows), frames, notes=notes, direction=request.param)


def test_a_scene_made_by_hand_is_drawn(scene, engine):
    picture = Picture(scene, engine, width=4000)
    root = ET.fromstring(picture.svg())
    drawn = "".join(" ".join(e.text or "" for e in root.iter() if e.tag.endswith("text")).split())
    for said in (*(box.title for box in scene.boxes), *(a.label for a in scene.arrows), "aframeinit", "!careful"):
        assert said.replace(" ", "") in drawn
    assert picture.tex().isascii()


def test_a_scene_made_by_hand_is_written_and_read(scene):
    picture = Picture(scene)
    assert Picture.from_json(picture.json()).scene == scene
    for said in ("a parameter  [parameter]", "    ← INPUT: is blocked", "! careful"):
        assert said in picture.text().splitlines()


def test_arrows_and_boxes_look_as_they_are_meant():
    looks = {kind: arrow_look(Arrow("e", "a", "b", kind=kind)) for kind in ArrowKind}
    dashed = {kind for kind, look in looks.items() if look.strokes[0][1] != "solid"}
    assert dashed == {ArrowKind.CONSTANT, ArrowKind.BLOCKED, ArrowKind.NEGATIVE, ArrowKind.VIEW}
    assert {kind for kind, look in looks.items() if look.open} == {ArrowKind.CONSTANT, ArrowKind.VIEW}
    borders = {role: box_look(Box("n", role, "", "")).border for role in Role}
    assert borders[Role.INPUT] != borders[Role.PARAMETER] != borders[Role.OUTPUT] != borders[Role.CONSTANT]


@pytest.mark.parametrize(
    ("folder", "others"), [("graph", ["scene", "scenes", "renderers"]), ("scenes", ["renderers"]),
                           ("renderers", ["graph", "scenes"])],
)  # fmt: skip
def test_scenes_and_renderers_do_not_import_each_other(folder, others):
    modules = list((VIEW / folder).glob("*.py"))
    assert modules
    for module in modules:
        for other in others:
            assert f"tinygrad_nn.view.{other} " not in module.read_text("utf-8"), module
            assert f"tinygrad_nn.view.{other}." not in module.read_text("utf-8"), module


def test_each_detail_is_a_function_of_a_graph_and_a_request(network):
    assert sorted(DETAILS) == ["layers", "neurons", "ops"]
    titles = {detail: tn.draw(network, detail=detail).scene.title.split()[0] for detail in DETAILS}
    assert titles == {"ops": "Computation", "layers": "Layers", "neurons": "Network"}
