"""The playground in a real browser: what is typed is what Python makes of the same lines."""

import json
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.samples import domain_of
from tinygrad_nn.view.vocabulary import EXPONENTS, vocabulary

pytestmark = pytest.mark.browser

PLAY = "document.querySelector('[data-live]').play"


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    file = tn.play(tmp_path_factory.mktemp("play") / "play.html")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(error.stack))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or page.wrong.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("[data-live]")
    yield page
    assert page.wrong == []


def typed(page, text):
    """What is wrong with these lines, and else the values and gradients of all names."""
    page.evaluate(f"(text) => {{ {PLAY}.text.value = text; {PLAY}.build(); }}", text)
    problem = page.evaluate(f"{PLAY}.problem.textContent")
    if problem:
        return problem
    return page.evaluate(f"""() => {{
      const {{ graph, checked }} = {PLAY}.page;
      const numbers = (array) => array && [...array.data];
      const told = (id) => ({{ value: numbers(graph.value(id)), gradient: numbers(graph.gradient(id)),
        formula: graph.node(id).formula ?? "" }});
      return {{ ok: checked.ok, nodes: Object.fromEntries(graph.nodes.map((id) => [graph.node(id).name, told(id)])) }};
    }}""")


def in_python(text):
    """The same lines with tensors: values and gradients of all names."""
    names = {name: getattr(tn, name) for name in vocabulary()["words"]}
    for line in text.splitlines():
        name, _, value = line.partition(" = ")
        found = eval(value, names)
        if isinstance(found, (int, float, list)):
            found = tn.tensor(found, requires_grad=True, dtype=np.float64)
        names[name] = found
    given = {name: x for name, x in names.items() if isinstance(x, tn.Tensor)}
    root = given[name]
    tracked = {name: x for name, x in given.items() if x.requires_grad}
    gradients = dict(zip(tracked, tn.gradients(root.sum(), list(tracked.values())), strict=True))
    return {
        name: (np.ravel(x.value), np.ravel(gradients[name]) if name in gradients else None) for name, x in given.items()
    }


def same(page, text):
    found, expected = typed(page, text), in_python(text)
    assert not isinstance(found, str), (text, found)
    assert found["ok"]
    for name, (value, gradient) in expected.items():
        if name not in found["nodes"]:
            continue  # the result does not depend on it
        np.testing.assert_allclose(found["nodes"][name]["value"], value, rtol=1e-9, atol=1e-12, err_msg=text)
        if gradient is not None:
            found["nodes"][name]["gradient"] = found["nodes"][name]["gradient"] or np.zeros_like(value)  # none flows
            np.testing.assert_allclose(found["nodes"][name]["gradient"], gradient, rtol=1e-9, atol=1e-12, err_msg=text)


WORDS = vocabulary()["words"]


@pytest.mark.parametrize("name", WORDS)
def test_every_function_is_that_of_python(page, name):
    op = tn.operation.BY_NAME[name]
    rng = np.random.default_rng(0)
    word = WORDS[name]
    arguments = [f"x{i}" for i in range(len(word["arguments"]))]
    kinds = {form["shapes"] for form in word["forms"]}
    for shape in [()] * ("any" in kinds) + [(3,), (5,)]:
        values = [np.round(rng.uniform(*domain_of(op, i), shape), 3) for i in range(len(arguments))]
        lines = [f"{x} = {v.tolist()}" for x, v in zip(arguments, values, strict=True)]
        text = "\n".join([*lines, f"z = {name}({', '.join(arguments)})"])
        if any(form["rules"] for form in word["forms"]):
            same(page, text)
        else:
            assert "no gradient flows back from" in typed(page, text)


@pytest.mark.parametrize("exponent", [*EXPONENTS, 1, 0, 2.5, -3])
def test_powers(page, exponent):
    same(page, f"x = 1.7\nz = x**{exponent}")
    found = typed(page, f"x = 1.7\nz = x**{exponent}")["nodes"]["z"]["formula"]
    x = tn.tensor(1.7, requires_grad=True, name="x")
    assert found == tn.draw(x**exponent, names={}).scene.boxes[-1].title.split(" = ", 1)[1].replace("z = ", "")


@pytest.mark.parametrize(
    "text",
    [
        "t = 0.5\nx = exp(t)\ny = t**2\nz = sin(x**2 + y**2)",
        "a = 2\nb = -3\nc = 10\nd = a*b\ne = d + c\nf = -2\nL = e*f",
        "w = [0.3, -0.8, 1]\nx = [1, 2, 3]\nb = 0.1\na = sigmoid(w @ x + b)\nJ = 0.5*(a - 1)**2",
        "x = [1, -2, 3]\ny = x*2 - [1, 1, 1]\nz = mean(y**2)",
        "x = -2\nz = -x**2 + 2**-1*x",
        "x = 0.5\ny = x + x\nz = y*y/(1 - x)",
    ],
)
def test_programs(page, text):
    same(page, text)


def test_every_start_is_right(page):
    starts = page.evaluate("document.querySelector('[data-live]').play.start.options.length") - 1
    assert starts == 10
    for k in range(starts):
        page.get_by_label("examples").select_option(str(k))
        assert page.evaluate(f"{PLAY}.problem.textContent") == ""
        assert page.evaluate(f"{PLAY}.page.checked.ok")
        assert page.evaluate(f"{PLAY}.page.table.check.textContent").startswith("✓ equals the gradient")


def test_labels_are_those_of_pictures(page):
    typed(page, "t = 0.5\nx = exp(t)\ny = t**2\nz = sin(x**2 + y**2)")
    found = page.evaluate(f"[...{PLAY}.page.drawing.arrows.values()].map(({{ text }}) => text.textContent)")
    t = tn.tensor(0.5, requires_grad=True)
    x, y = tn.exp(t), t**2
    z = tn.sin(x**2 + y**2)
    assert found == [arrow.label for arrow in tn.draw(z).scene.arrows]
    titles = page.evaluate(f"[...{PLAY}.page.level.boxes].map(({{ title }}) => title)")
    assert titles == [box.title for box in tn.draw(z).scene.boxes]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 2\ny = q*x", "line 2, column 5: q is not defined; there is x"),
        ("x = 2\ny = sinn(x)", "line 2, column 5: sinn is not known here; do you mean sin?"),
        ("x = 2\ny = power(x)", "line 2, column 5: power takes 2 arguments (x, n), and got 1"),
        ("x = 2\ny = x +", "line 2, column 8: expected a number, a name, or a bracket, and found the end of the line"),
        ("x = 2\ny = x $ 3", 'line 2, column 7: "$" is not known here'),
        (
            "x = 2\ny = exp(x, base=3)",
            "line 2, column 5: exp takes no base= here: parameters are what they are by default",
        ),
        ("x = 2\ny = sum(x)", "line 2, column 5: sum takes lists of one length, as in [1, 2, 3]"),
        ("x = [1, 2]\ny = x*[1, 2, 3]", "line 2, column 6: *: lists of 2 and of 3 numbers do not fit"),
        ("x = [1, y]", "line 1, column 9: y is not defined; write y = 2 in a line before"),
        ("x = 2", "line 1, column 1: nothing is computed yet; write z = x * 2, say"),
        ("", "line 1, column 1: nothing is here yet; write x = 2, say"),
        ("x = 2; y = 3; z = y +* x", 'line 1, column 22: expected a number, a name, or a bracket, and found "*"'),
        ("a = 1 # b = 2; c\ny = ?", 'line 2, column 5: "?" is not known here'),
        (
            "y = hasOwnProperty(1)",
            (
                f"line 1, column 5: hasOwnProperty is not known here; there are {len(WORDS)} operations, such as "
                "sin, exp, relu and sum"
            ),
        ),
        (
            "x = 1\ny = " + "+".join(["x"] * 300),
            "300 boxes, with arrows past so many others, are too much to lay out here: leave some out",
        ),
        ("x = (1 + 2", "line 1, column 11: expected ) to close the bracket, and found the end of the line"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(page, text, problem):
    typed(page, "x = 2\nz = x*x")
    assert typed(page, text) == problem
    assert page.evaluate(f"{PLAY}.page.graph.node({PLAY}.page.graph.root).formula") == "x·x"  # what was there stays


def test_moving_an_input_rewrites_its_line(page):
    typed(page, "x = 2  # the input\nz = x*x")
    page.get_by_label("x, as a number").fill("3.5")
    assert page.get_by_label("lines").input_value() == "x = 3.5  # the input\nz = x*x"
    assert page.locator("tr.total td").nth(4).inner_text() == "= 7"


def test_links_restore_text_numbers_and_view(page, chromium):
    typed(page, "w = 2\nz = tanh(w)*w")
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_label("step forward").click()
    page.get_by_role("button", name="link", exact=True).click()
    other = chromium.new_page()
    other.goto(page.url)
    other.wait_for_selector("[data-live]")
    assert other.get_by_label("lines").input_value() == "w = 2\nz = tanh(w)*w"
    assert other.evaluate(f"{PLAY}.page.state.view") == "step"
    assert other.evaluate(f"{PLAY}.page.state.step") == 1
    other.close()


@pytest.mark.parametrize(
    "given", ['{"text": "<img src=x onerror=alert(1)> = 2"}', "%", "{", '{"text": 5}', "[]", "null"]
)
def test_links_cannot_inject(chromium, page, given):
    other = chromium.new_page()
    wrong = []
    other.on("dialog", lambda dialog: wrong.append(dialog.message))
    other.on("pageerror", lambda error: wrong.append(error.stack))
    quoted = given if given == "%" else urllib.parse.quote(given)
    other.goto(page.url.split("#")[0] + "#" + quoted)
    other.wait_for_selector("[data-live]")
    assert other.evaluate("document.querySelector('[data-live]').shadowRoot.querySelectorAll('img').length") == 0
    assert wrong == []
    other.close()


@pytest.mark.parametrize(
    "asked",
    [
        {"view": "<b>", "source": "nope", "step": 1e9, "mistake": "zzz"},
        {"view": "step", "step": -5},
        {"view": "neurons", "step": "x", "source": {"a": 1}, "mistake": ["assign"]},
        {"view": "constructor"},
    ],
)
def test_links_may_ask_for_anything(page, asked):
    page.evaluate(
        "(hash) => { location.hash = hash; }", urllib.parse.quote(json.dumps({"text": "x = 3\ny = x*x", **asked}))
    )
    page.wait_for_function(f"{PLAY}.text.value.startsWith('x = 3')")
    state = page.evaluate(f"{PLAY}.page.state")
    assert state["view"] in ("paths", "step")
    assert state["step"] >= 0
    assert state["mistake"] == ""
    typed(page, "x = 2\nz = x*x")
    page.evaluate("() => { location.hash = ''; }")


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "x101"])
def test_names_of_all_letters(page, name):
    found = typed(page, f"{name} = [1, 2]\nv101 = softmax({name})\nz = sum(v101 * {name})")
    assert found["ok"]
    assert found["nodes"]["v101"]["formula"] == f"softmax({name})"


def test_names_of_greek_letters(page):
    assert json.loads(json.dumps(typed(page, "α₁ = 2\nβ = α₁**2\nz = β + α₁")))["nodes"]["z"]["value"] == [6]


def test_no_line_runs_through_a_label(page):
    measured = Path(__file__).with_name("measure_page.js").read_text("utf-8")
    for k in range(page.evaluate(f"{PLAY}.start.options.length - 1")):
        page.get_by_label("examples").select_option(index=k + 1)
        found = page.evaluate(f"() => {{ const {{ page }} = {PLAY}; {measured} }}")
        assert (found["crossed"], found["hidden"]) == ([], []), k


def test_what_is_said_about_an_example_goes_when_something_else_is_typed(page):
    page.get_by_label("examples").select_option(label="a dead relu")
    assert page.get_by_text("No gradient passes where relu is 0").is_visible()
    assert page.locator(".drawing .on-arrow").all_text_contents().count("[a > 0] = 0") == 1
    page.get_by_label("lines").fill("t = 2\nz = t^2")
    assert page.get_by_text("No gradient passes where relu is 0").count() == 0
    problem = page.locator(".play [role=status]")
    assert problem.inner_text() == 'line 2, column 6: "^" is not known here; a power is written **'
    page.get_by_label("lines").fill("z = log(2)")
    assert problem.inner_text().endswith("; write x = 2, say, and use x")


def test_a_name_that_is_given_again_is_told_apart(page):
    page.get_by_label("lines").fill("x = 2\nx = x**2\nx = x + 1")
    assert page.locator("section.table h2").first.inner_text() == "dx′′/dx = one path"
    assert page.locator("tr.row td").nth(2).inner_text() == "x → x′ → x′′"
