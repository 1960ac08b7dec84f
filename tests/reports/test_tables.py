import io

import pytest
from made_up import TASKS, description, document, many_runs
from rich.console import Console

from lifelong.reports.tables import evaluation_table, forgetting_table, inspect_table


def show(table, width=80, encoding="utf-8"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width).print(table)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_and_hold_their_numbers(width):
    texts = [show(t, width) for t in (forgetting_table(document()), inspect_table(description()))]
    texts.append(show(evaluation_table(document()["baselines"]), width))
    for text in texts:
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text
    for number in ("1,482,077", "0.0555", "0.1007", "-0.0441", "0.0471", "kept, bit for bit"):
        assert number in texts[0]
    for part in (*TASKS, "30 %", "592.9 kB", "3.5 min", "version 7", "1,482,240", "free"):
        assert part in texts[1]
    assert "0.1338 to 0.1618" in texts[2]


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_says_which_to_take(width):
    text = show(forgetting_table(many_runs()), width)
    assert max(map(len, text.splitlines())) <= width
    assert "Which to take" in text
    assert "415.0 kB" in text
    assert "conure is 0.0051 better, which may be chance" in " ".join(text.split())
    assert "Which to take" not in show(forgetting_table(document()), width)


def test_the_measures_of_several_metrics_are_apart():
    """The planted fault: 0.0686, the mean of NDCG, macro-F1 and AUC together."""
    lines = [line.split() for line in show(forgetting_table(document())).splitlines()]
    assert ["macro_f1", "conure", "0", "0", "+0.0060", "0.1950"] in lines
    assert ["sequential", "0.0656", "-0.0656", "+0.0060", "0.1294"] in lines
    assert not any("0.0686" in line for line in lines)


def test_the_measures_of_one_metric_stand_in_the_summary():
    doc = document()
    for strategy in doc["strategies"].values():
        strategy.update(average={"auc": 0.5}, by_metric={})
    lines = [line.split() for line in show(forgetting_table(doc)).splitlines()]
    assert ["sequential", "earlier", "tasks", "moved", "1,482,077", "0.0686", "-0.0686", "+0.0121"] in lines
    assert not any(line[:2] == ["metric", "strategy"] for line in lines)


def test_many_tasks_are_shown_in_blocks_and_no_number_is_cut():
    size = 23
    matrix = [[0.1 + j / 100 if j <= i else None for j in range(size)] for i in range(size)]
    doc = {"strategies": {"conure": {"tasks": [f"t{j}" for j in range(size)], "matrix": matrix, "isolates": True}}}
    text = show(forgetting_table(doc), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("after learning") == 4
    assert text.count("0.3200") == 1


def test_bars_are_as_long_as_the_shares():
    lines = {line.split()[0]: line for line in show(inspect_table(description()), 120).splitlines() if line.strip()}
    assert lines["next_product"].count("█") == round(24 * 0.3)
    assert lines["free"].count("█") == round(24 * 0.117649)


def test_ascii_terminals():
    plain = description()
    text = show(inspect_table(plain), encoding="ascii")
    assert "##......" in text


def test_names_are_neither_markup_nor_escape_sequences():
    doc = document()
    doc["strategies"]["[red]x\x1b[31m"] = doc["strategies"].pop("ewc")
    hostile_advice = {"use": "[b]y\x1b[31m", "best": "[i]z", "behind": {"mean": 0.5}, "cheaper": [], "bytes": 1.0}
    doc["statistics"] = {"advice": {"[red]task": hostile_advice}}
    text = show(forgetting_table(doc), 120)
    assert "[red]x" in text
    assert all(found in text for found in ("[red]task", "[b]y", "[i]z is 0.5000 better"))
    assert "\x1b" not in text
    hostile = description()
    hostile["tasks"][0]["name"] = "[/b]\x1b]0;x"
    assert "\x1b" not in show(inspect_table(hostile))


def test_thin_input():
    assert "strategy" in show(forgetting_table({}))
    assert "free" in show(inspect_table({}))
    assert "task" in show(evaluation_table({}))
