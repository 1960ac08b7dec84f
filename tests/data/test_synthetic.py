"""The invented world: a user is the same in a world of any size, labels can be found out, domains share no item."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong.data.datasets import synthetic as module
from lifelong.data.datasets.synthetic import FIRST, OWN, Synthetic
from lifelong.data.gather import gather


def world(**options):
    return Synthetic(Synthetic.Config(**{"users": 100, "items": 60, **options}))


def events(source):
    return pa.concat_tables([batch.table for batch in source.events()])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**40), st.integers(1, 4))
def test_a_user_is_the_same_in_a_larger_world(users, seed, domains):
    small, large = (world(users=n, seed=seed, domains=domains) for n in (users, users + 30))
    few, many = events(small), events(large)
    assert many.slice(0, len(few)).equals(few)
    assert large.users().slice(0, users).equals(small.users())


def test_the_size_of_the_chunks_does_not_matter(monkeypatch):
    whole = events(world())
    monkeypatch.setattr(module, "CHUNK", 500)
    assert len(list(world().events())) > 5
    assert events(world()).combine_chunks().equals(whole.combine_chunks())


def test_another_seed_is_another_world():
    assert not events(world(seed=1)).equals(events(world(seed=2)))
    assert not world(seed=1).users().equals(world(seed=2).users())


def test_domains_share_no_item_and_every_user_is_in_each():
    source = world(domains=3)
    domain = dict(zip(*(source.items()[c].to_pylist() for c in ("id", "domain")), strict=True))
    assert Counter(domain.values()) == {"domain_0": 20, "domain_1": 20, "domain_2": 20}
    seen = {
        (user, domain[item])
        for user, item in zip(*(events(source)[c].to_pylist() for c in ("user", "item")), strict=True)
    }
    assert len(seen) == 300


def test_lengths_and_order():
    table = events(world(users=500, events_per_user=20))
    lengths = np.array(list(Counter(table["user"].to_pylist()).values()))
    assert lengths.min() == 10
    assert lengths.max() == 30
    assert abs(lengths.mean() - 20) < 1
    found = gather(world())
    gaps = np.diff(found.times_E)[np.diff(np.repeat(np.arange(100), np.diff(found.offsets_U1))) == 0]
    assert gaps.min() >= 3600
    assert gaps.max() <= 48 * 3600


def test_a_label_can_be_found_out_from_the_items():
    source = world(users=1500, noise=0.0, second=0.0)
    table, items = events(source), source.items()
    kind = dict(zip(items["id"].to_pylist(), items["category"].to_pylist(), strict=True))
    kinds = [Counter() for _ in range(1500)]
    for user, item in zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True):
        kinds[int(user[1:])][kind[item]] += 1
    guess = [counter.most_common(1)[0][0] for counter in kinds]
    truth = [f"kind_{n}" for n in source._draw(FIRST, np.arange(1500)) % np.uint64(4)]
    assert np.mean([g == t for g, t in zip(guess, truth, strict=True)]) > 0.95
    labels = source.users()["label_0"].to_pylist()
    assert len(set(zip(truth, labels, strict=True))) == 4, "without noise the trait decides the label"


def test_a_domain_apart_tells_a_trait_of_its_own_and_no_other():
    source = world(users=1500, noise=0.0, second=0.0, taste=0.5, apart=True)
    table, items = events(source), source.items()
    kind, domain = (
        dict(zip(*(items[c].to_pylist() for c in ("id", name)), strict=True)) for name in ("category", "domain")
    )
    seen = {name: [Counter() for _ in range(1500)] for name in ("domain_0", "domain_1", "domain_2")}
    for user, item in zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True):
        seen[domain[item]][int(user[1:])][kind[item]] += 1
    guess = {name: np.array([c.most_common(1)[0][0] for c in found]) for name, found in seen.items()}
    kinds = {s: np.array([f"kind_{n}" for n in source._draw(s, np.arange(1500)) % np.uint64(4)]) for s in (FIRST, OWN)}
    right = {(name, s): np.mean(found == kinds[s]) for name, found in guess.items() for s in kinds}
    assert right["domain_0", FIRST] > 0.9 < right["domain_2", OWN]
    assert right["domain_0", OWN] < 0.3 > right["domain_2", FIRST]
    of_it = set(zip(kinds[OWN].tolist(), source.users()["label_2"].to_pylist(), strict=True))
    assert len(of_it) == 4, "without noise its trait decides the third label"


def test_without_a_domain_apart_the_world_is_as_it_was():
    """Its first events and labels as they were before a domain could stand apart."""
    table, labels = events(world()), world().users()["label_2"].to_pylist()
    assert table["item"].to_pylist()[:5] == ["i0000029", "i0000021", "i0000017", "i0000047", "i0000026"]
    assert table["time"].to_pylist()[:2] == [1600072320, 1600243149]
    assert labels[:5] == ["class_3", "class_0", "class_1", "class_2", "class_3"]


def test_noise_is_the_share_of_labels_that_are_random():
    clean, noisy, random = (world(users=4000, noise=noise).users()["label_0"].to_pylist() for noise in (0.0, 0.4, 1.0))
    changed = np.mean([a != b for a, b in zip(clean, noisy, strict=True)])
    assert abs(changed - 0.4 * 3 / 4) < 0.03
    assert abs(np.mean([a == b for a, b in zip(clean, random, strict=True)]) - 1 / 4) < 0.03


def test_events_follow_the_last_of_their_domain():
    source = world(users=300, domains=1, follow=1.0, taste=0.0)
    found = gather(source)
    ids = np.array([int(i[1:]) for i in found.items["id"].to_pylist()])[found.items_E]
    same = np.diff(np.repeat(np.arange(300), np.diff(found.offsets_U1))) == 0
    assert ((ids[:-1] * 7 + 3) % 60 == ids[1:])[same].all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"users": 0}, "users is 0"),
        ({"labels": -1}, "labels is -1"),
        ({"items": 5, "domains": 3}, "5 items are too few"),
        ({"noise": 1.5}, "noise is 1.5"),
        ({"apart": True, "domains": 1}, "apart needs two domains"),
        ({"follow": 0.7, "taste": 0.7}, "at most 1"),
        ({"min_user_events": 0}, "min_user_events is 0"),
    ],
)
def test_options_are_checked(options, says):
    with pytest.raises(ValueError, match=says):
        world(**options)
