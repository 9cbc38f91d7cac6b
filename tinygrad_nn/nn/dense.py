"""Dense layers, and activations as layers.

Examples are columns.  Only dense layers count as ℓ: other layers name their results after the level they stand at, so
that `dropout¹` follows A¹.  The notation is that of M. Thill's post, "Yet another Neural Networks Introduction: Feed
Forward Networks and the Backpropagation Algorithm".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.allowance import claim
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn import init as initialisers
from tinygrad_nn.nn.arguments import count, float_dtype, level_name, parameter, rename
from tinygrad_nn.nn.init import Rng
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.report import Row
from tinygrad_nn.operation import BY_NAME, Op, write
from tinygrad_nn.ops import linalg
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Activate", "Activation", "Dense", "find_activation"]

Activate = Callable[[Any], Any]


def find_activation(given: str | Activate | None, caller: str) -> Activate | None:
    """The function that an activation names."""
    if given is None or given in ("identity", "linear"):
        return None
    if callable(given) and not isinstance(given, Op):
        return given
    entry = given if isinstance(given, Op) else BY_NAME.get(given) if isinstance(given, str) else None
    if not _may_activate(entry):
        names = sorted(name for name, e in BY_NAME.items() if _may_activate(e) and not name.startswith("_"))
        near = difflib.get_close_matches(str(given).lower(), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "expected 'relu', 'tanh', or another elementwise operation"
        raise ValueError(f"{caller}: there is no activation {given!r}; {hint}")
    return entry


def _may_activate(entry: Any) -> bool:
    if not isinstance(entry, Op) or len(entry.arguments) != 1 or not entry.differentiable(0):
        return False
    allowed = entry.training.activation
    return entry.kind == "elementwise" if allowed is None else allowed


def _name_of(function: Activate | None) -> str:
    return "identity" if function is None else getattr(function, "__name__", type(function).__name__)


def _formula(function: Activate, to: str) -> str:
    return write(function, [to]) if isinstance(function, Op) else f"{_name_of(function)}({to})"


def _config_name(function: Activate | None, caller: str) -> str | None:
    """The name by which a description can give the activation."""
    if function is None:
        return None
    if isinstance(function, Op):
        return function.name
    raise ValueError(
        f"{caller}: the activation {_name_of(function)} is not an operation of the tables, so a description cannot "
        "name it; add it with tn.op, or take an activation by name"
    )


class Dense(Module):
    """A fully connected layer: ``Z = W A + b 1ᵀ``, ``A = σ(Z)``.

    Parameters
    ----------
    in_features, out_features : d_{ℓ-1} and d_ℓ, the numbers of inputs and of units.
    activation : σ: the name of an operation of the tables, or a function of a tensor; None for the identity, whose
        result Z is the layer's.  "softmax" is taken over the units, so over each column.
    bias : add b; it starts at 0.
    init : name or function of `nn.init`, for W.  By default `he_uniform` for relu, leaky_relu, elu, gelu, silu,
        softplus and mish, `lecun_normal` for selu, `glorot_uniform` for all others.
    rng : `numpy.random.Generator` or int seed that W is drawn with.
    dtype : of W and b; float64 unless given.

    Called with A (in_features, N), examples as columns, it returns (out_features, N).  Leading axes are batches of
    such matrices.  A plain array is copied into a tensor X of the layer's dtype; a tensor is taken as it is, and
    NumPy's rules decide about mixed dtypes.

    Raises ShapeError for anything else: examples as rows, or a vector.  (A square batch of rows cannot be told from one
    of columns.)

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Dense(2, 3, "tanh", rng=0)
    >>> layer(np.zeros((2, 5))).shape
    (3, 5)
    >>> layer(np.zeros((5, 2)))
    Traceback (most recent call last):
    ...
    tinygrad_nn.errors.ShapeError: Dense(2, 3, tanh) expects examples as columns, shape (2, N), and got X of shape
    (5, 2): X.T fits

    Source: Thill's post, section "The Activation of a Layer of Neurons".
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: str | Activate | None = None,
        *,
        bias: bool = True,
        init: str | Callable[..., Any] | None = None,
        rng: Rng = None,
        dtype: DTypeLike | None = None,
    ):
        self.in_features = count(in_features, "in_features", "Dense")
        self.out_features = count(out_features, "out_features", "Dense")
        self.activation = find_activation(activation, "Dense")
        dtype = float_dtype(dtype, "Dense")
        if init is None:
            init = self.activation.training.initializer if isinstance(self.activation, Op) else "glorot_uniform"
        if isinstance(init, str) and init not in initialisers.__all__:
            raise ValueError(f"Dense: there is no init {init!r}; expected one of {', '.join(initialisers.__all__)}")
        draw = getattr(initialisers, init) if isinstance(init, str) else init
        self._init = getattr(draw, "__name__", "")
        shape = (self.out_features, self.in_features)
        claim(shape, (self.out_features, 1) if bias else (0,))
        W = np.array(draw(shape, rng=np.random.default_rng(rng), dtype=dtype), dtype=dtype)
        if W.shape != shape:
            raise ShapeError(f"Dense: init gave W the shape {W.shape}, expected (out_features, in_features) = {shape}")
        self.W = parameter(W, "W")
        self.b = parameter(np.zeros((self.out_features, 1), dtype), "b") if bias else None
        self._W, self._b, self._Z, self._A = "W", "b", "Z", "A"

    def forward(self, A: Any) -> Tensor:
        """A of this layer, or Z where there is no σ."""
        if type(A) is not Tensor:
            A = tensor(A, dtype=self.W.dtype, name="X")
        if A.ndim < 2:  # adding b would make a matrix of a vector
            raise self.shape_error(A)
        W, b, sigma = self.W, self.b, self.activation
        try:  # recorded at once, as small networks feel each call in between
            Z = W @ A if b is None else W.__record__(linalg.affine, (W, A, b))
        except ShapeError:
            raise self.shape_error(A) from None
        Z.name = self._Z
        if sigma is None:
            return Z
        A = Z.__record__(sigma, (Z,), None, Z._origin) if type(sigma) is Op else sigma(Z)
        A.name = self._A
        return A

    def shape_error(self, A: Any) -> ShapeError:
        """The error for an input that does not fit, with a hint."""
        name, shape, d = getattr(A, "name", None) or "an input", np.shape(A), self.in_features
        hint = ""
        if len(shape) == 1 and shape[0] == d:
            hint = f": {name}.reshape(-1, 1) makes a column of it"
        elif len(shape) == 2 and shape[1] == d:
            hint = f": {name}.T fits"
        elif len(shape) > 2:
            hint = "; nn.Flatten() makes a column of each example"
        layer = self._signature() + (f", which makes {self._Z}," if self._Z != "Z" else "")
        got = f"{name} of shape {shape}{hint}"
        return ShapeError(f"{layer} expects examples as columns, shape ({d}, N), and got {got}")

    def _number_from(self, level: int) -> int:
        level += 1
        rename(self.W, self._W, level_name("W", level))
        rename(self.b, self._b, level_name("b", level))
        self._W, self._b, self._Z, self._A = (level_name(letter, level) for letter in "WbZA")
        return level

    def _row(self, source: str) -> Row:
        m, n = self.out_features, self.in_features
        has_bias = self.b is not None
        product = f"{self.W.name} {source}" + (f" + {self.b.name}" if self.b is not None else "")
        lines = [(self._Z, product, f"({m}, {n}) ({n}, N)" + f" + ({m}, 1)" * has_bias)]
        if self.activation is not None:
            lines.append((self._A, _formula(self.activation, self._Z), f"({m}, N)"))
        return Row(tuple(lines), self.W)

    def _settings(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "activation": _config_name(self.activation, "Dense"),
            "bias": self.b is not None,
            "init": self._init if self._init in initialisers.__all__ else None,
            "dtype": self.W.dtype.name,
        }

    def _signature(self) -> str:
        sigma = "" if self.activation is None else f", {_name_of(self.activation)}"
        return f"Dense({self.in_features}, {self.out_features}{sigma}{', bias=False' * (self.b is None)})"


class Activation(Module):
    """An activation as a layer of its own: ``A = σ(Z)``; see `Dense` for what names it.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: str | Activate):
        self.activation = find_activation(activation, "Activation")
        self._A = "A"

    def forward(self, Z: Any) -> Any:
        """σ(Z)."""
        if self.activation is None:
            return Z
        A = self.activation(Z)
        if type(A) is Tensor:
            A.name = self._A
        return A

    def _number_from(self, level: int) -> int:
        self._A = level_name("A" if level else "σ", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._A, source if self.activation is None else _formula(self.activation, source), ""),))

    def _settings(self) -> dict[str, Any]:
        return {"activation": _config_name(self.activation, "Activation")}

    def _signature(self) -> str:
        return f"Activation({_name_of(self.activation)})"
