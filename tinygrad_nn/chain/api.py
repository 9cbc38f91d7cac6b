"""`paths`: from two tensors to the paths between them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import seed_for
from tinygrad_nn.chain.arrays import ArrayPathSum
from tinygrad_nn.chain.elements import ElementPathSum
from tinygrad_nn.chain.graph import Element, PathGraph
from tinygrad_nn.chain.sums import PathSum
from tinygrad_nn.errors import label
from tinygrad_nn.naming import Naming
from tinygrad_nn.operation import Traced
from tinygrad_nn.variables import called_in, called_in_program

__all__ = ["paths"]

LIMIT = 1000  # so many paths are listed if nobody says otherwise


def paths(
    z: Any,
    t: Any,
    gradient: Any = None,
    *,
    at: Any = None,
    limit: int = LIMIT,
    names: Mapping[str, Any] | None = None,
) -> PathSum:
    """The gradient of z with respect to t as a sum over all paths from t to z.

    Parameters
    ----------
    z : a recorded tensor: a single number, or with `gradient` of any shape.
    t : a tensor that requires a gradient, or any intermediate result.
    gradient : upstream gradient of z, in its shape; 1 if left out.
    at : index of one element of t: the paths from this element to the single number z, through single elements of what
        lies between.  In a dense network 784-256-256-10, 65,536 lead from one pixel to one logit.
    limit : at most so many paths are listed when you iterate over the result.
    names : tensors by name, as they are shown; by default the variables of the caller, unless a tensor has a name of
        its own.

    Returns
    -------
    A `PathSum`; an `ArrayPathSum` if there are arrays on the way, whose paths lead through whole arrays; with `at` an
    `ElementPathSum`.  If z does not depend on t there are 0 paths, and the gradient is 0; from z to itself there is
    one, without edges, and the gradient is 1.  Constants, and arguments without a derivative, lie on no path.

    Raises
    ------
    TypeError : z or t is no tensor.
    ValueError : z was not recorded, or has several elements and there is no `gradient`; t requires no gradient; `at`
        is not the index of one element.
    MutationError : from what is computed later, if a value that is needed was changed after it was recorded.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> t = tn.tensor(2.0, requires_grad=True, name="t")
    >>> z = t**2 * (3 * t)
    >>> p = paths(z, t)
    >>> [path.contribution for path in p], p.gradient
    ([24.0, 12.0], 36.0)
    >>> for _ in range(1000):
    ...     z = tn.sin(z) + tn.cos(z)
    >>> paths(z, t).count == 2 * 2**1000
    True

    Source: M. Thill's post "Yet another Neural Networks Introduction", its "Interlude: The Chain Rule and Nested
    Dependencies"; Bauer, "Computational Graphs and Rounding Error", SIAM J. Numer. Anal. 11 (1974).
    """
    for value, role in ((z, "z"), (t, "t")):
        if not isinstance(value, Traced):
            raise TypeError(f"paths takes tensors, {role} is of type {type(value).__name__}")
    called = called_in_program(sys._getframe(1)) if names is None else None
    naming = Naming(z, called_in(names or {}), called)
    seed = seed_for(z, gradient, "gradient")
    seed = np.asarray(seed.value if isinstance(seed, Traced) else seed)
    if not t.tracked:
        raise ValueError(
            f"paths: {label(t, 't')} of shape {t.shape} does not require a gradient, so no paths start there; "
            "create it with requires_grad=True before computing z"
        )
    graph = PathGraph.between(t, z)
    if at is not None:
        places = np.arange(t.size).reshape(t.shape)[at]
        if np.size(places) != 1 or z.size != 1:
            raise ValueError(
                f"paths: at={at!r} must be the index of one element of {label(t, 't')} of shape {t.shape}, and z, of "
                f"shape {z.shape}, a single number: take one element of it, as in paths(z[0, 3], t, at=...)"
            )
        ends = Element(t, int(np.ravel(places)[0])), Element(z, 0)
        return ElementPathSum(graph, *ends, math.frexp(float(seed.item())), limit, naming)
    if all(node.value.size == 1 for node in (t, z, *graph.nodes)):
        return PathSum(graph, t, z, math.frexp(float(seed.item())), limit, naming)
    return ArrayPathSum(graph, t, z, seed, limit, naming)
