"""The plain types that stations exchange. B users, L positions, D width, N points, K negatives, C scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Bag:
    """Everything (or everything before a point in time) of each user as a weighted bag, in EmbeddingBag's layout.

    items_M int64 rows of the item table, offsets_B int64 where each user begins, weights_M float32.
    """

    items_M: Tensor
    offsets_B: Tensor
    weights_M: Tensor


@dataclass(frozen=True)
class History:
    """What an encoder is given of B users: the recent window as a sequence and, where asked for, the whole as a bag.

    window_BL int64 rows of the item table, oldest first, left-padded with 0. A window-only encoder ignores the bag.
    """

    window_BL: Tensor
    bag: Bag | None = None

    @property
    def valid_BL(self) -> Tensor:
        """Bool: True where there is an event."""
        return self.window_BL != 0


@dataclass(frozen=True)
class Negatives:
    """Candidates shared by a whole batch, with the log of how often each is expected in a draw (for the logQ correction).

    index_K int64 into the catalogue, log_expected_K float32.
    """

    index_K: Tensor
    log_expected_K: Tensor


def moved(value: Any, move: Callable[[Tensor], Tensor]) -> Any:
    """One of these types, or a tensor, or None, with every tensor in it moved."""
    if isinstance(value, Tensor):
        return move(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: moved(getattr(value, f.name), move) for f in fields(value)})
    return value


@dataclass(frozen=True)
class Batch:
    """Histories and the N points at which they are supervised.

    Point n reads the state of user rows_N[n] at position positions_N[n]; what should come out is targets_N[n]:
    an index into the head's catalogue or classes (int64), or a number (float32).
    """

    history: History
    rows_N: Tensor
    positions_N: Tensor
    targets_N: Tensor
    negatives: Negatives | None = None
    weight: float = 1.0
    """What its mean counts for where several processes share a step; 1 for all points of the step."""

    def __len__(self) -> int:
        return len(self.targets_N)

    @property
    def seen_NL(self) -> Tensor:
        """Rows (N, L) int64 of the events up to each point; 0 elsewhere."""
        window_NL = self.history.window_BL[self.rows_N]
        place_L = torch.arange(window_NL.shape[1], device=window_NL.device)
        return window_NL * (place_L <= self.positions_N[:, None])

    def to(self, device: torch.device) -> "Batch":
        """On a device; from pinned memory the copy runs beside the computation."""
        return moved(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """In memory that a GPU can read by itself."""
        return moved(self, Tensor.pin_memory)


@dataclass(frozen=True)
class Ranked:
    """What a ranking metric looks at: ranks_N, int64, 1 = best, of each case's one right item in the full catalogue."""

    ranks_N: np.ndarray


@dataclass(frozen=True)
class Classified:
    """What a classification metric looks at: probabilities_NC float32 and the right class targets_N int64."""

    probabilities_NC: np.ndarray
    targets_N: np.ndarray


Outcome = Ranked | Classified


@dataclass(frozen=True)
class Measure:
    """A metric's value with its bootstrap interval over n independent cases."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class DropReport:
    """What became of the rows of a source: rows_read = rows_used + the sum of dropped, always."""

    rows_read: int = 0
    rows_used: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> number of rows."""

    def __post_init__(self) -> None:
        if self.rows_read != self.rows_used + sum(self.dropped.values()):
            raise AssertionError(f"the rows do not add up: {self}")
