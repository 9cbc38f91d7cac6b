"""What tests of engines share."""

import pytest


@pytest.fixture
def quick_xla():
    """JAX that compiles quickly, where speed is not the question."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_disable_most_optimizations", True)
    yield jax
    jax.config.update("jax_disable_most_optimizations", False)
