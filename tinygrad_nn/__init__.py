"""tinygrad_nn: the autograd you can see.

Write ordinary NumPy-like Python on tensors; every operation is recorded in a graph; `backward()` walks it with the
chain rule; `draw()` shows where each part of a gradient came from.
"""

import importlib as _importlib
from typing import Any as _Any

from tinygrad_nn import ops
from tinygrad_nn.autodiff import gradients
from tinygrad_nn.checking import gradcheck
from tinygrad_nn.docstrings import docstring_of as _docstring_of
from tinygrad_nn.errors import (
    CompileError,
    ExportError,
    GradientCheckError,
    MutationError,
    NonFiniteError,
    ReleasedError,
    ShapeError,
)
from tinygrad_nn.modes import at_each_replay, detect_anomaly, enable_grad, no_grad
from tinygrad_nn.operation import BY_NAME as _BY_NAME
from tinygrad_nn.operation import Op
from tinygrad_nn.operation import document_with as _document_with
from tinygrad_nn.other_names import missing as _missing
from tinygrad_nn.registry import op
from tinygrad_nn.tensor import Tensor, tensor
from tinygrad_nn.transforms import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_nn.vectorize import vmap

__version__ = "0.2.0"

_document_with(_docstring_of)  # what help(tn.tanh) says

# What is loaded when it is first used, so that `import tinygrad_nn` costs little more than NumPy.
_MODULES = (
    "attribution", "chain", "checkpoint", "compiler", "course", "data", "distributed", "nn", "onnx", "optim", "plot",
    "sklearn", "training", "view",
)  # fmt: skip
_LATER = {
    "paths": "chain",
    "draw": "view",
    "compare": "view",
    "explain": "view",
    "worksheet": "view",
    "play": "view",
    "widget": "view",
    "fit": "training",
    "compile": "compiler",
    "export_stablehlo": "compiler",
}

__all__ = [
    "CompileError", "ExportError", "GradientCheckError", "MutationError", "NonFiniteError", "Op", "ReleasedError",
    "ShapeError", "Tensor", "at_each_replay", "detect_anomaly", "elementwise_grad", "enable_grad", "grad", "gradcheck",
    "gradients", "hessian", "hvp", "jacobian", "jvp", "no_grad", "op", "ops", "tensor", "value_and_grad", "vjp", "vmap",
]  # fmt: skip
__all__ += [*ops.names(), *_LATER, *_MODULES]
globals().update({name: _BY_NAME[name] for name in ops.names()})  # `__getattr__` would take longer than the operation


def __getattr__(name: str) -> _Any:
    """Operations added later, and what is loaded later."""
    if name in _LATER:
        value = getattr(_importlib.import_module(f"tinygrad_nn.{_LATER[name]}"), name)
    elif name in _MODULES:
        value = _importlib.import_module(f"tinygrad_nn.{name}")
    elif name in _BY_NAME and not name.startswith("_"):
        return _BY_NAME[name]
    else:
        raise _missing(__name__, name, __dir__())
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *ops.names(), "__all__", "__doc__", "__version__"})
