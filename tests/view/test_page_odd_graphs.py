"""Graphs that few would draw, and masks, in the living page."""

import re

import numpy as np
import pytest
from by_day import by_day
from living_pages import living, numbers

import tinygrad_nn as tn

pytestmark = pytest.mark.browser


def leaf(value, name):
    return tn.tensor(value, requires_grad=True, name=name)


def sines(n):
    v = leaf(0.5, "t")
    for _ in range(n):
        v = tn.sin(v)
    return v


ODD = {
    "a leaf": lambda: leaf(1.0, "a"),
    "an array": lambda: leaf([1.0, 2.0], "a"),
    "nothing tracked": lambda: tn.tensor(1.0, name="a") * tn.tensor(2.0, name="b"),
    "no elements": lambda: leaf(np.zeros(0), "a").sum(),
    "no columns": lambda: (leaf(np.zeros((3, 0)), "a") * 2).sum(axis=1),
    "no rows": lambda: leaf(np.zeros((0, 3)), "a") * 2,
    "NaN": lambda: tn.sin(leaf(np.nan, "a")) * leaf(2.0, "b"),
    "infinity": lambda: leaf(np.inf, "a") * leaf(2.0, "b") - 1,
    "both in an array": lambda: (leaf([1.0, np.nan, np.inf, -np.inf], "a") * leaf(2.0, "b")).sum(),
    "smallest": lambda: leaf(5e-324, "a") * leaf(1e-300, "b"),
    "three axes": lambda: (leaf(np.ones((2, 3, 4)), "a") ** 2).sum(),
    "whole numbers": lambda: (leaf([1.0, 2.0], "a") * tn.tensor(np.array([1, 2]))).sum(),
    "single precision": lambda: tn.sin(leaf(np.float32(0.5), "a")),
    "half precision": lambda: tn.sin(leaf(np.float16(0.5), "a")),
    "one name twice": lambda: leaf(1.0, "a") * leaf(2.0, "a"),
    "names of JavaScript": lambda: leaf(1.0, "__proto__") * leaf(2.0, "constructor"),
    "long names": lambda: (leaf(1.0, "a" * 200) * leaf(2.0, "名" * 60)).named("z" * 120),
    "signs of Unicode": lambda: (leaf(1.0, "α̂\u202e𝛁") * leaf(2.0, "👩‍👩‍👧")).named("\x00z\n\tq"),
    "a long chain": lambda: sines(100),
    "many inputs": lambda: tn.stack([leaf(i / 30, f"x{i}") for i in range(30)]).sum(),
}


@pytest.mark.parametrize("name", by_day(ODD))
def test_odd_graphs(opened, name):
    page = opened(tn.draw(ODD[name](), most=400))
    said = living(page, """
      for (const view of page.views) for (const step of [0, 2]) page.change({ view, step });
      const leaf = page.graph.nodes.find((id) => !page.graph.node(id).op && page.graph.node(id).tracked);
      const size = leaf && page.movable ? page.graph.value(leaf).data.length : 0;
      for (const x of size ? [0, 1e308, -1e308, NaN, Infinity, 0.3] : [])
        for (const view of ["paths", "flow", "compare"]) { page.move(leaf, 0, x); page.change({ view, step: 1 }); }
      if (page.movable) page.nudge();
      page.reset();
      page.change({ view: "paths", theme: "dark" });
      return page.root.textContent;
    """)  # fmt: skip
    assert not re.search(r"undefined|\[object|NaN ?%", said)
    assert living(page, "return document.documentElement.scrollWidth") <= 1280
    assert living(page, "return page.checked?.ok ?? true")


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [[-1.0, 2.0, 0.5], [3.0, 0.0, -0.25]])
@pytest.mark.parametrize(
    "of", [lambda x: tn.where(x > 0, x * x, 0.1 * x), lambda x: (lambda y: y * ((y > 1) & ~(x > 2)) + x)(tn.exp(x))]
)
def test_masks_follow_what_they_were_computed_from(opened, of, at):
    x = tn.tensor([1.0, -2.0, 0.5], requires_grad=True, name="x")
    page = opened(tn.draw(of(x).sum().named("z")))
    for i, value in enumerate(at):
        living(page, "page.move('n1', ...args)", i, value)
    moved = tn.tensor(at, requires_grad=True)
    z = of(moved).sum()
    assert numbers(page, "value", living(page, "return page.graph.root")) == pytest.approx([z.item()], rel=1e-12)
    assert numbers(page, "gradient", "n1") == pytest.approx(list(tn.gradients(z, [moved])[0]), rel=1e-12)
    assert "as it was recorded" not in page.locator(".page").inner_text()


def test_a_mask_that_stays_is_said_to_stay(opened):
    x = tn.tensor([1.0, -2.0], requires_grad=True, name="x")
    page = opened(tn.draw(tn.where((x.detach() > 0), x, 0.1 * x).sum()))
    assert "stays as it was recorded, whatever moves" in page.locator(".page").inner_text()
