"""Earlier tasks' own losses beside that of the task that is learnt: what replay and joint training add to a phase."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.continual.past import Earlier, Seen
from lifelong.continual.phase import Penalty, Weights
from lifelong.core.types import Batch

Draw = Callable[[int], Iterator[Batch]]
"""Number of an epoch -> batches of one earlier task, without end."""


class Rehearsal(Penalty):
    """strength x the sum of the earlier tasks' losses, each on one batch of its own a step."""

    def __init__(self, past: Iterable[Earlier], seen: Iterable[Seen], draws: Iterable[Draw], strength: float) -> None:
        super().__init__()
        self.past, self.seen, self.draws, self.strength = nn.ModuleList(past), list(seen), list(draws), strength
        self.start(0)

    def start(self, epoch: int, steps: int = 0) -> None:
        """Begin every task's batches for this epoch."""
        self._streams = [draw(epoch) for draw in self.draws]

    def forward(self, weights: Weights, batch: Batch) -> Tensor:
        """The earlier losses; what is learnt at present (`batch`) plays no part."""
        device = next(iter(weights.values())).device
        total = torch.zeros((), device=device)
        for earlier, seen, stream in zip(self.past, self.seen, self._streams, strict=True):
            assert isinstance(earlier, Earlier)
            total = total + earlier.loss(seen(weights), next(stream).to(device))
        return self.strength * total


class Together(Rehearsal):
    """Rehearsal with the epoch chosen by all tasks' validation scores: a gain in one at the cost of another is seen."""

    @torch.no_grad()
    def validated(self, weights: Weights) -> list[float]:
        """Every earlier task's."""
        pairs = zip(self.past, self.seen, strict=True)
        return [earlier.validated(seen(weights)) for earlier, seen in pairs if isinstance(earlier, Earlier)]


def endless(earlier: Earlier) -> Draw:
    """All of an earlier task's training cases, pass after pass; another order in every epoch."""

    def draw(epoch: int) -> Iterator[Batch]:
        number = epoch * 1000
        while True:
            yield from earlier.batches(number)
            number += 1

    return draw


def again(earlier: Earlier, memory: list[Batch]) -> Draw:
    """A few kept batches, over and over; every epoch begins with another one.

    Their negatives are drawn anew each time: items that are never told from the right ones would rise above them.
    """

    def draw(epoch: int) -> Iterator[Batch]:
        step, random = epoch, np.random.default_rng(epoch)
        while True:
            yield earlier.redrawn(memory[step % len(memory)], random)
            step += 1

    return draw
