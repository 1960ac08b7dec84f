"""Train the shared encoder while the earlier heads must go on answering the same about the new task's users (LwF)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.continual.past import Earlier, Seen
from lifelong.continual.phase import Penalty, Phase, Weights
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core.config import need
from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch


class LwF(Strategy):
    """Learning without forgetting (Li & Hoiem, TPAMI 2017, section 3): no data of earlier tasks are needed.

    Every earlier task answers for the histories of each batch, once with the weights as they were and once as they stand; the
    divergence of the two is added to the loss. Where we leave the paper: all earlier answers are computed in the step, not
    recorded beforehand, and it has no warm-up of the new head alone.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        strength: float = 1.0
        """Weight of the divergence of each earlier task; 1 is the paper's."""
        temperature: float = 2.0
        """Softens both answers before they are compared; 2 is the paper's."""
        heads: Literal["train", "freeze"] = "train"
        """Whether the earlier tasks' heads go along."""

        def __post_init__(self) -> None:
            for option in ("strength", "temperature"):
                need(self, option, getattr(self, option) > 0, "be above 0")

    isolates: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: LwF.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """Train under the earlier tasks' eyes, write back."""
        view = site.share()
        past = site.shared_past("LwF asks them what they answer")
        for earlier in past:
            if earlier.answers not in ("items", "classes"):
                raise ConfigError(
                    f"task {task!r}: lwf compares probabilities, and the earlier task {earlier.name!r} answers "
                    f"{earlier.answers}; use replay, ewc or joint"
                )
        if self.options.heads == "train":
            site.let_train(past)
        yield Phase(view=view, label="train", penalty=Distillation(past, site.seen(past), view.private, self.options))
        site.write_back(view)
        return view


class Distillation(Penalty):
    """strength x the sum over the earlier tasks of T^2 KL(softmax(old / T) || softmax(current / T)), mean over the users."""

    def __init__(self, past: list[Earlier], seen: list[Seen], before: Weights, options: LwF.Config) -> None:
        super().__init__()
        self.past, self.seen, self.options = nn.ModuleList(past), seen, options
        self._before = {name: value.detach().clone() for name, value in before.items()}
        self._heads = [{n: p.detach().clone() for n, p in e.named_parameters() if p.requires_grad} for e in past]

    def forward(self, weights: Weights, batch: Batch) -> Tensor:
        """The divergence on the histories of this batch."""
        device = next(iter(weights.values())).device
        self._before = {name: value.to(device) for name, value in self._before.items()}
        total = torch.zeros((), device=device)
        for earlier, seen, head in zip(self.past, self.seen, self._heads, strict=True):
            current_BC = earlier(seen(weights), batch.history) / self.options.temperature
            old_BC = self._taught(earlier, seen, head, batch) / self.options.temperature
            total = total + F.kl_div(
                current_BC.log_softmax(1), old_BC.log_softmax(1), log_target=True, reduction="batchmean"
            )
        return self.options.strength * self.options.temperature**2 * total

    @torch.no_grad()
    def _taught(self, earlier: nn.Module, seen: Seen, head: dict[str, Tensor], batch: Batch) -> Tensor:
        """What the earlier task answered before: old trunk, old head, no dropout."""
        training = earlier.training
        earlier.eval()
        head = {name: value.to(batch.history.window_BL.device) for name, value in head.items()}
        old_BC: Tensor = functional_call(earlier, head, (seen(self._before), batch.history))
        earlier.train(training)
        return old_BC
