"""Pictures and words that show where a gradient comes from."""

from tinygrad_nn.view.drawing import draw
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.words import explain

__all__ = ["Picture", "draw", "explain"]
