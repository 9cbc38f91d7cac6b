"""The widget: what the page cannot compute, Python's kernel does."""

import json

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.notebook_widget import Recomputation
from tinygrad_nn.view.renderers.as_json import as_plain

MATRIX = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 4.0]])


def not_live(matrix=MATRIX):
    a = tn.tensor(matrix, requires_grad=True, name="a")
    return (np.linalg.eigvalsh(a) * np.array([1.0, 2.0, 3.0])).sum().named("z"), a


def sent_by(monkeypatch, widget):
    sent = []
    monkeypatch.setattr(widget, "send", sent.append)
    return sent


def test_the_kernel_carries_the_graph_out_again(monkeypatch):
    pytest.importorskip("anywidget")
    z, _ = not_live()
    widget = tn.widget(z)
    sent = sent_by(monkeypatch, widget)
    widget._asked(widget, {"id": "n1", "index": 4, "value": 1.5}, [])
    moved = MATRIX.copy()
    moved[1, 1] = 1.5
    expected, a = not_live(moved)
    nodes = {node["id"]: node for node in sent[0]["program"]["nodes"]}
    root = nodes[sent[0]["program"]["root"]]
    assert root["value"] == pytest.approx([expected.item()], rel=1e-14)
    assert nodes["n1"]["gradient"] == pytest.approx(np.ravel(tn.gradients(expected, a)[0]), rel=1e-12)
    assert [node["name"] for node in nodes.values()] == [n.name for n in widget._recomputation.program.nodes]
    np.testing.assert_array_equal(widget.inputs["a"], moved)
    widget._asked(widget, {"reset": True}, [])
    assert widget.inputs == {}
    assert sent[1]["program"]["nodes"] == json.loads(json.dumps(as_plain(widget._recomputation.program)))["nodes"]


def test_what_is_refused_is_told(monkeypatch):
    pytest.importorskip("anywidget")
    widget = tn.widget(not_live()[0])
    sent = sent_by(monkeypatch, widget)
    widget._asked(widget, {"id": "n99", "index": 0, "value": 1.0}, [])
    widget._asked(widget, {"id": "n1", "index": None, "value": [1.0]}, [])
    widget._asked(widget, {"id": "n1", "index": 0, "value": float("nan")}, [])
    assert sent[0] == {"problem": "ValueError: widget: 'n99' is no input of this graph"}
    assert sent[1]["problem"].startswith("ValueError: ")
    assert "problem" in sent[2] or np.isnan(sent[2]["program"]["nodes"][-1]["value"][0])


def test_the_users_tensors_stay_what_they_are():
    z, a = not_live()
    again = Recomputation(z, tn.draw(z).scene.program)
    again.move("n1", 0, 7.0)
    again.carried_out()
    np.testing.assert_array_equal(a.value, MATRIX)
    assert a.grad is None


def test_what_a_widget_is_of():
    pytest.importorskip("anywidget")
    z, _ = not_live()
    with pytest.raises(TypeError, match="widget takes a tensor, not float"):
        tn.widget(2.0)
    with pytest.raises(TypeError, match="widget takes no film"):
        tn.widget(z, steps=True)


@pytest.mark.browser
def test_the_page_of_a_widget_asks_and_takes_answers(chromium):
    pytest.importorskip("anywidget")
    z, _ = not_live()
    widget = tn.widget(z)
    page = chromium.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(error.stack))
    page.set_content('<!doctype html><div id="host"></div>')
    page.evaluate(
        """async ([esm, data]) => {
          const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
          const asked = (window.asked = []);
          const handlers = (window.handlers = []);
          const model = { get: () => data, send: (m) => asked.push(m), on: (_, f) => handlers.push(f), off: () => {} };
          (await import(url)).default.render({ model, el: document.getElementById("host") });
        }""",
        [str(widget._esm), json.loads(json.dumps(widget.data))],
    )
    assert "Python's kernel computes the numbers" in page.locator(".page").inner_text()
    page.locator(".array button").nth(4).press("ArrowRight")
    (asked,) = page.evaluate("asked")
    assert (asked["id"], asked["index"]) == ("n1", 4)
    again = Recomputation(z, tn.draw(z).scene.program)
    again.move(asked["id"], asked["index"], asked["value"])
    answer = json.loads(json.dumps(as_plain(again.carried_out())))
    page.evaluate("(program) => handlers[0]({ program })", answer)
    shown = page.evaluate("document.getElementById('host').page.graph.value('n1').data[4]")
    assert shown == asked["value"]
    page.evaluate("handlers[0]({ problem: 'LinAlgError: it does not converge' })")
    assert "LinAlgError: it does not converge" in page.locator(".page").inner_text()
    assert wrong == []
    page.close()
