"""Train the shared encoder, but hold each weight back the more it mattered to earlier tasks (EWC)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.continual.past import Earlier, Seen, take_users
from lifelong.continual.phase import Penalty, Phase, Weights
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core.config import need
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch


class EWC(Strategy):
    """Elastic weight consolidation (Kirkpatrick et al., PNAS 2017): a quadratic pull towards the weights as they are.

    What mattered is the diagonal of the empirical Fisher information: the mean over users of the squared gradient of an
    earlier task's loss. It is taken anew, at the present weights, for every earlier task when the next one comes, so all pull
    towards one point (Huszar, PNAS 2018); nothing but the earlier tasks' own data is needed, and nothing of it is kept.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        strength: float = 100.0
        """lambda: how hard the pull is."""
        users: int = 128
        """Users of each earlier task whose gradients are looked at."""

        def __post_init__(self) -> None:
            need(self, "strength", self.strength > 0, "be above 0")
            need(self, "users", self.users >= 1, "be at least 1")

    isolates: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: EWC.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """Measure what mattered, train, write back."""
        view = site.share()
        past = site.shared_past("EWC measures what matters to them")
        for earlier in past:
            if earlier.compares:
                raise ConfigError(
                    f"task {task!r}: ewc takes the gradient of one user at a time, and the loss of the earlier task "
                    f"{earlier.name!r} compares users with each other; use replay or joint, or a strategy that isolates"
                )
        fishers = [fisher(*pair, view.private, self.options.users) for pair in zip(past, site.seen(past), strict=True)]
        total = {name: sum((f[name] for f in fishers), torch.zeros_like(value)) for name, value in view.private.items()}
        yield Phase(view=view, label="train", penalty=Pull(view.private, total, self.options.strength))
        site.write_back(view)
        return view


class Pull(Penalty):
    """strength / 2 x the sum of fisher x (weight - anchor)^2."""

    def __init__(self, anchor: Weights, importance: Weights, strength: float) -> None:
        super().__init__()
        self._anchor = {name: value.detach().clone() for name, value in anchor.items()}
        self._importance, self.strength = dict(importance), strength

    def forward(self, weights: Weights, batch: Batch) -> Tensor:
        """The pull at the weights as they stand."""
        device = next(iter(weights.values())).device
        self._anchor = {name: value.to(device) for name, value in self._anchor.items()}
        self._importance = {name: value.to(device) for name, value in self._importance.items()}
        terms = [(f * (weights[name] - self._anchor[name]).square()).sum() for name, f in self._importance.items()]
        return self.strength / 2 * torch.stack(terms).sum()


def fisher(earlier: Earlier, seen: Seen, weights: Weights, users: int) -> dict[str, Tensor]:
    """Mean over up to `users` users of the squared gradient of the task's loss, by the trunk's names; without dropout."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
    total = {name: torch.zeros_like(value) for name, value in weights.items()}
    training, count = earlier.training, 0
    earlier.eval()
    for one in islice(_one_by_one(earlier), users):
        loss, count = earlier.loss(seen(leaves), one), count + 1
        gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
        for name, gradient in zip(leaves, gradients, strict=True):
            total[name] += gradient.square()
    earlier.train(training)
    return {name: value / max(1, count) for name, value in total.items()}


def _one_by_one(earlier: Earlier) -> Iterator[Batch]:
    for batch in earlier.batches(0):
        for user in range(len(batch.history.window_BL)):
            one = take_users(batch, user, user + 1)
            if len(one):
                yield one
