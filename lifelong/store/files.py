"""Every file operation of the store, one method each, so that a test can make the N-th one fail or be the last."""

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from lifelong.core.errors import LifelongError, ModelCorrupt, Unsupported

if sys.platform != "win32":
    import fcntl

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ONE_READ = 1 << 30
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_DAMAGE = {
    errno.ENOENT: "is missing",
    errno.ELOOP: "is a link, not a plain file",
    errno.ENXIO: "is not a plain file",
    errno.EISDIR: "is not a plain file",
    errno.ENOTDIR: "is missing",
    errno.EIO: "cannot be read: Input/output error",
}
"""What can go wrong with a file itself; anything else (too many open files, no permission) is no sign of damage."""


class Files:
    """The operating system's file operations, as the store uses them. All raise OSError."""

    def create(self, path: Path) -> int:
        """A descriptor of a file that did not exist, for writing; the file itself is read-only from the start."""
        return os.open(path, _CREATE, 0o444)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest[:_ONE_READ]) :]

    def fsync(self, descriptor: int) -> None:
        """Wait until the file's bytes would survive a power cut."""
        full = getattr(fcntl, "F_FULLFSYNC", None) if sys.platform != "win32" else None
        if full is None:
            os.fsync(descriptor)
        else:
            fcntl.fcntl(descriptor, full)  # on macOS fsync leaves the bytes in the drive's cache

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file, in place of one that may be there."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name. Raises FileExistsError where it is taken, Unsupported where there are no links."""
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno in _NO_LINKS:
                way_out = "a commit could be lost; put the model on another"
                raise Unsupported(f"{target.parent}: this file system has no hard links, so {way_out}") from error
            raise

    def same(self, one: Path, other: Path) -> bool:
        """Whether two names are one file."""
        return os.path.samestat(os.lstat(one), os.lstat(other))

    def look(self, path: Path) -> os.stat_result:
        """What the system knows of a name, not of what a link leads to."""
        return os.lstat(path)

    def touch(self, path: Path) -> None:
        """Make a file as young as one that was written just now: this is how a writer claims it before a gc."""
        os.utime(path)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        os.unlink(path)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all in it."""
        shutil.rmtree(path)

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        os.mkdir(path)

    def fsync_dir(self, path: Path) -> None:
        """Wait until the folder's names would survive a power cut (not on Windows, which has no such call)."""
        if sys.platform == "win32":
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def names(self, path: Path) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(os.listdir(path))

    def open_plain(self, path: Path) -> int:
        """A descriptor for reading. Follows no link and does not wait for a pipe's other end."""
        descriptor = os.open(path, _READ | getattr(os, "O_NONBLOCK", 0))
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EISDIR, "is not a plain file")

    def size(self, descriptor: int) -> int:
        """Bytes in an open file."""
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, count: int) -> bytes:
        """Up to `count` bytes; none at the end of the file."""
        return os.read(descriptor, min(count, _ONE_READ))

    def lock(self, path: Path, wait: float) -> int:
        """A descriptor that holds the lock until unlocked or dead. Raises TimeoutError after `wait` seconds."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _wait_for_lock(descriptor, time.monotonic() + wait)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def unlock(self, descriptor: int) -> None:
        """Give the lock back, also where a forked child still holds a copy of the descriptor."""
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def write_partial(files: Files, folder: Path, data: bytes) -> Path:
    """A file of `data` under a random name in `folder`, on the disk for good. Nothing is left where that fails.

    An fsync that failed is never tried again on the same file: the kernel may have thrown the bytes away (fsyncgate).
    """
    partial = folder / f"{token_hex(16)}.partial"
    descriptor = files.create(partial)
    try:
        try:
            files.write(descriptor, data)
            files.fsync(descriptor)
        finally:
            files.close(descriptor)
    except BaseException:
        remove_partial(files, partial)
        raise
    return partial


def remove_partial(files: Files, partial: Path) -> None:
    """Remove a file of tmp/; one that stays does no harm."""
    with suppress(OSError):
        files.unlink(partial)


def read_plain(files: Files, path: Path, size: int | None = None) -> bytes:
    """A plain file's bytes, in our own memory. Raises ModelCorrupt: missing, no plain file, not of `size` bytes."""
    try:
        descriptor = files.open_plain(path)
        try:
            found = files.size(descriptor)
            if size is not None and found != size:
                raise ModelCorrupt(f"{path}: has {found} bytes, expected {size}")
            return b"".join(_chunks(files, descriptor, found, path))
        finally:
            files.close(descriptor)
    except OSError as error:
        raise reading_error(path, error) from error


def reading_error(path: Path, error: OSError) -> LifelongError:
    """ModelCorrupt where the file itself is at fault, else LifelongError."""
    if error.errno in _DAMAGE:
        return ModelCorrupt(f"{path}: {_DAMAGE[error.errno]}")
    return LifelongError(f"{path}: cannot be read: {error.strerror or error}; nothing was changed")


@contextmanager
def writing_errors(path: Path, consequence: str) -> Iterator[None]:
    """Turn an OSError into a LifelongError of one line that says what became of the model."""
    try:
        yield
    except OSError as error:
        raise LifelongError(f"{path}: cannot be written: {error.strerror or error}; {consequence}") from error


def _chunks(files: Files, descriptor: int, size: int, path: Path) -> Iterator[bytes]:
    done = 0
    while done < size:
        chunk = files.read(descriptor, size - done)
        if not chunk:
            raise ModelCorrupt(f"{path}: ended after {done} of {size} bytes")
        done += len(chunk)
        yield chunk


def _wait_for_lock(descriptor: int, deadline: float) -> None:
    pause = 0.001
    while sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return  # a courtesy only: what a commit needs is the link
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() > deadline:
            raise TimeoutError("the lock is held by another process")
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
