"""The forgetting run as one self-contained HTML page: no script, no remote asset, readable on a phone and on paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifelong.reports.advice import advice
from lifelong.reports.element import Html, el, join
from lifelong.reports.format import MISSING, count, duration, is_number, names
from lifelong.reports.frame import facts, whole_page
from lifelong.reports.sections import baselines, capacity, cards, curves, matrices, membership, results
from lifelong.reports.statistics import statistics
from lifelong.reports.verdict import Look, Verdict, verdicts


def write_report(document: Mapping[str, Any], path: str | Path) -> None:
    """The page of a forgetting document (see `page`), written to `path` as UTF-8."""
    Path(path).write_text(page(document), encoding="utf-8", errors="replace")


def page(document: Mapping[str, Any]) -> str:
    """The page of a forgetting document: a plain dict with `strategies`, `baselines` and how it was run.

    Whatever the document lacks is left out or shown as missing; every text of it is escaped.
    """
    parts = (
        promise,
        cards,
        advice,
        statistics,
        matrices,
        results,
        capacity,
        curves,
        baselines,
        membership,
        how_it_was_run,
    )
    title = f"Forgetting report – {document.get('dataset') or 'lifelong'}"
    return whole_page(title, *(part(document) for part in parts))


def promise(document: Mapping[str, Any]) -> Html:
    """The promise, whether this run kept it, and the three looks that say so."""
    found = verdicts(document)
    return el(
        "header",
        el(
            "p",
            join("lifelong · forgetting report · ", document.get("dataset") or "no data set named"),
            class_="kicker",
        ),
        el("h1", "Zero forgetting, bit for bit."),
        el(
            "p",
            "Adding a task must leave the answers of every earlier task exactly as they were: not nearly, not on "
            "average, but in every bit. Three independent looks at the same run say whether it did.",
            class_="lead",
        ),
        _outcome(found),
        el("div", *_proofs(found), class_="proofs"),
    )


def _outcome(found: list[Verdict]) -> Html:
    """One sentence for the strategies that promise it, one for those that cannot: the control."""
    isolating = [v for v in found if v.isolates]
    broken, open_ = ([v.name for v in isolating if v.state == state] for state in ("broken", "open"))
    if broken:
        word, text = "broken", f"Not kept. An earlier task changed under {names(broken)}."
    elif not isolating:
        word, text = "open", "No strategy in this run promises it."
    elif open_:
        word, text = "open", f"Not shown. This run has too little to compare under {names(open_)}."
    else:
        word, text = "kept", f"Kept in this run by {names([v.name for v in isolating])}."
    return el("p", el("strong", text), " ", _control(found), class_=f"outcome {word}")


def _control(found: list[Verdict]) -> str:
    moved = [v.name for v in found if v.state == "moved"]
    if moved:
        return f"The control moved, as it must: {names(moved)} changed earlier tasks, so these checks can fail."
    still = [v.name for v in found if v.state == "still"]
    if still:
        return f"The control {names(still)} did not move, so this run does not show that the checks can fail."
    return "No control ran, so this run does not show that the checks can fail."


def _proofs(found: list[Verdict]) -> list[Html]:
    """The three looks, each with its result under every strategy."""
    looks = [
        (
            "1",
            "The bytes: fingerprints",
            "All that a task's answers come from is hashed (SHA-256) when it is learned and after every later task.",
            [(v, v.fingerprints, _of(v.fingerprints, "fingerprints differ", "equal")) for v in found],
        ),
        (
            "2",
            "The behaviour: probes",
            "The same users are asked again after every later task, and the float32 answers are compared bit by bit.",
            [(v, v.probes, _bits(v.probes)) for v in found],
        ),
        (
            "3",
            "The meaning: the matrix",
            "Every task is measured again on its test cases after every later task; the value must be the same number.",
            [(v, v.matrix, _of(v.matrix, "values differ", "equal")) for v in found],
        ),
    ]
    return [
        el(
            "section",
            el("h2", el("span", number, class_="step"), title),
            el("p", text),
            el("dl", *(el("div", el("dt", v.name), el("dd", said, class_=_class(v, look))) for v, look, said in rows)),
            class_="proof",
        )
        for number, title, text, rows in looks
    ]


def _of(look: Look, differ: str, same: str) -> str:
    if look.same is None:
        return "nothing to compare"
    return (
        f"all {count(look.compared)} {same}"
        if look.same
        else f"{count(look.differ)} of {count(look.compared)} {differ}"
    )


def _bits(look: Look) -> str:
    if look.same is None:
        return "nothing to compare"
    return "0 values changed" if look.same else f"{count(look.differ)} values changed"


def _class(verdict: Verdict, look: Look) -> str:
    if look.same is None:
        return "open"
    return "same" if look.same else "differs" if verdict.isolates else "moves"


def how_it_was_run(document: Mapping[str, Any]) -> Html:
    """What is needed to run it again, and how to read the page."""
    minutes = document.get("minutes")
    rows = {
        "Command": el("code", document.get("command") or MISSING),
        "Data": document.get("dataset"),
        "Seeds": ", ".join(str(seed) for seed in document.get("seeds") or [document.get("seed")]),
        "Orders": join(*(el("div", " → ".join(order)) for order in document.get("orders") or [])) or None,
        "Machine": document.get("machine"),
        "Took": duration(60 * minutes) if is_number(minutes) else None,
        "Created": document.get("created"),
        "lifelong": document.get("lifelong"),
        "Notice": document.get("notice"),
    }
    return el("section", el("h2", "How it was run"), facts(rows), el("h2", "Words"), facts(WORDS), class_="about")


WORDS = {
    "Just learned, at the end": "the task's test value directly after it was learned, and after the last task.",
    "Changed bits": "bits of the probe answers that differ between those two moments, over all earlier tasks.",
    "Forgetting": "best earlier value minus final value, mean over a metric's tasks but the last one (Chaudhry et al. 2018).",
    "Backward transfer": "final minus just-learned value, same mean (Lopez-Paz & Ranzato 2017). Below 0 is loss.",
    "Forward gain": "just-learned value minus that of the same encoder trained on the task alone, as long as the longest.",
    "Intransigence": "value when trained together with all tasks so far, minus just learned (Chaudhry et al. 2018).",
    "Negative transfer": "the interval of a task's gain over training alone lies below zero as a whole.",
    "p": "of the two-sided paired t-test over seeds: the chance of so large a difference where there is none.",
    "Interval": "95 % percentile bootstrap over test cases. It speaks of the sample of users, not of forgetting.",
}
