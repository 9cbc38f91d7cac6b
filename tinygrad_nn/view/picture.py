"""Picture: what `tn.draw` returns; it shows itself in notebooks and saves itself in many formats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tinygrad_nn import notebook
from tinygrad_nn.view.arrangement import arranged
from tinygrad_nn.view.graph.point import Point
from tinygrad_nn.view.renderers import as_json, as_text, dot_source, html, layout_engine, page, style, svg, tikz
from tinygrad_nn.view.scene import Scene
from tinygrad_nn.view.showing import show
from tinygrad_nn.view.text import cleaned

__all__ = ["Picture", "save_as"]

THEMES = ("auto", "light", "dark")


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A drawing that never changes: a scene, and how to render it.

    Parameters
    ----------
    scene : what it says.
    engine : "dot", "embedded", or None for `dot` where it is on the PATH, else the embedded one.
    timeout : seconds that a layout may take; a larger picture comes back folded, with a note.
    width : pixels that it may be wide where it is shown: it runs downwards or is folded until it is no wider.  Its
        letters stay as large as they are, 11 pixels and more.
    theme : "light", "dark", or "auto": light, but dark where the reader's browser asks for it.
    like : the picture whose arrangement it has: frames of a film are arranged like the first one.
    point : the numbers of the graph when it was drawn, for `tn.compare`; not in files.
    """

    scene: Scene
    engine: str | None = None
    timeout: float = 10.0
    width: float = 760
    theme: str = "auto"
    like: Picture | None = field(default=None, compare=False)
    point: Point | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        layout_engine.require_known(self.engine)
        if self.theme not in THEMES:
            raise ValueError(f"theme must be 'auto', 'light' or 'dark', not {self.theme!r}")
        object.__setattr__(self, "scene", cleaned(self.scene))

    @property
    def source(self) -> str:
        """The DOT text.  The same graph gives the same bytes."""
        try:
            scene = self._arranged[0]
        except layout_engine.RenderError:  # there is no engine: as it is
            scene = self.scene
        return self._written(scene)

    @cached_property
    def _arranged(self) -> tuple[Scene, bytes]:
        """The scene as it fits, and what the engine draws of it."""
        like = self.like._arranged[0] if self.like is not None else None
        return arranged(self.scene, self._written, self.engine, self.timeout, self.width, like)

    def _written(self, scene: Scene, pixels: bool = False) -> str:
        """A scene as a DOT text in the colours of the theme."""
        source = dot_source.write(scene, self.width, pixels)
        return style.dark(source) if self.theme == "dark" else source

    def svg(self) -> str:
        """The picture as an SVG document with title, description and tooltips.

        RenderError where there is no layout engine at all.
        """
        return self._svg

    @cached_property
    def _svg(self) -> str:
        scene, drawn = self._arranged
        return svg.finish(drawn, scene, follows=self.theme == "auto")

    def png(self) -> bytes:
        """The picture as pixels, two for each of the width."""
        return self._drawn("png", "-Gdpi=144")

    def _drawn(self, form: str, *options: str) -> bytes:
        """What the engine draws in a format of its own."""
        layout_engine.find(self.engine, form)  # says at once if it does not know it
        source = self._written(self._arranged[0], pixels=True)
        return layout_engine.layout(source, form, self.engine, self.timeout, *options)

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file in the format of its suffix, and return its path.

        .svg .png .pdf .dot (also .gv) .json .html .tex (TikZ, for the class standalone) .txt.  ValueError for another
        suffix, RenderError where the engine does not write it.
        """
        writers: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".png": self.png,
            ".pdf": lambda: self._drawn("pdf"),
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
        """A page with the living picture: inputs can be moved, and the backward pass be taken step by step.

        Where the computation is not known, as of compiled steps, or is too large: the picture and its text to unfold.
        """
        still = html.inline(self.svg())
        if not self.is_living:
            return html.page(self.scene.title, still, self.text())
        return self.living_page(still, self.text())

    @property
    def _page_scene(self) -> Scene:
        return self.scene.living or self.scene

    @property
    def is_living(self) -> bool:
        """Whether its page can show the computation, and not only the picture."""
        program = self._page_scene.program
        return program is not None and bool(program.nodes)

    def living_page(self, still: str, words: str, title: str = "") -> str:
        """The living page; `still` and `words` are for readers without scripts."""
        scene = dataclasses.replace(self._page_scene, title=title or self.scene.title)
        return page.page(scene, still, words, self.engine, self.timeout, self.theme)

    def living_cell(self, still: str) -> str:
        """The living picture in a notebook; `still` is an image for one that runs no scripts."""
        scene = dataclasses.replace(self._page_scene, title=self.scene.title)
        return page.cell(scene, still, self.engine, self.timeout, self.theme)

    def tex(self) -> str:
        """A LaTeX document of the class standalone that draws the picture with TikZ."""
        scene, drawn = self._arranged
        return tikz.write(svg.finish(drawn, scene))

    def json(self) -> str:
        """The scene; `Picture.from_json` makes the same picture of it."""
        return as_json.write(self.scene)

    @classmethod
    def from_json(
        cls, text: str, engine: str | None = None, timeout: float = 10.0, width: float = 760, theme: str = "auto"
    ) -> Picture:
        """The picture that `json` described.  ValueError where the text is none."""
        return cls(as_json.read(text, Scene), engine, timeout, width, theme)

    def __repr__(self) -> str:
        return f"<picture: {self.scene.title}; {len(self.scene.boxes)} nodes, {len(self.scene.arrows)} arrows>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.json() == other.json()

    def __hash__(self) -> int:
        return hash(self.json())

    def show(self) -> None:
        """Show it: in the notebook, in a browser, or, where there is no screen, by printing where the page is."""
        show(self)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        still = notebook.image(svg.small(self.svg()), self.scene.title)
        return self.living_cell(still) if self.is_living else still

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
