"""What an erasure has to learn anew: tasks that have learnt from somebody, and those whose weights depend on theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from lifelong.continual.bank import Bank
from lifelong.continual.view import grows
from lifelong.core.errors import DataError, UsageError
from lifelong.core.progress import Progress
from lifelong.growing.making import make_strategy
from lifelong.keeping.checkpoint import read_record
from lifelong.keeping.entries import check_names
from lifelong.keeping.identities import Life, follow
from lifelong.living import LivingModel
from lifelong.model.member import Member
from lifelong.model.seen import found_in
from lifelong.model.task import Task
from lifelong.store.documents import ended


@dataclass
class Plan:
    """ids: who is to be erased; never shown. own: tasks that have learnt from one of them. anew: task -> why it is learnt
    anew, in order; kept: those that stay, as far as is known before they are laid. tasks: what is learnt where one is. data:
    task -> key of the data it would be learnt from. elsewhere: identities of the past that have learnt from them, which a
    purge takes. held: keys of the data that tasks, of now and of the past, have learnt from with them.
    """

    ids: pa.Array = field(repr=False)
    own: list[str] = field(default_factory=list)
    anew: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)


def plan_erasure(model: LivingModel, users: Sequence[str], instead: Mapping[str, Task], progress: Progress) -> Plan:
    """What taking the users out of the model takes. Their rows must be gone from the data before.

    instead: tasks of the same name whose data lie somewhere else. Raises DataError where the data still hold one of them (it
    says how many, never who), UsageError where nothing in the folder has learnt from any of them.
    """
    if not users:
        raise UsageError("nobody is named who is to be erased")
    plan = Plan(pa.array(sorted(set(users)), pa.string()))
    plan.tasks = {name: _again(member, instead.get(name)) for name, member in model.members.items()}
    affected = {name: why for name in model.members if (why := _affected(model, name, plan, progress))}
    plan.own = list(affected)
    plan.anew = _with_dependants(model, affected)
    plan.kept = [name for name in model.members if name not in plan.anew]
    past = _of_the_past(model, plan.ids)
    plan.elsewhere = [f"{life.task} {life.identity}" for life in past]
    records = [model.members[name].record for name in plan.own]
    records += [read_record(model.store, life.entry["files"]) for life in past]
    plan.held = {record["data"] for record in records}
    if not plan.anew and not plan.elsewhere:
        raise UsageError(f"{model.store.path}: no task has learnt from {_them(plan)}; there is nothing to erase")
    for name in plan.anew:
        need_data(model, name, plan, progress)
    return plan


def need_data(model: LivingModel, name: str, plan: Plan, progress: Progress) -> str:
    """The key of the data that a task can be learnt anew from. Raises DataError where one of the users is in them, UsageError
    for a task that was not learnt from data."""
    if model.members[name].record.get("grown_from"):
        raise UsageError(
            f"task {name!r}: it got items without training, and what it was given is not kept; take it out first, and add the "
            "items again afterwards"
        )
    return _prepared_without(model, name, plan, progress)


def claims_shared(bank: Bank, member: Member) -> bool:
    """Whether a task owns weights that it chose among free ones: which were free depends on the tasks before it."""
    owner = member.view.owner
    for name, owners in bank.owners.items():
        mine = (owners == owner).flatten()
        if grows(name):
            mine[member.first_row : member.view.rows] = False
        if bool(mine.any()):
            return True
    return False


def _again(member: Member, given: Task | None) -> Task:
    """The task as it was asked for, on the parent that it stands on; one that chose its strategy chooses again."""
    if given is None:
        check_names(member.task)
        asked = member.record.get("choice", {}).get("strategy", member.task.strategy)
        given = replace(member.task, strategy=asked)
    return replace(given, parent=member.parent)


def _affected(model: LivingModel, name: str, plan: Plan, progress: Progress) -> str:
    """Why a task's own data make it be learnt anew; nothing where they do not."""
    assert model.version is not None
    member = model.members[name]
    if member.record.get("grown_from"):
        return ""  # it has no data of its own
    found = found_in(model.store, model.version.body["tasks"][name]["files"], plan.ids)
    if found is not None and not any(held_U.any() for held_U in found.values()):
        return ""
    same = _prepared_without(model, name, plan, progress) == member.record["data"]
    if same:
        return ""  # its data are those of its training, and nobody of them is in there
    return "it has learnt from them" if found else "it is not known whom it has learnt from, and its data have changed"


def _prepared_without(model: LivingModel, name: str, plan: Plan, progress: Progress) -> str:
    """The key of the task's data as they are. Raises DataError where one of the users is in them."""
    if name not in plan.data:
        prepared = model.prepare(plan.tasks[name], progress)
        present = prepared.users["id"].combine_chunks().cast(pa.string())
        there = pc.is_in(plan.ids, value_set=present).true_count
        if there:
            raise DataError(
                f"task {name!r}: the data {prepared.name} still hold {there} of {_them(plan)}; take their rows out of the "
                "files first, or name a task with other files (--with)"
            )
        plan.data[name] = prepared.key
    return plan.data[name]


def _with_dependants(model: LivingModel, affected: Mapping[str, str]) -> dict[str, str]:
    """All that cannot stay: the affected, their children, and who claimed what they had left free."""
    if not affected:
        return {}
    order = list(model.members)
    first = min(order.index(name) for name in affected)
    writers = [n for n in order[first:] if not make_strategy(model.members[n].task).isolates]
    if writers:
        return {name: affected.get(name, f"{writers[0]} has changed it") for name in order}
    anew: dict[str, str] = {}
    for name in order:
        member = model.members[name]
        if name in affected:
            anew[name] = affected[name]
        elif member.parent in anew:
            anew[name] = f"it stands on {member.parent}"
        elif anew and (claims_shared(model.bank, member) or "choice" in member.record):
            anew[name] = f"what was free for it depends on {next(iter(anew))}"
    return anew


def _of_the_past(model: LivingModel, ids: pa.Array) -> list[Life]:
    """Tasks of the past that have learnt from one of them and that no purge is to take yet."""
    log = model.store.log()
    gone = model.store.collected() | ended(log)
    past = [life for life in follow(log)[0] if life.ended and not set(life.versions) <= gone]
    found = [found_in(model.store, life.entry["files"], ids) for life in past]
    return [
        life
        for life, parts in zip(past, found, strict=True)
        if parts and any(held_U.any() for held_U in parts.values())
    ]


def _them(plan: Plan) -> str:
    return "the user" if len(plan.ids) == 1 else f"the {len(plan.ids)} users"
