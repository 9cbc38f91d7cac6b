"""Pictures and words: where does this gradient come from?"""

from tinygrad_nn.view.drawing import draw
from tinygrad_nn.view.picture import Picture

__all__ = ["Picture", "draw"]
