"""The long-term path: a user's whole past as a bag of items, beside the encoder that reads the latest events in order."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.bags import bag, newcomers
from lifelong.core.types import Seen


class LongTerm(nn.Module):
    """The sum of the vectors of a user's distinct items over the square root of their number.

    It knows no order, so it sees what a window forgets: what sort of person this is. Its table has a row for every item row
    and grows with it; like any table of the trunk it belongs to the task that brought the items.

    A map without bend: a tanh after it (the bag encoder of mult-DAE, Liang et al., WWW 2018) costs 0.001 to 0.005 of AUC and
    macro-F1 over eight profile labels, the weight 1 + log(count) instead of 1 costs 0.003.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the long-term path."""

        width: int = 128
        """Width of its item vectors and of what it gives. Mean AUC of eight profile labels: 64 .686, 96 .690, 128 .693,
        256 .689. A million items at 128 take 512 MB."""
        start: Literal["svd", "random"] = "svd"
        """svd: what the training users have in common, in closed form, in seconds (layers/bag_table.py); random: for an
        objective that trains the table."""
        state: float = 0.3
        """What the encoder's state weighs beside it in the user vector (layers/joining.py). Macro-F1 and AUC of five labels of
        Complete Journey, ten splits, heads as they are solved: 0.1 .322 .663, 0.2 .321 .663, 0.3 .320 .662, 1 .306 .653; beside
        it without Joining .316 .659; the path alone .330 .669. For profiles the state is no gain; it stays for tasks that ask
        what comes next, for which this is not measured."""

        def __post_init__(self) -> None:
            if self.width < 1:
                raise ValueError(f"width is {self.width}; it must be at least 1")
            if not 0 < self.state < float("inf"):
                raise ValueError(f"state is {self.state}; it must be a positive number")

    def __init__(self, config: Config, rows: int, device: str = "cpu") -> None:
        """`rows` of the item table; device "meta" makes its table without values."""
        super().__init__()
        self.width, self.start, self.state = config.width, config.start, config.state
        self.items = nn.Embedding(rows, config.width, padding_idx=0, device=device)
        if device != "meta":  # draws of its own: another number of rows changes nothing that is drawn later
            own = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
            nn.init.normal_(self.items.weight, std=config.width**-0.5, generator=own)
            with torch.no_grad():
                self.items.weight[0] = 0.0

    def forward(self, past_BS: Tensor) -> Tensor:
        """(B, width) float32 of rows (B, S) int64, 0 = none, in any order; zeros for a user without a past.

        The vectors of the rows are summed one after another, never gathered: 40 times quicker than a product with them, and
        the same bits whoever is asked beside, however much is padded.
        """
        rows_BS, weights_BS = bag(past_BS)
        return F.embedding_bag(rows_BS, self.items.weight, mode="sum", per_sample_weights=weights_BS)

    def before(self, seen: Seen) -> Tensor:
        """(N, width) float32 of what lies before each of N points, so as forward has it of a whole past.

        Running sums over the columns of each user, (B, S, width) numbers at once: many points share a past.
        """
        new_BS = newcomers(seen.rows_BS)
        sums_BSW = (self.items(seen.rows_BS) * new_BS[..., None]).cumsum(dim=1)
        last_N = seen.ends_N - 1
        count_N1 = new_BS.cumsum(dim=1)[seen.users_N, last_N, None].clamp(min=1)
        return sums_BSW[seen.users_N, last_N] * count_N1.float().rsqrt()
