"""A catalogue in pieces of one size: another number of items in a computation gives other last bits."""

from collections.abc import Iterator

import numpy as np


def pieces(numbers_n: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """At most `size` at a time."""
    return (numbers_n[i : i + size] for i in range(0, len(numbers_n), size))


def filled(numbers_u: np.ndarray, size: int) -> np.ndarray:
    """As many as `size`: the last one again and again."""
    return np.concatenate([numbers_u, np.repeat(numbers_u[-1:], size - len(numbers_u))])
