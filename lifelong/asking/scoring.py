"""A task's scores block by block of its catalogue, so that memory does not grow with the number of items."""

from collections.abc import Iterator
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from lifelong.core.types import Seen
from lifelong.heads.layers.copying import add_mass_
from lifelong.heads.next_item import NextItem
from lifelong.model.network import TaskNet

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
        """Item vectors (C, D) and biases (C,), where a score is user · item + bias (raised where copied); None for another
        head."""
        head = self.net.head
        if isinstance(head, NextItem) and type(head).scores is NextItem.scores:
            return head.matrix(self.net.items), head.bias
        return None

    def starts(self) -> list[int]:
        """Catalogue index of each block's first item."""
        return list(range(0, len(self.linear[1]), self.size)) if self.linear else [0]

    @property
    def copies(self) -> bool:
        """Whether scores depend on what was seen beside the user vector."""
        return isinstance(self.net.head, NextItem) and self.net.head.copying is not None

    def of(self, users_BD: Tensor, seen: Seen | None = None) -> Iterator[Tensor]:
        """The scores of all blocks; each tensor is the caller's own."""
        copied = self._copied(users_BD, seen)
        return (self._block(users_BD, first, seen, copied) for first in self.starts())

    def block(self, users_BD: Tensor, first: int, seen: Seen | None = None) -> Tensor:
        """Scores (B, c) of the block that begins at `first`."""
        return self._block(users_BD, first, seen, self._copied(users_BD, seen))

    def _copied(self, users_BD: Tensor, seen: Seen | None) -> tuple[Tensor, Tensor] | None:
        head = self.net.head
        return head.copied(users_BD, self.net.items, seen) if self.copies and isinstance(head, NextItem) else None

    def _block(self, users_BD: Tensor, first: int, seen: Seen | None, copied: tuple[Tensor, Tensor] | None) -> Tensor:
        if self.linear is None:
            return self.net.scores(users_BD, seen)
        matrix_CD, bias_C = self.linear
        scores_Bc = F.linear(users_BD, matrix_CD[first : first + self.size], bias_C[first : first + self.size])
        return scores_Bc if copied is None else add_mass_(scores_Bc, *copied, first)
