"""Two tiny tasks on an invented world, and a hash of a folder."""

import hashlib

DATA = {"name": "synthetic", "users": 200, "items": 60}
FIRST = {
    "name": "next",
    "encoder": {"name": "sasrec", "width": 16, "blocks": 1, "heads": 1},
    "length": 20,
    "head": "next_item",
    "data": {"dataset": DATA, "inputs": {"domain": "domain_0"}},
    "fit": {"epochs": 1},
}
LABEL = {
    "name": "label",
    "head": "classification",
    "data": {"dataset": DATA, "label": "label_0", "split": "by_user"},
    "fit": {"epochs": 1},
}
KNOWN = ("i0000000", "i0000003", "i0000006")
"""Items of domain_0, which the first task reads."""


def hash_of(folder):
    """One hash of every name and byte below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()
