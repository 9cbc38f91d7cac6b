"""Which cases of a test run every day; the others are for the night, so that CI stays short."""

import pytest


def by_day(values, one_of=2):
    """Every so many-th value by day, the others marked `nightly`: for `pytest.mark.parametrize`."""
    values = [v if isinstance(v, tuple) else (v,) for v in values]
    return [pytest.param(*v, marks=[pytest.mark.nightly] * (k % one_of > 0)) for k, v in enumerate(values)]
