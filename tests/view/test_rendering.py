"""DOT, SVG, PNG and notebooks: what comes out of the engines."""

import html.parser
import json
import os
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view import Picture
from tinygrad_nn.view.renderers import layout_engine

CHECKOUT = str(Path(tn.__file__).parent.parent)  # a new process tests what this one tests
SVG = "{http://www.w3.org/2000/svg}"
WILD = '<b>&"x'
WILDER = "</table>]]>--> \\N \x07\ud800 &#65; } ; [ \n"


def texts(svg):
    return "".join(" ".join(ET.fromstring(svg).itertext()).split())


def wild(name=WILD, engine=None):
    h = tn.tensor(3.0, requires_grad=True, name=name)
    return tn.draw(tn.exp(h), names={}, engine=engine)


# --- SVG -------------------------------------------------------------------------------------------------------------


def test_svg_is_xml_with_the_values_in_it(founding, engine):
    found = texts(tn.draw(founding[1], engine=engine).svg())
    for text in ("x=exp(t)", "1.6487", "−5.5543", "2x=3.2974", "Σ2contributions:−5.0865−0.4678", "t→x→u→s→z", "✓"):
        assert text in found


def test_svg_describes_itself(founding, engine):
    root = ET.fromstring(tn.draw(founding[1], engine=engine).svg())
    assert root.get("role") == "img"
    assert root[0].tag == SVG + "title"
    assert root[0].text == "Computation graph of z = sin(s)"
    assert root[1].tag == SVG + "desc"
    assert "Path 2: t → y → v → s → z, 1 × 0.5 × 1 × (−0.9356) = −0.4678." in root[1].text
    assert "Sum: −5.5543 ✓" in root[1].text


def test_every_node_has_a_tooltip_with_value_gradient_rule_and_line(founding, engine):
    root = ET.fromstring(tn.draw(founding[1], engine=engine).svg())
    tips = {g.get("id"): g.findtext(SVG + "title") for g in root.iter(SVG + "g") if g.get("id", "").startswith("n")}
    assert len(tips) == 7
    x = tips["n2"].splitlines()
    assert x[:3] == ["x = exp(t)", "value: 1.6487212707001282", "gradient: −3.085123128662587"]
    assert x[3].startswith("rule: ∂t ← g")
    assert x[4].startswith("made at line ")
    assert x[4].endswith(" of conftest.py")


def test_lanes_differ_by_dashes_as_well(founding, engine):
    root = ET.fromstring(tn.draw(founding[1], engine=engine).svg())
    dashes = {}
    for group in root.iter(SVG + "g"):
        if group.get("class", "").startswith("edge flow path"):
            found = [p.get("stroke-dasharray") for p in group.iter(SVG + "path") if p.get("fill") == "none"]
            dashes.setdefault(group.get("class"), set()).update(found)
    assert dashes == {"edge flow path1": {None}, "edge flow path2": {"9 4"}}


def test_links_and_scripts_are_absent(founding, engine):
    tags = {e.tag for e in ET.fromstring(wild(WILDER).svg()).iter()}
    assert tags <= {
        SVG + t for t in ("svg", "style", "title", "desc", "g", "text", "path", "polygon", "ellipse", "polyline")
    }


# --- names are text --------------------------------------------------------------------------------------------------


def test_a_wild_name_draws_as_written(engine):
    picture = wild(engine=engine)
    root = ET.fromstring(picture.svg())
    assert WILD in [e.text for e in root.iter(SVG + "text")]
    assert any((e.text or "").startswith(WILD) for e in root.iter(SVG + "title"))
    assert not list(root.iter(SVG + "b"))


def test_no_name_can_break_out(engine):
    picture = wild(WILDER, engine)
    root = ET.fromstring(picture.svg())
    groups = [g.get("class", "").split()[0] for g in root.iter(SVG + "g") if g.get("class")]
    assert (groups.count("node"), groups.count("edge"), groups.count("cluster")) == (2, 1, 0)
    drawn = "".join(e.text or "" for e in root.iter(SVG + "text"))
    assert "".join(drawn.split()).count("</table>]]>-->\\N�&#65;};[") >= 3


def test_names_of_layers_are_escaped_too(engine):
    W = tn.tensor([[1.0]], requires_grad=True, name='<&">"\\¹')
    svg = tn.draw((W * W).sum(), engine=engine).svg()
    assert '<&">"\\¹' in [e.text for e in ET.fromstring(svg).iter(SVG + "text")]


# --- the same graph, the same bytes ----------------------------------------------------------------------------------


def test_same_graph_same_bytes():
    def make():
        t = tn.tensor(0.5, requires_grad=True, name="t")
        return tn.sin(tn.exp(t) ** 2 + t**2 * tn.tensor([1.0, 2.0])).sum()

    first = tn.draw(make()).source
    tn.tensor(1.0) + tn.tensor(2.0)  # the clock goes on
    assert tn.draw(make()).source == first


def test_bytes_do_not_depend_on_the_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import tinygrad_nn as tn\n"
        "a = tn.tensor(1.0, requires_grad=True)\n"
        "c = tn.tanh(a * a) + a\n"
        "print(tn.draw(c).source)\n"
    )
    runs = [
        subprocess.run([sys.executable, "-X", "utf8", str(script)], check=True, capture_output=True,
                       env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": CHECKOUT}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1]


# --- files -----------------------------------------------------------------------------------------------------------


def test_save_by_suffix(founding, engine, tmp_path):
    picture = tn.draw(founding[1], engine=engine)
    assert picture.save(tmp_path / "z.svg").read_text("utf-8") == picture.svg()
    assert picture.save(str(tmp_path / "z.dot")).read_text("utf-8") == picture.source
    assert picture.save(tmp_path / "z.png").read_bytes().startswith(b"\x89PNG")
    assert Picture.from_json(picture.save(tmp_path / "z.JSON").read_text("utf-8")) == picture
    with pytest.raises(ValueError, match=r"saved as \.svg .* not '\.bmp'"):
        picture.save(tmp_path / "z.bmp")


def test_pdf_where_there_is_dot(founding, tmp_path):
    render_pdf = tn.draw(founding[1]).save
    try:
        layout_engine.find("dot")
    except layout_engine.RenderError:
        with pytest.raises(layout_engine.RenderError, match="pdf needs the program `dot`"):
            render_pdf(tmp_path / "z.pdf")
    else:
        assert render_pdf(tmp_path / "z.pdf").read_bytes().startswith(b"%PDF")


def test_without_dot_the_embedded_engine_draws(founding, tmp_path, monkeypatch):
    if layout_engine._embedded() is None:
        pytest.skip("no graphviz-pure")
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = tn.draw(founding[1])
    assert "graphviz-pure" not in picture.svg()
    assert "−5.5543" in picture.svg()
    assert picture.save(tmp_path / "z.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(layout_engine.RenderError, match=r"pdf needs the program `dot`.*save as \.svg or \.png"):
        picture.save(tmp_path / "z.pdf")
    with pytest.raises(layout_engine.RenderError, match="engine='dot' needs the program `dot`"):
        tn.draw(founding[1], engine="dot").svg()


def test_embedded_engine_says_that_it_cannot_write_pdf(founding, tmp_path):
    with pytest.raises(layout_engine.RenderError, match="writes svg and png, not pdf"):
        tn.draw(founding[1], engine="embedded").save(tmp_path / "z.pdf")


def test_without_any_engine_the_error_names_a_way_out(founding, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(layout_engine, "_embedded", lambda: None)
    with pytest.raises(layout_engine.RenderError, match="pip install graphviz-pure"):
        tn.draw(founding[1]).svg()


def test_what_an_engine_says_is_passed_on(engine):
    with pytest.raises(layout_engine.RenderError, match=f"{engine} could not draw the picture: Error: .*syntax error"):
        layout_engine.layout("digraph {", "svg", engine)


def test_a_program_that_cannot_be_started_is_named(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/no/such/shell\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(layout_engine.RenderError, match="dot could not be started"):
        layout_engine.layout("digraph { }", "svg", "dot")


def test_importing_loads_no_view_and_only_dot_loads_graphviz():
    script = (
        "import sys, tinygrad_nn as tn\n"
        "assert not any(m.startswith('tinygrad_nn.view') for m in sys.modules)\n"
        "picture = tn.draw(tn.tensor(1.0, requires_grad=True) * 2)\n"
        "assert picture.text()\n"
        "assert 'graphviz' not in sys.modules and 'IPython' not in sys.modules\n"
        "assert picture.source\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": CHECKOUT})


# --- notebooks -------------------------------------------------------------------------------------------------------


def test_notebooks_show_the_svg(founding, engine):
    picture = tn.draw(founding[1], engine=engine)
    bundle = picture._repr_mimebundle_()
    assert bundle["image/svg+xml"] == picture._repr_svg_() == picture.svg()
    assert bundle["text/html"] == picture._repr_html_()
    assert bundle["text/plain"] == repr(picture)


def images(page):
    """The attributes of all images in a page."""
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(dict(attributes)) if tag == "img" else None
    parser.feed(page)
    return found


def test_an_untrusted_notebook_which_strips_svg_elements_shows_the_picture(founding):
    picture = tn.draw(founding[1], title='"><script>alert(1)</script>')
    (image,) = images(picture._repr_html_())
    kind, data = image["src"].split(",", 1)
    assert kind == "data:image/svg+xml"
    shown, whole = ET.fromstring(urllib.parse.unquote(data)), ET.fromstring(picture.svg())
    words = [[e.text for e in svg.iter(f"{SVG}text")] for svg in (shown, whole)]
    assert words[0] == words[1]
    assert len(list(shown.iter(f"{SVG}path"))) >= 7  # arrows
    assert len(list(shown.iter(f"{SVG}rect"))) >= 7  # boxes
    assert image["alt"] == picture.scene.title


def test_a_notebook_without_engine_shows_the_text(founding, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(layout_engine, "_embedded", lambda: None)
    (text,) = tn.draw(founding[1])._repr_mimebundle_().values()
    assert "x = exp(t)" in text
    assert "pip install graphviz-pure" in text


def test_json_is_standard(founding):
    with np.errstate(all="ignore"):
        z = tn.log(founding[0] - 0.5)  # −∞, which JSON does not know
    data = json.loads(tn.draw(z).json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert data["boxes"][0]["name"] == "t"
