"""`tn.explain`: the derivation of a gradient in words and formulas, as in the founding text's interlude."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.operation import Traced
from tinygrad_nn.view.graph.computation import Graph, Slot, variables_of
from tinygrad_nn.view.graph.highlighted_paths import Lanes
from tinygrad_nn.view.renderers import latex
from tinygrad_nn.view.text import clean, count, number, shape, sum_of

__all__ = ["explain"]

MOST = 8  # terms that are written out
LONG = 600  # characters of a factored form that is still shown


@dataclass(frozen=True)
class Section:
    """A heading, what is said under it, and equations: left side, and one or more right sides below each other."""

    heading: str
    words: tuple[str, ...] = ()
    equations: tuple[tuple[str, ...], ...] = ()
    after: tuple[str, ...] = ()


def explain(z: Any, t: Any, format: str = "text", *, names: Mapping[str, Any] | None = None) -> str:  # noqa: A002
    """The gradient of z with respect to t derived step by step.

    The functions with their values, the local derivatives, the total derivative as a sum over all paths, with symbols
    and then with numbers, the factored form where it is shorter, and the check against the backward pass.

    Parameters
    ----------
    z : a recorded tensor; of several elements, their sum is explained.
    t : a tensor that z depends on and that requires a gradient.
    format : "text", "markdown" (with formulas between $$), or "latex" (a document of the class standalone).
    names : tensors by name; by default the variables of the caller, unless a tensor has a name of its own.

    Raises
    ------
    TypeError : z or t is no tensor.
    ValueError : an unknown format; t requires no gradient.
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

    Source: the founding text's "Interlude: The Chain Rule and Nested Dependencies".
    """
    for value, role in ((z, "z"), (t, "t")):
        if not isinstance(value, Traced):
            raise TypeError(f"explain takes tensors, {role} is of type {type(value).__name__}")
    writers = {"text": _text, "markdown": _markdown, "latex": _latex}
    if format not in writers:
        raise ValueError(f"format must be 'text', 'markdown' or 'latex', not {format!r}")
    graph = Graph(z, names, variables_of(sys._getframe(1)) if names is None else None)
    for node in graph.nodes:
        if node.index in graph.broken:
            node.check_unchanged()
    return writers[format](Derivation(graph, t).sections())


class Derivation:
    """The sections of one explanation."""

    def __init__(self, graph: Graph, source: Any):
        self.graph, self.lanes = graph, Lanes(graph, source)
        self.sum = self.lanes.sum
        self.z, self.t = graph.name(graph.root), graph.name(source)
        self.single = not isinstance(self.sum, chain.ArrayPathSum)

    def sections(self) -> list[Section]:
        """All of them, in order."""
        found = [self._functions()]
        if self.sum.count and self.sum.edges:
            found += [self._locals(), self._total()]
            factored = self._factored() if self.single else None
            if factored is not None:
                found.append(factored)
        else:
            why = "z is t itself" if self.sum.count else f"no path leads from {self.t} to {self.z}"
            found.append(Section("Total derivative", (f"{self.lanes.quotient} = {number(self.sum.count)}: {why}",)))
        return [*found, self._check()]

    def _functions(self) -> Section:
        equations = []
        used = {node.index for node in self.sum.nodes} | {self.graph.root.index}
        for node in self.graph.nodes:
            if node.op is not None and (node.index in used or len(self.graph.nodes) <= 40):
                equations.append((self.graph.name(node), self.graph.formula(node), _worth(node.value)))
        return Section(f"How {self.z} is computed", (), *_cut(equations))

    def _locals(self) -> Section:
        equations = []
        for edge in self.sum.edges:
            local = self._local(edge)
            worth = number(local.value) if local.value is not None else f"Jacobian {local.shape[0]} × {local.shape[1]}"
            equations.append((self._partial(edge), *dict.fromkeys(x for x in (self._symbol(edge)[0], worth) if x)))
        return Section("Local derivatives", (), *_cut(equations))

    def _total(self) -> Section:
        s, q, lanes = self.sum, self.lanes.quotient, self.lanes
        start = f"{self.t} = {_worth(lanes.source.value)}" if lanes.source.op is None else self.t
        heading = f"Total derivative: {start} reaches {self.z} along {count(s.count)} path{'s' * (s.count != 1)}"
        ways = tuple(lanes.way(path) for path in lanes.paths)
        if not self.single:
            return self._total_of_arrays(heading, ways)
        partials = [[self._partial(edge) for edge in reversed(path.edges)] for path in lanes.paths]
        symbols = [[self._symbol(edge) for edge in reversed(path.edges)] for path in lanes.paths]
        numbers = [[_atom(number(x)) for x in reversed(path.local_derivatives)] for path in lanes.paths]
        results = [number(path.contribution) for path in lanes.paths]
        left = s.count - len(lanes.paths)
        if left:
            results.append(number(s.gradient - sum(path.contribution for path in lanes.paths)))
            lines = [sum_of(results), number(s.gradient)]
            after = (f"these are the largest; the last number stands for all other {count(left)} together",)
            return Section(heading, ways, ((q, *dict.fromkeys(lines)),), after + lanes.table().rest)
        lines = [
            " + ".join("·".join(_short(term)) for term in partials),
            _joined([_product(term) for term in symbols]),
            _joined([_product(term) for term in numbers]),
            sum_of(results),
            number(s.gradient),
        ]
        return Section(heading, ways, ((q, *dict.fromkeys(lines)),))

    def _total_of_arrays(self, heading: str, ways: tuple[str, ...]) -> Section:
        """Between arrays a path is a chain of rules, and its part of the gradient an array."""
        lines = []
        for path, way in zip(self.lanes.paths, ways, strict=True):
            norm = number(np.linalg.norm(np.ravel(path.contribution)))
            share = "" if np.isnan(path.share) else f", share {number(round(100 * path.share, 2))} %"
            lines.append(f"{way}: an array of {shape(path.contribution)}, norm {norm}{share}")
        norm = number(np.linalg.norm(np.ravel(self.sum.gradient)))
        lines.append(f"{self.lanes.quotient}: their sum, an array of {shape(self.sum.gradient)}, norm {norm}")
        return Section(heading, tuple(lines))

    def _factored(self) -> Section | None:
        """The form with what paths share written once, where that is shorter."""
        factors = self.sum.factored()[::-1]  # as a path is written: z first
        symbols = [self._expression(factor, self._symbol) for factor in factors]
        numbers = [self._expression(factor, self._slope) for factor in factors]
        written = _product([x for x in symbols if x[0] != "1"] or [("1", 9)])
        plain = sum(len(_product([self._symbol(e) for e in path.edges])) for path in self.lanes.paths)
        if any(factor.count > 1 and not factor.terms for factor in factors) or len(written) > LONG:
            return None
        if self.sum.count < 2 or (self.lanes.few and len(written) >= plain):
            return None
        q = self.lanes.quotient
        lines = [written, _product([x for x in numbers if x[0] != "1"] or [("1", 9)]), number(self.sum.gradient)]
        cost = self.sum.cost
        words: tuple[str, ...] = ()
        if cost.enumeration > cost.backpropagation:
            one_by_one, together = count(cost.enumeration), count(cost.backpropagation)
            words = (f"Multiplications: {one_by_one} path by path, {together} by backpropagation, which shares them",)
        return Section("Factored", (), ((q, *dict.fromkeys(lines)),), words)

    def _expression(self, part: Any, write: Any) -> tuple[str, int]:
        """A factor as text, and how tightly it holds together."""
        if isinstance(part, chain.Edge):
            return write(part)
        terms = []
        for term in part.terms:
            written = [self._expression(x, write) for x in reversed(term)]
            terms.append(_product([x for x in written if x[0] != "1"] or [("1", 9)]))
        return (terms[0], 2) if len(terms) == 1 else (_joined(terms), 1)

    def _check(self) -> Section:
        ok, words = self.lanes.check(np.asarray(self.sum.gradient))
        if ok is None:
            return Section("Check", ("the backward pass gives nothing to compare with",))
        if not ok:
            return Section("Check", (f"✗ {words}",))
        g = self.sum.gradient
        worth = number(g) if np.size(g) == 1 else "the same array"
        return Section("Check", (f"✓ the backward pass gives {worth}",))

    # -- pieces

    def _local(self, edge: chain.Edge) -> chain.LocalDerivative:
        return chain.local_derivative(edge, self.graph.name)

    def _partial(self, edge: chain.Edge) -> str:
        text = f"∂{self.graph.name(edge.target)}/∂{self.graph.name(edge.source)}"
        twice = sum(x is edge.source for x in edge.target.inputs) > 1
        return f"{text} (argument {edge.slot + 1})" if twice else text

    def _symbol(self, edge: chain.Edge) -> tuple[str, int]:
        """A local derivative as a formula."""
        slot = Slot(edge.source, edge.target, edge.slot)
        if not self.single:
            return self.graph.rule(slot, "·") or "", 9
        found = self.graph.slope(slot)
        return found if found is not None else (self._partial(edge), 9)

    def _slope(self, edge: chain.Edge) -> tuple[str, int]:
        return _atom(number(self._local(edge).value))


def _worth(value: Any) -> str:
    return number(np.asarray(value).item()) if np.size(value) == 1 else f"array of {shape(value)}"


def _atom(text: str) -> tuple[str, int]:
    return text, 2 if text.startswith("−") else 9


def _product(factors: Iterable[tuple[str, int]]) -> str:
    """Factors with dots between them, ones left out, brackets where they are needed."""
    kept = [(text, binds) for text, binds in factors if text != "1"]
    written: list[str] = []
    for i, (text, binds) in enumerate(kept):
        loose = binds < 2 or (text.startswith("−") and i > 0) or (binds == 2 and "/" in text and i > 0)
        written.append(f"({text})" if loose and len(kept) > 1 else text)
    return "·".join(_short(written)) or "1"


def _short(factors: list[str], most: int = 24) -> list[str]:
    """Very many factors with the middle left out."""
    return factors if len(factors) <= most else [*factors[: most // 2], "…", *factors[-(most // 2) :]]


def _joined(terms: list[str]) -> str:
    text = terms[0]
    for term in terms[1:]:
        text += f" − {term[1:]}" if term.startswith("−") else f" + {term}"
    return text


def _cut(equations: list[Any], most: int = 24) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The equations, and of very many the first and last."""
    if len(equations) <= most:
        return tuple(equations), ()
    left = len(equations) - most
    return (*equations[: most // 2], ("…", f"{left} more"), *equations[-(most // 2) :]), ()


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
        lines = [f"### {_marked(section.heading)}"]
        if section.words:
            lines.append("\n".join(f"- {_marked(line)}" for line in section.words))
        if section.equations:
            lines.append(f"$$\n\\begin{{aligned}}\n{_aligned(section)}\n\\end{{aligned}}\n$$")
        lines += [_marked(line) for line in section.after]
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _marked(text: str) -> str:
    """Text in Markdown, where nothing in it is markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$&" else c for c in clean(text))


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
