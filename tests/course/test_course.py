"""Exercises of the course: solutions hold, typical wrong answers are caught with the hint that helps."""

import pytest
from course import answers_on_graphs, answers_on_networks  # noqa: F401  they mark what is tried here
from course.marks import RIGHT, WRONG

import tinygrad_nn as tn
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


@pytest.mark.parametrize("exercise", [name for name in course.EXERCISES if name not in ("rules", "adam")])
def test_a_skeleton_is_told_from_a_wrong_answer(exercise):
    def unwritten(*inputs):
        raise NotImplementedError

    assert course.check(exercise, unwritten).text.startswith("not written yet")


def test_ties_may_go_to_one_or_half_to_each():
    multiply, sigmoid, _ = RIGHT["rules"]
    for maximum in (
        lambda g, y, a, b: (g * (a >= b), g * (b > a)),
        lambda g, y, a, b: (g * ((a > b) + 0.5 * (a == b)), g * ((b > a) + 0.5 * (a == b))),
        tuple_of_rules(tn.maximum),
    ):
        verdict = course.check("rules", multiply, sigmoid, maximum)
        assert verdict, verdict


def tuple_of_rules(operation):
    return lambda g, y, a, b: tuple(rule(g, y, a, b) for rule in operation.vjps)


def test_errors_in_the_readers_code_say_where():
    def slope(f, x):
        return f(x).slope

    verdict = course.check("slope", slope)
    line = slope.__code__.co_firstlineno + 1
    assert (
        repr(verdict)
        == f"✗ slope: it stops in line {line} with AttributeError: 'float' object has no attribute 'slope'"
    )


def test_a_verdict_in_a_notebook_shows_the_same_words():
    verdict = course.check("slope", lambda f, x: "<b>")
    assert not verdict
    assert "&lt;b&gt;" in verdict._repr_html_()


def test_unknown_exercises():
    with pytest.raises(ValueError, match=r"there is no exercise 'slopes': there are slope, chain, "):
        course.check("slopes", None)
