"""`tn.explain`: the derivation of a gradient in words and formulas, as text, Markdown or LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tinygrad_nn import notebook
from tinygrad_nn.operation import Traced, recorded
from tinygrad_nn.variables import called_in_program
from tinygrad_nn.view.derivation import Section, derivation
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.highlighted_paths import require_dependence
from tinygrad_nn.view.renderers import latex
from tinygrad_nn.view.text import clean

__all__ = ["Explanation", "explain"]


class Explanation(str):
    """A text that shows itself as it prints, and in notebooks as tables, or with set formulas."""

    def __new__(cls, text: str, html: str = "", markdown: str = "") -> Explanation:  # noqa: D102
        made = super().__new__(cls, text)
        made._html, made._markdown = html, markdown
        return made

    _html: str
    _markdown: str

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._html, "text/markdown": self._markdown, "text/plain": str(self)}


def explain(z: Any, t: Any, format: str = "text", *, names: Mapping[str, Any] | None = None) -> Explanation:  # noqa: A002
    """The gradient of z with respect to t derived step by step.

    The functions with their values, the local derivatives, the total derivative as a sum over all paths, with symbols
    and then with numbers, the factored form where it is shorter, and the check against the backward pass.

    Parameters
    ----------
    z : a recorded tensor; of several elements, their sum is explained.
    t : a tensor that z depends on and that requires a gradient.
    format : "text", "markdown" (with formulas between $$), or "latex" (a document of the class standalone).
    names : tensors by name; by default the variables of the caller, unless a tensor has a name of its own.

    Returns
    -------
    A string, which shows itself as it prints, and in notebooks as tables.

    Raises
    ------
    TypeError : z or t is no tensor.
    ValueError : an unknown format; t requires no gradient, or depends on z.
    MutationError : a value was changed after it was used, so that there is no right answer any more.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> t = tn.tensor(2.0, requires_grad=True)
    >>> x, y = t**2, 3 * t
    >>> z = x * y
    >>> print(tn.explain(z, t))
    How z is computed
      x = t² = 4
      y = 3·t = 6
      z = x·y = 24
    <BLANKLINE>
    Local derivatives
      ∂x/∂t = 2t = 4
      ∂y/∂t = 3
      ∂z/∂x = y = 6
      ∂z/∂y = x = 4
    <BLANKLINE>
    Total derivative: t = 2 reaches z along 2 paths
      t → x → z
      t → y → z
      dz/dt = ∂z/∂x·∂x/∂t + ∂z/∂y·∂y/∂t
            = y·2t + x·3
            = 6·4 + 4·3
            = 24 + 12
            = 36
    <BLANKLINE>
    Check
      ✓ the backward pass gives 36

    Source: M. Thill's post "Yet another Neural Networks Introduction", "Interlude: The Chain Rule and
    Nested Dependencies".
    """
    for value, role in ((z, "z"), (t, "t")):
        if not isinstance(value, Traced):
            raise TypeError(f"explain takes tensors, {role} is of type {type(value).__name__}")
    writers = {"text": _text, "markdown": _markdown, "latex": _latex}
    if format not in writers:
        raise ValueError(f"format must be 'text', 'markdown' or 'latex', not {format!r}")
    graph = ComputationGraph(z, names, called_in_program(sys._getframe(1)) if names is None else None)
    if any(node is z for node in recorded(t)):  # the wrong way round; of unrelated tensors it says so in the text
        require_dependence(graph, t, "explain({z}, {t})")
    for node in graph.nodes:
        if node.index in graph.broken:
            node.check_unchanged()
    sections = derivation(graph, t)
    return Explanation(writers[format](sections), _html(sections), _markdown(sections))


# --- formats ---------------------------------------------------------------------------------------------------------


def _text(sections: list[Section]) -> str:
    parts = []
    for section in sections:
        lines = [clean(section.heading)]
        lines += [f"  {clean(line)}" for line in section.words]
        for left, *right in section.equations:
            chained = len(section.equations) > 1
            if chained:
                lines.append(f"  {clean(' = '.join([left, *right]))}")
                continue
            lines += [f"  {clean(left if not i else ' ' * len(left))} = {clean(r)}" for i, r in enumerate(right)]
        lines += [f"  {clean(line)}" for line in section.after]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _html(sections: list[Section]) -> str:
    """Tables of equations: no formula needs more than its letters, so that they stand in every notebook."""
    parts = []
    for section in sections:
        parts.append(notebook.heading(section.heading))
        parts += [notebook.paragraph(line) for line in section.words]
        rows = [
            (left if not i else "", "=", right)
            for left, *rights in section.equations
            for i, right in enumerate(rights if len(section.equations) == 1 else [" = ".join(rights)])
        ]
        parts += [notebook.table(rows)] if rows else []
        parts += [notebook.paragraph(line) for line in section.after]
    return "".join(parts)


def _aligned(section: Section) -> str:
    """The equations of a section as an align environment's lines."""
    lines = []
    for left, *right in section.equations:
        if len(section.equations) > 1:
            lines.append(f"{latex.math(left)} &= {' = '.join(latex.math(r) for r in right)}")
        else:
            lines += [f"{latex.math(left) if not i else ''} &= {latex.math(r)}" for i, r in enumerate(right)]
    return " \\\\\n".join(lines)


def _markdown(sections: list[Section]) -> str:
    parts = []
    for section in sections:
        lines = [f"### {notebook.in_markdown(section.heading)}"]
        if section.words:
            lines.append("\n".join(f"- {notebook.in_markdown(line)}" for line in section.words))
        if section.equations:
            lines.append(f"$$\n\\begin{{aligned}}\n{_aligned(section)}\n\\end{{aligned}}\n$$")
        lines += [notebook.in_markdown(line) for line in section.after]
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _latex(sections: list[Section]) -> str:
    parts = []
    for section in sections:
        lines = [f"\\textbf{{{latex.escape(section.heading)}}}"]
        lines += [f"\\quad {latex.escape(line)}" for line in section.words]
        body = "\\par\n".join(lines)
        if section.equations:
            body += f"\n\\begin{{align*}}\n{_aligned(section)}\n\\end{{align*}}\n"
        body += "".join(f"\\par {latex.escape(line)}\n" for line in section.after)
        parts.append(body)
    return latex.document("\\par\\medskip\n".join(parts), options="border=6pt,varwidth=24cm")
