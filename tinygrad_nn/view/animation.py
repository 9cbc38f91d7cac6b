"""Film: pictures one after the other, with a caption each; a strip, an animated GIF, a page, or a file a frame."""

from __future__ import annotations

import dataclasses
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinygrad_nn import notebook
from tinygrad_nn.view.picture import Picture, save_as
from tinygrad_nn.view.renderers import as_json, html, style, svg
from tinygrad_nn.view.renderers.layout_engine import RenderError
from tinygrad_nn.view.scene import Reel
from tinygrad_nn.view.showing import show
from tinygrad_nn.view.text import clean

__all__ = ["Film"]


class Film:
    """The frames of a backward pass; shows itself in notebooks as a strip.

    `frames` are pictures, `captions` say in words what happens in each.  All frames share one layout, which is as wide
    as it has to be: a film that leads downwards and is still wider than its `width` is scrolled.  `living` is what its
    page draws, in which the reader goes step by step.
    """

    def __init__(self, frames: Sequence[Picture], captions: Sequence[str], title: str, living: Picture | None = None):
        self.frames = tuple(dataclasses.replace(f, like=frames[0]) if k else f for k, f in enumerate(frames))
        self.captions, self.title = tuple(map(clean, captions)), clean(title)
        self.living = living

    @classmethod
    def of(
        cls, reel: Reel, engine: str | None = None, timeout: float = 10.0, width: float = 760, theme: str = "auto"
    ) -> Film:
        """The film that a record describes."""
        frames = [Picture(scene, engine, timeout, width, theme) for scene in reel.frames]
        living = None if reel.living is None else Picture(reel.living, engine, timeout, width, theme)
        return cls(frames, reel.captions, reel.title, living)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<film: {self.title}; {len(self)} frames>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Film) and self.json() == other.json()

    def __hash__(self) -> int:
        return hash(self.json())

    @property
    def _theme(self) -> str:
        return self.frames[0].theme if self.frames else "auto"

    def svg(self) -> str:
        """All frames below each other."""
        drawings = [ET.fromstring(frame.svg()) for frame in self.frames]
        return svg.strip(drawings, self.captions, self.title, self._theme)

    def gif(self, seconds: float = 2.0) -> bytes:
        """The frames one after the other.  ImportError, with the way out, where pillow is not installed."""
        try:
            from PIL import Image
        except ImportError:
            raise ImportError("animated GIFs need pillow: pip install tinygrad_nn[gif], or save as .svg") from None
        images = [Image.open(io.BytesIO(frame.png())).convert("RGB") for frame in self.frames]
        size = max(image.width for image in images), max(image.height for image in images)
        sheets = [Image.new("RGB", size, style.paper(self._theme)) for _ in images]
        for sheet, image in zip(sheets, images, strict=True):
            sheet.paste(image, (0, 0))
        out = io.BytesIO()
        times = [round(1000 * seconds)] * (len(sheets) - 1) + [round(3000 * seconds)]
        sheets[0].save(out, "GIF", save_all=True, append_images=sheets[1:], duration=times, loop=0)
        return out.getvalue()

    def html(self) -> str:
        """A page in which the reader goes through the backward pass; with all frames for readers without scripts."""
        still = html.inline(self.svg())
        if self.living is None or not self.living.is_living:
            return html.page(self.title, still)
        return self.living.living_page(still, "\n".join(self.captions), self.title)

    def json(self) -> str:
        """All frames and captions; `Film.from_json` makes the same film of them."""
        living = None if self.living is None else self.living.scene
        return as_json.write(Reel(self.title, self.captions, tuple(frame.scene for frame in self.frames), living))

    @classmethod
    def from_json(
        cls, text: str, engine: str | None = None, timeout: float = 10.0, width: float = 760, theme: str = "auto"
    ) -> Film:
        """The film that `json` described.  ValueError where the text is none."""
        return cls.of(as_json.read(text, Reel), engine, timeout, width, theme)

    def save(self, path: str | Path) -> Path | list[Path]:
        """Write to a file in the format of its suffix, and return its path: .svg .gif .html .json.

        A name with a place for the number of the frame, as in ``film.save("frame_{:02}.png")``, is one file for each,
        in any format of a picture; the paths of all are returned.  ValueError for anything else.
        """
        path = Path(path)
        if "{" in path.name:
            return [frame.save(file) for frame, file in zip(self.frames, self._files(path), strict=True)]
        writers: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".gif": self.gif,
            ".html": self.html,
            ".json": self.json,
        }
        return save_as(path, writers, "films", " ('frame_{:02}.png' is a file a frame)")

    def _files(self, path: Path) -> list[Path]:
        """The names of the frames' files."""
        try:
            files = [path.with_name(path.name.format(k)) for k in range(len(self))]
        except (LookupError, ValueError):
            files = []
        if len(set(files)) < len(self):
            raise ValueError(
                f"a file for each frame has one place for its number, as 'frame_{{:02}}.png', not {path.name!r}"
            )
        return files

    def show(self) -> None:
        """Show it: in the notebook, in a browser, or, where there is no screen, by printing where the page is."""
        show(self)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        still = notebook.image(svg.small(self.svg()), self.title)
        return still if self.living is None or not self.living.is_living else self.living.living_cell(still)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Everything a notebook can show; where no engine draws it, what the captions say."""
        try:
            return {"text/html": self._repr_html_(), "image/svg+xml": self.svg(), "text/plain": repr(self)}
        except RenderError as reason:
            return {"text/plain": "\n".join([self.title, "", *self.captions, f"({reason})"])}
