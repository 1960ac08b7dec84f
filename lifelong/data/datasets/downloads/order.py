"""Orders that nobody can read anything from, for events of the same day, and the k-core of a log."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifelong.data.mixing import mixed, splitmix


def text_hash(column: pa.Array) -> np.ndarray:
    """A stable uint64 of each text (N), eight bytes at a step; the same in every block and on every machine."""
    text = column.cast(pa.string())
    lengths_N = pc.binary_length(text).to_numpy(zero_copy_only=False).astype(np.int64)
    width = max(8, -(-int(lengths_N.max(initial=0)) // 8) * 8)
    starts_N = np.concatenate(([0], np.cumsum(lengths_N)))[:-1]
    raw = np.frombuffer(b"".join(text.cast(pa.binary()).to_pylist()) + bytes(1), np.uint8)
    index_NW = starts_N[:, None] + np.arange(width)
    inside_NW = np.arange(width) < lengths_N[:, None]
    bytes_NW = np.where(inside_NW, raw[np.minimum(index_NW, len(raw) - 1)], 0).astype(np.uint8)
    result_N = splitmix(lengths_N.astype(np.uint64))
    for place, word_N in enumerate(bytes_NW.view("<u8").T):
        result_N = np.where(place * 8 < lengths_N, splitmix(result_N ^ word_N), result_N)
    return result_N


def same_time_order(users: pa.Array, items: pa.Array) -> np.ndarray:
    """Ties (N, uint64) that put a user's events of one moment into an order of their own, whatever the file's is."""
    user, item = (column.dictionary_encode() for column in (users, items))
    hashes = (text_hash(c.dictionary)[c.indices.to_numpy()].view(np.int64) for c in (user, item))
    return mixed(*hashes)


def k_core(users_N: np.ndarray, items_N: np.ndarray, core: int) -> np.ndarray:
    """Bool (N): the events that are left when users and items with fewer than `core` events go until none is left to go.

    >>> k_core(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2]), 2)
    array([ True,  True,  True,  True, False])
    """
    kept_N = np.ones(len(users_N), bool)
    while core > 1:
        few_U, few_V = (
            np.bincount(codes[kept_N], minlength=codes.max(initial=0) + 1) < core for codes in (users_N, items_N)
        )
        left_N = kept_N & ~few_U[users_N] & ~few_V[items_N]
        if (left_N == kept_N).all():
            break
        kept_N = left_N
    return kept_N


def repeated(users_N: np.ndarray, items_N: np.ndarray, times_N: np.ndarray) -> np.ndarray:
    """Bool (N): an earlier row has the same user, item and second."""
    order_N = np.lexsort((np.arange(len(users_N)), times_N, items_N, users_N))
    same_n = np.ones(max(0, len(order_N) - 1), bool)
    for column in (users_N, items_N, times_N):
        same_n &= column[order_N][1:] == column[order_N][:-1]
    again_N = np.zeros(len(users_N), bool)
    again_N[order_N[1:][same_n]] = True
    return again_N
