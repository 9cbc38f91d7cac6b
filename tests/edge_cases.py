"""The policy of docs/numerics.md as a table: an expression, its inputs, its value, and its gradients in edge cases."""

from dataclasses import dataclass
from typing import Any

inf, nan = float("inf"), float("nan")


@dataclass(frozen=True)
class Point:
    """A row: `expression` of the named `inputs`, its `value`, the gradient of its sum by each input, and why.

    `warns`: NumPy itself warns about the value (log 0, 0/0).
    """

    expression: str
    inputs: dict[str, Any]
    value: Any
    gradients: dict[str, Any]
    why: str
    warns: bool = False


POINTS: list[Point] = []
THEME = ""


def point(expression, value, why=None, warns=False, **given):
    """Inputs are given by name, their gradients with a d before it: x=..., dx=...."""
    inputs = {name: given[name] for name in given if "d" + name in given}
    gradients = {name: given["d" + name] for name in inputs}
    assert len(inputs) * 2 == len(given)
    POINTS.append(Point(expression, inputs, value, gradients, why or THEME, warns))


THEME = "a kink has the slope 0, or the one from below"
point("abs(x)", [0, 0, 1, inf], x=[0.0, -0.0, -1.0, inf], dx=[0, 0, -1, 1])
point("tn.sign(x)", [0, 1, -1], x=[0.0, 2.0, -inf], dx=[0, 0, 0])
point("tn.relu(x)", [0, 0, 0, 1000], x=[0.0, -0.0, -1000.0, 1000.0], dx=[0, 0, 0, 1])
point("tn.leaky_relu(x, 0.1)", [0, 2, -0.2], x=[0.0, 2.0, -2.0], dx=[0.1, 1, 0.1])
point("tn.elu(x, 0.5)", [0, 0, 1000, -0.5], x=[0.0, -0.0, 1000.0, -1000.0], dx=[0.5, 0.5, 1, 0])
point("tn.selu(x)", [0, 1050.7009873554805, -1.7580993408473766], x=[0.0, 1000.0, -1000.0],
      dx=[1.7580993408473766, 1.0507009873554805, 0])  # fmt: skip
point("tn.hard_tanh(x)", [-1, 0.5, 1, 1], x=[-1.0, 0.5, 1.0, 1000.0], dx=[0, 1, 0, 0])
point("tn.celu(x, 0.5)", [0, 0, 1000, -0.5], x=[0.0, -0.0, 1000.0, -1000.0], dx=[1, 1, 1, 0])
point("tn.hard_sigmoid(x)", [0, 0.5, 1, 1], x=[-3.0, 0.0, 3.0, 1000.0], dx=[0, 1 / 6, 0, 0])
point(
    "tn.hard_swish(x)", [0, 0, 3, 1000], x=[-3.0, 0.0, 3.0, 1000.0], dx=[0, 0.5, 1, 1], why="a kink as PyTorch has it"
)
point("tn.soft_shrink(x)", [0, 0, 0, -1], x=[-0.5, 0.0, 0.5, -1.5], dx=[0, 0, 0, 1])
point("tn.hard_shrink(x)", [0, 0, 0, -1.5], x=[-0.5, 0.0, 0.5, -1.5], dx=[0, 0, 0, 1])
point("tn.softsign(x)", [0, -0.5], x=[0.0, -1.0], dx=[1, 0.25])
point("tn.l1_loss(x, y)", 2, x=[1.0, 3.0], y=[1.0, 1.0], dx=[0, 1], dy=[0, -1])
point("tn.huber_loss(x, y)", 3.5, x=[1.0, -1.0, 3.0], y=[0.0, 0.0, 0.0], dx=[1, -1, 1], dy=[-1, 1, -1],
      why="the two pieces meet with one slope")  # fmt: skip

THEME = "a tie is halved between two, shared equally within a reduction"
point("np.maximum(x, y)", [1, 2, 0, inf], x=[1.0, 2.0, 0.0, inf], y=[1.0, 1.0, -0.0, inf],
      dx=[0.5, 1, 0.5, 0.5], dy=[0.5, 0, 0.5, 0.5])  # fmt: skip
point("np.minimum(x, y)", [1, 1, -inf], x=[1.0, 2.0, -inf], y=[1.0, 1.0, -inf], dx=[0.5, 0, 0.5], dy=[0.5, 1, 0.5])
point("np.maximum(x, x)", [3], x=[3.0], dx=[1])
point("np.maximum(x, 0.0)", [0, 0, 5], x=[0.0, -5.0, 5.0], dx=[0.5, 0, 1])
point("x.max()", 2, x=[2.0, 1.0, 2.0, 2.0], dx=[1 / 3, 0, 1 / 3, 1 / 3])
point("x.min(axis=1)", [1, 0], x=[[1.0, 1.0], [0.0, 4.0]], dx=[[0.5, 0.5], [1, 0]])
point("x.max(axis=(0, 1))", inf, x=[[inf, 1.0], [inf, inf]], dx=[[1 / 3, 0], [1 / 3, 1 / 3]])
point("tn.cummax(x)", [1, 1, 2, 2], x=[1.0, 1.0, 2.0, 0.0], dx=[1.5, 0.5, 2, 0])
point("tn.cummin(x)", [1, 1, 0, 0], x=[1.0, 1.0, 0.0, 2.0], dx=[1.5, 0.5, 2, 0])
point("tn.norm(x, np.inf)", 2, x=[-2.0, 2.0, 0.0], dx=[-0.5, 0.5, 0])

THEME = "clip passes the gradient at its bounds"
point("tn.clip(x, 0.0, 1.0)", [0, 0, 0.5, 1, 1], x=[-1.0, 0.0, 0.5, 1.0, 2.0], dx=[0, 1, 1, 1, 0])
point("tn.clip(x, y, 1.0)", [0, 0.5, 1], x=[-1.0, 0.5, 2.0], y=[0.0, 0.0, 0.0], dx=[0, 1, 0], dy=[1, 0, 0],
      why="beyond a bound the gradient is the bound's")  # fmt: skip
point("tn.clip(x, y, z)", [1, 1, 1], x=[0.0, 1.5, 3.0], y=[2.0, 2.0, 2.0], z=[1.0, 1.0, 1.0],
      dx=[0, 0, 0], dy=[0, 0, 0], dz=[1, 1, 1], why="of bounds that cross, the upper one comes out")  # fmt: skip
point("tn.clip(x, None, 1.0)", [-inf, 1], x=[-inf, inf], dx=[1, 0])

THEME = "steps are flat"
for name in ("floor", "trunc", "round"):
    point(f"tn.{name}(x)", [1, 0, 0], x=[1.0, 0.25, 0.0], dx=[0, 0, 0])
point("tn.ceil(x)", [1, 1, 0], x=[1.0, 0.25, 0.0], dx=[0, 0, 0])
point("tn.rint(x)", [0, 2, 2], x=[0.5, 1.5, 2.5], dx=[0, 0, 0])
point("tn.floor_divide(x, y)", [2, -3], x=[5.0, -5.0], y=[2.0, 2.0], dx=[0, 0], dy=[0, 0])
point("tn.heaviside(x, y)", [0, 0.5, 1], x=[-1.0, 0.0, 1.0], y=[0.5, 0.5, 0.5], dx=[0, 0, 0], dy=[0, 1, 0])
point("x % y", [1, 1, -1], x=[5.0, -5.0, 5.0], y=[2.0, 2.0, -2.0], dx=[1, 1, 1], dy=[-2, 3, 3])
point("tn.fmod(x, y)", [1, -1], x=[5.0, -5.0], y=[2.0, 2.0], dx=[1, 1], dy=[-2, 2])
point("tn.fabs(x)", [0, 1], x=[0.0, -1.0], dx=[0, -1])
point("tn.copysign(x, y)", [0, 1, -2], x=[0.0, -1.0, 2.0], y=[1.0, 1.0, -1.0], dx=[0, -1, -1], dy=[0, 0, 0])

THEME = "NaN left out"
point(
    "tn.fmax(x, y)", [1, 2, 3, 1], x=[1.0, nan, 3.0, 1.0], y=[nan, 2.0, 0.0, 1.0], dx=[1, 0, 1, 0.5], dy=[0, 1, 0, 0.5]
)
point(
    "tn.fmin(x, y)", [1, 2, 0, 1], x=[1.0, nan, 3.0, 1.0], y=[nan, 2.0, 0.0, 1.0], dx=[1, 0, 0, 0.5], dy=[0, 1, 1, 0.5]
)
point("np.nansum(x)", 4, x=[1.0, nan, 3.0], dx=[1, 0, 1])
point("np.nanmean(x)", 2, x=[1.0, nan, 3.0], dx=[0.5, 0, 0.5])
point("np.nanmax(x)", 3, x=[3.0, nan, 3.0], dx=[0.5, 0, 0.5])
point("np.nanstd(x)", 0, x=[3.0, nan, 3.0], dx=[0, 0, 0])
point("np.nan_to_num(x, nan=7.0, posinf=8.0, neginf=9.0)", [7, 8, 9, 1], x=[nan, inf, -inf, 1.0], dx=[0, 0, 0, 1])

THEME = "in order: the gradient goes back to where the element came from"
point("np.sort(x)", [1, 2, 2, nan], x=[2.0, nan, 1.0, 2.0], dx=[1, 1, 1, 1])
point(
    "np.median(x)",
    2,
    x=[2.0, 9.0, 1.0, 2.0],
    dx=[0.5, 0, 0, 0.5],
    why="equal elements keep their order, as in a stable sort",
)
point("np.median(x)", nan, x=[2.0, nan], dx=[0, 1])
point("np.quantile(x, 0.25)", 1.5, x=[3.0, 1.0, 2.0], dx=[0, 0.5, 0.5])
point("np.percentile(x, 100)", inf, x=[3.0, inf], dx=[0, 1])
point("np.unique(x)", [1, 2], x=[2.0, 1.0, 2.0], dx=[1, 1, 0], why="of equal elements the first receives it")

THEME = "an infinite slope is an answer"
point("np.sqrt(x)", [0, 1, inf], x=[0.0, 1.0, inf], dx=[inf, 0.5, 0])
point("np.cbrt(x)", [0, 1, -1], x=[0.0, 1.0, -1.0], dx=[inf, 1 / 3, 1 / 3])
point("np.log(x)", [-inf, 0, inf], x=[0.0, 1.0, inf], dx=[inf, 1, 0], warns=True)
point("np.log1p(x)", [-inf, 0], x=[-1.0, 0.0], dx=[inf, 1], warns=True)
point("np.arcsin(x)", [1.5707963267948966, -1.5707963267948966], x=[1.0, -1.0], dx=[inf, inf])
point("np.arccosh(x)", [0], x=[1.0], dx=[inf])
point("np.arctanh(x)", [inf, -inf], x=[1.0, -1.0], dx=[inf, inf], warns=True)
point("1 / x", [inf, -inf, 0], x=[0.0, -0.0, inf], dx=[-inf, -inf, 0], warns=True)
point("x**0.5", [0], x=[0.0], dx=[inf])
point("x**-1", [0.5], x=[2.0], dx=[-0.25])

THEME = "the zero vector and the constant vector have gradient 0, at every order"
point("tn.norm(x)", 0, x=[0.0, -0.0], dx=[0, 0])
point("tn.norm(x, axis=1)", [0, 5], x=[[0.0, 0.0], [3.0, 4.0]], dx=[[0, 0], [0.6, 0.8]])
point("tn.norm(x, 1)", 2, x=[0.0, -2.0], dx=[0, -1])
point("tn.norm(x, 3)", 2, x=[0.0, -2.0], dx=[0, -1])
point("tn.norm(x, np.inf)", 0, x=[0.0, 0.0], dx=[0, 0])
point("tn.norm(x, 'fro')", 0, x=[[0.0, 0.0]], dx=[[0, 0]])
point("x.std()", 0, x=[0.1, 0.1, 0.1], dx=[0, 0, 0])
point("x.std(axis=1)", [0, 1], x=[[7.0, 7.0], [1.0, 3.0]], dx=[[0, 0], [-0.5, 0.5]])
point("x.var()", 0, x=[2.0, 2.0], dx=[0, 0])
point("np.hypot(x, y)", [0, 3], x=[0.0, 3.0], y=[0.0, 0.0], dx=[0, 1], dy=[0, 0])
point(
    "np.arctan2(x, y)",
    [0, 0, 1.5707963267948966],
    x=[0.0, 0.0, 2.0],
    y=[0.0, 2.0, 0.0],
    dx=[0, 0.5, 0],
    dy=[0, 0, -0.5],
)

THEME = "the branch of a power that is not needed gives no NaN"
point("x**0", [1, 1, 1], x=[0.0, 2.0, inf], dx=[0, 0, 0])
point("x**1", [0, 2], x=[0.0, 2.0], dx=[1, 1])
point("x**2", [0, 4], x=[-0.0, -2.0], dx=[0, -4])
point("x**3", [0, -8], x=[0.0, -2.0], dx=[0, 12])
point("x**y", [1, 0, 0, 1], x=[0.0, 0.0, 0.0, 1.0], y=[0.0, 1.0, 2.0, 0.0], dx=[0, 1, 0, 0], dy=[0, 0, 0, 0])
point("x**y", [-8, 0.25], x=[-2.0, -2.0], y=[3.0, -2.0], dx=[12, 0.25], dy=[nan, nan],
      why="a negative number to a power that moves is not real")  # fmt: skip
point("0.0**y", [1, 0], y=[0.0, 2.0], dy=[0, 0])
point("2.0**y", [0, inf], y=[-inf, inf], dy=[0, inf])

THEME = "products are exact with zeros: nothing is divided"
point("x.prod()", 0, x=[0.0, 3.0, 4.0], dx=[12, 0, 0])
point("x.prod()", 0, x=[0.0, 0.0, 4.0], dx=[0, 0, 0])
point("x.prod(axis=1)", [0, 6], x=[[2.0, 0.0], [2.0, 3.0]], dx=[[0, 2], [3, 2]])
point("x.cumprod()", [2, 0, 0], x=[2.0, 0.0, 3.0], dx=[1, 8, 0])
point("x.cumprod()", [0, 0, 0], x=[0.0, 0.0, 3.0], dx=[1, 0, 0])
point("tn.det(x)", 0, x=[[1.0, 2.0], [2.0, 4.0]], dx=[[4, -2], [-2, 1]], why="the cofactors need no inverse")
point("tn.det(x)", 0, x=[[0.0, 0.0], [0.0, 0.0]], dx=[[0, 0], [0, 0]], why="the cofactors need no inverse")
point("tn.cholesky(x)", [[2, 0], [1, 2]], x=[[4.0, 2.0], [2.0, 5.0]], dx=[[0.1875, 0.125], [0.125, 0.25]],
      why="a symmetric matrix has a symmetric gradient")  # fmt: skip

THEME = "an index that occurs twice receives twice"
point("x[[0, 0, 1]]", [2, 2, 3], x=[2.0, 3.0], dx=[2, 1])
point("tn.take(x, [[1, 1], [1, 0]])", [[3, 3], [3, 2]], x=[2.0, 3.0], dx=[1, 3])
point("tn.repeat(x, 3)", [2, 2, 2], x=[2.0], dx=[3])

THEME = "NaN or infinity of inputs not selected stays there"
point("np.where(x > 0, np.log(x), 0.0)", [0, 0, 0], x=[-1.0, 0.0, 1.0], dx=[0, 0, 1], warns=True)
point("np.where(x > 0, np.sqrt(x), 0.0)", [0, 0, 2], x=[-1.0, 0.0, 4.0], dx=[0, 0, 0.25], warns=True)
point("np.where(x == 0, 1.0, np.sin(x) / x)", [1], x=[0.0], dx=[0], warns=True)
point("np.where(x < 700, np.exp(x), x)", [1, 1000], x=[0.0, 1000.0], dx=[1, 1], warns=True)
point("np.where(x > 0, x * np.log(x), 0.0).sum()", 0, x=[0.0, 1.0], dx=[0, 1], warns=True)
point("np.where(np.isfinite(1 / x), 1 / x, 0.0)", [0, 0.5], x=[0.0, 2.0], dx=[0, -0.25], warns=True)
point("np.where(x[::-1] > 0, np.sqrt(x[::-1] * 4), 0.0)", [4, 0], x=[0.0, 4.0], dx=[0, 0.5])
point("np.where(x > 0, np.sqrt(x).reshape(2), 0.0)", [0, 1], x=[0.0, 1.0], dx=[0, 0.5])
point("np.sqrt(x)[x > 0]", [1], x=[0.0, 1.0], dx=[0, 0.5], why="indexing is a choice, too")
point("np.maximum(np.log(x), -5.0)", [-5, 0], x=[0.0, 1.0], dx=[0, 1], warns=True)
point("np.minimum(1 / x, 5.0)", [5, 0.5], x=[0.0, 2.0], dx=[0, -0.25], warns=True)
point("tn.clip(np.log(x), -5.0, None)", [-5, 0], x=[0.0, 1.0], dx=[0, 1], warns=True)
point("np.maximum(np.sqrt(x), 0.0)", [0, 1], x=[0.0, 1.0], dx=[inf, 0.5], why="a tie: both branches are taken")
point("np.sqrt(np.maximum(x, 1e-6))", [1e-3, 2], x=[0.0, 4.0], dx=[0, 0.25])
point("0.0 * np.sqrt(x)", [0], x=[0.0], dx=[nan], why="0 · ∞ without a choice: detect_anomaly names it")

THEME = "stable: exact, and free of warnings, where exp(x) overflows or vanishes"
point("tn.sigmoid(x)", [1, 0.5, 0, 0, 1], x=[1000.0, 0.0, -1000.0, -inf, inf], dx=[0, 0.25, 0, 0, 0])
point("tn.log_sigmoid(x)", [0, -0.6931471805599453, -1000], x=[1000.0, 0.0, -1000.0], dx=[0, 0.5, 1])
point("tn.softplus(x)", [1000, 0.6931471805599453, 0, inf], x=[1000.0, 0.0, -1000.0, inf], dx=[1, 0.5, 0, 1])
point("tn.tanh(x)", [1, 0, -1], x=[1000.0, 0.0, -inf], dx=[0, 1, 0])
point("tn.silu(x)", [1000, 0, 0], x=[1000.0, 0.0, -1000.0], dx=[1, 0.5, 0])
point("tn.mish(x)", [1000, 0, 0], x=[1000.0, 0.0, -1000.0], dx=[1, 0.6, 0])
point("tn.gelu(x, approximate='tanh')", [1000, 0, 0], x=[1000.0, 0.0, -1000.0], dx=[1, 0.5, 0])
point("tn.softplus(x, beta=2.0)", [1000, 0.34657359027997264, 0], x=[1000.0, 0.0, -1000.0], dx=[1, 0.5, 0])
point("tn.softplus(x, threshold=3.0)", [4, 0], x=[4.0, -1000.0], dx=[1, 0])
point("tn.logcumsumexp(x)", [1000, 1000.6931471805599], x=[1000.0, 1000.0], dx=[1.5, 0.5])
point("tn.logcumsumexp(x)", [float("-inf"), 1], x=[float("-inf"), 1.0], dx=[0.5, 1], why="both are −∞: each has half")
point("tn.erfc(x)", [0, 1, 2], x=[inf, 0.0, -1000.0], dx=[0, -1.1283791670955126, 0])
point("tn.erfinv(x)", [inf, 0, -inf], x=[1.0, 0.0, -1.0], dx=[inf, 0.8862269254527579, inf])
point("tn.gammaln(x)", [inf, 0], x=[0.0, 1.0], dx=[-inf, -0.5772156649015329],
      why="log Γ has a pole at 0")  # fmt: skip
point("tn.gelu(x)", [1000, 0, 0], x=[1000.0, 0.0, -1000.0], dx=[1, 0.5, 0])
point("tn.erf(x)", [1, 0, -1], x=[inf, 0.0, -1000.0], dx=[0, 1.1283791670955126, 0])
point("tn.sinc(x)", [1, 1], x=[0.0, -0.0], dx=[0, 0])
point("tn.logaddexp(x, y)", [1000, 1000.6931471805599, -inf, inf], x=[1000.0, 1000.0, -inf, inf],
      y=[-1000.0, 1000.0, -inf, inf], dx=[1, 0.5, 0.5, 0.5], dy=[0, 0.5, 0.5, 0.5])  # fmt: skip
point("tn.logsumexp(x)", 1000.6931471805599, x=[1000.0, 1000.0, -1000.0], dx=[0.5, 0.5, 0])
point("tn.logsumexp(x)", 1, x=[1.0, -inf], dx=[1, 0])
point("tn.logsumexp(x)", -inf, x=[-inf, -inf], dx=[nan, nan], why="no weight is larger than another: 0/0")
point("tn.softmax(x)", [1, 0, 0], x=[1000.0, -1000.0, -inf], dx=[0, 0, 0])
point("tn.log_softmax(x)", [0, -2000], x=[1000.0, -1000.0], dx=[-1, 1])
point("tn.cross_entropy(x, np.array([1]))", 2000, x=[[1000.0], [-1000.0]], dx=[[1], [-1]])
point("tn.cross_entropy(x, np.array([0]))", 0, x=[[1000.0], [-inf]], dx=[[0], [0]])
point("tn.cross_entropy(x, np.array([[True], [False]]))", 0, x=[[0.0], [-inf]], dx=[[0], [0]])
point("tn.binary_cross_entropy(x, y)", 500, x=[[1000.0, -1000.0, 1000.0, -1000.0]], y=[[1.0, 0.0, 0.0, 1.0]],
      dx=[[0, 0, 0.25, -0.25]], dy=[[-250, 250, -250, 250]])  # fmt: skip
point("np.expm1(x)", [1e-20, -1], x=[1e-20, -1000.0], dx=[1, 0])
point("np.log1p(x)", [1e-20], x=[1e-20], dx=[1])
point("np.arcsinh(x)", [0, inf], x=[0.0, inf], dx=[1, 0])
point("tn.mse(x, y)", 12.5, x=[3.0, 4.0], y=[0.0, 0.0], dx=[3, 4], dy=[-3, -4])

THEME = "NaN in, NaN out"
for name in ("exp", "log", "sqrt", "tanh", "sigmoid", "softplus", "silu", "gelu", "abs", "sin", "softsign", "sinc"):
    point(f"tn.{name}(x)", [nan], x=[nan], dx=[nan], warns=name == "softplus")
for name in ("sum", "mean", "cumsum"):
    point(f"x.{name}()", nan if name != "cumsum" else [nan], x=[nan], dx=[1], why="linear: its gradient knows no value")
point("tn.cummax(x)", [1, nan, nan], x=[1.0, nan, 2.0], dx=[nan, nan, nan])
for name in ("max", "min", "std", "var", "prod"):
    point(f"x.{name}()", nan, x=[nan, 1.0], dx=[1, nan] if name == "prod" else [nan, nan])
point("tn.norm(x)", nan, x=[nan, 1.0], dx=[nan, nan])
point("tn.softmax(x)", [nan, nan], x=[nan, 1.0], dx=[nan, nan])

THEME = "empty arrays and single numbers"
point("x.sum()", 0, x=[], dx=[])
point("x.prod()", 1, x=[], dx=[])
point("tn.norm(x)", 0, x=[], dx=[])
point("tn.logsumexp(x)", -inf, x=[], dx=[])
point("x.mean()", nan, x=[], dx=[], warns=True)
point("x.var(axis=1)", [nan, nan], x=[[], []], dx=[[], []], warns=True)
point("x.var(ddof=1)", nan, x=[3.0], dx=[nan], why="no degrees of freedom are left: NaN, as NumPy's", warns=True)
point("x.sum() * x", 9, x=3.0, dx=6)
point("x.max()", 3, x=3.0, dx=1)
point("x.std()", 0, x=3.0, dx=0)
point("x.prod()", 3, x=3.0, dx=1)
point("tn.logsumexp(x)", 3, x=3.0, dx=1)
point("x[...]", 3, x=3.0, dx=1)
point("x[None]", [3], x=3.0, dx=1)
point("x.reshape(1, 1)", [[3]], x=3.0, dx=1)
point("x.T", 3, x=3.0, dx=1)
