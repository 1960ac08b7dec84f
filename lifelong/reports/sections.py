"""The parts of the page below the promise: cards, matrices, results, capacity, curves, baselines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifelong.reports import svg
from lifelong.reports.better import best, shade
from lifelong.reports.element import Html, el, join
from lifelong.reports.format import (
    MISSING,
    change,
    count,
    duration,
    interval,
    is_number,
    percent,
    score,
    size,
)
from lifelong.reports.parts import minus, number, scrolling, scrolling_table
from lifelong.reports.verdict import Document, Verdict, cell, final, headlines, learned, overall, runs_of, verdicts

STATES = {
    "kept": "kept, bit for bit",
    "broken": "broken",
    "moved": "earlier tasks moved",
    "still": "nothing moved",
    "open": "not shown",
}


def cards(document: Document) -> Html:
    """One card a strategy: changed bits, forgetting, average; means where there were several orders or seeds."""
    found = (_card(v, overall(document, v.name), headlines(document, v.name)) for v in verdicts(document))
    runs = runs_of(document)
    note = el("p", f"Means over {runs} runs, orders × seeds; changed probe values are those of all of them.")
    return el("section", el("h2", "The strategies"), note if runs > 1 else None, el("div", *found, class_="cards"))


def _card(verdict: Verdict, strategy: Mapping[str, Any], by_metric: Mapping[str, Mapping[str, Any]]) -> Html:
    """A strategy; its measures by metric where there are several."""
    several = len(by_metric) > 1
    bits = verdict.probes.differ if verdict.probes.same is not None else strategy.get("changed_bits")
    return el(
        "article",
        el("h3", verdict.name),
        el("p", STATES[verdict.state], class_="tag"),
        el(
            "p",
            count(bits),
            el("small", "probe value changed" if bits == 1 else "probe values changed"),
            class_="figure",
        ),
        *(join(el("h4", metric) if several else None, _measures(metric, m)) for metric, m in by_metric.items()),
        el("p", "isolates its tasks" if verdict.isolates else "shares weights between tasks", class_="quiet"),
        class_=f"card {verdict.state}",
    )


def _measures(metric: str, found: Mapping[str, Any]) -> Html:
    rows = [
        ("Forgetting", change(found.get("forgetting")).lstrip("+")),
        ("Backward transfer", change(found.get("backward_transfer"))),
        ("Forward gain", change(found.get("forward_gain"))),
    ]
    if is_number(found.get("average")):
        rows.append((f"Average {metric}".strip(), score(found["average"])))
    return el("dl", *(el("div", el("dt", name), el("dd", minus(value))) for name, value in rows))


def matrices(document: Document) -> Html:
    """The accuracy matrix of every strategy."""
    figures = [
        el(
            "figure",
            el("figcaption", name),
            scrolling(_heat_map(name, s)),
        )
        for name, s in (document.get("strategies") or {}).items()
    ]
    text = (
        "Read downwards: a column is one task's test value from the moment it was learned. The colour is the change "
        "since then, relative to the just-learned value, so tasks with different metrics can be compared."
    )
    if runs_of(document) > 1:
        text += " Shown is the first of all runs: the order as given, the first seed."
    worse, better = f"worse by {percent(svg.FULL)} or more", "better by as much"
    steps = [("worse", worse), ("cell", "the same number"), ("better", better)]
    legend = (el("li", el("i", class_=f"swatch {name}"), text) for name, text in steps)
    return el(
        "section",
        el("h2", "After every task, all earlier ones again"),
        el("p", text),
        el("ul", *legend, class_="legend"),
        el("div", *figures, class_="pair"),
    )


def _heat_map(name: str, strategy: Mapping[str, Any]) -> Html:
    tasks, matrix, metrics = (strategy.get(key) or [] for key in ("tasks", "matrix", "metric"))
    return svg.heat_map(tasks, matrix, f"Accuracy matrix of {name}", metrics)


def results(document: Document) -> Html:
    """Every task of every strategy in one table."""
    heads = ["Task", "Metric", "Scratch", "Just learned", "At the end", "Change", "Interval at the end"]
    heads += ["Parameters", "Bytes", "Time"]
    bodies = [
        el(
            "tbody",
            el("tr", el("th", name, colspan=len(heads), scope="rowgroup"), class_="group"),
            *_result_rows(strategy),
        )
        for name, strategy in (document.get("strategies") or {}).items()
    ]
    return el("section", el("h2", "Task by task"), scrolling_table(heads, bodies, words=2))


def _result_rows(strategy: Mapping[str, Any]) -> Iterator[Html]:
    scratch = (strategy.get("forward_gain") or {}).get("scratch")
    for j, task in enumerate(strategy.get("tasks") or []):
        first, last, metric = learned(strategy, j), final(strategy, j), _entry(strategy.get("metric"), j)
        moved = last - first if is_number(first) and is_number(last) else None
        yield el(
            "tr",
            el("th", task, scope="row"),
            el("td", metric or MISSING),
            number(score(_entry(scratch, j))),
            number(score(first)),
            number(score(last)),
            number(change(moved), shade(metric, moved)),
            number(interval(cell(strategy, "low", -1, j), cell(strategy, "high", -1, j))),
            number(count(_entry(strategy.get("parameters"), j))),
            number(size(_entry(strategy.get("bytes"), j))),
            number(duration(_entry(strategy.get("seconds"), j))),
        )


def capacity(document: Document) -> Html | None:
    """Who owns how much of the encoder, for every strategy that claims weights."""
    figures = []
    for name, strategy in (document.get("strategies") or {}).items():
        shares = svg.coloured(strategy.get("capacity") or [])
        if shares:
            legend = (
                el("li", el("i", class_=f"swatch {hue}"), str(e.get("task")), el("b", percent(e["share"])))
                for e, hue in shares
            )
            bar = svg.capacity_bar([e for e, _ in shares], f"Capacity under {name}")
            figures.append(el("figure", el("figcaption", name), bar, el("ul", *legend, class_="legend")))
    if not figures:
        return None
    text = (
        "Shares of the encoder's prunable weights. A sealed share never changes again; the free one is for later tasks."
    )
    return el("section", el("h2", "Who owns how much"), el("p", text), *figures)


def curves(document: Document) -> Html | None:
    """The training curves of every task."""
    groups: list[Html] = []
    for name, strategy in (document.get("strategies") or {}).items():
        found = [_curve(task, points) for task, points in (strategy.get("curves") or {}).items() if points]
        if found:
            opened = None if groups else "open"
            groups.append(el("details", el("summary", name), el("div", *found, class_="curves"), open=opened))
    if not groups:
        return None
    legend = el("ul", *(el("li", el("i", class_=f"stroke {c}"), t) for c, t in _STROKES), class_="legend")
    return el("section", el("h2", "Training"), legend, *groups)


_STROKES = (("valid", "validation, a dot at the best epoch"), ("loss", "training loss; each line has its own scale"))


def _curve(task: str, points: Sequence[Mapping[str, Any]]) -> Html:
    loss, valid = ([p[key] for p in points if is_number(p.get(key))] for key in ("loss", "valid"))
    parts = [f"{sum(p.get('epoch', 1) > 0 for p in points)} epochs"]
    if loss:
        parts.append(f"loss {loss[0]:.3g} → {loss[-1]:.3g}")
    if valid:
        parts.append(f"best {score(max(valid))}")
    return el("figure", el("figcaption", task), svg.curve(points, f"Training of {task}"), el("p", " · ".join(parts)))


def baselines(document: Document) -> Html | None:
    """The counting baselines beside the model, task by task."""
    tasks = document.get("baselines") or {}
    bodies = []
    for task, found in tasks.items():
        rows = list(_baseline_rows(found))
        if rows:
            group = el("tr", el("th", task, colspan=6, scope="rowgroup"), class_="group")
            bodies.append(el("tbody", group, *rows))
    if not bodies:
        return None
    text = (
        "What counting alone reaches on the same cases. The best value of each metric is bold; bars are 95 % intervals."
    )
    heads = ("Method", "Metric", "Value", "Interval", "", "Cases")
    return el("section", el("h2", "Against simple counting"), el("p", text), scrolling_table(heads, bodies, words=2))


def _baseline_rows(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Html]:
    for metric in dict.fromkeys(m for measures in found.values() for m in measures):
        measures = {name: values[metric] for name, values in found.items() if metric in values}
        known = [m["value"] for m in measures.values() if is_number(m.get("value"))]
        leader = best(metric, known)
        top = max((v for m in measures.values() for v in (m.get("high"), m.get("value")) if is_number(v)), default=0.0)
        for name, m in measures.items():
            value = m.get("value")
            yield el(
                "tr",
                el("th", name, scope="row"),
                el("td", metric),
                number(score(value), "best" if value == leader else ""),
                number(interval(m.get("low"), m.get("high"))),
                el("td", svg.interval_bar(value, m.get("low"), m.get("high"), top), class_="bar"),
                number(count(m.get("n"))),
                class_="ours" if name == "model" else None,
            )


def membership(document: Document) -> Html | None:
    """What an attacker can tell of whom each task was trained on."""
    tasks = document.get("membership") or {}
    rows = [_attacked(task, found) for task, found in tasks.items()]
    if not rows:
        return None
    text = (
        "Users a task was trained on, told apart from users held out, by its answers alone: the area under the ROC "
        "curve of the best attack, with its 95 % interval over users. 0.5 is a coin; beside it stands the range that "
        "the attack has where the two words are dealt by chance."
    )
    heads = ("Task", "Attack", "AUC", "Interval", "By chance", "Members", "Others")
    return el(
        "section",
        el("h2", "Who was learned from"),
        el("p", text),
        scrolling_table(heads, [el("tbody", *rows)], words=2),
    )


def _attacked(task: str, found: Mapping[str, Any]) -> Html:
    name = el("th", task, scope="row")
    if "refused" in found:
        return el("tr", name, el("td", found["refused"], colspan=6))
    attack, auc = max(found["attacks"].items(), key=lambda item: float(item[1]["value"]))
    return el(
        "tr",
        name,
        el("td", attack),
        number(score(auc["value"])),
        number(interval(auc["low"], auc["high"])),
        number(interval(found["control"]["low"], found["control"]["high"])),
        number(count(found["members"])),
        number(count(found["others"])),
    )


def _entry(values: Any, index: int) -> Any:
    return (
        values[index] if isinstance(values, Sequence) and not isinstance(values, str) and index < len(values) else None
    )
