"""The JSON files of a model folder: versions, each chained to its parent by hash, and small sealed notes beside them."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lifelong.core.errors import ModelCorrupt, Unsupported, UsageError
from lifelong.core.fingerprint import canonical_json, json_hash
from lifelong.store.names import check_name, is_name

FORMAT = 1
"""The format that this release writes, and the newest it reads."""
VERSION_FILE = re.compile(r"[0-9]{8}\.json")
COLLECTED_FILE = re.compile(r"[0-9]{8}\.collected")
OBJECT_FILE = re.compile(r"[0-9a-f]{64}")
REPAIR = "repair"
"""The op of a version that gives damaged ones up, and the entry of its body that says which; see Losses."""
ERASE = "erase"
"""The op of a version that ends others because people were taken out, and the entry of its body that says which tasks."""
_NUMBER = re.compile(r"[1-9][0-9]{0,7}")
_FIELDS = {"format", "min_reader", "v", "parent", "op", "created", "body"}


@dataclass(frozen=True)
class Reference:
    """A file of a version: the SHA-256 (hex) of its bytes and their number. Raises ModelCorrupt for anything else."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not (isinstance(self.sha256, str) and OBJECT_FILE.fullmatch(self.sha256) and _is_count(self.bytes)):
            raise ModelCorrupt(f"{self.sha256!a:.80} of {self.bytes!a:.30} bytes is no reference to an object")

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a version's body: exactly the keys sha256 and bytes, by which the store finds it."""
        return {"sha256": self.sha256, "bytes": self.bytes}


@dataclass(frozen=True)
class Version:
    """One state of the model. `sha256` covers everything below the file's first line; `created` is in Unix seconds."""

    number: int
    sha256: str
    parent_sha256: str | None
    op: str
    created: int
    body: dict[str, Any]
    format: int = FORMAT
    """That of its file, and so of the body and of what it refers to."""


@dataclass(frozen=True)
class Losses:
    """What a repair gives up: versions that cannot be read, and versions of which an object is damaged.

    `lost` is number -> hash of the version before it (None: that one is lost, too), so that the chain goes on across it.
    """

    lost: Mapping[int, str | None]
    broken: frozenset[int]

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the body of a repair."""
        return {"lost": {str(number): above for number, above in self.lost.items()}, "broken": sorted(self.broken)}


NO_LOSSES = Losses({}, frozenset())


def losses(version: Version) -> Losses:
    """What a version gives up: nothing, unless it is a repair. Raises ModelCorrupt for a malformed list."""
    if version.op != REPAIR:
        return NO_LOSSES
    given = version.body.get(REPAIR)
    lost, broken = (given.get("lost"), given.get("broken")) if isinstance(given, dict) else (None, None)
    if not isinstance(lost, dict) or not isinstance(broken, list):
        raise ModelCorrupt(f"version {version.number} is a repair and does not say of what")
    numbers = [*(int(key) if _NUMBER.fullmatch(key) else 0 for key in lost), *broken]
    hashes = [above for above in lost.values() if above is not None]
    if not all(_is_count(number) and 0 < number < version.number for number in numbers) or not all(
        isinstance(above, str) and OBJECT_FILE.fullmatch(above) for above in hashes
    ):
        raise ModelCorrupt(f"version {version.number} is a repair of versions that were not there")
    return Losses({int(key): above for key, above in lost.items()}, frozenset(broken))


def due(version: Version) -> int:
    """Until when (Unix seconds) the versions before an erasure may be opened. Raises ModelCorrupt where it does not say so."""
    given = version.body.get(ERASE)
    until = given.get("purge_after") if isinstance(given, dict) else None
    if until is None or not _is_count(until):
        raise ModelCorrupt(f"version {version.number} is an erasure and does not say until when others stay")
    return int(until)


def ended(versions: Iterable[Version], now: float | None = None) -> set[int]:
    """The numbers of the versions that an erasure after them has ended; with `now`, those alone whose time is over."""
    read = list(versions)
    last = max((v.number for v in read if v.op == ERASE and (now is None or due(v) <= now)), default=0)
    return {v.number for v in read if v.number < last}


def references(document: Any) -> Iterator[Reference]:
    """Every reference in plain JSON, wherever it stands. Raises ModelCorrupt for a malformed one."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if part is None or isinstance(part, (str, int, float)):
            continue
        if isinstance(part, Mapping) and part.keys() == {"sha256", "bytes"}:
            yield Reference(**part)
        elif isinstance(part, Mapping):
            waiting.extend(reversed(list(part.values())))
        elif isinstance(part, (list, tuple)):
            waiting.extend(reversed(part))


def encode(parent: Version | None, op: str, created: int, body: Mapping[str, Any], format: int | None = None) -> bytes:
    """The bytes of the version after `parent`; `format` is the body's, by default this release's.

    Raises UsageError for a body that is no plain JSON or has no tasks.
    """
    format = FORMAT if format is None else format
    tasks = body.get("tasks") if isinstance(body, Mapping) else None
    if not isinstance(tasks, Mapping) or not isinstance(body.get("files", {}), Mapping):
        raise UsageError("a version's body needs a mapping 'tasks'; 'files', where it is there, is one too")
    for name in (op, *tasks):
        check_name(name)
    if not _is_count(created):
        raise UsageError(f"created is {created!r:.40}, it must be whole seconds since 1970")
    document = {
        "format": format,
        "min_reader": format,
        "v": 1 if parent is None else parent.number + 1,
        "parent": None if parent is None else {"v": parent.number, "sha256": parent.sha256},
        "op": op,
        "created": created,
        "body": body,
    }
    try:
        return seal(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"a version's body must be plain JSON: {error}") from None


def seal(document: Any) -> bytes:
    """A document as a file: the SHA-256 of the rest in the first line, then canonical JSON."""
    rest = canonical_json(document) + b"\n"
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def decode(data: bytes, number: int, where: str) -> Version:
    """The version in a file's bytes. Raises ModelCorrupt naming `where`, or Unsupported."""
    sha256, document = unseal(data, where)
    _check_fields(document, number, where)
    parent = document["parent"]
    above = None if parent is None else parent["sha256"]
    version = Version(number, sha256, above, document["op"], document["created"], document["body"], document["format"])
    try:
        list(references(version.body))
        losses(version)
    except ModelCorrupt as error:
        raise ModelCorrupt(f"{where}: {error}") from None
    return version


def check_link(version: Version, parent: Version, lost: Mapping[int, str | None], where: str) -> None:
    """Raises ModelCorrupt, naming the parent's file `where`, unless `parent` is what `version` was built on.

    Where versions between them were lost, the repair that gave them up tells the hash.
    """
    above = parent.number + 1
    expected = version.parent_sha256 if above == version.number else lost.get(above)
    if expected != parent.sha256:
        raise ModelCorrupt(
            f"{where}: is not what version {above} was built on: expected sha256 {expected}, found {parent.sha256}"
        )


def encode_note(version: Version, **more: int) -> bytes:
    """A small sealed file that names a version by number and hash."""
    return seal({"v": version.number, "sha256": version.sha256, **more})


def decode_note(data: bytes, where: str) -> dict[str, Any]:
    """The entries of a note, {v, sha256, …}. Raises ModelCorrupt naming `where`."""
    _, note = unseal(data, where)
    if not isinstance(note, dict) or not _is_count(note.get("v")) or not isinstance(note.get("sha256"), str):
        raise ModelCorrupt(f"{where}: names no version")
    return note


def encode_card(lineage: str, format: int | None = None) -> bytes:
    """The bytes of lifelong.json, which makes a folder a model; with a SHA-256 of its other entries. It is written once, in
    the format of that day, and stays as it is when the versions move on to another."""
    card = {"format": FORMAT if format is None else format, "lineage": lineage}
    return canonical_json({**card, "sha256": json_hash(card)}) + b"\n"


def decode_card(data: bytes, where: str) -> str:
    """The lineage in the bytes of lifelong.json. Raises ModelCorrupt or Unsupported."""
    card = _parse(data, where)
    if not isinstance(card, dict) or not _is_count(card.get("format")):
        raise ModelCorrupt(f"{where}: is not the card of a model")
    expected, found = card.pop("sha256", None), json_hash(card)
    if expected is not None and expected != found:
        raise ModelCorrupt(f"{where}: expected sha256 {expected!a:.70}, found {found}")
    _check_format(card["format"], where)
    if not isinstance(card.get("lineage"), str) or encode_card(card["lineage"], card["format"]) != data:
        raise ModelCorrupt(f"{where}: is not as it was written")
    return card["lineage"]


def unseal(data: bytes, where: str) -> tuple[str, Any]:
    """The hash in a sealed file's first line, and the document below. Raises ModelCorrupt naming `where`."""
    first, _, rest = data.partition(b"\n")
    sha256 = hashlib.sha256(rest).hexdigest()
    if first != sha256.encode():
        raise ModelCorrupt(f"{where}: expected sha256 {first.decode('latin-1')!a:.70}, found {sha256}")
    document = _parse(rest, where)
    if canonical_json(document) + b"\n" != rest:
        raise ModelCorrupt(f"{where}: is no canonical JSON")
    return sha256, document


def _parse(data: bytes, where: str) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise ModelCorrupt(f"{where}: is no JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    """Python reads 1e999 as infinity, which JSON cannot say again."""
    return float(text) if math.isfinite(float(text)) else _refuse(text)


def _check_fields(document: Any, number: int, where: str) -> None:
    if not isinstance(document, dict) or not _is_count(document.get("min_reader")):
        raise ModelCorrupt(f"{where}: is no version")
    _check_format(document["min_reader"], where)
    if not (document.keys() >= _FIELDS and _is_count(document["format"])):
        raise ModelCorrupt(f"{where}: is no version")
    if document["format"] == FORMAT and document.keys() != _FIELDS:
        raise ModelCorrupt(f"{where}: is no version")
    parent = document["parent"]
    above = parent["v"] if isinstance(parent, dict) and parent.keys() == {"v", "sha256"} else 0
    if document["v"] != number or above != number - 1 or (parent is None) != (number == 1):
        raise ModelCorrupt(f"{where}: is version {document['v']!r:.20} after {above!r:.20}, its name says {number}")
    if not (_is_count(document["created"]) and isinstance(document["body"], dict) and is_name(document["op"])):
        raise ModelCorrupt(f"{where}: op, created or body is not as it should be")


def _check_format(found: int, where: str) -> None:
    if found > FORMAT:
        raise Unsupported(f"{where}: is of format {found}, this release reads {FORMAT}; install a later one")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
