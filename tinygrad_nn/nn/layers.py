"""Layers: the parts of the founding text's networks, and what has been added to them since.

Examples are columns.  Only dense layers count as ℓ, as in the text: other layers name their results after the place
they stand at, so that `dropout¹` follows A¹.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn import init as initialisers
from tinygrad_nn.nn.init import Rng
from tinygrad_nn.nn.module import Module, assign
from tinygrad_nn.nn.report import Row
from tinygrad_nn.notation import superscript
from tinygrad_nn.operation import BY_NAME, Op, write
from tinygrad_nn.ops import elementwise, linalg, reductions, shaping
from tinygrad_nn.registry import op
from tinygrad_nn.tensor import Tensor, no_grad, tensor

__all__ = ["Activation", "BatchNorm", "Dense", "Dropout", "Flatten", "LayerNorm", "Residual", "Sequential", "build"]

Activate = Callable[[Any], Any]


def _at(name: str, level: int) -> str:
    return name + superscript(level)


# --- what the layers share -------------------------------------------------------------------------------------------


def _activation(given: str | Activate | None, asker: str) -> Activate | None:
    """The function that an activation names."""
    if given is None or given in ("identity", "linear"):
        return None
    if callable(given) and not isinstance(given, Op):
        return given
    entry = given if isinstance(given, Op) else BY_NAME.get(given)
    if not _may_activate(entry):
        names = sorted(name for name, e in BY_NAME.items() if _may_activate(e) and not name.startswith("_"))
        near = difflib.get_close_matches(str(given), names, n=1)
        way_out = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
        raise ValueError(f"{asker}: there is no activation {given!r}; {way_out}")
    return entry


def _may_activate(entry: Any) -> bool:
    if not isinstance(entry, Op) or len(entry.arguments) != 1 or not entry.differentiable(0):
        return False
    allowed = entry.training.activation
    return entry.kind == "elementwise" if allowed is None else allowed


def _count(value: Any, name: str, asker: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{asker}: {name}={value!r} is of type {type(value).__name__}, expected an int") from None
    if number < 1:
        raise ValueError(f"{asker}: {name}={number}, expected at least 1")
    return number


def _float(dtype: DTypeLike | None, asker: str) -> np.dtype[Any]:
    found = np.dtype(np.float64 if dtype is None else dtype)
    if found.kind != "f":
        raise TypeError(f"{asker}: dtype={found}, expected a floating-point dtype such as np.float32")
    return found


def _parameter(value: Any, name: str) -> Tensor:
    return Tensor(value, True, name)


def _rename(parameter: Tensor | None, old: str, new: str) -> None:
    """Unless somebody has given it another name."""
    if parameter is not None and parameter.name == old:
        parameter.name = new


# --- dense layers, and networks of them ------------------------------------------------------------------------------


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

    Source: the founding text's "The Activation of a Layer of Neurons".
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
        self.in_features = _count(in_features, "in_features", "Dense")
        self.out_features = _count(out_features, "out_features", "Dense")
        self.activation = _activation(activation, "Dense")
        dtype = _float(dtype, "Dense")
        if init is None:
            init = self.activation.training.initializer if isinstance(self.activation, Op) else "glorot_uniform"
        if isinstance(init, str) and init not in initialisers.__all__:
            raise ValueError(f"Dense: there is no init {init!r}; expected one of {', '.join(initialisers.__all__)}")
        draw = getattr(initialisers, init) if isinstance(init, str) else init
        self._init = getattr(draw, "__name__", "")
        shape = (self.out_features, self.in_features)
        W = np.array(draw(shape, rng=np.random.default_rng(rng), dtype=dtype), dtype=dtype)
        if W.shape != shape:
            raise ShapeError(f"Dense: init gave W the shape {W.shape}, expected (out_features, in_features) = {shape}")
        self.W = _parameter(W, "W")
        self.b = _parameter(np.zeros((self.out_features, 1), dtype), "b") if bias else None
        self._W, self._b, self._Z, self._A = "W", "b", "Z", "A"

    def forward(self, A: Any) -> Tensor:
        """A of this layer, or Z where there is no σ."""
        if type(A) is not Tensor:
            A = tensor(A, dtype=self.W.dtype, name="X")
        if A.value.ndim < 2:  # adding b would make a matrix of a vector
            raise self.misfit(A)
        W, b, sigma = self.W, self.b, self.activation
        try:  # recorded at once, as small networks feel each call in between
            Z = W @ A if b is None else W.__record__(linalg.affine, (W, A, b))
        except ShapeError:
            raise self.misfit(A) from None
        Z.name = self._Z
        if sigma is None:
            return Z
        A = Z.__record__(sigma, (Z,), None, Z._origin) if type(sigma) is Op else sigma(Z)
        A.name = self._A
        return A

    def misfit(self, A: Any) -> ShapeError:
        """The error for an input that does not fit, with the way out."""
        name, shape, d = getattr(A, "name", None) or "an input", np.shape(A), self.in_features
        way_out = ""
        if len(shape) == 1 and shape[0] == d:
            way_out = f": {name}.reshape(-1, 1) makes a column of it"
        elif len(shape) == 2 and shape[1] == d:
            way_out = f": {name}.T fits"
        elif len(shape) > 2:
            way_out = "; nn.Flatten() makes a column of each example"
        layer = self._describe() + (f", which makes {self._Z}," if self._Z != "Z" else "")
        got = f"{name} of shape {shape}{way_out}"
        return ShapeError(f"{layer} expects examples as columns, shape ({d}, N), and got {got}")

    def _take_place(self, level: int) -> int:
        level += 1
        _rename(self.W, self._W, _at("W", level))
        _rename(self.b, self._b, _at("b", level))
        self._W, self._b, self._Z, self._A = (_at(letter, level) for letter in "WbZA")
        return level

    def _row(self, source: str) -> Row:
        m, n = self.out_features, self.in_features
        has_bias = self.b is not None
        product = f"{self.W.name} {source}" + (f" + {self.b.name}" if self.b is not None else "")
        lines = [(self._Z, product, f"({m}, {n}) ({n}, N)" + f" + ({m}, 1)" * has_bias)]
        if self.activation is not None:
            lines.append((self._A, _applied(self.activation, self._Z), f"({m}, N)"))
        return Row(tuple(lines), self.W)

    def _settings(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "activation": _described(self.activation, "Dense"),
            "bias": self.b is not None,
            "init": self._init if self._init in initialisers.__all__ else None,
            "dtype": self.W.dtype.name,
        }

    def _describe(self) -> str:
        sigma = "" if self.activation is None else f", {_called(self.activation)}"
        return f"Dense({self.in_features}, {self.out_features}{sigma}{', bias=False' * (self.b is None)})"


def _called(function: Activate | None) -> str:
    return "identity" if function is None else getattr(function, "__name__", type(function).__name__)


def _applied(function: Activate, to: str) -> str:
    return write(function, [to]) if isinstance(function, Op) else f"{_called(function)}({to})"


def _described(function: Activate | None, asker: str) -> str | None:
    """The name by which a description can give the activation."""
    if function is None:
        return None
    if isinstance(function, Op):
        return function.name
    raise ValueError(
        f"{asker}: the activation {_called(function)} is not an operation of the tables, so a description cannot "
        "name it; add it with tn.op, or take an activation by name"
    )


class Activation(Module):
    """An activation as a layer of its own: ``A = σ(Z)``; see `Dense` for what names it.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: str | Activate):
        self.activation = _activation(activation, "Activation")
        self._A = "A"

    def forward(self, Z: Any) -> Any:
        """σ(Z)."""
        if self.activation is None:
            return Z
        A = self.activation(Z)
        if type(A) is Tensor:
            A.name = self._A
        return A

    def _take_place(self, level: int) -> int:
        self._A = _at("A" if level else "σ", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._A, source if self.activation is None else _applied(self.activation, source), ""),))

    def _settings(self) -> dict[str, Any]:
        return {"activation": _described(self.activation, "Activation")}

    def _describe(self) -> str:
        return f"Activation({_called(self.activation)})"


class Sequential(Module):
    """Layers one after the other: each gets what the one before it returns.

    Parameters
    ----------
    layers : modules, or functions of a tensor, which become an `Activation`.

    The dense layers among them, nested ones included, are numbered: parameters are called W¹ b¹, W² b² ..., results
    Z¹ A¹ ... .  A plain array is copied into a tensor X of the dtype of the first parameter.  Indexing gives a layer,
    slicing a `Sequential` of the same layers, which keep their names.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
    >>> [p.name for p in model.parameters()], model(np.zeros((2, 5))).name
    (['W¹', 'b¹', 'W²', 'b²'], 'Z²')

    Source: the founding text's "Summary: Forward Pass Through the Network".
    """

    def __init__(self, *layers: Module | Activate):
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"Sequential: layer {i} is of type {type(layer).__name__}, expected a module or a function; "
                    "give the layers one by one, as in Sequential(*layers)"
                )
        self.layers = tuple(m if isinstance(m, Module) else Activation(m) for m in layers)
        self._dtype = next((p.dtype for p in self.parameters()), np.dtype(np.float64))
        self.number_layers()

    def forward(self, X: Any) -> Any:
        """What the last layer makes of what the others have made of X."""
        if type(X) is not Tensor:
            X = tensor(X, dtype=self._dtype, name="X")
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        if not isinstance(index, slice):
            return self.layers[index]
        part = Sequential()
        part.layers, part._dtype, part.training = self.layers[index], self._dtype, self.training
        return part

    def _settings(self) -> dict[str, Any]:
        return {"layers": [layer.config() for layer in self.layers]}


class Residual(Module):
    """A shortcut around layers: ``x + f(x)``, so that f learns the difference from the identity.

    Parameters
    ----------
    layers : f, one module, or several that follow one another.  f(x) must have the shape of x.

    Raises ShapeError where it has not.

    >>> import numpy as np, tinygrad_nn as tn
    >>> block = tn.nn.Residual(tn.nn.Dense(3, 3, "tanh", init="zeros"))
    >>> block(np.ones((3, 1))).tolist()
    [[1.0], [1.0], [1.0]]

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(self, *layers: Module | Activate):
        self.f = layers[0] if len(layers) == 1 and isinstance(layers[0], Module) else Sequential(*layers)
        self._name = "residual"

    def forward(self, X: Any) -> Tensor:
        """x + f(x)."""
        change = self.f(X)
        if np.shape(change) != np.shape(X):
            raise ShapeError(
                f"{self._name}: f(x) has shape {np.shape(change)}, x has shape {np.shape(X)}; they must be equal"
            )
        return (X + change).named(self._name)

    def _take_place(self, level: int) -> int:
        self._name = _at("residual", level + sum(isinstance(module, Dense) for module in self.f.modules()))
        return level

    def _rows(self, source: str) -> tuple[list[tuple[Module, Row]], str]:
        rows, change = self.f._rows(source)
        return [*rows, (self, Row(((self._name, f"{source} + {change}", ""),)))], self._name

    def _describe(self) -> str:
        return "Residual"

    def _settings(self) -> dict[str, Any]:
        return {"layers": [self.f.config()]}


class Flatten(Module):
    """Each example as one column: (c, h, w, N) becomes (c·h·w, N).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Flatten()(np.zeros((3, 8, 8, 5))).shape
    (192, 5)
    """

    _name = "flatten"

    def forward(self, X: Any) -> Any:
        """One column for each example."""
        *example, n = np.shape(X)
        columns = shaping.reshape(X, (int(np.prod(example)), n))
        if type(columns) is Tensor:
            columns.name = self._name
        return columns

    def _take_place(self, level: int) -> int:
        self._name = _at("flatten", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._name, f"columns of {source}", ""),))

    def _settings(self) -> dict[str, Any]:
        return {}


# --- layers that behave otherwise in training ------------------------------------------------------------------------


def _drawn(x, p=0.5, rng=None):  # type: ignore[no-untyped-def]
    """1/(1 − p) where an element is kept, 0 where it is dropped."""
    kind = x.dtype.type if x.dtype.kind == "f" else np.float64
    return (rng.random(x.shape) >= p) * kind(1 / (1 - p) if p < 1 else 0)


# An operation without a derivative, so that a replayed step draws anew instead of dropping the same units for ever.
_dropout_mask = op(
    _drawn, "mask", None, name="_dropout_mask", method=False, arguments=("x",), defaults={"p": 0.5, "rng": None},
    samples=lambda rng: [((np.ones((2, 3)),), {"p": 0.0, "rng": rng})], summary="Random zeros, and 1/(1 − p) elsewhere",
)  # fmt: skip


class Dropout(Module):
    """In training, each element is 0 with probability p, else multiplied by 1/(1 − p), so that its mean stays.

    Parameters
    ----------
    p : from 0 to 1.
    rng : `numpy.random.Generator` or int seed that the masks are drawn with; it is the attribute `rng`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Dropout(0.5, rng=0)
    >>> layer(np.ones((1, 6))).tolist()
    [[2.0, 0.0, 0.0, 0.0, 2.0, 2.0]]
    >>> layer.eval()(np.ones((1, 6))).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]

    Source: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014; scaled in training rather than in prediction.
    """

    def __init__(self, p: float = 0.5, rng: Rng = None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p={p}, expected a probability from 0 to 1")
        self.p = float(p)
        self.rng = np.random.default_rng(rng)
        self._name, self._mask = "dropout", "mask"

    def forward(self, X: Any) -> Any:
        """Each element times its mask in training, itself in prediction."""
        if not self.training or self.p == 0:
            return X
        mask = _dropout_mask(X, p=self.p, rng=self.rng)
        dropped = X * mask
        if type(dropped) is Tensor:
            dropped.name, mask.name = self._name, self._mask
        return dropped

    def _take_place(self, level: int) -> int:
        self._name, self._mask = _at("dropout", level), _at("mask", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._name, f"{source} ⊙ {self._mask}", ""),))

    def _settings(self) -> dict[str, Any]:
        return {"p": self.p}

    def _describe(self) -> str:
        return f"Dropout({self.p:g})"


class _Norm(Module):
    """What BatchNorm and LayerNorm share: y = γ (x − μ)/√(σ² + ε) + β."""

    def __init__(self, features: Any, eps: float, affine: bool, dtype: DTypeLike | None, kind: str):
        sizes = features if isinstance(features, (tuple, list)) else (features,)
        self.features = tuple(_count(n, "features", type(self).__name__) for n in sizes)
        self.eps, self._kind, self._name = eps, kind, kind
        self._wide = _float(dtype, type(self).__name__)
        shape = (*self.features, 1)
        self.gamma = _parameter(np.ones(shape, self._wide), "γ") if affine else None
        self.beta = _parameter(np.zeros(shape, self._wide), "β") if affine else None
        self._gamma, self._beta = "γ", "β"

    def _check(self, X: Any, expected: str) -> Any:
        shape = np.shape(X)
        if len(shape) < 2 or shape[: len(self.features)] != self.features:
            turned = ": X.T fits" if shape[::-1][: len(self.features)] == self.features and len(shape) == 2 else ""
            raise ShapeError(
                f"{self._describe()} expects examples as columns, shape {expected}, and got shape {shape}{turned}"
            )
        return X if type(X) is Tensor else tensor(X, dtype=self._wide, name="X")

    def _scaled(self, X: Tensor, mean: Any, variance: Any) -> Tensor:
        Y = (X - mean) / elementwise.sqrt(variance + self.eps)
        if self.gamma is not None and self.beta is not None:
            shape = self.gamma.shape + (1,) * (X.ndim - self.gamma.ndim)
            if len(shape) == self.gamma.ndim:
                Y = Y * self.gamma + self.beta
            else:  # features (c, 1) of images (c, h, w, N)
                Y = Y * shaping.reshape(self.gamma, shape) + shaping.reshape(self.beta, shape)
        return Y.named(self._name)

    def _take_place(self, level: int) -> int:
        gamma, beta = _at("γ", level), _at("β", level)
        _rename(self.gamma, self._gamma, gamma)
        _rename(self.beta, self._beta, beta)
        self._gamma, self._beta, self._name = gamma, beta, _at(self._kind, level)
        return level

    def _row(self, source: str) -> Row:
        text = f"({source} − μ)/√(σ² + ε)"
        if self.gamma is not None:
            text = f"{self._gamma} ⊙ {text} + {self._beta}"
        return Row(((self._name, text, ""),))


class BatchNorm(_Norm):
    """Each feature standardised over the examples of the batch: ``γ (x − μ)/√(σ² + ε) + β``.

    Parameters
    ----------
    features : size of the first axis of the input (features, N), or of images (features, h, w, N), which are also
        averaged over their places.
    momentum : weight of the newest batch in the running mean and variance, with which `eval()` predicts.
    eps : ε.
    affine : train a gain γ and an offset β, each (features, 1).
    dtype : of γ, β and the running statistics; float64 unless given.

    In training, σ² is divided by the count N; the running variance takes the unbiased one (N − 1), as PyTorch does.

    Raises ShapeError for another number of features, ValueError for a single number per feature in training, whose
    variance says nothing.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.BatchNorm(1)
    >>> layer(np.array([[1.0, 3.0]])).data.round(3).tolist()
    [[-1.0, 1.0]]
    >>> layer.running_mean.item()
    0.2

    Source: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015, Algorithm 1.
    """

    def __init__(
        self,
        features: int,
        momentum: float = 0.1,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike | None = None,
    ):
        super().__init__(features, eps, affine, dtype, "batchnorm")
        self.momentum = momentum
        self.running_mean = Tensor(np.zeros((*self.features, 1), self._wide), name="running mean")
        self.running_var = Tensor(np.ones((*self.features, 1), self._wide), name="running variance")

    def forward(self, X: Any) -> Tensor:
        """X standardised over its examples, by their statistics in training, by the running ones in prediction."""
        X = self._check(X, f"({self.features[0]}, N)")
        column = (*self.features,) + (1,) * (X.ndim - 1)
        if not self.training:
            mean = shaping.reshape(self.running_mean, column)
            return self._scaled(X, mean, shaping.reshape(self.running_var, column))
        axes, n = tuple(range(1, X.ndim)), X.size // self.features[0]
        if n < 2:
            raise ValueError(
                f"{self._describe()}: a batch of shape {X.shape} has {n} number per feature, and training needs 2 or "
                "more for a variance; leave out a last batch of one example, or predict with model.eval()"
            )
        mean = reductions.mean(X, axis=axes, keepdims=True)
        variance = reductions.var(X, axis=axes, keepdims=True)
        with no_grad():
            self._remember(self.running_mean, mean)
            self._remember(self.running_var, variance * (n / (n - 1)))
        return self._scaled(X, mean, variance)

    def _remember(self, running: Tensor, measured: Tensor) -> None:
        measured = shaping.reshape(measured, running.shape)
        assign(running, (1 - self.momentum) * running + self.momentum * measured)

    def _settings(self) -> dict[str, Any]:
        return {
            "features": self.features[0], "momentum": self.momentum, "eps": self.eps,
            "affine": self.gamma is not None, "dtype": self._wide.name,
        }  # fmt: skip

    def _describe(self) -> str:
        return f"BatchNorm({self.features[0]})"


class LayerNorm(_Norm):
    """Each example standardised over its features: ``γ (x − μ)/√(σ² + ε) + β``, alike in training and prediction.

    Parameters
    ----------
    features : number of features of an input (features, N), or the shape of one example, (c, h, w) of (c, h, w, N).
    eps : ε.
    affine : train a gain γ and an offset β, each in the shape of one example with N = 1.
    dtype : of γ and β; float64 unless given.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.LayerNorm(2)(np.array([[1.0], [3.0]])).data.round(3).tolist()
    [[-1.0], [1.0]]

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016.
    """

    def __init__(
        self, features: int | tuple[int, ...], eps: float = 1e-5, affine: bool = True, dtype: DTypeLike | None = None
    ):
        super().__init__(features, eps, affine, dtype, "layernorm")

    def forward(self, X: Any) -> Tensor:
        """X standardised over the features of each example."""
        expected = f"({', '.join(map(str, self.features))}, N)"
        X = self._check(X, expected)
        if X.ndim != len(self.features) + 1:
            raise ShapeError(f"{self._describe()} expects shape {expected} and got shape {X.shape}")
        axes = tuple(range(X.ndim - 1))
        mean, variance = (f(X, axis=axes, keepdims=True) for f in (reductions.mean, reductions.var))
        return self._scaled(X, mean, variance)

    def _settings(self) -> dict[str, Any]:
        return {
            "features": list(self.features), "eps": self.eps,
            "affine": self.gamma is not None, "dtype": self._wide.name,
        }  # fmt: skip

    def _describe(self) -> str:
        return f"LayerNorm({self.features[0] if len(self.features) == 1 else self.features})"


# --- from a description ----------------------------------------------------------------------------------------------

_LAYERS: dict[str, Callable[..., Module]] = {
    layer.__name__: layer for layer in (Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Residual, Sequential)
}


def build(config: dict[str, Any]) -> Module:
    """The module that `config` describes, with fresh parameters: the way back from `Module.config()`.

    Raises ValueError for a type that is not a layer of this package: no other name is ever looked up.

    >>> import tinygrad_nn as tn
    >>> tn.nn.build({"type": "Dense", "in_features": 2, "out_features": 3, "activation": "relu"})
    Dense(2, 3, relu): 9 parameters
    """
    settings = dict(config)
    kind = settings.pop("type", None)
    if kind not in _LAYERS:
        raise ValueError(f"build: there is no layer of type {kind!r}; expected one of {', '.join(_LAYERS)}")
    inner = settings.pop("layers", ())
    return _LAYERS[kind](*map(build, inner), **settings)
