"""What the model itself says of people: its frozen user vectors, and its network trained in a fold as its tasks are."""

from dataclasses import dataclass, replace

import numpy as np

from lifelong.asking.evaluation import outcome_of
from lifelong.asking.inference import Answering
from lifelong.continual.view import ITEM_TABLE
from lifelong.core.compute import Compute
from lifelong.core.errors import ConfigError
from lifelong.core.progress import Progress, Silent
from lifelong.core.types import Classified, Outcome
from lifelong.data.sequences import Points
from lifelong.growing.choosing import grow
from lifelong.growing.growth import Growth
from lifelong.growing.making import make_strategy
from lifelong.growing.resume import Resume
from lifelong.living import LivingModel
from lifelong.model.cases import Cases
from lifelong.model.member import Member, known_items, mount
from lifelong.model.task import Task
from lifelong.profiling.features import Features
from lifelong.profiling.methods import Method
from lifelong.profiling.people import People


def vectors_of(model: LivingModel, task: Task, people: People, source: str | None = None) -> np.ndarray:
    """The user vectors (P, width) float32 of people by the task `source` of the model, the first one by default.

    Of what happened before the label's cut; a user of whom `source` knows no item has the vector zero.
    """
    source = source or next(iter(model.members))
    readable = replace(task, data=replace(task.data, inputs=None), parent=source)
    cases = model._make_cases(readable, model.prepare(task), known_items(model.members, source), 0)
    points = _joined(cases)
    answering = model.answering(source)
    found_ND = answering.represent(answering.history(cases.sequences, points)).numpy()
    place_P = places(points.users_N, people.users_P)
    return np.where(place_P[:, None] >= 0, found_ND[place_P], 0.0).astype(np.float32)


def grown(model: LivingModel, task: Task, seed: int, progress: Progress) -> Method:
    """The task taken in by its strategy on the training users of each fold, as `add_task` would, and never committed.

    Its early stop looks at the fold's validation users. Raises ConfigError for a strategy that changes earlier tasks.
    """
    if not make_strategy(task).isolates:
        raise ConfigError(f"task {task.name!r}: its strategy changes earlier tasks, and cannot be tried fold by fold")
    cases, trained = cases_for(model, task), iter(range(10**6))

    def method(features: Features) -> tuple[np.ndarray, str]:
        progress.say(f"{task.name}: training, fold {next(trained) + 1}")
        return _train(model, task, cases, features, seed)

    return method


def cases_for(model: LivingModel, task: Task) -> Cases:
    """The cases of a task as if it were added now."""
    parent = model._parent(task, model.members)
    known = known_items(model.members, parent.name if parent else None)
    return model._make_cases(task, model.prepare(task), known, len(model.bank.owners[ITEM_TABLE]))


def _train(model: LivingModel, task: Task, cases: Cases, features: Features, seed: int) -> tuple[np.ndarray, str]:
    people, fold = features.people, features.fold
    points = _joined(cases)
    train, valid, test = (
        points.where(places(points.users_N, people.users_P[n])) for n in (fold.train_n, fold.valid_n, fold.test_n)
    )
    tried = aside(model, task, seed, replace(cases, train=train, valid=valid, test=test))
    outcome = tried.outcome()
    assert isinstance(outcome, Classified)
    return np.asarray(outcome.probabilities_NC), f"{tried.epochs} epochs"


@dataclass(frozen=True)
class Aside:
    """A task that was taken in beside a model, which stays as it is; with `auto`, by the strategy that it chose."""

    growth: Growth
    member: Member

    @property
    def epochs(self) -> int:
        """How many it was trained for."""
        return sum(point.epoch > 0 for point in self.growth.curve)

    def outcome(self) -> Outcome:
        """What it answers on its test cases."""
        growth, cases = self.growth, self.growth.cases
        answering = Answering(mount(growth.design, growth.site.bank, self.member, cases.known), growth.design)
        return outcome_of(answering, cases, cases.test)


def aside(model: LivingModel, task: Task, seed: int, cases: Cases | None = None) -> Aside:
    """Train a task as `add_task` does, with cases of one's own or the task's; nothing is committed."""
    growth = model._growth(task, seed, Compute(), Silent(), cases=cases)
    return Aside(*grow(growth, Silent(), Resume(None)))


def _joined(cases: Cases) -> Points:
    parts = (cases.train, cases.valid, cases.test)
    arrays = ([getattr(part, name) for part in parts] for name in ("users_N", "ends_N", "targets_N"))
    return Points(*(np.concatenate(found) for found in arrays))


def places(users_N: np.ndarray, wanted_n: np.ndarray) -> np.ndarray:
    """Where each wanted user stands among users that occur once, int64; -1 for none."""
    order = np.argsort(users_N, kind="stable")
    place_n = np.searchsorted(users_N[order], wanted_n).clip(max=len(users_N) - 1)
    return np.where(users_N[order[place_n]] == wanted_n, order[place_n], -1)
