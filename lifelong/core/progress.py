"""How long work tells what it is doing; the command line draws it, a program may ignore it."""

from typing import Protocol


class Progress(Protocol):
    """Told about stages of known length and about facts in between."""

    def start(self, label: str, total: int) -> None:
        """A stage of `total` steps begins; it replaces the one before."""
        ...

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """So many steps are done; the numbers (loss, …) are shown beside them."""
        ...

    def end(self) -> None:
        """The stage is over."""
        ...

    def say(self, text: str) -> None:
        """One line that stays."""
        ...


class Silent:
    """Says nothing."""

    def start(self, label: str, total: int) -> None:
        """Nothing."""

    def advance(self, steps: int = 1, **numbers: float) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
