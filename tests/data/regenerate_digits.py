"""Writes tinygrad_nn/data/digits.npz anew from scikit-learn: python tests/data/regenerate_digits.py

The archive holds `images`, uint8 (1797, 64), values 0 to 16, and `labels`, uint8 (1797,).
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[2] / "tinygrad_nn" / "data" / "digits.npz"


def from_sklearn() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits  # here, so that test collection works without scikit-learn

    images, labels = load_digits(return_X_y=True)
    arrays = {"images": images.astype(np.uint8), "labels": labels.astype(np.uint8)}
    assert (arrays["images"] == images).all(), "a pixel is no whole number between 0 and 255"
    assert (arrays["labels"] == labels).all(), "a label is no whole number between 0 and 255"
    return arrays


if __name__ == "__main__":
    np.savez_compressed(FILE, **from_sklearn())
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
