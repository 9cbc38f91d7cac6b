"""What came out: contributions of features, as numbers, tables and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.attribution.layers import LayerPaths
from tinygrad_nn.attribution.listing import listing, mean_of
from tinygrad_nn.attribution.target import Target
from tinygrad_nn.errors import MutationError
from tinygrad_nn.notation import format_number
from tinygrad_nn.view import Picture
from tinygrad_nn.view.scenes.contributions import Column, Flow, contributions_scene
from tinygrad_nn.view.text import plural

__all__ = ["Attribution", "PathAttribution"]


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """The contributions of the features of each example to one number that the model said about it.

    Printed, or shown by a notebook, it is a table: of its example, or of the mean over several.  ``result[3]`` and
    ``result[:10]`` are results of some examples; iterating gives them one by one.
    """

    method: str
    _target: Target
    _contributions: np.ndarray  # (features ..., N)
    _baselines: np.ndarray | None  # (features ..., M)
    outputs: np.ndarray
    reference: np.ndarray
    _split: Callable[[Target], PathAttribution]

    # -- numbers

    @property
    def values(self) -> np.ndarray:
        """The contributions, in the shape of X."""
        return self._as_given(self._contributions)

    @property
    def inputs(self) -> np.ndarray:
        """X, in the precision of the model."""
        return self._as_given(self._target.given)

    @property
    def baselines(self) -> np.ndarray | None:
        """The baselines that lines start from, (features, M) or for estimators (M, features); None without lines."""
        return None if self._baselines is None else self._as_given(self._baselines)

    @property
    def gap(self) -> np.ndarray:
        """(N,): output − reference − sum of the contributions: the completeness gap of integrated gradients.

        Without a baseline, where the reference is 0, it is what no input is in proportion to: biases and curvature.
        """
        return self.outputs - self.reference - self.by_feature.sum(axis=0)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the features are called, those of images in the order of ``np.ndindex``."""
        return self._target.feature_names

    @property
    def explained(self) -> str:
        """What is explained, in words, such as "logit of malignant"."""
        return self._target.label(0 if len(self) == 1 else None)

    @property
    def by_feature(self) -> np.ndarray:
        """The contributions as (features, N), whatever the shape of X."""
        return self._contributions.reshape(-1, len(self)).astype(float)

    @property
    def inputs_by_feature(self) -> np.ndarray:
        """The examples as (features, N)."""
        return self._target.given.reshape(-1, len(self)).astype(float)

    @property
    def mean_inputs(self) -> np.ndarray:
        """The mean example, (features,); NaN for numbers of categories, unless they are those of a single example."""
        return self._mean(self.inputs_by_feature)

    def _mean(self, features: np.ndarray) -> np.ndarray:
        several = features.shape[1] > 1
        return np.where(self._target.categorical & several, np.nan, mean_of(features))

    @property
    def baseline_by_feature(self) -> np.ndarray | None:
        """The mean baseline, (features,); NaN for a category, where it is the mean of several vectors."""
        if self._baselines is None:
            return None
        return self._mean(self._baselines.reshape(-1, self._baselines.shape[-1]).astype(float))

    @property
    def order(self) -> np.ndarray:
        """The numbers of the features, largest mean |contribution| first."""
        return np.argsort(-np.abs(self.by_feature).mean(axis=1), kind="stable")

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k features with the largest contributions on average, and their mean contributions."""
        means = mean_of(self.by_feature)
        return [(self.feature_names[i], float(means[i])) for i in self.order[: max(k, 0)]]

    def _as_given(self, columns: np.ndarray) -> np.ndarray:
        return columns.T if self._target.in_rows else columns

    # -- some of the examples

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, some: Any) -> Attribution:
        """The result of one example, of a slice, or of several numbers or a mask."""
        if isinstance(some, (int, np.integer)):
            if not -len(self) <= some < len(self):
                raise IndexError(f"example {some} of {len(self)}: they count from 0")
            some = [int(some) % len(self)]
        target = self._target
        part = dataclasses.replace(
            target, given=target.given[..., some], columns=target.columns[..., some], which=target.which[some]
        )
        if not len(part):
            raise IndexError(f"none of the {len(self)} examples")
        return dataclasses.replace(
            self, _target=part, _contributions=self._contributions[..., some], outputs=self.outputs[some],
            reference=self.reference[some],
        )  # fmt: skip

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # -- how it is shown

    @property
    def has_reference(self) -> bool:
        """Whether the contributions explain a difference from baselines."""
        return self._baselines is not None

    @property
    def words_for_reference(self) -> str:
        """Where lines begin, in words."""
        m = 1 if self._baselines is None else self._baselines.shape[-1]
        return "at the baseline" if m == 1 else f"mean of {plural(m, 'baseline')}"

    @property
    def words_for_gap(self) -> str:
        """What the gap is, in words."""
        return "gap" if self.has_reference else "biases, curvature"

    def table(self, format: str = "text", most: int = 12) -> str:  # noqa: A002
        """The contributions as a table: of the example, or on average over several.

        Parameters
        ----------
        format : "text", "markdown" or "html".
        most : so many features have a row of their own, the largest first; one row has the rest.
        """
        if format not in ("text", "markdown", "html"):
            raise ValueError(f"format must be 'text', 'markdown' or 'html', not {format!r}")
        if most < 1:
            raise ValueError(f"table: most={most}, expected at least 1")
        found = listing(self, most)
        return {"text": found.text, "markdown": found.markdown, "html": found.html}[format]()

    def draw(self, most: int = 6, *, width: float = 760, theme: str = "auto", title: str | None = None) -> Picture:
        """A picture of the contributions running from the features through the units of each layer to the output.

        Arrows are as thick as what all paths along them carry together, on average over the examples; blue solid ones
        raise the output, orange dashed ones lower it.  What enters a unit leaves it.

        Parameters
        ----------
        most : so many features, and units of each layer, have a box of their own; "… more" carries the exact rest.
        width, theme, title : as for `tn.draw`.

        Raises MutationError where the model has been changed since.
        """
        found = self._split(self._target)
        if not np.allclose(found.values, self.values, rtol=1e-3, atol=1e-3 * float(np.abs(self.values).max(initial=0))):
            raise MutationError(
                "draw: the model says something else now than when its contributions were computed: ask again"
            )
        return found.draw(most, width=width, theme=theme, title=title)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        best = ", ".join(f"{name} {format_number(x)}" for name, x in self.top(3))
        return f"<{self.method}: {self.explained}, {plural(len(self), 'example')}; {best}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        formats = {"text/html": "html", "text/markdown": "markdown", "text/plain": "text"}
        return {kind: self.table(form) for kind, form in formats.items()}


@dataclass(frozen=True, eq=False, repr=False)
class PathAttribution(Attribution):
    """Contributions that are split up by the units through which their paths run; `layers` has them."""

    layers: tuple[LayerPaths, ...] = ()

    def __getitem__(self, some: Any) -> PathAttribution:
        part: Any = super().__getitem__(some)
        some = [some] if isinstance(some, (int, np.integer)) else some
        layers = [_part(layer, some) for layer in self.layers]
        return dataclasses.replace(part, layers=tuple(layers))

    def draw(self, most: int = 6, *, width: float = 760, theme: str = "auto", title: str | None = None) -> Picture:  # noqa: D102
        if most < 1:
            raise ValueError(f"draw: most={most}, expected at least 1")
        scene = contributions_scene(self._flow(), most)
        if title is not None:
            scene = dataclasses.replace(scene, title=title, titled=True)
        return Picture(scene, width=width, theme=theme)

    def _flow(self) -> Flow:
        """The means over the examples, as the picture wants them."""
        features = Column("features", self.feature_names, self.mean_inputs, mean_of(self.by_feature))
        columns, between = [features], []
        for layer in self.layers:
            values, incoming = layer.values, layer.incoming
            values = values.mean(axis=0 if layer.in_rows else 1)
            incoming = incoming.mean(axis=0 if layer.in_rows else 2)
            names = [str(i + 1) for i in range(len(values))]
            heading = f"{layer.name}{f', {layer.activation}' if layer.activation else ''}"
            columns.append(Column(heading, tuple(names), values, incoming.sum(axis=0)))
            between.append(incoming)
        between.append(columns[-1].carried[:, np.newaxis])
        return Flow(
            tuple(columns), tuple(between), self.explained, self.method, len(self), float(self.outputs.mean()),
            float(self.reference.mean()), float(self.gap.mean()), self.words_for_reference, self.words_for_gap,
            self.has_reference,
        )  # fmt: skip


def _part(layer: LayerPaths, some: Any) -> LayerPaths:
    """What runs through a layer for some of the examples."""
    arrays = (layer.contributions, layer.incoming, layer.values)
    parts = [a[some] if layer.in_rows else a[..., some] for a in arrays]
    return dataclasses.replace(layer, contributions=parts[0], incoming=parts[1], values=parts[2])
