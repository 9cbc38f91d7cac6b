"""A recorded step as functions that numba compiles: what NumPy's calls cost beyond their work is gone.

`kernel` writes neighbouring calls as one function: chains of `expressions` are loops over memory (`layout`), and other
calls are those of NumPy's own loops (`runtime`).  `cache` compiles it or finds it on disk, and `engine` calls it in the
place of the NumPy calls.  Numba is an extra: nothing here is loaded before it is asked for.
"""

try:
    import numba  # noqa: F401
except ImportError:
    raise ImportError("engine='numba' needs Numba: pip install 'tinygrad_nn[numba]'") from None
