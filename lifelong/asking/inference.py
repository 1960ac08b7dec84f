"""Answers in one fixed shape: whatever is asked is split and padded into chunks of C users, so that its bits never change."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from lifelong.asking.scoring import CatalogueBlocks
from lifelong.core.types import History, Seen, moved
from lifelong.data.sequences import Points, Sequences, gather_history
from lifelong.metrics.blocks import ranks_of_blocks, top_k_of_blocks
from lifelong.model.network import Design, TaskNet

Excluded = Callable[[int, int], Tensor | None]
"""excluded(first, last): catalogue indices (last - first, S) int64 of those users that may not come, -1 = none; or None."""
NOBODY: Excluded = lambda first, last: None  # noqa: E731


class Answering:
    """A mounted task net that answers in chunks of `design.chunk` users and `design.length` positions, never another shape.

    Matrix kernels are picked by shape, and another kernel gives other last bits; at one fixed shape the neighbours of a user,
    the size of a request and the number of threads change nothing. Large catalogues come in blocks of one fixed size, too.
    """

    def __init__(self, net: TaskNet, design: Design) -> None:
        self.net, self.chunk, self.length, self.past = net, design.chunk, design.length, design.past
        self.blocks = CatalogueBlocks(net)

    def history(self, sequences: Sequences, points: Points) -> History:
        """What the points read."""
        starts_N = sequences.offsets_U1[points.users_N]
        return gather_history(sequences, starts_N, points.ends_N, self.length, self.past)

    @torch.no_grad()
    def represent(self, history: History) -> Tensor:
        """User vectors (N, user_width) float32 of N users."""
        return self._in_chunks(self.net.represent, history, self.net.user_width)

    @torch.no_grad()
    def users(self, history: History) -> Tensor:
        """What the head scores of N users, (N, read_width) float32."""
        return self._in_chunks(self.net.users, history, self.net.read_width)

    @torch.no_grad()
    def scores(self, users_ND: Tensor, history: History | None = None) -> Iterator[Tensor]:
        """Scores (at most chunk, C) float32 of user vectors, chunk after chunk. history: what the vectors are of, for
        heads that look back."""
        for _, n, chunk, seen in self._asked(users_ND, history):
            blocks = list(self.blocks.of(chunk, seen))
            yield (blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1))[:n]

    @torch.no_grad()
    def said(self, users_ND: Tensor, history: History) -> Iterator[Tensor]:
        """What the head says of its scores: probabilities (at most chunk, C) float32, or numbers, chunk after chunk."""
        assert self.net.head is not None
        for scores_NC in self.scores(users_ND, history):
            yield self.net.head.probabilities(scores_NC)

    @torch.no_grad()
    def best(
        self, users_ND: Tensor, k: int, excluded: Excluded = NOBODY, history: History | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The K best catalogue entries (values_NK, index_NK) of user vectors, chunk after chunk, by (score, catalogue order).

        Of the same scores as `scores` gives, in the memory of one block of them.
        """
        for first, n, chunk, seen in self._asked(users_ND, history):
            blocks = (scores_Bc[:n] for scores_Bc in self.blocks.of(chunk, seen))
            yield top_k_of_blocks(blocks, k, excluded(first, first + n))

    @torch.no_grad()
    def ranks(
        self, users_ND: Tensor, targets_N: Tensor, excluded: Excluded = NOBODY, history: History | None = None
    ) -> Tensor:
        """The rank of each target in the whole catalogue, int64 (N,), 1 = best, in the memory of one block of scores.

        Ties and NaN count against the model; excluded items are left out, a target never (metrics/ranking.py).
        """
        ranks_N, once = torch.empty_like(targets_N), len(self.blocks.starts()) == 1
        right_N = users_ND.new_empty(len(users_ND)) if once else self._scores_of(users_ND, targets_N, history)
        for first, n, chunk, seen in self._asked(users_ND, history):
            part = slice(first, first + n)
            blocks: Iterator[Tensor] = (scores_Bc[:n] for scores_Bc in self.blocks.of(chunk, seen))
            if once:  # the only block holds the target's score, too
                only_NC = next(blocks)
                right_N[part], blocks = only_NC.gather(1, targets_N[part, None])[:, 0], iter([only_NC])
            ranks_N[part] = ranks_of_blocks(blocks, targets_N[part], right_N[part], excluded(first, first + n))
        return ranks_N

    def _scores_of(self, users_ND: Tensor, targets_N: Tensor, history: History | None) -> Tensor:
        """The score (N,) of one entry a user: users are gathered by the block that their entry lies in, 16 to a product."""
        right_N = users_ND.new_empty(len(users_ND))
        for start in self.blocks.starts():
            inside_n = ((targets_N >= start) & (targets_N < start + self.blocks.size)).nonzero()[:, 0]
            asked = self._asked(users_ND[inside_n], history and history.users(inside_n))
            for picked, (_, n, chunk, seen) in zip(inside_n.split(self.chunk), asked, strict=False):
                scores_Bc = self.blocks.block(chunk, start, seen)[:n]
                right_N[picked] = scores_Bc.gather(1, targets_N[picked, None] - start)[:, 0]
        return right_N

    def _in_chunks(self, answer: Callable[[History], Tensor], history: History, width: int) -> Tensor:
        made = []
        for first in range(0, len(history), self.chunk):
            part = history.users(slice(first, first + self.chunk))
            made.append(answer(moved(part, self._filled))[: len(part)].clone())
        return torch.cat(made) if made else torch.empty(0, width)

    def _asked(self, users_ND: Tensor, history: History | None) -> Iterator[tuple[int, int, Tensor, Seen | None]]:
        """(first, n, vectors, what lies before) of each chunk of users, filled up to the one shape."""
        for first in range(0, len(users_ND), self.chunk):
            part = slice(first, first + self.chunk)
            seen = None if history is None else self.net.seen(moved(history.users(part), self._filled))
            yield first, len(users_ND[part]), self._filled(users_ND[part]), seen

    def _filled(self, rows: Tensor) -> Tensor:
        """With zeros for the users that a chunk is short of, in memory of its own."""
        whole = rows.new_zeros((self.chunk, *rows.shape[1:]))
        whole[: len(rows)] = rows
        return whole


def last_points(sequences: Sequences) -> Points:
    """One point a user, after its last event."""
    users_N = np.arange(len(sequences))
    return Points(users_N, sequences.offsets_U1[1:], np.zeros(len(sequences), np.int64))
