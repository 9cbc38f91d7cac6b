"""The target of a table as a network learns it, and what the network says in the words and units of the table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from tinygrad_nn.data.cells import shortened, shown
from tinygrad_nn.data.checks import Array

__all__ = ["Classes", "Labels", "Quantities", "refuse_gaps", "target_of", "target_of_config"]

_MANY = 100  # different texts, where most rows have their own, are names or dates and no classes
_FEW = 20  # whole numbers of so many different values may be classes


@dataclass(frozen=True)
class Classes:
    """Classes: labels y (N,) that count from 0, and the label of each."""

    names: tuple[str, ...]
    labels: tuple[Any, ...]

    kind: ClassVar[str] = "classes"

    def config(self) -> dict[str, Any]:
        """The target as JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    def encode(self, columns: list[Array], caller: str) -> Array:
        """The number of the class of each row."""
        number = {label: i for i, label in enumerate(self.labels)}
        y = np.fromiter((number.get(label, -1) for label in columns[0].tolist()), np.int64, len(columns[0]))
        if (y < 0).any():
            i = int(np.argmax(y < 0))
            known = shortened(", ".join(map(str, self.labels)), 200)
            raise ValueError(
                f"{caller}: column {shown(self.names[0])}, row {i} has the class {shown(columns[0].tolist()[i])}, "
                f"which training did not have; there were {known}"
            )
        return y

    def array(self) -> Array:
        """The labels as an array."""
        return np.array(self.labels)


@dataclass(frozen=True)
class Labels:
    """Several labels, each of which a row has or has not: targets Y (labels, N) of 0 and 1."""

    names: tuple[str, ...]

    kind: ClassVar[str] = "labels"

    def config(self) -> dict[str, Any]:
        """The target as JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    def encode(self, columns: list[Array], caller: str) -> Array:
        """Targets (labels, N): 1 where a row has the label."""
        Y = np.zeros((len(columns), len(columns[0])))
        for y, name, values in zip(Y, self.names, columns, strict=True):
            yes = values == ("True" if values.dtype == object else 1)
            other = ~(yes | (values == ("False" if values.dtype == object else 0)))
            if other.any():
                i = int(np.argmax(other))
                raise ValueError(
                    f"{caller}: the target {shown(name)}, row {i} holds {shown(values.tolist()[i])}, expected 0 or 1, "
                    "or truth values, as a row has one of several labels or has not"
                )
            y[:] = yes
        return Y


@dataclass(frozen=True)
class Quantities:
    """Numbers: targets Y (d, N), shifted and scaled as the network learns them."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    kind: ClassVar[str] = "quantities"

    def config(self) -> dict[str, Any]:
        """The target as JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    def encode(self, columns: list[Array], caller: str) -> Array:
        """Targets (d, N) as the network learns them."""
        _refuse_text(self.names, columns, caller)
        return (np.array(columns, np.float64) - self._column(self.mean)) / self._column(self.scale)

    def decode(self, outputs: Array) -> Array:
        """Outputs (d, N) in the units of the table."""
        return outputs * self._column(self.scale) + self._column(self.mean)

    @staticmethod
    def _column(numbers: tuple[float, ...]) -> Array:
        return np.array(numbers).reshape(-1, 1)


def target_of(names: list[str], columns: list[Array], task: str | None, scale: bool, caller: str) -> Any:
    """What the target columns of training data are; `task` says it where numbers may be both."""
    for name, values in zip(names, columns, strict=True):
        refuse_gaps(name, values, caller)
    text = any(values.dtype == object for values in columns)
    if task is None and not text and len(columns) == 1:
        different = np.unique(columns[0])
        if columns[0].dtype.kind == "i" and len(different) <= _FEW:
            raise ValueError(
                f"{caller}: the target {shown(names[0])} has whole numbers, {len(different)} different ones: "
                "say task='classification' or task='regression'"
            )
    if task is None and not text and len(columns) > 1 and all(np.isin(values, (0, 1)).all() for values in columns):
        raise ValueError(
            f"{caller}: the targets {shortened(', '.join(map(shown, names)), 200)} hold 0 and 1 alone: say "
            "task='classification' for labels that a row has or has not, or task='regression'"
        )
    if task == "classification" or (task is None and text):
        if len(columns) > 1:
            labels = Labels(tuple(names))
            labels.encode(columns, caller)
            return labels
        different = np.unique(columns[0].astype(str) if text else columns[0])
        if not text and not np.equal(np.mod(different, 1), 0).all():
            raise ValueError(
                f"{caller}: the target {shown(names[0])} has fractions, which are no classes: task='regression'"
            )
        found = tuple((different if text else different.astype(np.int64)).tolist())
        if text and len(found) > _MANY and 2 * len(found) > len(columns[0]):
            raise ValueError(
                f"{caller}: the target {shown(names[0])} has {len(found):,} different texts in {len(columns[0]):,} "
                f"rows, as {shown(found[0])}, which are no classes: predict another column"
            )
        if len(found) < 2:
            raise ValueError(f"{caller}: the target {shown(names[0])} has one class only, {shown(found[0])}")
        return Classes(tuple(names), found)
    _refuse_text(names, columns, caller)
    Y = np.array(columns, np.float64)
    mean = Y.mean(axis=1) if scale else np.zeros(len(Y))
    spread = Y.std(axis=1) if scale else np.ones(len(Y))
    spread = np.where((spread > 0) & (Y.max(axis=1) > Y.min(axis=1)), spread, 1.0)
    if not np.isfinite(spread).all() or not np.isfinite(mean).all():
        raise ValueError(f"{caller}: the target {shown(names[0])} is not finite, or too large for float64")
    return Quantities(tuple(names), tuple(mean.tolist()), tuple(spread.tolist()))


def refuse_gaps(name: str, values: Array, caller: str) -> None:
    """ValueError for a target column with gaps."""
    gap = [cell is None for cell in values] if values.dtype == object else np.isnan(values)
    if np.any(gap):
        raise ValueError(
            f"{caller}: the target {shown(name)} has a gap in row {int(np.argmax(gap))}: leave such rows out by "
            f"table[~table.missing({name!r})]"
        )


def _refuse_text(names: Any, columns: list[Array], caller: str) -> None:
    for name, values in zip(names, columns, strict=True):
        if values.dtype == object:
            raise ValueError(f"{caller}: the target {shown(name)} is text, and numbers are to be learnt")


def target_of_config(config: Any) -> Any:
    """The way back; ValueError for what is none, as a file may say anything."""
    settings = dict(config) if isinstance(config, dict) else {}
    kind = settings.pop("kind", None)
    kinds: dict[Any, Any] = {"classes": Classes, "labels": Labels, "quantities": Quantities}
    expected = kinds.get(kind) if isinstance(kind, str) else None
    fine = expected is not None and settings.keys() == {field.name for field in fields(expected)}
    fine = fine and all(isinstance(part, (list, tuple)) and part for part in settings.values())
    fine = fine and all(isinstance(name, str) for name in settings["names"])
    if fine and expected is Classes:
        labels = settings["labels"]
        one_kind = any(all(type(label) is of for label in labels) for of in (str, int))
        fine = one_kind and len(set(labels)) == len(labels) > 1 and len(settings["names"]) == 1
        fine = fine and all(isinstance(label, str) or -(1 << 63) <= label < 1 << 63 for label in labels)
    elif fine and expected is Quantities:
        numbers = [*settings["mean"], *settings["scale"]]
        fine = all(isinstance(n, float) and math.isfinite(n) for n in numbers) and min(settings["scale"]) > 0
        fine = fine and len(settings["mean"]) == len(settings["scale"]) == len(settings["names"])
    if not fine or expected is None:
        raise ValueError("the target of the preprocessing is not what it should be")
    return expected(**{name: tuple(part) for name, part in settings.items()})
