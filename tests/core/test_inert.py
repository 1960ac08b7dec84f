"""Pickles are read as plain data: what would run is refused by name, what is broken is told, nothing is ever called."""

import collections
import os
import pickle
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.core.errors import DataError
from lifelong.core.inert import Record, read_pickle, record

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)


def read(data, allowed=None, **options):
    return read_pickle(data, allowed or {}, "a file", **options)[0]


@settings(max_examples=60, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_come_back(value, protocol):
    data = pickle.dumps(value, protocol)
    if b"_codecs" not in data and b"__builtin__" not in data:  # old protocols have no bytes and call an encoder
        assert read(data) == value


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "evil",
    [
        Evil(os.system, "touch /tmp/never"),
        Evil(eval, "1 + 1"),
        Evil(getattr, "text", "upper"),
        Evil(collections.OrderedDict),
        [1, {"deep": Evil(os.getcwd)}],
    ],
    ids=["system", "eval", "getattr", "harmless", "deep"],
)
def test_a_name_that_is_not_allowed_ends_the_reading(evil, protocol, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    data = pickle.dumps(evil, protocol) if not isinstance(evil, Evil) or evil.call is not os.system else None
    data = data or b"cposix\nsystem\n(S'touch /tmp/never'\ntR."
    with pytest.raises(DataError, match=r"asks for \S+, which is no plain data"):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"(S'a'\ni__builtin__\neval\n.",  # INST
        b"(c__builtin__\neval\no.",  # OBJ
        b"\x82\x01.",  # EXT1
        b"Pname\n.",  # PERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
    ids=["INST", "OBJ", "EXT1", "PERSID", "NEXT_BUFFER"],
)
def test_other_ways_to_run_something_are_refused(data):
    with pytest.raises(DataError):
        read(data, {("__builtin__", "eval"): lambda *a: pytest.fail("it ran")})


def test_only_names_are_called_and_only_with_tuples():
    allowed = {("collections", "OrderedDict"): lambda *items: dict(*items)}
    assert read(pickle.dumps(collections.OrderedDict(a=1, b=[2])), allowed) == {"a": 1, "b": [2]}
    with pytest.raises(DataError, match="calls something"):
        read(b"S'text'\n)R.", allowed)
    with pytest.raises(DataError, match="calls something"):
        read(b"ccollections\nOrderedDict\n]R.", allowed)


class Picture:
    def __init__(self):
        self.channels, self.size, self.image = 3, (2, 1), b"abcdef"


@pytest.mark.parametrize("protocol", range(2, 6))
def test_an_object_of_an_allowed_class_becomes_a_record(protocol):
    allowed = record(Picture.__module__, "Picture")
    if protocol == 2:
        allowed |= {("_codecs", "encode"): lambda text, coding: text.encode(coding)}
    made = read(pickle.dumps(Picture(), protocol), allowed)
    assert isinstance(made, Record)
    assert made.attributes == {"channels": 3, "size": (2, 1), "image": b"abcdef"}


def test_what_lies_outside_is_fetched_by_its_id():
    data = b"\x80\x02X\x01\x00\x00\x00kQ."
    assert read(data, persistent=lambda key: f"of {key}") == "of k"
    with pytest.raises(DataError, match="outside"):
        read(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_noise_is_an_error_and_no_crash(noise):
    with suppress(DataError):
        read(noise)


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_what_is_cut_off_is_an_error(cut):
    data = pickle.dumps({"a": [1, 2.5, "text"], "b": (None, True, b"bytes" * 8)})
    if cut < len(data):
        with pytest.raises(DataError):
            read(data[:cut])


def test_a_stack_without_end_is_refused():
    with pytest.raises(DataError, match="piles up"):
        read(b"N" * 100_001 + b".")
