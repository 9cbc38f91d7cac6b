"""What Graphviz leaves out of an SVG: title and description in words, tooltips, lanes that differ without colour."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from tinygrad_nn.view.renderers import as_text, style
from tinygrad_nn.view.scene import ArrowKind, Scene, Shape
from tinygrad_nn.view.text import clean, measure

__all__ = ["finish", "small", "strip"]

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
HALO = {"paint-order": "stroke", "stroke": style.PAPER, "stroke-width": "4", "stroke-linejoin": "round"}
_ON_COLORS = (style.PAPER, style.ON_PALE, style.ON_STRONG)  # the letters of badges and heat-maps
FONTS = "Arial,Helvetica,Liberation Sans,DejaVu Sans,sans-serif"


def finish(drawn: bytes, scene: Scene, follows: bool = False) -> str:
    """The SVG that an engine has drawn, as a document that describes itself; it `follows` the reader's theme."""
    root = ET.fromstring(drawn)
    tooltips = {cluster.id: cluster.tooltip or cluster.label for cluster in scene.clusters}
    tooltips |= {box.id: box.tooltip for box in scene.boxes} | {arrow.id: arrow.tooltip for arrow in scene.arrows}
    tooltips |= {f"{arrow.id}.{k}": arrow.tooltip for arrow in scene.arrows for k in arrow.lanes}
    on_arrows = {box.id for box in scene.boxes if box.shape is Shape.LABEL}
    older = re.search(rb"graphviz version [2-7]\.", drawn[:1000])  # draws heads beyond where they end
    sending = {arrow.id for arrow in scene.arrows if arrow.kind is ArrowKind.SENDS}
    for element in list(root.iter()):
        _plain(element)
        key = element.get("id", "")
        if element.tag == f"{SVG}g" and key:
            _add_tooltip(element, tooltips.get(key, ""))
            kind = element.get("class", "").partition(" ")[0]
            if kind == "edge" or key in on_arrows:
                _add_halo(element)
            if kind == "edge" and older:
                _shape_heads(element)
            path = re.search(r"\bpath(\d+)", element.get("class", ""))
            if path and key not in sending:
                _dash(element, int(path[1]))
    return _document(root, scene.title, as_text.description(scene), follows)


def _document(root: ET.Element, title: str, description: str, follows: bool) -> str:
    """An element as a document with a title and a description in words, perhaps in the reader's theme."""
    ET.register_namespace("", SVG[1:-1])
    root.set("class", "tinygrad-nn")
    root.set("role", "img")
    root.set("font-family", FONTS)
    for side in ("width", "height"):
        root.set(side, root.get(side, "").removesuffix("pt"))  # a point is a pixel: letters are as large as they say
    if follows:
        rules = ET.Element(f"{SVG}style")
        rules.text = style.dark_rules(ET.tostring(root, encoding="unicode"))
        root.insert(0, rules)
    for position, (tag, words) in enumerate((("title", title), ("desc", description))):
        entry = ET.Element(f"{SVG}{tag}")
        entry.text, entry.tail = clean(words), "\n"
        root.insert(position, entry)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _plain(element: ET.Element) -> None:
    """One font for all, blanks in front made distance, and links that only carried tooltips made groups."""
    element.attrib.pop("font-family", None)
    element.attrib.pop("{http://www.w3.org/XML/1998/namespace}space", None)
    if element.tag == f"{SVG}text" and element.text:
        blanks = len(element.text) - len(element.text.lstrip())
        start = float(element.get("x", 0)) + measure(" " * blanks, float(element.get("font-size", 12)))
        element.text = element.text.strip()
        element.set("x", f"{start:g}")
    if element.tag == f"{SVG}a":
        element.tag = f"{SVG}g"
        for name in [name for name in element.attrib if name.startswith(XLINK)]:
            del element.attrib[name]


def _add_tooltip(group: ET.Element, words: str) -> None:
    """Graphviz titles an element with its id; a reader wants to know what it is."""
    for title in group.findall(f"{SVG}title"):
        if words:
            title.text = "\n".join(clean(line) for line in words.split("\n"))
        else:
            group.remove(title)


def _add_halo(group: ET.Element) -> None:
    """Paper around the letters on an arrow and not behind them: a line that passes is not cut."""
    for text in group.iter(f"{SVG}text"):
        if text.get("fill") not in _ON_COLORS:
            text.attrib |= HALO


def _shape_heads(arrow: ET.Element) -> None:
    """Heads that grow with the width of their line and end at the box; the outline of Graphviz 2 would enter it."""
    line = next((path for path in arrow.iter(f"{SVG}path") if path.get("fill") == "none"), None)
    if line is None:
        return
    for head in arrow.iter(f"{SVG}polygon"):
        corners = [tuple(map(float, point.split(","))) for point in head.get("points", "").split()]
        if head.get("stroke") != line.get("stroke") or len(corners) != 4:
            continue
        (x, y), size = corners[1], 1 + 0.3 * float(line.get("stroke-width", 1))
        head.set("points", " ".join(f"{x + (a - x) * size:.2f},{y + (b - y) * size:.2f}" for a, b in corners))
        head.set("stroke", "none")


def _dash(arrow: ET.Element, number: int) -> None:
    """The dash pattern of a path; Graphviz knows three."""
    for curve in arrow.iter(f"{SVG}path"):
        if curve.get("fill") == "none":
            curve.attrib.pop("stroke-dasharray", None)
            if style.lane(number).dashes:
                curve.set("stroke-dasharray", style.lane(number).dashes)


def small(svg: str) -> str:
    """The same picture in less space: without ids and tooltips, for where it is only an image."""
    root = ET.fromstring(svg)
    for element in list(root.iter()):
        for name in ("id", "class") if element is not root else ():
            element.attrib.pop(name, None)
        for name, usual in _USUAL.items():
            if element.get(name) in usual:
                del element.attrib[name]
        for name in ("d", "points", "x", "y"):
            if name in element.attrib:
                element.set(name, re.sub(r"(\.\d)\d+|\.0+\b", lambda found: found[1] or "", element.get(name, "")))
        if element.get("stroke", "none") == "none":
            for name in ("stroke", "stroke-width"):
                element.attrib.pop(name, None)
        if "transform" in element.attrib:
            element.set("transform", element.attrib["transform"].removeprefix("scale(1 1) rotate(0) "))
        _as_rectangle(element)
        _short(element)
        if element.tag == f"{SVG}g" and not element.attrib:
            element.tag = f"{SVG}drop"
        _join(element)
    for name in ("class", "role"):
        root.attrib.pop(name, None)
    root.set("font-size", "12")
    root.set("fill", style.INK)
    root.set("font-family", "Arial,Helvetica,sans-serif")
    text = re.sub(r"</?drop>|\n", "", ET.tostring(root, encoding="unicode"))
    text = re.sub(r'\.tinygrad-nn \[(\w+)="([^"]*)"\]', r"[\1='\2']", text.replace(" />", "/>"))
    if "<style>" in text:  # what all halos share
        text = text.replace(' stroke-width="4" stroke-linejoin="round"', "").replace("<style>", f"<style>{_HALO}", 1)
    return text


_HALO = "[paint-order]{stroke-width:4px;stroke-linejoin:round}"
_USUAL = {"fill": (style.INK,), "font-size": ("12", "12.00"), "text-anchor": ("start",), "stroke": ("transparent",)}


def _outline(shape: ET.Element) -> str:
    if shape.tag == f"{SVG}rect":
        return " ".join(shape.get(name, "") for name in ("x", "y", "width", "height"))
    return shape.get("d", "")


def _as_rectangle(shape: ET.Element) -> None:
    """A rounded box, which engines draw as eight curves, as a rectangle."""
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", shape.get("d") or "")]
    xs, ys = numbers[::2], numbers[1::2]
    if len(xs) != 25 or (xs[0], ys[0]) != (xs[-1], ys[-1]):
        return
    sides = {"x": min(xs), "y": min(ys), "width": max(xs) - min(xs), "height": max(ys) - min(ys), "rx": xs[0] - min(xs)}
    shape.tag = f"{SVG}rect"
    del shape.attrib["d"]
    shape.attrib.update({name: f"{size:.1f}".removesuffix(".0") for name, size in sides.items()})


def _short(shape: ET.Element) -> None:
    """A polygon with its sides along the axes as a rectangle; others without their last point, which is the first."""
    if "font-size" in shape.attrib:
        shape.set("font-size", shape.attrib["font-size"].removesuffix(".00"))
    points = shape.get("points", "").split()
    if shape.tag != f"{SVG}polygon" or len(points) < 4 or points[0] != points[-1]:
        return
    shape.set("points", " ".join(points[:-1]))
    corners = [(float(x), float(y)) for x, y in (point.split(",") for point in points)]
    (left, *_, right), (top, *_, bottom) = (sorted(side) for side in zip(*corners, strict=True))
    along = all((a[0] == b[0]) != (a[1] == b[1]) for a, b in itertools.pairwise(corners))
    if len(corners) == 5 and along:
        shape.tag = f"{SVG}rect"
        del shape.attrib["points"]
        sides = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        shape.attrib.update({name: f"{size:.1f}".removesuffix(".0") for name, size in sides.items()})


def _join(parent: ET.Element) -> None:
    """One shape for the paper of a box and its outline, and one line for those between the cells of two rows."""
    papers: dict[str, ET.Element] = {}
    rule, ends = parent, [""]
    for child in list(parent):
        outline, points = _outline(child), (child.get("points") or "").split()
        flat = len(points) > 3 and len({point.split(",")[1] for point in points}) == 1
        if child.tag in (f"{SVG}title", f"{SVG}desc"):
            parent.remove(child)
        elif flat and len(ends) > 3 and ends[2] == points[0]:
            parent.remove(child)
            ends[2:4] = points[2:4]
            rule.set("points", " ".join(ends))
            continue
        elif outline and outline in papers and child.get("fill") == "none":
            papers[outline].attrib.update({k: v for k, v in child.attrib.items() if k != "fill"})
            parent.remove(child)
        elif outline and child.get("fill") != "none":
            papers[outline] = child
        rule, ends = child, points if flat else [""]


def strip(drawings: Sequence[ET.Element], captions: Sequence[str], title: str, theme: str) -> str:
    """Several SVG elements below each other; their captions, which they show, as its description."""
    root = ET.Element(f"{SVG}svg")
    paper = ET.SubElement(root, f"{SVG}rect", {"x": "0", "y": "0", "fill": style.paper(theme)})
    y = width = 0.0
    for i, drawing in enumerate(drawings):
        _, _, w, h = (float(x) for x in drawing.get("viewBox", "0 0 0 0").split())
        for element in drawing.iter():
            if "id" in element.attrib:
                element.set("id", f"f{i}{element.get('id')}")
        place = ET.SubElement(root, f"{SVG}g", {"transform": f"translate(0 {y:g})", "class": "frame"})
        place.extend(e for e in drawing if e.tag == f"{SVG}g")
        y, width = y + h, max(width, w)
    for side, size in (("width", width), ("height", y)):
        paper.set(side, f"{size:g}")
        root.set(side, f"{size:g}")
    root.set("viewBox", f"0 0 {width:g} {y:g}")
    return _document(root, title, " ".join(captions), follows=theme == "auto")
