"""Pictures of items as RGB, opened with limits: the format and the size are known before anything is decoded.

What a shop's partners upload may be a bomb (50,000 x 50,000 points in a few kilobytes), cut short, or another kind of file under
a picture's name. The format is told by the first bytes, never by the ending, and pixels are all that comes out: what a file
hides behind or beside its picture is read by nobody.
"""

import struct
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from lifelong.core.errors import DataError

MAX_PIXELS = 20_000_000
"""Of a picture; more than any shop shows, and 60 MB as RGB."""
MAX_BYTES = 64 << 20
"""Of a picture's file."""
MAX_SCANS = 100
"""Of a JPEG; a progressive one has about ten, and each costs as much as a whole picture."""
START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers that tell the size."""
LONE = {0x01, 0xFF, *range(0xD0, 0xDA)}
"""JPEG's markers (and fill bytes) without a length."""
RAISED = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError),
    *(AttributeError, AssertionError, ZeroDivisionError, RecursionError, MemoryError, NotImplementedError),
    Image.DecompressionBombError,
)
"""What Pillow's readers raise at files that are not what they should be."""


def open_picture(path: str | Path) -> Image.Image:
    """The picture as RGB, upright, on white where it is transparent; of an animation the first frame.

    JPEG, PNG, WEBP and GIF are read, up to MAX_PIXELS. Raises DataError naming the file and the reason for everything else.
    """
    data = _bytes(Path(path))
    format = _format(path, data)
    try:
        width, height = SIZES[format](data)
    except (struct.error, IndexError):
        raise DataError(f"{path}: is no whole {format}: its header is cut short") from None
    _check_size(path, width, height)
    if format == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise DataError(f"{path}: is a JPEG of more than {MAX_SCANS} scans; save it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd but readable; size is ours to judge
            with Image.open(BytesIO(data), formats=[format]) as image:
                _check_size(path, *image.size)  # a GIF's frame may be larger than its screen
                image.load()
                return _upright_rgb(image)
    except RAISED as error:
        raise DataError(f"{path}: cannot be read as {format}: {str(error) or type(error).__name__!s:.100}") from None


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES or not path.is_file():
            raise DataError(f"{path}: is no file of at most {MAX_BYTES:,} bytes; it has {size:,}")
        with open(path, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _format(path: str | Path, data: bytes) -> str:
    starts = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF"}
    found = next((name for start, name in starts.items() if data.startswith(start)), None)
    if found is None and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = "WEBP"
    if found is None:
        raise DataError(f"{path}: is {'empty' if not data else 'no JPEG, PNG, WEBP or GIF'}")
    return found


def _check_size(path: str | Path, width: int, height: int) -> None:
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise DataError(f"{path}: is {width} x {height}; a picture has 1 to {MAX_PIXELS:,} points, make it smaller")


def _upright_rgb(image: Image.Image) -> Image.Image:
    try:
        image = ImageOps.exif_transpose(image)
    except RAISED:  # the camera's notes are damaged; the picture may be whole
        image = image.copy()
    if image.mode.startswith("I"):  # 16 bits: Pillow itself would cut off all that is above 255
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    above = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise struct.error
    return _pair(">II", data, 16)


def _gif_size(data: bytes) -> tuple[int, int]:
    return _pair("<HH", data, 6)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Of the canvas, or of the one frame (RFC 9649)."""
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if data[12:16] != b"VP8 ":
        raise struct.error
    width, height = _pair("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Of the frame, which stands behind any number of segments (ITU-T T.81, B.2)."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in START_OF_FRAME:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 if marker in LONE else 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise struct.error


def _pair(layout: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, data, at)
    return int(first), int(second)


SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "PNG": _png_size,
    "GIF": _gif_size,
    "WEBP": _webp_size,
    "JPEG": _jpeg_size,
}
