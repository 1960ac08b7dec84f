"""The wide path of a head: what each item of a user's past says by itself, beside the vector of what many have in common."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.bags import bag
from lifelong.core.types import Seen


class Wide(nn.Module):
    """score of c = sum over a user's distinct items v of w_vc idf_v, over the square root of the sum of their idf_v^2: a linear
    model of TF-IDF, as the wide half of Wide & Deep (Cheng et al., DLRS 2016, section 3.1) is one of crossed features.

    Where we leave the paper: its weights are not trained step by step beside the deep half, with FTRL, but fitted once together
    with the head on the vectors it starts from (heads/layers/wide_fitting.py), and stay: so they cost a step nothing, and no
    epoch can overfit them. Until then, and for a user without known items, all scores are 0.
    """

    table_VC1: Tensor
    """Row v: idf_v^2, then idf_v w_vc for every class; zeros for items that say nothing."""

    def __init__(self, rows: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("table_VC1", torch.zeros(rows, classes + 1))

    def forward(self, seen: Seen) -> Tensor:
        """Scores (N, C) float32; the same bits whoever else is asked."""
        rows_NS, weights_NS = bag(seen.rows_NS)
        ones_NS = (weights_NS > 0).float()
        sums_NC1 = F.embedding_bag(rows_NS, self.table_VC1, mode="sum", per_sample_weights=ones_NS)
        length_N1 = sums_NC1[:, :1].sqrt()
        return sums_NC1[:, 1:] / torch.where(length_N1 > 0, length_N1, 1.0)

    def take(self, idf_V: Tensor, weight_CV: Tensor) -> None:
        """Let these be the weights, float32."""
        self.table_VC1.copy_(torch.cat([idf_V[:, None] ** 2, idf_V[:, None] * weight_CV.T], dim=1))
