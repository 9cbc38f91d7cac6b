"""The picture of a compiled step: its calls, its buffers, what is read, updated and given out."""

import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view import Picture

CHECKOUT = str(Path(tn.__file__).parent.parent)  # a new process tests what this one tests
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 32)), RNG.normal(size=(1, 32))


def trained(optimizer="SGD", activation="sigmoid", sizes=(2, 16, 16, 1)):
    """A training step that has been called, and its model."""
    layers = [tn.nn.Dense(*pair, activation, rng=i) for i, pair in enumerate(itertools.pairwise(sizes))]
    model = tn.nn.Sequential(*layers)
    rule = getattr(tn.optim, optimizer)(model.parameters(), lr=0.1)

    @tn.compile
    def step(X, Y):
        rule.zero_grad()
        loss = tn.mse(model(X), Y)
        loss.backward()
        rule.step()
        return loss

    step(X, Y)
    return step


@pytest.fixture(scope="module")
def step():
    return trained()


def calls(picture):
    """The lines of all calls, by number."""
    return {int(r.label): r.text for n in picture.scene.boxes if n.kind == "call" for r in n.fields}


def card(picture, name):
    """The box of the first call that writes to a name."""
    return next(n for n in picture.scene.boxes if n.kind == "call" and n.name == name)


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_calls_are_those_of_the_listing(step):
    picture = tn.draw(step)
    shown = calls(picture)
    listed = str(step.program).splitlines()
    assert picture.scene.title.startswith("Program of step: 52 calls, ")
    assert sum(n.count for n in picture.scene.boxes if n.kind == "call") == 52
    body = [line.strip() for line in listed if re.match(r" +(\w+\(.*\)|t\d+\[\(\)\] = .*)$", line)]
    for number, text in shown.items():  # constants are written out
        assert re.sub(r"\b[\d.]+(e-\d+)?\b", "c", text) == re.sub(r"\bc\d+\b", "c", body[number - 1])


def test_calls_that_only_the_next_ones_read_share_a_box(step):
    first = card(tn.draw(step), "t1")
    assert first.title == "t1   16 × 32"
    assert [row.text for row in first.fields] == [
        "W1_dot(X, t1)", "add(t1, b1, t1)", "negative(t1, t1)", "exp(t1, t1)", "add(t1, 1, t1)", "reciprocal(t1, t1)",
    ]  # fmt: skip


def test_arguments_parameters_and_what_is_updated_differ(step):
    picture = tn.draw(step)
    roles = {(n.name, n.role) for n in picture.scene.boxes if n.kind != "call"}
    assert {("X", "argument"), ("Y", "argument"), ("W1", "parameter"), ("b3", "parameter"), ("k", "constant")} <= roles
    assert {row.text for n in picture.scene.boxes if n.name == "W2" for row in n.fields} == {
        "16 × 16, float64",
        "updated in place",
    }
    (update,) = (n for n in picture.scene.boxes if n.role == "updated")
    assert update.title == "W1, b1, W2, b2, W3, b3 updated in place"
    assert update.note == "… and the same for the others, 5 times"
    assert update.count == 12
    assert [e.label for e in picture.scene.arrows if e.target == update.id] == [
        "number", "16 × 2", "16 × 1", "16 × 16", "16 × 1", "1 × 16", "1 × 1",
    ]  # fmt: skip


def test_results_and_gradients_are_marked(step):
    picture = tn.draw(step)
    (returned,) = (n for n in picture.scene.boxes if n.role == "returned")
    assert returned.note == "returned"
    given_out = {n.note for n in picture.scene.boxes if n.note.startswith("given out")}
    assert given_out == {f"given out as {name}.grad" for name in ("W1", "b1", "W2", "b2", "W3", "b3")}


def test_buffers_that_several_boxes_use_have_a_colour_and_their_bytes(step):
    picture = tn.draw(step)
    lanes = {row.mark: row.lane for n in picture.scene.boxes for row in n.fields if row.mark}
    assert lanes["t1"] != lanes["t2"]
    assert min(lanes["t1"], lanes["t2"]) > 0
    assert lanes["t11"] == 0  # in one box only
    assert lanes["W1"] == -1
    table = picture.scene.table
    assert table.rows[0].mark == "t1"
    assert table.rows[0].label == "16 × 32, float64, written by calls 1–6, 36"
    assert table.rows[0].product == "4,096"
    assert sum(int(row.product.replace(",", "")) for row in table.rows) == step.program.nbytes
    assert table.total == f"{step.program.nbytes:,}"
    assert "would take 90,152 bytes" in table.rest[0]


def test_lines_of_the_step_are_frames(step):
    groups = tn.draw(step).scene.clusters
    assert [re.sub(r"line \d+ of ", "", g.label) for g in groups] == [
        "test_compiled.py: loss = tn.mse(model(X), Y)",
        "test_compiled.py: loss.backward()",
        "test_compiled.py: rule.step()",
    ]


def test_views_are_dashed_arrows_that_say_what_they_are(step):
    picture = tn.draw(step)
    views = [e for e in picture.scene.arrows if e.kind == "view"]
    assert "v6 = X.T\n32 × 2" in [e.label for e in views]
    assert all("a view" in e.tooltip for e in views)
    dashed = [line for line in picture.source.splitlines() if "arrowhead=open" in line and "style=dashed" in line]
    assert len(dashed) == len(views)


def test_many_views_of_one_vector_are_one_arrow():
    picture = tn.draw(trained("Adam"))
    (arrow,) = (e for e in picture.scene.arrows if e.count > 1)
    assert arrow.label.startswith("6 views of t18\n")
    assert "v16 = t18[0:32].reshape(16, 2), a view, 16 × 2, float64" in arrow.tooltip
    names = {n.name: n.role for n in picture.scene.boxes}
    assert (names["m"], names["v"], names["t"]) == ("updated", "updated", "state")
    assert any("copied to t at the end" in n.note for n in picture.scene.boxes)
    assert len(picture.scene.boxes) < 40


def test_fused_calls_are_a_frame_within_that_of_their_line():
    @tn.compile
    def step(x):
        return tn.tanh(2 * x + 1).sum()

    step(np.ones((400, 500)))
    scene = tn.draw(step).scene
    line, loop = scene.clusters
    assert (loop.id, loop.parent) == ("loop1", line.id)
    assert loop.label == "fused: 3 calls on one block of 131 rows after the other, 4 blocks"
    assert [n.cluster for n in scene.boxes] == [line.id, "loop1", line.id]
    assert "\n\t\tsubgraph cluster_loop1 {" in tn.draw(step).source


def test_what_is_returned_in_parts_is_told():
    @tn.compile
    def step(x, w):
        y = x * w
        return {"y": y, "row": y[0], "w": w, "x": (x,)}

    step(np.ones((2, 3)), tn.tensor(np.ones((2, 3)), requires_grad=True, name="w"))
    notes = {n.name: n.note for n in tn.draw(step).scene.boxes}
    assert notes["t1"] == "returned as result['y']; t1[0] returned as result['row']"
    assert notes["w_value"] == "returned as result['w']"
    assert notes["x"] == "returned as result['x'][0]"


def test_calls_for_what_they_do_are_drawn():
    seen = []
    note = tn.at_each_replay(seen.append)

    @tn.compile
    def step(x):
        note(1)
        return x + 1

    step(np.ones(2))
    picture = tn.draw(step)
    assert next(n.title for n in picture.scene.boxes if n.kind == "call") == "a call for what it does"
    assert len(calls(picture)) == 2


def test_calls_that_return_several_arrays():
    @tn.compile
    def step(x):
        q, r = np.linalg.qr(x)
        return q @ r

    step(np.eye(3))
    picture = tn.draw(step)
    assert next(n.title for n in picture.scene.boxes if n.kind == "call") == "r   2 arrays"
    assert "2 arrays" in [e.label for e in picture.scene.arrows]


@pytest.mark.parametrize("function", [lambda: 3, lambda x: x], ids=["nothing", "the argument"])
def test_a_step_without_calls(function, engine):
    step = tn.compile(function)
    step(*[np.ones(2)] * function.__code__.co_argcount)
    assert tn.draw(step, engine=engine).svg()


# --- which program, and what is no program ---------------------------------------------------------------------------


def test_before_the_first_call_there_is_nothing_to_draw():
    step = tn.compile(lambda x: x + 1)
    with pytest.raises(ValueError, match=r"<compiled .*lambda.*> has not been called yet.*call it with its arguments"):
        tn.draw(step)


def test_the_program_that_ran_last_is_drawn():
    step = tn.compile(lambda x: x + 1)
    step(np.ones(2))
    first = step.program
    step(np.ones(3))
    assert "3 numbers" in tn.draw(step).source
    assert "3 numbers" not in tn.draw(first).source


def test_methods_are_drawn():
    class Model:
        @tn.compile
        def twice(self, x):
            return 2 * x

    model = Model()
    model.twice(np.ones(2))
    assert list(calls(tn.draw(model.twice)).values()) == ["multiply(2, x, t1)"]


@pytest.mark.parametrize(
    "options",
    [{"wrt": X}, {"detail": "layers"}, {"fold": [1]}, {"steps": True}, {"mistake": "order"}, {"show": ["value"]}],
    ids=str,
)
def test_what_is_for_tensors_is_refused(step, options):
    with pytest.raises(ValueError, match="drawn call by call: only engine=, most= and timeout= are for it"):
        tn.draw(step, **options)


def test_the_direction_is_heeded(step):
    assert "rankdir=TB" in tn.draw(step).source
    assert "rankdir=LR" in tn.draw(step, direction="right").source
    with pytest.raises(ValueError, match="direction must be 'right', 'down' or None, not 'up'"):
        tn.draw(step, direction="up")


def test_drawing_changes_nothing():
    step = trained()
    listing, source = str(step.program), step.program.source
    assert tn.draw(step).source == tn.draw(step).source
    assert (str(step.program), step.program.source) == (listing, source)
    step(X, Y)


# --- files and engines -----------------------------------------------------------------------------------------------


def test_a_program_is_drawn_by_both_engines(step, engine, tmp_path):
    picture = tn.draw(step, engine=engine, timeout=600)
    root = ET.fromstring(picture.svg())
    said = "".join("".join(root.itertext()).split())
    for text in ("W1_dot(X,t1)", "updatedinplace", "givenoutasW2.grad", "20buffersof22,432bytestogether"):
        assert text in said
    assert "1 W1_dot(X, t1); 2 add(t1, b1, t1); " in root[1].text
    assert picture.save(tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "p.tex").read_text("utf-8").isascii()
    assert Picture.from_json(picture.json()).source == picture.source


def test_names_are_escaped(engine):
    w = tn.tensor(np.ones(2), requires_grad=True, name='<b>&"x')
    step = tn.compile(lambda x: {'</td>"\\N': w * x})
    step(np.ones(2))
    picture = tn.draw(step, engine=engine)
    svg = picture.svg()
    assert """returned as result['</td>"\\\\N']""" in [e.text for e in ET.fromstring(svg).iter() if e.text]


def test_long_programs_are_folded(step):
    picture = tn.draw(step, most=10)
    assert len(picture.scene.boxes) <= 10
    assert "drawn as one box" in picture.scene.notes[-1].text
    assert {g.id for g in picture.scene.clusters} >= {n.cluster for n in picture.scene.boxes if n.cluster}


def test_bytes_do_not_depend_on_the_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, tinygrad_nn as tn\n"
        "model = tn.nn.Dense(3, 2, 'tanh', rng=0)\n"
        "rule = tn.optim.Adam(model.parameters())\n"
        "def step(X):\n"
        "    loss = model(X).sum()\n"
        "    loss.backward()\n"
        "    rule.step()\n"
        "step = tn.compile(step)\n"
        "step(np.ones((3, 4)))\n"
        "print(tn.draw(step).source)\n"
    )
    runs = [
        subprocess.run([sys.executable, "-X", "utf8", str(script)], check=True, capture_output=True,
                       env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": CHECKOUT}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert runs[0].startswith(b"digraph picture {")
