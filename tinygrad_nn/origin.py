"""Where in the user's code a tensor was made: what errors and drawings point at."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from types import CodeType
from typing import Any

__all__ = ["INTERNAL", "Origin", "caller", "line_of", "quoted"]

Origin = tuple[CodeType, int]  # the code and the offset of an instruction: cheap to take, a line only when asked for
_PACKAGE = os.path.dirname(__file__)


class _Internal(dict):
    """Whether a file belongs to this package, looked up once for each."""

    def __missing__(self, file: str) -> bool:
        self[file] = file.startswith(_PACKAGE) and "_examples" not in file
        return self[file]


INTERNAL = _Internal()


def caller() -> Origin:
    """The instruction of the code outside this package that is being carried out."""
    frame = sys._getframe(2)
    while INTERNAL[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def line_of(origin: Origin | None) -> str:
    """An origin as ``file:line``."""
    if origin is None:
        return ""
    code, instruction = origin
    lines = itertools.islice(code.co_positions(), instruction // 2, None)
    line = next((position[0] for position in lines if position[0]), code.co_firstlineno)
    return f"{code.co_filename}:{line}"


def quoted(node: Any) -> str:
    """The source line that made a node, for messages."""
    if not node.origin:
        return ""
    file, _, line = node.origin.rpartition(":")
    text = linecache.getline(file, int(line)).strip()
    return f" (line {line} of {os.path.basename(file)}{': ' + text if text else ''})"
