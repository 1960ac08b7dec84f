"""Freeze the parent's encoder and train the head alone (FineSmax)."""

from typing import ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Probe(Strategy):
    """The cheapest task there is: it owns its head and nothing else (FineSmax in Conure's table 2)."""

    isolates: ClassVar[bool] = True

    def grow(self, site: Site, task: str) -> Growth:
        """One phase."""
        view = site.read_only()
        yield Phase(view=view, label="train")
        return view
