"""The derivation of a gradient, section by section, as in the interlude of M. Thill's post; `explanation` writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.notation import format_number
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.view.graph.computation import ComputationGraph, Slot
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.scenes.path_table import costs
from tinygrad_nn.view.text import abridged, count, plural, shape, sum_of

__all__ = ["Section", "derivation"]

LONG = 600  # characters of a factored form that is still shown

Factor = tuple[str, int]  # as text, with the precedence of its operation: 1 sum, 2 product, 3 power, 9 anything tighter


@dataclass(frozen=True)
class Section:
    """A heading, what is said under it, and equations: left side, and one or more right sides below each other."""

    heading: str
    words: tuple[str, ...] = ()
    equations: tuple[tuple[str, ...], ...] = ()
    after: tuple[str, ...] = ()


def derivation(graph: ComputationGraph, source: Any) -> list[Section]:
    """How the root of a graph is derived with respect to one of its tensors."""
    return _Derivation(graph, source).sections()


class _Derivation:
    """The sections of one derivation."""

    def __init__(self, graph: ComputationGraph, source: Any):
        self.graph, self.paths = graph, HighlightedPaths(graph, source)
        self.sum = self.paths.sum
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
            found.append(
                Section("Total derivative", (f"{self.paths.quotient} = {format_number(self.sum.count)}: {why}",))
            )
        return [*found, self._check()]

    def _functions(self) -> Section:
        used = {node.index for node in self.sum.nodes} | {self.graph.root.index}
        equations = [
            (self.graph.name(node), self.graph.formula(node), _written(node.value))
            for node in self.graph.nodes
            if node.op is not None and (node.index in used or len(self.graph.nodes) <= 40)
        ]
        return Section(f"How {self.z} is computed", (), _ends(equations))

    def _locals(self) -> Section:
        equations = []
        for edge in self.sum.edges:
            local = self._local(edge)
            value = (
                format_number(local.value)
                if local.value is not None
                else f"Jacobian {local.shape[0]} × {local.shape[1]}"
            )
            equations.append((self._partial(edge), *dict.fromkeys(x for x in (self._symbol(edge)[0], value) if x)))
        return Section("Local derivatives", (), _ends(equations))

    def _total(self) -> Section:
        s, paths = self.sum, self.paths
        start = f"{self.t} = {_written(paths.source.value)}" if paths.source.op is None else self.t
        heading = f"Total derivative: {start} reaches {self.z} along {plural(s.count, 'path')}"
        visited = tuple(paths.nodes_of(path) for path in paths.listed)
        if not self.single:
            return self._total_of_arrays(heading, visited)
        results = [path.contribution for path in paths.listed]
        left = s.count - len(results)
        if left:
            results.append(s.gradient - sum(results))
            largest = f"these are the largest; the last number stands for all other {count(left)} together"
            return self._equation(heading, visited, [sum_of(results)], [largest, *costs(paths)])
        return self._equation(heading, visited, [*self._terms(), sum_of(results)])

    def _equation(self, heading: str, words: Sequence[str], right: Sequence[str], after: Sequence[str] = ()) -> Section:
        """The gradient with its right sides below each other, down to the number."""
        lines = dict.fromkeys([*right, format_number(self.sum.gradient)])
        return Section(heading, tuple(words), ((self.paths.quotient, *lines),), tuple(after))

    def _terms(self) -> list[str]:
        """The sum over all paths: with derivatives, with formulas, with numbers; the last factor first."""
        edges = [path.edges[::-1] for path in self.paths.listed]
        numbers = [[_atom(format_number(x)) for x in path.local_derivatives[::-1]] for path in self.paths.listed]
        return [
            " + ".join("·".join(_short([self._partial(edge) for edge in path])) for path in edges),
            sum_of(_product(map(self._symbol, path)) for path in edges),
            sum_of(map(_product, numbers)),
        ]

    def _total_of_arrays(self, heading: str, visited: tuple[str, ...]) -> Section:
        """Between arrays a path is a chain of rules, and its part of the gradient an array."""
        lines = []
        for path, nodes in zip(self.paths.listed, visited, strict=True):
            share = "" if np.isnan(path.share) else f", share {format_number(round(100 * path.share, 2))} %"
            lines.append(f"{nodes}: {_described(path.contribution)}{share}")
        lines.append(f"{self.paths.quotient}: their sum, {_described(self.sum.gradient)}")
        return Section(heading, tuple(lines))

    def _factored(self) -> Section | None:
        """The form with what paths share written once, where that is shorter."""
        factors = self.sum.factored()[::-1]  # as a path is written: z first
        written = _product([self._expression(factor, self._symbol) for factor in factors])
        plain = sum(len(_product(map(self._symbol, path.edges))) for path in self.paths.listed)
        if any(factor.count > 1 and not factor.terms for factor in factors) or len(written) > LONG:
            return None
        if self.sum.count < 2 or (self.paths.few and len(written) >= plain):
            return None
        numbers = _product([self._expression(factor, self._value) for factor in factors])
        cost, after = self.sum.cost, []
        if cost.enumeration > cost.backpropagation:
            one_by_one, together = count(cost.enumeration), count(cost.backpropagation)
            after = [f"Multiplications: {one_by_one} path by path, {together} by backpropagation, which shares them"]
        return self._equation("Factored", (), [written, numbers], after)

    def _expression(self, part: Any, write: Callable[[chain.Edge], Factor]) -> Factor:
        """A factor of the factored form."""
        if isinstance(part, chain.Edge):
            return write(part)
        terms = [_product([self._expression(x, write) for x in reversed(term)]) for term in part.terms]
        return (terms[0], 2) if len(terms) == 1 else (sum_of(terms), 1)

    def _check(self) -> Section:
        ok, words = self.paths.check()
        if ok is None:
            return Section("Check", ("the backward pass gives nothing to compare with",))
        if not ok:
            return Section("Check", (f"✗ {words}",))
        g = self.sum.gradient
        value = format_number(g) if np.size(g) == 1 else "the same array"
        return Section("Check", (f"✓ the backward pass gives {value}",))

    def _local(self, edge: chain.Edge) -> chain.LocalDerivative:
        return chain.local_derivative(edge, self.graph.name)

    def _partial(self, edge: chain.Edge) -> str:
        text = f"∂{self.graph.name(edge.target)}/∂{self.graph.name(edge.source)}"
        twice = sum(x is edge.source for x in edge.target.inputs) > 1
        return f"{text} (argument {edge.slot + 1})" if twice else text

    def _symbol(self, edge: chain.Edge) -> Factor:
        """A local derivative as a formula."""
        slot = Slot(edge.source, edge.target, edge.slot)
        if not self.single:
            return self.graph.rule(slot, "·") or "", 9
        found = self.graph.slope(slot)
        return found if found is not None else (self._partial(edge), 9)

    def _value(self, edge: chain.Edge) -> Factor:
        return _atom(format_number(self._local(edge).value))


def _written(value: Any) -> str:
    return format_number(np.asarray(value).item()) if np.size(value) == 1 else f"array of {shape(value)}"


def _described(value: Any) -> str:
    return f"an array of {shape(value)}, norm {format_number(vector_norm(np.ravel(value)))}"


def _atom(text: str) -> Factor:
    return text, 2 if text.startswith("−") else 9


def _product(factors: Iterable[Factor]) -> str:
    """Factors with dots between them, ones left out, brackets where they are needed."""
    kept = [(text, precedence) for text, precedence in factors if text != "1"]
    written: list[str] = []
    for i, (text, precedence) in enumerate(kept):
        loose = precedence < 2 or (text.startswith("−") and i > 0) or (precedence == 2 and _divides(text))
        written.append(f"({text})" if loose and len(kept) > 1 else text)
    return "·".join(_short(written)) or "1"


def _divides(text: str) -> bool:
    """Whether a product ends in a divisor, which the next factor would seem to belong to."""
    while text != (text := re.sub(r"[(\[][^()\[\]]*[)\]]", "", text)):  # innermost brackets first
        pass
    return "/" in text


def _short(factors: list[str]) -> list[str]:
    return abridged(factors, 24, "…")


def _ends(equations: Sequence[tuple[str, ...]], most: int = 24) -> tuple[tuple[str, ...], ...]:
    """The equations, and of very many the first and last."""
    return tuple(abridged(equations, most, ("…", f"{len(equations) - most} more")))
