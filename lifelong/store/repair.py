"""What is damaged in a model's folder, version by version, and which version is whole."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from lifelong.core.errors import ModelCorrupt, UsageError
from lifelong.store import folder as layout
from lifelong.store.documents import VERSION_FILE, Losses, Reference, Version, check_link, losses, references
from lifelong.store.files import Files

Read = TypeVar("Read")
NOWHERE = "0" * 64
"""Stands for the hash of a parent that cannot be read."""


@dataclass
class Damage:
    """Every version as it is: whole, lost (its file cannot be trusted), broken (an object is damaged), or collected.

    `given_up` are those among them that an earlier repair spoke of.
    """

    last: int = 0
    readable: dict[int, Version] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    """Number -> what is wrong with the version's file."""
    broken: dict[int, str] = field(default_factory=dict)
    """Number -> what is wrong with one of its objects."""
    collected: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool((self.lost.keys() | self.broken.keys()) - self.given_up)

    @property
    def whole(self) -> list[int]:
        """The numbers of the versions that can be opened, ascending."""
        return [n for n in sorted(self.readable) if n not in self.broken and n not in self.collected]

    @property
    def newest(self) -> Version:
        """What a repair is built on: the newest version, or a stand-in where it cannot be read."""
        return self.readable.get(self.last) or Version(self.last, NOWHERE, None, "", 0, {})

    def losses(self) -> Losses:
        """What a repair of this damage has to give up."""
        above = {n: self.readable[n - 1].sha256 if n - 1 in self.readable else None for n in self.lost}
        return Losses(above, frozenset(self.broken))

    def choose(self, to: int | None, path: Path) -> Version:
        """The version that a repair makes the newest again; see Store.repair."""
        wrong = {**self.lost, **self.broken, **dict.fromkeys(self.collected, "was collected")}
        if not self.whole:
            raise ModelCorrupt(
                f"{path}: no version is whole, there is nothing to repair it from: {wrong.get(self.last)}"
            )
        number = self.whole[-1] if to is None else to
        if number not in self.whole:
            reason = wrong.get(number, "there is no such version")
            raise UsageError(f"{path}: version {number} is not whole: {reason}; whole is {self.whole[-1]}")
        if self.whole[-1] == self.last != number:
            raise UsageError(f"{path}: version {self.last} is whole; to make {number} the newest, use rollback")
        return self.readable[number]


def survey(files: Files, path: Path, collected: set[int]) -> Damage:
    """Read every version, and hash every object that one refers to. Raises UsageError for a model without versions."""
    names = layout.listing(files, path / "versions")
    last = max((int(name[:8]) for name in names if VERSION_FILE.fullmatch(name)), default=0)
    if not last:
        raise UsageError(f"{path}: holds no version yet")
    damage = Damage(last, collected=collected)
    for number in range(1, last + 1):
        try:
            damage.readable[number] = _twice(partial(layout.read_version, files, path, number))
        except ModelCorrupt as error:
            damage.lost[number] = str(error)
    _check_chain(path, damage)
    _check_objects(files, path, damage)
    return damage


def _twice(read: Callable[[], Read]) -> Read:
    """Nothing is given up for an error of the disk that does not come again."""
    try:
        return read()
    except ModelCorrupt:
        return read()


def _check_chain(path: Path, damage: Damage) -> None:
    """A version that is not what the next one was built on is another's, or forged: it is lost."""
    known: dict[int, str | None] = {}
    for number in sorted(damage.readable, reverse=True):
        version, given = damage.readable[number], losses(damage.readable[number])
        known.update(given.lost)
        damage.given_up |= given.lost.keys() | given.broken
        above = next((n for n in range(number - 1, 0, -1) if n in damage.readable and n not in known), None)
        if above is not None and (above == number - 1 or number - 1 in known):
            try:
                check_link(version, damage.readable[above], known, str(layout.version_path(path, above)))
            except ModelCorrupt as error:
                damage.lost[above] = str(error)
    for number in known:
        damage.lost.setdefault(number, "was given up by a repair")
    for number in damage.lost:
        damage.readable.pop(number, None)


def _check_objects(files: Files, path: Path, damage: Damage) -> None:
    wrong: dict[Reference, str] = {}
    seen: set[Reference] = set()
    for number, version in damage.readable.items():
        if number in damage.collected:
            continue
        for reference in references(version.body):
            if reference not in seen:
                seen.add(reference)
                try:
                    _twice(partial(layout.read_object, files, path, reference.sha256, reference.bytes))
                except ModelCorrupt as error:
                    wrong[reference] = str(error)
            if reference in wrong:
                damage.broken.setdefault(number, wrong[reference])
