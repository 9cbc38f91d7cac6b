"""What a check says of the reader's code: that it holds, or what came out, what was expected, and where to look."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tinygrad_nn import notebook

__all__ = ["AnswerError", "Verdict", "agree", "expect", "given", "shown"]

# What Python and NumPy say of slips that are frequent in the exercises, and a word on each
HINTS = {
    "read-only": "Do not write into what is handed in: make a new array.",
    "truth value of an array": (
        "An `if` decides once for a whole array: take the comparison as a factor, or np.where, so that each element "
        "decides for itself."
    ),
    "can be converted to Python scalars": "Functions of `math` take single numbers: take NumPy's.",
    "matmul|not aligned": "In A @ B the columns of A must be as many as the rows of B: print both shapes.",
    "could not be broadcast": "Shapes that are added or multiplied element by element must fit: print both.",
    "not callable": "Hand over the function or class itself, by its name alone.",
    "positional argument": "Take the arguments that the exercise names.",
}


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
            hint = next((f". {hint}" for said, hint in HINTS.items() if re.search(said, str(error))), "")
            said = str(error).strip().removesuffix(".") if hint else str(error)
            return cls(exercise, False, f"it stops{place} with {type(error).__name__}: {said}{hint}")

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
    if value is None or isinstance(value, str):
        return repr(value)
    if callable(value) and not hasattr(value, "shape"):
        return "a function"
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array:.6g}" if array.dtype.kind in "fiu" else str(value)
    text = np.array2string(array, precision=4, threshold=12, separator=", ").replace("\n", "")
    return text if len(text) <= 80 else f"an array of shape {array.shape}"


def given(x: np.ndarray) -> np.ndarray:
    """A copy for the reader's code that refuses to be written into."""
    x = x.copy()
    x.flags.writeable = False
    return x


def agree(got: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-9) -> bool:
    """Whether two numbers or arrays have one shape and agree."""
    try:
        got = np.asarray(got)
    except ValueError:  # lists of several lengths
        return False
    return got.dtype.kind in "biuf" and got.shape == np.shape(expected) and bool(np.allclose(got, expected, rtol, atol))


def expect(what: str, got: Any, expected: Any, mistakes: dict[str, Any], rtol: float = 1e-6) -> None:
    """Compare a result.  AnswerError where it differs, with the hint of the mistake that makes just this number.

    `mistakes` has for each hint what comes out if that mistake is made; a value of None is never met.
    """
    if got is None:
        raise AnswerError(f"{what} it returns None: is there a `return`?")
    if agree(got, expected, rtol):
        return
    if callable(got) and not hasattr(got, "shape"):
        _differs(what, got, expected, "Call it, so that its result is returned.")
    for hint, wrong in mistakes.items():
        if wrong is not None and not agree(wrong, expected, rtol) and agree(got, wrong, max(rtol, 1e-5)):
            _differs(what, got, expected, hint)
    _differs(what, got, expected, _in_general(got, expected, rtol))


def _in_general(got: Any, expected: Any, rtol: float) -> str:
    """A hint that needs to know nothing of the exercise."""
    try:
        numbers, wanted = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return "A number is asked for." if np.ndim(expected) == 0 else "An array of numbers is asked for."
    if isinstance(got, str) or (wanted.ndim == 0 and numbers.ndim):
        return "A single number is asked for."
    if numbers.shape != wanted.shape:
        hint = f"The shape is {numbers.shape}, expected {wanted.shape}"
        column = wanted.shape[1:] == (1,) and numbers.shape == wanted.shape[:1]
        return f"{hint}: keep the axis, with keepdims=True." if column else f"{hint}."
    if np.isnan(numbers).any():
        return "NaN is what comes of 0/0 or ∞ − ∞: is something divided by 0?"
    if not numbers.any():
        return "That is 0: was something multiplied by 0, or never added to what it began with?"
    if agree(-numbers, wanted, rtol):
        return "The sign is turned."
    factor = float((numbers * wanted).sum() / (wanted * wanted).sum()) if wanted.any() else 0.0
    telling = wanted.size > 1 or any(agree(x, round(x), 1e-6) for x in (factor, 1 / (factor or 1)))
    same = factor and telling and agree(numbers / factor, wanted, rtol)
    return f"That is {factor:.4g} times what is expected." if same else ""


def _differs(what: str, got: Any, expected: Any, hint: str) -> NoReturn:
    said, wanted = shown(got), shown(expected)
    if wanted.startswith("an array") and np.shape(got) == np.shape(expected):
        gap = np.abs(np.asarray(got, dtype=float) - expected)
        at = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), gap.shape)
        place = ", ".join(map(str, at))
        said = f"{shown(np.asarray(got)[at])} at [{place}]"
        wanted = f"{shown(expected[at])} there"
    raise AnswerError(f"{what} it returns {said}, expected {wanted}. {hint}".rstrip())
