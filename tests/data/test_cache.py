"""The folder of prepared data: used while it is whole, made again when it is not, never half there."""

import importlib.util
import multiprocessing
import sys
import threading

import pytest
from given import EVENTS, Given, histories, same

from lifelong.core.errors import DataError
from lifelong.data.datasets.files import Files
from lifelong.data.prepare import FILES, prepare, remove_prepared


def _truncated(folder):
    data = (folder / "events.arrow").read_bytes()
    (folder / "events.arrow").write_bytes(data[: len(data) // 2])


def _changed(name, find, replace):
    def damage(folder):
        data = (folder / name).read_bytes()
        assert find in data
        (folder / name).write_bytes(data.replace(find, replace, 1))

    return damage


DAMAGES = {
    "events truncated": _truncated,
    "a bit of an event": _changed("events.arrow", b"\x09", b"\x08"),
    "an id": _changed("users.arrow", b"b", b"d"),
    "meta changed": _changed("meta.json", b'"rows_read": 6', b'"rows_read": 7'),
    "meta is no JSON": _changed("meta.json", b"{", b"["),
    "meta empty": lambda folder: (folder / "meta.json").write_bytes(b""),
    "meta a list": lambda folder: (folder / "meta.json").write_text("[]"),
    "meta null": lambda folder: (folder / "meta.json").write_text("null"),
    "meta without sum": lambda folder: (folder / "meta.json").write_text('{"files": {}}'),
    "file gone": lambda folder: (folder / "items.arrow").unlink(),
    "all gone": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_made_again(tmp_path, damage):
    first = prepare(Given(EVENTS), tmp_path)
    before = {name: (first.folder / name).read_bytes() for name in (*FILES, "meta.json")}
    del first
    folder = next(tmp_path.iterdir())
    damage(folder)
    said = []
    second = prepare(Given(EVENTS), tmp_path, said.append)
    assert said == ["preparing given"]
    assert {name: (second.folder / name).read_bytes() for name in before} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_not_damaged_is_not_made_again(tmp_path):
    said = []
    for _ in range(3):
        prepare(Given(EVENTS), tmp_path, said.append)
    assert len(said) == 1


def test_other_options_are_another_folder(tmp_path):
    prepare(Given(EVENTS), tmp_path)
    prepare(Given(EVENTS, duplicates="drop"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_source_that_changes_while_it_is_read(tmp_path):
    class Growing(Given):
        reads = 0

        def identity(self):
            return {**super().identity(), "reads": self.reads}

        def events(self):
            self.reads += 1
            return super().events()

    with pytest.raises(DataError, match="changed while they were read"):
        prepare(Growing(EVENTS), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_grows_while_it_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user,item,time\na,x,1\n")

    class Slow(Files):
        def events(self):
            yield from super().events()
            path.write_text(path.read_text() + "a,y,2\n")

    with pytest.raises(DataError, match="changed while they were read"):
        prepare(Slow(Files.Config(events=str(path))), tmp_path / "cache")


def test_a_failure_leaves_nothing_behind(tmp_path):
    class Broken(Given):
        def users(self):
            raise DataError("no users today")

    with pytest.raises(DataError, match="no users today"):
        prepare(Broken(EVENTS), tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written.*LIFELONG_CACHE"):
        prepare(Given(EVENTS), tmp_path / "file" / "cache")


def test_two_threads_at_once(tmp_path):
    barrier, found = threading.Barrier(4), []

    class Together(Given):
        def events(self):
            barrier.wait()
            return super().events()

    threads = [threading.Thread(target=lambda: found.append(prepare(Together(EVENTS), tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for one in found:
        same(one, found[0])
    assert list(tmp_path.iterdir()) == [found[0].folder]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork, to be quick")
def test_two_processes_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, keys = context.Barrier(2), context.SimpleQueue()

    class Together(Given):
        def events(self):
            barrier.wait(20)
            return super().events()

    both = [context.Process(target=lambda: keys.put(prepare(Together(EVENTS), tmp_path).folder)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert list(tmp_path.iterdir()) == list({keys.get(), keys.get()})
    assert histories(prepare(Given(EVENTS), tmp_path)) == {"a": ["y", "x"], "b": ["z", "x", "x"], "c": ["x"]}


READER = """
from given import EVENTS, Given

ITEM = "x"

class Mine(Given):
    def __init__(self):
        super().__init__({**EVENTS, "item": [ITEM if i == "x" else i for i in EVENTS["item"]]})

    def identity(self):
        return {"name": "mine"}
"""


def _written(path, text, monkeypatch):
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("reader_of_a_user", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "reader_of_a_user", module)
    spec.loader.exec_module(module)
    return module.Mine()


def test_a_changed_reader_reads_again(tmp_path, monkeypatch):
    """Its options say the same, its files are the same; only its code is not."""
    cache, path = tmp_path / "cache", tmp_path / "reader.py"
    before = prepare(_written(path, READER, monkeypatch), cache)
    assert prepare(_written(path, READER, monkeypatch), cache).folder == before.folder
    remarked = prepare(_written(path, READER + "# remark\n", monkeypatch), cache)
    assert (remarked.folder != before.folder, remarked.key) == (True, before.key)
    after = prepare(_written(path, READER.replace('ITEM = "x"', 'ITEM = "w"'), monkeypatch), cache)
    assert histories(after) == {"a": ["y", "w"], "b": ["z", "w", "w"], "c": ["w"]}
    assert after.key != before.key


CHANGES = {
    "a user's name": {"user": ["b", "a", "b", "d", "b", "a"]},
    "an item": {"item": ["x", "y", "z", "x", "y", "x"]},
    "a time": {"time": [3, 1, 2, 9, 3, 5]},
    "ids cut elsewhere": {"user": ["ba", "a", "ba", "c", "ba", "a"]},
    "a channel": {"channel": ["p"] * 6},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_key_is_of_the_values(tmp_path, change):
    key = prepare(Given(EVENTS), tmp_path).key
    assert prepare(Given(EVENTS, batch=2), tmp_path / "other").key == key
    assert prepare(Given({**EVENTS, **change}), tmp_path).key != key


def test_what_is_removed_is_all_of_a_key_and_nothing_else(tmp_path):
    kept = prepare(Given({**EVENTS, "time": [1, 1, 1, 1, 1, 1]}), tmp_path)
    turned = {name: values[::-1] for name, values in EVENTS.items()}
    gone = [prepare(Given(events), tmp_path) for events in (EVENTS, turned)]
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "meta.json").write_text("[")
    assert remove_prepared(tmp_path, "../elsewhere") == 0
    assert gone[0].folder != gone[1].folder
    assert remove_prepared(tmp_path, gone[0].key) == 2
    assert sorted(tmp_path.iterdir()) == sorted([kept.folder, tmp_path / "damaged"])
