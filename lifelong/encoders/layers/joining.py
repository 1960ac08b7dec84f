"""One user vector out of two, the state after the latest events and the long-term path's, turned so that columns are alike."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Joining(nn.Module):
    """(state, long-term vector) -> their columns beside each other, the state at `share`, times a fixed orthogonal matrix.

    Distances and products are those of the two halves at these weights. What the turn changes is what standardising columns
    does to them, as probes and our own solved heads do: without it the state, which says little of who somebody is, would get
    the weight of the long-term path. Nothing is learnt here, and nothing stored.
    """

    turn_WW: Tensor

    def __init__(self, state_width: int, longterm_width: int, share: float) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("turn_WW", turn(state_width + longterm_width), persistent=False)

    def forward(self, states_ND: Tensor, longterm_NW: Tensor) -> Tensor:
        """(N, D + W) float32. Every state counts with length share * sqrt(D), whatever scale its encoder gives it."""
        length = self.share * states_ND.shape[1] ** 0.5
        return torch.cat([length * F.normalize(states_ND, dim=1), longterm_NW], dim=1) @ self.turn_WW


def turn(width: int) -> Tensor:
    """Orthogonal matrix (width, width) float32, the same bits on every machine: a Householder reflection between blocks, a
    Hadamard matrix (Sylvester's) within them, blocks as large as the greatest power of two in `width`.

    >>> turn(3) * 3
    tensor([[ 1., -2., -2.],
            [-2.,  1., -2.],
            [-2., -2.,  1.]])
    """
    block = width & -width
    hadamard = torch.ones(1, 1, dtype=torch.float64)
    while len(hadamard) < block:
        hadamard = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64), hadamard)
    blocks = width // block
    between = torch.eye(blocks, dtype=torch.float64) - (2 / blocks if blocks > 1 else 0.0)
    return torch.kron(between, hadamard / block**0.5).float()
