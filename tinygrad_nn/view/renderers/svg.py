"""What Graphviz leaves out of an SVG: title and description in words, tooltips, lanes that differ without colour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.scene import Scene
from tinygrad_nn.view.text import clean, measure

__all__ = ["finish"]

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
FONTS = "Arial,Helvetica,Liberation Sans,DejaVu Sans,sans-serif"


def finish(drawn: bytes, scene: Scene) -> str:
    """The SVG that an engine has drawn, as a document that describes itself."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(drawn)
    tooltips = {node.id: node.tooltip for node in scene.nodes} | {edge.id: edge.tooltip for edge in scene.edges}
    tooltips |= {group.id: group.tooltip or group.label for group in scene.groups}
    lanes = {edge.id: edge.lanes for edge in scene.edges if edge.kind != "sends"}
    for element in list(root.iter()):
        _plain(element)
        if element.tag == f"{{{SVG}}}g" and element.get("id"):
            _describe(element, tooltips)
            _dash(element, lanes.get(element.get("id", ""), ()))
    root.set("role", "img")
    root.set("style", "max-width:100%;height:auto")
    root.set("font-family", FONTS)
    for position, (tag, words) in enumerate((("title", scene.title), ("desc", scene.description))):
        entry = ET.Element(f"{{{SVG}}}{tag}")
        entry.text = clean(words)
        entry.tail = "\n"
        root.insert(position, entry)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _plain(element: ET.Element) -> None:
    """One font for all, blanks in front made distance, and links that only carried tooltips made groups."""
    element.attrib.pop("font-family", None)
    element.attrib.pop("{http://www.w3.org/XML/1998/namespace}space", None)
    if element.tag == f"{{{SVG}}}text" and element.text:
        blanks = len(element.text) - len(element.text.lstrip())
        start = float(element.get("x", 0)) + measure(" " * blanks, float(element.get("font-size", 12)))
        element.text = element.text.strip()
        element.set("x", f"{start:g}")
    if element.tag == f"{{{SVG}}}a":
        element.tag = f"{{{SVG}}}g"
        for name in [name for name in element.attrib if name.startswith(f"{{{XLINK}}}")]:
            del element.attrib[name]


def _describe(group: ET.Element, tooltips: dict[str, str]) -> None:
    """Graphviz titles an element with its id; a reader wants to know what it is."""
    for title in group.findall(f"{{{SVG}}}title"):
        words = tooltips.get(group.get("id", ""))
        if words:
            title.text = "\n".join(clean(line) for line in words.split("\n"))
        else:
            group.remove(title)


def _dash(edge: ET.Element, lanes: tuple[int, ...]) -> None:
    """Each lane gets the dash pattern of its path; Graphviz knows one for the whole arrow."""
    curves = [e for e in edge.iter(f"{{{SVG}}}path") if e.get("fill") == "none"]
    if not lanes or len(curves) % len(lanes):
        return
    by_color = {style.lane(k).line: style.lane(k).dashes for k in lanes}
    for curve in curves:
        dashes = by_color.get(re.sub(r"\s", "", curve.get("stroke", "")).lower())
        curve.attrib.pop("stroke-dasharray", None)
        if dashes:
            curve.set("stroke-dasharray", dashes)
