"""A certificate of zero forgetting: what was compared, what changed, and every file by its SHA-256, in one JSON document."""

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong import __version__
from lifelong.core.errors import LifelongError, ModelCorrupt, Unsupported, UsageError
from lifelong.core.fingerprint import json_hash, numeric_stack
from lifelong.core.progress import Progress, Silent
from lifelong.core.written import need_file
from lifelong.keeping.certifying import Asking, ask_anew, problems_of
from lifelong.keeping.identities import Life, follow, spans
from lifelong.keeping.sealing import PROBES
from lifelong.store.documents import OBJECT_FILE, losses, references
from lifelong.store.files import read_plain
from lifelong.store.folder import CARD, version_path
from lifelong.store.store import Store, Version

KIND = 1
"""The form of the document."""
SUMS = ".sha256"
"""Ending of the file of sums beside it."""
NOT_HASHED = ("made", "sha256")
PATHS = re.compile(rf"{re.escape(CARD)}|versions/[0-9]{{8}}\.json|objects/[0-9a-f]{{64}}")
"""What a certificate can speak of; any other path is none of its business."""
MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Certificate:
    """A certificate as plain values; docs/RELIABILITY.md says what each entry means."""

    document: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether nothing has changed."""
        return bool(self.document["ok"])

    @property
    def problems(self) -> list[str]:
        """What is not as it should be."""
        return list(self.document["problems"])

    def sums(self) -> str:
        """A line for each file, as `sha256sum -c` reads them in the model's folder."""
        return "".join(f"{file['sha256']}  {file['path']}\n" for file in self.document["files"])

    def write(self, path: str | Path) -> Path:
        """Write the document, and the sums beside it under the ending .sha256; returns the path of the sums.

        Raises UsageError as need_place does.
        """
        path = need_place(path)
        path.write_text(json.dumps(self.document, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        sums = path.with_suffix(SUMS)
        sums.write_text(self.sums(), encoding="utf-8")
        return sums


def need_place(path: str | Path) -> Path:
    """The path, if a certificate can be written there. Raises UsageError where its folder is missing or is a model's own, where
    the path is a folder, or its name is that of the sums."""
    path = Path(path)
    if not path.parent.is_dir() or any((above / CARD).exists() for above in path.resolve().parents):
        raise UsageError(f"{path}: a certificate lies in a folder that is there, and in no model's own")
    if path.suffix == SUMS:
        raise UsageError(f"{path}: is where the sums are written; let the certificate's name end in .json")
    need_file(path)
    need_file(path.with_suffix(SUMS))
    return path


def certify(store: Store, progress: Progress | None = None) -> Certificate:
    """Look at every version: each task's files, fingerprint and golden probes, asked anew in fresh processes.

    Versions that a gc or a repair gave up are looked at as far as their documents go. But for the date, equal models give equal
    certificates on equal machines.
    """
    progress = progress or Silent()
    progress.say("reading every file")
    report = store.verify()
    damage = [f"{problem.file}: {problem.reason}" for problem in report.problems]
    log = [] if damage else store.log()
    if not log:
        return _signed(_heading(store) | {"tasks": [], "files": [], "problems": damage or ["there is no version"]})
    given_up = store.collected().union(*(losses(version).broken for version in log))
    whole = [version for version in log if version.number not in given_up]
    lives, problems = follow(log)
    askings = ask_anew(store, [version.number for version in whole], progress)
    entries = {(v.number, name): entry for v in whole for name, entry in v.body["tasks"].items()}
    problems += problems_of(askings, entries)
    found = _found(lives, askings, log[-1]) | {"versions": [_version(version, whole) for version in log]}
    return _signed(_heading(store, log[-1]) | found | {"files": _files(store, log, whole), "problems": problems})


def read_certificate(path: str | Path) -> Certificate:
    """A certificate from its file. Raises UsageError for anything else, ModelCorrupt where it is not as it was written."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path}: is no certificate, none has {path.stat().st_size} bytes")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: is no certificate") from None
    if not isinstance(document, dict) or type(document.get("certificate")) is not int:
        raise UsageError(f"{path}: is no certificate")
    if document["certificate"] > KIND:
        raise Unsupported(f"{path}: is a certificate of kind {document['certificate']}; install a later release")
    found = _hash(document)
    if document.get("sha256") != found:
        raise ModelCorrupt(f"{path}: expected sha256 {document.get('sha256')!a:.70}, found {found}")
    if not _is_whole(document):
        raise ModelCorrupt(f"{path}: lacks what a certificate says, or speaks of files that are no model's")
    return Certificate(document)


def _is_whole(document: Mapping[str, Any]) -> bool:
    """Whether all is there that `check` looks at, and no path leads out of a model's folder."""
    try:
        named = [(task["task"], task["identity"], task["fingerprint"]) for task in document["tasks"]]
        paths = [PATHS.fullmatch(file["path"]) and OBJECT_FILE.fullmatch(file["sha256"]) for file in document["files"]]
        model = {"lineage", "version", "sha256"} <= document["model"].keys() and isinstance(document["problems"], list)
    except (KeyError, TypeError, AttributeError):
        return False
    return model and all(paths) and all(isinstance(text, str) for texts in named for text in texts)


def check(certificate: Certificate, store: Store, progress: Progress | None = None) -> list[str]:
    """Whether a model still is what a certificate says: every file, every identity, and all that was asked, asked again.

    Returns what is not so any more. The model may have grown since; a task that was taken out or learnt anew is told.
    """
    said = certificate.document
    if said["model"]["lineage"] != store.lineage:
        return [f"the certificate is of another model: lineage {said['model']['lineage']}, this is {store.lineage}"]
    now = certify(store, progress).document
    there = {(task["task"], task["identity"]): task for task in now["tasks"]}
    ended = {(task["task"], task["identity"]): task["ended"] for task in now.get("ended", [])}
    problems = [f"the certificate itself names a problem: {problem}" for problem in said["problems"]] + now["problems"]
    versions = {version["version"]: version["sha256"] for version in now.get("versions", [])}
    if versions.get(said["model"]["version"]) != said["model"]["sha256"]:
        problems.append(f"version {said['model']['version']} is not the one that was certified")
    for task in said["tasks"]:
        key = (task["task"], task["identity"])
        if key not in there:
            problems.append(
                f"task {key[0]}: is not the one that was certified any more: {ended.get(key, 'it is gone')}"
            )
        elif there[key]["fingerprint"] != task["fingerprint"]:
            problems.append(f"task {key[0]}: has another fingerprint than the one that was certified")
    return problems + _other_files(said["files"], store, now)


def _other_files(files: Sequence[Mapping[str, Any]], store: Store, now: Mapping[str, Any]) -> list[str]:
    """Those of the files that are not there, or not the same; but not those that only collected versions had."""
    kept = {file["path"] for file in now["files"]}
    problems = []
    for file in files:
        if file["path"] not in kept and store.collected():
            continue
        try:
            found = hashlib.sha256(read_plain(store.files, store.path / file["path"])).hexdigest()
        except LifelongError as error:
            problems.append(str(error))
            continue
        if found != file["sha256"]:
            problems.append(f"{file['path']}: expected sha256 {file['sha256']}, found {found}")
    return problems


def _heading(store: Store, newest: Version | None = None) -> dict[str, Any]:
    version = {} if newest is None else {"version": newest.number, "sha256": newest.sha256, "format": newest.format}
    return {
        "certificate": KIND,
        "lifelong": __version__,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model": {"lineage": store.lineage, **version},
        "stack": numeric_stack(),
    }


def _found(lives: Sequence[Life], askings: Sequence[Asking], newest: Version) -> dict[str, Any]:
    asked: dict[tuple[int, int], list[int]] = {}
    for asking in askings:
        for size, compared, changed in asking.asked:
            total = asked.setdefault((asking.threads, size), [0, 0])
            total[0], total[1] = total[0] + compared, total[1] + changed
    ways = [{"threads": t, "at_a_time": n, "compared": c, "changed": d} for (t, n), (c, d) in sorted(asked.items())]
    return {
        "tasks": [_task(life, askings) for life in lives if not life.ended],
        "ended": [
            {"task": life.task, "identity": life.identity, "versions": spans(life.versions), "ended": life.ended}
            for life in lives
            if life.ended
        ],
        "probes": PROBES,
        "asked": ways,
        "compared": sum(way["compared"] for way in ways),
        "changed": sum(way["changed"] for way in ways),
    }


def _task(life: Life, askings: Sequence[Asking]) -> dict[str, Any]:
    """What is certified of a task of the newest version."""
    mine = [a for a in askings if a.task == life.task and a.version in life.versions]
    counts = [(compared, changed) for asking in mine for _, compared, changed in asking.asked]
    said = {
        "task": life.task,
        "identity": life.identity,
        "fingerprint": life.entry["fingerprint"],
        "versions": spans(life.versions),
        "files": {role: file["sha256"] for role, file in life.entry["files"].items()},
        "compared": sum(compared for compared, _ in counts),
        "changed": sum(changed for _, changed in counts),
    }
    if all(asking.same_stack for asking in mine):
        return said
    here, sealed_on = numeric_stack(), life.entry["stack"]
    other = {key: sealed_on.get(key) for key in here | sealed_on if here.get(key) != sealed_on.get(key)}
    return said | {"sealed_on": other, "difference": max(asking.difference for asking in mine)}


def _version(version: Version, whole: Sequence[Version]) -> dict[str, Any]:
    kept = any(version.number == other.number for other in whole)
    tasks = len(version.body["tasks"])
    return {"version": version.number, "op": version.op, "sha256": version.sha256, "tasks": tasks, "asked": kept}


def _files(store: Store, log: Sequence[Version], whole: Sequence[Version]) -> list[dict[str, Any]]:
    """Card, versions, and every object that a version which is kept refers to."""
    objects = {reference for version in whole for reference in references(version.body)}
    listed = [{"path": f"objects/{r.sha256}", "sha256": r.sha256, "bytes": r.bytes} for r in objects]
    for path in [store.path / CARD, *(version_path(store.path, version.number) for version in log)]:
        data = read_plain(store.files, path)
        name = path.relative_to(store.path).as_posix()
        listed.append({"path": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    return sorted(listed, key=lambda file: str(file["path"]))


def _signed(document: dict[str, Any]) -> Certificate:
    document = document | {"ok": not document["problems"]}
    return Certificate(document | {"sha256": _hash(document)})


def _hash(document: Mapping[str, Any]) -> str:
    return json_hash({key: value for key, value in document.items() if key not in NOT_HASHED})
