"""Which inputs a prediction came from, and through which units: contributions of features that add up.

`tn.explain` derives one gradient of a computation by its paths; this asks a trained model about real features, many
examples at once.  A contribution of a feature is (x − baseline) times a derivative of the output: at the example itself
(`gradient_input`), averaged along the line from a baseline to it (`integrated_gradients`), or split up by the hidden
units through which the paths of the feature run (`by_path`).

`target` is the number that is explained, `categories` what an embedding looks up for it, `lines` integrates along lines
until the contributions add up, `layers` finds what all paths go through and what flows there, `result` and `listing`
show what came out.
"""

from tinygrad_nn.attribution.api import by_path, gradient_input, integrated_gradients
from tinygrad_nn.attribution.layers import LayerPaths
from tinygrad_nn.attribution.result import Attribution, PathAttribution

__all__ = ["Attribution", "LayerPaths", "PathAttribution", "by_path", "gradient_input", "integrated_gradients"]
