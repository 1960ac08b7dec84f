"""Profile prediction as one self-contained HTML page: tables with intervals, differences, calibration, confusion."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.reports import svg
from lifelong.reports.better import best, shade
from lifelong.reports.element import Html, el
from lifelong.reports.format import change, count, duration, interval, is_number, percent, score
from lifelong.reports.frame import facts, whole_page
from lifelong.reports.parts import number, scrolling, scrolling_table
from lifelong.reports.people import confusion_map, reliability

Document = Mapping[str, Any]


def write_profile(document: Document, path: str | Path) -> None:
    """The page of a profile document (see `page`), written to `path` as UTF-8."""
    Path(path).write_text(page(document), encoding="utf-8", errors="replace")


def page(document: Document) -> str:
    """The page of what `lifelong.profiling.profile` returns; whatever is missing is left out, every text is escaped."""
    tasks = document.get("tasks") or {}
    model = document.get("model") or "lifelong"
    head = el(
        "header",
        el("p", f"lifelong · profile report · {model}, version {document.get('version')}", class_="kicker"),
        el("h1", "What it knows of people."),
        el("p", _lead(document), class_="lead"),
    )
    return whole_page(f"Profile report – {model}", head, *(_task(name, t) for name, t in tasks.items()), _how(document))


def _lead(document: Document) -> str:
    asked = "Users whose events the model was trained on are asked about, too: read the figures as of people it knows."
    if not document.get("seen"):
        asked = "Only users whose events the model was never trained on are asked about."
    folds, repeats = document.get("folds"), document.get("repeats")
    return f"{asked} {folds} stratified folds by user, {repeats} times; every method gets the same users and the same care."


def _task(name: str, t: Document) -> Html:
    classes = t.get("classes") or {}
    metrics = t.get("metrics") or []
    shares = ", ".join(f"{c} {count(n)}" for c, n in classes.items())
    text = f"{count(t.get('unseen'))} of {count(t.get('drawn'))} labelled users are unseen. Classes: {shares}."
    folds, sealed = t.get("folds") or {}, t.get("sealed")
    parts = [
        el("h2", name),
        el("p", text),
        _table("Over folds", folds, metrics),
        _table("Its own sealed split", sealed, metrics) if sealed else None,
        el("div", *_pictures(folds, sealed, list(classes)), class_="pair"),
    ]
    return el("section", *parts)


def _table(title: str, table: Document, metrics: Sequence[str]) -> Html:
    """Methods as rows; for each metric the value, a bar with its interval, and ours minus each baseline."""
    methods, differences = table.get("methods") or {}, table.get("differences") or {}
    ours = list(differences)
    heads = ["Method", "Value", "Interval", "", *(f"{name}, minus it" for name in ours), "ECE", "Time"]
    bodies = []
    for metric in metrics:
        top = max(_known(methods, metric, "high") + _known(methods, metric, "value"), default=0.0)
        leader = best(metric, _known(methods, metric, "value"))
        once = metric == metrics[0]
        rows = [_row(name, m, metric, top, leader, differences, once) for name, m in methods.items()]
        bodies.append(
            el("tbody", el("tr", el("th", metric, colspan=len(heads), scope="rowgroup"), class_="group"), *rows)
        )
    users = f"{title}: {count(table.get('users'))} users asked"
    return el("div", el("h3", users), scrolling_table(heads, bodies, words=1), class_="split")


def _known(methods: Document, metric: str, key: str) -> list[float]:
    found = ((m.get("metrics") or {}).get(metric, {}).get(key) for m in methods.values())
    return [value for value in found if is_number(value)]


def _row(
    name: str, m: Document, metric: str, top: float, leader: float | None, differences: Document, once: bool
) -> Html:
    """A method under one metric; `once`: with what belongs to the method alone."""
    figure = (m.get("metrics") or {}).get(metric) or {}
    value, low, high = (figure.get(key) for key in ("value", "low", "high"))
    return el(
        "tr",
        el("th", name, scope="row"),
        number(score(value), "best" if value == leader else ""),
        number(interval(low, high)),
        el("td", svg.interval_bar(value, low, high, top), class_="bar"),
        *(_difference(metric, (by.get(name) or {}).get(metric)) for by in differences.values()),
        number(score(m.get("ece")) if once else ""),
        number(duration(m.get("seconds")) if once else ""),
        class_="ours" if m.get("ours") else None,
    )


def _difference(metric: str, found: Document | None) -> Html:
    """A difference in the metric's own units, coloured where its interval is clear of zero."""
    if not found or not is_number(found.get("value")):
        return number("")
    low, high = found.get("low"), found.get("high")
    clear = is_number(low) and is_number(high) and (low > 0 or high < 0)
    text = f"{change(found['value'])} ({change(low)} to {change(high)})"
    return number(text, shade(metric, low) if clear else "")


def _pictures(folds: Document, sealed: Document | None, classes: list[str]) -> Iterator[Html]:
    """Calibration and confusion of what is ours, and of the best baseline beside it."""
    for title, table in (("over folds", folds), ("sealed split", sealed or {})):
        methods = table.get("methods") or {}
        for name, m in methods.items():
            if m.get("ours") and m.get("confusion"):
                yield _picture(f"{name}, {title}", m, classes)
    rivals = {name: m for name, m in (folds.get("methods") or {}).items() if not m.get("ours") and m.get("confusion")}
    if rivals:
        first = max(
            rivals, key=lambda name: (rivals[name].get("metrics") or {}).get("macro_f1", {}).get("value") or 0.0
        )
        yield _picture(f"{first}, over folds (best baseline)", rivals[first], classes)


def _picture(title: str, m: Document, classes: list[str]) -> Html:
    confused = confusion_map(classes, m["confusion"], f"Confusion of {title}")
    caption = f"How sure, how right: ECE {score(m.get('ece'))}"
    return el(
        "figure",
        el("figcaption", title),
        scrolling(confused),
        el("p", caption, class_="under"),
        scrolling(reliability(m.get("reliability") or [], f"Calibration of {title}")),
    )


def _how(document: Document) -> Html:
    notices = dict.fromkeys(t.get("notice") for t in (document.get("tasks") or {}).values())
    reads = dict.fromkeys(t.get("baselines_read") for t in (document.get("tasks") or {}).values())
    left = {name: t.get("left_out") or {} for name, t in (document.get("tasks") or {}).items()}
    minutes = document.get("minutes")
    rows = {
        "Command": el("code", document.get("command") or ""),
        "Baselines read": " · ".join(str(text) for text in reads if text),
        "Left out": "; ".join(f"{k}: " + ", ".join(f"{n} {why}" for why, n in v.items()) for k, v in left.items()),
        "Took": duration(60 * minutes) if is_number(minutes) else None,
        "Created": document.get("created"),
        "Notice": " ".join(str(text) for text in notices if text),
    }
    words = {
        "Unseen": "no event of the user was trained on by the task's parents; validation cases may be hers.",
        "Frozen vector + probe": "logistic regression on the user vectors of the model's first task, which never saw a label.",
        "The task as sealed": "the answers of the model's own task on its own test users.",
        "LR, GBDT": "logistic regression and gradient boosting (scikit-learn), options chosen on inner validation users.",
        "Interval": f"{percent(0.95)} percentile bootstrap over users; differences draw the same users on both sides.",
        "Confusion": "rows are the right classes; a cell is the share of its row that was answered so.",
        "ECE": "mean gap between how sure a method is and how often it is right, over ten bins.",
    }
    return el("section", el("h2", "How it was run"), facts(rows), el("h2", "Words"), facts(words), class_="about")
