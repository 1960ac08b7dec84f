"""Fine-tune the shared encoder with no protection, so that earlier tasks change: the control that must forget (SinMoAll)."""

from typing import ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Sequential(Strategy):
    """One network through all tasks, earlier heads kept as they were (SinMoAll in Conure's table 2).

    A forgetting report without it proves nothing: a measurement that cannot come out above zero is no measurement.
    """

    isolates: ClassVar[bool] = False

    def grow(self, site: Site, task: str) -> Growth:
        """Train everything, then put it back where the earlier tasks read it."""
        view = site.share()
        yield Phase(view=view, label="train")
        site.write_back(view)
        return view
