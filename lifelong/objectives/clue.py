"""Two views of a user must give user vectors that agree; no negatives: one branch predicts, the other stands still (CLUE)."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.core.errors import ConfigError
from lifelong.core.types import Batch
from lifelong.objectives.base import Net, Objective
from lifelong.objectives.siamese.beside import Norm, Siamese
from lifelong.objectives.siamese.collapse import Watch
from lifelong.objectives.siamese.views import Views, pair


class Clue(Objective):
    """-1/2 cos(p1, stop(z2)) - 1/2 cos(p2, stop(z1)), where z = projection(user vector), p = predictor(z) (Cheng et al., CLUE,
    ICDM 2021, section IV; Chen & He, SimSiam, CVPR 2021).

    Each window of a batch is a user. Where we leave the paper: the user vector is the state of the last event (for encoders
    that see both sides: of the learned question behind it), not of an appended [UR] token, for it is the vector that is
    served to every task; hidden events are left out and the rest closes up, for a causal encoder has no [MASK]. The paper
    does not say how wide projection and predictor are.

    It is here for comparison. On MovieLens-100k (SASRec, 40 seconds of one core, one seed, dropout .2) its vectors use two
    directions (dropout) or one (halves) and hardly tell gender: AUC .54 and .50, clue_infonce .60, autoregressive .61.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Objective.Config):
        """Options of the objective."""

        views: Views = "dropout"
        """How two views of a user differ; dropout (the paper's): the encoder's own dropout alone."""
        rate: float = 0.3
        """Share of a user's events that mask, crop and permute leave out, cut out or shuffle, in (0, 1)."""
        negatives: Literal["none", "in_batch"] = "none"
        """in_batch: the other users of the batch must look different (InfoNCE); then there is no predictor."""
        temperature: float = 0.1
        """Of the softmax over the users of a batch; for in_batch alone."""
        norm: Norm = "batch"
        """Of the layers beside the encoder: over the batch, as in the paper, or layer. With layer the projections all but fall
        into one point (spread .02 after 200 steps on a small pattern, .997 with batch)."""
        projected: int = 128
        """Width of what is compared."""

        def __post_init__(self) -> None:
            if not 0 < self.rate < 1:
                raise ValueError(f"rate is {self.rate}, it must lie in (0, 1)")
            if not self.temperature > 0:
                raise ValueError(f"temperature is {self.temperature}, it must be above 0")
            if self.projected < 1:
                raise ValueError(f"projected is {self.projected}, it must be at least 1")

    points = None
    asks_head = asks_candidates = False
    compares = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Clue.Config = config
        self.watch = Watch()

    def equip(self, width: int) -> None:
        """Projection and, without negatives, predictor."""
        options = self.options
        self.siamese = Siamese(width, options.projected, options.norm, predicts=options.negatives == "none")

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """How little two views of each user agree, mean over the users of the batch."""
        views = pair(batch.history, self.options.views, self.options.rate)
        users_BU, again_BU = (net.vectors(net.states(view), view) for view in views)
        with torch.autocast(users_BU.device.type, enabled=False):
            first_BP, second_BP = (self.siamese.projection(v.float()) for v in (users_BU, again_BU))
            if self.siamese.predictor is None:
                return apart(first_BP, second_BP, self.options.temperature)
            self.watch.look("vectors", users_BU)
            self.watch.look("projections", first_BP)
            predicted = (self.siamese.predictor(first_BP), self.siamese.predictor(second_BP))
            return (disagreement(predicted[0], second_BP) + disagreement(predicted[1], first_BP)) / 2

    def need(self, encoder: nn.Module) -> None:
        """Raises ConfigError where dropout makes the views, and the encoder drops nothing."""
        drops = any(isinstance(module, nn.Dropout) and module.p > 0 for module in encoder.modules())
        if self.options.views == "dropout" and not drops:
            raise ConfigError(
                "objective clue: views are made by dropout, and the encoder drops nothing, so both are the same; set "
                "encoder.dropout above 0, or take other views, such as mask"
            )

    def end_epoch(self) -> dict[str, float]:
        """Spread and rank of user vectors and projections, without negatives alone: those keep users apart by themselves.

        Raises LifelongError where they have collapsed.
        """
        return self.watch.end()


def disagreement(predicted_BP: Tensor, target_BP: Tensor) -> Tensor:
    """-cos, mean over the users, from -1 to 1; no gradient reaches the target (without that all vectors fall into one)."""
    return -F.cosine_similarity(predicted_BP, target_BP.detach(), dim=1).mean()


def apart(first_BP: Tensor, second_BP: Tensor, temperature: float) -> Tensor:
    """-log p(own other view | all users of the batch), softmax of cosines / temperature, both ways (InfoNCE, van den Oord
    et al. 2018)."""
    logits_BB = F.normalize(first_BP, dim=1) @ F.normalize(second_BP, dim=1).T / temperature
    own_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, own_B) + F.cross_entropy(logits_BB.T, own_B)) / 2
