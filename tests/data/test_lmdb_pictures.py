"""Stored pictures are read without running anything: bytes written by hand, as Python's protocols have them, and hostile."""

import ast
import io
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from lifelong.core.errors import DataError
from lifelong.data.lmdb_pictures import SIDE, picture_of, png, unpack
from lifelong.data.picture_object import stored_picture

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode() + b"\x94"


def long(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def raw(data):
    return (b"C" + bytes([len(data)]) if len(data) < 256 else b"B" + struct.pack("<I", len(data))) + data


def protocol_4(image=PICTURE, name="LMDB_Image", **more):
    """As Python from 3.8 on writes it: framed, names on the stack, every value memoised."""
    inner = short("channels") + b"K\x03" + short("size") + b"K\x02K\x03\x86\x94"
    inner += short("image") + raw(image.tobytes()) + b"\x94" + short("id") + short("v27903")
    body = short("__main__") + short(name) + b"\x93\x94)\x81\x94}\x94(" + inner
    for key, value in more.items():
        body += short(key) + value
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body + b"ub."


def protocol_3(image=PICTURE):
    """As Python before 3.8 writes it: names in lines, numbered places; an id that is a number."""
    inner = long("channels") + b"q\x03K\x03" + long("size") + b"q\x04M\x02\x00J\x03\x00\x00\x00\x86q\x05"
    inner += (
        long("image") + b"q\x06" + raw(image.tobytes()) + b"q\x07" + long("id") + b"r\x08\x00\x00\x00\x8a\x02\xff\x7f"
    )
    return b"\x80\x03cdata_utils.lmdb\nLMDB_Image\nq\x00)\x81q\x01}q\x02(" + inner + b"ub."


def micro(values=None):
    """MicroLens's object, which has nothing but numbers between -1 and 1."""
    values = np.zeros((3, SIDE, SIDE), "<f4") if values is None else values
    body = short("__main__") + short("LMDB_Image") + b"\x93\x94)\x81\x94}\x94"
    return b"\x80\x04\x95" + b"\0" * 8 + body + short("image") + raw(values.tobytes()) + b"\x94sb."


def test_what_is_stored_is_read():
    found = stored_picture(protocol_4(), "x")
    assert (found.image, found.size, found.channels, found.id) == (PICTURE.tobytes(), (2, 3), 3, "v27903")
    assert stored_picture(protocol_3(), "x").id == 0x7FFF
    for data in (protocol_4(), protocol_3()):
        assert np.array_equal(picture_of(data, "x"), PICTURE)
    values = np.full((3, SIDE, SIDE), 1.0, "<f4")
    values[1, 0, 0] = -1
    picture = picture_of(micro(values), "x")
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture[0, 0].tolist() == [255, 0, 255]
    assert stored_picture(micro(), "x").size is None


SYSTEM = b"cposix\nsystem\n(X\x05\x00\x00\x00touchtR."
HOSTILE = {
    "a call of a program": b"\x80\x03" + SYSTEM,
    "a call within an attribute": protocol_4()[:-3] + short("id") + SYSTEM[:-1] + b"ub.",
    "a program on the stack": b"\x80\x04" + short("posix") + short("system") + b"\x93" + b"(" + short("true") + b"tR.",
    "another class": protocol_4(name="Popen"),
    "eval": b"c__builtin__\neval\n(X\x01\x00\x00\x001tR.",
    "the oldest way to call": b"(X\x04\x00\x00\x00trueiposix\nsystem\n.",
    "make an object by name": b"(cposix\nsystem\nX\x04\x00\x00\x00trueo.",
    "a class with arguments": b"\x80\x04" + short("m") + short("LMDB_Image") + b"\x93K\x02K\x02\x86\x81.",
    "made with keywords": b"\x80\x04" + short("m") + short("LMDB_Image") + b"\x93)}\x92.",
    "a registered extension": b"\x82\x01.",
    "an outer object": b"P1\n.",
    "an outer object on the stack": b"K\x01Q.",
    "an out-of-band buffer": b"\x97.",
    "another attribute": protocol_4(__class__=b"N"),
    "an attribute that is an object": protocol_4()[:-3] + short("id") + b"}ub.",
    "attributes twice": protocol_4()[:-1] + b"}b.",
    "no object": b"K\x01.",
    "text alone": short("LMDB_Image") + b".",
    "a class alone": b"cm\nLMDB_Image\n.",
    "nothing": b"",
    "not finished": protocol_4()[:-1],
    "cut in the picture": protocol_4()[:90],
    "more behind the end": protocol_4() + b"x",
    "two objects": protocol_4()[:-1] + protocol_4()[2:],
    "a length beyond the end": b"\x8e" + b"\xff" * 8,
    "text that is none": b"\x8c\x01\xff.",
    "endless work": b"K\x01" * 10_000 + b".",
    "a memo of nothing": b"h\x05.",
    "nothing to memoise": b"\x94.",
    "no mark": b"}K\x01K\x02u.",
    "one half of a pair": b"}K\x01s.",
    "a name without end": b"c" + b"a" * 1000,
    "a protocol to come": b"\x80\x09K\x01.",
    "a size of three": protocol_4(size=b"K\x01\x85"),
    "a size that is text": protocol_4(size=short("big")),
    "channels that are text": protocol_4(channels=short("3")),
    "an id that is bytes": protocol_4(id=b"C\x01x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_is_refused_and_nothing_runs(name, monkeypatch):
    import builtins
    import importlib
    import os
    import subprocess

    def ran(*args, **kwargs):
        raise SystemError("something was run")

    for module, call in ((os, "system"), (subprocess, "Popen"), (builtins, "eval"), (importlib, "import_module")):
        monkeypatch.setattr(module, call, ran)
    with pytest.raises(DataError, match=r"^key 5: is no stored picture: .*; nothing of it was run$"):
        stored_picture(HOSTILE[name], "key 5")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
@example(b"\x93", 30, 0)
def test_any_bytes_give_a_picture_or_a_data_error(noise, place, value):
    """Also a good object with one byte changed, or with noise within."""
    good = protocol_4()
    place %= len(good)
    for data in (noise, good[:place] + bytes([value]) + good[place + 1 :], good[:place] + noise + good[place:]):
        try:
            picture_of(data, "x")
        except DataError:
            continue


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (protocol_4(PICTURE[:1]), "9 bytes are no picture of 2 x 3 with 3 channels"),
        (protocol_4(size=b"K\x00K\x03\x86"), "no picture of 0 x 3"),
        (protocol_4(channels=b"K\x02", size=b"K\x03K\x03\x86"), "with 2 channels"),
        (micro(np.zeros(5, "<f4")), "20 bytes without a size"),
        (micro(np.full((3, SIDE, SIDE), np.nan, "<f4")), "not all of its numbers are finite"),
    ],
)
def test_bytes_that_are_no_picture(data, says):
    with pytest.raises(DataError, match=says):
        picture_of(data, "x")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_loses_nothing(channels):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    opened = np.asarray(Image.open(io.BytesIO(png(picture))))
    assert np.array_equal(opened.reshape(picture.shape), picture)


class Database:
    """What is used of the lmdb package."""

    class Error(Exception):
        """Its errors."""

    def __init__(self, entries):
        self.entries, self.asked = entries, None

    def open(self, path, **options):
        self.asked = options
        if self.entries is None:
            raise self.Error("MDB_INVALID")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return False

    def begin(self):
        return self

    def cursor(self):
        return iter(self.entries)


def unpacked(tmp_path, monkeypatch, entries):
    database = Database(entries)
    made = SimpleNamespace(open=database.open, Error=Database.Error)
    monkeypatch.setitem(sys.modules, "lmdb", made)
    (tmp_path / "im.lmdb").write_bytes(b"")
    return unpack(tmp_path / "im.lmdb", tmp_path / "png"), database


def test_unpacked_files_are_the_pictures_of_a_data_set(tmp_path, monkeypatch):
    from lifelong.data.datasets.downloads.pictures import Pictures

    entries = [(b"27903", protocol_4()), (b"__keys__", b"]."), (b"__len__", b"K\x01."), (b"i-7_x", protocol_3())]
    counts, database = unpacked(tmp_path, monkeypatch, entries)
    assert counts == {"written": 2, "left out (keys of the database itself)": 2}
    assert database.asked == {"subdir": False, "readonly": True, "lock": False, "readahead": False}
    import pyarrow as pa

    found = Pictures(tmp_path / "png").column(pa.array(["27903", "i-7_x", "nobody"])).to_pylist()
    assert found[2] is None
    assert np.array_equal(np.asarray(Image.open(found[0])), PICTURE)


@pytest.mark.parametrize("key", [b"../../etc/passwd", b"a/b", b"", b"\xff", b"a" * 500, b".", b"a\n"])
def test_a_key_is_no_path(tmp_path, monkeypatch, key):
    with pytest.raises(DataError, match="is no item's id"):
        unpacked(tmp_path, monkeypatch, [(key, protocol_4())])
    assert not list((tmp_path / "png").iterdir())


def test_problems_are_told(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="is not there"):
        unpack(tmp_path / "none.lmdb", tmp_path / "png")
    with pytest.raises(DataError, match=r"cannot be read as LMDB: MDB_INVALID"):
        unpacked(tmp_path, monkeypatch, None)
    with pytest.raises(DataError, match="key '5': is no stored picture"):
        unpacked(tmp_path, monkeypatch, [(b"5", HOSTILE["eval"])])
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError, match=r"pip install 'lifelong\[lmdb\]'"):
        unpack(tmp_path / "im.lmdb", tmp_path / "png")


FORBIDDEN = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}


def loaders_of_objects(source):
    """Imports and calls by which bytes could become running objects."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.split(".")[0] in FORBIDDEN]
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            found += [called] * (called in ("eval", "exec", "compile", "__import__", "Unpickler"))
            found += [k.arg for k in node.keywords if k.arg == "allow_pickle"]
    return found


def test_no_file_of_the_data_station_can_load_objects():
    import lifelong.data

    for path in Path(lifelong.data.__file__).parent.rglob("*.py"):
        assert loaders_of_objects(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "line", ["import pickle", "from pickle import loads", "eval('1')", "np.load(f, allow_pickle=True)"]
)
def test_a_loader_would_be_seen(line):
    assert loaders_of_objects(line)
