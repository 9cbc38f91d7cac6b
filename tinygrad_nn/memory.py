"""Freed memory of one large graph is kept for the next."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np

__all__ = ["LARGE", "prepare_for"]

LARGE = 1 << 20  # bytes


def prepare_for(array: Any) -> None:
    """Called with arrays that graphs begin with: keep freed memory from the first large one on."""
    if array.nbytes >= LARGE:
        keep_freed_memory()


@functools.cache
def keep_freed_memory() -> bool:
    """Let the GNU C library keep freed blocks of up to 64 MB, unless TINYGRAD_NN_KEEP_MEMORY=0; says whether it does.

    It gives freed memory back to the kernel beyond a threshold, and to fetch the pages of a large array anew costs as
    much as the arithmetic on it.  To free one block of nearly 32 MB, which nobody has touched, raises the threshold:
    mallopt(3), M_MMAP_THRESHOLD.
    """
    if os.environ.get("TINYGRAD_NN_KEEP_MEMORY") == "0":
        return False
    np.empty((1 << 25) - (1 << 16), np.uint8)
    return True
