"""Calls of composed functions that NumPy does not have: losses, convolution, scattering, densities."""

import numpy as np

A, B, S, V = (np.random.default_rng(4).normal(size=s) for s in [(2, 3), (2, 3), (3, 3), 3])
SIGNAL, IMAGE = (np.random.default_rng(5).normal(size=s) for s in [(2, 4, 7), (1, 2, 5, 6)])
KERNEL, FILTER = (np.random.default_rng(6).normal(size=s) for s in [(2, 2, 3), (2, 2, 2, 3)])
FIELD_CALLS = {
    "conv1d": [((SIGNAL, KERNEL), {"groups": 2}), ((SIGNAL[:, :2], KERNEL, V[:2], 2, 1, 2), {}),
               ((SIGNAL[:, :2], KERNEL), {"padding": "same", "dilation": 2})],
    "conv2d": [((IMAGE, FILTER), {}),
               ((IMAGE, FILTER, V[:2]), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}),
               ((IMAGE, FILTER[:, :1]), {"groups": 2, "padding": "same"})],
    "max_pool1d": [((SIGNAL, 2), {}), ((SIGNAL, 3), {"stride": 1, "padding": 1, "dilation": 2})],
    "max_pool2d": [((IMAGE, 2), {}), ((IMAGE, (3, 2)), {"stride": (1, 2), "padding": 1})],
    "avg_pool1d": [((SIGNAL, 2), {}), ((SIGNAL, 3), {"stride": 2, "padding": 1})],
    "avg_pool2d": [((IMAGE, 2), {}), ((IMAGE, (3, 2)), {"stride": (1, 2), "padding": (1, 0)})],
}  # fmt: skip
FIELD_CALLS |= {
    "index_add": [((A, [0, 1, 1], S[:2]), {"axis": 1}), ((A, np.array([1, 1]), V), {}), ((V, [], V[:0]), {})],
    "scatter_add": [((A, np.array([[0, 1, 1]]), B[:1]), {}), ((A, [[2, 0], [1, 1]], B[:, :2]), {"axis": -1})],
    "topk": [((A, 2), {}), ((A, 1), {"axis": 0, "largest": False}), ((V, 0), {})],
    "cdist": [((A, 1 - S), {}), ((A[None], 1 - S), {"ord": 1}), ((A, 2 - B), {"ord": 3})],
    "normal_logpdf": [((A,), {}), ((A, V, 1.0 + S[:2] ** 2), {}), ((A,), {"loc": 1.0, "scale": 0.5})],
}  # fmt: skip
FIELD_CALLS |= {
    "rfft_parts": [((A,), {}), ((SIGNAL, 5, 1, "ortho"), {}), ((A, 8), {"norm": "forward"})],
    "irfft_parts": [((A, B), {}), ((A, B, 3), {"axis": 0}), ((A, B, 7), {"norm": "ortho"})],
    "power_spectrum": [((A,), {}), ((A, 2), {"axis": 0}), ((SIGNAL[0], 9), {"norm": "ortho"})],
}  # fmt: skip
SIGNS, LABELS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]]), np.array([0, 1, 0])
FIELD_CALLS |= {
    "nll_loss": [((A, LABELS), {})], "kl_div": [((A, 0.5 + B**2), {}), ((A, B), {"log_target": True})],
    "hinge_loss": [((A, SIGNS), {})], "multi_margin_loss": [((A, LABELS), {"power": 2, "margin": 0.4})],
    "margin_ranking_loss": [((A, 1 - B, SIGNS), {"margin": 0.3})],
    "cosine_similarity": [((A, 1 - B), {}), ((A, 1 - B), {"axis": 1})],
    "cosine_embedding_loss": [((A, 1 - B, SIGNS[0]), {"margin": 0.1})],
}  # fmt: skip
