"""Pictures and words that show where a gradient comes from."""

from tinygrad_nn.view.animation import Film
from tinygrad_nn.view.api import draw
from tinygrad_nn.view.comparing import compare
from tinygrad_nn.view.exercises import Worksheet, worksheet
from tinygrad_nn.view.explanation import explain
from tinygrad_nn.view.notebook_widget import widget
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.playground import play

__all__ = ["Film", "Picture", "Worksheet", "compare", "draw", "explain", "play", "widget", "worksheet"]
