"""Encoders that are made of others: each part reads the same items, and keeps its own vectors where it cannot."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.progress import Progress
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder

LookUp = Callable[[ItemEncoder, Tensor], Tensor]
"""A part and rows (u,) -> vectors (u, D)."""


class Composed(ItemEncoder):
    """Base of encoders made of parts, each an item encoder of width D by its name."""

    def __init__(self, config: Any, width: int, rows: int, parts: Mapping[str, Any]) -> None:
        """parts: their names and specs, as `items` in a task. Raises ConfigError."""
        super().__init__(config, width, rows)
        self.parts = nn.ModuleDict({name: _make(spec, width, rows) for name, spec in parts.items()})

    def encoders(self) -> dict[str, ItemEncoder]:
        """The parts by name."""
        return dict(self.parts.items())  # type: ignore[arg-type]

    @abstractmethod
    def compose(self, rows_U: Tensor, look_up: LookUp) -> Tensor:
        """Vectors (U, D) of rows, out of what `look_up(part, rows)` gives."""

    def encode(self, rows_U: Tensor) -> Tensor:
        """Vectors (U, D) of rows."""
        return self.compose(rows_U, lambda part, rows_u: part.vectors(rows_u))

    @property
    def blurs(self) -> bool:
        """Where one part does."""
        return any(encoder.blurs for encoder in self.encoders().values())

    def encode_blurred(self, rows_U: Tensor) -> Tensor:
        """Each part by its second reading, where it has one."""
        return self.compose(rows_U, lambda part, rows_u: part.blurred(rows_u))

    def read(self, contents: Contents, cache: Path, progress: Progress) -> Tensor:
        """Each part reads what it can; a row is readable where one part can read it, and two are the same where all say so."""
        said = []
        for name, encoder in self.encoders().items():
            encoder.open(contents, None, cache, progress)
            said.append(torch.where(encoder.readable_V, encoder.same_V, 0))
            self.left_out |= {f"{name}: {reason}": count for reason, count in encoder.left_out.items()}
        said_VP = torch.stack(said, dim=1)
        _, group_V = said_VP.unique(dim=0, return_inverse=True)
        first_G = torch.full((int(group_V.max()) + 1,), self.rows).scatter_reduce(
            0, group_V, torch.arange(self.rows), "amin", include_self=True
        )
        self.same_V.copy_(first_G[group_V])
        return (said_VP > 0).any(dim=1)

    def rates(self) -> dict[str, float]:
        """Those of the parts."""
        return {f"parts.{name}.{n}": rate for name, e in self.encoders().items() for n, rate in e.rates().items()}

    def begin(self, length: float) -> None:
        """Each part's vectors."""
        for encoder in self.encoders().values():
            encoder.begin(length)

    @torch.no_grad()
    def settle(self) -> Tensor:
        """The parts first, each in its own shape, and then what is made of their vectors."""
        self.train(True).eval()
        for encoder in self.encoders().values():
            encoder.settle()
        return self._settle()


def named(specs: list[Any], option: str) -> dict[str, Any]:
    """Specs by the names of their encoders. Raises ValueError for a name that stands twice."""
    found: dict[str, Any] = {}
    for spec in specs:
        values = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = str(values.get("name")).rpartition(":")[2].lower()
        if name in found:
            raise ValueError(f"{option}: {name!r} stands twice")
        found[name] = values
    return found


def _make(spec: Any, width: int, rows: int) -> ItemEncoder:
    _, cls, config = registry.make_config("items", spec, "items", outside=False)
    encoder: ItemEncoder = cls(config, width, rows)
    return encoder
