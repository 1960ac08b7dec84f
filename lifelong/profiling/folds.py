"""Who is trained on, chosen with and asked: repeated stratified folds by user, and the split that a task was sealed with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lifelong.core.errors import UsageError
from lifelong.data.splits import TEST, TRAIN, VALID
from lifelong.profiling.people import People

VALID_PARTS = 8
"""One part in eight of a fold's other users chooses options: 70 % train, 10 % valid, 20 % test with five folds."""


@dataclass(frozen=True)
class Fold:
    """Places among the people, int64: who is trained on, who chooses options, who is asked."""

    repeat: int
    train_n: np.ndarray
    valid_n: np.ndarray
    test_n: np.ndarray


def folds_of(people: People, folds: int, repeats: int, seed: int, seen: bool) -> list[Fold]:
    """`repeats` times `folds` folds, the same share of every class in each. Asked are unseen users alone, unless `seen`.

    Every user who may be asked is asked once a repeat. Raises UsageError where there are too few.
    """
    if folds < 2 or repeats < 1:
        raise UsageError(f"folds is {folds} and repeats is {repeats}; at least 2 and 1 are needed")
    asked_P = np.ones(len(people), bool) if seen else ~people.seen_P
    need_unseen(people, asked_P, 2)
    if asked_P.sum() < folds:
        raise UsageError(f"task {people.task!r}: {int(asked_P.sum())} users may be asked, folds is {folds}; take fewer")
    return [
        fold
        for repeat in range(repeats)
        for fold in _repeat(people, asked_P, folds, repeat, np.random.default_rng([seed, repeat]))
    ]


def sealed_fold(people: People, seen: bool) -> Fold:
    """The task's own training, validation and test users; of the last, unseen ones alone, unless `seen`."""
    train_n, valid_n, test_n = (np.flatnonzero(people.parts_P == part) for part in (TRAIN, VALID, TEST))
    return Fold(0, train_n, valid_n, test_n if seen else test_n[~people.seen_P[test_n]])


def need_unseen(people: People, asked_P: np.ndarray, least: int) -> None:
    """Raises UsageError where fewer than `least` users may be asked."""
    if asked_P.sum() < least:
        raise UsageError(
            f"task {people.task!r}: {int(asked_P.sum())} of {len(people)} labelled users are unseen, the model was trained on "
            "events of the others. Pretrain with data.split.hold_out_users and the salt and test share of this task, or ask "
            "about seen users with --seen"
        )


def _repeat(
    people: People, asked_P: np.ndarray, folds: int, repeat: int, random: np.random.Generator
) -> Iterator[Fold]:
    stratum_P = people.targets_P * 2 + asked_P
    part_P = spread_out(stratum_P, folds, random)
    for number in range(folds):
        test_n = np.flatnonzero((part_P == number) & asked_P)
        rest_n = np.flatnonzero(part_P != number)
        chosen_n = spread_out(stratum_P[rest_n], VALID_PARTS, random) == 0
        yield Fold(repeat, rest_n[~chosen_n], rest_n[chosen_n], test_n)


def spread_out(stratum_P: np.ndarray, parts: int, random: np.random.Generator) -> np.ndarray:
    """A part (int64, 0 … parts - 1) for everybody, every stratum spread evenly, all parts of one size but for one."""
    order = random.permutation(len(stratum_P))
    order = order[np.argsort(stratum_P[order], kind="stable")]
    part_P = np.empty(len(stratum_P), np.int64)
    part_P[order] = np.arange(len(order)) % parts
    return part_P
