"""Exercises of the course: solutions hold, typical wrong answers are caught with the hint that helps."""

import pytest
from course.answers import RIGHT, WRONG

from tinygrad_nn import course

CASES = [(exercise, *case) for exercise, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize("exercise", course.EXERCISES)
def test_solutions_hold(exercise):
    verdict = course.check(exercise, *RIGHT[exercise])
    assert verdict, verdict
    assert repr(verdict).startswith(f"✓ {exercise}: ")


@pytest.mark.parametrize("exercise", course.EXERCISES)
def test_each_exercise_knows_three_mistakes(exercise):
    assert len({hint for _, hint in WRONG[exercise]}) >= 3


@pytest.mark.parametrize(("exercise", "answer", "hint"), CASES, ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_wrong_answers_are_told_what_is_wrong(exercise, answer, hint):
    verdict = course.check(exercise, *answer)
    assert not verdict
    assert hint in repr(verdict)
    assert len(repr(verdict)) < 500


def test_errors_in_the_readers_code_say_where():
    def slope(f, x):
        return f(x) / 0

    verdict = course.check("slope", slope)
    line = slope.__code__.co_firstlineno + 1
    assert repr(verdict) == f"✗ slope: it stops in line {line} with ZeroDivisionError: float division by zero"


def test_a_verdict_in_a_notebook_shows_the_same_words():
    verdict = course.check("slope", lambda f, x: "<b>")
    assert not verdict
    assert "&lt;b&gt;" in verdict._repr_html_()


def test_unknown_exercises():
    with pytest.raises(ValueError, match=r"there is no exercise 'slopes': there are slope, chain, "):
        course.check("slopes", None)
