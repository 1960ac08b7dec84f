"""Where things lie in a model's folder, and reading them with every check."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lifelong.core.errors import ModelCorrupt, UsageError
from lifelong.store.documents import Reference, Version, decode, decode_card, decode_note
from lifelong.store.files import Files, read_plain, reading_error

CARD = "lifelong.json"
FOLDERS = ("objects", "versions", "resume", "tmp")
ALIASES = "aliases"
"""Made with the first alias."""


def object_path(folder: Path, sha256: str) -> Path:
    """Where an object lies."""
    return folder / "objects" / sha256


def version_path(folder: Path, number: int) -> Path:
    """Where a version lies."""
    return folder / "versions" / f"{number:08d}.json"


def collected_path(folder: Path, number: int) -> Path:
    """Where the note lies that a gc leaves of a version whose objects it took."""
    return folder / "versions" / f"{number:08d}.collected"


def listing(files: Files, folder: Path) -> list[str]:
    """The names in a folder of the model, sorted. Raises ModelCorrupt where it is missing."""
    try:
        return files.names(folder)
    except OSError as error:
        raise reading_error(folder, error) from error


def check_folders(folder: Path) -> None:
    """Raises ModelCorrupt unless objects/ and versions/ are folders of the model itself: a link could lead anywhere."""
    for path in (folder / "objects", folder / "versions"):
        if path.is_symlink() or not path.is_dir():
            raise ModelCorrupt(f"{path}: {'is no folder' if os.path.lexists(path) else 'is missing'}")


def read_lineage(files: Files, folder: Path) -> str:
    """The lineage in lifelong.json. Raises ModelCorrupt or Unsupported."""
    return decode_card(read_plain(files, folder / CARD), str(folder / CARD))


def read_version(files: Files, folder: Path, number: int) -> Version:
    """A version, checked against its own hash but not its parent's. Raises ModelCorrupt, Unsupported."""
    path = version_path(folder, number)
    return decode(read_plain(files, path), number, str(path))


def read_collected(files: Files, folder: Path, number: int) -> dict[str, Any]:
    """The note of a collected version: {v, sha256, collected (Unix seconds)}. Raises ModelCorrupt."""
    path = collected_path(folder, number)
    note = decode_note(read_plain(files, path), str(path))
    if note["v"] != number or type(note.get("collected")) is not int:
        raise ModelCorrupt(f"{path}: is a note of version {note['v']}")
    return note


def read_object(files: Files, folder: Path, sha256: str, size: int | None = None) -> bytes:
    """An object's bytes. Raises ModelCorrupt, with expected and found size or hash, unless they are the ones named."""
    path = object_path(folder, sha256)
    data = read_plain(files, path, size)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelCorrupt(f"{path}: expected sha256 {sha256}, found {found}")
    return data


def check_size(files: Files, folder: Path, reference: Reference) -> None:
    """Raises ModelCorrupt unless there is a plain file of the right size; its bytes are not read."""
    path = object_path(folder, reference.sha256)
    try:
        descriptor = files.open_plain(path)
        try:
            found = files.size(descriptor)
        finally:
            files.close(descriptor)
    except OSError as error:
        raise reading_error(path, error) from error
    if found != reference.bytes:
        raise ModelCorrupt(f"{path}: has {found} bytes, expected {reference.bytes}")


def make_folders(files: Files, folder: Path) -> None:
    """A model's folder with everything but its card, on the disk for good. Raises OSError."""
    for path in (folder, *(folder / name for name in FOLDERS)):
        make_folder(files, path)
    files.fsync_dir(folder)


def make_folder(files: Files, path: Path) -> None:
    """A folder and those above it, where they are absent. Raises OSError."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(files, path.parent)
    try:
        files.mkdir(path)
    except FileExistsError:
        if not path.is_dir():
            raise
    sync_parent(files, path)


def sync_parent(files: Files, path: Path) -> None:
    """Make a folder's own name last; the folder above may be one that we are not allowed to read."""
    with suppress(PermissionError):
        files.fsync_dir(path.parent)


def refuse_full(folder: Path) -> None:
    """Raises UsageError unless `folder` is absent, empty, or what an interrupted making left behind."""
    if os.path.lexists(folder / CARD):
        raise UsageError(f"{folder}: there is a model already; open it, or choose another folder")
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; choose another folder")
    if folder.is_dir():
        for path in _readable(folder):
            harmless = path.name in FOLDERS and path.is_dir() and not path.is_symlink()
            if not harmless or (path.name != "tmp" and any(_readable(path))):
                raise UsageError(f"{folder}: is not empty, it holds {path.name!r:.80}; choose another folder")


def models_beside(folder: Path) -> list[str]:
    """The names of the models in the same place."""
    with suppress(OSError):
        return [path.name for path in folder.parent.iterdir() if (path / CARD).exists()]
    return []


def _readable(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}; choose another folder") from None
