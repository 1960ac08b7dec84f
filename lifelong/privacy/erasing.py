"""Taking people out of a model: what has learnt from them is learnt anew without them, and what held them is purged.

The result is, bit for bit, the model that learns the same tasks in the same order from the data without them; approximate
unlearning gives no such proof. Their rows must be gone from the data first: a list of people to be left out while preparing
would have to be kept beside the model, and who asks to be forgotten asks for her rows, too.

The tasks grow in a folder beside the model, a lineage of its own, in which a killed erasure goes on. Then all comes into the
model as one version, `erase`: it names each task that ended, with its identity before and after. No rollback and no repair
leads behind it. The versions before it can be opened until a day that it names; from then on a gc takes what they alone refer
to.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lifelong.continual.view import ITEM_TABLE
from lifelong.core.compute import Compute
from lifelong.core.errors import Conflict, ForgettingError
from lifelong.core.fingerprint import json_hash
from lifelong.core.progress import Progress, Silent
from lifelong.data.prepare import cache_folder, remove_prepared
from lifelong.keeping.checkpoint import load
from lifelong.keeping.verification import check_candidate
from lifelong.living import LivingModel
from lifelong.model.task import Task
from lifelong.privacy.planning import Plan, need_data, plan_erasure
from lifelong.store.documents import ERASE, Reference, references
from lifelong.store.names import is_name
from lifelong.store.store import Store

GRACE = 30 * 86_400
"""Seconds for which the versions before can be opened: a month, within which a request to be erased is to be answered."""


@dataclass(frozen=True)
class Erased:
    """What an erasure did. ended: task -> its identity before and after ({"was", "is"}), and why it is another: why. kept:
    tasks that are what they were, of which `changed` probe values differ. purge_after: Unix seconds from which a gc takes
    what was before.
    """

    version: int
    users: int
    ended: Mapping[str, Mapping[str, str]]
    kept: list[str]
    why: Mapping[str, str]
    purge_after: int
    prepared: int
    """Folders of prepared data that held them and were removed from the cache."""
    changed: Mapping[str, int] = field(default_factory=dict)


def erase(
    model: LivingModel,
    users: Sequence[str],
    *,
    instead: Mapping[str, Task] | None = None,
    grace: float = GRACE,
    compute: Compute | None = None,
    progress: Progress | None = None,
) -> Erased:
    """Learn everything anew that has learnt from the users, and commit it as one version that ends what was before.

    instead: tasks of the same name whose data lie somewhere else; grace: seconds until the versions before may be purged.
    Stopped in the middle, it goes on when it is called again. Raises what plan_erasure raises, ForgettingError where a task
    that is to be kept would change, and Conflict where another process committed meanwhile; then nothing was committed.
    """
    progress, before = progress or Silent(), model._standing()
    plan = plan_erasure(model, users, instead or {}, progress)
    with _beside(model, plan) as folder:
        grown = _grow(model, plan, folder, compute or Compute(), progress) if plan.anew else model
        erased = _commit(model, grown, plan, before.sha256, int(time.time() + grace), progress)
    _forget_work(model)
    removed = sum(remove_prepared(model.cache or cache_folder(), key) for key in plan.held - set(plan.data.values()))
    return Erased(**{**asdict(erased), "prepared": removed})


class _beside:
    """The folder in which tasks grow, named by what is learnt from what; it and any other of this model are gone afterwards,
    where all went well."""

    def __init__(self, model: LivingModel, plan: Plan) -> None:
        self.path = model.store.path
        values = {name: [plan.tasks[name].to_values(), plan.data.get(name)] for name in plan.anew}
        key = json_hash([model._standing().sha256, values])[:16]
        self.folder = self.path.with_name(f"{self.path.name}.erasing-{key}")

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        if kind is None:
            for folder in self.path.parent.glob(f"{self.path.name}.erasing-" + "[0-9a-f]" * 16):
                shutil.rmtree(folder)


def _grow(model: LivingModel, plan: Plan, folder: Path, compute: Compute, progress: Progress) -> LivingModel:
    """The model in the folder, with every task of the one that is left: laid there as it is, or learnt."""
    work = _work(folder, model.cache)
    kept: set[str] = {name for name in work.members if _same(model, work, name)} if work else set()
    for name in model.members:
        if work is not None and name in work.members:
            continue
        if name in plan.kept and _fits(model, work, name, kept):
            work = _lay(model, work, folder, name)
            kept.add(name)
            continue
        need_data(model, name, plan, progress)
        plan.anew.setdefault(name, "what it stands on has moved")
        work = _learn(model, work, folder, plan.tasks[name], compute, progress)
    assert work is not None
    return work


def _work(folder: Path, cache: Path | None) -> LivingModel | None:
    """What an erasure that was killed has left, if anything is committed there."""
    if not (folder / "lifelong.json").exists() or not Store.open(folder).numbers():
        return None
    return LivingModel.open(folder, cache=cache)


def _same(model: LivingModel, work: LivingModel, name: str) -> bool:
    assert model.version is not None
    assert work.version is not None
    return bool(model.version.body["tasks"][name] == work.version.body["tasks"][name])


def _fits(model: LivingModel, work: LivingModel | None, name: str, kept: set[str]) -> bool:
    """Whether a task would come out as it is: its parent is there, and its items begin in the same row."""
    member = model.members[name]
    if work is None or member.parent is None:
        return work is None and member.parent is None
    rows = len(work.bank.owners[ITEM_TABLE])
    everything = kept == set(work.members)  # then a gap in the rows is one that was there before
    return member.parent in kept and (rows == member.first_row or (everything and rows < member.first_row))


def _lay(model: LivingModel, work: LivingModel | None, folder: Path, name: str) -> LivingModel:
    """Commit a task as it is into the folder: its files, its entry, its identity."""
    assert model.version is not None
    store = work.store if work else _store(folder)
    body = model.version.body
    entry, before = body["tasks"][name], work.version.body if work and work.version else {"order": [], "tasks": {}}
    for reference in references(entry):
        store.put(model.store.get(reference))
    laid = {
        "lifelong": body["lifelong"],
        "design": body["design"],
        "order": [*before["order"], name],
        "tasks": {**before["tasks"], name: entry},
        "changed": dict.fromkeys(before["tasks"], 0),
    }
    load(store, laid)
    store.commit(laid, "add", work.version if work else None, int(time.time()))
    return LivingModel.open(folder, cache=model.cache)


def _learn(
    model: LivingModel, work: LivingModel | None, folder: Path, task: Task, compute: Compute, progress: Progress
) -> LivingModel:
    seed = model.members[task.name].record.get("seed", 0)
    progress.say(f"learning {task.name} anew")
    if work is None:
        return LivingModel.pretrain(folder, task, seed=seed, compute=compute, progress=progress, cache=model.cache)
    work.add_task(task, seed=seed, allow_forgetting=True, compute=compute, progress=progress)
    return work


def _store(folder: Path) -> Store:
    return Store.open(folder) if (folder / "lifelong.json").exists() else Store.create(folder)


def _commit(
    model: LivingModel, grown: LivingModel, plan: Plan, base: str, purge_after: int, progress: Progress
) -> Erased:
    """One version with what has grown, after a fresh process has asked every task that is kept."""
    assert grown.version is not None
    store, old = model.store, model._standing().body["tasks"]
    with store.writing():
        newest = store.newest()
        if newest.sha256 != base:
            raise Conflict(f"{store.path}: another process committed meanwhile; erase again from what is there now")
        tasks = dict(_entries(model, grown, plan))
        for reference in set(references(list(tasks.values()))):
            store.put(grown.store.get(reference) if _holds(grown.store, reference) else store.get(reference))
        told = {n: {"was": old[n]["identity"], "is": e["identity"]} for n, e in tasks.items() if e != old[n]}
        kept = {name: entry for name, entry in tasks.items() if entry == old[name]}
        body = {key: grown.version.body[key] for key in ("lifelong", "design", "order")}
        body |= {"tasks": tasks, ERASE: {"tasks": told, "users": len(plan.ids), "purge_after": purge_after}}
        progress.say(f"checking in a fresh process: {len(tasks)} tasks, {len(kept)} of them as they were")
        body["changed"] = check_candidate(store, body, {"tasks": kept})
        if sum(body["changed"].values()):
            raise ForgettingError(f"nothing was committed: tasks that are to be kept would change: {body['changed']}")
        made = store.commit(body, ERASE, newest, int(time.time()))
    model._stand(made, load(store, made.body))
    why = {name: plan.anew.get(name, "what it stands on has moved") for name in told}
    return Erased(made.number, len(plan.ids), told, list(kept), why, purge_after, 0, body["changed"])


def _entries(model: LivingModel, grown: LivingModel, plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task's entry. One that was learnt anew for others' sake and came out as it was, bit for bit, keeps its own."""
    assert grown.version is not None
    assert model.version is not None
    for name in grown.version.body["order"]:
        entry, old = grown.version.body["tasks"][name], model.version.body["tasks"][name]
        alike = {k: v for k, v in entry.items() if k != "files"} == {k: v for k, v in old.items() if k != "files"}
        weights = entry["files"]["weights"] == old["files"]["weights"]
        yield name, old if alike and weights and name not in plan.own else entry


def _holds(store: Store, reference: Reference) -> bool:
    return (store.path / "objects" / reference.sha256).exists()


def _forget_work(model: LivingModel) -> None:
    """Trainings that were not finished began before: nothing can go on with them, and they have read what was erased."""
    folder = model.store.path / "resume"
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_name(path.name):
            model.store.clear_resume(path.name)
