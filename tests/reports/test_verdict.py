import pytest
from made_up import document

from lifelong.reports.verdict import verdict, verdicts


def kept():
    return document()["strategies"]["conure"]


def test_states_of_the_made_up_run():
    states = {v.name: v.state for v in verdicts(document())}
    assert states == {"conure": "kept", "sequential": "moved", "peterrec": "kept", "ewc": "moved"}


def test_counts():
    found = verdict("conure", kept())
    assert (found.fingerprints.compared, found.fingerprints.differ) == (15, 0)
    assert (found.matrix.compared, found.matrix.differ) == (15, 0)


def one_bit(strategy):
    strategy["changed_bits"] = 1


def one_fingerprint(strategy):
    strategy["fingerprints"]["drug_gm"][3] = "another"


def last_place_of_one_cell(strategy):
    strategy["matrix"][4][2] *= 1 + 2**-52


def came_back(strategy):
    """Changed in the middle and equal again at the end is a change all the same."""
    strategy["matrix"][2][0] = 0.5


@pytest.mark.parametrize("fault", [one_bit, one_fingerprint, last_place_of_one_cell, came_back])
def test_one_difference_anywhere_breaks_the_promise(fault):
    strategy = kept()
    fault(strategy)
    assert verdict("x", strategy).state == "broken"


@pytest.mark.parametrize("missing", ["changed_bits", "fingerprints", "matrix"])
def test_what_was_not_looked_at_is_not_claimed(missing):
    strategy = kept()
    del strategy[missing]
    assert verdict("x", strategy).state == "open"


def test_one_task_shows_nothing():
    strategy = {"tasks": ["a"], "matrix": [[0.5]], "changed_bits": 0, "fingerprints": {"a": ["f"]}, "isolates": True}
    assert verdict("x", strategy).state == "open"


def test_a_control_that_stands_still_is_named():
    strategy = kept() | {"isolates": False}
    assert verdict("x", strategy).state == "still"
