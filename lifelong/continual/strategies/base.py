"""How a model takes a task in: a short generator that opens a view, yields phases, and does its bookkeeping between them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.view import View

Growth = Generator[Phase, None, View]


class Strategy(ABC):
    """Base of all strategies.

    `isolates`: it promises that no earlier task changes by one bit, and is held to it. One that does not needs
    allow_forgetting.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Options of the strategy."""

    isolates: ClassVar[bool]
    from_parent: ClassVar[bool] = True
    """Whether the task starts from what its parent knows; then its head is solved before the first step."""

    trains_items: ClassVar[bool] = False
    """Whether a child trains what encodes items by their content, too; else it reads the vectors that its parent has."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def passes(self) -> float:
        """How long the task is trained at most, in times of its epochs."""
        return 1.0

    @property
    def tried(self) -> float:
        """The same, with what is tried and left behind."""
        return self.passes

    @abstractmethod
    def grow(self, site: Site, task: str) -> Growth:
        """Yield the phases of taking in `task` at `site`; return the view to be sealed.

        What needs to be refused (CapacityError) is refused before the first phase.
        """

    def opens_of_items(self, site: Site, parameters: Mapping[str, Tensor]) -> Collection[str]:
        """Which parameters of what encodes items a child trains, beside what sits in its slots; given and told by their names
        in the network (items.…). Those that the encoder lets train, unless a strategy knows better."""
        return [name for name, parameter in parameters.items() if parameter.requires_grad]
