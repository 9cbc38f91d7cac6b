"""Checks of the exercises of the course: each takes the reader's own code and says what holds, or what to look at.

The lessons are in `docs/course/`, and on the site that `python3 tinygrad_nn docs` builds.
"""

from collections.abc import Callable

from tinygrad_nn.course import arrays, graphs, networks, slopes, training
from tinygrad_nn.course.verdict import Verdict

__all__ = ["Verdict", "check"]

# The exercise of each lesson, by the name that the lesson gives it.
EXERCISES: dict[str, Callable[..., str]] = {
    "slope": slopes.slope,  # 1
    "chain": slopes.chain,  # 2
    "add_paths": graphs.add_paths,  # 3
    "order": graphs.order,  # 4
    "rules": arrays.rules,  # 5
    "unbroadcast": arrays.unbroadcast,  # 6
    "layer_backward": networks.layer_backward,  # 7
    "backpropagation": networks.backpropagation,  # 8
    "adam": training.adam,  # 9
    "initial_weights": networks.initial_weights,  # 10
    "train": training.train,  # 11
    "hessian_product": slopes.hessian_product,  # 12
}


def check(exercise: str, *answer: object) -> Verdict:
    """Judge the reader's own code for an exercise of the course.

    Parameters
    ----------
    exercise : the name that the lesson gives it, such as "slope".
    answer : the function or class that the lesson asks for; in lesson 5 three functions.

    Returns
    -------
    A `Verdict`: true where the code holds.  Where it does not, it says what was tried, what came out, what was expected
    and where to look.

    Raises
    ------
    ValueError : there is no such exercise.

    Example
    -------
    >>> from tinygrad_nn import course
    >>> course.check("slope", lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 2e-5)
    ✓ slope: 18 slopes agree with the chain rule to 6 digits
    >>> course.check("slope", lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 1e-5)
    ✗ slope: of sin at 0 it returns 2, expected 1. That is twice the slope: from x − h to x + h is a way of 2h.
    """
    if exercise not in EXERCISES:
        raise ValueError(f"there is no exercise {exercise!r}: there are {', '.join(EXERCISES)}")
    return Verdict.of(exercise, EXERCISES[exercise], answer)
