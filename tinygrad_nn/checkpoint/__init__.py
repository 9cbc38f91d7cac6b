"""Checkpoints: a model, its optimiser and what else a run needs, in one file that is whole or not there.

A file holds arrays and one JSON text, never code, and reading it runs nothing that it contains.  The suffix says how:
``.safetensors`` (the default) or ``.npz`` (NumPy's own, without pickle).  The text names every array with its dtype and
shape, and a checksum covers the text and all arrays.

>>> import tempfile, pathlib, tinygrad_nn as tn
>>> from tinygrad_nn import checkpoint
>>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
>>> with tempfile.TemporaryDirectory() as folder:
...     path = checkpoint.save(pathlib.Path(folder) / "model.npz", model, extra={"epoch": 7})
...     copy = tn.nn.load(path)
...     checkpoint.read(path).extra
{'epoch': 7}
>>> bool((copy[0].W.data == model[0].W.data).all())
True
"""

from tinygrad_nn.checkpoint.errors import CheckpointError, refuse_difference, refusing
from tinygrad_nn.checkpoint.files import require_folder, with_suffix
from tinygrad_nn.checkpoint.foreign import read_arrays, write_arrays
from tinygrad_nn.checkpoint.generators import generator_of
from tinygrad_nn.checkpoint.models import load_into, restore, save
from tinygrad_nn.checkpoint.record import Checkpoint, described, read

__all__ = [
    "Checkpoint", "CheckpointError", "described", "generator_of", "load_into", "read", "read_arrays",
    "refuse_difference", "refusing", "require_folder", "restore", "save", "with_suffix", "write_arrays",
]  # fmt: skip
