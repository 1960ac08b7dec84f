"""The part of the page that says what to believe: intervals over seeds and users, negative transfer, costs."""

from collections.abc import Iterator, Mapping
from typing import Any

from lifelong.core.direction import sign
from lifelong.reports.element import Html, el, join
from lifelong.reports.forest import forest
from lifelong.reports.format import MISSING, chance, change, count, duration, is_number, names, score, size
from lifelong.reports.parts import number, scrolling_table
from lifelong.reports.verdict import Document

TITLES = {
    "forgetting": ("Forgetting", "best earlier minus final; 0 is best"),
    "backward_transfer": ("Backward transfer", "final minus just learned; below 0 is loss"),
    "forward_gain": ("Forward gain", "just learned minus trained alone; above 0 is gain"),
    "intransigence": ("Intransigence", "trained together minus just learned; below 0 is good"),
}
AVERAGE = "average "


def statistics(document: Document) -> Html | None:
    """Measures over orders and seeds, then every task: what it gained over training alone, and what it cost."""
    found = document.get("statistics") or {}
    strategies = found.get("strategies") or {}
    if not strategies:
        return None
    figures = [
        el("figure", el("figcaption", title, el("small", note)), el("div", picture, class_="scroll", tabindex=0))
        for title, note, picture in _figures(strategies)
    ]
    return el(
        "section",
        el("h2", "What to believe"),
        el("p", _how_many(document), " ", _about(document), _turned(document)),
        el("div", *figures, class_="forests"),
        _flagged(found),
        _tasks(found),
    )


def _figures(strategies: Mapping[str, Any]) -> Iterator[tuple[str, str, Html]]:
    """One forest a measure that any strategy has, and a metric where there are several, whose means say nothing together."""
    keys = dict.fromkeys(key for measures in strategies.values() for key in measures)
    metrics = [key.removeprefix(AVERAGE) for key in keys if key.startswith(AVERAGE)]
    for metric in metrics:
        for name, (title, note) in TITLES.items():
            rows = {s: _of_metric(found, metric, len(metrics) > 1).get(name) for s, found in strategies.items()}
            yield from _figure(f"{title}, {metric}" if len(metrics) > 1 else title, note, rows, signed=True)
        rows = {strategy: found.get(f"{AVERAGE}{metric}") for strategy, found in strategies.items()}
        yield from _figure(f"Average {metric}", "over the tasks, at the end", rows, signed=False)


def _of_metric(found: Mapping[str, Any], metric: str, several: bool) -> Mapping[str, Any]:
    """A strategy's measures over the tasks of a metric; those over all tasks where it is the only one."""
    return ((found.get("by_metric") or {}).get(metric) or {}) if several else found


def _figure(title: str, note: str, rows: Mapping[str, Any], *, signed: bool) -> Iterator[tuple[str, str, Html]]:
    """The forest, if any strategy has the measure; one in which nothing moved at all is not left out."""
    if any(isinstance(row, Mapping) and is_number(row.get("mean")) for row in rows.values()):
        yield title, note, forest(rows, title, signed=signed)


def _how_many(document: Document) -> str:
    orders, seeds = len(document.get("orders") or [0]), len(document.get("seeds") or [0])
    if orders * seeds == 1:
        return "One order and one seed."
    return f"{orders} {'order' if orders == 1 else 'orders'} × {seeds} {'seed' if seeds == 1 else 'seeds'}."


def _about(document: Document) -> str:
    if len(document.get("seeds") or [0]) == 1:
        return (
            "Nothing is known of the chance of training; intervals of differences are over users alone. "
            "Run it with --seeds 3 for more."
        )
    return (
        "A dot is the mean, a tick one seed (its orders averaged), a bar the 95 % interval over seeds. "
        "Differences of scores draw users, too, the same ones on both sides."
    )


def _turned(document: Document) -> str:
    """What differences are of metrics of which less is better."""
    metrics = dict.fromkeys(m for s in (document.get("strategies") or {}).values() for m in s.get("metric") or [])
    turned = [metric for metric in metrics if sign(metric) < 0]
    return f" Of {names(turned)} less is better: differences are turned round, above 0 is better." if turned else ""


def _flagged(found: Mapping[str, Any]) -> Html:
    """Negative transfer, said aloud; also that there is none."""
    tasks = found.get("tasks") or {}
    harmed = [
        f"{task} under {name}" for name, by in tasks.items() for task, t in by.items() if t.get("negative_transfer")
    ]
    known = [t for by in tasks.values() for t in by.values() if t.get("gain")]
    if harmed:
        word, text = "Negative transfer.", f"Clearly worse than the same network trained alone: {', '.join(harmed)}."
    elif known:
        word = "No negative transfer."
        text = f"None of {len(known)} scores is clearly worse than that of the same network trained alone."
    else:
        word, text = "Negative transfer was not looked for:", "run it with the strategy scratch beside the others."
    return el(
        "p", el("strong", word), " ", text, class_=f"outcome {'broken' if harmed else 'kept' if known else 'open'}"
    )


def _tasks(found: Mapping[str, Any]) -> Html:
    tested = _tested(found)
    difference = ["Interval", "p"] if tested else ["Interval"]
    heads = ["Task", "Just learned", "At the end", "Over alone", *difference]
    heads += [f"At the end, minus {found.get('against')}", *difference, "Epochs", "Parameters", "Bytes", "Time"]
    bodies = [
        el(
            "tbody",
            el("tr", el("th", name, colspan=len(heads), scope="rowgroup"), class_="group"),
            *(_row(task, t, tested) for task, t in tasks.items()),
        )
        for name, tasks in (found.get("tasks") or {}).items()
    ]
    return scrolling_table(heads, bodies, words=1)


def _tested(found: Mapping[str, Any]) -> bool:
    """Whether any difference was tested over seeds, which takes two that do not agree to the bit."""
    tasks = [t for by in (found.get("tasks") or {}).values() for t in by.values()]
    return any(is_number((t.get(key) or {}).get("p_seeds")) for t in tasks for key in ("gain", "difference"))


def _row(task: str, t: Mapping[str, Any], tested: bool) -> Html:
    flag = el("span", "negative transfer", class_="flag") if t.get("negative_transfer") else None
    return el(
        "tr",
        el("th", join(task, " ", flag) if flag else task, scope="row"),
        number(score((t.get("just_learnt") or {}).get("mean"))),
        number(score((t.get("at_the_end") or {}).get("mean"))),
        *_difference(t.get("gain"), tested),
        *_difference(t.get("difference"), tested),
        number(f"{t['epochs']:.0f}" if is_number(t.get("epochs")) else MISSING),
        number(count(t.get("parameters"))),
        number(size(t.get("bytes"))),
        number(duration(t.get("seconds"))),
    )


def _difference(found: Mapping[str, Any] | None, tested: bool) -> list[Html]:
    """A difference, coloured where its interval is clear of zero; the interval; `tested`: the p of the test over seeds."""
    if not found:
        return [number(MISSING)] * (3 if tested else 2)
    low, high = found.get("low"), found.get("high")
    clear = is_number(low) and is_number(high) and (low > 0 or high < 0)
    shade = ("up" if low > 0 else "down") if clear and is_number(low) else ""
    cells = [number(change(found.get("mean")), shade), number(f"{change(low)} to {change(high)}")]
    return [*cells, number(chance(found.get("p_seeds")))] if tested else cells
