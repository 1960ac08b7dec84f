"""What a forgetting document shows: three looks at every earlier task, and what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lifelong.reports.format import is_number

Document = Mapping[str, Any]
State = Literal["kept", "broken", "moved", "still", "open"]


@dataclass(frozen=True)
class Look:
    """One way of looking: whether earlier tasks stayed the same (None: nothing to compare), and how many did not."""

    same: bool | None
    differ: float = 0
    compared: int = 0


@dataclass(frozen=True)
class Verdict:
    """The three looks at one strategy.

    state: "kept" (isolates, all three looks same), "broken" (isolates, and a look differs), "moved" and "still" (shares
    weights, and did or did not change earlier tasks), "open" (isolates, and a look is missing).
    """

    name: str
    isolates: bool
    fingerprints: Look
    probes: Look
    matrix: Look

    @property
    def state(self) -> State:
        """What follows from the three looks."""
        looks = [look.same for look in (self.fingerprints, self.probes, self.matrix)]
        if self.isolates:
            return "broken" if False in looks else "kept" if None not in looks else "open"
        return "moved" if False in looks else "still"


def verdicts(document: Document) -> list[Verdict]:
    """One verdict a strategy, in the document's order, over all of its runs."""
    strategies = document.get("strategies") or {}
    return [verdict(name, strategy, runs(document, name)) for name, strategy in strategies.items()]


def verdict(name: str, strategy: Mapping[str, Any], runs: Sequence[Mapping[str, Any]] = ()) -> Verdict:
    """The three looks at one strategy of the document; probes and matrix over all `runs` where there are any."""
    runs = runs or [strategy]
    probes, matrix = _together([_probes(run) for run in runs]), _together([_matrix(run) for run in runs])
    return Verdict(name, bool(strategy.get("isolates")), _fingerprints(strategy), probes, matrix)


def runs(document: Document, name: str) -> list[Mapping[str, Any]]:
    """Every order and seed of a strategy, in short; the first one is what `strategies` holds in full."""
    return [run for run in document.get("runs") or [] if run.get("strategy") == name]


def runs_of(document: Document) -> int:
    """How many runs there were: orders × seeds."""
    return len(document.get("orders") or [0]) * len(document.get("seeds") or [0])


def overall(document: Document, name: str) -> dict[str, Any]:
    """A strategy's measures as plain numbers: the means of its statistics, or what its only run gave."""
    strategy = (document.get("strategies") or {}).get(name) or {}
    measures = ((document.get("statistics") or {}).get("strategies") or {}).get(name) or {}
    means = _means(measures)
    found = {key: _number_of(strategy.get(key)) for key in ("forgetting", "backward_transfer", *BESIDE)}
    average = {key.removeprefix("average "): mean for key, mean in means.items() if key.startswith("average ")}
    return {**strategy, **found, **means, "average": average or strategy.get("average")}


def headlines(document: Document, name: str) -> dict[str, dict[str, Any]]:
    """Metric -> a strategy's measures over the tasks of that metric, as plain numbers, `average` among them.

    Means over tasks of several metrics say nothing; a document that has no others is left with gaps.
    """
    whole = overall(document, name)
    average = whole["average"] or None
    if not isinstance(average, Mapping):
        average = {"": average}
    if len(average) < 2:
        return {metric: {**whole, "average": value} for metric, value in average.items()}
    measures = ((document.get("statistics") or {}).get("strategies") or {}).get(name) or {}
    of_run, of_all = (found.get("by_metric") or {} for found in (whole, measures))
    return {
        metric: {**of_run.get(metric, {}), **_means(of_all.get(metric, {})), "average": value}
        for metric, value in average.items()
    }


def _means(measures: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found["mean"] for key, found in measures.items() if isinstance(found, Mapping) and "mean" in found}


BESIDE = ("forward_gain", "intransigence")
"""Measures that compare with another strategy: {value, per_task, …} in the document."""


def _number_of(measure: Any) -> Any:
    return measure.get("value") if isinstance(measure, Mapping) else measure


def _together(looks: Sequence[Look]) -> Look:
    """Several runs looked at in one way: same where all are, open where one is."""
    found = [look.same for look in looks]
    same = False if False in found else None if None in found else True
    return Look(same, sum(look.differ for look in looks), sum(look.compared for look in looks))


def learned(strategy: Mapping[str, Any], task: int) -> Any:
    """The value of a task just after it was learned: the diagonal of the matrix."""
    return cell(strategy, "matrix", task, task)


def final(strategy: Mapping[str, Any], task: int) -> Any:
    """The value of a task after the last one was learned."""
    return cell(strategy, "matrix", -1, task)


def cell(strategy: Mapping[str, Any], table: str, row: int, column: int) -> Any:
    """An entry of `matrix`, `low` or `high`; None where there is none."""
    try:
        return strategy[table][row][column]
    except (KeyError, IndexError, TypeError):
        return None


def _fingerprints(strategy: Mapping[str, Any]) -> Look:
    """Every later fingerprint of a task against its first."""
    compared = differ = 0
    for prints in (strategy.get("fingerprints") or {}).values():
        first, *later = [p for p in prints if p] or [None]
        compared += len(later)
        differ += sum(p != first for p in later)
    return Look(differ == 0 if compared else None, differ, compared)


def _probes(strategy: Mapping[str, Any]) -> Look:
    changed, tasks = strategy.get("changed_bits"), len(strategy.get("tasks") or [])
    if not is_number(changed) or tasks < 2:
        return Look(None)
    return Look(changed == 0, changed, tasks - 1)


def _matrix(strategy: Mapping[str, Any]) -> Look:
    """Every later value of a task against the one just after it was learned."""
    compared = differ = 0
    for task in range(len(strategy.get("tasks") or [])):
        for row in range(task + 1, len(strategy.get("matrix") or [])):
            value, first = cell(strategy, "matrix", row, task), learned(strategy, task)
            if is_number(value) and is_number(first):
                compared += 1
                differ += value != first
    return Look(differ == 0 if compared else None, differ, compared)
