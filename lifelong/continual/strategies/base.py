"""How a model takes a task in: a short generator that opens a view, yields phases, and does its bookkeeping between them."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

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

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def grow(self, site: Site, task: str) -> Growth:
        """Yield the phases of taking in `task` at `site`; return the view to be sealed.

        What needs to be refused (CapacityError) is refused before the first phase.
        """
