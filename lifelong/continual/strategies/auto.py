"""Try a probe, a patch and claimed weights, and keep the cheapest that nothing dearer beats on validation, within a budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.continual.strategies.conure import Plan
from lifelong.core import registry
from lifelong.core.config import need, plain
from lifelong.core.errors import CapacityError

USUAL = ("probe", "peterrec", "conure")
"""What is tried where nothing else is named, the cheapest first."""
PATCHES = (4, 8, 16, 32)
"""Shares of a patch's bottleneck, the widest first: the first that the budget has room for is tried."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a task may cost."""

    share: float = 0.03
    """The most bytes that a task stores beside its head and the rows of items that it brings, as a share of the encoder's: a
    hundred tasks then at most quadruple the model."""
    seconds: float | None = None
    """No dearer candidate is begun after so many seconds of training; nothing: there is no limit. With one, the choice depends
    on the machine: the record says so, and the same seed need not choose the same."""

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ValueError(f"budget: share is {self.share}, it must be above 0")
        if self.seconds is not None and not self.seconds >= 0:
            raise ValueError(f"budget: seconds is {self.seconds}, it must be 0 or more")


class Auto(Strategy):
    """The cheapest candidate first; a dearer one takes its place where it is better on the validation cases beyond noise.

    Each candidate is trained as if it had been named in the task, with the same seed, so the task is bit for bit what that
    strategy makes; the others leave nothing behind. The comparison stands in lifelong/growing/choosing.py, because it needs the
    training loop. A model's first task, which has no parent to probe, claims weights.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        plan: Plan | None = None
        """Equal parts of the encoder for so many expected tasks, in place of 0.3 of what is free; weights are claimed only as
        long as the plan has any left."""
        budget: Budget = field(default_factory=Budget)
        """What a task may cost."""
        margin: float = 0.0
        """How much better a dearer candidate must be, beyond noise: in the score that selects epochs (the metric of items, log
        likelihood of classes)."""
        level: float = 0.9
        """Of the paired bootstrap interval of the difference, whose lower end must lie above the margin."""
        first: float = 0.3
        """Share of the encoder that a model's first task keeps; 0.3 is Conure's."""
        candidates: list[Any] = field(default_factory=list)
        """Other strategies, the cheapest first; they must isolate. Nothing: probe, peterrec, conure."""

        def __post_init__(self) -> None:
            """Raises ValueError where options do not go together."""
            need(self, "level", 0 < self.level < 1, "lie in (0, 1)")
            need(self, "margin", self.margin >= 0, "be 0 or more")
            need(self, "first", 0 < self.first <= 1, "lie in (0, 1]")
            for spec in self.candidates:
                cls = registry.make_config("strategies", spec, "candidates")[1]
                if not cls.isolates or cls is Auto:
                    raise ValueError(
                        f"candidates: {spec!r} cannot be tried beside others; name strategies that isolate"
                    )
                own = {"plan", "layers"} & set(spec) if isinstance(spec, Mapping) else set()
                if own and self.plan is not None:
                    raise ValueError(
                        f"candidates: {spec!r} has {', '.join(sorted(own))}; the plan says what is claimed"
                    )

    isolates: ClassVar[bool] = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Auto.Config = config

    @property
    def passes(self) -> float:
        """Of the candidate that is trained longest."""
        return max(strategy.passes for strategy in self._strategies())

    @property
    def tried(self) -> float:
        """Of all candidates."""
        return sum(strategy.passes for strategy in self._strategies())

    def candidates(self, site: Site) -> list[list[Any]]:
        """Strategies as a task names them, the cheapest first; each in some forms, of which the first that fits is meant."""
        if site.parent is None:
            return [[{"name": "conure", "keep": self.options.first}]]
        if self.options.candidates:
            return [[self._planned(spec)] for spec in self.options.candidates]
        patches = [{"name": "peterrec", "share": share} for share in PATCHES]
        return [["probe"], list(patches), [self._planned("conure")]]

    def refuses(self, spec: Any, site: Site) -> str | None:
        """Why a candidate is out of the question, where it is: the plan has nothing left for it."""
        plan = self.options.plan
        if plan is None or _name(spec) != "conure" or site.parent is None:
            return None
        owners = len(site.bank.shares()) - 1
        if plan.keep(site.free_share(), owners) is not None:
            return None
        return f"the plan is used up: {owners} tasks own weights, {site.free_share():.1%} of the encoder is free"

    def grow(self, site: Site, task: str) -> Growth:
        """The dearest candidate that there is room for, untested; what choosing.py does without."""
        for forms in reversed(self.candidates(site)):
            _, cls, config = registry.make_config("strategies", forms[0], "candidates")
            if self.refuses(forms[0], site) is None:
                phases = cls(config).grow(site, task)
                try:
                    phase = next(phases)
                except CapacityError:
                    continue
                yield phase
                return (yield from phases)
        raise CapacityError(f"task {task!r}: there is no room for any of the candidates; name another strategy")

    def _strategies(self) -> list[Strategy]:
        made = (registry.make_config("strategies", spec, "candidates") for spec in self.options.candidates or USUAL)
        return [cls(config) for _, cls, config in made]

    def _planned(self, spec: Any) -> Any:
        """Conure under the plan, if it has none of its own; how little that is has been decided with the plan."""
        if self.options.plan is None or _name(spec) != "conure":
            return spec
        return {
            "plan": plain(self.options.plan),
            "min_share": 0.0,
            **({"name": spec} if isinstance(spec, str) else spec),
        }


def _name(spec: Any) -> str:
    return spec if isinstance(spec, str) else str(spec["name"])
