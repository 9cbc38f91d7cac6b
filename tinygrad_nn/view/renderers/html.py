"""Pages that show a picture, with what it says in words to unfold."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_nn.notebook import escaped

__all__ = ["inline", "page", "worksheet"]

STYLE = "body { margin: 2em; font-family: Arial, Helvetica, sans-serif; } svg { max-width: 100%; height: auto; }"


def inline(svg: str) -> str:
    """An SVG document as it stands within a page, where tooltips work (as an image they do not)."""
    return svg.split("?>", 1)[1].strip()


def page(title: str, drawing: str, words: str = "") -> str:
    """A page with a picture."""
    title = escaped(title)
    if words:
        lines = "\n".join(escaped(line) for line in words.split("\n"))
        details = f"<details><summary>{title}</summary><pre>{lines}</pre></details>"
        drawing = f"<figure>\n{drawing}\n<figcaption>{details}</figcaption>\n</figure>"
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n{drawing}\n</body>\n</html>\n'


PRINTED = (
    "section + section { break-before: page; } li { margin: 0.5em 0; } @media screen { details { margin-top: 2em; } }"
)


def worksheet(title: str, exercise: str, solution: str, asked: Iterable[tuple[str, str, str]]) -> str:
    """Pages to print: a picture with gaps and what is asked for, and with the solutions."""
    asked = list(asked)
    questions = "\n".join(f"<li>({escaped(k)}) {escaped(what)} = ______________</li>" for k, what, _ in asked)
    answers = "\n".join(f"<li>({escaped(k)}) {escaped(what)} = {escaped(x)}</li>" for k, what, x in asked)
    title = escaped(title)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>{STYLE} {PRINTED} ul {{ list-style: none; padding: 0; }}</style>
<body>
<section>
<h1>{title}</h1>
<p>Fill in what is left out.</p>
{exercise}
<ul>
{questions}
</ul>
</section>
<section>
<h1>{title}: solution</h1>
{solution}
<ul>
{answers}
</ul>
</section>
</body>
</html>
"""
