"""How answers to the exercises of the course are marked: right, or wrong with a part of what the verdict has to say."""

from collections import defaultdict

WRONG = defaultdict(list)  # exercise -> (answer, a part of what the verdict says)
RIGHT = {}


def right(exercise):
    """Mark a solution."""

    def mark(answer):
        RIGHT[exercise] = (answer,)
        return answer

    return mark


def wrong(exercise, hint):
    """Mark a wrong answer, and what its reader has to be told."""

    def mark(answer):
        WRONG[exercise].append(((answer,), hint))
        return answer

    return mark
