"""Predictions of a saved model for the rows of a CSV file: what the command `tinygrad-nn predict` does."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tinygrad_nn.data import GAPS, load_csv, load_table
from tinygrad_nn.data.cells import shown
from tinygrad_nn.nn import Predictor, load

__all__ = ["in_options", "predictions", "write_csv"]


def predictions(
    model: Path, data: Path, *, proba: bool = False, ignore_extra: bool = False, **reading: Any
) -> tuple[list[str], np.ndarray]:
    """Names and values (N, columns) of what a saved model says about a CSV file.

    `reading` are settings of `tn.data.load_table` that differ from those of the training table.  The model is a
    `tn.nn.Predictor`; of any other network with `n` outputs, the file holds rows of numbers, and the columns are
    called y0, y1, ...

    Raises FileNotFoundError, CheckpointError and ValueError, which name the file and what is wrong in it.
    """
    loaded = load(model)
    predictor = loaded[0] if isinstance(loaded, tuple) else loaded
    if not isinstance(predictor, Predictor):
        predictor = Predictor(predictor)
    if reading.get("missing"):  # they are added to those of training, as what is a gap there stays one
        known = GAPS if predictor.preprocessor is None else predictor.preprocessor.reading.get("missing", GAPS)
        reading["missing"] = [*known, *reading["missing"]]
    preprocessor, extra = predictor.preprocessor, "ignore" if ignore_extra else "error"
    rows = _numbers(model, data, reading) if preprocessor is None else preprocessor.load(data, **reading)
    if proba:
        if predictor.classes_ is None and not (preprocessor is not None and preprocessor.has_labels):
            raise ValueError(f"{model} predicts numbers, which have no probabilities: leave out --proba")
        values = predictor.predict_proba(rows, extra=extra)
        target = preprocessor.target[0] if preprocessor is not None else "class"
        if predictor.classes_ is None:
            return list(preprocessor.target) if preprocessor is not None else [], values
        return [f"{target}={label}" for label in predictor.classes_], values
    values = predictor.predict(rows, extra=extra)
    values = values.reshape(len(values), -1)
    if preprocessor is not None and preprocessor.target:
        return list(preprocessor.target), values
    single = "class" if predictor.classes_ is not None else "y"
    return [single] if values.shape[1] == 1 else [f"y{i}" for i in range(values.shape[1])], values


def _numbers(model: Path, data: Path, reading: dict[str, Any]) -> np.ndarray:
    """The rows of a file of numbers alone; ValueError for text, of which only a preprocessor makes numbers."""
    try:
        return load_csv(data, **reading).T
    except ValueError:
        table = load_table(data, **reading)
        text = next((name for name in table if table[name].dtype == object), None)
        if text is None:
            raise
        raise ValueError(
            f"{data}: column {shown(text)} is text, and {model} has no preprocessor: save "
            "tn.nn.Predictor(network, preprocessor)"
        ) from None


def in_options(message: str) -> str:
    """A message in the words of the command line: its options instead of arguments."""
    message = message.replace(
        "leave them out by table.without(...), or say extra='ignore'", "--ignore-extra leaves them out"
    )
    message = message.removesuffix("; text=[...] takes the column as text")
    message = re.sub(r", or tn\.data\.Table\(pandas.*?\.\.\.\)\)", "", message)
    message = re.sub(r"missing=\[(.*)\] makes", _missing_options, message)
    return re.sub(r"\b(delimiter|decimal|encoding|comment)=", r"--\1 ", message)


def _missing_options(found: re.Match[str]) -> str:
    """Options for the texts of an argument; what is none, as a name of a column may look like it, stays."""
    try:
        texts = ast.literal_eval(f"[{found[1].removeprefix('*tn.data.GAPS, ')}]")
    except (SyntaxError, ValueError):
        return found[0]
    return " ".join(f"--missing {text!r}" for text in texts) + " makes"


def write_csv(file: TextIO, names: list[str], values: np.ndarray) -> None:
    """Write a header and a line for each row; numbers so that they are read again as the same."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(_rows(values))


def _rows(values: np.ndarray) -> Iterator[list[Any]]:
    for start in range(0, len(values), 10_000):
        yield from values[start : start + 10_000].tolist()
