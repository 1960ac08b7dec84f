"""The cache on disk: what is put down is found, by content, and what is damaged is not believed."""

import numpy as np
import pytest

from lifelong.items.layers import features as module
from lifelong.items.layers.features import ENDING, Features, content_keys


def rows_of(n, width=5):
    return np.random.default_rng(n).standard_normal((n % 4 + 1, width)).astype(np.float32)


def filled(folder, numbers, **identity):
    made = Features(folder, {"a": 1, **identity}, 5, "float32")
    keys = content_keys([b"%d" % n for n in numbers])
    made.find(keys)
    made.add(iter([(keys[i : i + 7], [rows_of(n) for n in numbers[i : i + 7]]) for i in range(0, len(numbers), 7)]))
    return made


def test_what_is_put_down_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 300)
    filled(tmp_path, list(range(50)))
    made = Features(tmp_path, {"a": 1}, 5, "float32")
    asked = [3, 48, 77, 0, 3]
    assert made.find(content_keys([b"%d" % n for n in asked])).tolist() == [2]
    got = made.rows(np.array([0, 1, 3, 4, 0]), 6)
    for n, row in zip([3, 48, 0, 3, 3], got, strict=True):
        assert np.array_equal(row[: n % 4 + 1], rows_of(n))
        assert not row[n % 4 + 1 :].any()
    assert len(list(made.folder.glob(f"*{ENDING}"))) > 3
    assert made.size() > 50 * 5 * 4


def test_another_identity_is_another_place(tmp_path):
    filled(tmp_path, [1, 2])
    for other in (Features(tmp_path, {"a": 2}, 5, "float32"), Features(tmp_path, {"a": 1}, 5, "float16")):
        assert len(other.find(content_keys([b"1"]))) == 1


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-9], lambda d: d[:200] + b"\1" + d[201:], lambda d: b"", lambda d: b"x" * 40]
)
def test_a_damaged_file_is_thrown_away(tmp_path, damage):
    made = filled(tmp_path, [1, 2, 3])
    (file,) = made.folder.glob(f"*{ENDING}")
    file.write_bytes(damage(file.read_bytes()))
    again = Features(tmp_path, {"a": 1}, 5, "float32")
    assert again.find(content_keys([b"1", b"2", b"3"])).tolist() == [0, 1, 2]
    assert not file.exists()


def test_a_file_that_is_half_written_is_not_looked_at(tmp_path):
    made = filled(tmp_path, [1, 2, 3])
    (made.folder / "tmpabc.part").write_bytes(b"half")
    assert not len(Features(tmp_path, {"a": 1}, 5, "float32").find(content_keys([b"1"])))


def test_nothing_at_all(tmp_path):
    made = Features(tmp_path, {}, 5, "float32")
    made.add(iter([]))
    assert made.find(content_keys([])).tolist() == []
    assert made.rows(np.zeros(0, np.int64), 3).shape == (0, 3, 5)


def test_keys_that_end_in_zeros_are_told_apart():
    made = np.frombuffer(b"a" * 15 + b"\0" + b"a" * 14 + b"\0\0", "S16")
    assert made[0] != made[1]
