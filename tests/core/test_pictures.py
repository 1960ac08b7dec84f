"""Pictures of any sort become RGB; what is none is refused with one of four reasons."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from lifelong.core import pictures
from lifelong.core.errors import DataError
from lifelong.core.pictures import Unreadable, open_picture


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp"])
def test_every_mode_becomes_rgb(mode, ending, tmp_path):
    path = tmp_path / f"p.{ending}"
    try:
        Image.new(mode, (5, 3)).save(path)
    except (OSError, ValueError, KeyError):
        pytest.skip("the format has no such mode")
    picture = open_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (5, 3))


def test_what_is_transparent_is_white(tmp_path):
    Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0]]], np.uint8)).save(tmp_path / "p.png")
    assert np.asarray(open_picture(tmp_path / "p.png")).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def bomb(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a picture"),
        (b"<svg>", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (bomb(60_000, 60_000), "too large"),
        (bomb(9_000, 9_000), "too large"),
        (bomb(9, 9), "damaged"),
        (bomb(0, 0), "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data, reason, tmp_path):
    (tmp_path / "p.png").write_bytes(data)
    with pytest.raises(Unreadable) as error:
        open_picture(tmp_path / "p.png")
    assert error.value.reason in (reason, "not a picture")
    assert "\n" not in str(error.value)


def test_damage_anywhere_is_no_crash(tmp_path):
    draw = np.random.default_rng(0)
    for ending in ("png", "jpg", "webp", "gif"):
        path = tmp_path / f"p.{ending}"
        Image.fromarray(draw.integers(0, 255, (20, 20, 3), np.uint8)).save(path)
        data = path.read_bytes()
        for place in range(0, len(data), max(1, len(data) // 40)):
            for changed in (data[:place], data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :]):
                path.write_bytes(changed)
                with suppress(DataError):
                    open_picture(path)


def test_a_missing_or_huge_file(tmp_path, monkeypatch):
    for path in (tmp_path / "nothing.png", tmp_path, "a\0b"):
        with pytest.raises(Unreadable) as error:
            open_picture(path)
        assert error.value.reason == "missing"
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    (tmp_path / "p.png").write_bytes(b"0" * 11)
    with pytest.raises(Unreadable, match="MB") as error:
        open_picture(tmp_path / "p.png")
    assert error.value.reason == "too large"


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    path = tmp_path / "p.jpg"
    Image.new("RGB", (8, 8)).save(path, progressive=True)
    assert open_picture(path).size == (8, 8)
    path.write_bytes(path.read_bytes()[:-2] + b"\xff\xda\x00\x02" * pictures.MAX_SCANS + b"\xff\xd9")
    with pytest.raises(Unreadable, match="scans") as error:
        open_picture(path)
    assert error.value.reason == "too large"


def test_a_photograph_that_lies_on_its_side_is_turned_upright(tmp_path):
    picture, turned = Image.new("RGB", (6, 3)), Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "p.jpg", exif=turned)
    assert open_picture(tmp_path / "p.jpg").size == (3, 6)
