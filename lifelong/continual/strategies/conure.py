"""Train on the free weights, keep the largest, retrain them, seal; the rest is free for the next task (Conure, SIGIR 2021)."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from torch import Tensor

from lifelong.continual.phase import Phase
from lifelong.continual.site import Keep, Site, Start
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.core.config import need
from lifelong.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to share the encoder among tasks that are yet to come.

    Keeping 0.3 of what is free leaves the sixth task 5 % of the encoder; a plan gives equal parts to all that are expected.
    """

    expected_tasks: int
    """How many tasks are to own weights in the end, those that do already included."""
    reserve: float = 0.1
    """Share of the encoder that the plan leaves alone; tasks beyond the plan take `keep` of it."""

    def __post_init__(self) -> None:
        need(self, "expected_tasks", self.expected_tasks >= 1, "be at least 1")
        need(self, "reserve", 0 <= self.reserve < 1, "lie in [0, 1)")

    def keep(self, free: float, owners: int) -> float | None:
        """Share of what is free for the next task, where `owners` tasks own weights; None where the plan is used up.

        >>> Plan(expected_tasks=4, reserve=0.1).keep(free=0.7, owners=1)  # 0.2 of the encoder for each of three
        0.2857142857142857
        """
        to_come = self.expected_tasks - owners
        return (free - self.reserve) / to_come / free if to_come > 0 and free > self.reserve else None


class Conure(Strategy):
    """One person, one model, one world (Yuan et al., SIGIR 2021, section 3).

    A task reads the weights of its lineage, frozen, and trains every free one; then it keeps the largest share, layer by
    layer, and retrains those alone. We leave the paper in four places: norms and biases are private to each task (its code
    freezes the norms after the first task and has no biases); released weights are zeroed, unless `release` and `start` say
    otherwise; the count kept is exact; the best epoch by validation is kept, where its code keeps the last.

    Conure- of the paper's tables is a task before it releases anything: `keep: 1` makes one, as a last task, and in every other
    run it is the best epoch of the phase `train` in the task's record.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        keep: float = 0.3
        """Share of what was free that the task keeps, in (0, 1]; 0.3 is the paper's for its first six tasks. 1 is for a last
        task: it leaves nothing, and is not retrained."""
        layers: dict[str, float] = field(default_factory=dict)
        """Another share, in [0, 1], for the weights whose names fit a pattern: {encoder.blocks.0.*: 0.5}; the first that fits
        counts."""
        plan: Plan | None = None
        """In place of `keep`: equal parts for so many expected tasks."""
        start: Start = "zero"
        """What the claimed weights start from. zero: the task starts as exactly its parent; random: from fresh small values;
        left (the paper's): from what the nearest task of its line with `release: keep` left there."""
        release: Literal["zero", "keep"] = "zero"
        """What becomes of the values of released weights. zero: nothing keeps them (PackNet); keep (the paper's): they are
        stored with the task, for children with `start: left`, at 4 bytes for every weight of the encoder. Nobody reads them
        in an answer either way."""
        rows: float = 1.0
        """Share of the item rows that it claims (of items that it brings, and of those that others released) that the task
        keeps, the longest ones; the others are zero for it, and free. The paper prunes its item table once, weight by weight,
        and loses most of what retraining gains (table 5); so 1: it keeps them all."""
        retrain: float = 0.5
        """Epochs of retraining as a share of the task's epochs; 0 leaves the pruned task as it is, at a loss."""
        min_share: float = 0.005
        """Refuse a task that would own less than this share of the encoder."""

        def __post_init__(self) -> None:
            need(self, "keep", 0 < self.keep <= 1, "lie in (0, 1]")
            if wrong := {pattern: keep for pattern, keep in self.layers.items() if not 0 <= keep <= 1}:
                raise ValueError(f"layers: {wrong}, each share must lie in [0, 1]")
            need(self, "rows", 0 < self.rows <= 1, "lie in (0, 1]")
            need(self, "retrain", self.retrain >= 0, "be 0 or more")
            need(self, "min_share", 0 <= self.min_share < 1, "lie in [0, 1)")

    isolates: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Conure.Config = config

    @property
    def passes(self) -> float:
        """Training and retraining."""
        return 1.0 + self.options.retrain

    def grow(self, site: Site, task: str) -> Growth:
        """Claim, train, release, retrain."""
        keep = self._keep(site)
        site.need_capacity(task, keep, self.options.min_share)
        view = site.claim_free(self.options.start)
        yield Phase(view=view, label="train")
        left: dict[str, Tensor] = {}
        released = site.release_smallest(view, keep, left if self.options.release == "keep" else None)
        if self.options.rows < 1:
            released += site.release_shortest(self.options.rows)
        if released and self.options.retrain:
            yield Phase(view=view, label="retrain", epochs_share=self.options.retrain)
        view.private |= left
        return view

    def _keep(self, site: Site) -> Keep:
        """Weight tensor's name -> share of what is free in it that the task keeps. Raises ConfigError for a pattern that fits
        no name."""
        names = site.bank.prunable
        for pattern in self.options.layers:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ConfigError(
                    f"conure: layers: {pattern!r} fits no weight; they are called {', '.join(names[:3])}, …"
                )
        planned = self.options.plan and self.options.plan.keep(site.free_share(), len(site.bank.shares()) - 1)
        usual = planned or self.options.keep
        return lambda name: next((k for p, k in self.options.layers.items() if fnmatchcase(name, p)), usual)
