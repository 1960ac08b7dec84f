"""How well an attacker can tell whom a task was trained on, from what it answers: measured, not denied.

Members are users that the task was trained on; others are users of the same data whom neither it nor a parent was trained on,
held out by a hash of their id, so that nothing but the training tells the two apart. Each is asked about the same kind of
places: those at which it was trained on, or would have been. Others may have helped to choose the epoch: without them, in a
split by time, only those would be left who had gone before it, and they are people of another kind. One number a user, and
the AUC of "member" by that number: .5 is nothing, 1 is all.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from lifelong.asking.evaluation import log_likelihoods, outcome_of, removal_of
from lifelong.asking.inference import NOBODY, Answering
from lifelong.core.errors import UsageError
from lifelong.core.progress import Progress, Silent
from lifelong.core.seeds import check_seed
from lifelong.core.types import Classified, Estimated, Labelled, Measure, Outcome
from lifelong.data.sequences import Points
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure
from lifelong.metrics.kinds.auc import AUC
from lifelong.model.cases import Cases
from lifelong.model.member import known_items

WARN = 0.60
"""An AUC above it is told as a warning."""
USERS, POINTS = 2000, 5
"""At most so many members, others, and places of each user: the interval is then about .02 wide to either side."""
DEALT = 200
"""How often the words are dealt anew for the control."""
LIST = 10
"""Places of a recommended list."""


@dataclass(frozen=True)
class Membership:
    """What the attacks on one task reach. attacks: name -> AUC with its 95 % interval over users; control: mean and 95 %
    range of the best attack's where the words "member" and "other" are dealt by chance, about .5. warning: nothing below
    WARN.

    loss: the mean loss at a user's places (Yeom et al. 2018). rank: how high its true items stand. list: the share of its true
    items among the ten recommended, which is all that somebody sees who sees the lists alone (Zhang et al. 2021). sure: how
    probable the likeliest class is. Attacks on the answers alone; who has the weights has more.
    """

    task: str
    members: int
    others: int
    attacks: dict[str, Measure]
    control: Measure
    warning: str = ""

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        attacks = {name: vars(found) for name, found in self.attacks.items()}
        return {**vars(self), "attacks": attacks, "control": vars(self.control)}


def membership(
    model: LivingModel, task: str, *, seed: int = 0, users: int = USERS, progress: Progress | None = None
) -> Membership:
    """Attack a task by what it answers, through the path that is served. Its own data and those of its parents must be there.

    Raises UsageError where no user was held out of the training, or the task answers with vectors alone.
    """
    check_seed(seed)
    progress = progress or Silent()
    answering, cases = model.answering(task), model.cases(task, progress)
    if answering.net.answers == "vectors":
        raise UsageError(f"task {task!r} answers with user vectors alone; attack a task that stands on it")
    inside, outside = _points(model, task, cases, progress)
    random = np.random.default_rng(seed)
    drawn = [_drawn(points, users, random) for points in (inside, outside)]
    counts = [len(np.unique(points.users_N)) for points in drawn]
    if not counts[1]:
        raise UsageError(
            f"task {task!r}: every user of its data was trained on, so there is nobody to compare its members with; "
            "hold users out (data.split.hold_out_users)"
        )
    scores = [_scores(answering, cases, points) for points in drawn]
    member_U = np.repeat([1, 0], counts)
    score_U = {name: np.concatenate([scores[0][name], scores[1][name]]) for name in scores[0]}
    return judged(task, score_U, member_U, seed)


def judged(task: str, score_U: dict[str, np.ndarray], member_U: np.ndarray, seed: int) -> Membership:
    """What attacks reach that give each of U users a score, higher for a likelier member; member_U is 1 or 0."""
    attacks = {name: _auc(values_U, member_U, seed) for name, values_U in score_U.items()}
    best = max(attacks, key=lambda name: attacks[name].value)
    control = _by_chance(score_U[best], member_U, seed)
    members, found = int(member_U.sum()), attacks[best]
    warning = ""
    if found.value > WARN:
        warning = (
            f"task {task!r}: its answers tell who was trained on: {best} AUC {found.value:.3f} [{found.low:.3f}, "
            f"{found.high:.3f}], above {WARN:.2f}; train it for fewer epochs, on more users, or with more decay"
        )
    return Membership(task, members, len(member_U) - members, attacks, control, warning)


def _auc(score_U: np.ndarray, member_U: np.ndarray, seed: int) -> Measure:
    return measure(AUC(), Classified(np.stack([-score_U, score_U], axis=1), member_U), seed=seed)


def _by_chance(score_U: np.ndarray, member_U: np.ndarray, seed: int) -> Measure:
    """Mean and 95 % range of the AUC where it is dealt by chance who is a member."""
    random, probabilities_U2 = np.random.default_rng([seed, 1]), np.stack([-score_U, score_U], axis=1)
    aucs = [AUC().value(Classified(probabilities_U2, random.permutation(member_U)))[0] for _ in range(DEALT)]
    low, high = np.quantile(aucs, [0.025, 0.975])
    return Measure(float(np.mean(aucs)), float(low), float(high), len(member_U))


def _points(model: LivingModel, task: str, cases: Cases, progress: Progress) -> tuple[Points, Points]:
    """Where members were trained on, and where others would have been."""
    member = model.members[task]
    split = member.task.data.split
    would = cases.test if split.name == "by_user" else _without_holding_out(model, task, progress).train
    seen_U = np.zeros(len(cases.sequences), bool)
    seen_U[cases.train.users_N] = True
    seen_U |= _seen_by_parents(model, task, cases, progress)
    return cases.train, would.where(~seen_U[would.users_N])


def _without_holding_out(model: LivingModel, task: str, progress: Progress) -> Cases:
    """The cases as they would be with everybody in training; items and catalogue are the same."""
    member = model.members[task]
    free = replace(
        member.task, data=replace(member.task.data, split=replace(member.task.data.split, hold_out_users=False))
    )
    above = known_items(model.members, member.parent)
    return model._make_cases(free, model.prepare(member.task, progress), above, member.first_row)


def _seen_by_parents(model: LivingModel, task: str, cases: Cases, progress: Progress) -> np.ndarray:
    """Bool (U): users whom a parent was trained on."""
    assert cases.users is not None
    seen_U, above = np.zeros(len(cases.users), bool), model.members[task].parent
    while above is not None:
        theirs = model.cases(above, progress)
        assert theirs.users is not None
        learnt = np.unique(theirs.train.users_N)
        seen_U |= pc.is_in(cases.users, value_set=theirs.users.take(pa.array(learnt))).to_numpy(zero_copy_only=False)
        above = model.members[above].parent
    return seen_U


def _drawn(points: Points, users: int, random: np.random.Generator) -> Points:
    """At most so many users and POINTS places of each, drawn by chance; sorted by user."""
    everybody = np.unique(points.users_N)
    kept = random.permutation(everybody)[:users]
    points = points.where(np.isin(points.users_N, kept))
    points = points.where(np.lexsort((random.random(len(points)), points.users_N)))
    first_N = np.searchsorted(points.users_N, points.users_N)
    return points.where(np.arange(len(points)) - first_N < POINTS)


def _scores(answering: Answering, cases: Cases, points: Points) -> dict[str, np.ndarray]:
    """Attack -> a score of each user that has a point, float64, in the order of users; higher for a likelier member."""
    per_point = (
        _of_items(answering, cases, points) if answering.net.answers == "items" else _of_users(answering, cases, points)
    )
    user_N = np.unique(points.users_N, return_inverse=True)[1]
    counts_U = np.bincount(user_N)
    return {name: np.bincount(user_N, weights=values_N) / counts_U for name, values_N in per_point.items()}


def _of_items(answering: Answering, cases: Cases, points: Points) -> dict[str, np.ndarray]:
    history = answering.history(cases.sequences, points)
    users_ND, targets_N = answering.users(history), torch.from_numpy(points.targets_N)
    head = answering.net.head
    excluded = NOBODY if getattr(head and head.config, "repeats", True) else removal_of(cases).excluded(points)
    ranks_N = answering.ranks(users_ND, targets_N, excluded, history).numpy().astype(np.float64)
    found = {"rank": -np.log(ranks_N), "list": (ranks_N <= LIST).astype(np.float64)}
    logs, done = [], 0
    for scores_NC in answering.scores(users_ND, history):
        right_N = targets_N[done : done + len(scores_NC), None]
        logs.append((scores_NC.gather(1, right_N)[:, 0] - scores_NC.logsumexp(1)).numpy())
        done += len(scores_NC)
    return {"loss": np.concatenate(logs).astype(np.float64), **found}


def _of_users(answering: Answering, cases: Cases, points: Points) -> dict[str, np.ndarray]:
    outcome = outcome_of(answering, cases, points)
    sure = {"sure": outcome.probabilities_NC.max(1).astype(np.float64)} if isinstance(outcome, Classified) else {}
    return {"loss": _likelihood(outcome), **sure}


def _likelihood(outcome: Outcome) -> np.ndarray:
    """Minus the loss of each case."""
    if isinstance(outcome, Classified):
        return log_likelihoods(outcome, balanced=False)
    if isinstance(outcome, Labelled):
        said_NC = np.where(outcome.targets_NC > 0, outcome.probabilities_NC, 1 - outcome.probabilities_NC)
        return np.log(np.maximum(said_NC.astype(np.float64), 1e-9)).mean(1)
    assert isinstance(outcome, Estimated)
    return -np.abs(outcome.values_N.astype(np.float64) - outcome.targets_N)
