"""Reads every file of a model again and names each one that is not what it should be."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from lifelong.core.errors import ModelCorrupt
from lifelong.store.documents import (
    COLLECTED_FILE,
    OBJECT_FILE,
    VERSION_FILE,
    Reference,
    Version,
    check_link,
    decode_note,
    losses,
    references,
)
from lifelong.store.files import Files, read_plain
from lifelong.store.folder import (
    ALIASES,
    CARD,
    FOLDERS,
    check_folders,
    check_size,
    collected_path,
    listing,
    read_collected,
    read_lineage,
    read_object,
    read_version,
    version_path,
)
from lifelong.store.names import is_name

KNOWN = {CARD, *FOLDERS, ALIASES}


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file; its path is relative to the model's folder, with slashes."""

    file: str
    reason: str


@dataclass
class VerifyReport:
    """How many files were read and compared (card, versions, objects, notes), and what was found.

    `given_up` is not wrong: objects that a gc took on purpose, and what a repair has already said cannot be read. Nor is
    `unclaimed`, objects that no version refers to: a commit that was interrupted leaves some, but so does a newest version
    whose file somebody took away, which nothing else within the folder can tell.
    """

    checked: int = 0
    problems: list[Problem] = field(default_factory=list)
    given_up: list[Problem] = field(default_factory=list)
    unclaimed: list[str] = field(default_factory=list)


def verify_folder(files: Files, folder: Path) -> VerifyReport:
    """Every version, the chain, every object: missing, wrong size, wrong hash, no plain file, unexpected.

    Objects that no version refers to may be there, but are hashed too. What lies in tmp/ and resume/ is nobody's
    concern. Raises Unsupported, and LifelongError where it is not the file's fault that it cannot be read.
    """
    scan = _Scan(files, folder)
    for step in (scan.folders, scan.card, scan.versions, scan.chain, scan.objects, scan.aliases):
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
        self.lost: dict[int, str | None] = {}
        self.without: set[int] = set()
        """Versions that may lack objects: collected by a gc, or given up by a repair."""

    def note(self, error: ModelCorrupt, given_up: bool = False) -> None:
        """An error says `path: reason`."""
        path, _, reason = str(error).removeprefix(f"{self.folder}/").partition(": ")
        self._add(path, reason, given_up)

    def folders(self) -> None:
        check_folders(self.folder)

    def card(self) -> None:
        for name in listing(self.files, self.folder):
            if name not in KNOWN:
                self._add(name, "is unexpected")
        self.report.checked += 1
        read_lineage(self.files, self.folder)

    def versions(self) -> None:
        numbers, collected = [], []
        for name in listing(self.files, self.folder / "versions"):
            if VERSION_FILE.fullmatch(name) and int(name[:8]) > 0:
                numbers.append(int(name[:8]))
            elif COLLECTED_FILE.fullmatch(name):
                collected.append(int(name[:8]))
            else:
                self._add(f"versions/{name}", "is unexpected")
        unreadable = [(number, error) for number in reversed(numbers) if (error := self._version(number))]
        for number, error in reversed(unreadable):
            self.note(error, given_up=number in self.lost)
        for before, number in zip([0, *numbers], numbers, strict=False):
            if missing := [n for n in range(before + 1, number) if n not in self.lost]:
                gap = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
                self._add(f"versions/{version_path(self.folder, missing[0]).name}", f"is missing{gap}")
        for number in collected:
            self._collected(number)

    def chain(self) -> None:
        whole = [number for number in sorted(self.read) if number not in self.lost]
        for above, number in pairwise(whole):
            if all(n in self.lost for n in range(above + 1, number)):
                try:
                    check_link(self.read[number], self.read[above], self.lost, str(version_path(self.folder, above)))
                except ModelCorrupt as error:
                    self.note(error)

    def objects(self) -> None:
        found = set(listing(self.files, self.folder / "objects"))
        wanted: dict[str, set[Reference]] = {}
        needed: set[Reference] = set()
        for number, version in self.read.items():
            for reference in references(version.body):
                wanted.setdefault(reference.sha256, set()).add(reference)
                if number not in self.without and number not in self.lost:
                    needed.add(reference)
        for name in sorted(name for name in found if not OBJECT_FILE.fullmatch(name)):
            self._add(f"objects/{name}", "is unexpected")
            found.remove(name)
        self.report.unclaimed = [f"objects/{name}" for name in sorted(found - wanted.keys())]
        for sha256 in sorted(found | wanted.keys()):
            self.report.checked += 1
            try:
                for reference in wanted.get(sha256, ()):
                    check_size(self.files, self.folder, reference)
                read_object(self.files, self.folder, sha256)
            except ModelCorrupt as error:
                unneeded = sha256 in wanted and not wanted[sha256] & needed
                self.note(error, given_up=unneeded)

    def aliases(self) -> None:
        if not (self.folder / ALIASES).exists():
            return
        for name in listing(self.files, self.folder / ALIASES):
            path = self.folder / ALIASES / name
            if not is_name(name):
                self._add(f"{ALIASES}/{name}", "is unexpected")
                continue
            self.report.checked += 1
            try:
                note = decode_note(read_plain(self.files, path), str(path))
                version = self.read.get(note["v"])
                if version is None or version.sha256 != note["sha256"] or note["v"] in self.without | self.lost.keys():
                    self._add(f"{ALIASES}/{name}", f"names version {note['v']}, which is not there; pin another")
            except ModelCorrupt as error:
                self.note(error)

    def _version(self, number: int) -> ModelCorrupt | None:
        self.report.checked += 1
        try:
            version = read_version(self.files, self.folder, number)
        except ModelCorrupt as error:
            return error
        self.read = {number: version, **self.read}
        self.lost.update(losses(version).lost)
        self.without |= losses(version).broken
        return None

    def _collected(self, number: int) -> None:
        self.report.checked += 1
        try:
            note = read_collected(self.files, self.folder, number)
        except ModelCorrupt as error:
            self.note(error)
            return
        if number in self.read and note["sha256"] != self.read[number].sha256:
            self._add(f"versions/{collected_path(self.folder, number).name}", f"is not of version {number}")
            return
        self.without.add(number)

    def _add(self, file: str, reason: str, given_up: bool = False) -> None:
        (self.report.given_up if given_up else self.report.problems).append(Problem(file, reason))
