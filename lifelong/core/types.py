"""The plain types that stations exchange. B users, L positions, D width, N points, K negatives, C scores."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor


class Event(NamedTuple):
    """One event of a history, for models that read more than the item: its kind, and when it was in unix seconds."""

    item: str
    action: str | None = None
    time: int | None = None


@dataclass(frozen=True)
class History:
    """What is read of B users: the recent window event by event and, where the model asks for it, a longer past.

    window_BL int64 rows of the item table, oldest first, left-padded with 0. past_BS the same of the last S events, the
    window's among them, and times_BS int64 their unix seconds. actions_BL int64 kind of each event (0 = unknown), gaps_BL int64
    bucket of the time since the event before it (0 = none before it).
    """

    window_BL: Tensor
    past_BS: Tensor | None = None
    times_BS: Tensor | None = None
    actions_BL: Tensor | None = None
    gaps_BL: Tensor | None = None

    def __len__(self) -> int:
        return len(self.window_BL)

    @property
    def valid_BL(self) -> Tensor:
        """Bool: True where there is an event."""
        return self.window_BL != 0

    def users(self, which: slice | Tensor) -> "History":
        """The history of some of the users."""
        return moved(self, lambda tensor: tensor[which])


@dataclass(frozen=True)
class Seen:
    """What lies before N points of B users: point n sees the columns below ends_N[n] of row users_N[n].

    rows_BS int64 rows of the item table, oldest first, left-padded with 0; times_BS int64 unix seconds of the same events, None
    where the model reads none; users_N, ends_N int64.
    """

    rows_BS: Tensor
    times_BS: Tensor | None
    users_N: Tensor
    ends_N: Tensor

    @property
    def rows_NS(self) -> Tensor:
        """Each point's own rows (N, S); 0 where it does not see."""
        place_S = torch.arange(self.rows_BS.shape[1], device=self.rows_BS.device)
        return self.rows_BS[self.users_N] * (place_S < self.ends_N[:, None])


@dataclass(frozen=True)
class Contents:
    """What n items are, beside their ids: rows_n int64 their rows in the item table; texts and pictures (paths), one an item,
    None where it has none; an empty list where the data set has no such field. of: the data set that they are from."""

    rows_n: np.ndarray
    texts: list[str | None] = field(default_factory=list)
    pictures: list[str | None] = field(default_factory=list)
    of: str = ""

    def __post_init__(self) -> None:
        for name in ("texts", "pictures"):
            if len(getattr(self, name)) not in (0, len(self.rows_n)):
                raise ValueError(f"{len(self.rows_n)} items have {len(getattr(self, name))} {name}")

    def __len__(self) -> int:
        return len(self.rows_n)


class ItemVectors(Protocol):
    """Where heads and encoders find the vectors of items: a table, or what encodes items by their content.

    items(rows) gives vectors (…, D) of rows of any shape (int64); `weight` all of them, (V, D), or None where they are only
    computed as they are asked for.
    """

    @property
    def weight(self) -> Tensor | None:
        """All vectors (V, D)."""
        ...

    def __call__(self, rows: Tensor) -> Tensor:
        """Vectors of rows."""
        ...


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
    an index into the head's catalogue or classes (int64), which labels hold (float32 (N, C)), or a number (float32).
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
    def seen(self) -> Seen:
        """What lies before each point: of the longer past where there is one, else of the window."""
        rows_BS = self.history.window_BL if self.history.past_BS is None else self.history.past_BS
        ends_N = self.positions_N + 1 + rows_BS.shape[1] - self.history.window_BL.shape[1]
        return Seen(rows_BS, self.history.times_BS, self.rows_N, ends_N)

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


@dataclass(frozen=True)
class Labelled:
    """What a metric of several labels looks at: probabilities_NC float32, and targets_NC float32, 1 where a label holds."""

    probabilities_NC: np.ndarray
    targets_NC: np.ndarray


@dataclass(frozen=True)
class Estimated:
    """What a metric of numbers looks at: the predicted values_N and the right targets_N, float32, in the label's own units."""

    values_N: np.ndarray
    targets_N: np.ndarray


Outcome = Ranked | Classified | Labelled | Estimated
OUTCOMES: Mapping[str, type] = {
    "items": Ranked,
    "vectors": Ranked,
    "classes": Classified,
    "labels": Labelled,
    "number": Estimated,
}
"""What a head answers -> what comes of it."""
OF_USERS = ("classes", "labels", "number")
"""Those answers that say something of the user; their tasks have a label."""


def some_cases(outcome: Outcome, which_n: np.ndarray) -> Outcome:
    """The outcome of the cases that a bool mask or an index array picks."""
    columns: dict[str, Any] = {name: column[which_n] for name, column in vars(outcome).items()}
    return replace(outcome, **columns)


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome of the cases of several of one kind, in their order; at least one."""
    parts = list(outcomes)
    columns: dict[str, Any] = {n: np.concatenate([vars(part)[n] for part in parts]) for n in vars(parts[0])}
    return replace(parts[0], **columns)


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
