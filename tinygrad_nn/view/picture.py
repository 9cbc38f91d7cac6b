"""Picture: what `tn.draw` returns; it shows itself in notebooks and saves itself in many formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tinygrad_nn.view.graph.point import Point
from tinygrad_nn.view.renderers import as_json, as_text, dot_source, html, layout_engine, svg, tikz
from tinygrad_nn.view.scene import Scene
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.text import cleaned

__all__ = ["Picture", "save_as"]

TRIES = ((60, 0.6), (20, 0.25), (8, 0.15))  # boxes that are left, and the part of the time for each layout


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A drawing that never changes: a scene, and how to render it.

    Parameters
    ----------
    scene : what it says.
    engine : "dot", "embedded", or None for `dot` where it is on the PATH, else the embedded one.
    timeout : seconds that a layout may take; a larger picture comes back folded, with a note.
    point : the numbers of the graph when it was drawn, for `tn.compare`; not in files.
    """

    scene: Scene
    engine: str | None = None
    timeout: float = 10.0
    point: Point | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        layout_engine.require_known(self.engine)
        object.__setattr__(self, "scene", cleaned(self.scene))

    @property
    def source(self) -> str:
        """The DOT text.  The same graph gives the same bytes."""
        return dot_source.write(self.scene)

    def svg(self) -> str:
        """The picture as an SVG document with title, description and tooltips.

        RenderError where there is no layout engine at all.
        """
        return self._svg

    @cached_property
    def _svg(self) -> str:
        return svg.finish(*self._layout("svg"))

    def png(self) -> bytes:
        """The picture as pixels, at 144 to the inch."""
        return self._layout("png", "-Gdpi=144")[0]

    def _layout(self, form: str, *options: str) -> tuple[bytes, Scene]:
        """What the engine draws, and of which scene: one that takes too long is folded until it does not."""
        scene = self.scene
        for boxes_left, part in TRIES:
            source, time = dot_source.write(scene), self.timeout * part
            try:
                return layout_engine.layout(source, form, self.engine, time, *options), scene
            except layout_engine.LayoutTimeoutError as reason:
                late = reason
                scene = fold(self.scene, boxes_left, f"its layout took longer than {self.timeout:g} s")
        raise late

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file in the format of its suffix, and return its path.

        .svg .png .pdf .dot (also .gv) .json .html .tex (TikZ, for the class standalone) .txt.  ValueError for another
        suffix, RenderError where the engine does not write it.
        """
        writers: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".png": self.png,
            ".pdf": lambda: self._layout("pdf")[0],
            ".dot": lambda: self.source,
            ".gv": lambda: self.source,
            ".json": self.json,
            ".html": self.html,
            ".tex": self.tex,
            ".txt": self.text,
        }
        return save_as(path, writers, "pictures")

    def text(self) -> str:
        """What the picture says, line by line."""
        return as_text.write(self.scene)

    def html(self) -> str:
        """A page with the picture, and its text to unfold."""
        return html.page(self.scene.title, html.inline(self.svg()), self.text())

    def tex(self) -> str:
        """A LaTeX document of the class standalone that draws the picture with TikZ."""
        return tikz.write(self.svg())

    def json(self) -> str:
        """The scene; `Picture.from_json` makes the same picture of it."""
        return as_json.write(self.scene)

    @classmethod
    def from_json(cls, text: str, engine: str | None = None, timeout: float = 10.0) -> Picture:
        """The picture that `json` described.  ValueError where the text is none."""
        return cls(as_json.read(text, Scene), engine, timeout)

    def __repr__(self) -> str:
        return f"<picture: {self.scene.title}; {len(self.scene.boxes)} nodes, {len(self.scene.arrows)} arrows>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.json() == other.json()

    def __hash__(self) -> int:
        return hash(self.json())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return html.inline(self.svg())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Everything a notebook can show; where no engine draws it, what the picture says."""
        try:
            return {"text/html": self._repr_html_(), "image/svg+xml": self.svg(), "text/plain": repr(self)}
        except layout_engine.RenderError as reason:
            return {"text/plain": f"{self.text()}\n({reason})"}


def save_as(path: str | Path, writers: Mapping[str, Callable[[], str | bytes]], what: str, hint: str = "") -> Path:
    """Write to a file what the writer for its suffix makes, and return its path.  ValueError for another suffix."""
    path = Path(path)
    if path.suffix.lower() not in writers:
        raise ValueError(f"{what} are saved as {' '.join(writers)}, not {path.suffix or path.name!r}{hint}")
    content = writers[path.suffix.lower()]()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
