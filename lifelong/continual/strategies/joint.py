"""Learn all tasks at once on all their data, the upper bound that no continual method is held to (MTL)."""

from typing import ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.rehearsal import Together, endless
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Joint(Strategy):
    """One shared encoder and all heads, trained on the sum of all tasks' losses (MTL in Conure's table 2).

    It goes on from the parent's weights, needs every earlier task's data, and changes every earlier task. Every step takes one
    batch of each task; an epoch is as long as that of the task that is added. The epoch is chosen by the mean of the logarithms
    of all tasks' validation scores, in which a per cent counts alike for every task.
    """

    isolates: ClassVar[bool] = False

    def grow(self, site: Site, task: str) -> Growth:
        """One phase, with the earlier tasks beside the new one."""
        view = site.share()
        past = site.shared_past("joint training learns them again")
        site.let_train(past)
        penalty = Together(past, site.seen(past), [endless(earlier) for earlier in past], 1.0)
        yield Phase(view=view, label="train jointly", penalty=penalty)
        site.write_back(view)
        return view
