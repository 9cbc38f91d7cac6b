"""A scene as JSON, or a film, and back."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from typing import Any, TypeVar

from tinygrad_nn.view.checked import require_whole
from tinygrad_nn.view.scene import Reel, Scene

__all__ = ["as_plain", "read", "write"]

Record = TypeVar("Record", Scene, Reel)


def write(record: Scene | Reel) -> str:
    """A scene or a film as JSON; what equals its default is left out, and a program is one long line."""
    plain = as_plain(record)
    program = plain.pop("program", None)
    text = json.dumps(plain, ensure_ascii=False, indent=1)
    if program is not None:
        compact = json.dumps(program, ensure_ascii=False, separators=(",", ":"))
        text = f'{text[:-2]},\n "program": {compact}\n}}'
    return text + "\n"


def read(text: str, kind: type[Record]) -> Record:
    """The scene or the film that `write` wrote.  ValueError where the text is none, or not a whole one."""
    try:
        record = typing.cast(Record, _typed(kind, json.loads(text)))
    except RecursionError:
        raise ValueError("a picture needs lists and records that are less deep within each other") from None
    except OverflowError:
        raise ValueError("a picture needs numbers that float64 can hold") from None
    require_whole(record)
    return record


def as_plain(value: Any) -> Any:
    """Records and tuples as dicts and lists, without what equals its default."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: as_plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not _is_default(f, getattr(value, f.name))
        }
    if isinstance(value, dict):
        return {name: as_plain(v) for name, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value  # JSON knows no "nan", "inf"


def _is_default(field: dataclasses.Field, value: Any) -> bool:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return bool(value == default) and default is not dataclasses.MISSING


def _typed(kind: Any, plain: Any) -> Any:
    """A value of type `kind` from lists, dicts, texts and numbers."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if plain is None else _typed(arguments[0], plain)
    if origin is tuple:
        if not isinstance(plain, list):
            raise ValueError(f"a picture needs a list here, got {plain!r:.60}")
        return tuple(_typed(arguments[0], v) for v in plain)
    if dataclasses.is_dataclass(kind):
        return _record(kind, plain)
    if origin is dict:
        if not isinstance(plain, dict):
            raise ValueError(f"a picture needs a record here, got {plain!r:.60}")
        return plain
    if kind is float and (type(plain) is int or plain in ("nan", "inf", "-inf")):
        return float(plain)
    if issubclass(kind, enum.Enum) and plain in list(kind):
        return kind(plain)
    if type(plain) is not kind:
        raise ValueError(f"a picture needs a {kind.__name__} here, got {plain!r:.60}")
    return plain


def _record(kind: Any, plain: Any) -> Any:
    hints, name = typing.get_type_hints(kind), kind.__name__.lower()
    if not isinstance(plain, dict) or not plain.keys() <= hints.keys():
        raise ValueError(f"a picture needs a {name} here, got {plain!r:.60}")
    try:
        return kind(**{k: _typed(hints[k], v) for k, v in plain.items()})
    except TypeError as reason:
        raise ValueError(f"a picture's {name} is incomplete: {reason}") from None
