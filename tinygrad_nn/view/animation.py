"""Film: pictures one after the other, with a caption each; shown as a strip, saved as a page or an animated GIF."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from tinygrad_nn import notebook
from tinygrad_nn.view.picture import Picture, save_as
from tinygrad_nn.view.renderers import html, style, svg
from tinygrad_nn.view.showing import show
from tinygrad_nn.view.text import clean

__all__ = ["Film"]


class Film:
    """The frames of a backward pass; shows itself in notebooks as a strip, `save` writes .svg, .gif or .html.

    `frames` are pictures, `captions` say in words what happens in each.
    """

    def __init__(self, frames: Sequence[Picture], captions: Sequence[str], title: str):
        self.frames, self.captions, self.title = tuple(frames), tuple(map(clean, captions)), clean(title)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<film: {self.title}; {len(self)} frames>"

    def svg(self) -> str:
        """All frames below each other, with their captions."""
        return svg.strip([ET.fromstring(frame.svg()) for frame in self.frames], self.captions, self.title)

    def gif(self, seconds: float = 2.0) -> bytes:
        """The frames one after the other.  ImportError, with the way out, where pillow is not installed."""
        try:
            from PIL import Image
        except ImportError:
            raise ImportError("animated GIFs need pillow: pip install tinygrad_nn[gif], or save as .svg") from None
        images = [Image.open(io.BytesIO(frame.png())).convert("RGB") for frame in self.frames]
        size = max(image.width for image in images), max(image.height for image in images)
        sheets = [Image.new("RGB", size, style.PAPER) for _ in images]
        for sheet, image in zip(sheets, images, strict=True):
            sheet.paste(image, (0, 0))
        out = io.BytesIO()
        times = [round(1000 * seconds)] * (len(sheets) - 1) + [round(3000 * seconds)]
        sheets[0].save(out, "GIF", save_all=True, append_images=sheets[1:], duration=times, loop=0)
        return out.getvalue()

    def html(self) -> str:
        """A page with all frames."""
        return html.page(self.title, html.inline(self.svg()))

    def save(self, path: str | Path) -> Path:
        """Write to a file in the format of its suffix: .svg .gif .html.  ValueError for another one."""
        return save_as(path, {".svg": self.svg, ".gif": self.gif, ".html": self.html}, "films")

    def show(self) -> None:
        """Show it: in the notebook, in a browser, or, where there is no screen, by printing where the page is."""
        show(self)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return notebook.image(self.svg(), self.title)
