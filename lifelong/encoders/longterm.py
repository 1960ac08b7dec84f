"""The long-term path: a user's whole past as a bag of items, beside the encoder that reads the latest events in order."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


class LongTerm(nn.Module):
    """tanh of the length-1 sum of item vectors, each weighted by 1 + log of how often the item occurs.

    It knows no order, so it sees what a window forgets: what sort of person this is. Its table has a row for every item row
    and grows with it; like any table of the trunk it belongs to the task that brought the items.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the long-term path."""

        width: int = 64
        """Width of its item vectors and of what it gives."""

        def __post_init__(self) -> None:
            if self.width < 1:
                raise ValueError(f"width is {self.width}; it must be at least 1")

    def __init__(self, config: Config, rows: int, device: str = "cpu") -> None:
        """`rows` of the item table; device "meta" makes its table without values."""
        super().__init__()
        self.width = config.width
        self.items = nn.Embedding(rows, config.width, padding_idx=0, device=device)
        if device != "meta":  # draws of its own: another number of rows changes nothing that is drawn later
            own = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
            nn.init.normal_(self.items.weight, std=config.width**-0.5, generator=own)
            with torch.no_grad():
                self.items.weight[0] = 0.0

    def forward(self, past_BS: Tensor) -> Tensor:
        """(B, width) float32 of rows (B, S) int64, 0 = none, in any order; zeros for a user without a past."""
        rows_BS, weights_BS = bag(past_BS)
        summed_BW = torch.bmm(weights_BS[:, None, :], self.items(rows_BS))[:, 0]
        return torch.tanh(summed_BW)


def bag(past_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted rows (B, S) and weights (B, S) float32: 1 + log(count) at one of each distinct row, 0 elsewhere; length 1 a user.

    >>> bag(torch.tensor([[0, 7, 5, 7]]))[1].pow(2).sum()
    tensor(1.)
    """
    rows_BS = past_BS.sort(dim=1).values
    first_BS = torch.ones_like(rows_BS, dtype=torch.bool)
    first_BS[:, 1:] = rows_BS[:, 1:] != rows_BS[:, :-1]
    run_BS = first_BS.long().cumsum(1) - 1
    counts_BS = torch.zeros_like(rows_BS).scatter_add_(1, run_BS, torch.ones_like(rows_BS)).gather(1, run_BS)
    weights_BS = torch.where(first_BS & (rows_BS != 0), 1.0 + counts_BS.float().log(), 0.0)
    return rows_BS, weights_BS / weights_BS.norm(dim=1, keepdim=True).clamp(min=1e-12)
