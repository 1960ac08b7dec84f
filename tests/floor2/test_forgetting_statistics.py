"""Orders that keep parents first, outcomes that come back, intervals and flags worked by hand."""

import numpy as np
import pytest
import torch
import worlds

from lifelong.core.errors import DataError, Diverged, UsageError
from lifelong.core.progress import Silent
from lifelong.core.types import Classified, Ranked
from lifelong.forgetting.advice import advise
from lifelong.forgetting.cells import ALONE, Cell, make_cells, orders_of, under
from lifelong.forgetting.named import label, named, read
from lifelong.forgetting.outcomes import keep, kept
from lifelong.forgetting.processes import side_by_side
from lifelong.forgetting.statistics import Scores, over_seeds, paired, scores
from lifelong.model.task import as_task


def task(name, parent=None, **changes):
    return as_task(worlds.label(name=name, parent=parent, **changes))


TASKS = [as_task(worlds.first()), task("a"), task("b", "a"), task("c", "latest")]


def test_the_order_given_comes_first_and_no_task_before_its_parent():
    orders = [[t.name for t in order] for order in orders_of(TASKS, 3, seed=0)]
    assert orders[0] == ["next", "a", "b", "c"]
    assert len({tuple(order) for order in orders}) == 3
    assert all(order[0] == "next" and order.index("a") < order.index("b") for order in orders)
    assert orders == [[t.name for t in order] for order in orders_of(TASKS, 3, seed=0)]


def test_more_orders_than_there_are_is_said():
    with pytest.raises(UsageError, match="in 3 orders only"):
        orders_of(TASKS, 4, seed=0)
    with pytest.raises(UsageError, match="each other as parents"):
        orders_of([TASKS[0], task("x", "y"), task("y", "x")], 2, seed=0)


def test_cells_share_the_base_of_a_seed_and_scratch_is_trained_once(tmp_path):
    cells = make_cells(TASKS, named(["conure", ALONE]), tmp_path, 2, range(5, 7))
    assert [(c.order, c.seed) for c in cells] == [(1, 5), (1, 6), (2, 5), (2, 6)]
    assert cells[0].folder == tmp_path
    assert cells[0].base == cells[2].base != cells[1].base == cells[3].base
    assert len({c.folder for c in cells}) == 4
    assert [list(c.strategies) for c in cells] == [["conure", ALONE]] * 2 + [["conure"]] * 2


def test_scratch_may_train_as_long_as_the_longest(tmp_path):
    cell = Cell(1, 0, TASKS, named(["conure", "probe", ALONE]), tmp_path, tmp_path)
    assert under(cell, TASKS[1], ALONE).fit.epochs == 2  # one epoch, and conure retrains for half of it
    assert under(cell, TASKS[1], "probe").fit == TASKS[1].fit
    alone = Cell(1, 0, TASKS, named(["probe", ALONE]), tmp_path, tmp_path)
    assert under(alone, TASKS[1], ALONE).fit.epochs == 1


def test_a_strategy_may_be_tried_with_several_options(tmp_path):
    """The planted fault: bare names alone, so that the second conure is the first."""
    chosen = read(
        "conure, {keep: 0.5, name: conure}, {name: auto, plan: {tasks: 6}, candidates: [probe, conure]}, scratch"
    )
    (cell,) = make_cells(TASKS, named(chosen), tmp_path, 1, [0])
    assert list(cell.strategies) == [
        "conure",
        "conure keep=0.5",
        "auto candidates=probe+conure plan.tasks=6",
        "scratch",
    ]
    assert under(cell, TASKS[1], "conure keep=0.5").strategy == {"name": "conure", "keep": 0.5}
    assert under(cell, TASKS[1], "conure").strategy == "conure"
    own = task("x", strategy={"name": "conure", "keep": 0.7})
    assert under(cell, own, "conure").strategy["keep"] == 0.7, "a bare name leaves the task its options"
    assert under(cell, own, "conure keep=0.5").strategy["keep"] == 0.5
    assert cell.model("conure") != cell.model("conure keep=0.5")


def test_no_two_strategies_are_the_same():
    with pytest.raises(UsageError, match="two of the strategies are the same"):
        named([{"name": "conure", "keep": 0.5}, {"keep": 0.5, "name": "conure"}])


def test_options_that_no_file_can_be_called_by_become_a_number():
    made = label({"name": "conure", "layers": {"../x": 0.5}})
    assert made.startswith("conure ")
    assert "/" not in made
    assert made != label({"name": "conure", "layers": {"../y": 0.5}})


@pytest.mark.parametrize("text", ["conure,{name: conure", "}{", "conure]", "&a a, *a"])
def test_strategies_that_cannot_be_read_are_refused_with_the_way_to_write_them(text):
    with pytest.raises(UsageError, match=r"write names with commas, or \{name: conure, keep: 0.5\}"):
        read(text)


@pytest.mark.parametrize(
    ("strategy", "epochs"),
    [
        ("auto", 2),
        ({"name": "auto", "candidates": ["probe"]}, 1),
        ({"name": "auto", "candidates": ["probe", {"name": "conure", "retrain": 2.0}]}, 3),
    ],
)
def test_scratch_may_train_as_long_as_the_longest_candidate(strategy, epochs, tmp_path):
    """The planted fault: auto has no `retrain` of its own, so scratch was trained for one epoch."""
    cell = Cell(1, 0, TASKS, named(["auto", ALONE]), tmp_path, tmp_path)
    assert under(cell, task("a", strategy=strategy), ALONE).fit.epochs == epochs


@pytest.mark.parametrize(
    "outcome", [Ranked(np.array([1, 7])), Classified(np.array([[0.25, 0.75]], np.float32), np.array([1]))]
)
def test_outcomes_come_back(outcome, tmp_path):
    keep(outcome, tmp_path / "a" / "b.npz")
    found = kept(tmp_path / "a" / "b.npz")
    assert type(found) is type(outcome)
    for name, value in vars(outcome).items():
        np.testing.assert_array_equal(vars(found)[name], value)


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", kind=np.asarray("Batch"), other=np.zeros(1))
    with pytest.raises(DataError, match="no outcome"):
        kept(tmp_path / "x.npz")


def test_over_seeds_by_hand():
    found = over_seeds([(0, 1.0), (0, 3.0), (1, 4.0), (2, None)])  # the orders of a seed are one run
    assert found["values"] == [2.0, 4.0]
    assert found["mean"] == 3.0
    assert found["high"] - 3.0 == pytest.approx(12.706205 * np.sqrt(2) / np.sqrt(2), rel=1e-6)  # t(1 degree) × sd / √2
    assert over_seeds([(0, 0.5)]) == {"mean": 0.5, "low": None, "high": None, "seeds": 1, "values": [0.5]}
    assert over_seeds([(0, None)]) is None


def made(values, noise=0.0):
    random = np.random.default_rng(0)
    return {(1, seed): Scores(v, v + noise * random.standard_normal(1000)) for seed, v in enumerate(values)}


def test_equal_scores_differ_by_exactly_zero():
    found = paired(made([0.5, 0.25], 0.1), made([0.5, 0.25], 0.1))
    assert (found["mean"], found["low"], found["high"], found["p_seeds"]) == (0.0, 0.0, 0.0, None)


def test_a_difference_of_every_seed_is_clear_of_zero_and_one_of_some_is_not():
    clear = paired(made([0.5, 0.51, 0.52], 0.01), made([0.3, 0.31, 0.315], 0.01))
    assert clear["low"] > 0
    assert clear["p_seeds"] < 0.01
    doubtful = paired(made([0.5, 0.3, 0.4], 0.01), made([0.3, 0.45, 0.35], 0.01))
    assert doubtful["low"] < 0 < doubtful["high"]
    assert doubtful["p_seeds"] > 0.2


def test_seeds_widen_the_interval_of_users():
    users = paired(made([0.5], 0.01), made([0.4], 0.0))
    both = paired(made([0.5, 0.52, 0.48], 0.01), made([0.4, 0.4, 0.4], 0.0))
    assert both["high"] - both["low"] > users["high"] - users["low"]
    assert users["seeds"] == 1
    assert paired(made([0.5]), {}) is None


def test_resamples_are_paired():
    ranks = np.array([1, 2, 30, 4])
    a, b = (scores(Ranked(found), "ndcg@10") for found in (ranks, ranks.copy()))
    np.testing.assert_array_equal(a.values_R, b.values_R)
    assert a.value != scores(Ranked(ranks[::-1] * 2), "ndcg@10").value


def half(progress, number):
    if number % 2:
        raise Diverged(f"{number} is odd")
    progress.say(f"{number}")
    return number // 2


@pytest.mark.parametrize("cores", [1, 2])
def test_a_job_that_fails_stops_no_other_and_is_named(cores, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: cores * torch.get_num_threads())
    jobs, labels = [(4,), (3,), (8,)], ["a", "b", "c"]
    assert side_by_side(half, [jobs[0], jobs[2]], ["a", "c"], Silent()) == [2, 4]
    with pytest.raises(Diverged, match=r"b: 3 is odd \(2 of 3 are done and kept"):
        side_by_side(half, jobs, labels, Silent())
    with pytest.raises(Diverged, match=r"b: 3 is odd$"):
        side_by_side(half, jobs[1:2], ["b"], Silent())


COSTS = {
    "probe": {"bytes": 10.0, "seconds": 2.0},
    "patch": {"bytes": 20.0, "seconds": 1.0},
    "copy": {"bytes": 900.0, "seconds": 1.0},
}


def advised(**values):
    return advise({name: made(found, 0.01) for name, found in values.items()}, COSTS.__getitem__)


def test_the_cheapest_is_taken_that_is_not_clearly_below_the_best():
    best = [0.5, 0.51, 0.52]
    found = advised(probe=[0.3, 0.31, 0.315], patch=[0.505, 0.5, 0.51], copy=best)
    assert (found["use"], found["best"], found["cheaper"], found["bytes"]) == ("patch", "copy", ["probe"], 20.0)
    assert found["behind"]["low"] < 0 < found["behind"]["mean"]
    clear = advised(probe=[0.3, 0.31, 0.315], patch=[0.4, 0.41, 0.415], copy=best)
    assert (clear["use"], clear["behind"], clear["cheaper"]) == ("copy", None, ["probe", "patch"])
    alike = advised(copy=best, patch=best, probe=best)
    assert (alike["use"], alike["behind"]["mean"]) == ("probe", 0.0)


def test_of_equal_size_the_quicker_one_is_taken():
    costs = {"slow": {"bytes": 10.0, "seconds": 2.0}, "quick": {"bytes": 10.0, "seconds": 1.0}}
    assert advise({"slow": made([0.5]), "quick": made([0.5])}, costs.__getitem__)["use"] == "quick"


def test_nothing_is_advised_of_one_strategy_or_of_figures_that_are_none():
    assert advised(probe=[0.5]) is None
    assert advised(probe=[0.5], copy=[]) is None
    assert advised(probe=[0.5], copy=[float("nan")]) is None
