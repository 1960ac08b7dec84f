"""Where answers cannot be written to is told before anything is read, trained or asked; so is a seed that is none."""

import pytest

from lifelong.keeping import certificate


@pytest.fixture
def place(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["forgetting", "no.yaml", "none.yaml"],
        ["transfer", "no-model", "no.yaml"],
        ["evaluate", "no-model", "--profile"],
        ["batch", "represent", "no-model", "--input", "no.csv"],
    ],
)
@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_where_a_folder_is_wanted(run, place, arguments, out):
    done = run(*arguments, "--out", place / out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"UsageError: {place / out}: ")
    assert "is no folder; choose another place" in done.err
    assert (place / "file").read_text() == ""


@pytest.mark.parametrize("command", [["represent"], ["recommend"], ["predict", "--task", "label"]])
@pytest.mark.parametrize(("out", "says"), [("folder.csv", "is a folder"), ("no/a.csv", "there is no folder")])
def test_no_place_for_a_file(run, place, command, out, says):
    done = run(command[0], "no-model", "no.csv", *command[1:], "--out", place / out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"UsageError: {place / out}: ")
    assert says in done.err


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("no/c.json", "in a folder that is there"),
        ("folder.csv", "is a folder"),
        ("c.sha256", "where the sums are written"),
    ],
)
def test_no_place_for_a_certificate(run, grown, place, monkeypatch, out, says):
    monkeypatch.setattr(certificate, "certify", None)
    done = run("certify", grown, "--out", place / out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"UsageError: {place / out}: ")
    assert says in done.err


@pytest.mark.parametrize("seed", ["-1", str(2**64)])
def test_a_seed_that_is_none(run, grown, files, tmp_path, seed):
    first, label = files / "first.yaml", files / "label.yaml"
    for arguments in (
        ["pretrain", tmp_path / "model", first],
        ["pretrain", tmp_path / "model", first, "--dry-run"],
        ["add-task", grown, label, "--set", "name=other"],
        ["evaluate", grown],
        ["evaluate", grown, "--profile", "label"],
        ["forgetting", first, label, "--out", tmp_path / "run"],
    ):
        done = run(*arguments, "--seed", seed)
        assert (done.code, done.out) == (2, ""), arguments
        assert done.err.startswith(f"UsageError: seed is {seed}; it must be at least 0 and below 2**63")
    assert not list(tmp_path.iterdir())
