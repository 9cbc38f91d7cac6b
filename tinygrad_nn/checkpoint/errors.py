"""What is wrong with a file, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["CheckpointError", "refuse_difference", "refusing"]


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another model; nothing has been changed."""


_DAMAGED = "is not a whole checkpoint ({}): it was cut short or altered, or is another kind of file"


@contextlib.contextmanager
def refusing(path: Any, text: str = _DAMAGED) -> Iterator[None]:
    """Turn every error about the content of a file into a CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as reason:  # whatever a crafted file makes the parsers of Python and NumPy say
        said = str(reason) or type(reason).__name__
        raise CheckpointError(f"{path} {text.format(said)}") from None


def refuse_difference(path: Any, theirs: Any, mine: Any, at: str = "") -> None:
    """CheckpointError for the first thing that differs between two descriptions."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = [key for key in {**theirs, **mine} if key != "init"]  # how it began: what it has become counts
        pairs = [(str(key), theirs.get(key, "missing"), mine.get(key, "missing")) for key in keys]
    elif isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(theirs, mine, strict=True))]
    elif theirs != mine:
        a, b = (f"of length {len(x)}" if isinstance(x, list) else x for x in (theirs, mine))
        raise CheckpointError(
            f"{path} belongs to another model: {at} is {a} in the file, {b} here; "
            "tn.nn.load(path) rebuilds the model of the file"
        )
    else:
        pairs = []
    for key, a, b in pairs:
        refuse_difference(path, a, b, f"{at}.{key}" if at else key)
