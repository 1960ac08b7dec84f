"""Tiny tasks on an invented world, for tests of the living model."""

DATA = {"name": "synthetic", "users": 240, "items": 60, "events_per_user": 30}


def first(**changes):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
        "length": 12,
        "head": "next_item",
        "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}},
        "fit": {"epochs": 2, "batch_size": 32},
        **changes,
    }


def label(number=0, **changes):
    return {
        "name": f"label_{number}",
        "head": "classification",
        "data": {"dataset": DATA, "label": f"label_{number % 6}", "split": "by_user"},
        "fit": {"epochs": 1},
        **changes,
    }


def cross(number=1, **changes):
    return {
        "name": f"cross_{number}",
        "head": "next_item",
        "data": {"dataset": DATA, "targets": {"domain": f"domain_{number}"}},
        "fit": {"epochs": 1},
        **changes,
    }


def wider(number=1, **changes):
    """Reads items of another domain, too, which get rows of their own."""
    data = {
        "dataset": DATA,
        "inputs": {"domain": ["domain_0", f"domain_{number}"]},
        "targets": {"domain": f"domain_{number}"},
    }
    return cross(number, name=f"wider_{number}", data=data, **changes)
