"""The table of a transfer run: policies down, values with their intervals across, and what the policies mean."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lifelong.reports.format import change, count, line, percent, score
from lifelong.reports.tables import open_table


def transfer_table(document: Mapping[str, Any]) -> Group:
    """One table a target, readable at 80 columns; below them a line a policy."""
    shown: list[RenderableType] = []
    for name, target in document["targets"].items():
        about = f"{line(name)}: {count(target['cases'])} cases, {count(target['items'])} items"
        shown += [Text(about, style="bold"), _table(target), Text("")]
    notes = [line(f"{name}: {policy['about']}") for name, policy in document["policies"].items()]
    intervals = "intervals: 95 % over users; – ids: paired, over users and seeds"
    return Group(*shown, Text("\n".join([*notes, intervals]), style="dim"))


def _table(target: Mapping[str, Any]) -> Table:
    metric = target["metrics"][0]
    table = open_table("policy", metric, "over users", "– ids", "trained", "seconds", words=1)
    for name, row in target["policies"].items():
        users, over = row["users"][metric], row["over_ids"].get(metric)
        table.add_row(
            Text(line(name)),
            score(row["values"][metric]["mean"]),
            f"{score(users['low'])} {score(users['high'])}",
            ""
            if over is None or name == "ids"
            else f"{change(over['mean'])} [{change(over['low'])} {change(over['high'])}]",
            percent(row["share"]),
            count(round(row["seconds"])),
        )
    for name, values in target["baselines"].items():
        found = values[metric]
        table.add_row(
            Text(line(name), style="dim"),
            score(found["value"]),
            f"{score(found['low'])} {score(found['high'])}",
            "",
            "",
            "",
        )
    return table
