"""A stable 64-bit mix of whole numbers: an order that no one can read anything from, the same on every machine."""

import numpy as np


def splitmix(value: np.ndarray) -> np.ndarray:
    """splitmix64 of uint64 values (Steele, Lea & Flood 2014); a bijection, so equal in, equal out, and nothing else."""
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def mixed(*columns: np.ndarray) -> np.ndarray:
    """One uint64 of several int64 columns, row by row; the order of the columns counts."""
    result = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        result = splitmix(result ^ column.astype(np.int64).view(np.uint64))
    return result
