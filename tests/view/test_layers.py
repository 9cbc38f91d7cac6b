"""Layers as single boxes, and large pictures folded: small pictures of large graphs, with exact numbers."""

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.renderers import layout_engine
from tinygrad_nn.view.scenes.folding import fold


def diamonds(n):
    v = t = tn.tensor(0.3, requires_grad=True, name="t")
    for _ in range(n):
        v = tn.sin(v) + tn.cos(v)
    return t, v.named("v")


def deep(*sizes, batch=4):
    layers = [tn.nn.Dense(m, n, "relu", rng=i) for i, (m, n) in enumerate(itertools.pairwise(sizes))]
    X = tn.tensor(np.random.default_rng(0).normal(size=(sizes[0], batch)), requires_grad=True, name="X")
    return X, tn.nn.Sequential(*layers)(X)


# --- layers ----------------------------------------------------------------------------------------------------------


def test_a_layer_is_a_box_with_its_equations(network):
    picture = tn.draw(network, detail="layers")
    first = next(n for n in picture.scene.boxes if n.name == "layer 1")
    assert [row.text for row in first.fields[:3]] == ["Z¹ = W¹ X + b¹", "A¹ = tanh(Z¹)", "2 → 3, 9 parameters"]
    assert [row.label for row in first.fields[3:]] == ["A¹", "∂J/∂Z¹", "‖∂J/∂W¹‖", "‖∂J/∂b¹‖", "of ‖∇J‖²"]
    assert [n.name for n in picture.scene.boxes] == ["X", "layer 1", "layer 2", "c₁", "J"]
    assert [e.label for e in picture.scene.arrows][1] == "A¹ 3 × 5 →\n← W²ᵀ ∂Z²"


def test_single_layers_fold_within_the_graph_of_operations(network):
    picture = tn.draw(network, fold=[1])
    names = [n.name for n in picture.scene.boxes]
    assert "layer 1" in names
    assert "Z²" in names
    assert "Z¹" not in names
    assert [g.label for g in picture.scene.clusters] == ["layer 2"]


def test_blocked_units_are_counted():
    W = tn.tensor([[1.0], [-1.0], [-2.0]], requires_grad=True)
    picture = tn.draw(tn.relu(W @ np.ones((1, 2))).sum(), detail="layers")
    assert ("blocked", "2 of 3 units") in [(r.label, r.text) for n in picture.scene.boxes for r in n.fields]


def test_a_wide_network_in_few_boxes_with_paths_that_are_not_listed():
    X, Z = deep(784, 256, 256, 10, batch=1)
    logit = Z[4, 0].named("logit")
    paths = tn.paths(logit, X, at=(3, 0))
    picture = tn.draw(logit, wrt=paths, detail="layers")
    source = picture.source
    assert len(picture.scene.boxes) <= 30
    assert picture.scene.table.heading == "dlogit/dX[3, 0] = sum over 65,536 paths"
    assert picture.scene.table.ok is True
    assert "65,536 paths" in source
    everything = tn.paths(Z.sum(), X, at=(3, 0))
    assert "655,360 paths" in tn.draw(Z.sum(), wrt=everything, detail="layers").source


# --- folding ---------------------------------------------------------------------------------------------------------


def test_a_thousand_diamonds_come_back_folded_and_exact(engine):
    t, v = diamonds(1000)
    picture = tn.draw(v, wrt=t, engine=engine, most=40)
    picture.svg()
    assert len(picture.scene.boxes) <= 40
    assert picture.scene.table.heading.startswith("dv/dt = sum over 2¹⁰⁰⁰ ≈ 1.0715e301 paths")
    assert picture.scene.table.ok is True
    note = picture.scene.notes[-1].text
    assert note.startswith("Folded: ")
    assert "of 3,001 nodes are drawn as one box; the figures are those of the whole graph" in note


def test_folding_cuts_between_blocks_and_says_what_is_in_the_box():
    t, v = diamonds(50)
    picture = tn.draw(v, wrt=t, most=20)
    (box,) = (n for n in picture.scene.boxes if n.role == "fold")
    kinds = {row.text.split(" × ")[1]: int(row.text.split(" × ")[0]) for row in box.fields}
    assert kinds["sin"] == kinds["cos"] == kinds["add"]
    assert sum(kinds.values()) == box.count == 151 - (len(picture.scene.boxes) - 1)
    into = [e for e in picture.scene.arrows if e.target == box.id]
    out = [e for e in picture.scene.arrows if e.source == box.id]
    assert (len(into), len(out)) == (2, 2)


def test_repeated_layers_fold():
    _, A = deep(*[4] * 60)
    picture = tn.draw(A.sum(), detail="layers")
    assert len(picture.scene.boxes) <= 30
    (box,) = (n for n in picture.scene.boxes if n.role == "fold")
    assert "× layer" in box.fields[0].text


def test_small_pictures_are_left_alone(founding):
    scene = tn.draw(founding[1]).scene
    assert fold(scene, 7) is scene


def test_acceptance_cases_are_not_folded():
    a = tn.tensor(1.0, requires_grad=True, name="a")
    for _ in range(200):
        a = a + a
    picture = tn.draw(a, most=1000, timeout=60)
    assert picture.source.count("->") == 400
    assert len(picture.scene.boxes) == 201


def test_what_is_folded_anyway_is_not_metres_long():
    t, v = diamonds(200)
    assert len(tn.draw(v, wrt=t).scene.boxes) < 60
    assert len(tn.draw(v, wrt=t, most=250).scene.boxes) == 250
    wide = tn.tensor(0.3, requires_grad=True)
    total = sum(tn.sin(wide) for _ in range(300))
    assert len(tn.draw(total).scene.boxes) <= 250


def test_a_layout_that_takes_too_long_comes_back_folded(monkeypatch):
    t, v = diamonds(40)
    picture = tn.draw(v, wrt=t, timeout=7)
    real, calls = layout_engine.layout, []

    def slow(source, form, engine, timeout, *options):
        calls.append(timeout)
        if len(calls) == 1:
            raise layout_engine.LayoutTimeoutError("too slow")
        return real(source, form, engine, timeout, *options)

    monkeypatch.setattr(layout_engine, "layout", slow)
    said = " ".join(" ".join(ET.fromstring(picture.svg()).itertext()).split())
    assert "its layout took longer than 7 s" in said
    assert max(calls) <= 0.6 * 7


def test_the_engine_is_stopped_in_time(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    t, v = diamonds(30)
    with pytest.raises(layout_engine.LayoutTimeoutError, match="within"):
        tn.draw(v, wrt=t, timeout=0.1, engine="dot").svg()
