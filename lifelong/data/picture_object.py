"""Reads one kind of Python object, a stored picture, out of the bytes of a serialiser, without being able to run anything.

The serialiser's format is a program for a stack machine. The one here knows the operations that an object of one class with
four attributes needs (protocols 3 to 5, those of Python 3) and no other: none that calls, imports or builds. The class is a
name that is compared.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifelong.core.errors import DataError

CLASS = "LMDB_Image"
"""The only name of a class that may stand in the bytes, whatever module it is said to be from."""
ATTRIBUTES = ("channels", "size", "image", "id")
MOST_STEPS = 200
"""Such an object takes about thirty operations; so many are no such object."""


@dataclass(frozen=True)
class StoredPicture:
    """What an object held: raw bytes and, as far as they were told, (height, width), channels and the item's id."""

    image: bytes
    size: tuple[int, int] | None = None
    channels: int | None = None
    id: str | int | None = None


class _Mark:
    """Where a list of values begins on the stack."""


class _Class:
    """The allowed class: a name, nothing that could be made."""


class _Object:
    """One object of the allowed class, and its attributes."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}


class _NotAllowed(Exception):
    """What was found in the bytes and is no part of a stored picture."""


def stored_picture(data: bytes, where: str) -> StoredPicture:
    """The object in the bytes. Raises DataError, which begins with `where`, for anything that is not exactly one picture."""
    try:
        found = _Machine(data).run()
        return _checked(found)
    except _NotAllowed as problem:
        raise DataError(f"{where}: is no stored picture: {problem}; nothing of it was run") from None


def _checked(found: Any) -> StoredPicture:
    if not isinstance(found, _Object):
        raise _NotAllowed(f"it holds no {CLASS}")
    attributes = found.attributes
    unknown = [name for name in attributes if name not in ATTRIBUTES]
    if unknown:
        raise _NotAllowed(f"it has an attribute {unknown[0]!r:.40}")
    image, size, channels = (attributes.get(name) for name in ("image", "size", "channels"))
    if not isinstance(image, bytes):
        raise _NotAllowed("its image is no bytes")
    if size is not None and not (type(size) is tuple and len(size) == 2 and all(type(n) is int for n in size)):
        raise _NotAllowed("its size is no pair of numbers")
    if channels is not None and type(channels) is not int:
        raise _NotAllowed("its channels are no number")
    if not isinstance(attributes.get("id"), (str, int, type(None))):
        raise _NotAllowed("its id is neither text nor a number")
    return StoredPicture(image, size, channels, attributes.get("id"))


class _Machine:
    """The stack machine. Values are numbers, text, bytes, tuples, dicts, the class and objects of it; so are memoised ones."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1 or self.at != len(self.data):
                    raise _NotAllowed("something stands before its end or behind it")
                return self.stack.pop()
            step = STEPS.get(code)
            if step is None:
                raise _NotAllowed(f"operation {code!r} is not allowed")
            step(self)
        raise _NotAllowed(f"it has more than {MOST_STEPS} operations")

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise _NotAllowed("it ends too early")
        self.at += count
        return part

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 200)
        if end < 0:
            raise _NotAllowed("a name does not end")
        part = self.take(end - self.at + 1)[:-1]
        return _text(part)

    def pop(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise _NotAllowed(f"there is no {kind.__name__.strip('_')} where one is needed")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        places = [n for n, value in enumerate(self.stack) if isinstance(value, _Mark)]
        if not places:
            raise _NotAllowed("a mark is missing")
        values = self.stack[places[-1] + 1 :]
        del self.stack[places[-1] :]
        return values

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise _NotAllowed("a tuple is too short")
        values = [self.pop(int) for _ in range(count)][::-1]
        self.stack.append(tuple(values))

    def name_class(self, name: str) -> None:
        if name != CLASS:
            raise _NotAllowed(f"it names {name!r:.60}")
        self.stack.append(_Class())

    def make_object(self) -> None:
        if self.pop(tuple) != ():
            raise _NotAllowed("its class is given something")
        self.pop(_Class)
        self.stack.append(_Object())

    def build(self) -> None:
        attributes = self.pop(dict)
        made = self.stack[-1] if self.stack else None
        if not isinstance(made, _Object) or made.attributes:
            raise _NotAllowed("attributes without an object")
        made.attributes = attributes

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2 or not self.stack or type(self.stack[-1]) is not dict:
            raise _NotAllowed("attributes are no pairs")
        for name, value in zip(values[::2], values[1::2], strict=True):
            if type(name) is not str or type(value) not in (int, str, bytes, tuple, type(None)):
                raise _NotAllowed("an attribute is neither a number, text, bytes nor a tuple")
            self.stack[-1][name] = value

    def remember(self, place: int) -> None:
        if not self.stack:
            raise _NotAllowed("nothing is there to be remembered")
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        if type(self.memo.get(place)) not in (int, str, bytes, tuple):
            raise _NotAllowed("it asks for what is not there")
        self.stack.append(self.memo[place])


def _text(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError:
        raise _NotAllowed("text that is not UTF-8") from None


def _long(machine: _Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(min(machine.number("<B"), 9)), "little", signed=True))


def _named_on_stack(machine: _Machine) -> None:
    name = machine.pop(str)
    machine.pop(str)
    machine.name_class(name)


def _named_in_lines(machine: _Machine) -> None:
    machine.line()
    machine.name_class(machine.line())


def _protocol(machine: _Machine) -> None:
    if machine.number("<B") > 5:
        raise _NotAllowed("its protocol is above 5")


def _frame(machine: _Machine) -> None:
    machine.take(8)  # how long a piece is that could be read at once


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _numbers(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: machine.number(form))


def _texts(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: _text(machine.take(machine.number(form))))


def _raw(form: str) -> Callable[[_Machine], None]:
    return _push(lambda machine: machine.take(machine.number(form)))


STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"c": _named_in_lines,
    b"\x93": _named_on_stack,
    b"\x81": lambda machine: machine.make_object(),
    b"b": lambda machine: machine.build(),
    b"}": _push(lambda machine: {}),
    b"(": _push(lambda machine: _Mark()),
    b")": lambda machine: machine.tuple_of(0),
    b"\x86": lambda machine: machine.tuple_of(2),
    b"u": lambda machine: machine.set_items(machine.since_mark()),
    b"s": lambda machine: machine.set_items([machine.stack.pop() for _ in machine.stack[-2:]][::-1]),
    b"K": _numbers("<B"),
    b"M": _numbers("<H"),
    b"J": _numbers("<i"),
    b"\x8a": _long,
    b"N": _push(lambda machine: None),
    b"X": _texts("<I"),
    b"\x8c": _texts("<B"),
    b"C": _raw("<B"),
    b"B": _raw("<I"),
    b"\x8e": _raw("<Q"),
    b"\x94": lambda machine: machine.remember(len(machine.memo)),
    b"q": lambda machine: machine.remember(machine.number("<B")),
    b"r": lambda machine: machine.remember(machine.number("<I")),
    b"h": lambda machine: machine.recall(machine.number("<B")),
    b"j": lambda machine: machine.recall(machine.number("<I")),
}
"""Operation -> what it does; any other is refused."""
