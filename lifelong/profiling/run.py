"""Profile tasks of a living model beside what a practitioner would try first, as one plain document."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelong import __version__
from lifelong.asking.evaluation import outcome_of
from lifelong.core.errors import UsageError
from lifelong.core.progress import Progress, Silent
from lifelong.core.seeds import check_seed
from lifelong.core.types import Classified
from lifelong.core.written import as_json, need_folder, write_whole
from lifelong.data.splits import TEST
from lifelong.living import LivingModel
from lifelong.model.task import Task
from lifelong.profiling.compare import Told, ask, tabled
from lifelong.profiling.folds import Fold, folds_of, sealed_fold
from lifelong.profiling.methods import Method, baselines, probe
from lifelong.profiling.people import People, lineage, need_classes, people_of
from lifelong.profiling.scoring import Answers
from lifelong.profiling.trained import grown, places, vectors_of

ALWAYS = ("macro_f1", "accuracy", "auc")
VECTORS, SEALED, SCRATCH = "frozen vector + probe", "the task as sealed", "from scratch"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How profile tasks are judged."""

    folds: int = 5
    """Folds by user in each repeat: 70 % train, 10 % choose options, 20 % are asked."""
    repeats: int = 3
    """Other folds each time; what the draw of folds moves is averaged away."""
    seed: int = 0
    """Of folds, fits and resamples."""
    seen: bool = False
    """Ask about users whose events the model was trained on, too; the document says so."""
    scratch: bool = False
    """Train the task's network from nothing in every fold, too; that takes folds × repeats trainings."""
    vectors: str | None = None
    """The task whose user vectors are probed; left out, the model's first."""
    category: str | None = None
    """The field of items whose shares gradient boosting gets; left out, the one with most values up to 512."""
    limit: int = 20_000
    """At most so many labelled users, drawn by seed; logistic regression on more takes hours."""


def profile(
    model: LivingModel,
    tasks: Iterable[str] | None = None,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Judge profile tasks (all of the model's by default) over repeated folds and on their own sealed split.

    Returns a plain document: for each task who was asked, a table of methods and, where its own test users may be asked, a
    table of the sealed split. Raises UsageError where a task predicts no class, or nobody unseen can be asked.
    """
    began, settings, progress = time.perf_counter(), settings or Settings(), progress or Silent()
    names = list(tasks or [name for name, member in model.members.items() if member.task.answers == "classes"])
    if not names:
        raise UsageError(
            f"{model.store.path.name}: no task predicts a class of users; add one with `lifelong add-task`"
        )
    check_seed(settings.seed)
    if settings.limit < 1:
        raise UsageError(f"limit is {settings.limit}; at least one user must be asked")
    for name in names:
        model.answering(name)
        need_classes(model.members[name].task)
    return {
        "lifelong": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "command": command or " ".join(["lifelong", *sys.argv[1:]]),
        "model": model.store.path.name,
        "version": model.version.number if model.version else None,
        **{key: getattr(settings, key) for key in ("folds", "repeats", "seed", "seen")},
        "tasks": {name: profile_task(model, name, settings, progress) for name in names},
        "minutes": round((time.perf_counter() - began) / 60, 2),
    }


def profile_task(model: LivingModel, task: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    """One task: who was asked, the table over folds, the table of its own split."""
    progress.say(f"{task}: users and histories")
    member, cases = model.members[task], model.cases(task, progress)
    vectors = settings.vectors or next(iter(model.members))
    model.answering(vectors)
    _need_honest(model, task, vectors, settings)
    everybody = people_of(model, member.task, cases, [member.parent, vectors], progress, settings.category)
    people = everybody.where(_drawn(len(everybody), settings))
    folds = folds_of(people, settings.folds, settings.repeats, settings.seed, settings.seen)
    metrics = list(dict.fromkeys([*member.task.measured_by, *ALWAYS]))
    methods = {**baselines(), **_from_nothing(model, member.task, settings, progress)}
    methods[VECTORS] = probe(vectors_of(model, member.task, people, vectors))
    told = ask(people, folds, methods, settings.seed, progress)
    return {
        **_about(model, people, len(everybody)),
        "metrics": metrics,
        "folds": tabled(people, told, [VECTORS], metrics, settings.seed),
        "sealed": _sealed(model, people, methods, metrics, settings, progress),
    }


def _need_honest(model: LivingModel, task: str, vectors: str, settings: Settings) -> None:
    """Raises UsageError where users would be asked whose labels made the vectors that are probed."""
    own = model.members[task].task.data
    for name in lineage(model, [vectors]) if settings.seen else ():
        other = model.members[name].task.data
        if other.dataset == own.dataset and set(other.labels) & set(own.labels):
            raise UsageError(
                f"task {task!r}: the vectors of {vectors!r} were made with the labels that are asked, by task {name!r}; leave "
                "--seen out, or probe the vectors of another task with --vectors"
            )


def _drawn(users: int, settings: Settings) -> np.ndarray:
    kept_P = np.zeros(users, bool)
    kept_P[np.random.default_rng(settings.seed).permutation(users)[: settings.limit]] = True
    return kept_P


def _from_nothing(model: LivingModel, task: Task, settings: Settings, progress: Progress) -> dict[str, Method]:
    alone = replace(task, strategy="scratch")
    return {SCRATCH: grown(model, alone, settings.seed, progress)} if settings.scratch else {}


def _about(model: LivingModel, people: People, labelled: int) -> dict[str, Any]:
    member = model.members[people.task]
    counts = np.bincount(people.targets_P, minlength=len(people.classes)).tolist()
    cases = model.cases(people.task)
    return {
        "label": ", ".join(member.task.data.labels),
        "dataset": cases.dataset_key,
        "notice": cases.notice,
        "classes": dict(zip(people.classes, counts, strict=True)),
        "labelled": labelled,
        "drawn": len(people),
        "unseen": int((~people.seen_P).sum()),
        "left_out": dict(cases.left_out),
        "baselines_read": f"the whole history, {people.counts_UV.shape[1]} items; categories: {people.field or 'none'}",
        "chosen_by": "macro_f1 + auc of inner validation users, ties by log loss",
    }


def _sealed(
    model: LivingModel,
    people: People,
    methods: dict[str, Method],
    metrics: list[str],
    settings: Settings,
    progress: Progress,
) -> dict[str, Any] | None:
    """The task as it answers, on its own test users, beside the same methods fitted on its own training users."""
    fold = sealed_fold(people, settings.seen)
    if len(fold.test_n) < settings.folds:
        return None
    told = ask(people, [fold], methods, settings.seed, progress)
    told[SEALED] = Told(_as_sealed(model, people, fold), model.members[people.task].record["seconds"], ["as sealed"])
    own = people.parts_P == TEST
    made = tabled(people, told, [SEALED, VECTORS], metrics, settings.seed)
    return {**made, "test_users": int(own.sum()), "seen_test_users": int((own & people.seen_P).sum())}


def _as_sealed(model: LivingModel, people: People, fold: Fold) -> Answers:
    cases = model.cases(people.task)
    outcome = outcome_of(model.answering(people.task), cases, cases.test)
    assert isinstance(outcome, Classified)
    test_n = np.sort(fold.test_n)
    probabilities_NC = outcome.probabilities_NC[places(cases.test.users_N, people.users_P[test_n])]
    everybody = np.arange(len(test_n))
    return Answers(people.targets_P[test_n], [everybody], [probabilities_NC], [np.zeros_like(everybody)])


def write(document: dict[str, Any], out: str | Path) -> None:
    """profile.json and report.html in a folder. Raises UsageError where there is a file in its place."""
    from lifelong.reports.profile import write_profile

    folder = need_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "profile.json", as_json(document))
    write_profile(document, folder / "report.html")
