"""The profile page and table: figures, what is ours, differences that are clear, hostile names, thin documents."""

import re

import pytest
from made_up import profile
from rich.console import Console

from lifelong.reports.people import confusion_map, reliability
from lifelong.reports.profile import page, write_profile
from lifelong.reports.profile_table import profile_table


def text_of(markup):
    return " ".join(re.sub("<[^>]+>", " ", markup).split())


def printed(document, width=120):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(profile_table(document))
    return console.export_text()


def test_figures_and_words_are_on_the_page():
    text = text_of(page(profile()))
    for found in (
        "0.2900",
        "0.3000",
        "LR SVD64",
        "the task as sealed",
        "91 of 943 labelled users are unseen",
        "0.0420",
    ):
        assert found in text
    assert "Only users whose events the model was never trained on are asked about." in text


def test_seen_users_are_said():
    assert "are asked about, too" in text_of(page({**profile(), "seen": True}))
    assert "seen users are asked, too" in printed({**profile(), "seen": True})


def test_hostile_names_stay_text():
    doc = profile()
    task = doc["tasks"].pop("age_band")
    task["classes"] = {"<script>": 3, "b": 4}
    task["folds"]["methods"]['"><img src=x>'] = task["folds"]["methods"].pop("majority")
    doc["tasks"]["</style><svg onload=x>"] = task
    markup = page(doc)
    assert "<script" not in markup
    assert "<img" not in markup
    assert "onload=x>" not in markup.replace("&gt;", "")


@pytest.mark.parametrize("thin", [{}, {"tasks": {"a": {}}}, {"tasks": {"a": {"folds": {}, "sealed": None}}}])
def test_thin_documents_still_make_a_page(thin):
    assert page(thin).startswith("<!doctype html>")
    printed(thin)


def test_the_terminal_names_clear_differences_only():
    text = " ".join(printed(profile()).split())
    assert "macro_f1 +0.2000, better than majority" in text
    assert "than LR SVD64" not in text
    assert "0.2900 ±" in text


def test_confusion_shades_are_shares_of_the_row():
    markup = confusion_map(["a", "b"], [[3, 1], [0, 0]], "c")
    assert re.findall(r'fill-opacity="([\d.]+)"', markup) == ["0.75", "0.25", "0", "0"]
    assert "3 of 4: 75 %" in markup
    assert ">75<" in markup


def test_many_classes_are_drawn_small():
    size = 21
    few = confusion_map(list("ab"), [[1, 0], [0, 1]], "c")
    many = confusion_map([str(n) for n in range(size)], [[1] * size] * size, "c")
    assert 'class="value"' in few
    assert 'class="value"' not in many


def test_reliability_has_a_dot_a_bin():
    bins = [{"confidence": 0.5, "accuracy": 0.5, "n": 4}, {"confidence": 0.9, "accuracy": 0.7, "n": 1}]
    markup = reliability(bins, "r")
    assert markup.count("<circle") == 2
    assert reliability([], "r").count("<circle") == 0


def test_the_file_is_written(tmp_path):
    write_profile(profile(), tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page(profile())
