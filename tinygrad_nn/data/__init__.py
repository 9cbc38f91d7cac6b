"""Loading and batching data, examples as columns.

Everywhere here `X` is `(features, N)`: one example is one column. Class labels are integers of shape `(N,)`,
one-hot targets are `(classes, N)`, regression targets `(d, N)`. Only NumPy is needed and nothing is ever downloaded.
Randomness comes only from `rng=`: a `numpy.random.Generator`, an int seed, or `None` for fresh entropy.

>>> from tinygrad_nn.data import batches, load_digits
>>> X_train, y_train, X_test, y_test = load_digits()
>>> len(batches(X_train, y_train, batch_size=32, rng=0))
46
"""

from tinygrad_nn.data.batching import Batches, batches
from tinygrad_nn.data.digits import load_all_digits, load_digits
from tinygrad_nn.data.idx import load_mnist
from tinygrad_nn.data.labels import one_hot
from tinygrad_nn.data.penguins import penguins_csv
from tinygrad_nn.data.preprocessing import Preprocessor
from tinygrad_nn.data.records import GAPS
from tinygrad_nn.data.scaling import Standardizer
from tinygrad_nn.data.splitting import split
from tinygrad_nn.data.streaming import Stream, stream
from tinygrad_nn.data.table import Table, load_table
from tinygrad_nn.data.tables import from_rows, load_csv
from tinygrad_nn.data.toy import make_circles, make_moons, make_sine, make_spirals, make_xor

__all__ = [
    "GAPS", "Batches", "Preprocessor", "Standardizer", "Stream", "Table", "batches", "from_rows", "load_all_digits",
    "load_csv", "load_digits", "load_mnist", "load_table", "make_circles", "make_moons", "make_sine", "make_spirals",
    "make_xor", "one_hot", "penguins_csv", "split", "stream",
]  # fmt: skip
