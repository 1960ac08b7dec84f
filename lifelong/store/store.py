"""A model as an append-only folder: objects named by their hash, numbered versions created only if absent."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from lifelong.core.errors import Conflict, ModelCorrupt, UsageError
from lifelong.store import folder as layout
from lifelong.store.documents import (
    ERASE,
    REPAIR,
    Reference,
    Version,
    decode,
    encode,
    encode_card,
    ended,
    references,
)
from lifelong.store.files import Files, remove_partial, write_partial, writing_errors
from lifelong.store.names import check_name
from lifelong.store.reading import Readable
from lifelong.store.repair import Damage, survey
from lifelong.store.verify import Problem, VerifyReport

__all__ = ["Damage", "Problem", "Reference", "Store", "VerifyReport", "Version"]

_NO_MODEL = "open the model, or create it again where there is none"
_NO_OBJECT = "no version refers to it; free space or mend the disk and try again"
_NO_COMMIT = "nothing was committed, and the versions before stand as they were; try again"
_UNSURE = "the version is there, but a power cut may take it; look at the log before you try again"


class Store(Readable):
    """The folder of one living model; the highest-numbered version is its state.

    Any number of processes may read and write it. The link of a version's file is the commit, the fsync after it the
    acknowledgement: what `put` and `commit` have returned survives a crash and, on a local disk, a power cut. Where the
    operating system fails, every method raises LifelongError.
    """

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
            if not store.link_new(encode_card(store.lineage), path / layout.CARD):
                raise UsageError(f"{path}: another process made a model here just now; open it")
            store._sync_root()
        return store

    # -- objects -----------------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> Reference:
        """Keep `data` for good and return what names it. Bytes that are there, and right, are not written again."""
        reference = Reference(hashlib.sha256(data).hexdigest(), len(data))
        target = layout.object_path(self.path, reference.sha256)
        with writing_errors(target, _NO_OBJECT):
            if not self._holds(reference) or not self._claimed(target):
                self.put_in_place(data, target)
            self.files.fsync_dir(target.parent)  # also where it was there: who wrote it may have died before this
        return reference

    # -- versions ----------------------------------------------------------------------------------------------------

    def commit(self, body: Mapping[str, Any], op: str, parent: Version | None, created: int) -> Version:
        """Make `body` the model's state, as the version after `parent` (None: the first); `created` in Unix seconds.

        Every object it refers to must be there: those that `parent` does not refer to are read and hashed. Raises
        Conflict where `parent` is not, or at the last moment no longer is, the newest; UsageError for a body that is no
        plain JSON or has no tasks; ConfigError for a bad name.
        """
        version, data = self._encoded(body, op, parent, created)
        self._check_newest(parent)
        self._check_objects(version, parent)
        return self._append(version, data)

    def rollback(self, to: int, created: int) -> Version:
        """A version with the body of version `to`: history only grows. Raises UsageError where `to` is the newest, or
        an erasure has ended it."""
        source, log = self.version(to), self.log()
        newest = log[-1]
        self._not_ended(source, log)
        if to == newest.number:
            raise UsageError(f"{self.path}: version {to} is the newest already")
        body = {key: value for key, value in source.body.items() if key not in (REPAIR, ERASE)}
        version, data = self._encoded(body, "rollback", newest, created, source.format)
        self._check_objects(version, newest)
        return self._append(version, data)

    def repair(self, to: int | None, created: int) -> tuple[Version | None, Damage]:
        """Where something is damaged, a version with the content of `to`, or of the newest one that is whole.

        It says which versions are given up, so that log, verify and gc go on. None where nothing is damaged. Raises
        UsageError where `to` is not whole, or where the newest version is and `to` is another: that is a rollback.
        """
        damage = survey(self.files, self.path, self.collected())
        source = damage.choose(to, self.path)
        if not damage:
            return None, damage
        self._not_ended(source, damage.readable.values())
        body = {**source.body, REPAIR: {"from": source.number, **damage.losses().as_dict()}}
        version, data = self._encoded(body, REPAIR, damage.newest, created, source.format)
        self._check_objects(version, None)
        return self._append(version, data), damage

    def _encoded(
        self,
        body: Mapping[str, Any],
        op: str,
        parent: Version | None,
        created: int,
        format: int | None = None,
    ) -> tuple[Version, bytes]:
        number = 1 if parent is None else parent.number + 1
        data = encode(parent, op, created, body, format)
        return decode(data, number, str(layout.version_path(self.path, number))), data

    def _append(self, version: Version, data: bytes) -> Version:
        number, target = version.number, layout.version_path(self.path, version.number)
        with writing_errors(target, _NO_COMMIT):
            self.files.fsync_dir(self.path / "objects")
            self.files.fsync_dir(target.parent)  # or a power cut could take the parent and leave its child
            if not self.link_new(data, target):
                raise Conflict(f"{self.path}: another process committed version {number} first; read it and try again")
        with writing_errors(target, _UNSURE):
            self.files.fsync_dir(target.parent)
            if number == 1:
                self._sync_root()
        return version

    def claim(self, version: Version) -> None:
        """Make every object of a version young, so that a gc leaves it. Raises ModelCorrupt where one is gone."""
        for reference in set(references(version.body)):
            with writing_errors(self.path / "objects", "try again"):
                self._claimed(layout.object_path(self.path, reference.sha256))
            layout.check_size(self.files, self.path, reference)

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
            self.files.touch(folder)  # a gc leaves the state of jobs that are at work
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

    def put_in_place(self, data: bytes, target: Path) -> None:
        """Write a file whole, in place of one that may be there. Raises OSError; its folder is not synced."""
        partial = write_partial(self.files, self._tmp(), data)
        try:
            self.files.rename(partial, target)
        except BaseException:
            remove_partial(self.files, partial)
            raise

    def link_new(self, data: bytes, target: Path) -> bool:
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

    def _claimed(self, target: Path) -> bool:
        """Whether a file that was there is as good as written just now: a gc leaves what is young, or became so."""
        try:
            self.files.touch(target)
        except (FileNotFoundError, PermissionError):
            return False  # a gc took it at this moment, or it is another user's: then it is written again
        return True

    def _not_ended(self, source: Version, versions: Iterable[Version]) -> None:
        """Raises UsageError where an erasure came after `source`: nothing after it may hold again what it took out."""
        if source.number in ended(versions):
            raise UsageError(
                f"{self.path}: version {source.number} is from before an erasure, so it cannot be the newest again; learn the "
                "tasks anew instead, or pin it for as long as it is there"
            )

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
                self._claim(reference)

    def _claim(self, reference: Reference) -> None:
        """Hash an object that a version is to refer to, and see that no gc takes it: it may have been garbage till now."""
        target = layout.object_path(self.path, reference.sha256)
        data = self.get(reference)
        with writing_errors(target, _NO_COMMIT):
            if not self._claimed(target):
                self.put_in_place(data, target)
