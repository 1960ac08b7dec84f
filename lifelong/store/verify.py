"""Reads every file of a model again and names each one that is not what it should be."""

from dataclasses import dataclass, field
from pathlib import Path

from lifelong.core.errors import ModelCorrupt
from lifelong.store.documents import OBJECT_FILE, VERSION_FILE, Reference, Version, check_link, references
from lifelong.store.files import Files
from lifelong.store.folder import (
    CARD,
    FOLDERS,
    check_folders,
    check_size,
    listing,
    read_lineage,
    read_object,
    read_version,
    version_path,
)

KNOWN = {CARD, *FOLDERS, "aliases"}


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file; its path is relative to the model's folder, with slashes."""

    file: str
    reason: str


@dataclass
class VerifyReport:
    """How many files were read and compared (card, versions, objects), and what was found."""

    checked: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify_folder(files: Files, folder: Path) -> VerifyReport:
    """Every version, the chain, every object: missing, wrong size, wrong hash, no plain file, unexpected.

    Objects that no version refers to are what an interrupted commit leaves: they may be there, but are hashed too. What
    lies in tmp/ and resume/ is nobody's concern. Raises Unsupported, and LifelongError where it is not the file's fault
    that it cannot be read.
    """
    scan = _Scan(files, folder)
    for step in (scan.folders, scan.card, scan.versions, scan.chain, scan.objects):
        try:
            step()
        except ModelCorrupt as error:
            scan.note(error)
    return scan.report


class _Scan:
    def __init__(self, files: Files, folder: Path) -> None:
        self.files, self.folder = files, folder
        self.report = VerifyReport()
        self.read: dict[int, Version] = {}

    def note(self, error: ModelCorrupt) -> None:
        """An error says `path: reason`."""
        path, _, reason = str(error).removeprefix(f"{self.folder}/").partition(": ")
        self._add(path, reason)

    def folders(self) -> None:
        check_folders(self.folder)

    def card(self) -> None:
        for name in listing(self.files, self.folder):
            if name not in KNOWN:
                self._add(name, "is unexpected")
        self.report.checked += 1
        read_lineage(self.files, self.folder)

    def versions(self) -> None:
        numbers = []
        for name in listing(self.files, self.folder / "versions"):
            if VERSION_FILE.fullmatch(name) and int(name[:8]) > 0:
                numbers.append(int(name[:8]))
            else:
                self._add(f"versions/{name}", "is unexpected")
        for before, number in zip([0, *numbers], numbers, strict=False):
            if number > before + 1:
                gap = f" (and {number - before - 2} more)" if number > before + 2 else ""
                self._add(f"versions/{version_path(self.folder, before + 1).name}", f"is missing{gap}")
            self._version(number)

    def chain(self) -> None:
        for number, version in self.read.items():
            if number - 1 in self.read:
                try:
                    check_link(version, self.read[number - 1], str(version_path(self.folder, number - 1)))
                except ModelCorrupt as error:
                    self.note(error)

    def objects(self) -> None:
        found = set(listing(self.files, self.folder / "objects"))
        wanted: dict[str, set[Reference]] = {}
        for reference in (r for version in self.read.values() for r in references(version.body)):
            wanted.setdefault(reference.sha256, set()).add(reference)
        for name in sorted(name for name in found if not OBJECT_FILE.fullmatch(name)):
            self._add(f"objects/{name}", "is unexpected")
            found.remove(name)
        for sha256 in sorted(found | wanted.keys()):
            self.report.checked += 1
            try:
                for reference in wanted.get(sha256, ()):
                    check_size(self.files, self.folder, reference)
                read_object(self.files, self.folder, sha256)
            except ModelCorrupt as error:
                self.note(error)

    def _version(self, number: int) -> None:
        self.report.checked += 1
        try:
            self.read[number] = read_version(self.files, self.folder, number)
        except ModelCorrupt as error:
            self.note(error)

    def _add(self, file: str, reason: str) -> None:
        self.report.problems.append(Problem(file, reason))
