"""The order of events: by user, time and tie, and equal ones as they came; and those that repeat another."""

import numpy as np


def order_of(user_N: np.ndarray, time_N: np.ndarray, tie_N: np.ndarray | None = None) -> np.ndarray | None:
    """The stable order (N, int64) by user, then time, then tie; None where the rows are in order already.

    User, time and row are packed into one number where they fit into 64 bits, since numbers are sorted many times
    faster than rows of three.
    """
    if len(user_N) < 2:
        return None
    first, low = int(user_N.min()), int(time_N.min())
    row_bits = (len(user_N) - 1).bit_length()
    time_bits = (int(time_N.max()) - low).bit_length()
    if (int(user_N.max()) - first).bit_length() + time_bits + row_bits > 64:
        return np.lexsort((time_N, user_N) if tie_N is None else (tie_N, time_N, user_N))
    key_N = (user_N - first).astype(np.uint64) << np.uint64(time_bits + row_bits)
    key_N |= (time_N - low).view(np.uint64) << np.uint64(row_bits)
    if tie_N is None and (key_N[1:] >= key_N[:-1]).all():
        return None
    key_N |= np.arange(len(key_N), dtype=np.uint64)
    key_N.sort()
    order_N = (key_N & np.uint64((1 << row_bits) - 1)).astype(np.int64)
    return order_N if tie_N is None else _by_tie(key_N >> np.uint64(row_bits), order_N, tie_N)


def _by_tie(group_N: np.ndarray, order_N: np.ndarray, tie_N: np.ndarray) -> np.ndarray:
    """The order with equal users and times by tie; equal ties keep their order."""
    rows_n = _shared(group_N[1:] == group_N[:-1])
    inside_n = np.lexsort((tie_N[order_N[rows_n]], group_N[rows_n]))
    order_N[rows_n] = order_N[rows_n[inside_n]]
    return order_N


def repeated_within(user_N: np.ndarray, item_N: np.ndarray, time_N: np.ndarray, row_N: np.ndarray) -> np.ndarray:
    """Bool (N) of rows ordered by user and time: True where one with a smaller `row_N` is the same in all three."""
    result_N = np.zeros(len(user_N), bool)
    rows_n = _shared((user_N[1:] == user_N[:-1]) & (time_N[1:] == time_N[:-1]))
    rows_n = rows_n[np.argsort(row_N[rows_n], kind="stable")]
    result_N[rows_n] = repeated(user_N[rows_n], item_N[rows_n], time_N[rows_n])
    return result_N


def repeated(user_E: np.ndarray, item_E: np.ndarray, time_E: np.ndarray) -> np.ndarray:
    """Bool (E): True where an earlier row has the same user, item and time."""
    order_E = np.lexsort((time_E, item_E, user_E))  # stable, so the first of equals stays
    same_E = np.ones(max(len(order_E) - 1, 0), bool)
    for key_E in (user_E, item_E, time_E):
        same_E &= key_E[order_E[1:]] == key_E[order_E[:-1]]
    result_E = np.zeros(len(user_E), bool)
    result_E[order_E[1:][same_E]] = True
    return result_E


def _shared(as_before: np.ndarray) -> np.ndarray:
    """The rows that are alike with the row before or behind; as_before[n] says so of rows n and n + 1."""
    shared_N = np.zeros(len(as_before) + 1, bool)
    shared_N[1:] = as_before
    shared_N[:-1] |= as_before
    return np.flatnonzero(shared_N)
