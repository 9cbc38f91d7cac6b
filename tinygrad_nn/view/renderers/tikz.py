"""A finished SVG of ours as a TikZ picture, for papers: `Picture.save("z.tex")`.

The engines draw with paths, polygons, ellipses and lines of text, and nothing else.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from tinygrad_nn.view.renderers import latex
from tinygrad_nn.view.renderers.svg import SVG

__all__ = ["picture", "write"]

_START = "\\begin{tikzpicture}[x=1bp, y=-1bp, line width=1bp, font=\\sffamily, inner sep=0pt]"
_STRUCK = "\\providecommand\\struck[1]{\\sbox0{#1}\\rlap{\\rule[0.5ex]{\\wd0}{0.6bp}}\\usebox0}"
# TeX has no ✓ and ✗ without further packages
_MARKS = {"✓": "\\checked{}", "✗": "\\crossed{}"}
_DRAWN = {
    "\\checked": "\\draw (0,0.3em) -- (0.25em,0.05em) -- (0.7em,0.7em);",
    "\\crossed": "\\draw (0,0) -- (0.6em,0.6em) (0,0.6em) -- (0.6em,0);",
}


def write(svg: str) -> str:
    """A LaTeX document of the class standalone that draws the same; a comment says what each part is."""
    return latex.document(picture(svg), "tikz")


def picture(svg: str) -> str:
    """The same without the document around it: what it defines, and a tikzpicture."""
    lines = list(_lines(ET.fromstring(svg)))
    codes = sorted(set(re.findall(r"\bc([\dA-F]{6})\b", "\n".join(lines))))
    colors = [f"\\definecolor{{c{code}}}{{HTML}}{{{code}}}" for code in codes]
    defined = [_STRUCK] if any("\\struck" in line for line in lines) else []
    for name, drawn in _DRAWN.items():
        if any(name in line for line in lines):
            defined.append(f"\\providecommand{name}{{\\tikz[y=1em, line width=0.1em]{drawn}}}")
    return "\n".join([*colors, *defined, _START, *lines, "\\end{tikzpicture}"])


def _lines(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        kind = element.tag.removeprefix(SVG)
        if kind == "g" and element.get("class"):
            yield f"% {element.get('class')}"
        elif kind in ("path", "polygon", "polyline", "ellipse"):
            yield f"{_command(element)} {_outline(kind, element)};"
        elif kind == "text":
            yield _text(element)


def _color(code: str | None) -> str:
    """The name of a colour; empty where nothing is painted."""
    if code in (None, "none", "transparent"):
        return ""
    return f"c{code[1:].upper()}" if code.startswith("#") else code


def _command(element: ET.Element) -> str:
    """How an outline is drawn and filled."""
    line, fill = _color(element.get("stroke")), _color(element.get("fill"))
    options = [f"fill={fill}"] if fill else []
    if line:
        dashes = re.findall(r"[\d.]+", element.get("stroke-dasharray", ""))
        dashes = [f"{kind} {length}bp" for kind, length in zip(("on", "off") * len(dashes), dashes, strict=False)]
        width = element.get("stroke-width")
        options += [f"draw={line}", f"line width={width}bp" if width else ""]
        options += [f"dash pattern={' '.join(dashes)}"] if dashes else []
    return f"\\path[{', '.join(filter(None, options))}]"


def _points(text: str) -> list[str]:
    numbers = re.findall(r"-?[\d.]+", text)
    return [f"({x},{y})" for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _outline(kind: str, element: ET.Element) -> str:
    if kind == "ellipse":
        cx, cy, rx, ry = (element.get(name) for name in ("cx", "cy", "rx", "ry"))
        return f"({cx},{cy}) ellipse [x radius={rx}, y radius={ry}]"
    if kind in ("polygon", "polyline"):
        return " -- ".join(_points(element.get("points", ""))) + (" -- cycle" if kind == "polygon" else "")
    start, *rest = _points(element.get("d", ""))
    curves = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return start + "".join(f" .. controls {a} and {b} .. {end}" for a, b, end in curves)


def _text(element: ET.Element) -> str:
    size = float(element.get("font-size", 12))
    anchor = "base west" if element.get("text-anchor") == "start" else "base"
    font = f"\\fontsize{{{size:g}}}{{{size:g}}}\\selectfont" + "\\bfseries" * (element.get("font-weight") == "bold")
    options = f"anchor={anchor}, text={_color(element.get('fill')) or 'black'}, font=\\sffamily{font}"
    text = "".join(_MARKS.get(part) or latex.escape(part) for part in re.split("([✓✗])", element.text or ""))
    if element.get("text-decoration") == "line-through":
        text = f"\\struck{{{text}}}"
    place = f"at ({element.get('x')},{element.get('y')}) {{{text}}};"
    if "paint-order" not in element.attrib:
        return f"\\node[{options}] {place}"
    paper = options.replace(_color(element.get("fill")), _color(element.get("stroke")), 1)
    halo = f"\\foreach \\a in {{0,45,...,315}} \\node[{paper}, shift={{(\\a:1.5bp)}}] {place}"
    return f"{halo}\n\\node[{options}] {place}"
