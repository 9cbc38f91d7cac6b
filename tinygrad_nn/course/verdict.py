"""What a check says of the reader's code: that it holds, or what came out, what was expected, and where to look."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tinygrad_nn import notebook

__all__ = ["AnswerError", "Verdict", "agree", "expect", "shown"]


class AnswerError(Exception):
    """What is wrong with an answer; its text becomes the verdict."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check: true where the answer holds; its text says why or why not."""

    exercise: str
    holds: bool
    text: str

    @classmethod
    def of(cls, exercise: str, check: Callable[..., str], answer: tuple[object, ...]) -> Verdict:
        """Run a check, and turn whatever happens in the reader's code into words."""
        try:
            return cls(exercise, True, check(*answer))
        except AnswerError as fault:
            return cls(exercise, False, str(fault))
        except NotImplementedError:
            return cls(exercise, False, "not written yet: put your lines in the place of `raise NotImplementedError`.")
        except RecursionError:
            text = (
                "it calls itself too deeply: a chain of thousands of operations needs a loop, with a list as its stack."
            )
            return cls(exercise, False, text)
        except Exception as error:
            own = [f for f in traceback.extract_tb(error.__traceback__) if "tinygrad_nn" not in f.filename]
            place = f" in line {own[-1].lineno}" if own else ""
            return cls(exercise, False, f"it stops{place} with {type(error).__name__}: {error}")

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.exercise}: {self.text}"

    def _repr_html_(self) -> str:
        colour = notebook.COLOURS[0 if self.holds else 1]
        return (
            f'<div style="border-left:4px solid {colour};padding:.4em .8em;white-space:pre-wrap">'
            f"{notebook.escaped(repr(self))}</div>"
        )


def shown(value: Any) -> str:
    """A number, or a small array, as it stands in a sentence."""
    if value is None:
        return "None"
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array:.6g}" if array.dtype.kind in "fiu" else str(value)
    text = np.array2string(array, precision=4, threshold=12, separator=", ").replace("\n", "")
    return text if len(text) <= 80 else f"an array of shape {array.shape}"


def agree(got: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-9) -> bool:
    """Whether two numbers or arrays have one shape and agree."""
    try:
        got = np.asarray(got, dtype=float)
    except (TypeError, ValueError):
        return False
    return got.shape == np.shape(expected) and bool(np.allclose(got, expected, rtol, atol))


def expect(what: str, got: Any, expected: Any, mistakes: dict[str, Any], rtol: float = 1e-6) -> None:
    """Compare a result.  AnswerError where it differs, with the hint of the mistake that makes just this number.

    `mistakes` has for each hint what comes out if that mistake is made; a value of None is never met.
    """
    if got is None:
        raise AnswerError(f"{what} it returns None: is there a `return`?")
    if agree(got, expected, rtol):
        return
    for hint, wrong in mistakes.items():
        if wrong is not None and not agree(wrong, expected, rtol) and agree(got, wrong, max(rtol, 1e-5)):
            _differs(what, got, expected, hint)
    if np.shape(got) != np.shape(expected):
        _differs(what, got, expected, f"The shape is {np.shape(got)}, expected {np.shape(expected)}.")
    _differs(what, got, expected, "")


def _differs(what: str, got: Any, expected: Any, hint: str) -> NoReturn:
    raise AnswerError(f"{what} it returns {shown(got)}, expected {shown(expected)}. {hint}".rstrip())
