"""A task's scores block by block of its catalogue, so that memory does not grow with the number of items."""

from collections.abc import Iterator
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from lifelong.core.types import Seen
from lifelong.heads.next_item import NextItem
from lifelong.network import TaskNet

BLOCK = 1 << 17
"""Items scored at a time; 16 users take 8 MiB. A smaller catalogue is one block. Like the chunk of users it is part of the one
shape in which answers are computed: another block may give other last bits."""


class CatalogueBlocks:
    """Scores (B, c) of neighbouring items of the catalogue, block after block in catalogue order.

    A block's product has the same shape in every request. A head other than next_item gives all its scores as one block.
    """

    def __init__(self, net: TaskNet, size: int = BLOCK) -> None:
        self.net, self.size = net, size

    @cached_property
    def linear(self) -> tuple[Tensor, Tensor] | None:
        """Item vectors (C, D) and biases (C,), where a score is user · item + bias; None for another head."""
        head = self.net.head
        if isinstance(head, NextItem) and type(head).scores is NextItem.scores:
            return head.matrix(self.net.items), head.bias
        return None

    def starts(self) -> list[int]:
        """Catalogue index of each block's first item."""
        return list(range(0, len(self.linear[1]), self.size)) if self.linear else [0]

    def of(self, users_BD: Tensor, seen: Seen | None = None) -> Iterator[Tensor]:
        """The scores of all blocks; each tensor is the caller's own."""
        return (self.block(users_BD, first, seen) for first in self.starts())

    def block(self, users_BD: Tensor, first: int, seen: Seen | None = None) -> Tensor:
        """Scores (B, c) of the block that begins at `first`."""
        if self.linear is None:
            return self.net.scores(users_BD, seen)
        matrix_CD, bias_C = self.linear
        return F.linear(users_BD, matrix_CD[first : first + self.size], bias_C[first : first + self.size])
