"""What turns items into vectors by their content, in place of a table of vectors that were learnt one by one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core.progress import Progress
from lifelong.core.types import Contents

BLOCK = 512
"""Items encoded at a time where the whole catalogue is; always so many, padded, so that the bits of one do not depend on
which others there are."""


class ItemEncoder(nn.Module, ABC):
    """Rows of the item table -> vectors (…, D), out of what the items are.

    It stands where the table of an id model stands: items(rows) looks vectors up, `weight` is all of them, (V, D). In training
    each distinct content of a batch is encoded once and its gradients add up; for answers the whole catalogue is encoded once,
    by `settle`. What is sealed with a task is that catalogue, so that serving runs no language or vision model, and beside it
    what was trained of the encoder, for items that come later.

    An item without content, and one of another data set, keeps the vector that it had: `known_VD`, the parent's table. Where
    the parent has none it gets `missing_D`, which is learnt, if the encoder learns one, and else zeros. Row 0 is padding and
    its vector zero.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the encoder."""

    block: ClassVar[int] = BLOCK
    """How many items are encoded at a time where the whole catalogue is."""

    known_VD: Tensor
    known_V: Tensor
    readable_V: Tensor
    same_V: Tensor

    def __init__(self, config: Any, width: int, rows: int) -> None:
        """width: D. rows: V, those of the table, row 0 included."""
        super().__init__()
        self.config, self.width, self.rows = config, width, rows
        self.register_buffer("known_VD", torch.zeros(rows, width), persistent=False)
        self.register_buffer("known_V", torch.arange(rows) == 0, persistent=False)
        self.register_buffer("readable_V", torch.zeros(rows, dtype=torch.bool), persistent=False)
        self.register_buffer("same_V", torch.arange(rows), persistent=False)
        self.missing_D: nn.Parameter | None = None
        self.left_out: dict[str, int] = {}
        """Reason -> how many items it keeps from being encoded; `read` fills it."""
        self.given: frozenset[str] = frozenset()
        """Names of parameters and buffers that came with a backbone and stay as they came: they are not stored."""
        self._settled_VD: Tensor | None = None
        self._held: tuple[Tensor, Tensor] | None = None

    # -- what a kind of encoder gives ------------------------------------------------------------------------------

    @abstractmethod
    def read(self, contents: Contents, cache: Path, progress: Progress) -> Tensor:
        """Take in what the items are, once, before anything is encoded; what is frozen is computed here, or found in `cache`.

        Returns bool (V,): the rows that can be encoded. It may fill `same_V`, int64 (V,), where rows have the same content: a
        row for all of them. Raises DataError or ConfigError in one line; what is wrong with some items is told in `left_out`.
        """

    @abstractmethod
    def encode(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) float32 of distinct readable rows (int64), U may be 0; gradients reach what is trained."""

    @property
    def blurs(self) -> bool:
        """Whether contents have a second reading, in which something is missing, for objectives that compare two views."""
        return False

    def encode_blurred(self, rows_U: Tensor) -> Tensor:
        """As `encode`, by the second reading; what has none is read as ever."""
        return self.encode(rows_U)

    def shape_of(self, rows_n: Tensor) -> Tensor:
        """A number for each row (int64): those of one number can be encoded in one fixed shape, for instance texts of about
        one length. It depends on that item's content alone."""
        return torch.zeros_like(rows_n)

    def rates(self) -> Mapping[str, float]:
        """Name of a trained parameter -> what its learning rate is multiplied with; those that are not named have 1."""
        return {}

    def begin(self, length: float) -> None:
        """Let fresh vectors be about so long, where they are 1 long as they come: user encoders differ in what they like."""

    def learn_missing(self) -> None:
        """Items without content, that no parent knows, get a vector that is learnt; it starts as zeros."""
        self.missing_D = nn.Parameter(torch.zeros(self.width))

    def give(self, module: nn.Module, trained: tuple[nn.Module, ...] = ()) -> None:
        """Freeze what came with a backbone, but for what is `trained` of it; frozen tensors and all buffers are not stored."""
        names = {id(m): name for name, m in self.named_modules()}
        module.requires_grad_(False)
        for part in trained:
            part.requires_grad_(True)
        frozen = [n for n, p in module.named_parameters() if not p.requires_grad]
        buffers = [n for n, _ in module.named_buffers()]
        self.given |= {f"{names[id(module)]}.{n}" for n in (*frozen, *buffers)}

    # -- what is kept ------------------------------------------------------------------------------------------------

    def stored(self) -> dict[str, Tensor]:
        """What has to be kept to encode further items, by name: trained tensors, what sits in slots, statistics.

        Nothing of a frozen backbone, which its name in the options finds again.
        """
        opened = {n for n, p in self.named_parameters() if p.requires_grad}
        given = {_below(name, n) for name, encoder in self._encoders() for n in encoder.given}
        return {n: v for n, v in self.state_dict().items() if n not in given or n in opened}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `stored` gave, and keep it; parameters of rows (an id table) may be shorter, the others are 0 then."""
        mine = self.state_dict()
        for name, encoder in self._encoders():
            encoder.given = frozenset(n for n in encoder.given if _below(name, n) not in tensors)
        self.load_state_dict({n: _lengthened(v, mine[n]) for n, v in tensors.items() if n in mine}, strict=False)

    def _encoders(self) -> list[tuple[str, "ItemEncoder"]]:
        """This one and those within it, by name."""
        return [(name, m) for name, m in self.named_modules() if isinstance(m, ItemEncoder)]

    # -- what stands in for a table --------------------------------------------------------------------------------

    def open(self, contents: Contents, known_VD: Tensor | None, cache: Path, progress: Progress) -> None:
        """Read the contents of the items of a data set; known_VD: what the parent has for its rows, the first of the table."""
        if known_VD is not None:
            self.known_VD[: len(known_VD)] = known_VD
            self.known_V[: len(known_VD)] = True
        self.readable_V = self.read(contents, cache, progress)
        self.readable_V[0] = False

    @property
    def weight(self) -> Tensor | None:
        """All vectors (V, D), while settled; None in training, where only those that are asked for are computed."""
        return self._settled_VD

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors (…, D) of rows (int64, any shape)."""
        if self._settled_VD is not None:
            return F.embedding(rows, self._settled_VD)
        if self._held is not None:
            place_V, vectors_UD = self._held
            place = place_V[rows]
            if bool((place >= 0).all()):
                return vectors_UD[place]
        distinct_U, place = rows.unique(return_inverse=True)
        return self.vectors(distinct_U)[place]

    @contextmanager
    def holding(self, rows_N: Tensor) -> Iterator[None]:
        """Within it these rows are encoded once, however often they are looked up: the rows of one training step."""
        distinct_U = rows_N.unique()
        place_V = rows_N.new_full((self.rows,), -1)
        place_V[distinct_U] = torch.arange(len(distinct_U), device=rows_N.device)
        self._held = (place_V, self.vectors(distinct_U))
        try:
            yield
        finally:
            self._held = None

    def vectors(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows: what is known of them, and what can be encoded, encoded, equal contents once."""
        if self._settled_VD is not None:
            return self._settled_VD[rows_U]
        return self._by(self.encode, rows_U)

    def blurred(self, rows: Tensor) -> Tensor:
        """Vectors (…, D) of rows by their second reading, computed whenever they are asked for; what cannot be encoded has the
        vector that it always has."""
        distinct_U, place = rows.unique(return_inverse=True)
        return self._by(self.encode_blurred, distinct_U)[place]

    def _by(self, encode: Callable[[Tensor], Tensor], rows_U: Tensor) -> Tensor:
        place_u = self.readable_V[rows_U].nonzero()[:, 0]
        distinct_S, place_s = self.same_V[rows_U[place_u]].unique(return_inverse=True)
        made_uD = encode(distinct_S).float()[place_s]
        return self.unreadable(rows_U).index_put((place_u,), made_uD)

    def unreadable(self, rows_U: Tensor) -> Tensor:
        """What rows have where they cannot be encoded (U, D)."""
        known_UD = self.known_VD[rows_U]
        if self.missing_D is None:
            return known_UD
        return torch.where(self.known_V[rows_U][:, None], known_UD, self.missing_D)

    @torch.no_grad()
    def settle(self) -> Tensor:
        """Encode the whole catalogue as it stands, in evaluation mode, and answer from that until `train` is called.

        Every content is encoded once, in float32 and in a shape that depends on it alone. Returns the table (V, D) float32.
        """
        self.train(True).eval()  # what was settled before is forgotten
        return self._settle()

    def _settle(self) -> Tensor:
        with torch.autocast(self.known_VD.device.type, enabled=False):
            table_VD = self.unreadable(torch.arange(self.rows, device=self.known_VD.device))
            rows_n = self.readable_V.nonzero()[:, 0]
            distinct_S, place_n = self.same_V[rows_n].unique(return_inverse=True)
            table_VD[rows_n] = self._settled_parts(distinct_S)[place_n]
        self._settled_VD = table_VD
        return table_VD

    def _settled_parts(self, rows_S: Tensor) -> Tensor:
        """Vectors (S, D) of distinct contents, block by block of one shape."""
        made_SD = torch.zeros(len(rows_S), self.width, device=self.known_VD.device)
        shapes_S = self.shape_of(rows_S)
        for shape in shapes_S.unique():
            for place in (shapes_S == shape).nonzero()[:, 0].split(self.block):
                filled = torch.cat([place, place[-1:].expand(self.block - len(place))])
                made_SD[place] = self.encode(rows_S[filled])[: len(place)].float()
        return made_SD

    def train(self, mode: bool = True) -> "ItemEncoder":
        """Going into training mode forgets the settled catalogue."""
        if mode:
            self._settled_VD = None
        return super().train(mode)


def _below(name: str, inner: str) -> str:
    return f"{name}.{inner}" if name else inner


def _lengthened(value: Tensor, wanted: Tensor) -> Tensor:
    """With rows of zeros behind it where it has fewer than is wanted."""
    if value.dim() != wanted.dim() or not value.dim() or len(value) >= len(wanted):
        return value
    return torch.cat([value, value.new_zeros(len(wanted) - len(value), *value.shape[1:])])


def first_of_each(number_V: np.ndarray) -> Tensor:
    """For each row the first one that has the same number, int64 (V,); itself where its number is below 0."""
    same_V = np.arange(len(number_V))
    rows_r = np.flatnonzero(number_V >= 0)
    _, first, inverse = np.unique(number_V[rows_r], return_index=True, return_inverse=True)
    same_V[rows_r] = rows_r[first][inverse]
    return torch.from_numpy(same_V)
