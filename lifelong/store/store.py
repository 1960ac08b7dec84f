"""A model as an append-only folder: objects named by their hash, numbered versions created only if absent."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from typing import Any

from lifelong.core.config import suggest
from lifelong.core.errors import Conflict, ModelCorrupt, UsageError
from lifelong.store import folder as layout
from lifelong.store.documents import (
    VERSION_FILE,
    Reference,
    Version,
    check_link,
    decode,
    encode,
    encode_card,
    references,
)
from lifelong.store.files import Files, remove_partial, write_partial, writing_errors
from lifelong.store.names import check_name
from lifelong.store.verify import Problem, VerifyReport, verify_folder

__all__ = ["Problem", "Reference", "Store", "VerifyReport", "Version"]

_NO_MODEL = "open the model, or create it again where there is none"
_NO_OBJECT = "no version refers to it; free space or mend the disk and try again"
_NO_COMMIT = "nothing was committed, and the versions before stand as they were; try again"
_UNSURE = "the version is there, but a power cut may take it; look at the log before you try again"


class Store:
    """The folder of one living model; the highest-numbered version is its state.

    Any number of processes may read and write it. The link of a version's file is the commit, the fsync after it the
    acknowledgement: what `put` and `commit` have returned survives a crash and, on a local disk, a power cut. Where the
    operating system fails, every method raises LifelongError.
    """

    def __init__(self, path: Path, lineage: str, files: Files) -> None:
        self.path, self.lineage, self.files = path, lineage, files

    @classmethod
    def create(cls, path: str | Path, *, files: Files | None = None) -> "Store":
        """An empty model in a folder that is empty or absent; a making that was interrupted is completed.

        Raises UsageError for a folder that holds anything else.
        """
        path = Path(path)
        store = cls(path, str(uuid.uuid4()), files or Files())
        layout.refuse_full(path)
        with writing_errors(path, _NO_MODEL):
            layout.make_folders(store.files, path)
            if not store._link_new(encode_card(store.lineage), path / layout.CARD):
                raise UsageError(f"{path}: another process made a model here just now; open it")
            store._sync_root()
        return store

    @classmethod
    def open(cls, path: str | Path, *, files: Files | None = None) -> "Store":
        """The model at `path`. Raises UsageError where there is none, Unsupported for a later format, ModelCorrupt."""
        path, files = Path(path), files or Files()
        if not path.is_dir():
            raise UsageError(f"{path}: there is no model{suggest(path.name, layout.models_beside(path))}")
        if layout.CARD not in layout.listing(files, path):
            beside = suggest(path.name, layout.models_beside(path))
            raise UsageError(f"{path}: is no model, {layout.CARD} is missing{beside}")
        lineage = layout.read_lineage(files, path)
        layout.check_folders(path)
        return cls(path, lineage, files)

    # -- objects -----------------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> Reference:
        """Keep `data` for good and return what names it. Bytes that are there, and right, are not written again."""
        reference = Reference(hashlib.sha256(data).hexdigest(), len(data))
        target = layout.object_path(self.path, reference.sha256)
        with writing_errors(target, _NO_OBJECT):
            if not self._holds(reference):
                self._write_object(data, target)
            self.files.fsync_dir(target.parent)  # also where it was there: who wrote it may have died before this
        return reference

    def get(self, reference: Reference) -> bytes:
        """An object's bytes. Raises ModelCorrupt, with expected and found, where size or hash differ."""
        return layout.read_object(self.files, self.path, reference.sha256, reference.bytes)

    # -- versions ----------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """The numbers of the versions, ascending."""
        names = layout.listing(self.files, self.path / "versions")
        return [int(name[:8]) for name in names if VERSION_FILE.fullmatch(name)]

    def newest(self) -> Version:
        """The model's state. Raises UsageError for none, ModelCorrupt for a damaged one: it is never passed over."""
        numbers = self.numbers()
        if not numbers:
            raise UsageError(f"{self.path}: holds no version yet")
        return self._chained(numbers[-1])

    def version(self, number: int) -> Version:
        """A version, its parent checked against the hash it names. Raises UsageError where there is no such number."""
        numbers = self.numbers()
        if number not in numbers:
            there = f"there is {numbers[0]} to {numbers[-1]}" if numbers else "there is none yet"
            raise UsageError(f"{self.path}: there is no version {number}; {there}")
        return self._chained(number)

    def log(self) -> list[Version]:
        """Every version, oldest first. Raises ModelCorrupt where the chain of hashes is broken anywhere."""
        last = max(self.numbers(), default=0)
        versions = [layout.read_version(self.files, self.path, number) for number in range(1, last + 1)]
        for parent, version in pairwise(versions):
            check_link(version, parent, str(layout.version_path(self.path, parent.number)))
        return versions

    def commit(self, body: Mapping[str, Any], op: str, parent: Version | None, created: int) -> Version:
        """Make `body` the model's state, as the version after `parent` (None: the first); `created` in Unix seconds.

        Every object it refers to must be there: those that `parent` does not refer to are read and hashed. Raises
        Conflict where `parent` is not, or at the last moment no longer is, the newest; UsageError for a body that is no
        plain JSON or has no tasks; ConfigError for a bad name.
        """
        number = 1 if parent is None else parent.number + 1
        target = layout.version_path(self.path, number)
        data = encode(parent, op, created, body)
        version = decode(data, number, str(target))
        self._check_newest(parent)
        self._check_objects(version, parent)
        with writing_errors(target, _NO_COMMIT):
            self.files.fsync_dir(self.path / "objects")
            self.files.fsync_dir(target.parent)  # or a power cut could take the parent and leave its child
            if not self._link_new(data, target):
                raise Conflict(f"{self.path}: another process committed version {number} first; read it and try again")
        with writing_errors(target, _UNSURE):
            self.files.fsync_dir(target.parent)
            if parent is None:
                self._sync_root()
        return version

    def rollback(self, to: int, created: int) -> Version:
        """A version with the body of version `to`: history only grows. Raises UsageError where `to` is the newest."""
        self.version(to)
        versions = self.log()
        if to == versions[-1].number:
            raise UsageError(f"{self.path}: version {to} is the newest already")
        return self.commit(versions[to - 1].body, "rollback", versions[-1], created)

    def verify(self) -> VerifyReport:
        """Read every file again and compare it with its name, its hash and the chain; see `verify_folder`."""
        return verify_folder(self.files, self.path)

    # -- working together --------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, wait: float = 300.0) -> Iterator[None]:
        """Hold the writers' lock, so that others wait rather than meet a Conflict; a process that dies releases it.

        A courtesy: no commit depends on it. Not to be nested. Raises Conflict after `wait` seconds.
        """
        lock = self.path / "tmp" / "lock"
        with writing_errors(lock, _NO_COMMIT):
            try:
                descriptor = self.files.lock(self._tmp() / lock.name, wait)
            except TimeoutError:
                raise Conflict(f"{self.path}: others have been writing for {wait:g} s; try again later") from None
        try:
            yield
        finally:
            self.files.unlock(descriptor)

    def resume_folder(self, job: str) -> Path:
        """The folder, made if absent, of an unfinished job's training state. Raises ConfigError for a bad name."""
        folder = self.path / "resume" / check_name(job)
        with writing_errors(folder, "start the job again"):
            layout.make_folder(self.files, folder)
        return folder

    def clear_resume(self, job: str) -> None:
        """Remove a job's training state, at once for whoever looks; nothing happens where there is none."""
        folder = self.path / "resume" / check_name(job)
        if folder.is_dir():
            with writing_errors(folder, "remove the folder by hand"):
                doomed = self._tmp() / f"{token_hex(16)}.partial"
                self.files.rename(folder, doomed)
                self.files.remove_tree(doomed)

    # -- within ------------------------------------------------------------------------------------------------------

    def _tmp(self) -> Path:
        layout.make_folder(self.files, self.path / "tmp")  # a copy of the model may have left the empty folder out
        return self.path / "tmp"

    def _holds(self, reference: Reference) -> bool:
        try:
            self.get(reference)
        except ModelCorrupt:
            return False
        return True

    def _write_object(self, data: bytes, target: Path) -> None:
        partial = write_partial(self.files, self._tmp(), data)
        try:
            self.files.rename(partial, target)
        except BaseException:
            remove_partial(self.files, partial)
            raise

    def _link_new(self, data: bytes, target: Path) -> bool:
        """Create `target` whole, at once, and only if it is absent; whether that was so."""
        partial = write_partial(self.files, self._tmp(), data)
        try:
            self.files.link(partial, target)
        except FileExistsError:
            return self.files.same(partial, target)  # over NFS a link can succeed and yet report that the name is taken
        finally:
            remove_partial(self.files, partial)
        return True

    def _sync_root(self) -> None:
        self.files.fsync_dir(self.path)
        layout.sync_parent(self.files, self.path)

    def _chained(self, number: int) -> Version:
        version = layout.read_version(self.files, self.path, number)
        if number > 1:
            parent = layout.read_version(self.files, self.path, number - 1)
            check_link(version, parent, str(layout.version_path(self.path, number - 1)))
        return version

    def _check_newest(self, parent: Version | None) -> None:
        number = max(self.numbers(), default=0)
        if number != (0 if parent is None else parent.number) or (
            parent is not None and self._chained(number).sha256 != parent.sha256
        ):
            raise Conflict(f"{self.path}: version {number} was committed meanwhile; read it and try again")

    def _check_objects(self, version: Version, parent: Version | None) -> None:
        """The parent's objects were hashed when it was committed and by whoever loaded it; others are hashed here."""
        known = set() if parent is None else set(references(parent.body))
        for reference in set(references(version.body)):
            if reference in known:
                layout.check_size(self.files, self.path, reference)
            else:
                self.get(reference)
