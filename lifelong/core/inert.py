"""Pickles read as plain data: the opcodes are followed by hand, and nothing that a file names is ever imported or called.

A pickle is a program. This reader runs it on a stack of its own, where a name such as `torch.FloatStorage` stands for a maker
that the caller has allowed, a function of ours that gives plain data, and any other name ends the reading. torch's checkpoints
are read by lifelong/core/checkpoints.py; other files hand over their own makers.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifelong.core.errors import DataError

Maker = Callable[..., Any]
Name = tuple[str, str]
MAX_DEPTH = 100_000
"""Most values on the stack, and in the memo."""


@dataclass
class Record:
    """An object of a class that was allowed as a record: its name, what it was made of, and its attributes."""

    name: Name
    made_of: tuple[Any, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def record(module: str, name: str) -> dict[Name, Maker]:
    """An allowance for one class whose objects are to be read as a Record."""
    return {(module, name): lambda *made_of: Record((module, name), made_of)}


@dataclass(frozen=True)
class _Global:
    name: Name
    make: Maker


class _Mark:
    """Where a group of values on the stack begins."""


_MARK = _Mark()


def read_pickle(
    data: bytes,
    allowed: Mapping[Name, Maker],
    what: str,
    persistent: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """The value that a pickle builds, as plain data, and how many bytes of `data` it took.

    allowed: (module, name) -> what gives a plain value for the arguments that the pickle hands over. persistent: gives the
    value of an id that is kept outside of the pickle. `what` is what an error calls the file. Raises DataError for a name that
    is not allowed, an opcode that plain data do not need, and a pickle that is broken.
    """
    reader = _Reader(allowed, what, persistent)
    end = 0
    try:
        for opcode, argument, place in pickletools.genops(data):
            end = (place or 0) + 1
            reader.step(opcode.name, argument)
    except DataError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"{what}: a damaged pickle: {error or type(error).__name__}") from None
    return reader.result, end


class _Reader:
    """One pass over the opcodes of a pickle."""

    def __init__(self, allowed: Mapping[Name, Maker], what: str, persistent: Callable[[Any], Any] | None) -> None:
        self.allowed, self.what, self.persistent = allowed, what, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None

    def step(self, opcode: str, argument: Any) -> None:
        """Follow one opcode."""
        if opcode in _IGNORED:
            return
        if opcode in _CONSTANTS:
            self.push(_CONSTANTS[opcode]() if argument is None else argument)
        elif opcode in _VALUES:
            self.push(argument)
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise DataError(f"{self.what}: its pickle uses the opcode {opcode}, which plain data do not need; not read")

    def push(self, value: Any) -> None:
        """One more value on the stack."""
        if len(self.stack) >= MAX_DEPTH:
            raise DataError(f"{self.what}: its pickle piles up more than {MAX_DEPTH} values; not read")
        self.stack.append(value)

    def group(self) -> list[Any]:
        """What stands above the last mark, taken from the stack together with the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            if place == 0:
                raise ValueError("a group without a beginning")
            place -= 1
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def name(self, module: Any, name: Any) -> None:
        """A name stands for its maker, if it is allowed one."""
        make = self.allowed.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if make is None:
            raise DataError(f"{self.what}: its pickle asks for {module}.{name}, which is no plain data; not read")
        self.push(_Global((module, name), make))

    def call(self, arguments: Any) -> None:
        """What a name's maker gives for its arguments."""
        made = self.stack.pop()
        if not isinstance(made, _Global) or not isinstance(arguments, tuple):
            raise DataError(f"{self.what}: its pickle calls something that is no allowed name; not read")
        self.push(made.make(*arguments))

    def build(self, state: Any) -> None:
        """Attributes of a record; those of other values say nothing that is needed."""
        target = self.stack[-1]
        if isinstance(target, Record) and isinstance(state, dict):
            target.attributes.update(state)

    def outside(self, key: Any) -> None:
        """The value of an id that is kept outside of the pickle."""
        if self.persistent is None:
            raise DataError(f"{self.what}: its pickle refers to something outside of it; not read")
        self.push(self.persistent(key))


def _fill(reader: _Reader, values: list[Any]) -> None:
    target = reader.stack[-1]
    if not isinstance(target, list):
        raise ValueError("values are appended to what is no list")
    target.extend(values)


def _set(reader: _Reader, values: list[Any]) -> None:
    target = reader.stack[-1]
    if not isinstance(target, dict) or len(values) % 2:
        raise ValueError("keys are set in what is no mapping")
    target.update(zip(values[::2], values[1::2], strict=True))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _last(reader: _Reader, count: int) -> list[Any]:
    if len(reader.stack) < count:
        raise ValueError("the stack is empty")
    values = reader.stack[len(reader.stack) - count :]
    del reader.stack[len(reader.stack) - count :]
    return values


def _remember(reader: _Reader, place: int) -> None:
    if len(reader.memo) >= MAX_DEPTH * 10:
        raise DataError(f"{reader.what}: its pickle remembers too many values; not read")
    reader.memo[place] = reader.stack[-1]


def _finish(reader: _Reader) -> None:
    (reader.result,) = reader.stack


_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_STEPS: dict[str, Callable[[_Reader, Any], Any]] = {
    "TUPLE": lambda r, _: r.push(tuple(r.group())),
    "TUPLE1": lambda r, _: r.push(tuple(_last(r, 1))),
    "TUPLE2": lambda r, _: r.push(tuple(_last(r, 2))),
    "TUPLE3": lambda r, _: r.push(tuple(_last(r, 3))),
    "LIST": lambda r, _: r.push(r.group()),
    "DICT": lambda r, _: r.push(_pairs(r.group())),
    "APPEND": lambda r, _: _fill(r, _last(r, 1)),
    "APPENDS": lambda r, _: _fill(r, r.group()),
    "SETITEM": lambda r, _: _set(r, _last(r, 2)),
    "SETITEMS": lambda r, _: _set(r, r.group()),
    "PUT": lambda r, place: _remember(r, place),
    "BINPUT": lambda r, place: _remember(r, place),
    "LONG_BINPUT": lambda r, place: _remember(r, place),
    "MEMOIZE": lambda r, _: _remember(r, len(r.memo)),
    "GET": lambda r, place: r.push(r.memo[place]),
    "BINGET": lambda r, place: r.push(r.memo[place]),
    "LONG_BINGET": lambda r, place: r.push(r.memo[place]),
    "GLOBAL": lambda r, name: r.name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda r, _: r.name(*_last(r, 2)),
    "REDUCE": lambda r, _: r.call(_last(r, 1)[0]),
    "NEWOBJ": lambda r, _: r.call(_last(r, 1)[0]),
    "BUILD": lambda r, _: r.build(_last(r, 1)[0]),
    "BINPERSID": lambda r, _: r.outside(_last(r, 1)[0]),
    "POP": lambda r, _: _last(r, 1),
    "STOP": lambda r, _: _finish(r),
}
