"""NumPy's functions that are not recorded on tensors: the reasons, and what to do instead.

`docs/numerics.md` lists them with those that take no tensor.
"""

import numpy as np

from tinygrad_nn.registry import refuses

# fmt: off
refuses(np.linalg.eig, np.linalg.eigvals, np.roots, np.sort_complex,
        because="its values are complex, and tensors are real: tn.eigh is for symmetric matrices; else take .data")
refuses(np.angle, because="it is 0 or π of a real number: tn.arctan2(y, x) is the angle of a point")
refuses(np.save, np.savez, np.savez_compressed, np.savetxt,
        because="it writes a file: take .data; tn.checkpoint.save keeps a model with its state")
refuses(np.frexp, np.spacing, np.nextafter, np.bitwise_count, np.gcd, np.lcm, np.packbits, np.unpackbits,
        because="its values are whole numbers or steps, without a derivative: take .data")
refuses(np.intersect1d, np.setdiff1d, np.setxor1d, np.unique_all, np.unique_counts, np.unique_inverse,
        because="it finds sets and places, which have no derivative: take .data; tn.unique keeps the graph")
refuses(np.poly, np.polyadd, np.polyder, np.polydiv, np.polyfit, np.polyint, np.polymul, np.polysub,
        because="it is of a kind of polynomials that NumPy itself advises against: tn.lstsq(tn.vander(x, n), y) fits one, "
        "tn.convolve multiplies two")
# fmt: on
