"""Zero forgetting, certified: what is compared and counted, what a reviewer can check, and faults that must be found."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import lives
from in_process import check_here

from lifelong import LivingModel
from lifelong.asking.inference import Answering
from lifelong.cli import main
from lifelong.continual.bank import Bank, owned_by
from lifelong.core.errors import ModelCorrupt, Unsupported, UsageError
from lifelong.core.fingerprint import json_hash, tensors_hash
from lifelong.keeping import certificate, certifying
from lifelong.keeping.certificate import Certificate, certify, check, read_certificate
from lifelong.keeping.identities import identity_of, spans
from lifelong.keeping.sealing import PROBES, REQUEST_SIZES, THREADS, answering_of, answers
from lifelong.keeping.verification import load
from lifelong.store import documents
from lifelong.store.folder import collected_path, version_path
from lifelong.store.store import Store
from lifelong.store.tensors import pack, unpack

ask_in_fresh_processes = certificate.ask_anew


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """All that fresh processes do is done in this one, each task asked once and in requests of seven."""
    check_here(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody cuts the power here
    monkeypatch.setattr(certifying, "REQUEST_SIZES", (7, 100))
    monkeypatch.setattr(
        certificate, "ask_anew", lambda store, numbers, progress: list(certifying.ask_versions(store, 1, numbers))
    )


@pytest.fixture
def store(tmp_path, tmp_path_factory):
    """The family as it was when it had three tasks."""
    path, _ = lives.family(tmp_path_factory)
    copy = shutil.copytree(path, tmp_path / "model")
    for number in range(4, len(lives.FAMILY) + 1):
        version_path(copy, number).unlink()
    return Store.open(copy)


def rewritten(store, change, first=1):
    """The same folder with bodies of versions changed from `first` on, every hash and the chain made to fit again."""
    parent = None
    for version in store.log():
        body = change(json.loads(json.dumps(version.body))) if version.number >= first else version.body
        data = documents.encode(parent, version.op, version.created, body)
        path = version_path(store.path, version.number)
        path.chmod(0o644)
        path.write_bytes(data)
        parent = documents.decode(data, version.number, str(path))
    return Store.open(store.path)


def in_task(name, change):
    """A change of one task's entry, as a change of a body."""

    def changed(body):
        body["tasks"][name] = change(body["tasks"][name])
        return body

    return changed


# -- what is said ----------------------------------------------------------------------------------------------------


def test_everything_is_compared_and_nothing_has_changed(store):
    said = certify(store).document
    assert said["ok"]
    assert said["changed"] == 0
    newest = store.newest()
    sizes = {}
    for name, entry in newest.body["tasks"].items():
        golden = unpack(store.get(documents.Reference(**entry["files"]["probes"])), name)
        assert len(golden["users"]) == PROBES >= 64
        sizes[name] = golden["users"].numel() + golden["scores"].numel()
    older = sum(sizes[name] for version in store.log()[:-1] for name in version.body["tasks"])
    assert said["compared"] == 2 * sum(sizes.values()) + older
    assert [(task["task"], task["versions"]) for task in said["tasks"]] == [
        ("next", [[1, 3]]),
        ("label_0", [[2, 3]]),
        ("cross_1", [[3, 3]]),
    ]
    assert said["stack"] == newest.body["tasks"]["next"]["stack"]
    assert said["model"] == {"lineage": store.lineage, "version": 3, "sha256": newest.sha256, "format": 1}


def test_it_depends_on_nothing_but_the_date(store):
    one, other = (certify(store).document for _ in range(2))
    assert {**one, "made": ""} == {**other, "made": ""}
    assert one["sha256"] == json_hash({k: v for k, v in one.items() if k not in ("made", "sha256")})


def test_a_reviewer_checks_it_with_sha256sum(store, tmp_path):
    sums = certify(store).write(tmp_path / "certificate.json")
    assert json.loads((tmp_path / "certificate.json").read_text())["ok"]
    checked = ["sha256sum", "-c", "--strict", str(sums)]
    done = subprocess.run(checked, cwd=store.path, capture_output=True, text=True, check=False)
    files = [path for path in store.path.rglob("*") if path.is_file() and path.name != "lock"]
    newer = len([p for p in files if p.parent.name == "objects"]) - done.stdout.count("objects/")
    assert done.returncode == 0
    assert done.stdout.count(": OK") == len(files) - newer
    file = store.path / "objects" / store.newest().body["tasks"]["next"]["files"]["weights"]["sha256"]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    done = subprocess.run(checked, cwd=store.path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"objects/{file.name}: FAILED" in done.stdout


def test_damaged_files_are_named_and_nothing_is_asked(store):
    file = version_path(store.path, 2)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b"add", b"adb"))
    said = certify(store)
    assert not said.ok
    assert "versions/00000002.json" in said.problems[0]


def test_a_certificate_lies_in_no_model(store, tmp_path):
    for path in (store.path / "certificate.json", store.path / "objects" / "c.json", tmp_path / "no" / "c.json"):
        with pytest.raises(UsageError, match="no model's own"):
            Certificate({"files": []}).write(path)


def test_spans_of_versions():
    assert spans([]) == []
    assert spans([4, 5, 7]) == [[4, 5], [7, 7]]


# -- what must be found ----------------------------------------------------------------------------------------------


def nudged(store, entry):
    """The entry with a rewritten object in which one weight is one unit in the last place off; every hash fits."""
    tensors = unpack(store.get(documents.Reference(**entry["files"]["weights"])), "weights")
    scales = tensors["private/encoder.norm.weight"]  # near 1: of a bias near 0 one unit may be lost in every sum
    scales[0] = torch.nextafter(scales[0], torch.tensor(torch.inf))
    entry["files"]["weights"] = store.put(pack(tensors, {})).as_dict()
    return entry


def print_of(store, body, name):
    net = answering_of(load(store, body), name).net
    return tensors_hash(net.state_dict())


def norm_name(store):
    entry = store.newest().body["tasks"]["next"]
    return [n for n in unpack(store.get(documents.Reference(**entry["files"]["weights"])), "") if "norm" in n]


def forged(store, body):
    """The body with the nudged weight, its fingerprint and its identity made to fit."""
    body = in_task("next", lambda entry: nudged(store, entry))(body)
    entry = body["tasks"]["next"]
    entry["fingerprint"] = print_of(store, body, "next")
    entry["identity"] = identity_of(body["design"], entry["fingerprint"], entry["files"])
    return body


def resealed(store, body):
    """The same with golden probes that fit, too."""
    body = forged(store, body)
    entry = body["tasks"]["next"]
    golden = unpack(store.get(documents.Reference(**entry["files"]["probes"])), "probes")
    given = answers(answering_of(load(store, body), "next"), golden["windows"], PROBES)
    entry["files"]["probes"] = store.put(pack({"windows": golden["windows"], **given}, {})).as_dict()
    return body


def test_one_weight_one_ulp_off_is_found(store):
    said = certify(rewritten(store, in_task("next", lambda entry: nudged(store, entry)), first=3))
    assert not said.ok
    assert "task next: changed in version 3 (add) under the same identity: its file weights" in said.problems
    assert "task next in version 3: the rendered weights are not those that were sealed" in said.problems
    assert said.document["changed"] > 0


def test_with_a_fitting_fingerprint_it_is_another_task(store):
    said = certify(rewritten(store, lambda body: forged(store, body), first=3))
    assert "task next: is another one in version 3, and add changes none" in said.problems


def test_in_every_version_alike_the_probes_tell(store):
    said = certify(rewritten(store, lambda body: forged(store, body)))
    assert [problem for problem in said.problems if "probe values differ" in problem] == said.problems != []


def test_with_probes_that_fit_only_an_older_certificate_tells(store):
    before = certify(store)
    other = rewritten(store, lambda body: resealed(store, body))
    assert certify(other).ok  # nothing in the folder contradicts itself
    found = check(before, other)
    assert any("task next: is not the one that was certified any more" in problem for problem in found)
    assert any("version 3 is not the one that was certified" in problem for problem in found)


def test_an_identity_that_is_no_hash_is_found(store):
    said = certify(rewritten(store, in_task("next", lambda entry: {**entry, "identity": "0" * 16})))
    assert said.problems == ["task next: its identity 0000000000000000 is not the hash of what it computes with"]


def test_a_task_that_is_gone_without_a_word_is_found(store):
    def drop(body):
        del body["tasks"]["label_0"]
        return {**body, "order": [name for name in body["order"] if name != "label_0"]}

    said = certify(rewritten(store, drop, first=3))
    assert said.problems == ["task label_0: is gone in version 3, and add takes none out"]


def test_a_product_in_place_of_a_choice_is_found(store, monkeypatch):
    def multiplied(self, name, seen, present):
        visible = owned_by(present, seen).float()
        return self.values[name][: len(present)] * (visible[:, None] if name in self.tables else visible)

    monkeypatch.setattr(Bank, "_render", multiplied)
    said = certify(store)
    assert any("the rendered weights are not those that were sealed" in problem for problem in said.problems)


def test_answers_without_a_fixed_chunk_are_found(tmp_path, tmp_path_factory, monkeypatch):
    _, cache = lives.family(tmp_path_factory)
    first = lives.first(encoder={"name": "sasrec", "width": 64, "blocks": 1})
    model = LivingModel.pretrain(tmp_path / "wide", first, cache=cache)
    assert certify(model.store).ok
    monkeypatch.setattr(Answering, "_filled", lambda self, rows: rows)
    monkeypatch.setattr(Answering, "_in_chunks", lambda self, answer, history, width: answer(history))
    said = certify(model.store)
    assert said.document["changed"] > 0
    assert any("probe values differ, asked 7 at a time" in problem for problem in said.problems)


def test_answers_that_depend_on_threads_are_found(store):
    asked = list(certifying.ask_versions(store, 1, [1]))
    other = [certifying.Asking(**{**vars(asking), "threads": 2, "answers": "0" * 64}) for asking in asked]
    entries = {(1, "next"): store.version(1).body["tasks"]["next"]}
    assert certifying.problems_of(asked, entries) == []
    assert certifying.problems_of(asked + other, entries) == [
        "task next in version 1: 2 threads give other answers than 1"
    ]


# -- another machine -------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(store):
    """The same model, sealed on another numeric stack."""
    return rewritten(store, lambda body: {**body, "tasks": {n: other_stack(e) for n, e in body["tasks"].items()}})


def other_stack(entry):
    return {**entry, "stack": {**entry["stack"], "instruction_set": "AVX9"}}


def test_on_another_stack_there_is_a_difference_and_no_alarm(elsewhere, monkeypatch):
    said = certify(elsewhere)
    assert said.ok
    assert said.document["tasks"][0]["sealed_on"] == {"instruction_set": "AVX9"}
    assert said.document["tasks"][0]["difference"] == 0.0
    users = Answering.users
    monkeypatch.setattr(Answering, "users", lambda self, history: users(self, history) * (1 + 1e-7))
    said = certify(elsewhere)
    assert said.ok
    assert said.document["changed"] == 0  # one way of asking against another
    assert 0 < max(task["difference"] for task in said.document["tasks"]) < 1e-5


def test_a_switch_that_chooses_other_kernels_is_another_stack(store, monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    said = certify(store)
    assert said.ok
    assert said.document["tasks"][0]["sealed_on"] == {"MKL_CBWR": None}


def test_beyond_the_tolerance_it_is_an_alarm_on_any_stack(elsewhere, monkeypatch):
    users = Answering.users
    monkeypatch.setattr(Answering, "users", lambda self, history: users(self, history) * 1.001)
    said = certify(elsewhere)
    assert not said.ok
    assert any("beyond the tolerance" in problem for problem in said.problems)


def test_ways_of_asking_are_compared_on_any_stack(elsewhere, monkeypatch):
    represent = Answering.users

    def by_size(self, history):
        return represent(self, history) * (1 + 1e-6 * (len(history) == 7))

    monkeypatch.setattr(Answering, "users", by_size)
    said = certify(elsewhere)
    assert any("asked 7 at a time" in problem for problem in said.problems)


# -- an earlier certificate ------------------------------------------------------------------------------------------


def test_a_model_that_has_grown_still_is_what_it_was(store, tmp_path_factory):
    before = certify(store)
    model = LivingModel.open(store.path, cache=lives.family(tmp_path_factory)[1])
    model.add_task(lives.label(1, strategy="probe"))
    assert check(before, model.store) == []
    model.retrain("label_0")
    model.remove("label_1")
    found = check(before, model.store)
    assert found == ["task label_0: is not the one that was certified any more: retrain, version 5"]
    said = model.certify().document
    assert said["ok"]
    assert [(life["task"], life["versions"], life["ended"]) for life in said["ended"]] == [
        ("label_0", [[2, 4]], "retrain, version 5"),
        ("label_1", [[4, 5]], "remove, version 6"),
    ]
    assert said["tasks"][-1]["task"] == "label_0"


def test_a_rollback_brings_a_certified_task_back(store, tmp_path_factory):
    before = certify(store)
    model = LivingModel.open(store.path, cache=lives.family(tmp_path_factory)[1])
    model.remove("cross_1")
    assert check(before, store) != []
    store.rollback(3, 7)
    assert check(before, store) == []
    assert certify(store).document["tasks"][-1]["versions"] == [[3, 3], [5, 5]]


def test_tasks_changed_by_a_strategy_that_writes_back_are_told(store, tmp_path_factory):
    model = LivingModel.open(store.path, cache=lives.family(tmp_path_factory)[1])
    model.add_task(lives.label(1, strategy="sequential", parent="next"), allow_forgetting=True)
    said = certify(store).document
    assert said["ok"]
    assert {life["task"]: life["ended"] for life in said["ended"]}["next"] == "add, version 4"


def test_a_collected_version_is_not_asked_and_is_no_alarm(store):
    before, old = certify(store), store.version(2)
    collected_path(store.path, 2).write_bytes(documents.encode_note(old, collected=5))
    said = certify(store).document
    assert said["ok"]
    assert [version["asked"] for version in said["versions"]] == [True, False, True]
    assert said["tasks"][1]["versions"] == [[2, 3]]
    assert check(before, store) == []


def test_what_was_written_over_is_found(store, tmp_path):
    certify(store).write(tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**document, "changed": 7}))
    with pytest.raises(ModelCorrupt, match="expected sha256"):
        read_certificate(tmp_path / "c.json")
    lie = {**document, "tasks": [{**document["tasks"][0], "fingerprint": "0" * 64}]}
    lie["sha256"] = certificate._hash(lie)
    (tmp_path / "c.json").write_text(json.dumps(lie))
    assert check(read_certificate(tmp_path / "c.json"), store) == [
        "task next: has another fingerprint than the one that was certified"
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, None),
        ({"files": [{"path": "../../etc/passwd", "sha256": "0" * 64}]}, ModelCorrupt),
        ({"files": [{"path": "objects", "sha256": 5}]}, ModelCorrupt),
        ({"tasks": [{"task": "next"}]}, ModelCorrupt),
        ({"model": None}, ModelCorrupt),
        ({"certificate": 2}, Unsupported),
        ({"certificate": "1"}, UsageError),
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path, change, error):
    whole = {"certificate": 1, "model": {"lineage": "", "version": 1, "sha256": ""}, "problems": []}
    document = {**whole, "tasks": [], "files": []} | change
    document["sha256"] = certificate._hash(document)
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(error) if error else nullcontext():
        read_certificate(tmp_path / "c.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"certificate":1}'])
def test_nor_is_this(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises((UsageError, ModelCorrupt)):
        read_certificate(tmp_path / "c.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_certificate(tmp_path / "nothing.json")


def test_the_command(store, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["certify", str(store.path), "--quiet"]) == 0
    out = "".join(line.strip() for line in capsys.readouterr().out.splitlines())  # long paths are folded
    assert "no bit of any task has changed" in out
    assert f"cd {store.path} && sha256sum -c {tmp_path}/certificate.sha256".replace(" ", "") in out.replace(" ", "")
    assert main(["certify", str(store.path), "--check", "certificate.json", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    rewritten(store, in_task("next", lambda entry: nudged(store, entry)), first=3)
    assert main(["certify", str(store.path), "--out", "other.json", "--json", "--quiet"]) == 1
    assert json.loads(capsys.readouterr().out)["changed"] > 0
    assert main(["certify", str(store.path), "--check", "certificate.json", "--quiet"]) == 1
    assert "problem 1" in capsys.readouterr().out


# -- the whole of it -------------------------------------------------------------------------------------------------

TWELVE = [
    lives.first(),
    lives.label(0),
    lives.cross(1),
    lives.wider(1, name="wider_1"),
    lives.label(1, strategy="peterrec"),
    lives.label(2, strategy="probe", parent="cross_1"),
    lives.label(3, strategy="finetune"),
    lives.cross(2, strategy="peterrec"),
    lives.wider(2, strategy="peterrec"),
    lives.label(4, parent="latest"),
    lives.label(5, strategy="finetune", parent="cross_1"),
    lives.label(6, strategy="scratch"),
]


def in_a_larger_world(task):
    """Catalogues of a hundred items, vectors of sixteen numbers."""
    wider = {"encoder": {"name": "sasrec", "width": 16, "blocks": 1}} if "encoder" in task else {}
    return {**task, **wider, "data": {**task["data"], "dataset": {**lives.DATA, "items": 300}}}


@pytest.mark.slow
def test_twelve_tasks_certified(tmp_path, monkeypatch, capsys):
    """All of it: fresh processes, every size, 1 and 2 threads, every version."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(certificate, "ask_anew", ask_in_fresh_processes)
    first, *others = map(in_a_larger_world, TWELVE)
    model = LivingModel.pretrain(tmp_path / "model", first, cache=cache)
    for task in others:
        model.add_task(task)
    began = time.perf_counter()
    said = model.certify().document
    assert said["ok"]
    assert (said["changed"], len(said["tasks"]), len(said["versions"])) == (0, 12, 12)
    assert {(way["at_a_time"], way["threads"]) for way in said["asked"]} == {
        (size, threads) for size in REQUEST_SIZES for threads in THREADS
    }
    assert said["compared"] > 1_000_000
    with capsys.disabled():
        seconds = time.perf_counter() - began
        print(
            f"\n12 tasks, 12 versions: {said['compared']} values compared, {said['changed']} changed, {seconds:.0f} s"
        )
