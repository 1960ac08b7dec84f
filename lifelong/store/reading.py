"""The half of a store that changes nothing: versions, the chain of their hashes, objects, verify."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Self

from lifelong.core.config import suggest
from lifelong.core.errors import ModelCorrupt, UsageError
from lifelong.store import folder as layout
from lifelong.store.documents import COLLECTED_FILE, VERSION_FILE, Reference, Version, check_link, losses
from lifelong.store.files import Files
from lifelong.store.verify import VerifyReport, verify_folder


class Readable:
    """The folder of one living model, to be read; the highest-numbered version is its state.

    Where the operating system fails, every method raises LifelongError.
    """

    def __init__(self, path: Path, lineage: str, files: Files) -> None:
        self.path, self.lineage, self.files = path, lineage, files

    @classmethod
    def open(cls, path: str | Path, *, files: Files | None = None) -> Self:
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

    def get(self, reference: Reference) -> bytes:
        """An object's bytes. Raises ModelCorrupt, with expected and found, where size or hash differ."""
        return layout.read_object(self.files, self.path, reference.sha256, reference.bytes)

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
        """A version, its parent checked against the hash it names.

        Raises UsageError where there is no such number, or where a gc took its objects.
        """
        numbers = self.numbers()
        if number not in numbers:
            there = f"there is {numbers[0]} to {numbers[-1]}" if numbers else "there is none yet"
            raise UsageError(f"{self.path}: there is no version {number}; {there}")
        if number in self.collected():
            seconds = layout.read_collected(self.files, self.path, number)["collected"]
            day = time.strftime("%Y-%m-%d", time.gmtime(seconds))
            raise UsageError(f"{self.path}: version {number} was collected on {day}: its files are gone for good")
        return self._chained(number)

    def collected(self) -> set[int]:
        """The numbers of the versions whose objects a gc took: they stay in the log and cannot be opened."""
        names = layout.listing(self.files, self.path / "versions")
        return {int(name[:8]) for name in names if COLLECTED_FILE.fullmatch(name)}

    def log(self) -> list[Version]:
        """Every version, oldest first, but for those that a repair gave up as lost.

        Raises ModelCorrupt where the chain of hashes is broken anywhere else.
        """
        versions: list[Version] = []
        lost: dict[int, str | None] = {}
        for number in range(max(self.numbers(), default=0), 0, -1):
            if number not in lost:
                versions.insert(0, layout.read_version(self.files, self.path, number))
                lost.update(losses(versions[0]).lost)
        for parent, version in pairwise(versions):
            check_link(version, parent, lost, str(layout.version_path(self.path, parent.number)))
        return versions

    def verify(self) -> VerifyReport:
        """Read every file again and compare it with its name, its hash and the chain; see `verify_folder`."""
        return verify_folder(self.files, self.path)

    def _chained(self, number: int) -> Version:
        version = layout.read_version(self.files, self.path, number)
        lost = losses(version).lost
        above = next((n for n in range(number - 1, 0, -1) if n not in lost), None)
        if above is not None:
            try:
                parent = layout.read_version(self.files, self.path, above)
                check_link(version, parent, lost, str(layout.version_path(self.path, above)))
            except ModelCorrupt:
                if not any(above in losses(later).lost for later in self._later(number)):
                    raise
        return version

    def _later(self, number: int) -> Iterator[Version]:
        """The versions after a number, those that can be read: one of them may be a repair that speaks of it."""
        for later in self.numbers():
            if later > number:
                with suppress(ModelCorrupt):
                    yield layout.read_version(self.files, self.path, later)
