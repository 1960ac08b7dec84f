"""Splits: no future in training, no user on both sides, the same answer wherever a user is seen."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.data.splits import TEST, TRAIN, UNUSED, VALID, Split, event_parts, id_hashes, time_cuts, user_parts

NOBODY = np.zeros(100, bool)


def test_time_by_hand():
    users = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    times = np.array([1, 2, 8, 9, 10, 3, 4, 9, 5, 6])
    valid, test = time_cuts(Split(valid=0.2, test=0.2), times)
    assert (valid, test) == (8, 9)
    parts = event_parts(Split(valid=0.2, test=0.2), users, times, NOBODY)
    assert parts.tolist() == [TRAIN, TRAIN, VALID, TEST, UNUSED, TRAIN, TRAIN, TEST, TRAIN, TRAIN]


def test_leave_one_out_by_hand():
    users = np.array([0, 0, 0, 1, 2, 2])
    parts = event_parts(Split(name="leave_one_out"), users, np.arange(6), NOBODY)
    assert parts.tolist() == [TRAIN, VALID, TEST, TEST, VALID, TEST]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=5, max_size=60))
def test_nothing_trained_on_lies_after_the_cut(events):
    events.sort()
    users, times = np.array(events).T
    if times.min() == times.max():
        with pytest.raises(DataError, match="all events have the same time"):
            event_parts(Split(), users, times, NOBODY)
        return
    parts = event_parts(Split(), users, times, NOBODY)
    valid, test = time_cuts(Split(), times)
    assert (times[parts == TRAIN] < valid).all()
    assert ((times[parts == VALID] >= valid) & (times[parts == VALID] < test)).all()
    assert (times[parts == TEST] >= test).all()
    for part in (VALID, TEST):
        assert len(set(users[parts == part])) == (parts == part).sum()


def test_held_out_users_are_not_trained_on_but_tested():
    users, times = np.repeat(np.arange(3), 10), np.tile(np.arange(10), 3)
    parts = event_parts(Split(), users, times, np.array([False, True, False]))
    assert not (parts[users == 1] == TRAIN).any()
    assert (parts[users == 1] == TEST).any()


def test_a_user_falls_where_its_id_says_whoever_else_is_there():
    ids = [f"u{i}" for i in range(500)]
    together = user_parts(pa.array(ids), Split())
    alone = [user_parts(pa.array([i]), Split())[0] for i in ids[:50]]
    assert together[:50].tolist() == alone
    assert user_parts(pa.array(["a", "a" * 40]), Split())[0] == user_parts(pa.array(["a"]), Split())[0]


def test_shares_and_salt():
    ids = pa.array([str(i) for i in range(20_000)])
    parts = user_parts(ids, Split(valid=0.1, test=0.2))
    assert abs((parts == TEST).mean() - 0.2) < 0.01
    assert abs((parts == VALID).mean() - 0.1) < 0.01
    assert (user_parts(ids, Split(valid=0.1, test=0.2, salt="b")) != parts).any()
    assert (user_parts(pa.array(["7", "007"]), Split()) >= 0).all()


def test_shares_out_of_range_are_refused():
    with pytest.raises(ValueError, match="test is"):
        Split(test=0.7)


IDS = ["", "a", "a" * 40, "7", "007", "zoë", "靴", "u0000001", "-3", "123456789012345678901", " x "]
HASHES = [
    *(0x643D536FCDA11B1E, 0xF18B1EF15CA789D5, 0xB5987511426285, 0xCACB0F3AC1494D94, 0x66116F1872344772),
    *(0xFC152975D24981D2, 0x450E2E71B33CA052, 0x6F8F6C875E62818A, 0x2A6642443F6E571B, 0x873D7E4D960AD7AB),
    0x15D4993C51A6D95A,
]


def test_the_hash_of_an_id_is_for_ever():
    """Users must not change sides with a release."""
    assert id_hashes(pa.array(IDS), "lifelong").tolist() == HASHES
    assert id_hashes(pa.array(["a"]), "ü").tolist() == [0x512B9EF1626E39D4]


def test_however_the_ids_lie():
    pieces = pa.chunked_array([pa.array(IDS)[2:5], pa.array([], pa.string()), IDS[5:]])
    assert id_hashes(pieces, "lifelong").tolist() == HASHES[2:]
    assert id_hashes(pa.array(IDS, pa.large_string())[3:], "lifelong").tolist() == HASHES[3:]
    assert id_hashes(pa.array([], pa.string()), "lifelong").tolist() == []


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=9))
def test_the_hash_is_fnv_and_splitmix(ids):
    """Written out, byte by byte."""
    found = id_hashes(pa.array(ids, pa.string()), "s").tolist()
    for text, hashed in zip(ids, found, strict=True):
        value = 0xCBF29CE484222325
        for byte in b"s\0" + text.encode():
            value = (value ^ byte) * 0x100000001B3 % 2**64
        value = (value + 0x9E3779B97F4A7C15) % 2**64
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
        assert hashed == value ^ value >> 31
