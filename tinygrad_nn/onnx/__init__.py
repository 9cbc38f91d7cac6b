"""Networks and functions as ONNX models, for runtimes in other languages, browsers and phones (extra `onnx`).

>>> import numpy as np, tinygrad_nn as tn
>>> network = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
>>> model = tn.onnx.export(network, np.zeros((2, 4)))
>>> [node.op_type for node in model.graph.node]
['MatMul', 'Add', 'Tanh', 'MatMul', 'Add']
"""

try:
    import onnx as _  # noqa: F401  before the modules that need it
except ImportError:
    raise ImportError("tinygrad_nn.onnx needs onnx: pip install 'tinygrad_nn[onnx]'") from None

from tinygrad_nn.onnx.api import export

__all__ = ["export"]
