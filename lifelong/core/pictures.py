"""Pictures from files that nobody vouches for: known formats, bounded size, and one named reason where one cannot be used."""

import io
import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from lifelong.core.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_BYTES = 64 << 20
"""A larger file is not read."""
MAX_PIXELS = 64_000_000
"""A picture that says it has more is not decoded: some hundred bytes can unfold to gigabytes. The largest cameras of shops have
50 million, which unfold to 150 MB."""
MAX_SCANS = 100
"""Of a JPEG. A progressive one has about ten; each costs as much time as a whole picture and may be a few bytes long."""

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, ZeroDivisionError, struct.error)
"""What Pillow's decoders raise for bytes that are no whole picture."""


class Unreadable(DataError):
    """A picture cannot be used; `reason` is "missing", "not a picture", "too large" or "damaged"."""

    def __init__(self, what: str, reason: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}")
        self.reason = reason


def open_picture(path: str | Path) -> Image.Image:
    """The first frame of a picture file, upright, RGB, 8 bits a channel, what is transparent on white. Raises Unreadable."""
    return decode_picture(read_picture(path), str(path))


def read_picture(path: str | Path) -> bytes:
    """The bytes of a picture file. Raises Unreadable where there is none, or it is larger than MAX_BYTES."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(str(path), "missing", getattr(error, "strerror", None) or "is no path") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(str(path), "too large", f"has more than {MAX_BYTES >> 20} MB; make it smaller")
    return data


def decode_picture(data: bytes, what: str) -> Image.Image:
    """The picture that these bytes are, as `open_picture`; `what` is what an error calls it. Raises Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is the lower one
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise Unreadable(what, "not a picture", f"is none of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise Unreadable(what, "too large", f"has more than {MAX_PIXELS:,} pixels") from None
    except _BROKEN as error:
        raise Unreadable(what, "damaged", f"cannot be decoded: {error}") from None
    if picture.width * picture.height > MAX_PIXELS:
        raise Unreadable(what, "too large", f"has {picture.width} x {picture.height} pixels, more than {MAX_PIXELS:,}")
    if picture.format == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise Unreadable(what, "too large", f"has more than {MAX_SCANS} scans; save it again")
    try:
        return _on_white(ImageOps.exif_transpose(picture))
    except (*_BROKEN, MemoryError) as error:
        raise Unreadable(what, "damaged", f"cannot be decoded: {error}") from None


def _on_white(picture: Image.Image) -> Image.Image:
    if "transparency" not in picture.info and picture.mode not in ("RGBA", "LA", "PA"):
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
