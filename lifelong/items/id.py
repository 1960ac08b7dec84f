"""One learnt vector an item, knowing nothing of what it is: a part of `fused`, or the baseline that content is measured by."""

from pathlib import Path

import torch
from torch import Tensor, nn

from lifelong.core.progress import Progress
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder


class Id(ItemEncoder):
    """A table (V, D). An item that comes after training has the vector zero: nothing was learnt about it."""

    def __init__(self, config: ItemEncoder.Config, width: int, rows: int) -> None:
        super().__init__(config, width, rows)
        self.table_VD = nn.Parameter(torch.randn(rows, width) * width**-0.5)

    def read(self, contents: Contents, cache: Path, progress: Progress) -> Tensor:
        """Every item of the data set has an id."""
        readable_V = torch.zeros(self.rows, dtype=torch.bool)
        readable_V[torch.from_numpy(contents.rows_n)] = True
        return readable_V

    @torch.no_grad()
    def begin(self, length: float) -> None:
        """By the table."""
        self.table_VD.mul_(length)

    def encode(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows."""
        return self.table_VD[rows_U]
