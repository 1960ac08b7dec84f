"""Nobody is to be found in what a model writes or says: not by id, not by number, not by hash, not by a row of her own."""

import hashlib
import json

import numpy as np
import people
import pytest
import torch
import yaml

from lifelong import LivingModel, run_forgetting
from lifelong.cli import main
from lifelong.core.errors import DataError
from lifelong.core.fingerprint import canonical_json
from lifelong.core.progress import Silent
from lifelong.data.datasets.files import Files
from lifelong.data.prepare import prepare
from lifelong.store.tensors import pack


@pytest.fixture
def world(tmp_path, tmp_path_factory, monkeypatch):
    folder = people.world(tmp_path, tmp_path_factory, monkeypatch)
    monkeypatch.setenv("LIFELONG_CACHE", str(folder / "cache"))
    return folder


class Stop(Exception):
    """A kill, as the training loop sees it."""


class StopAtSecond(Silent):
    """In the second epoch, when the state after the first has been kept."""

    begun = 0

    def start(self, label, total):
        self.begun += 1
        if self.begun > 1:
            raise Stop


def left_behind(model, monkeypatch):
    """The state of a training that was killed."""
    monkeypatch.setattr("lifelong.growing.resume.SECONDS_BETWEEN_SAVES", 0.0)
    with pytest.raises(Stop):
        model.add_task(
            people.label(".", "east", "killed", strategy="finetune", fit={"epochs": 4}), progress=StopAtSecond()
        )
    assert list((model.store.path / "resume").rglob("*.safetensors"))


def said_by(commands, out, capfd):
    """Run commands and keep what they say, in a file each."""
    out.mkdir(exist_ok=True)
    for number, command in enumerate(commands):
        main(command)
        said = capfd.readouterr()
        (out / f"{number}.log").write_text(said.out + said.err)


def test_nobody_is_in_the_folder_or_in_what_is_said(world, monkeypatch, capfd):
    model = LivingModel.open(world / "model", cache=world / "cache")
    model.add_task(people.label(".", "east", "patched", strategy="peterrec"))
    model.add_task(people.label(".", "west", "over", strategy="sequential"), allow_forgetting=True)
    model.remove("over")
    left_behind(model, monkeypatch)
    someone = people.someone("east")
    at = str(world / "model")
    commands = [
        ["who-saw", at, someone],
        ["who-saw", at, someone, "--json"],
        ["erase", at, someone],  # refused: the data hold her
        ["erase", at, "--from", "nowhere.txt"],
        ["evaluate", at, "east_claims", "next", "--membership"],
        ["evaluate", at, "east_claims", "--json"],
        ["inspect", at],
        ["log", at],
        ["data", "check", "east-events.csv"],
    ]
    said_by(commands, world / "said", capfd)
    assert "take their rows out" in (world / "said" / "2.log").read_text()
    assert "trained on" in (world / "said" / "0.log").read_text()
    for folder in ("model", "said"):
        assert people.people_in(world / folder) == []


FAULTS = {
    "a line of a log": lambda ids: f"epoch 1: worst was {ids[3]}\n".encode(),
    "ids in a record": lambda ids: canonical_json({"left_out": ids}),
    "numbers": lambda ids: np.array([int(i.rpartition("-")[2]) for i in ids]).tobytes(),
    "numbers as floats": lambda ids: pack({"u": torch.tensor([int(i.rpartition("-")[2]) for i in ids]).double()}, {}),
    "hashes without salt": lambda ids: canonical_json([hashlib.sha256(i.encode()).hexdigest() for i in ids]),
    "short hashes": lambda ids: b"".join(hashlib.blake2b(i.encode(), digest_size=8).digest() for i in ids),
    "a row a user": lambda ids: pack({"private/table": torch.zeros(len(ids), 4)}, {}),
    "a column a user": lambda ids: pack({"own/table": torch.zeros(4, len(ids))}, {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_person_is_found(tmp_path, fault):
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / hashlib.sha256(fault.encode()).hexdigest()).write_bytes(
        FAULTS[fault](people.ids_of("east"))
    )
    assert people.people_in(tmp_path)


def test_a_person_in_the_name_of_a_file_is_found(tmp_path):
    (tmp_path / f"{people.user_id('west', 1)}.json").write_text("{}")
    assert people.people_in(tmp_path)


def broken(folder, change):
    """The error that a changed file of events, or of users, ends in."""
    for table in ("events", "users"):
        path = folder / f"east-{table}.csv"
        path.write_text(change(table, path.read_text()))
    options = Files.Config(events=str(folder / "east-events.csv"), users=str(folder / "east-users.csv"))
    with pytest.raises(DataError) as caught:
        prepare(Files(options), folder / "cache")
    return str(caught.value)


A = people.user_id("east", 0)
BROKEN = {
    "a time that is none": lambda t, s: s.replace("1600000000", "never", 1),
    "an item that is missing": lambda t, s: s + f"{A},,1600000000\r\n" if t == "events" else s,
    "an id that is too long": lambda t, s: s + f"{A * 200},i01,1600000000\r\n" if t == "events" else s,
    "a cell too many": lambda t, s: s + f"{A},i01,1600000000,{A}\r\n" if t == "events" else s,
    "a user twice": lambda t, s: s + f"{A},cat\r\n" if t == "users" else s,
    "a user without an id": lambda t, s: s + ",cat\r\n" if t == "users" else s,
    "no header": lambda t, s: s.partition("\n")[2] if t == "events" else s,
    "a quote that is not closed": lambda t, s: (
        s + f'"{A},i01,1600000000\r\n{A},i01,1600000000\r\n' if t == "events" else s
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_error_says_file_and_row_and_nobody(tmp_path, how):
    people.write_shop(tmp_path, "east")
    said = broken(tmp_path, BROKEN[how])
    assert people.PREFIX not in said
    assert "east-" in said


@pytest.mark.slow
def test_nobody_is_in_reports_of_forgetting_and_profiles(world, monkeypatch, capfd):
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # in this process
    files = []
    for task in people.family("."):
        files.append(world / f"{task['name']}.yaml")
        files[-1].write_text(yaml.safe_dump(task))
    out = world / "said"
    run_forgetting(files, ["conure", "sequential", "joint"], out / "forgetting")
    at, certificate = str(world / "model"), str(out / "model.json")
    commands = [
        [
            "evaluate",
            at,
            "--profile",
            "west_claims",
            "--folds",
            "3",
            "--repeats",
            "1",
            "--out",
            str(out / "profile"),
            "--seen",
        ],
        ["certify", at, "--out", certificate],
        ["forgetting", *map(str, files), "--out", str(out / "forgetting")],
        ["verify", at],
    ]
    said_by(commands, out, capfd)
    assert (out / "profile" / "report.html").exists()
    assert (out / "forgetting" / "report.html").exists()
    assert json.loads((out / "forgetting" / "forgetting.json").read_text())["strategies"]
    assert people.people_in(out) == []
