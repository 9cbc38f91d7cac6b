"""Pictures and words that show where a gradient comes from."""

from tinygrad_nn.view.drawing import draw
from tinygrad_nn.view.picture import Picture

__all__ = ["Picture", "draw"]
