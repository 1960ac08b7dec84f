"""A damaged model goes on from a version that is whole: said aloud, as a version of its own, with nothing overwritten."""

import os

import pytest
from small_model import CREATED, add, overwrite, roll_back
from torments import grown, tree

from lifelong.core.errors import ModelCorrupt, Unsupported, UsageError
from lifelong.store.collect import Rules, collect
from lifelong.store.documents import references, seal
from lifelong.store.leases import pin
from lifelong.store.store import Store

pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def model(memory):
    return grown(memory / "shop")


def version_file(store, number):
    return store.path / "versions" / f"{number:08d}.json"


def damage_version(store, number, data=b"torn"):
    overwrite(version_file(store, number), data)


def damage_object(store, number):
    """Of the objects of a version, one that no other version refers to."""
    others = {r for v in store.log() if v.number != number for r in references(v.body)}
    own = next(r for r in references(store.log()[number - 1].body) if r not in others)
    overwrite(store.path / "objects" / own.sha256, b"rotten")
    return own


def mended(store, to=None):
    with store.writing():
        return store.repair(to, CREATED + 9)


def test_a_damaged_newest_version_is_given_up_aloud(model):
    third = model.version(3)
    damage_version(model, 4)
    before = tree(model.path)
    version, damage = mended(model)
    assert (version.number, version.op, version.body["repair"]["from"]) == (5, "repair", 3)
    assert {n: "expected sha256" in reason for n, reason in damage.lost.items()} == {4: True}
    after = tree(model.path)
    assert after.pop("versions/00000005.json")
    assert after == before  # the damaged file, too, stays as it was
    store = Store.open(model.path)
    assert store.newest() == version
    assert {key: value for key, value in version.body.items() if key != "repair"} == third.body
    assert [v.number for v in store.log()] == [1, 2, 3, 5]
    report = store.verify()
    assert report.problems == []
    assert [problem.file for problem in report.given_up] == ["versions/00000004.json"]
    with pytest.raises(ModelCorrupt, match=r"00000004\.json"):
        store.version(4)


def test_life_goes_on_after_a_repair(model):
    damage_version(model, 4)
    mended(model)
    added = add(model)
    back = roll_back(model)
    assert (added.number, back.number, model.newest()) == (6, 7, back)
    again = model.rollback(5, CREATED)
    assert "repair" not in again.body
    assert model.verify().problems == []
    collect(model, Rules(1, 0, 0), wait=0, clock=lambda: 4e9)
    assert model.verify().problems == []
    assert pin(model, 8).number == 8


def test_the_chain_goes_on_across_what_was_lost(model):
    damage_version(model, 4)
    mended(model)
    version, parent = model.version(3), model.version(2)
    document = {
        "format": 1,
        "min_reader": 1,
        "v": 3,
        "parent": {"v": 2, "sha256": parent.sha256},
        "op": "add",
        "created": 5,
        "body": version.body,
    }
    overwrite(version_file(model, 3), seal(document))
    for ask in (model.newest, model.log):
        with pytest.raises(ModelCorrupt, match=r"00000003\.json: is not what version 4 was built on"):
            ask()
    assert "versions/00000003.json" in [problem.file for problem in model.verify().problems]


def test_a_damaged_object_breaks_its_versions_alone(model):
    lost = damage_object(model, 4)
    version, damage = mended(model)
    assert (version.number, version.body["repair"]["from"], list(damage.broken)) == (5, 3, [4])
    assert "expected" in damage.broken[4]
    report = model.verify()
    assert (report.problems, [p.file for p in report.given_up]) == ([], [f"objects/{lost.sha256}"])
    assert mended(model)[0] is None  # nothing is damaged that was not given up


def test_what_was_given_up_excuses_no_later_version(model):
    lost = damage_object(model, 4)
    data = b"it was a good one"
    mended(model)
    newest = model.newest()
    again = model.put(data)
    model.commit({**newest.body, "more": again.as_dict()}, "add", newest, CREATED)
    overwrite(model.path / "objects" / again.sha256, b"rotten")
    assert [problem.file for problem in model.verify().problems] == [f"objects/{again.sha256}"]
    version, damage = mended(model)
    assert (version.number, version.body["repair"]["from"], set(damage.broken) - damage.given_up) == (7, 5, {6})
    assert {problem.file for problem in model.verify().given_up} == {f"objects/{r.sha256}" for r in (lost, again)}


@pytest.mark.parametrize("to", [1, 2, 3])
def test_any_whole_version_can_be_chosen(model, to):
    body = model.version(to).body
    damage_version(model, 4)
    version, _ = mended(model, to)
    assert {key: value for key, value in version.body.items() if key != "repair"} == body


def test_a_version_that_is_not_whole_is_refused(model):
    damage_object(model, 2)
    damage_version(model, 4)
    files = tree(model.path)
    for to, why in ((4, "expected sha256"), (2, "objects/"), (9, "there is no such version"), (0, "no such version")):
        with pytest.raises(UsageError, match=rf"version {to} is not whole: .*{why}.*; whole is 3"):
            mended(model, to)
    assert tree(model.path) == files


def test_a_whole_model_is_left_alone(model):
    files = tree(model.path)
    assert mended(model)[0] is None
    assert mended(model, 4)[0] is None
    with pytest.raises(UsageError, match="version 4 is whole; to make 2 the newest, use rollback"):
        mended(model, 2)
    assert tree(model.path) == files


def test_a_damaged_middle_version_is_given_up_and_the_newest_stays(model):
    newest = model.newest()
    damage_version(model, 2)
    with pytest.raises(ModelCorrupt, match=r"00000002\.json"):
        model.rollback(1, CREATED)
    version, _ = mended(model)
    assert (version.number, version.body["repair"]["from"], version.body["tasks"]) == (5, 4, newest.body["tasks"])
    assert model.verify().problems == []
    assert model.version(3).number == 3  # its parent is lost, it is not
    assert model.rollback(1, CREATED).number == 6


def test_a_missing_version_in_the_middle_is_given_up(model):
    version_file(model, 2).unlink()
    mended(model)
    assert model.verify().problems == []
    assert [version.number for version in model.log()] == [1, 3, 4, 5]


def test_damage_upon_damage(model):
    for number in (1, 4):
        damage_version(model, number)
    assert mended(model)[0].number == 5
    damage_version(model, 5)
    version, _ = mended(model)
    assert (version.number, version.body["repair"]["lost"].keys()) == (6, {"1", "4", "5"})
    assert model.verify().problems == []
    assert [v.number for v in model.log()] == [2, 3, 6]
    assert model.newest() == version


def test_where_nothing_is_whole_nothing_is_made_up(model):
    shared = next(references(model.version(1).body))
    for number in (3, 4):
        damage_version(model, number)
    (model.path / "objects" / shared.sha256).unlink()
    with pytest.raises(ModelCorrupt, match="no version is whole, there is nothing to repair it from"):
        mended(model)
    with pytest.raises(UsageError, match="holds no version yet"):
        mended(Store.create(model.path.parent / "empty"))


def test_a_later_format_is_not_taken_for_damage(model):
    document = {"format": 2, "min_reader": 2, "v": 4, "parent": None, "op": "add", "created": 1, "body": {}}
    damage_version(model, 4, seal(document))
    with pytest.raises(Unsupported, match="format 2"):
        mended(model)


@pytest.mark.parametrize(
    "claim",
    [
        None,
        {},
        {"lost": {}, "broken": [9]},
        {"lost": {"5": None}, "broken": []},
        {"lost": {"04": None}, "broken": []},
        {"lost": {"x": None}, "broken": []},
        {"lost": {"3": "x"}, "broken": []},
        {"lost": {}, "broken": [True]},
        {"lost": [], "broken": []},
    ],
    ids=str,
)
def test_a_repair_that_says_nonsense_is_corrupt(model, claim):
    newest = model.newest()
    body = {**newest.body, "repair": claim}
    parent = {"v": 4, "sha256": newest.sha256}
    document = {"format": 1, "min_reader": 1, "v": 5, "parent": parent, "op": "repair", "created": 1, "body": body}
    version_file(model, 5).write_bytes(seal(document))
    with pytest.raises(ModelCorrupt, match=r"00000005\.json: version 5 is a repair"):
        model.newest()


class SilentlyOlder(Store):
    """Fault: where the newest version is damaged, the one before is taken for it."""

    def newest(self):
        for number in reversed(self.numbers()):
            try:
                return self.version(number)
            except ModelCorrupt:
                continue
        return super().newest()


def complains(store):
    """Whether a reader of a damaged model is told."""
    try:
        store.newest()
    except ModelCorrupt:
        return True
    return False


def test_a_damaged_newest_version_is_never_passed_over(model):
    damage_version(model, 4)
    assert complains(Store.open(model.path))
    assert not complains(SilentlyOlder.open(model.path))


def test_a_repair_needs_no_right_to_the_damaged_file(model):
    damage_version(model, 4)
    os.chmod(version_file(model, 4), 0o444)
    assert mended(model)[0].number == 5
