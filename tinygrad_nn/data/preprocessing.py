"""From rows as they are to the columns of numbers that a network takes: fitted to training data, and saved with it.

scikit-learn's ColumnTransformer does the same, and the estimators of `tn.sklearn` stand behind one in a pipeline.  It
can only be saved by pickle, though, which runs code when it is read, and this package needs NumPy alone.  So the few
steps that nearly every table needs are here, as plain numbers and texts that a checkpoint holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.data.cells import shortened, shown
from tinygrad_nn.data.checks import Array, float_dtype, positive_int
from tinygrad_nn.data.features import (
    Categories,
    Dates,
    Numbers,
    as_text,
    days_since,
    feature_of_config,
    is_form,
    iso,
    most_frequent,
    too_many,
)
from tinygrad_nn.data.records import Dialect
from tinygrad_nn.data.table import Table, load_table, no_column
from tinygrad_nn.data.targets import Classes, Labels, Quantities, refuse_gaps, target_of, target_of_config

__all__ = ["Preprocessor"]

_ELSEWHERE = {  # what transformers of scikit-learn have, and how it is said here
    "fit_transform": "fit(rows).transform(rows)", "get_feature_names_out": "feature_names",
    "inverse_transform": "in_units(outputs) gives predicted numbers in the units of the table",
}  # fmt: skip
_FILLS = ("mean", "median", "most_frequent")


class Preprocessor:
    """Turns rows of a table into the columns of a network: X (features, N), and y (N,) or Y (d, N).

    Fit it to the *training* rows only: means, deviations, categories and what fills gaps are measured there.

    Parameters
    ----------
    target : name of the column to predict, or a list of names of numbers, or of labels that a row has or has not (0
        and 1, with task="classification"); None for none.
    task : "classification" or "regression".  Unless given, text is classes and numbers are numbers; whole numbers of
        few different values may be both, and it must be said.
    columns : names of those to predict from; unless given all but the target.
    categories : names of columns whose numbers are no quantities but codes of categories.
    dates : names of columns of dates as text, such as 2024-03-31 or 2024-03-31 18:30: the days since the first one in
        training become a number like any other.  A dict says how they are written elsewise, in the words of
        `datetime.strptime`: ``{"signup": "%d.%m.%Y"}``.
    fill : what stands for a gap among numbers: "mean", "median", "most_frequent", a number; None refuses gaps.
    fill_text : the same among text: "category", where a gap is a category of its own, or "most_frequent".
    indicator : add a feature that says where the gaps were, for each column of numbers that had some.
    scale : shift and scale numbers to mean 0 and standard deviation 1, those of the target included.
    encode : "one_hot", a feature for each category, or "index", one feature that counts from 1, for
        `nn.FeatureEmbedding`.
    unknown : a category that training did not have is "zero", none of the known (0 as an index), or an "error".
    max_categories : a text column with more is refused: it is likely a name, a date, or a number of a row.
    dtype : of X and Y; float64 unless given.

    After `fit`: `feature_names`, `n_features`, `n_outputs`, `classes_` (labels, or None), `features` and `target_`,
    what was measured.

    Raises ValueError for columns that are missing, constant gaps, unknown, of the wrong kind, naming column and row;
    RuntimeError before `fit`.

    >>> train = Table({"age": [31, None, 8, 60], "sex": ["f", "m", "m", "f"], "ill": ["no", "no", "yes", "no"]})
    >>> preprocessor = Preprocessor(target="ill").fit(train)
    >>> preprocessor.feature_names, preprocessor.classes_.tolist()
    (['age', 'sex=f', 'sex=m'], ['no', 'yes'])
    >>> X, y = preprocessor.pair(train)
    >>> X.round(2).tolist(), y.tolist()
    ([[-0.11, 0.0, -1.36, 1.47], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]], [0, 0, 1, 0])
    >>> preprocessor.transform([{"age": 33, "sex": "unknown"}]).round(2).tolist()
    [[0.0], [0.0], [0.0]]
    """

    features: tuple[Any, ...]
    feature_names: list[str]
    target_: Any
    classes_: Array | None

    def __init__(
        self, target: str | Sequence[str] | None = None, *, task: str | None = None,
        columns: Sequence[str] | None = None, categories: Sequence[str] = (),
        dates: Sequence[str] | Mapping[str, str] = (),
        fill: str | float | None = "mean", fill_text: str = "category", indicator: bool = False, scale: bool = True,
        encode: str = "one_hot", unknown: str = "zero", max_categories: int = 100, dtype: DTypeLike = np.float64,
    ):  # fmt: skip
        for name, value, allowed in (
            ("task", task, (None, "classification", "regression")), ("encode", encode, ("one_hot", "index")),
            ("fill_text", fill_text, ("category", "most_frequent")), ("unknown", unknown, ("zero", "error")),
        ):  # fmt: skip
            if value not in allowed:
                raise ValueError(f"Preprocessor: {name}={value!r:.60}, expected one of {', '.join(map(repr, allowed))}")
        number = isinstance(fill, (int, float, np.integer, np.floating)) and not isinstance(fill, bool)
        if not (fill is None or (isinstance(fill, str) and fill in _FILLS) or (number and np.isfinite(fill))):
            raise ValueError(
                f"Preprocessor: fill={fill!r:.60}, expected {', '.join(map(repr, _FILLS))}, a number or None"
            )
        self.target = [] if target is None else _names([target] if isinstance(target, str) else target, "target")
        self.columns = None if columns is None else _names(columns, "columns")
        self.task, self.categories, self.dates = task, _names(categories, "categories"), _names(dates, "dates")
        self.forms = dict(dates) if isinstance(dates, Mapping) else {}
        for name, form in self.forms.items():
            if not is_form(form):
                raise ValueError(
                    f"Preprocessor: dates={{{name!r}: {form!r:.40}}}, expected how days are written, as '%d.%m.%Y' for "
                    "31.03.2024"
                )
        self.fill, self.fill_text, self.indicator, self.scale = fill, fill_text, bool(indicator), bool(scale)
        self.encode, self.unknown = encode, unknown
        self.max_categories = positive_int(max_categories, "max_categories", "Preprocessor")
        self.dtype = float_dtype(dtype, "Preprocessor")

    # -- fitting

    def fit(self, rows: Any) -> Self:
        """Measure the training rows, a Table or what makes one; returns itself."""
        table = self._table(rows, "Preprocessor.fit")
        if not len(table):
            raise ValueError("Preprocessor.fit: the table has no rows")
        for name in [*self.target, *(self.columns or []), *self.categories, *self.dates]:
            if name not in table:
                raise ValueError(f"Preprocessor.fit: {no_column(name, table.names)}")
        if self.columns and any(name in self.target for name in self.columns):
            raise ValueError(f"Preprocessor.fit: {self.target} is the target, and among columns= as well")
        names = [name for name in (self.columns or table.names) if name not in self.target]
        if not names:
            raise ValueError(f"Preprocessor.fit: no column is left to predict from, besides the target {self.target}")
        self.target_ = None
        if self.target:
            columns = [table[name] for name in self.target]
            self.target_ = target_of(self.target, columns, self.task, self.scale, "Preprocessor.fit")
        self._learn([self._feature(name, table[name]) for name in names], table.names, table.reading)
        return self

    def _learn(self, found: list[Any], known: Sequence[str], reading: dict[str, Any]) -> None:
        self.features, self.known, self.reading = tuple(found), tuple(known), dict(reading)
        self.feature_names = [name for feature in found for name in feature.names]
        self.classes_ = self.target_.array() if isinstance(self.target_, Classes) else None

    @property
    def n_features(self) -> int:
        """The number of rows of X: what the first layer takes."""
        self._check_fitted("n_features")
        return len(self.feature_names)

    @property
    def n_outputs(self) -> int:
        """What the last layer gives: one output for each class, or for each number."""
        self._check_fitted("n_outputs")
        if self.target_ is None:
            raise ValueError("Preprocessor: there is no target: Preprocessor(target=...)")
        return len(self.target_.labels if isinstance(self.target_, Classes) else self.target_.names)

    @property
    def has_labels(self) -> bool:
        """Whether each output is a label that a row has or has not."""
        return isinstance(self.target_, Labels)

    @property
    def several_targets(self) -> bool:
        """Whether the target was given as a list of names, so that predictions have a column for each."""
        return not isinstance(self.target_, Classes) and (self.target_ is None or len(self.target_.names) > 1)

    @property
    def category_sizes(self) -> dict[int, int]:
        """With encode="index": how many indices each row of X has that holds some, the 0 of the unknown included."""
        self._check_fitted("category_sizes")
        sizes, at = {}, 0
        for feature in self.features:
            if isinstance(feature, Categories) and feature.index:
                sizes[at] = len(feature.categories) + 1
            at += len(feature.names)
        return sizes

    def _feature(self, name: str, values: Array) -> Numbers | Categories:
        if name in self.dates:
            form = self.forms.get(name)
            days = days_since(None, values, name, form, "Preprocessor.fit")
            if not np.isnan(days).all():
                first = iso(str(as_text(values)[int(np.nanargmin(days))]), form)
                return Dates(**asdict(self._numbers(name, days)), first=first, form=form)
        if values.dtype == object or name in self.categories:
            return self._categories(name, as_text(values))
        return self._numbers(name, values)

    def _numbers(self, name: str, values: Array) -> Numbers:
        gaps = np.isnan(values)
        there = values[~gaps].astype(np.float64)
        if not there.size:
            raise ValueError(f"Preprocessor.fit: column {shown(name)} has no value at all: table.without({name!r})")
        if gaps.any() and self.fill is None:
            raise ValueError(
                f"Preprocessor.fit: column {shown(name)} has {gaps.sum():,} gaps, the first in row "
                f"{int(np.argmax(gaps))}: say fill='mean', 'median', 'most_frequent' or a number"
            )
        if not np.isfinite(there).all():
            raise ValueError(f"Preprocessor.fit: column {shown(name)} has an infinite value: leave such rows out")
        measures: dict[Any, Any] = {"mean": np.mean, "median": np.median, "most_frequent": most_frequent}
        fill: Any = measures[self.fill](there) if self.fill in measures else self.fill
        fill = None if fill is None else float(fill)
        whole = np.where(gaps, 0.0 if fill is None else fill, values)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = (float(whole.mean()), float(whole.std())) if self.scale else (0.0, 1.0)
        if self.scale and whole.max() == whole.min():  # rounding can give a constant another mean, and a deviation
            mean, scale = float(whole[0]), 1.0
        if not np.isfinite([mean, scale]).all():
            raise ValueError(f"Preprocessor.fit: column {shown(name)} is too large for float64: take another unit")
        return Numbers(name, fill, mean, scale or 1.0, self.indicator and bool(gaps.any()))

    def _categories(self, name: str, cells: list[str | None]) -> Categories:
        there = [cell for cell in cells if cell is not None]
        if not there:
            raise ValueError(f"Preprocessor.fit: column {shown(name)} has no value at all: table.without({name!r})")
        different: list[str | None] = [*sorted(set(there))]
        if len(different) > self.max_categories:
            way_out = f"leave it out by table.without({name!r}), or give max_categories={len(different)}"
            raise ValueError(f"Preprocessor.fit: {too_many(name, sorted(set(there)), len(cells), way_out)}")
        fill = None
        if self.fill_text == "most_frequent":
            fill = str(most_frequent(there))
        elif len(there) < len(cells):
            different.append(None)
        return Categories(name, tuple(different), fill, self.unknown, self.encode == "index")

    # -- rows to columns

    def transform(self, rows: Any, *, extra: str = "error") -> Array:
        """X (features, N) of rows: a Table, a frame, a dict of columns, a list of dicts, or a CSV file's path.

        The target may be there or not.  A column that the training table did not have is refused, as it may be a
        renamed one; extra="ignore" leaves it out.
        """
        caller = "Preprocessor.transform"
        table = self._known(self._table(rows, caller), extra, caller)
        X = np.empty((len(table), self.n_features), self.dtype).T  # an example's values side by side
        at = 0
        for feature in self.features:
            n = len(feature.names)
            feature.write(table[feature.name], X[at : at + n], caller)
            at += n
        return X

    def targets(self, rows: Any) -> Array:
        """The targets of rows: class numbers y (N,), or Y (d, N) as the network learns it."""
        self._check_fitted("targets")
        table = self._table(rows, "Preprocessor.targets")
        if self.target_ is None:
            raise ValueError("Preprocessor.targets: there is no target: Preprocessor(target=...)")
        for name in self.target_.names:
            if name not in table:
                raise ValueError(f"Preprocessor.targets: {no_column(name, table.names)}")
            refuse_gaps(name, table[name], "Preprocessor.targets")
        found = self.target_.encode([table[name] for name in self.target_.names], "Preprocessor.targets")
        return found if isinstance(self.target_, Classes) else found.astype(self.dtype)

    def pair(self, rows: Any) -> tuple[Array, Array]:
        """`transform(rows)` and `targets(rows)`: what `tn.fit` takes as data."""
        table = self._table(rows, "Preprocessor.pair")
        return self.transform(table), self.targets(table)

    def in_units(self, outputs: Array) -> Array:
        """Outputs (d, N) of a network that predicts numbers, in the units of the table."""
        return self.target_.decode(outputs) if isinstance(self.target_, Quantities) else outputs

    # -- the rows that are given

    def _table(self, rows: Any, caller: str) -> Table:
        if isinstance(rows, Table):
            return rows
        if isinstance(rows, (str, os.PathLike)):
            return self.load(rows) if hasattr(self, "features") else load_table(rows)
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and hasattr(self, "features"):
            names = [feature.name for feature in self.features]
            if rows.shape[1] != len(names):
                hint = f": rows.T {rows.T.shape} fits" if rows.shape[0] == len(names) else ""
                raise ValueError(
                    f"{caller}: rows has shape {rows.shape}, expected (N, {len(names)}), a row for each example with "
                    f"the columns {shortened(', '.join(names), 200)}{hint}"
                )
            return Table(dict(zip(names, rows.T, strict=True)))
        if isinstance(rows, Mapping) and rows and not any(_is_column(value) for value in rows.values()):
            raise TypeError(f"{caller}: a dict of single values is one row: give [{{...}}], a list of rows")
        return Table(rows)

    def load(self, path: str | os.PathLike[str], **reading: Any) -> Table:
        """The Table of a CSV file, read as that of training was; columns of categories are text, whatever they hold.

        `reading` are settings of `load_table` that differ, such as delimiter=";".
        """
        self._check_fitted("load")
        kinds = {feature.name: feature.read_as for feature in self.features}
        if self.target_ is not None:
            text = isinstance(self.target_, Classes) and isinstance(self.target_.labels[0], str)
            kinds |= dict.fromkeys(self.target_.names, "text" if text else "")
        return load_table(path, _kinds=kinds, **(self.reading | reading))

    def _known(self, table: Table, extra: str, caller: str) -> Table:
        """The table, if its columns are those of training."""
        self._check_fitted("transform")
        if extra not in ("error", "ignore"):
            raise ValueError(f"{caller}: extra={extra!r:.60}, expected 'error' or 'ignore'")
        needed = [feature.name for feature in self.features]
        new = [name for name in table.names if name not in self.known and name not in needed]
        lacking = [name for name in needed if name not in table]
        if lacking:
            near = get_close_matches(lacking[0].lower(), [name.lower() for name in new], n=1, cutoff=0.7)
            renamed = next((name for name in new if near and name.lower() == near[0]), None)
            hint = f"; {shown(renamed)} is new: rename it" if renamed else ""
            raise ValueError(
                f"{caller}: the columns {shortened(', '.join(map(repr, lacking)), 200)} of training are missing{hint}; "
                f"there are {shortened(', '.join(table.names), 200)}"
            )
        if new and extra == "error":
            raise ValueError(
                f"{caller}: training had no columns {shortened(', '.join(map(repr, new)), 200)}: leave them out by "
                "table.without(...), or say extra='ignore'"
            )
        return table

    def __getattr__(self, name: str) -> NoReturn:
        hint = _ELSEWHERE.get(name, "")
        if name in Preprocessor.__annotations__:
            hint = "it is measured by fit(train)"
        raise AttributeError(f"Preprocessor has no attribute {name!r}" + (hint and f": {hint}"), name=name, obj=self)

    def _check_fitted(self, method: str) -> None:
        if not hasattr(self, "features"):
            raise RuntimeError(f"Preprocessor.{method} was asked for before fit; call fit(train) first")

    # -- saved with a model

    def config(self) -> dict[str, Any]:
        """All of it as JSON can hold it: numbers and texts, exactly."""
        self._check_fitted("config")
        target = None if self.target_ is None else self.target_.config()
        found = [feature.config() for feature in self.features]
        return {
            "features": found, "target": target, "known": list(self.known), "reading": self.reading,
            "dtype": self.dtype.name,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """The way back; ValueError for what is none, as a file may say anything."""
        if not isinstance(config, dict) or config.keys() != {"features", "target", "known", "reading", "dtype"}:
            raise ValueError("the preprocessing has other parts than features, target, known, reading and dtype")
        if not isinstance(config["features"], (list, tuple)) or not config["features"]:
            raise ValueError("the preprocessing has no features")
        if not isinstance(config["known"], (list, tuple)) or not all(isinstance(n, str) for n in config["known"]):
            raise ValueError("the preprocessing does not name the columns of its table")
        if config["dtype"] not in ("float64", "float32", "float16"):
            raise ValueError(f"the preprocessing has dtype {config['dtype']!r:.40}")
        _check_reading(config["reading"])
        made = cls(dtype=config["dtype"])
        made.target_ = None if config["target"] is None else target_of_config(config["target"])
        found = [feature_of_config(feature) for feature in config["features"]]
        if len({feature.name for feature in found}) < len(found):
            raise ValueError("the preprocessing has two features of one column")
        made.target = [] if made.target_ is None else list(made.target_.names)
        made._learn(found, config["known"], config["reading"])
        return made

    def __repr__(self) -> str:
        target = f"target={', '.join(self.target)}: " if self.target else ""
        if not hasattr(self, "features"):
            return f"Preprocessor({target}not fitted)"
        classes = f", {len(self.classes_)} classes" if self.classes_ is not None else ""
        return f"Preprocessor({target}{len(self.features)} columns, {self.n_features} features{classes})"


def _check_reading(reading: Any) -> None:
    """ValueError for what are no settings of `load_table`."""
    names = {"header", "delimiter", "decimal", "comment", "encoding", "missing"}
    fine = isinstance(reading, dict) and (not reading or reading.keys() == names)
    if not fine or not (not reading or (isinstance(reading["header"], bool) and isinstance(reading["missing"], list))):
        raise ValueError("the preprocessing does not say how its table was read")
    if reading:
        settings = {name: reading[name] for name in names - {"missing"}}
        Dialect("the preprocessing", gaps=tuple(reading["missing"]), **settings)


def _names(given: Any, what: str) -> list[str]:
    """Names of columns as a list; TypeError or ValueError for what is none."""
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"Preprocessor: {what}={given!r:.80}, expected a list of names of columns")
    names = list(given)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"Preprocessor: {what} names {shown(twice)} twice")
    return names


def _is_column(value: Any) -> bool:
    return hasattr(type(value), "__len__") and not isinstance(value, (str, bytes))
