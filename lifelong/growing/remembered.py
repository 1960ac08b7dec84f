"""An earlier task of a living model for strategies that change it: its network, its objective, its own training data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.asking.evaluation import log_score, validation_score
from lifelong.continual.bank import Bank
from lifelong.continual.parts.base import Part
from lifelong.continual.past import Earlier, known_only
from lifelong.continual.phase import Weights
from lifelong.core.slot import Slot
from lifelong.core.types import Batch, History
from lifelong.growing.making import equipped, make_objective, open_feed
from lifelong.growing.training import Feed
from lifelong.model.cases import Cases, ItemRows
from lifelong.model.member import Member, mount
from lifelong.model.network import Design, TaskNet


class Remembered(Earlier):
    """A member with copies of its head and parts; `rows` is the length of the item table as the task that is added knows it.

    The data are opened when they are first asked for, and not before.
    """

    def __init__(
        self, design: Design, bank: Bank, member: Member, known: ItemRows, rows: int, open_cases: Callable[[], Cases]
    ) -> None:
        super().__init__()
        copied = replace(member, own={name: value.clone() for name, value in member.own.items()})
        self.name, self.view, self.member = member.name, member.view, member
        self.net: TaskNet = mount(design, bank, copied, known)
        self.answers = self.net.answers
        self.objective = equipped(make_objective(member.task), self.net.user_width, 0)
        self._design, self._open_cases = design, open_cases
        self._known_V = torch.zeros(rows, dtype=torch.bool)
        self._known_V[torch.from_numpy(known.rows_n).long()] = True

    @property
    def compares(self) -> bool:
        """As its objective."""
        return self.objective.compares

    @property
    def spread(self) -> float:
        """The scale of its head."""
        scale = getattr(self.net.head, "scale", None) if self.answers == "number" else None
        return float(scale) if isinstance(scale, Tensor) else 1.0

    @property
    def own(self) -> dict[str, nn.Parameter]:
        """Head and parts by name."""
        trunk = set(self.net.trunk_names())
        return {name: p for name, p in self.net.named_parameters() if name not in trunk}

    def forward(self, weights: Weights, history: History) -> Tensor:
        """Scores (B, C); items that the task does not know are left out of the histories."""
        known = known_only(history, self._known_V)
        scores_BC: Tensor = functional_call(self.net, dict(weights), (_Answers, known))
        return scores_BC

    def loss(self, weights: Weights, batch: Batch) -> Tensor:
        """Its objective's mean loss."""
        loss: Tensor = functional_call(self.net, dict(weights), (self.objective, batch))
        return loss

    def batches(self, number: int) -> Iterator[Batch]:
        """One pass over its training cases."""
        return self._feed.epoch(number)

    def validated(self, weights: Weights) -> float:
        """On its own validation cases, without dropout."""
        self.net.put(weights)
        self.net.eval()
        score = validation_score(self.net, self._cases, self.member.task.measured_by[0], self._design.past)
        return log_score(self.answers, score)

    def redrawn(self, batch: Batch, random: np.random.Generator) -> Batch:
        """By the sampler of its feed."""
        sampler = getattr(self._feed, "negatives", None)
        return replace(batch, negatives=sampler.draw(random, batch.targets_N.numpy())) if sampler else batch

    @property
    def slots(self) -> Mapping[str, Slot]:
        """Those of its network."""
        return self.net.slots()

    @cached_property
    def _cases(self) -> Cases:
        return self._open_cases()

    @cached_property
    def _feed(self) -> Feed:
        return open_feed(self.member.task, self._cases, self._design, 0)

    def changed(self) -> Member:
        """The member with head and parts as they are after training."""
        trained = {name: p.detach().cpu().clone() for name, p in self.own.items()}
        parts = {name: slot.part.spec() for name, slot in self.slots.items() if isinstance(slot.part, Part)}
        return replace(self.member, own={**self.member.own, **trained}, parts=parts)


class _Answers:
    """Stands where an objective does, so that scores are asked for through the network's one forward."""

    @staticmethod
    def loss(net: TaskNet, history: History) -> Tensor:
        return net.scores(net.users(history), net.seen(history))
