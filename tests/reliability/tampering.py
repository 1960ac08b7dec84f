"""Ways to harm a model's folder: blind ones, and those of somebody who makes all hashes right."""

import copy
import json
import os
import pickle
import random
import struct
from pathlib import Path

import torch
from attacked import Forged, body_bytes, files_of, overwrite
from safetensors.torch import save

from lifelong.core.fingerprint import canonical_json
from lifelong.store import tensors as stored
from lifelong.store.tensors import pack, unpack

DEEP = b"[" * 100_000 + b"]" * 100_000


class Canary:
    """Unpickled, it would leave a file behind."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


# -- blind: what disks, copies and people do ---------------------------------------------------------------------------


def flip(path, rng, folder):
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    overwrite(path, bytes(data))


def truncate(path, rng, folder):
    data = path.read_bytes()
    overwrite(path, data[: rng.randrange(len(data))])


def extend(path, rng, folder):
    overwrite(path, path.read_bytes() + rng.choice([b"\0", b"\n", b" ", b"}", rng.randbytes(40)]))


def empty(path, rng, folder):
    overwrite(path, b"")


def zeros(path, rng, folder):
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    length = min(rng.choice([1, 16, 512, 4096]), len(data) - start)
    if not any(data[start : start + length]):
        start, length = 0, len(data)
    data[start : start + length] = bytes(length)
    overwrite(path, bytes(data))


def move_bytes(path, rng, folder):
    """Take some out and put others in: everything behind is shifted."""
    data = path.read_bytes()
    at, many = rng.randrange(len(data)), rng.randint(1, 9)
    overwrite(path, data[:at] + rng.randbytes(many) + data[at:])


def twice(path, rng, folder):
    overwrite(path, path.read_bytes() * 2)


def another(path, rng, folder):
    """The bytes of another file of the model."""
    others = [folder / name for name in files_of(folder) if (folder / name).read_bytes() != path.read_bytes()]
    overwrite(path, rng.choice(others).read_bytes())


def swapped(path, rng, folder):
    others = [p for p in path.parent.iterdir() if p.is_file() and p != path and p.parent == path.parent]
    if not others or path.name == "lifelong.json":
        return empty(path, rng, folder)
    other = rng.choice(others)
    one, two = path.read_bytes(), other.read_bytes()
    overwrite(path, two)
    overwrite(other, one)


def a_folder(path, rng, folder):
    path.unlink()
    path.mkdir()


def a_pipe(path, rng, folder):
    path.unlink()
    os.mkfifo(path)


def a_link_outside(path, rng, folder):
    """To the very same bytes, or to a file of the system."""
    data = path.read_bytes()
    outside = folder.parent / "outside"
    outside.write_bytes(data)
    path.unlink()
    path.symlink_to(rng.choice([outside, Path("/etc/passwd"), Path("/dev/zero"), path]))


def absent(path, rng, folder):
    path.unlink()


def a_pickle(path, rng, folder):
    overwrite(path, pickle.dumps(Canary(folder.parent / "canary")))


def a_torch_file(path, rng, folder):
    torch.save({"x": Canary(folder.parent / "canary")}, folder.parent / "x.pt")
    overwrite(path, (folder.parent / "x.pt").read_bytes())


def a_plain_safetensors(path, rng, folder):
    overwrite(path, save({"private/norm.weight": torch.ones(8)}))


def a_huge_header(path, rng, folder):
    overwrite(
        path, struct.pack("<Q", rng.choice([2**63, 2**40, 10**8, len(path.read_bytes())])) + path.read_bytes()[8:]
    )


def deep_json(path, rng, folder):
    overwrite(path, DEEP)


BLIND = [
    flip,
    truncate,
    extend,
    empty,
    zeros,
    move_bytes,
    twice,
    another,
    swapped,
    a_folder,
    a_pipe,
    a_link_outside,
    absent,
    a_pickle,
    a_torch_file,
    a_plain_safetensors,
    a_huge_header,
    deep_json,
]


# -- with right hashes: files of weights -------------------------------------------------------------------------------


def _weights(change):
    def harm(forged: Forged, rng: random.Random) -> None:
        task = rng.choice(forged.body["order"])
        tensors = unpack(forged.read(task, "weights"), "weights")
        change(tensors, rng)
        forged.replace(task, "weights", pack(tensors, {}, allow_nonfinite=True))

    harm.__name__ = f"weights_{change.__name__}"
    return harm


def _floating(tensors, rng):
    return rng.choice([name for name, value in tensors.items() if value.is_floating_point() and value.numel()])


def one_missing(tensors, rng):
    del tensors[rng.choice(sorted(tensors))]


def all_missing(tensors, rng):
    tensors.clear()


def one_more(tensors, rng):
    names = [
        "../../etc/x",
        "private/../x",
        "own/__class__",
        "own/head.output.extra",
        "claim/",
        "mask/items.weight.x",
        "",
    ]
    tensors[
        rng.choice([*names, "private/encoder.nowhere", "claim/encoder.norm.weight", "rows/encoder.norm.weight"])
    ] = torch.ones(3)


def renamed(tensors, rng):
    name = rng.choice(sorted(tensors))
    tensors[name + "x"] = tensors.pop(name)


def another_kind(tensors, rng):
    name = rng.choice(sorted(tensors))
    kinds = [k for k in ("private", "own", "claim", "mask", "rows", "left") if k != name.partition("/")[0]]
    tensors[f"{rng.choice(kinds)}/{name.partition('/')[2]}"] = tensors.pop(name)


def another_shape(tensors, rng):
    name = rng.choice(sorted(tensors))
    value = tensors[name]
    longer = torch.cat([value.flatten(), torch.ones(1, dtype=value.dtype)])
    shapes = [value[None], value[..., None], longer, value.flatten()[:-1], value.new_zeros(0), value.new_zeros(())]
    tensors[name] = rng.choice([s for s in shapes if s.shape != value.shape]).contiguous()


def another_type(tensors, rng):
    name = rng.choice(sorted(tensors))
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool, torch.uint8]
    tensors[name] = tensors[name].to(rng.choice([kind for kind in kinds if kind != tensors[name].dtype]))


def not_finite(tensors, rng):
    name = _floating(tensors, rng)
    value = tensors[name].clone().flatten()
    value[rng.randrange(len(value))] = rng.choice([float("nan"), float("inf"), -float("inf")])
    tensors[name] = value.view(tensors[name].shape)


def other_values(tensors, rng):
    """Everything fits but the numbers: only fingerprint and probes know."""
    name = _floating(tensors, rng)
    tensors[name] = tensors[name] + 0.5


def other_bits(tensors, rng):
    masks = sorted(name for name in tensors if name.startswith("mask/")) or sorted(tensors)[:1]
    name = rng.choice(masks)
    if tensors[name].dtype != torch.uint8:
        return one_missing(tensors, rng)
    tensors[name] = rng.choice([torch.zeros_like, lambda t: torch.full_like(t, 255), torch.bitwise_not])(tensors[name])


def a_header_twice(forged, rng):
    """One name twice: other readers take the last one."""
    task = rng.choice(forged.body["order"])
    data = forged.read(task, "weights")
    length = int.from_bytes(data[:8], "little")
    header, values = data[8 : 8 + length].rstrip(), data[8 + length :]
    name, entry = next((k, v) for k, v in json.loads(header).items() if k != "__metadata__")
    header = header[:-1] + b"," + json.dumps(name).encode() + b":" + json.dumps(entry).encode() + b"}"
    forged.replace(task, "weights", len(header).to_bytes(8, "little") + header + values)


def a_header_overlapping(forged, rng):
    """Two tensors of the same bytes, with the checksum right."""
    task = rng.choice(forged.body["order"])
    header, values = stored._split(forged.read(task, "weights"), "weights")
    names = [name for name in header if name != "__metadata__"]
    header[names[0]]["data_offsets"] = rng.choice(
        [[0, len(values) + 8], [-1, 8], [8, 0], list(header[names[-1]]["data_offsets"])]
    )
    header["__metadata__"]["sha256"] = stored._checksum(header, values)
    forged.replace(task, "weights", stored._header_bytes(header) + bytes(values))


WEIGHTS = [
    *map(
        _weights,
        (
            one_missing,
            all_missing,
            one_more,
            renamed,
            another_kind,
            another_shape,
            another_type,
            not_finite,
            other_values,
            other_bits,
        ),
    ),
    a_header_twice,
    a_header_overlapping,
]


# -- with right hashes: JSON -------------------------------------------------------------------------------------------

ODD = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    7,
    2**15,
    2**31,
    2**63,
    10**400,
    1.5,
    -0.0,
    1e308,
    "",
    "next",
    "nobody",
    "../../etc/passwd",
    "a\0b",
    "canary_of_a_model:Boom",
    "os:system",
    "\ud800",
    "x" * 5000,
    [],
    [[]],
    {},
    {"name": "canary_of_a_model:Boom"},
    {"sha256": "../../../etc/passwd", "bytes": 1},
]


def changed_somewhere(document, rng):
    """A copy with one value, at a random depth, replaced, taken out, doubled or put in another's place."""
    document = copy.deepcopy(document)
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return [document]
        key = rng.choice(keys)
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.85:
            place = place[key]
            continue
        break
    how = rng.randrange(6)
    if how == 0:
        del place[key]
    elif how == 1 and isinstance(place, list):
        place.append(copy.deepcopy(place[key]))
    elif how == 1:
        place[rng.choice(["extra", "__class__", "name", "sha256"])] = copy.deepcopy(place[key])
    elif how == 2:
        other = rng.choice(keys)
        place[key], place[other] = place[other], place[key]
    else:
        place[key] = copy.deepcopy(rng.choice(ODD))
    return document


def a_file_of_json(forged, rng):
    task, role = rng.choice(forged.body["order"]), rng.choice(["task", "catalogue", "items", "record"])
    document = changed_somewhere(json.loads(forged.read(task, role)) or ["x"], rng)
    forged.replace(task, role, json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def a_file_of_odd_json(forged, rng):
    task, role = rng.choice(forged.body["order"]), rng.choice(["task", "catalogue", "items", "record"])
    data = forged.read(task, role)
    odd = [
        DEEP,
        b"",
        b"null",
        b"NaN",
        b'"x"',
        b"[1e999]",
        data + b" ",
        b"\xff\xfe",
        b'{"a":1,"a":1}',
        b"[" + b"9" * 5000 + b"]",
    ]
    forged.replace(task, role, rng.choice([*odd, data.replace(b":", b": ", 1) if b":" in data else b"[NaN]"]))


def a_body(forged, rng):
    forged.document["body"] = changed_somewhere(forged.body, rng)


def an_entry(forged, rng):
    tasks = forged.body["tasks"]
    name = rng.choice(sorted(tasks))
    tasks[name] = changed_somewhere(tasks[name], rng)


def a_design(forged, rng):
    design = forged.body["design"]
    if rng.random() < 0.5:
        forged.body["design"] = changed_somewhere(design, rng)
    else:
        key = rng.choice(["width", "blocks", "heads", "hidden", "dropout"])
        design["options"][key] = rng.choice([*ODD, 3, 16, 10**5, 10**9])


def roles_swapped(forged, rng):
    files = forged.body["tasks"][rng.choice(forged.body["order"])]["files"]
    one, two = rng.sample(sorted(files), 2)
    files[one], files[two] = files[two], files[one]


def files_swapped(forged, rng):
    one, two = rng.sample(forged.body["order"], 2)
    role = rng.choice(["weights", "task", "catalogue", "items", "probes"])
    files = [forged.body["tasks"][name]["files"] for name in (one, two)]
    files[0][role], files[1][role] = files[1][role], files[0][role]


def the_order(forged, rng):
    order = forged.body["order"]
    rng.choice(
        [lambda: rng.shuffle(order), lambda: order.append(order[0]), order.pop, lambda: order.insert(0, "nobody")]
    )()


def a_parent(forged, rng):
    entry = forged.body["tasks"][rng.choice(forged.body["order"])]
    entry["parent"] = rng.choice([*forged.body["order"], None, "nobody", ""])


def a_number(forged, rng):
    entry = forged.body["tasks"][rng.choice(forged.body["order"])]
    entry[rng.choice(["owner", "rows", "first_row"])] = rng.choice(
        [0, -1, 1, 2, 3, 10, 10**6, 2**31 - 1, 2**40, 1.0, True]
    )


def a_head(forged, rng):
    """The task asks for another head, or for code of its own."""
    task = rng.choice(forged.body["order"])
    values = json.loads(forged.read(task, "task"))
    heads = [
        "regression",
        "user_vector",
        "canary_of_a_model:Boom",
        {"name": "next_item", "tied": False},
        {"name": "ordinal"},
    ]
    values[rng.choice(["head", "head", "objective", "strategy", "encoder"])] = rng.choice([*heads, *ODD[:20]])
    try:
        forged.replace(task, "task", canonical_json(values))
    except (ValueError, UnicodeEncodeError):
        forged.replace(task, "task", b"{}")


JSON = [
    a_file_of_json,
    a_file_of_odd_json,
    a_body,
    an_entry,
    a_design,
    roles_swapped,
    files_swapped,
    the_order,
    a_parent,
    a_number,
    a_head,
]


# -- with right hashes: the version itself -----------------------------------------------------------------------------


def another_format(document, rng):
    document[rng.choice(["format", "min_reader"])] = rng.choice([0, 2, 99, -1, 2**70, "1", None, 1.0, True])


def another_number(document, rng):
    document["v"] = rng.choice([0, 1, -3, 10**9, "5", None])


def another_parent(document, rng):
    document["parent"] = rng.choice(
        [None, {}, {"v": 1, "sha256": "0" * 64}, [], {"v": document["v"] - 1, "sha256": "0" * 64}]
    )


def another_field(document, rng):
    document[rng.choice(["op", "created", "body"])] = rng.choice([None, "../x", -1, [], 1.5, "", {}, {"tasks": {}}])


def a_field_less(document, rng):
    del document[rng.choice(sorted(document))]


def a_field_more(document, rng):
    document["__class__"] = "x"


VERSION = [another_format, another_number, another_parent, another_field, a_field_less, a_field_more]


def spelt_otherwise(text: bytes, rng) -> bytes:
    """The same document in another spelling, or one that says a thing twice."""
    return rng.choice(
        [
            text.replace(b":", b": ", 1),
            text.rstrip() + b"  \n",
            text[:-2] + b',"op":"add"}\n',
            DEEP,
            b"",
            b"\xff\n",
            text.replace(b'"op":"add"', b'"op":"\\u0061dd"'),
            text.replace(b'"created":', b'"created":1e999,"x":', 1),
        ]
    )


def forge(folder: Path, rng: random.Random) -> str:
    """Harm a copy of a model in a random way with right hashes; returns what was done."""
    forged = Forged(folder)
    family = rng.choice([WEIGHTS, WEIGHTS, JSON, JSON, JSON, VERSION, None])
    if family is None:
        forged.close_as(spelt_otherwise(body_bytes(forged.document), rng))
        return "spelt_otherwise"
    harm = rng.choice(family)
    harm(forged.document if family is VERSION else forged, rng)
    try:
        forged.close()
    except (ValueError, UnicodeEncodeError):  # JSON has no such number or text: it goes in as Python writes it
        forged.close_as(json.dumps(forged.document, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return harm.__name__
