"""A small family of tasks on an invented world, for tests of what becomes of tasks in the course of a model's life."""

import shutil

import pytest
from in_process import check_here, checked_here

from lifelong import LivingModel

DATA = {"name": "synthetic", "users": 120, "items": 36, "events_per_user": 12}
READS_MORE = {"domain": ["domain_0", "domain_1"]}


def first(**changes):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 8, "blocks": 1, "heads": 1},
        "length": 8,
        "head": "next_item",
        "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}},
        "fit": {"epochs": 1, "batch_size": 32},
        **changes,
    }


def label(number, **changes):
    data = {"dataset": DATA, "label": f"label_{number % 6}", "split": "by_user"}
    return {"name": f"label_{number}", "head": "classification", "data": data, "fit": {"epochs": 1}, **changes}


def cross(number, **changes):
    data = {"dataset": DATA, "targets": {"domain": f"domain_{number}"}}
    return {"name": f"cross_{number}", "head": "next_item", "data": data, "fit": {"epochs": 1}, **changes}


def wider(number, name=None, **changes):
    """Reads items of another domain, too, which get rows of their own."""
    reads = {"domain": ["domain_0", f"domain_{number}"]}
    data = {"dataset": DATA, "inputs": reads, "targets": {"domain": f"domain_{number}"}}
    return cross(number, **{"name": name or f"wider_{number}", "data": data, **changes})


FAMILY = [
    first(),
    label(0),
    cross(1),
    label(1, strategy="probe", parent="cross_1"),
    wider(1),
    label(2, strategy="peterrec"),
    wider(2),
]
"""cross_1 has a child; wider_1 brought rows that lie before those of wider_2; the others are leaves."""

_MADE = {}


def family(tmp_path_factory):
    """The folder of a model that has learnt FAMILY, made once, and the cache of its data."""
    if not _MADE:
        folder = tmp_path_factory.mktemp("family")
        cache = folder / "cache"
        with pytest.MonkeyPatch.context() as patch:
            check_here(patch)
            model = LivingModel.pretrain(folder / "model", FAMILY[0], cache=cache)
            for task in FAMILY[1:]:
                model.add_task(task)
        _MADE.update(path=folder / "model", cache=cache)
    return _MADE["path"], _MADE["cache"]


def copy_of(tmp_path_factory, folder):
    """A copy of the family that may be changed, open."""
    path, cache = family(tmp_path_factory)
    return LivingModel.open(shutil.copytree(path, folder / "model"), cache=cache)


def sound(model):
    """Whether every file is what its name says, and every task of the newest version gives its probes again."""
    newest = model.store.newest()
    return not model.store.verify().problems and not sum(checked_here(model.store, newest.body, newest.body).values())
