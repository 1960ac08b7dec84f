"""Every task that ships is read and checked: its options exist, its names fit, and every folder says how to begin."""

from pathlib import Path

import downloads
import pytest

from lifelong.core.errors import ConfigError
from lifelong.core.registry import make_config, names
from lifelong.model.task import Task

TASKS = Path(__file__).parents[2] / "tasks"
FILES = sorted(TASKS.rglob("*.yaml"))
DOWNLOADED = ("ttl", "movielens25m", "tenrec", *downloads.SETS)


def checked(path):
    """The task, after everything that names something was looked up."""
    task = Task.read(path)
    name, _, _ = make_config("datasets", task.data.dataset, f"{path}: dataset")
    for kind, spec in (("encoders", task.encoder), ("objectives", task.objective), ("items", task.items)):
        if spec is not None:
            make_config(kind, spec, f"{path}: {kind}")
    assert name in names("datasets")
    return task


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TASKS)))
def test_a_task_file_is_right(path):
    task = checked(path)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# "), "the first line says what is predicted"
    assert len(first) <= 140
    assert (task.parent is None) == (task.encoder is not None)
    if task.parent not in (None, "latest"):
        beside = {Task.read(other).name for other in path.parent.glob("*.yaml")}
        assert task.parent in beside, f"{path}: no task of the folder is called {task.parent!r}"


def test_every_folder_has_one_task_to_begin_with_and_names_of_its_own():
    for folder in sorted(path for path in TASKS.iterdir() if path.is_dir()):
        tasks = [Task.read(path) for path in sorted(folder.glob("*.yaml"))]
        assert any(task.parent is None for task in tasks), folder
        assert len({task.name for task in tasks}) == len(tasks), folder


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_folder_of_downloaded_data_says_how_to_begin(name):
    text = (TASKS / name / "README.md").read_text(encoding="utf-8")
    assert "**Download**" in text
    assert f"export LIFELONG_{name.upper()}=" in text
    for command in ("lifelong pretrain checkpoints/", "lifelong add-task checkpoints/"):
        lines = [line for line in text.splitlines() if line.startswith(command)]
        assert lines, command
        assert all((TASKS.parent / line.split()[3]).is_file() for line in lines)
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("task: click", "task: clicks", "clicks"),
        ("name: ttl", "name: tll", "did you mean 'ttl'"),
        ("name: ttl,", "name: ttl, min_users: 3,", "no option 'min_users'"),
        ("name: conure", "name: konure", "did you mean 'conure'"),
        ("mrr@5", "mrrr@5", "mrrr"),
    ],
)
def test_a_wrong_one_would_be_noticed(tmp_path, old, new, says):
    text = (TASKS / "ttl" / "click.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "click.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        checked(tmp_path / "click.yaml")
