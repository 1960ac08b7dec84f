"""Train on the free weights, keep the largest, retrain them, seal; the rest is free for the next task (Conure, SIGIR 2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from lifelong.continual.phase import Phase
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy


class Conure(Strategy):
    """One person, one model, one world (Yuan et al., SIGIR 2021, section 3).

    A task reads the weights of its lineage, frozen, and trains every free one; then it keeps the largest share, layer by
    layer, and retrains those alone. We leave the paper in four places: norms and biases are private to each task (its code
    freezes the norms after the first task and has no biases); released weights are zeroed; the count kept is exact; the best
    epoch by validation is kept, where its code keeps the last.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        keep: float = 0.3
        """Share of what was free that the task keeps, in (0, 1]; 0.3 is the paper's for its first six tasks."""
        retrain: float = 0.5
        """Epochs of retraining as a share of the task's epochs; 0 leaves it out (the paper's Conure-)."""
        min_share: float = 0.005
        """Refuse a task that would own less than this share of the encoder."""

        def __post_init__(self) -> None:
            if not 0 < self.keep <= 1:
                raise ValueError(f"keep is {self.keep}, it must lie in (0, 1]")
            if not self.retrain >= 0 or not 0 <= self.min_share < 1:
                raise ValueError("retrain must be 0 or more, min_share in [0, 1)")

    isolates: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Conure.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """Claim, train, release, retrain."""
        site.need_capacity(task, self.options.keep, self.options.min_share)
        view = site.claim_free()
        yield Phase(view=view, label="train")
        if self.options.keep < 1:
            site.release_smallest(view, self.options.keep)
            yield Phase(view=view, label="retrain", epochs_share=self.options.retrain)
        return view
