"""The next item out of the task's own catalogue: full softmax when small, sampled softmax with logQ when large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.types import Negatives, Outcome, Ranked, Seen
from lifelong.heads.base import Head
from lifelong.heads.losses.softmax import sampled_loss, softmax_loss


class NextItem(Head):
    """score(item) = user vector · item vector + bias(item).

    The item vectors are the input table's (tied) where every catalogue item has a row in it, else a table of the head's own.
    The bias is what a user without history is ranked by. It leaves the papers, which have none: with logQ it learns the log
    of popularity, and a cold user gets that instead of a tie of all items.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

        tied: bool = True
        """Score with the input table where all catalogue items are in it."""
        repeats: bool = True
        """Whether what a user already had may be recommended, and ranked against: true for groceries, false for films."""
        negatives: int = 1024
        """Shared candidates a batch, used for catalogues larger than full_softmax_up_to."""
        in_batch: int = 0
        """So many more candidates, drawn from the batch's own right answers."""
        full_softmax_up_to: int = 4000
        """Largest catalogue whose loss looks at every item."""

    answers: ClassVar[str] = "items"
    objective: ClassVar[str] = "autoregressive"
    metrics: ClassVar[tuple[str, ...]] = ("ndcg@10", "hr@10", "mrr@5")

    rows_C: Tensor | None
    index_V: Tensor | None

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        self.options, self.repeats = config, config.repeats
        tied = config.tied and rows_C is not None
        self.register_buffer("rows_C", rows_C if tied else None, persistent=False)
        self.register_buffer("index_V", None if rows_C is None else _index_of_row(rows_C), persistent=False)
        self.first = _first_of_run(rows_C) if tied and rows_C is not None else None
        self.output = None if tied else nn.Embedding(len(catalogue), width)
        if self.output is not None:
            nn.init.normal_(self.output.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(len(catalogue)))

    def matrix(self, items: nn.Embedding) -> Tensor:
        """The catalogue's item vectors (C, D); a slice of the table, not a copy, where its rows are neighbours."""
        if self.output is not None:
            return self.output.weight
        if self.first is not None:
            return items.weight[self.first : self.first + len(self.bias)]
        assert self.rows_C is not None
        return items.weight.index_select(0, self.rows_C)

    def vectors(self, index_N: Tensor, items: nn.Embedding) -> Tensor:
        """The vectors (N, D) of some catalogue entries; nothing is computed for the others."""
        if self.output is not None:
            return self.output(index_N)
        if self.first is not None:
            return items(index_N + self.first)
        assert self.rows_C is not None
        return items(self.rows_C[index_N])

    def scores(self, users_BD: Tensor, items: nn.Embedding, seen: Seen | None = None) -> Tensor:
        """Scores (B, C) of the whole catalogue."""
        return F.linear(users_BD, self.matrix(items), self.bias)

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: nn.Embedding,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Softmax cross-entropy over the catalogue, or an estimate of it from the target and the shared negatives.

        What cannot come because the user had it is left out of the full softmax, as it is out of the ranking: on
        MovieLens-100k that lifts NDCG@10 from .120 to .126 on validation and from .109 to .112 on test (SASRec, one seed).

        The estimate corrects each negative by how often it is expected (logQ), and not the target, which was not drawn: so it
        tends to the full loss as negatives grow, where correcting both, as is often done, does not
        (Khrylchenko et al., RecSys 2025; tests/heads/test_next_item.py).
        """
        if negatives is None:
            return softmax_loss(users_ND, self.matrix(items), self.bias, targets_N, self._index(seen))
        right_N = (users_ND * self.vectors(targets_N, items)).sum(1) + self.bias[targets_N]
        shift_K = self.bias[negatives.index_K] - negatives.log_expected_K  # the target is always there: no correction
        wrong_KD = self.vectors(negatives.index_K, items)
        return sampled_loss(users_ND, wrong_KD, shift_K, right_N, (targets_N, negatives.index_K))

    def _index(self, seen: Seen | None) -> Tensor | None:
        """Catalogue indices (N, S) of what lies before each point, -1 where there is none."""
        if seen is None or self.index_V is None or self.repeats:
            return None
        seen_NS = seen.rows_NS
        outside_NS = seen_NS >= len(self.index_V)
        return self.index_V[seen_NS.masked_fill(outside_NS, 0)]

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """Ranks, ties and NaN counted against the model; what may not be recommended has been set to -inf before."""
        right_N1 = scores_NC.gather(1, targets_N[:, None])
        return Ranked((~(scores_NC < right_N1)).sum(dim=1).cpu().numpy())


def _index_of_row(rows_C: Tensor) -> Tensor:
    """The place in the catalogue of each item row up to the last one that is in it, -1 for the others."""
    index_V = torch.full((int(rows_C.max()) + 1,), -1)
    index_V[rows_C] = torch.arange(len(rows_C))
    return index_V


def _first_of_run(rows_C: Tensor) -> int | None:
    """The first row where the rows are neighbours in order, else None."""
    first = int(rows_C[0])
    return first if torch.equal(rows_C, torch.arange(first, first + len(rows_C))) else None
