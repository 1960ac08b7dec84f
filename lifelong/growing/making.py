"""What a task's file asks for, made: its strategy, its objective, the batches that it is trained on."""

import torch

from lifelong.continual.strategies.base import Strategy
from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.data.feeds import EventFeed, LabelFeed
from lifelong.data.negatives import NegativeSampler
from lifelong.growing.training import Feed
from lifelong.model.cases import Cases
from lifelong.model.network import Design
from lifelong.model.task import Task
from lifelong.objectives.base import Objective


def make_strategy(task: Task) -> Strategy:
    """The task's strategy with its options."""
    _, cls, config = registry.make_config("strategies", task.strategy, f"task {task.name}: strategy")
    return cls(config)


def make_objective(task: Task) -> Objective:
    """The task's objective, or its head's own."""
    spec = task.objective or registry.make_config("heads", task.head, "head")[1].objective
    _, cls, config = registry.make_config("objectives", spec, f"task {task.name}: objective")
    return cls(config)


def equipped(objective: Objective, width: int, seed: int) -> Objective:
    """The objective with what it trains for itself, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        objective.equip(width)
    return objective


def open_feed(task: Task, cases: Cases, design: Design, seed: int) -> Feed:
    """Training batches with the task's own negatives."""
    return make_feed(task, cases, design, seed, negatives_of(task, cases))


def make_feed(task: Task, cases: Cases, design: Design, seed: int, negatives: NegativeSampler | None) -> Feed:
    """Training batches as the objective wants them supervised."""
    fit_, length, past = task.fit, design.length, design.past
    if make_objective(task).points == "users":
        return LabelFeed(cases.sequences, cases.train, length, fit_.batch_size, seed, fit_.windows_per_user, past)
    if task.data.label:
        raise ConfigError(f"task {task.name!r}: a label of users is trained by the objective supervised")
    return EventFeed(cases.sequences, cases.train, length, fit_.batch_size, seed, negatives, past)


def negatives_of(task: Task, cases: Cases) -> NegativeSampler | None:
    """What draws candidates for a catalogue too large to score in every step; None where it is not."""
    config = registry.make_config("heads", task.head, "head")[2]
    if task.data.label or len(cases.catalogue) <= getattr(config, "full_softmax_up_to", len(cases.catalogue)):
        return None
    return NegativeSampler(cases.counts_C, config.negatives, config.in_batch)
