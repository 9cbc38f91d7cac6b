"""Estimators for scikit-learn's pipelines, searches and scores (extra `sklearn`): rows outside, columns inside.

>>> from sklearn.datasets import load_iris
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> import tinygrad_nn as tn
>>> X, y = load_iris(return_X_y=True)
>>> network = tn.sklearn.MLPClassifier((16,), learning_rate_init=0.01, tol=None, random_state=0)
>>> bool(make_pipeline(StandardScaler(), network).fit(X, y).score(X, y) > 0.95)
True
"""

try:
    from sklearn.utils.validation import validate_data as _  # noqa: F401  before the modules that need it
except ImportError:
    raise ImportError(
        "tinygrad_nn.sklearn needs scikit-learn 1.6 or later: pip install 'tinygrad_nn[sklearn]'"
    ) from None

from tinygrad_nn.sklearn.classifier import MLPClassifier
from tinygrad_nn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

for _kind in __all__:  # where users find them, and where pickles do
    globals()[_kind].__module__ = __name__
