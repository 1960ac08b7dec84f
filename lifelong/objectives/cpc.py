"""One user vector must tell the next few items apart from drawn ones, each a yes or a no of its own (TransRec's CPC)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.core.types import Batch
from lifelong.objectives.base import Net
from lifelong.objectives.contrast.causal import Contrast
from lifelong.objectives.contrast.points import ahead, one_each, some, targets_of_windows, uniform


class Cpc(Contrast):
    """mean over a point's next events of -ln sigmoid(score) + mean over drawn items of -ln sigmoid(-score), mean over points
    (TransRec, Wang et al., 2022, section 3.3; after CPC, van den Oord et al., 2018). Despite its name it is no InfoNCE.

    score = user · item + bias, as the head scores. Drawn are items that are neither in the window nor a target of it, once for
    a window. Where we leave the paper: TransRec reads its user vector at one point before the last five events of a user, from
    an encoder that sees both sides; here every point of a causal pass has one, and fewer than five events may follow it.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Contrast.Config):
        """Options of the objective."""

        ahead: int = 5
        """How many of the next events are right answers, the next one among them."""
        drawn: int = 5
        """How many items are drawn for each window."""
        loss: Literal["bce", "bpr"] = "bce"
        """bpr: the next event alone must score above the first drawn item."""
        at: Literal["every", "one"] = "every"
        """Where user vectors are read: at every supervised point, or, as in the paper, at a random one of each window. Data
        set synthetic, 800 users, SASRec, 8 epochs, one seed: NDCG@10 on test .116 at every, .064 at one (and .143 at every with
        ahead: 1; the head's softmax: .183)."""

        def __post_init__(self) -> None:
            for option in ("ahead", "drawn"):
                if getattr(self, option) < 1:
                    raise ValueError(f"{option} is {getattr(self, option)}, it must be at least 1")

    options: Config

    def contrast(self, net: Net, batch: Batch) -> Tensor:
        """The loss at the points of the batch."""
        next_ = ahead(batch, self.options.ahead)
        where_n = one_each(batch) if self.options.at == "one" else torch.arange(len(batch), device=batch.rows_N.device)
        read = some(batch, where_n)
        users_nD = net.users_at(net.states(batch.history), read).float()
        index_nA, there_nA = next_.index_NA[where_n], next_.there_NA[where_n]
        right_ND, bias_N = net.head.vectors(batch.targets_N, net.items), net.head.bias[batch.targets_N]
        right_nA = torch.stack([(users_nD * right_ND[i]).sum(1) + bias_N[i] for i in index_nA.unbind(1)], dim=1)
        wrong_nK, found_nK = self._drawn(net, batch, users_nD, read.rows_N)
        if self.options.loss == "bpr":
            pair_n = F.softplus(wrong_nK[:, 0] - right_nA[:, 0])
            return torch.where(found_nK[:, 0], pair_n, 0.0).sum() / found_nK[:, 0].sum().clamp(min=1)
        sides_n = _means(F.softplus(-right_nA), there_nA) + _means(F.softplus(wrong_nK), found_nK)
        return sides_n.sum() / max(1, len(sides_n))

    def _drawn(self, net: Net, batch: Batch, users_nD: Tensor, rows_n: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of what was drawn for each point's window (n, K), and whether that is a negative."""
        taken_BS = torch.cat([net.head.index_of(batch.history.window_BL), targets_of_windows(batch)], dim=1)
        index_BK, found_BK = uniform(taken_BS, len(net.head.bias), self.options.drawn)
        vectors_BKD, bias_BK = net.head.vectors(index_BK, net.items), net.head.bias[index_BK]
        columns = zip(vectors_BKD.unbind(1), bias_BK.unbind(1), strict=True)
        scores_nK = torch.stack([(users_nD * v_BD[rows_n]).sum(1) + b_B[rows_n] for v_BD, b_B in columns], dim=1)
        return scores_nK, found_BK[rows_n]


def _means(values_nK: Tensor, counts_nK: Tensor) -> Tensor:
    """The mean of what counts in each row (n,), 0 where nothing does."""
    return torch.where(counts_nK, values_nK, 0.0).sum(dim=1) / counts_nK.sum(dim=1).clamp(min=1)
