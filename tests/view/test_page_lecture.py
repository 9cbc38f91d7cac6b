"""The living page in class: by keyboard and presenter, and the worksheets that are made of it."""

import html
import re
from pathlib import Path

import pytest
from living_pages import living
from pictures_for_pages import founding

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number

pytestmark = pytest.mark.browser


def test_all_can_be_done_by_keyboard(opened):
    page = opened(tn.draw(founding()))
    page.keyboard.press("Tab")
    focused = "document.querySelector('[data-live]').shadowRoot.activeElement"
    assert page.evaluate(f"{focused}.getAttribute('aria-label')") == "paths from"
    page.locator(".box[data-id=n1]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{focused}.dataset.id") == "n2"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.dataset.id") == "n2"  # focus survives
    assert page.locator("section.table h2").first.inner_text() == "dz/dx = one path"
    page.keyboard.press("s")
    page.keyboard.press("ArrowRight")
    assert page.locator("p.step").inner_text().startswith("Step 1: z fires")
    assert page.locator("[aria-live]").inner_text().startswith("Step 1: z fires")
    for key, view in (("f", "flow"), ("c", "compare"), ("p", "paths")):
        page.keyboard.press(key)
        assert living(page, "return page.state.view") == view


def test_lecture_mode_obeys_presenters(opened):
    page = opened(tn.draw(founding()))
    said, sized = page.locator("[aria-live]"), "return Number(page.root.style.zoom)"
    page.keyboard.press("l")
    assert living(page, sized) == 1.4
    page.wait_for_function("document.fullscreenElement !== null")
    turned = []
    for _ in range(20):
        page.keyboard.press("PageDown")
        turned.append(living(page, "return [page.state.view, page.state.only, page.state.step]"))
    assert turned[:3] == [["paths", 1, 0], ["paths", 2, 0], ["flow", 0, 0]]
    frames = len(tn.draw(founding(), steps=True).frames)
    assert [step for view, _, step in turned if view == "step"] == list(range(frames))
    assert turned[-1][0] == "compare"  # the last view
    for _ in range(30):
        page.keyboard.press("PageUp")
    assert living(page, "return [page.state.view, page.state.only]") == ["paths", 0]
    page.keyboard.press(".")
    assert page.locator(".cover").is_visible()
    assert said.inner_text().startswith("blank screen")
    page.keyboard.press("PageDown")  # lifts it, and no more
    assert not page.locator(".cover").is_visible()
    assert living(page, "return page.state.only") == 0
    page.keyboard.press("+")
    assert living(page, sized) == pytest.approx(1.61)
    for _ in range(20):
        page.keyboard.press("-")
    assert living(page, sized) == 0.8
    page.keyboard.press("l")
    assert living(page, "return [page.root.style.zoom, page.root.classList.contains('lecture')]") == ["", False]
    page.keyboard.press("PageDown")  # scrolls, as ever
    assert living(page, "return page.state.only") == 0


def test_a_lecture_is_turned_by_the_keys_of_a_presenter_wherever_the_focus_is(opened):
    page = opened(tn.draw(founding()))
    page.get_by_role("button", name="lecture").click()
    page.get_by_label("t", exact=True).focus()  # a slider
    page.keyboard.press("PageDown")
    assert living(page, "return page.state.only") == 1
    assert page.get_by_label("t, as a number").input_value() == "0.5"
    page.get_by_label("t, as a number").focus()  # a field is written in
    page.keyboard.press("l")
    assert living(page, "return page.root.classList.contains('lecture')")
    page.locator("h1").click()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('[data-live]').page.root.classList.contains('lecture')")


@pytest.mark.parametrize("where", ["page", "lecture"])
def test_the_keys_are_listed(opened, where):
    page = opened(tn.draw(founding()))
    if where == "lecture":
        page.keyboard.press("l")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="keys")
    listed = dialog.locator("dt").all_inner_texts()
    assert {"p, f, s, n, c", "r", "l", "?", "PageDown, →", "PageUp, ←", "Esc"} <= set(listed)
    assert {"Paths", "Flow", "%", "Step", "Neurons", "Compare", "nudge"} <= set(listed)
    page.keyboard.press("f")  # keys wait while they are listed
    assert living(page, "return page.state.view") == "paths"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.keyboard.press("f")
    assert living(page, "return page.state.view") == "flow"


# --- worksheets ------------------------------------------------------------------------------------------------------


def sheet(page, seed):
    """The sheet of a seed, as the reader saves it: its exercise and its solution as text."""
    page.get_by_role("button", name="worksheet").click()
    page.get_by_label("seed").fill(str(seed))
    with page.expect_download() as download:
        page.get_by_role("button", name="save", exact=True).click()
    page.keyboard.press("Escape")
    text = Path(download.value.path()).read_text("utf-8")
    assert text.count("<svg") == 2
    exercise, solution = re.findall(r"<section>(.*?)</section>", text, re.S)
    return text, *(html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", "\n", part)) for part in (exercise, solution))


def test_a_worksheet_is_made_of_the_readers_own_numbers(opened):
    page = opened(tn.draw(founding()), scheme="dark")
    page.get_by_label("t, as a number").fill("0.7")
    text, exercise, solution = sheet(page, 3)
    assert (text, exercise, solution) == sheet(page, 3)
    assert sheet(page, 4)[0] != text
    t = tn.tensor(0.7, requires_grad=True)
    x, y = tn.exp(t), t**2
    gradient = format_number(tn.paths(tn.sin(x**2 + y**2), t).gradient)
    assert gradient in solution
    questions = re.findall(r"^\(([a-z])\) (.*) = _{14}$", exercise, re.M)
    answers = re.findall(r"^\(([a-z])\) (.*) = (\S+)$", solution, re.M)
    assert [letter for letter, _ in questions] == list("abcdefghij"[: len(questions)])
    assert questions == [(letter, what) for letter, what, _ in answers]
    for letter, _, _ in answers:
        assert exercise.count(f"({letter})") >= 2  # in the picture or the table, and below
        assert solution.count(f"({letter})") == 1
    assert "rgb(255, 255, 255)" in text
    assert "rgb(15, 23, 42)" in text  # ink on paper, whatever the reader's theme
    assert "break-before:page" in text


def test_no_sheet_gives_its_answers_away(opened):
    page = opened(tn.draw(founding()))
    for seed in range(6):
        _, exercise, solution = sheet(page, seed)
        values = {t for t, n in ((a, exercise) for a in re.findall(r"(−?\d\.\d{4})", solution)) if t in n}
        asked = {what: x for _, what, x in re.findall(r"^\(([a-z])\) (.*) = (\S+)$", solution, re.M)}
        total = asked.get("dz/dt")
        if total is not None:
            assert total not in values
        for what, answer in asked.items():
            if "→" in what and len(set(asked.values())) == len(asked):
                assert answer not in values, (seed, what)


def test_names_on_a_sheet_stay_text(opened):
    a = tn.tensor(2.0, requires_grad=True, name='<b>&"x')
    page = opened(tn.draw(tn.exp(a) * a, title="</title><script>alert(1)</script>"))
    text, exercise, _ = sheet(page, 1)
    assert "<b>" not in text
    assert "<script" not in text
    assert '<b>&"x' in exercise


def test_a_picture_without_single_numbers_says_that_it_makes_no_sheet(opened):
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="x")
    page = opened(tn.draw(x * 2.0))
    page.get_by_role("button", name="worksheet").click()
    page.get_by_role("button", name="save", exact=True).click()
    assert "no numbers that could be asked for" in page.get_by_role("dialog", name="worksheet").inner_text()
