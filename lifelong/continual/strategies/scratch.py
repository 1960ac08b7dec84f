"""Train a private network from random weights, reading nothing of the parent (SinMo)."""

from typing import ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Scratch(Strategy):
    """What a task reaches without the living model (SinMo in Conure's table 2); forward gain is measured against it."""

    isolates: ClassVar[bool] = True
    trains_items: ClassVar[bool] = True
    from_parent: ClassVar[bool] = False

    def grow(self, site: Site, task: str) -> Growth:
        """One phase."""
        view = site.fresh()
        yield Phase(view=view, label="train")
        return view
