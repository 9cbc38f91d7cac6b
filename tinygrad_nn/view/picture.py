"""Picture: what `tn.draw` returns; it shows itself in notebooks and saves itself in many formats."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tinygrad_nn.view import scene as model
from tinygrad_nn.view.renderers import as_text, dot_source, layout_engine, svg, tikz
from tinygrad_nn.view.scene import Scene
from tinygrad_nn.view.scenes.folding import fold

__all__ = ["Picture"]


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A drawing that never changes: the model of what it says, and how to render it.

    Parameters
    ----------
    scene : the picture model.
    engine : "dot", "embedded", or None for `dot` where it is on the PATH, else the embedded one.
    timeout : seconds that a layout may take; a larger picture comes back folded, with a note.
    """

    scene: Scene
    engine: str | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.engine not in (None, *layout_engine.ENGINES):
            raise ValueError(f"engine must be 'dot', 'embedded' or None, not {self.engine!r}")

    @property
    def source(self) -> str:
        """The DOT text.  The same graph gives the same bytes."""
        return dot_source.write(self.scene)

    def svg(self) -> str:
        """The picture as an SVG document with title, description and tooltips.

        RenderError where there is no layout engine at all.
        """
        return self._drawn

    @cached_property
    def _drawn(self) -> str:
        return svg.finish(*self._layout("svg"))

    def png(self) -> bytes:
        """The picture as pixels, at 144 to the inch."""
        return self._layout("png", "-Gdpi=144")[0]

    def _layout(self, form: str, *options: str) -> tuple[bytes, Scene]:
        """What the engine draws, and of which scene: one that takes too long is folded until it does not."""
        scene, late = self.scene, layout_engine.LayoutTimeoutError("")
        for most, part in ((60, 0.6), (20, 0.25), (8, 0.15)):
            try:
                return layout_engine.layout(
                    dot_source.write(scene), form, self.engine, self.timeout * part, *options
                ), scene
            except layout_engine.LayoutTimeoutError as reason:
                late = reason
                scene = fold(self.scene, most, f"its layout took longer than {self.timeout:g} s")
        raise late

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file in the format of its suffix, and return its path.

        .svg .png .pdf .dot (also .gv) .json .html .tex (TikZ, for the class standalone) .txt.  ValueError for another
        suffix, RenderError where the engine does not write it.
        """
        path = Path(path)
        writers: dict[str, Callable[[], bytes]] = {
            ".svg": lambda: self.svg().encode(),
            ".png": self.png,
            ".pdf": lambda: self._layout("pdf")[0],
            ".dot": lambda: self.source.encode(),
            ".gv": lambda: self.source.encode(),
            ".json": lambda: self.json().encode(),
            ".html": lambda: self.html().encode(),
            ".tex": lambda: self.tex().encode(),
            ".txt": lambda: self.text().encode(),
        }
        try:
            content = writers[path.suffix.lower()]
        except KeyError:
            raise ValueError(f"pictures are saved as {' '.join(writers)}, not {path.suffix or path.name!r}") from None
        path.write_bytes(content())
        return path

    def text(self) -> str:
        """What the picture says, line by line."""
        return as_text.text(self.scene)

    def html(self) -> str:
        """A page with the picture, and its text to unfold."""
        return as_text.page(self.scene, self.svg())

    def tex(self) -> str:
        """A LaTeX document of the class standalone that draws the picture with TikZ."""
        bare = dataclasses.replace(self.scene, table=None, notes=())
        laid_out, scene = Picture(bare, self.engine, self.timeout)._layout("json")
        return tikz.write(
            dataclasses.replace(scene, table=self.scene.table, notes=self.scene.notes + scene.notes), laid_out
        )

    def json(self) -> str:
        """The picture model; `Picture.from_json` makes the same picture of it."""
        return json.dumps(model.to_plain(self.scene), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, engine: str | None = None, timeout: float = 10.0) -> Picture:
        """The picture that `json` described.  ValueError where the text is none."""
        return cls(model.from_plain(Scene, json.loads(text)), engine, timeout)

    def __repr__(self) -> str:
        return f"<picture: {self.scene.title}; {len(self.scene.nodes)} nodes, {len(self.scene.edges)} arrows>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.json() == other.json()

    def __hash__(self) -> int:
        return hash(self.json())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        """The SVG within the page itself, where tooltips work (as an image they do not)."""
        return self.svg().split("?>", 1)[1].strip()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Everything a notebook can show; where no engine draws it, what the picture says."""
        try:
            return {"text/html": self._repr_html_(), "image/svg+xml": self.svg(), "text/plain": repr(self)}
        except layout_engine.RenderError as reason:
            return {"text/plain": f"{self.text()}\n({reason})"}
