"""The chain rule as numbers: a gradient is a sum over paths, and a path is a product of local derivatives.

M. Thill's post "Yet another Neural Networks Introduction: Feed Forward Networks and the Backpropagation Algorithm"
obtains dz/dt "by summing all paths through which t affects the intermediate variables" (in its "Interlude: The Chain
Rule and Nested Dependencies").  Bauer, "Computational Graphs and Rounding Error" (1974), shows it for any graph.

There are soon more paths than atoms, so they are never listed to be added up.  `PathGraph.backward` sweeps once over
the edges in topological order.  What it computes depends on what × and + mean there: the number of paths, the number of
those that carry anything, their sum (this is backpropagation), the sum of their sizes, or the k largest.

`graph` holds nodes, edges and the sweep, `derivatives` what stands on an edge, `sums` the paths between numbers,
`arrays` and `elements` those between arrays and between their elements, `factors` the product of sums, `descent` what a
step along the gradient gains.
"""

from tinygrad_nn.chain.api import paths
from tinygrad_nn.chain.arrays import ArrayPathSum
from tinygrad_nn.chain.derivatives import LocalDerivative, local_derivative
from tinygrad_nn.chain.descent import Descent
from tinygrad_nn.chain.elements import ElementPathSum
from tinygrad_nn.chain.factors import Factor, edges_in, product_text
from tinygrad_nn.chain.graph import Edge, Element, name_of
from tinygrad_nn.chain.path import Cost, Path, PathGroup, PathsLeftOut
from tinygrad_nn.chain.sums import PathSum

__all__ = [
    "ArrayPathSum", "Cost", "Descent", "Edge", "Element", "ElementPathSum", "Factor", "LocalDerivative", "Path",
    "PathGroup", "PathSum", "PathsLeftOut", "edges_in", "local_derivative", "name_of", "paths", "product_text",
]  # fmt: skip
