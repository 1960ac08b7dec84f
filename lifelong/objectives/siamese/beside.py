"""The networks between a user vector and the loss of two views: a projection and, for one view alone, a predictor."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "layer"]


class Siamese(nn.Module):
    """projection: three layers, each normed, ReLU between. predictor: two, the first normed, a quarter as wide (SimSiam).

    Neither is served: they are trained beside a task and then forgotten, so batch statistics here never reach an answer.
    """

    def __init__(self, width: int, projected: int, norm: Norm, predicts: bool) -> None:
        """`width` of the user vectors, `projected` of what is compared."""
        super().__init__()
        wide = (width, projected, projected, projected)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(wide):
            layers += [*_linear(inputs, outputs, norm), nn.ReLU()]
        self.projection = nn.Sequential(*layers[:-1])
        narrow = max(1, projected // 4)
        self.predictor = (
            nn.Sequential(*_linear(projected, narrow, norm), nn.ReLU(), nn.Linear(narrow, projected))
            if predicts
            else None
        )


class BatchStandard(nn.Module):
    """(x - mean) / deviation over the rows of a batch, then gain and shift; no running figures, for it is never served.

    A batch of one row becomes the shift alone, where torch's BatchNorm raises.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, rows_ND: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        variance_D, mean_D = torch.var_mean(rows_ND, dim=0, correction=0)
        return (rows_ND - mean_D) * torch.rsqrt(variance_D + 1e-5) * self.weight + self.bias


def _linear(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), BatchStandard(outputs) if norm == "batch" else nn.LayerNorm(outputs)]
