"""Who and what is trained on, validated on and tested on: by global time, leave-one-out, or by user.

Part codes: TRAIN, VALID, TEST, and UNUSED for what must be seen by nobody (events of a held-out user, later events of a user
whose first one is the case).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.mixing import splitmix

TRAIN, VALID, TEST, UNUSED = 0, 1, 2, 3
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the cases of a task are divided."""

    name: Literal["time", "leave_one_out", "by_user"] = "time"
    """time: one cut for everybody (default; no model sees the future). leave_one_out: each user's last events (leaks time
    across users; for comparison with papers). by_user: whole users (for profiles)."""
    valid: float = 0.1
    """Share of events (time) or of users (by_user) to select on."""
    test: float = 0.1
    """Share of events (time) or of users (by_user) reported once."""
    hold_out_users: bool = True
    """Keep the by_user test users of the same salt out of training, so that no profile test user was ever trained on."""
    salt: str = "lifelong"
    """Changes which users fall where."""

    def __post_init__(self) -> None:
        for option in ("valid", "test"):
            if not 0 < getattr(self, option) < 0.5:
                raise ValueError(f"{option} is {getattr(self, option)}, it must lie between 0 and 0.5")


def user_parts(ids: pa.Array | pa.ChunkedArray, split: Split) -> np.ndarray:
    """TRAIN, VALID or TEST of each user (U, int8) from its id and the salt alone: a user never crosses, in any data set."""
    place_U = id_hashes(ids, split.salt).astype(np.float64) / 2.0**64
    parts_U = np.full(len(place_U), TRAIN, np.int8)
    parts_U[place_U < split.test + split.valid] = VALID
    parts_U[place_U < split.test] = TEST
    return parts_U


def event_parts(split: Split, users_N: np.ndarray, times_N: np.ndarray, held_out_U: np.ndarray) -> np.ndarray:
    """The part of each of N target events, in (user, time) order; int8.

    time: training before the first cut; the case of a user is its first target on or after a cut. leave_one_out: the last is
    the test case, the one before it the validation case. Training events of held-out users are UNUSED. Raises DataError for
    events without times that are to be split by time.
    """
    parts_N = _by_time(split, users_N, times_N) if split.name == "time" else _leave_one_out(users_N)
    parts_N[(parts_N == TRAIN) & held_out_U[users_N]] = UNUSED
    return parts_N


def time_cuts(split: Split, times_N: np.ndarray) -> tuple[int, int]:
    """The two moments (unix seconds) at which validation and test begin."""
    valid, test = np.quantile(times_N, [1 - split.test - split.valid, 1 - split.test], method="higher")
    return int(valid), int(test)


def _by_time(split: Split, users_N: np.ndarray, times_N: np.ndarray) -> np.ndarray:
    parts_N = np.full(len(users_N), UNUSED, np.int8)
    if not len(users_N):
        return parts_N
    if times_N.min() == times_N.max():
        raise DataError("split: time: all events have the same time; take leave_one_out, or by_user")
    valid, test = time_cuts(split, times_N)
    era_N = (times_N >= valid).astype(np.int8) + (times_N >= test)
    first_N = np.ones(len(users_N), bool)
    first_N[1:] = (users_N[1:] != users_N[:-1]) | (era_N[1:] != era_N[:-1])
    parts_N[first_N] = era_N[first_N]
    parts_N[era_N == TRAIN] = TRAIN
    return parts_N


def _leave_one_out(users_N: np.ndarray) -> np.ndarray:
    end_N = np.searchsorted(users_N, users_N, side="right")
    from_end_N = end_N - np.arange(len(users_N))
    return np.select([from_end_N == 1, from_end_N == 2], [TEST, VALID], TRAIN).astype(np.int8)


def id_hashes(ids: pa.Array | pa.ChunkedArray, salt: str) -> np.ndarray:
    """A 64-bit hash of each id: FNV-1a over salt and bytes, finished by splitmix64; a step takes one byte of every id."""
    starts_U, lengths_U, bytes_N = _raw(ids)
    hash_U, place = np.full(len(starts_U), _FNV_OFFSET), 0
    left_u = np.flatnonzero(lengths_U)
    with np.errstate(over="ignore"):
        for byte in f"{salt}\0".encode():
            hash_U = (hash_U ^ np.uint64(byte)) * _FNV_PRIME
        while len(left_u):
            byte_u = bytes_N[starts_U[left_u] + place].astype(np.uint64)
            hash_U[left_u] = (hash_U[left_u] ^ byte_u) * _FNV_PRIME
            place += 1
            left_u = left_u[lengths_U[left_u] > place]
        return splitmix(hash_U)


def _raw(ids: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the UTF-8 of each id begins and how long it is (U, int64), and the bytes (uint8) that all lie in."""
    text = ids.cast(pa.large_string())
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    _, offsets, data = text.buffers()
    if not len(text) or data is None:
        return np.zeros(len(text), np.int64), np.zeros(len(text), np.int64), np.zeros(0, np.uint8)
    bounds_U1 = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    return bounds_U1[:-1], np.diff(bounds_U1), np.frombuffer(data, np.uint8)
