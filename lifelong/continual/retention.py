"""Knowledge retention under masks: earlier tasks answer for a few users of each batch, the less related the more of them."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.continual.parts.base import Part
from lifelong.continual.parts.mask import Mask
from lifelong.continual.past import Earlier, Seen
from lifelong.continual.phase import Penalty, Weights
from lifelong.core.errors import Diverged
from lifelong.core.types import Batch, History

STEEP = 6.0
"""How fast the share of users falls with the similarity of two tasks; the paper's."""


class Retention(Penalty):
    """strength x the mean squared error between what each earlier task answers and what it answered, weighted by rho.

    rho_i = 1 - mean over the slots of sigmoid(6 cos(mask of i, mask of the task that is learnt)), of every batch anew, is both
    the share of its users that task i answers for (at least one: the paper's code takes the mean of none) and its weight among
    the earlier tasks (TERACON, Kim et al., KDD 2023). It also turns the masks' sharpness up, from 1 / largest at the first
    batch of an epoch, in equal steps.
    """

    def __init__(
        self, past: list[Earlier], seen: list[Seen], before: Weights, own: Mapping[str, Mask], strength: float
    ) -> None:
        """`own`: the masks of the task that is learnt; those of the earlier ones sit in their slots already."""
        super().__init__()
        self.past, self.seen, self.strength = nn.ModuleList(past), seen, strength
        self._own = (own,)  # a tuple: they train with their task, not here
        self._before = {name: value.detach().clone() for name, value in before.items()}
        self._heads = [{n: p.detach().clone() for n, p in e.named_parameters() if p.requires_grad} for e in past]
        self.taught = nn.ModuleList(nn.ModuleDict(_apart(earlier)) for earlier in past)
        self.start(0)

    def start(self, epoch: int, steps: int = 0) -> None:
        """Begin with open masks, if it is known how many steps there are; draw users by the epoch's number."""
        self._step, self._steps = 0, steps
        self._random = torch.Generator().manual_seed(epoch)
        self._sharpen()

    def forward(self, weights: Weights, batch: Batch) -> Tensor:
        """The error on the histories of this batch."""
        device = next(iter(weights.values())).device
        self._before = {name: value.to(device) for name, value in self._before.items()}
        total, users = torch.zeros((), device=device), len(batch.history)
        if self.strength and users:
            rhos = [self._rho(number) for number in range(len(self.past))]
            for number, rho in enumerate(rhos):
                some = torch.randperm(users, generator=self._random)[: max(1, int(users * rho))]
                total = total + rho / sum(rhos) * self._error(number, weights, batch.history.users(some.to(device)))
        self._step += 1
        self._sharpen()
        return self.strength * total

    def _error(self, number: int, weights: Weights, history: History) -> Tensor:
        earlier, seen = self.past[number], self.seen[number]
        assert isinstance(earlier, Earlier)
        error = F.mse_loss(earlier(seen(weights), history), self._answered(number, earlier, seen, history))
        return error / earlier.spread**2

    @torch.no_grad()
    def _answered(self, number: int, earlier: Earlier, seen: Seen, history: History) -> Tensor:
        """What the earlier task answered before: old trunk, head and masks, equally sharp, no dropout."""
        present, training = {name: slot.part for name, slot in earlier.slots.items()}, earlier.training
        earlier.sit(self._taught(number))
        earlier.eval()
        for part in self._taught(number).values():
            part.train(training)  # a mask in training is as sharp as the others
        heads = {name: value.to(history.window_BL.device) for name, value in self._heads[number].items()}
        old_BC: Tensor = functional_call(earlier, heads, (seen(self._before), history))
        earlier.sit(present)
        earlier.train(training)
        return old_BC

    @torch.no_grad()
    def _rho(self, number: int) -> float:
        """In [0.0025, 0.5]: masks are positive. A task without masks has them all open.

        Raises Diverged where a mask is not finite.
        """
        (own,), taught = self._own, self._taught(number)
        similar = []
        for slot, mask in own.items():
            there = taught.get(slot)
            gates_D = there.gates() if isinstance(there, Mask) else torch.ones_like(mask.bias).expand(mask.width)
            similar.append(torch.sigmoid(STEEP * F.cosine_similarity(gates_D, mask.gates(), dim=0)))
        rho = float(1.0 - torch.stack(similar).mean())
        if not math.isfinite(rho):
            raise Diverged("training diverged: a mask is not finite")
        return rho

    def _taught(self, number: int) -> dict[str, Part]:
        """The masks of an earlier task as they were, by slot."""
        kept = self.taught[number]
        assert isinstance(kept, nn.ModuleDict)
        return {key.replace("/", "."): part for key, part in kept.items() if isinstance(part, Part)}

    def _sharpen(self) -> None:
        """1 / largest + (largest - 1 / largest) b / B at batch b of B; the largest where B is not known."""
        present = [
            slot.part for earlier in self.past if isinstance(earlier, Earlier) for slot in earlier.slots.values()
        ]
        for mask in [*self._own[0].values(), *present, *self.taught.modules()]:
            if isinstance(mask, Mask):
                largest = mask.options.largest
                done = min(1.0, self._step / self._steps) if self._steps else 1.0
                mask.sharpness = 1 / largest + (largest - 1 / largest) * done


def _apart(earlier: Earlier) -> dict[str, Mask]:
    """Copies of its masks; a key of torch's ModuleDict may hold no dot."""
    parts = {name: slot.part for name, slot in earlier.slots.items()}
    return {name.replace(".", "/"): part.apart() for name, part in parts.items() if isinstance(part, Mask)}
