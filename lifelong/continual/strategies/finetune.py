"""Copy everything the parent sees and train the copy: nothing is shared afterwards (FineAll)."""

from typing import ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Finetune(Strategy):
    """The upper anchor of the papers (FineAll in Conure's table 2): every task a whole network of its own."""

    isolates: ClassVar[bool] = True
    trains_items: ClassVar[bool] = True

    def grow(self, site: Site, task: str) -> Growth:
        """One phase."""
        view = site.copy()
        yield Phase(view=view, label="train")
        return view
