"""What a version's body and a task's files must hold before any of it is believed: a right hash proves no sense.

Whoever can write into a model's folder can also write the hashes. These checks see to it that such a file ends in an error that
names it, never in a crash, in memory that is not there, or in a model that answers with something else.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lifelong.continual.bank import Bank
from lifelong.continual.site import LEFT
from lifelong.continual.view import View, grows
from lifelong.core import registry
from lifelong.core.config import build
from lifelong.core.errors import ConfigError, ModelCorrupt
from lifelong.core.fingerprint import canonical_json
from lifelong.model.network import Design, TaskNet
from lifelong.model.task import Task
from lifelong.store.documents import OBJECT_FILE
from lifelong.store.names import check_name

BODY = "the version's body"
ROLES = ("weights", "task", "catalogue", "items", "record", "probes")
_FIELDS = {"alone": bool, "parts": dict, "files": dict, "identity": str, "fingerprint": str, "stack": dict}
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SPECS = ("head", "strategy", "objective", "encoder")
MOST_OWNERS = 2**15 - 1
MOST_EVENTS = 10_000
MOST_CHUNK = 4_096
MOST_OPTION, MOST_LAYERS = 65_536, 1_024
ROOM = 1_000_000
NUMBERS_A_BYTE = 1_024
"""A file of weights stands for at most so many numbers a byte, and ROOM beside: a bit mask stands for eight, a table of which
one row in a thousand is kept for a few hundred. So a small file cannot ask for much memory."""

Kinds = dict[str, dict[str, Tensor]]
"""Kind of a stored tensor (private, own, claim, mask, rows) -> name -> values."""


def check_body(body: Any) -> None:
    """Raises ModelCorrupt unless there are a design, an order, and for every task in it an entry of the right form."""
    order, tasks = _of(body, "order", list), _of(body, "tasks", dict)
    _of(body, "design", dict)
    if not order or len({str(name) for name in order}) != len(order) or {str(name) for name in order} != tasks.keys():
        raise ModelCorrupt(f"{BODY}: order is {order!r:.80}, it must name each task once")
    owners: set[int] = set()
    for place, name in enumerate(order):
        try:
            check_name(name)
        except ConfigError as error:
            raise ModelCorrupt(f"{BODY}: {error}") from None
        _check_entry(tasks[name], f"tasks.{name}", order[:place])
        owners.add(tasks[name]["owner"])
    if len(owners) != len(order):
        raise ModelCorrupt(f"{BODY}: two tasks own weights under one number")


def _check_entry(entry: Any, where: str, before: list[str]) -> None:
    parent = _of(entry, "parent", str, where) if entry_has(entry, "parent") else None
    if not isinstance(entry, Mapping) or "parent" not in entry:
        raise ModelCorrupt(f"{BODY}: {where}: does not say which task is its parent")
    if (parent is None) == bool(before) or (before and parent not in before):
        raise ModelCorrupt(f"{BODY}: {where}: parent is {parent!r:.80}, it must be a task before it")
    for key, least, most in (("owner", 1, MOST_OWNERS), ("rows", 1, 2**31 - 1), ("first_row", 0, 2**31 - 1)):
        if not least <= _of(entry, key, int, where) <= most:
            raise ModelCorrupt(f"{BODY}: {where}: {key} is {entry[key]!r:.40}, it must lie in {least} to {most}")
    if entry["first_row"] > entry["rows"] or (parent is None and entry["first_row"] != 1):
        raise ModelCorrupt(f"{BODY}: {where}: first_row is {entry['first_row']}, and its rows end at {entry['rows']}")
    for key, kind in _FIELDS.items():
        _of(entry, key, kind, where)
    if "encoding" in entry["files"]:
        _of(entry, "item_parts", dict, where)
    for role in (*ROLES, *entry["files"]):
        reference = _of(entry["files"], role, dict, f"{where}.files")
        sha256, size = (reference.get(key) for key in ("sha256", "bytes"))
        if reference.keys() != {"sha256", "bytes"} or not OBJECT_FILE.fullmatch(str(sha256)) or type(size) is not int:
            raise ModelCorrupt(f"{BODY}: {where}.files.{role} is no reference to an object")


def entry_has(entry: Any, key: str) -> bool:
    """Whether there is a value that is not null."""
    return isinstance(entry, Mapping) and entry.get(key) is not None


def _of(mapping: Any, key: str, kind: type, where: str = "") -> Any:
    value = mapping.get(key) if isinstance(mapping, Mapping) else None
    if type(value) is not kind:
        raise ModelCorrupt(f"{BODY}: {where}{'.' if where else ''}{key} is {value!r:.80}, it must be a {kind.__name__}")
    return value


def checked_design(body: Mapping[str, Any], stored: int) -> tuple[Design, TaskNet]:
    """The design of a body and its trunk without values (meta), where `stored` bytes of weights can fill it.

    Raises ModelCorrupt, or ConfigError for an option that no encoder of this release has.
    """
    design = build(Design, body["design"], f"{BODY}: design")
    for name, least, most in (("length", 1, MOST_EVENTS), ("past", 0, MOST_EVENTS), ("chunk", 1, MOST_CHUNK)):
        if not least <= getattr(design, name) <= most:
            raise ModelCorrupt(f"{BODY}: design.{name} is {getattr(design, name)}, it must lie in {least} to {most}")
    for name, value in {**design.options, **(design.longterm or {})}.items():
        most = MOST_LAYERS if name in ("blocks", "layers") else MOST_OPTION
        parts = value if isinstance(value, (list, tuple)) else [value]
        if len(parts) > MOST_LAYERS or any(isinstance(part, int) and abs(part) > most for part in parts):
            raise ModelCorrupt(f"{BODY}: design: {name} is {value!r:.40}, more than an encoder has")
    with torch.device("meta"):
        trunk = TaskNet(design, 1, None)
    check_room(sum(p.numel() for p in trunk.parameters()), stored, f"{BODY}: design")
    return design, trunk


def check_room(numbers: int, stored: int, where: str) -> None:
    """Raises ModelCorrupt where so many numbers cannot come out of `stored` bytes."""
    if numbers > ROOM + NUMBERS_A_BYTE * stored:
        raise ModelCorrupt(f"{where}: asks for {numbers} numbers, and its tasks have stored {stored} bytes")


def checked_json(data: bytes, where: str) -> Any:
    """The document in a file's bytes. Raises ModelCorrupt for anything but the one spelling that is written."""
    try:
        document = json.loads(data)
        if canonical_json(document) == data:
            return document
    except (ValueError, RecursionError):
        raise ModelCorrupt(f"{where}: is no JSON") from None
    raise ModelCorrupt(f"{where}: is not spelt as lifelong writes it")


def checked_names(document: Any, where: str) -> list[str]:
    """A list of different texts: items or classes. Raises ModelCorrupt."""
    if not isinstance(document, list) or not all(type(name) is str for name in document):
        raise ModelCorrupt(f"{where}: is no list of texts")
    if len(set(document)) != len(document):
        raise ModelCorrupt(f"{where}: names one thing twice")
    try:
        "".join(document).encode()
    except UnicodeEncodeError:
        raise ModelCorrupt(f"{where}: holds text that is no Unicode") from None
    return document


def checked_task(document: Any, name: str, where: str) -> Task:
    """The task of that name. Raises ModelCorrupt."""
    try:
        task = Task.from_values(document if isinstance(document, dict) else {}, where)
    except ConfigError as error:
        raise ModelCorrupt(str(error)) from None
    if task.name != name:
        raise ModelCorrupt(f"{where}: is of task {task.name!r:.80}, not {name!r}")
    for option in _SPECS:
        spec = getattr(task, option)
        named = spec.get("name") if isinstance(spec, dict) else spec
        if not isinstance(named, str) and (spec is not None or option in ("head", "strategy")):
            raise ModelCorrupt(f"{where}: {option} is {spec!r:.80}, it must name one")
    return task


def checked_probes(golden: Mapping[str, Tensor], length: int, rows: int, where: str) -> dict[str, Tensor]:
    """The golden probes of a task. Raises ModelCorrupt where nobody could be asked them."""
    windows = golden.get("windows")
    values = [golden[key] for key in ("users", "scores") if key in golden]
    fits = len(values) == 2 and windows is not None and windows.dtype == torch.int64 and windows.dim() == 2
    if not fits or windows is None or windows.shape[1] != length or not windows.numel():
        raise ModelCorrupt(f"{where}: are no probes of this task")
    fits = all(v.dtype == torch.float32 and v.dim() == 2 and len(v) == len(windows) for v in values)
    if not fits or not 0 <= int(windows.min()) <= int(windows.max()) < rows:
        raise ModelCorrupt(f"{where}: are no probes of this task")
    return dict(golden)


def check_names(task: Task) -> None:
    """Raises ConfigError where a task out of a stored model names a class of a module that the program has not imported itself.

    For whoever is about to look up more than the head: to open a model and ask it needs none of these.
    """
    metrics = [str(metric).partition("@")[0] for metric in task.metrics or []]
    named = {
        "datasets": [task.data.dataset],
        "strategies": [task.strategy],
        "objectives": [task.objective],
        "metrics": metrics,
    }
    for kind, specs in named.items():
        for name in _classes(specs):
            registry.find(kind, name, outside=False)


def _classes(spec: Any) -> Iterator[str]:
    """Every text in a spec that is spelt as `package.module:Class`."""
    if isinstance(spec, str) and _CLASS.fullmatch(spec):
        yield spec
    parts = spec.values() if isinstance(spec, Mapping) else spec if isinstance(spec, list) else ()
    for part in parts:
        yield from _classes(part)


def checked_record(document: Any, where: str) -> dict[str, Any]:
    """What is told of a training. Raises ModelCorrupt where what others read of it is missing."""
    for key, kind in (("seconds", (int, float)), ("trained", int), ("data", str), ("curve", list)):
        if not isinstance(document, dict) or not isinstance(document.get(key), kind):
            raise ModelCorrupt(f"{where}: {key} is missing or no {kind}")
    return dict(document)


def sorted_out(tensors: Mapping[str, Tensor], trunk: TaskNet, bank: Bank, view: View, where: str) -> Kinds:
    """The tensors of a weights file by kind. Raises ModelCorrupt for a name, dtype or shape that does not belong there."""
    kinds: Kinds = {"private": {}, "own": {}, "claim": {}, "mask": {}, "rows": {}}
    parameters = dict(trunk.named_parameters())
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        fits = _CHECKS.get(kind)
        if fits is None or not fits(name, value, parameters, bank, view):
            is_ = f"{value.dtype} {tuple(value.shape)}"
            raise ModelCorrupt(f"{where}: a tensor {key!r:.80}, {is_}, does not belong to this model")
        kinds[kind][name] = value
    masked = kinds["claim"].keys() | {name for name in kinds["rows"] if name in kinds["mask"]}
    if masked != kinds["mask"].keys():
        raise ModelCorrupt(f"{where}: masks and claims do not belong together")
    view.private = kinds["private"]
    for name, parameter in parameters.items():
        if parameter.dim() < 2 and view.private_value(name) is None:
            raise ModelCorrupt(f"{where}: {name} is missing, and no parent has it")
    return kinds


Check = Callable[[str, Tensor, Mapping[str, Tensor], Bank, View], bool]


def _private(name: str, value: Tensor, parameters: Mapping[str, Tensor], bank: Bank, view: View) -> bool:
    like = parameters.get(name.removeprefix(LEFT))
    if like is None or value.dtype != torch.float32:
        return False
    return value.shape == ((view.rows, like.shape[1]) if grows(name) else like.shape)


def _claim(name: str, value: Tensor, parameters: Mapping[str, Tensor], bank: Bank, view: View) -> bool:
    return name in bank.values and name not in bank.tables and value.dtype == torch.float32 and value.dim() == 1


def _mask(name: str, value: Tensor, parameters: Mapping[str, Tensor], bank: Bank, view: View) -> bool:
    if name not in bank.values or (name in bank.tables and not grows(name)):
        return False
    bits = view.rows if grows(name) else bank.values[name].numel()
    spare = -bits % 8
    if value.dtype != torch.uint8 or value.shape != ((bits + spare) // 8,):
        return False
    return not spare or not int(value[-1]) & ((1 << spare) - 1)


def _rows(name: str, value: Tensor, parameters: Mapping[str, Tensor], bank: Bank, view: View) -> bool:
    if name not in bank.tables or value.dtype != torch.float32 or value.dim() != 2:
        return False
    like = bank.values[name]
    return value.shape[1] == like.shape[1] if grows(name) else value.shape == like.shape


_CHECKS: dict[str, Check] = {
    "private": _private,
    "own": lambda name, value, parameters, bank, view: True,  # compared with head and parts when they are made
    "claim": _claim,
    "mask": _mask,
    "rows": _rows,
}
