"""What is refused before anything runs, what is listed, and what help says."""

import json
import os
import resource
import subprocess
import sys

import pytest

import lifelong
from lifelong.cli.parser import MODULES, make_parser
from lifelong.core.registry import PACKAGES

COMMANDS = [command for commands in make_parser().sections.values() for command in commands]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "there is no command 'lst'; did you mean 'list'?"),
        (["data", "chek"], "there is no command 'chek'; did you mean 'check'?"),
        (["--versoin"], "there is no option '--versoin'; did you mean '--version'?"),
        (["inspect", "m", "--verion", "2"], "there is no option '--verion'; did you mean '--version'?"),
        (["forgetting", "a", "b", "--ot", "runs/x"], "there is no option '--ot'; did you mean '--out'?"),
        (["recommend", "m", "--history=a", "--kk=3"], "there is no option '--kk'"),
        (["list", "strategis"], "'strategis' is not one of"),
        (["list", "heads", "tails"], "there is no use for 'tails' here"),
        (["rollback", "m", "last"], "argument TO: invalid int value: 'last'"),
        (["add-task", "m"], "the following arguments are required: TASK.yaml"),
        (["predict", "m", "--history", "a"], "the following arguments are required: --task"),
        (["evaluate", "m", "--folds", "9", "--scratch"], "--folds, --scratch: goes with --profile"),
        (["evaluate", "m", "--repeats", "0"], "--repeats: goes with --profile"),
        (["evaluate", "m", "--profile", "--part", "valid"], "--part: does not go with --profile"),
        (["list", "a\nb\x1b[31m"], r"'a\nb\x1b[31m' is not one of"),
    ],
)
def test_a_wrong_call_is_one_line_and_2(run, arguments, said):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("UsageError: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert done.err.isascii()


@pytest.mark.parametrize("arguments", [["m", "-k", "3", "a.csv"], ["m", "a.csv", "-k", "3"]])
def test_a_file_may_stand_behind_options(arguments):
    assert make_parser().parse_args(["recommend", *arguments]).events == "a.csv"


def test_what_is_left_over_is_named(run):
    done = run("recommend", "m", "a.csv", "-k", "3", "b.csv")
    assert (done.code, "no use for 'b.csv' here" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "tasks"),
    [
        (["evaluate", "m", "--folds", "2", "kids"], ["kids"]),
        (["evaluate", "m", "age", "--part", "valid", "kids"], ["age", "kids"]),
        (["forgetting", "a.yaml", "--out", "x", "b.yaml"], ["a.yaml", "b.yaml"]),
    ],
)
def test_tasks_may_stand_behind_options(arguments, tasks):
    assert make_parser().parse_args(arguments).tasks == tasks


def test_option_abbreviations_are_refused(run):
    assert run("list", "heads", "--js").code == 2


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_an_example_that_parses(run, command):
    done = run(*command.name.split(), "--help")
    assert done.code == 0
    assert command.example.partition("\n")[0] in done.out
    words = command.example.split(" && ")[0].replace("\\\n", " ").split()
    assert make_parser().parse_args(words[1:]).run is command.run


def test_help_lists_every_command_within_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("--help")
    assert done.code == 0
    assert all(f"\n  {command.name} " in done.out for command in COMMANDS)
    assert max(map(len, done.out.splitlines())) <= 80


def test_without_a_command_the_help_and_2(run):
    done = run()
    assert (done.code, done.out) == (2, "")
    assert "pretrain" in done.err


def test_version(run):
    assert run("--version").out == f"lifelong {lifelong.__version__}\n"


@pytest.mark.parametrize("kind", PACKAGES)
def test_list(run, kind):
    listed = run("list", kind, "--json").document
    assert all(entry.keys() == {"name", "summary"} and entry["summary"] for entry in listed)
    assert listed[0]["name"] in run("list", kind).out


def test_list_tasks_and_models(run, tmp_path, monkeypatch):
    (tmp_path / "tasks" / "shop").mkdir(parents=True)
    (tmp_path / "tasks" / "shop" / "a.yaml").write_text("# What comes next.\nname: a\n")
    (tmp_path / "tasks" / "b.yml").write_text("{name: b, head: {name: classification}, data: {dataset: d, label: age}}")
    (tmp_path / "tasks" / "c.yaml").write_text("a: [")
    (tmp_path / "checkpoints" / "m" / "versions").mkdir(parents=True)
    (tmp_path / "checkpoints" / "m" / "lifelong.json").touch()
    monkeypatch.chdir(tmp_path / "tasks" / "shop")
    assert run("list", "tasks").out == "There are none below ./tasks.\n"
    assert run("list", "models").out == "There are none below ./checkpoints.\n"
    monkeypatch.chdir(tmp_path)
    tasks = {entry["name"]: entry["summary"] for entry in run("list", "tasks", "--json").document}
    assert tasks["tasks/shop/a.yaml"] == "What comes next"
    assert tasks["tasks/b.yml"] == "age on d"
    assert tasks["tasks/c.yaml"].startswith("line 1")
    assert run("list", "models", "--json").document == [{"name": "checkpoints/m", "summary": "0 versions"}]
    assert set(run("list", "--json").document) == {*PACKAGES, "tasks", "models"}


def test_torch_is_not_imported_to_parse_to_list_or_to_refuse():
    calls = [["--help"], ["list", "strategies"], ["list"], ["list", "tasks", "--json"], ["lst"], ["pretrain"], []]
    code = (
        f"import sys\nfrom lifelong.cli import main\nfor call in {calls!r}:\n    main(call)\n"
        "print({'torch', 'pyarrow', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "set()"


def test_help_is_quick():
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([sys.executable, "-m", "lifelong", "--help"], capture_output=True, check=True)
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    assert min(seconds) < 0.8  # 0.1 on a quiet machine


def test_python_m_lifelong_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "lifelong", "list", "heads", "--json"], capture_output=True, check=True
    )
    assert {entry["name"] for entry in json.loads(done.stdout)} >= {"classification", "next_item"}
    done = subprocess.run([sys.executable, "-m", "lifelong", "lst"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "lifelong", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_colour_only_where_it_is_wanted(run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("list", "heads").out
    monkeypatch.delenv("FORCE_COLOR")
    assert "\x1b[" not in run("list", "heads").out


def test_a_terminal_that_knows_only_ascii():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "lifelong", "list"], capture_output=True, env=environment, check=True)
    assert done.stdout.isascii()


def test_every_module_of_commands_is_named():
    from pathlib import Path

    import lifelong.cli.commands as package

    there = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert there == set(MODULES)
