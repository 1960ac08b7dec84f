"""Two small shops with unmistakable people, as files; tasks on them; and everything by which a person could be found in a
file."""

import csv
import hashlib
import json
import os
import shutil
import struct

import numpy as np
import pyarrow as pa
import pytest
from in_process import checked_here

from lifelong import LivingModel
from lifelong.data.splits import TRAIN, Split, user_parts
from lifelong.keeping import committing
from lifelong.privacy import erasing

NUMBER = 0x5A517B3D0000
"""Users are this number and the ones after it, spelt as text that nothing else contains."""
PREFIX = "zq7user"
USERS, ITEMS, EVENTS = 61, 12, 9


def user_id(shop, place):
    return f"{PREFIX}-{NUMBER + {'east': 0, 'west': 1000}[shop] + place}"


def ids_of(shop, users=USERS):
    return [user_id(shop, place) for place in range(users)]


def someone(shop, part=TRAIN, split=None, users=USERS):
    """A user of that part of a split by user."""
    parts = user_parts(pa.array(ids_of(shop, users)), split or Split(name="by_user"))
    return user_id(shop, int(np.flatnonzero(parts == part)[0]))


def write_shop(folder, shop, users=USERS):
    """Events and users of a shop; what a user does depends on her alone."""
    folder.mkdir(parents=True, exist_ok=True)
    events, people = [], []
    for place, name in enumerate(ids_of(shop, users)):
        random = np.random.default_rng([place, len(shop), ord(shop[0])])
        kind = int(random.integers(2))
        people.append([name, ("cat", "dog")[kind]])
        for event in range(EVENTS):
            item = (int(random.integers(ITEMS // 2)) * 2 + kind) % ITEMS
            events.append([name, f"i{item:02d}", 1_600_000_000 + 3600 * event + 60 * place])
    for table, head, rows in (
        ("events", ["user", "item", "time"], events),
        ("users", ["user", "pet"], people),
    ):
        with (folder / f"{shop}-{table}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])


def take_out(folder, user):
    """Remove every row of a user from every file."""
    for path in folder.glob("*.csv"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if not line.startswith(f"{user},".encode())))


def data(folder, shop, **more):
    return {
        "dataset": {"name": "files", "events": f"{folder}/{shop}-events.csv", "users": f"{folder}/{shop}-users.csv"},
        **more,
    }


def first(folder, shop="west", **changes):
    return {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 8, "blocks": 1, "heads": 1},
        "length": 6,
        "head": "next_item",
        "data": data(folder, shop),
        "fit": {"epochs": 1, "batch_size": 32},
        **changes,
    }


def label(folder, shop, name, **changes):
    return {
        "name": name,
        "head": "classification",
        "data": data(folder, shop, label="pet", split="by_user"),
        "fit": {"epochs": 1},
        **changes,
    }


def family(folder):
    """A root and a probe that have never seen the east, one that has and claims weights, and one that claims after it."""
    return [
        first(folder),
        label(folder, "east", "east_claims"),
        label(folder, "west", "west_probe", strategy="probe"),
        label(folder, "west", "west_claims"),
    ]


_MADE = {}


def world(tmp_path, tmp_path_factory, patch):
    """A folder, which becomes the present one, with shops and a model that has learnt the family; made once, then copied."""
    in_process(patch)
    if not _MADE:
        _MADE["folder"] = grown(tmp_path_factory.mktemp("people"), family)
    folder = tmp_path / "world"
    shutil.copytree(_MADE["folder"], folder)
    patch.chdir(folder)  # tasks name relative files
    return folder


def grown(folder, tasks):
    """Shops, and a model that has learnt the tasks, in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch)
        patch.chdir(folder)
        for shop in ("east", "west"):
            write_shop(folder, shop)
        learn(folder / "model", tasks("."))
    return folder


def learn(path, tasks):
    """A model that learns the tasks in order."""
    model = LivingModel.pretrain(path, tasks[0], seed=5, cache=path.parent / "cache")
    for task in tasks[1:]:
        model.add_task(task, seed=5)
    return model


def in_process(patch):
    """The check before a commit in this process, and no waiting for a disk."""
    patch.setattr(os, "fsync", lambda descriptor: None)
    for module in (committing, erasing):
        patch.setattr(module, "check_candidate", checked_here)


# -- looking for people ----------------------------------------------------------------------------------------------


def traces(users=3):
    """What must be in no file: what all ids have in common, as text and as numbers; and unsalted hashes of some."""
    found = {"text": PREFIX.encode(), "text, wide": PREFIX.encode("utf-16-le"), "decimal": str(NUMBER)[:8].encode()}
    found["number, little"] = struct.pack("<Q", NUMBER)[2:]
    found["number, big"] = struct.pack(">Q", NUMBER)[:6]
    found["number, float"] = struct.pack("<d", float(NUMBER))[4:]
    for shop in ("east", "west"):
        for name in ids_of(shop, users):
            for kind in ("md5", "sha1", "sha256", "blake2b"):
                digest = hashlib.new(kind, name.encode()).digest()
                found[f"{kind} of {name}"], found[f"{kind} of {name}, hex"] = digest[:8], digest.hex()[:16].encode()
            short = hashlib.blake2b(name.encode(), digest_size=8).digest()
            found[f"short hash of {name}"], found[f"short hash of {name}, hex"] = short, short.hex().encode()
    return found


def people_in(folder, users=(USERS,)):
    """`file: what was found` for each trace of somebody below a folder, names of files included, and for each tensor that has
    as many rows, or columns, as there are users."""
    said = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes()
        said += [f"{path.name}: {what}" for what, trace in traces().items() if trace in content]
        said += [f"{path.name}: {name} {shape}" for name, shape in shapes(path).items() if set(shape) & set(users)]
    return said


def shapes(path):
    """Name -> shape of every tensor of a safetensors file; nothing for another file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8 or content[8:9] != b"{":
        return {}
    header = json.loads(content[8 : 8 + length])
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
