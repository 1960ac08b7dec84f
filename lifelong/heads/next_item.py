"""The next item out of the task's own catalogue: full softmax when small, sampled softmax with logQ when large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.config import need
from lifelong.core.errors import ConfigError
from lifelong.core.types import ItemVectors, Negatives, Outcome, Ranked, Seen
from lifelong.heads.base import Head, Known
from lifelong.heads.layers.copying import Copying, add_mass_, latest, mass_of_items, split_mass
from lifelong.heads.layers.discriminant import discriminant, narrowed
from lifelong.heads.losses.binary import binary_loss, some_negatives
from lifelong.heads.losses.pairwise import hard_negatives, pairwise_loss, uniform_negatives
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

        loss: Literal["softmax", "bce", "bpr", "lambdafm"] = "softmax"
        """softmax over the catalogue; bce: the right item is a yes, drawn ones are a no (SASRec, MoRec, NineRec); bpr: each
        right item against one drawn uniformly; lambdafm: one drawn among the high."""
        drawn: int = 1
        """bce: so many items are drawn for each point, uniformly from what its user has not had; 1 as in the papers."""
        rho: float = 0.3
        """lambdafm: how high, from 1 (hardly) towards 0 (the highest alone); 0.3 as in Conure and PeterRec, which
        rank by popularity (LambdaFM's static sampler), where ours ranks by the model (its dynamic one)."""
        tied: bool = True
        """Score with the input table where all catalogue items are in it."""
        unit: bool = False
        """Score with item vectors brought to length one, as objective unisrec trains them: by their direction alone."""
        repeats: bool = True
        """Whether what a user already had may be recommended, and ranked against: true for groceries, false for films."""
        negatives: int = 1024
        """Shared candidates a batch, used for catalogues larger than full_softmax_up_to."""
        in_batch: int = 0
        """So many more candidates, drawn from the batch's own right answers."""
        full_softmax_up_to: int = 4000
        """Largest catalogue whose loss looks at every item."""
        copy: bool = False
        """Whether an item also gets probability by having been there, from each of its events among the model's `past` latest:
        p(i) is proportional to exp(user · item + bias) + the sum of exp(psi) over the events of i (heads/layers/copying.py).
        The shared normaliser is CopyNet's (Gu et al., ACL 2016), to copy repeats RepeatNet's (Ren et al., AAAI 2019).
        Complete Journey, GRU4Rec, 2 epochs, one seed: NDCG@10 .087 on validation and .106 on test (gru4rec_copy_cj), .041
        and .055 without it, gaps, averaging and with half the negatives (gru4rec_cj)."""
        copy_past: int = 512
        """Of so many of the latest events, where the model's `past` is longer: the cost of copying grows with it."""

        rank: int = 64
        """Width of a table of items that are not read, where user vectors are wider: a learned map brings them to it.
        Complete Journey's 3,218 drug products, 192 numbers a user, a head alone on frozen vectors, RIDGE .3 and DOUBT 10,
        NDCG@10 on validation before and after four epochs: 64 .068 .085, 96 .078 .083, 192 .084 .094 for three times the
        bytes."""

        solved: bool = True
        """Whether a table of the head's own, for items that the model does not read, starts as the discriminant that fits the
        parent's user vectors (heads/layers/discriminant.py); false: at small random values, as in the papers."""

        def __post_init__(self) -> None:
            need(self, "rho", 0 < self.rho <= 1, "lie in (0, 1]")
            for option in ("drawn", "rank", "copy_past"):
                need(self, option, getattr(self, option) >= 1, "be at least 1")
            for option in ("negatives", "in_batch", "full_softmax_up_to"):
                need(self, option, getattr(self, option) >= 0, "be 0 or more")
            need(self, "negatives", self.negatives + self.in_batch >= 1, "be at least 1 where in_batch is 0")

    answers: ClassVar[str] = "items"
    objective: ClassVar[str] = "autoregressive"
    metrics: ClassVar[tuple[str, ...]] = ("ndcg@10", "hr@10", "mrr@5")

    rows_C: Tensor | None
    index_V: Tensor | None

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)
        if config.copy and (rows_C is None or not config.repeats or config.loss != "softmax"):
            raise ConfigError(
                "head next_item: copy: true needs repeats: true, loss: softmax and a catalogue that the model reads"
            )
        self.options, self.repeats = config, config.repeats
        tied = config.tied and rows_C is not None
        self.register_buffer("rows_C", rows_C if tied else None, persistent=False)
        self.register_buffer("index_V", None if rows_C is None else _index_of_row(rows_C), persistent=False)
        self.first = _first_of_run(rows_C) if tied and rows_C is not None else None
        narrow = min(width, config.rank) if rows_C is None else width
        self.reading = None if narrow == width else nn.Linear(width, narrow, bias=False)
        self.output = None if tied else nn.Embedding(len(catalogue), narrow)
        if self.output is not None:
            nn.init.normal_(self.output.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(len(catalogue)))
        self.copying = Copying(width) if config.copy else None

    def read(self, given_NU: Tensor) -> Tensor:
        """Through the map to the table's width, where there is one."""
        return given_NU if self.reading is None else self.reading(given_NU)

    @property
    def read_width(self) -> int:
        """That of the item vectors."""
        return self.width if self.reading is None else self.reading.out_features

    @property
    def needs_seen(self) -> bool:
        """Where nothing comes twice, where what was there is copied, and where it must not be drawn as wrong."""
        return not self.repeats or self.copying is not None or self.options.loss == "bce"

    def looks_up(self, targets_N: Tensor, negatives: Negatives | None) -> Tensor | None:
        """Targets and candidates, or the whole catalogue where every step scores it."""
        if self.rows_C is None:
            return None
        if self.options.loss != "softmax":  # the others are drawn in the loss
            return self.rows_C[targets_N]
        return self.rows_C if negatives is None else self.rows_C[torch.cat([targets_N, negatives.index_K])]

    def matrix(self, items: ItemVectors) -> Tensor:
        """The catalogue's item vectors (C, D); a slice of the table, not a copy, where its rows are neighbours."""
        matrix_CD = self._matrix(items)
        return F.normalize(matrix_CD, dim=-1) if self.options.unit else matrix_CD

    def vectors(self, index: Tensor, items: ItemVectors) -> Tensor:
        """The vectors (…, D) of some catalogue entries, of any shape; nothing is computed for the others."""
        vectors = self._vectors(index, items)
        return F.normalize(vectors, dim=-1) if self.options.unit else vectors

    def _matrix(self, items: ItemVectors) -> Tensor:
        if self.output is not None:
            return self.output.weight
        assert self.rows_C is not None
        if items.weight is None:  # vectors of contents, encoded as they are asked for
            return items(self.rows_C)
        if self.first is not None:
            return items.weight[self.first : self.first + len(self.bias)]
        return items.weight.index_select(0, self.rows_C)

    def _vectors(self, index_N: Tensor, items: ItemVectors) -> Tensor:
        if self.output is not None:
            return self.output(index_N)
        if self.first is not None:
            return items(index_N + self.first)
        assert self.rows_C is not None
        return items(self.rows_C[index_N])

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """Scores (B, C) of the whole catalogue; with `copy` those of what is seen are raised by log-add-exp."""
        scores_BC = F.linear(users_BD, self.matrix(items), self.bias)
        return scores_BC if self.copying is None else add_mass_(scores_BC, *self.copied(users_BD, items, seen))

    def copied(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None) -> tuple[Tensor, Tensor]:
        """The catalogue index (B, S) int64 of each item that is seen, once, else -1; and its log mass (B, S) float32."""
        index_NS, psi_NS = self._copies(users_BD, items, seen)
        return mass_of_items(index_NS, psi_NS)

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Softmax cross-entropy over the catalogue, or an estimate of it from the target and the shared negatives.

        What cannot come because the user had it is left out of the softmax, full or sampled, as it is out of the ranking: on
        MovieLens-100k that lifts NDCG@10 from .120 to .126 on validation and from .109 to .112 on test (SASRec, one seed).
        MoRec's in-batch loss leaves out what the user has later, too; here that is still to come, and competes.

        The estimate corrects each negative by how often it is expected (logQ), and not the target, which was not drawn: so it
        tends to the full loss as negatives grow, where correcting both, as is often done, does not
        (Khrylchenko et al., RecSys 2025; tests/heads/test_next_item.py).
        """
        if self.options.loss == "bce":
            taken_NS = None if seen is None else self.index_of(seen.rows_NS)
            return self._binary(users_ND.float(), targets_N, items, taken_NS)
        if self.options.loss != "softmax":
            return self._pairwise(users_ND.float(), targets_N, items, self._left_out(seen))
        if negatives is None and self.copying is None:
            return softmax_loss(users_ND, self.matrix(items), self.bias, targets_N, self._left_out(seen))
        right_N, beside_N = (users_ND * self.vectors(targets_N, items)).sum(1) + self.bias[targets_N], None
        if self.copying is not None:
            index_NS, psi_NS = self._copies(users_ND, items, seen)
            copied_N, beside_N = split_mass(psi_NS, index_NS == targets_N[:, None])
            right_N = torch.logaddexp(right_N.float(), copied_N)
        if negatives is None:
            all_C = torch.arange(len(self.bias), device=targets_N.device)
            return sampled_loss(users_ND, self.matrix(items), self.bias, right_N, (targets_N, all_C), beside_N)
        shift_K = self.bias[negatives.index_K] - negatives.log_expected_K  # the target is always there: no correction
        wrong_KD = self.vectors(negatives.index_K, items)
        same = (targets_N, negatives.index_K)
        return sampled_loss(users_ND, wrong_KD, shift_K, right_N, same, beside_N, self._left_out(seen))

    @property
    def solvable(self) -> bool:
        """In closed form, where the table is the head's own."""
        return self.options.solved and self.output is not None and self.options.loss == "softmax"

    def solve(self, train: Known, valid: Known) -> None:
        """Linear discriminant analysis; nothing is chosen on validation."""
        assert self.output is not None
        with torch.no_grad():
            table_CW, bias_C = discriminant(train.users_NW, train.targets_N, len(self.bias))
            if self.reading is not None:
                table_CW, map_RW, bias_C = narrowed(table_CW, bias_C, train.users_NW, self.read_width)
                self.reading.weight.copy_(map_RW)
            self.output.weight.copy_(table_CW)
            self.bias.copy_(bias_C)

    def _pairwise(self, users_ND: Tensor, targets_N: Tensor, items: ItemVectors, taken_NS: Tensor | None) -> Tensor:
        """The right item of each point against one that is drawn here, out of the whole catalogue; the feed's are not used."""
        size = len(self.bias)
        score = lambda index_M: F.linear(users_ND, self.vectors(index_M, items), self.bias[index_M])  # noqa: E731
        if self.options.loss == "bpr":
            wrong_N, found_N = uniform_negatives(targets_N, size, taken_NS)
        else:
            wrong_N, found_N = hard_negatives(targets_N, size, taken_NS, score, self.options.rho)
        right_N, wrong_N = ((users_ND * self.vectors(n, items)).sum(1) + self.bias[n] for n in (targets_N, wrong_N))
        return pairwise_loss(right_N, wrong_N, found_N)

    def _binary(self, users_ND: Tensor, targets_N: Tensor, items: ItemVectors, taken_NS: Tensor | None) -> Tensor:
        """A yes for the right item, a no for each drawn one, which is nothing that its user had."""
        wrong_NK, found_NK = some_negatives(targets_N, len(self.bias), taken_NS, self.options.drawn)
        right_N = (users_ND * self.vectors(targets_N, items)).sum(1) + self.bias[targets_N]
        scores_NK = torch.einsum("nd,nkd->nk", users_ND, self.vectors(wrong_NK, items)) + self.bias[wrong_NK]
        return binary_loss(right_N, scores_NK, found_NK)

    def _copies(self, users_ND: Tensor, items: ItemVectors, seen: Seen | None) -> tuple[Tensor, Tensor]:
        """Catalogue index and psi (N, S) of each event that a point may see."""
        if self.copying is None or seen is None:
            raise ValueError("next_item with copy scores what was there before: it must be given `seen`")
        seen = latest(seen, self.options.copy_past)
        index_BS = self.index_of(seen.rows_BS)
        psi_NS = self.copying(users_ND, items(seen.rows_BS), seen, index_BS >= 0)
        return index_BS[seen.users_N], psi_NS

    def _left_out(self, seen: Seen | None) -> Tensor | None:
        """Catalogue indices (N, S) of what lies before each point and cannot come again, -1 where there is none."""
        if seen is None or self.index_V is None or self.repeats:
            return None
        return self.index_of(seen.rows_NS)

    def index_of(self, rows: Tensor) -> Tensor:
        """Catalogue indices of item rows, of any shape, -1 for one that is not in it."""
        if self.index_V is None:
            return torch.full_like(rows, -1)
        outside = rows >= len(self.index_V)
        return self.index_V[rows.masked_fill(outside, 0)]

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
