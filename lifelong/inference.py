"""Answers in one fixed shape: whatever is asked is split and padded into chunks of C users, so that its bits never change."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from lifelong.core.types import History
from lifelong.data.sequences import Points, Sequences, gather_windows
from lifelong.metrics.blocks import ranks_of_blocks, top_k_of_blocks
from lifelong.network import Design, TaskNet
from lifelong.scoring import CatalogueBlocks

Excluded = Callable[[int, int], Tensor | None]
"""excluded(first, last): catalogue indices (last - first, S) int64 of those users that may not come, -1 = none; or None."""
NOBODY: Excluded = lambda first, last: None  # noqa: E731


class Answering:
    """A mounted task net that answers in chunks of `design.chunk` users and `design.length` positions, never another shape.

    Matrix kernels are picked by shape, and another kernel gives other last bits; at one fixed shape the neighbours of a user,
    the size of a request and the number of threads change nothing. Large catalogues come in blocks of one fixed size, too.
    """

    def __init__(self, net: TaskNet, design: Design) -> None:
        self.net, self.chunk, self.length = net, design.chunk, design.length
        self.blocks = CatalogueBlocks(net)

    @torch.no_grad()
    def users(self, windows_NL: Tensor) -> Tensor:
        """User vectors (N, D) float32 of windows (N, L) int64, left-padded with 0."""
        made = [self.net.users(History(chunk))[:n].clone() for chunk, n in self._chunks(windows_NL)]
        return torch.cat(made) if made else torch.empty(0, self.net.width)

    @torch.no_grad()
    def scores(self, users_ND: Tensor) -> Iterator[Tensor]:
        """Scores (at most chunk, C) float32 of user vectors, chunk after chunk."""
        for chunk, n in self._chunks(users_ND):
            blocks = list(self.blocks.of(chunk))
            yield (blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1))[:n]

    @torch.no_grad()
    def best(self, users_ND: Tensor, k: int, excluded: Excluded = NOBODY) -> Iterator[tuple[Tensor, Tensor]]:
        """The K best catalogue entries (values_NK, index_NK) of user vectors, chunk after chunk, by (score, catalogue order).

        Of the same scores as `scores` gives, in the memory of one block of them.
        """
        for first, (chunk, n) in zip(range(0, len(users_ND), self.chunk), self._chunks(users_ND), strict=True):
            blocks = (scores_Bc[:n] for scores_Bc in self.blocks.of(chunk))
            yield top_k_of_blocks(blocks, k, excluded(first, first + n))

    @torch.no_grad()
    def ranks(self, users_ND: Tensor, targets_N: Tensor, excluded: Excluded = NOBODY) -> Tensor:
        """The rank of each target in the whole catalogue, int64 (N,), 1 = best, in the memory of one block of scores.

        Ties and NaN count against the model; excluded items are left out, a target never (metrics/ranking.py).
        """
        ranks_N, once = torch.empty_like(targets_N), len(self.blocks.starts()) == 1
        right_N = users_ND.new_empty(len(users_ND)) if once else self._scores_of(users_ND, targets_N)
        for first, (chunk, n) in zip(range(0, len(users_ND), self.chunk), self._chunks(users_ND), strict=True):
            part = slice(first, first + n)
            blocks: Iterator[Tensor] = (scores_Bc[:n] for scores_Bc in self.blocks.of(chunk))
            if once:  # the only block holds the target's score, too
                only_NC = next(blocks)
                right_N[part], blocks = only_NC.gather(1, targets_N[part, None])[:, 0], iter([only_NC])
            ranks_N[part] = ranks_of_blocks(blocks, targets_N[part], right_N[part], excluded(first, first + n))
        return ranks_N

    def _scores_of(self, users_ND: Tensor, targets_N: Tensor) -> Tensor:
        """The score (N,) of one entry a user: users are gathered by the block that their entry lies in, 16 to a product."""
        right_N = users_ND.new_empty(len(users_ND))
        for start in self.blocks.starts():
            inside_n = ((targets_N >= start) & (targets_N < start + self.blocks.size)).nonzero()[:, 0]
            for picked, (chunk, n) in zip(inside_n.split(self.chunk), self._chunks(users_ND[inside_n]), strict=False):
                scores_Bc = self.blocks.block(chunk, start)[:n]
                right_N[picked] = scores_Bc.gather(1, targets_N[picked, None] - start)[:, 0]
        return right_N

    def windows(self, sequences: Sequences, points: Points) -> Tensor:
        """The windows (N, L) int64 that the points read."""
        starts_N = sequences.offsets_U1[points.users_N]
        return torch.from_numpy(gather_windows(sequences, starts_N, points.ends_N, self.length))

    def _chunks(self, rows: Tensor) -> Iterator[tuple[Tensor, int]]:
        for first in range(0, len(rows), self.chunk):
            part = rows[first : first + self.chunk]
            whole = rows.new_zeros((self.chunk, *rows.shape[1:]))
            whole[: len(part)] = part
            yield whole, len(part)


def last_points(sequences: Sequences) -> Points:
    """One point a user, after its last event."""
    users_N = np.arange(len(sequences))
    return Points(users_N, sequences.offsets_U1[1:], np.zeros(len(sequences), np.int64))
