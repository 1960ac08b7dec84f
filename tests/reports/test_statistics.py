"""What several orders and seeds add to the page: intervals, flags, and a promise that holds in all of them or in none."""

import re

import pytest
from made_up import document, many_runs, spread

from lifelong.reports.forest import forest
from lifelong.reports.html import page
from lifelong.reports.statistics import statistics
from lifelong.reports.verdict import headlines, overall, verdicts


def text_of(markup):
    return " ".join(re.sub("<[^>]+>", " ", markup).split())


def test_the_page_says_how_many_runs_and_what_they_gave():
    text = text_of(page(many_runs()))
    assert "3 orders × 3 seeds." in text
    assert "Means over 9 runs" in text
    assert "Negative transfer. Clearly worse than the same network trained alone: drug_gm under ewc" in text
    assert text.count("negative transfer ") >= 5
    assert "0, 1, 2" in text


def test_one_run_without_scratch_says_what_is_not_known():
    doc = document()
    assert statistics(doc) is None
    doc["statistics"] = many_runs()["statistics"]
    for tasks in doc["statistics"]["tasks"].values():
        for task in tasks.values():
            task.update(gain=None, negative_transfer=False)
    text = text_of(statistics(doc))
    assert "One order and one seed." in text
    assert "Negative transfer was not looked for" in text


def test_no_negative_transfer_is_said_too():
    doc = many_runs()
    for task in doc["statistics"]["tasks"]["ewc"].values():
        task["negative_transfer"] = False
    assert "No negative transfer." in text_of(page(doc))


def test_one_bit_in_one_run_of_many_breaks_the_promise():
    doc = many_runs()
    doc["runs"][4]["changed_bits"] = 1
    states = {v.name: v.state for v in verdicts(doc)}
    assert states == {"conure": "broken", "sequential": "moved", "peterrec": "kept", "ewc": "moved"}
    assert "Not kept. An earlier task changed under conure." in page(doc)


def test_a_run_that_was_not_looked_at_leaves_it_open():
    doc = many_runs()
    del doc["runs"][4]["changed_bits"]
    assert {v.name: v.state for v in verdicts(doc)}["conure"] == "open"


def test_the_page_says_which_to_take_and_why():
    text = text_of(page(many_runs()))
    assert "drug_gm conure the best; peterrec stores less, clearly worse 415.0 kB" in text
    assert "has_kids peterrec conure is 0.0051 better, which may be chance 99.6 kB" in text
    assert "Which to take" not in page(document())


def test_overall_takes_means_where_there_are_any():
    assert overall(many_runs(), "sequential")["forward_gain"] == pytest.approx(-0.02)
    assert overall(document(), "sequential")["forward_gain"] == 0.0121
    assert overall(document(), "sequential")["average"] == document()["strategies"]["sequential"]["average"]


MIXED = "0.0686"
"""What sequential forgets of NDCG, macro-F1 and AUC together, which says nothing."""


def with_one_metric(doc):
    """All tasks measured by AUC: then the means over all tasks are its means."""
    for strategy in doc["strategies"].values():
        strategy.update(metric=["auc"] * 6, average={"auc": 0.5}, by_metric={"auc": {"forgetting": 0.7}})
    for measures in (doc.get("statistics") or {"strategies": {}})["strategies"].values():
        del measures["average ndcg@10"], measures["average macro_f1"]
    return doc


@pytest.mark.parametrize("made", [document, many_runs])
def test_tasks_of_several_metrics_have_no_headline_together(made):
    """The planted fault: the mean over all tasks as the strategy's forgetting."""
    doc = made()
    assert list(headlines(doc, "sequential")) == ["ndcg@10", "macro_f1", "auc"]
    text = text_of(page(doc))
    assert MIXED not in text
    for metric, lost in (("ndcg@10", "0.0555"), ("macro_f1", "0.0656"), ("auc", "0.1007")):
        assert f"{metric} Forgetting {lost} Backward transfer −{lost}" in text


@pytest.mark.parametrize("made", [document, many_runs])
def test_with_one_metric_the_headline_is_that_of_all_tasks(made):
    text = text_of(page(with_one_metric(made())))
    assert f"probe values changed Forgetting {MIXED} Backward transfer −{MIXED}" in text


def test_forests_are_drawn_by_metric_where_there_are_several():
    text, alone = text_of(statistics(many_runs())), text_of(statistics(with_one_metric(many_runs())))
    assert "Forgetting, ndcg@10 best earlier" in text
    assert "Forward gain, auc" in text
    assert "Intransigence" not in text, "no task was trained together with others"
    assert (MIXED in text, MIXED in alone) == (False, True)
    assert "Forgetting best earlier" in alone


def test_a_document_without_measures_by_metric_has_gaps():
    doc = document()
    for strategy in doc["strategies"].values():
        del strategy["by_metric"]
    text = text_of(page(doc))
    assert MIXED not in text
    assert "macro_f1 Forgetting –" in text


def test_the_test_over_seeds_stands_beside_the_interval():
    """The planted fault: p_seeds in the JSON alone."""
    doc = many_runs()
    text = text_of(statistics(doc))
    assert "Over alone Interval p At the end, minus conure Interval p Epochs" in text
    assert "+0.0120 +0.0020 to +0.0160 0.020" in text
    for tasks in doc["statistics"]["tasks"].values():
        for task in tasks.values():
            task["gain"] = task["gain"] and {**task["gain"], "p_seeds": None}
    assert "Interval p" not in text_of(statistics(doc)), "one seed: there is nothing to test"


def test_what_is_turned_round_is_said():
    doc = many_runs()
    assert "less is better" not in text_of(page(doc))
    doc["strategies"]["conure"]["metric"] = ["mae", *["auc"] * 5]
    assert "Of mae less is better: differences are turned round" in text_of(page(doc))


def test_a_forest_has_a_row_a_strategy_and_zero_where_signs_matter():
    rows = {"a": spread(0.0, 3, 0.0), "b": spread(-0.05, 3), "c": None}
    markup = forest(rows, "Forgetting")
    assert markup.count('class="dot"') == 2
    assert markup.count('class="zero"') == 1
    assert markup.count('class="run"') == 6
    assert forest(rows, "Average", signed=False).count('class="zero"') == 0
    assert forest({}, "nothing").startswith("<svg")


def test_an_interval_of_two_seeds_does_not_flatten_the_others():
    wide = {"mean": 0.01, "low": -9.0, "high": 9.0, "values": [0.0, 0.02]}
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"', forest({"a": wide, "b": spread(0.03, 3)}, "x"))]
    assert abs(places[0] - places[1]) > 20
