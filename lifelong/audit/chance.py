"""A label dealt out anew at random must not be predictable: what a probe still finds then is a fault of the measurement."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lifelong.core.progress import Progress, Silent
from lifelong.core.types import Classified
from lifelong.living import LivingModel
from lifelong.metrics.parse import parse
from lifelong.profiling.compare import ask
from lifelong.profiling.folds import Fold, folds_of
from lifelong.profiling.methods import probe
from lifelong.profiling.people import People, people_of
from lifelong.profiling.scoring import by_repeat
from lifelong.profiling.trained import aside, cases_for, vectors_of

LOW, HIGH = 0.45, 0.55
"""Where the AUC of a label without meaning must lie."""


@dataclass(frozen=True)
class Chance:
    """AUC of each way of asking, averaged over the deals, and how many users were asked."""

    auc: dict[str, float]
    users: int

    @property
    def ok(self) -> bool:
        """Whether all lie in [LOW, HIGH]."""
        return all(LOW <= value <= HIGH for value in self.auc.values())


def shuffled_label(
    model: LivingModel,
    task: str,
    *,
    deals: int = 5,
    folds: int = 3,
    seed: int = 0,
    divide: Callable[[People, int], list[Fold]] | None = None,
    progress: Progress | None = None,
) -> Chance:
    """The AUC of a task of classes whose labels are dealt out at random among the users, by two ways of asking.

    probe: a probe on frozen user vectors, over folds, as `lifelong evaluate --profile` does. head: the task's head, solved and
    trained by its strategy, on its own split. The mean over `deals` narrows what chance alone does.
    """
    progress, member = progress or Silent(), model.members[task]
    cases = cases_for(model, member.task)
    people = people_of(model, member.task, cases, [member.parent], progress)
    method, probed, headed = probe(vectors_of(model, member.task, people)), [], []
    for deal in range(deals):
        dealt = replace(people, targets_P=np.random.default_rng([seed, deal]).permutation(people.targets_P))
        parts = divide(dealt, deal) if divide else folds_of(dealt, folds, 1, seed + deal, seen=True)
        probed.append(by_repeat(ask(dealt, parts, {"probe": method}, seed, progress)["probe"].answers, "auc")[0])
        headed.append(_head(model, task, dealt, seed))
    return Chance({"probe": float(np.mean(probed)), "head": float(np.mean(headed))}, len(people))


def _head(model: LivingModel, task: str, dealt: People, seed: int) -> float:
    member = model.members[task]
    cases = cases_for(model, member.task)
    class_U = np.zeros(int(dealt.users_P.max()) + 1, np.int64)
    class_U[dealt.users_P] = dealt.targets_P
    train, valid, test = (replace(p, targets_N=class_U[p.users_N]) for p in (cases.train, cases.valid, cases.test))
    outcome = aside(model, member.task, seed, replace(cases, train=train, valid=valid, test=test)).outcome()
    assert isinstance(outcome, Classified)
    return float(parse("auc").value(outcome)[0])
