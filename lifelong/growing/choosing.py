"""Choosing how a task is taken in: candidates trained on forks, compared on the same validation cases, the cheapest kept."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lifelong.asking.evaluation import log_likelihoods, outcome_of, weighs_alike
from lifelong.asking.inference import Answering
from lifelong.continual.bank import Bank
from lifelong.continual.site import Site
from lifelong.continual.strategies.auto import Auto
from lifelong.continual.view import grows
from lifelong.core.config import plain
from lifelong.core.errors import CapacityError, ConfigError
from lifelong.core.progress import Progress
from lifelong.core.types import Classified, Measure, Outcome
from lifelong.growing.growth import Growth
from lifelong.growing.resume import Resume
from lifelong.keeping.checkpoint import stored_tensors
from lifelong.metrics.bootstrap import cases, paired_difference
from lifelong.metrics.kinds.base import MeanOfCases, Metric
from lifelong.metrics.parse import parse
from lifelong.model.member import Member, mount


class LogLikelihood(MeanOfCases):
    """Mean log probability of the right class: what selects epochs of classes, and moves less by chance than accuracy."""

    outcome = Classified
    title = "log likelihood"
    balanced = False
    """Whether each class weighs the same, as it may in the head's loss."""

    def cases(self, outcome: Outcome) -> np.ndarray:
        """Of each case."""
        assert isinstance(outcome, Classified)
        return log_likelihoods(outcome, self.balanced)


@dataclass(frozen=True)
class Tried:
    """A candidate that was trained: what it became, what it answers on the validation cases, bytes it stores."""

    spec: Any
    growth: Growth
    member: Member
    outcome: Outcome
    stored: int

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.spec if isinstance(self.spec, str) else str(self.spec["name"])

    @property
    def seconds(self) -> float:
        """Of training, those before an interruption included."""
        phases = {point["phase"]: point["seconds"] for point in self.member.record["curve"]}
        return float(sum(phases.values()))


def grow(growth: Growth, progress: Progress, resume: Resume) -> tuple[Growth, Member]:
    """Train the task; where its strategy is auto, by the candidate that is chosen. Returns the growth that made the member.

    Nothing is committed. A killed run goes on inside the candidate in which it was stopped, each has a folder of its own.
    """
    if not isinstance(growth.strategy, Auto):
        return growth, growth.run(progress, resume)
    choice = _Choice(growth, growth.strategy, progress, resume)
    best = choice.best()
    record = {**best.member.record, "choice": choice.record(best)}
    return best.growth, replace(best.member, record=record)


class _Choice:
    """Going through the candidates of one task; `lines` is what the record says of each."""

    def __init__(self, growth: Growth, auto: Auto, progress: Progress, resume: Resume) -> None:
        self.growth, self.auto, self.progress, self.resume = growth, auto, progress, resume
        self.metric: Metric = parse(growth.task.measured_by[0])
        self.room = round(auto.options.budget.share * encoder_bytes(growth.site.bank))
        self.lines: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.spent = 0.0

    def best(self) -> Tried:
        """The cheapest candidate that no dearer one beats. Raises what the last one was refused for where none was possible."""
        best: Tried | None = None
        for number, forms in enumerate(self.auto.candidates(self.growth.site)):
            fits = self._fitting(forms, late=best is not None and self._late())
            if fits is None:
                continue
            tried = self._train(number, *fits)
            if best is None or self._better(tried, best):
                best = tried
        if best is None:
            raise CapacityError(f"task {self.growth.task.name!r}: no candidate is possible: {'; '.join(self.reasons)}")
        return best

    def record(self, best: Tried) -> dict[str, Any]:
        """What is told of the choice, as plain values."""
        budget = self.auto.options.budget
        return {
            "strategy": {"name": "auto", **plain(self.auto.options)},
            "chosen": best.name,
            "why": f"{best.name}: {'; '.join(self.reasons) or 'there was no other candidate'}",
            "score": self.metric.label,
            "cases": len(self.growth.cases.valid),
            "room_bytes": self.room,
            "depends_on_seconds": budget.seconds is not None,
            "candidates": self.lines,
        }

    def _late(self) -> bool:
        """Whether the budget's seconds are over; rank 0's clock counts."""
        limit = self.auto.options.budget.seconds
        return bool(self.growth.group.tell(limit is not None and self.spent >= limit))

    def _fitting(self, forms: list[Any], *, late: bool) -> tuple[Any, int] | None:
        """The first form that fits and the bytes it stores; None, and the reason noted, where none does."""
        why = "the seconds were spent" if late else ""
        for spec in [] if late else forms:
            why = self.auto.refuses(spec, self.growth.site) or ""
            if why:
                continue
            trial = self.growth.under(spec)
            try:
                member = trial.untrained()
            except (CapacityError, ConfigError) as refusal:
                why = str(refusal)
                continue
            stored = sum(tensor.nbytes for tensor in stored_tensors(trial.site.bank, member).values())
            needed = stored - given_bytes(trial.site, member)
            if self.growth.parent is None or needed <= self.room:
                return spec, stored
            why = (
                f"it would store {needed} bytes beside its head and rows of new items, budget.share allows {self.room}"
            )
        name = forms[0] if isinstance(forms[0], str) else forms[0]["name"]
        self.lines.append({"strategy": plain(forms[0]), "left_out": why})
        self.reasons.append(f"{name} left out ({why})")
        return None

    def _train(self, number: int, spec: Any, stored: int) -> Tried:
        growth = self.growth.under(spec)
        self.progress.say(f"candidate {number + 1}: {spec if isinstance(spec, str) else spec['name']}")
        member = growth.run(self.progress, self.resume.within(f"candidate-{number}"))
        net = mount(growth.design, growth.site.bank, member, growth.cases.known)
        outcome = outcome_of(Answering(net, growth.design), growth.cases, growth.cases.valid)
        if isinstance(outcome, Classified):
            self.metric = LogLikelihood()
            self.metric.balanced = weighs_alike(net)
        tried = Tried(spec, growth, member, outcome, stored)
        self.spent += tried.seconds
        score = float(self.metric.value(outcome)[0])
        line = {"strategy": plain(spec), "valid": score, "bytes": stored, "seconds": round(tried.seconds, 2)}
        self.lines.append({**line, "trained": growth.trained})
        return tried

    def _better(self, tried: Tried, best: Tried) -> bool:
        """Whether the dearer one is better beyond noise; noted either way."""
        options, sign = self.auto.options, 1.0 if self.metric.higher_is_better else -1.0
        found = paired_difference(self.metric, tried.outcome, best.outcome, seed=tried.growth.seed, level=options.level)
        gain = found if sign > 0 else Measure(-found.value, -found.high, -found.low, found.n)
        better = bool(tried.growth.group.tell(gain.low > options.margin))
        self.lines[-1]["gain"] = {"over": best.name, **vars(gain)}
        verdict = "better than" if better else "not better beyond noise than"
        self.reasons.append(
            f"{tried.name} is {verdict} {best.name} ({gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] "
            f"{self.metric.label} on {cases(tried.outcome)} validation cases)"
        )
        return better


def given_bytes(site: Site, member: Member) -> int:
    """Of what every strategy has to store: the head, and rows of the items that the task brings."""
    head = sum(value.nbytes for name, value in member.own.items() if name.startswith("head."))
    return head + site.new_rows * sum(table[:1].nbytes for name, table in site.bank.values.items() if grows(name))


def encoder_bytes(bank: Bank) -> int:
    """Bytes of all tensors of the bank."""
    return sum(value.numel() * value.element_size() for value in bank.values.values())
