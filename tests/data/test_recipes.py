"""The recipes on made-up files in the formats as downloaded: every task has its cases, and no test user is trained on."""

from pathlib import Path

import bulk
import downloads
import numpy as np
import pytest
import releases

from lifelong.core.registry import make_config
from lifelong.data.datasets.ttl import FILES
from lifelong.data.prepare import prepare
from lifelong.model.cases import make_cases
from lifelong.model.task import Task

TASKS = Path(__file__).parents[2] / "tasks"
USERS = 400


def ttl(folder):
    """Histories of 3 to 12 items padded to 12; two thirds click, a third likes, all have labels."""
    random = np.random.default_rng(0)
    lines = [random.integers(1, 150, random.integers(3, 13)).tolist() for _ in range(USERS)]
    padded = [",".join(map(str, [0] * (12 - len(line)) + line)) for line in lines]
    texts = {"pretrain": padded}
    for task, share, count, classes in (("click", 0.7, 4, 40), ("like", 0.4, 2, 20), *((t, 1, 2, 3) for t in LABELS)):
        aims = [random.integers(1, classes + 1, random.integers(1, count)).tolist() for _ in lines]
        chosen = random.random(USERS) < share
        texts[task] = [f"{p},,{','.join(map(str, a))}" for p, a, c in zip(padded, aims, chosen, strict=True) if c]
    for task, text in texts.items():
        (folder / FILES[task]).write_text("\n".join(text))


def movielens25m(folder):
    random = np.random.default_rng(0)
    rows = [
        f"{user},{random.integers(1, 80)},{random.integers(1, 11) / 2},{1_000_000_000 + random.integers(0, 10**8)}"
        for user in range(1, USERS + 1)
        for _ in range(random.integers(8, 25))
    ]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows) + "\n")
    films = [f"{film},Film {film} (2000),Drama" for film in range(1, 80)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(films) + "\n")


def tenrec(folder):
    """Two thirds of the users of QK-video are on each other platform, too, and click up to eight times there."""
    random = np.random.default_rng(0)
    files = (("sbr_data_1M", 1.0, 15), ("QK-article", 0.66, 8), ("QB-video", 0.66, 8), ("QB-article", 0.66, 8))
    for name, share, longest in files:
        article = "article" in name
        lines = [releases.TENREC["QK-article.csv"].split("\n")[0] if article else releases.VIDEO.strip()]
        for user in np.flatnonzero(random.random(USERS) < share).tolist():
            for _ in range(random.integers(3, longest)):
                item, click = random.integers(1, 90), random.choice(["1", "1.0", "0"], p=[0.7, 0.2, 0.1])
                known = f"{user % 2 + 1},{user % 4}"
                rest = f"{known},9,1,0,0,0.5,0,0,1,7,0,1,3.5,0,0,0,0" if article else f"0,0,0,\\N,1,{known}"
                lines.append(f"{user},{item},{click},{rest}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


LABELS = ("age", "gender", "life")
MADE = {"ttl": ttl, "movielens25m": movielens25m, "tenrec": tenrec}
MADE |= {name: getattr(bulk, name) for name in downloads.SETS}


@pytest.fixture(scope="module", params=MADE)
def recipe(request, tmp_path_factory):
    """Name of the task -> (task, prepared data, cases), the first tasks before those that grow on them."""
    folder = tmp_path_factory.mktemp(request.param)
    MADE[request.param](folder)
    tasks = [Task.read(path) for path in sorted((TASKS / request.param).glob("*.yaml"))]
    made, known = {}, {}
    for task in sorted(tasks, key=lambda task: task.parent is not None):
        spec = {"name": task.data.dataset} if isinstance(task.data.dataset, str) else task.data.dataset
        _, cls, config = make_config("datasets", {**spec, "path": str(folder)}, "data")
        prepared = prepare(cls(config), folder / "cache")
        parent = task.parent if task.parent in known else next(iter(known), None)
        cases = make_cases(task, prepared, known[parent].known if task.parent else None, 1)
        made[task.name] = task, prepared, cases
        if task.parent is None:
            known[task.name] = cases
    return made


def users(prepared, points):
    return set(prepared.users["id"].take(points.users_N).to_pylist())


def test_every_task_has_cases(recipe):
    for task, prepared, cases in recipe.values():
        assert min(map(len, (cases.train, cases.valid, cases.test))) > 2, task.name
        assert not users(prepared, cases.train) & users(prepared, cases.test) or task.data.split.name != "by_user"


def test_nobody_that_a_task_is_tested_on_was_trained_on_in_the_first(recipe):
    """Also where the files name no users: the same history is the same user."""
    firsts = [made for made in recipe.values() if made[0].parent is None]
    for task, prepared, cases in recipe.values():
        if task.data.split.name != "by_user":
            continue
        tested = users(prepared, cases.test)
        for first, prepared_first, cases_first in firsts:
            assert not tested & users(prepared_first, cases_first.train), f"{task.name} after {first.name}"
        everybody = set(firsts[0][1].users["id"].to_pylist())
        assert len(tested & everybody) > 0.9 * len(tested), "they are users of the first task"


def test_no_history_holds_a_target(recipe):
    for task, prepared, cases in recipe.values():
        wanted = (task.data.targets or {}).get("domain")
        if wanted is None:
            continue
        domain = dict(zip(*(prepared.items[c].to_pylist() for c in ("id", "domain")), strict=True))
        assert {domain[item] for item in cases.catalogue} == {wanted}
        readable = cases.known.ids.to_pylist()
        assert not set(readable) & set(cases.catalogue)
        assert cases.sequences.rows_E.max() <= max(cases.known.rows_n)


def test_labels_of_all_classes(recipe):
    for task, _, cases in recipe.values():
        if task.data.label:
            assert "0" not in cases.catalogue or task.data.dataset["name"] == "ttl"
            assert 2 <= len(cases.catalogue) <= 3
