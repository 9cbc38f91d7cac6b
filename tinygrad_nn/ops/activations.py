"""Further activations, each element by itself; the usual ones stand in `elementwise`."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.ops.elementwise import as_real, quiet
from tinygrad_nn.registry import op


def _celu(x, alpha=1.0):
    x = as_real(x)
    with quiet():
        return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _hard_sigmoid(x):
    return np.clip(as_real(x) / 6 + 0.5, 0, 1)


def _soft_shrink(x, threshold=0.5):
    x = as_real(x)
    return x - np.clip(x, -threshold, threshold)


def _hard_shrink(x, threshold=0.5):
    x = as_real(x)
    return np.where(np.abs(x) <= threshold, 0.0, x)


def _tanh_shrink(x):
    x = as_real(x)
    return x - np.tanh(x)


def _outside(g, y, x, threshold=0.5):
    return np.where(np.abs(x) > threshold, g, 0.0)


def _hard_swish_rule(g, y, x):
    return np.where(x <= -3, 0.0, np.where(x < 3, g * (x / 3 + 0.5), g))


ACTIVATION = {"kind": "elementwise", "initializer": "he_uniform"}

# fmt: off
celu         = op(_celu, "celu({x})", lambda g, y, x, alpha=1.0: g * np.where(x > 0, 1.0, y / alpha + 1), name="celu", **ACTIVATION,
                  variants=({"alpha": 0.5}, {}), summary="x, and alpha·(exp(x/alpha) − 1) below 0: smooth for every alpha (Barron 2017)")
hard_sigmoid = op(_hard_sigmoid, "hard_sigmoid({x})", lambda g, y, x: np.where(np.abs(x) < 3, g / 6, 0.0), name="hard_sigmoid", kind="elementwise",
                  selects=True, domain=(-5, 5), gives="probabilities", summary="x/6 + ½ limited to [0, 1]", edge_cases="the gradient at ±3 is 0.")
hard_swish   = op(lambda x: x * _hard_sigmoid(x), "hard_swish({x})", _hard_swish_rule, name="hard_swish", **ACTIVATION, selects=True, domain=(-5, 5),
                  summary="x · hard_sigmoid(x) (Howard et al. 2019)", edge_cases="the gradient at −3 is 0, at 3 it is 1.")
soft_shrink  = op(_soft_shrink, "soft_shrink({x})", _outside, name="soft_shrink", kind="elementwise", selects=True, variants=({"threshold": 1.1}, {}),
                  summary="x moved towards 0 by threshold, and 0 in between", edge_cases="the gradient at ±threshold is 0.")
hard_shrink  = op(_hard_shrink, "hard_shrink({x})", _outside, name="hard_shrink", kind="elementwise", selects=True, variants=({"threshold": 1.1}, {}),
                  summary="x, and 0 for |x| ≤ threshold", edge_cases="the gradient at ±threshold is 0.")
tanh_shrink  = op(_tanh_shrink, "tanh_shrink({x})", lambda g, y, x: g * np.square(np.tanh(x)), name="tanh_shrink", kind="elementwise", summary="x − tanh(x)")
# fmt: on
