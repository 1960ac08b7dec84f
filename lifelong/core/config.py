"""YAML and JSON to frozen dataclasses and back: strict keys, checked types, near-miss suggestions."""

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml

from lifelong.core.errors import ConfigError

T = TypeVar("T")
MAX_YAML_BYTES = 1_000_000


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make the dataclass `cls` from plain values; `where` is what an error message calls the place.

    Nested dataclasses, `X | None`, `list[X]`, `dict[str, X]`, `Literal` are understood; an int is accepted for a float, and no
    float may be infinite or NaN. Raises ConfigError for an unknown or missing key, a wrong type, or what the class's own
    __post_init__ refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a mapping of options, found {_show(values)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{where}: there is no option {key!r}{suggest(str(key), fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{where}: option {name!r} is missing")
    hints = typing.get_type_hints(cls)
    made = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()}
    try:
        return cls(**made)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def need(options: Any, option: str, fits: bool, what: str) -> None:
    """For __post_init__: raises ValueError, which says what an option must do and what it is, unless it fits."""
    if not fits:
        raise ValueError(f"{option} is {getattr(options, option)}, it must {what}")


def plain(config: Any) -> Any:
    """A dataclass (or anything built of them) as plain dicts, lists and scalars, ready for JSON or YAML."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(k): plain(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [plain(v) for v in config]
    return config


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a dict. Raises ConfigError (file and line) for anything but one mapping of unique keys."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(text) > MAX_YAML_BYTES:
        raise ConfigError(f"{path}: {len(text)} characters; a configuration has at most {MAX_YAML_BYTES}")
    try:
        values = _parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_yaml_problem(error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of options, found {_show(values)}")
    return values


def parse_setting(text: str) -> tuple[list[str], Any]:
    """`a.b=value` from the command line as (["a", "b"], value), the value read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: write it as key=value, for instance fit.epochs=5")
    try:
        return key.strip().split("."), _parse(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: {_yaml_problem(error)}") from None


def override(values: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """`values` with each `a.b=value` of `settings` put in place; the input is not changed."""
    values = json.loads(json.dumps(values))
    for setting in settings:
        keys, value = parse_setting(setting)
        place = values
        for key in keys[:-1]:
            if not isinstance(place.get(key), dict):
                place[key] = {} if place.get(key) is None else {"name": place[key]}
            place = place[key]
        place[keys[-1]] = value
    return values


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for a near miss, else the list of what there is."""
    known = sorted(known)
    if near := near_miss(word, known):
        return f"; did you mean {near!r}?"
    return f"; there is: {', '.join(known)}" if known else ""


def _parse(text: str) -> Any:
    loader = _StrictLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses duplicate keys, aliases (bombs) and keys that are no strings."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"the key {key!r} is no text; write it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in mapping:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping

    def construct_date(self, node: yaml.ScalarNode) -> str:
        """The text that it is: JSON has no dates."""
        return str(node.value)


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _StrictLoader.construct_mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _StrictLoader.construct_date)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        _check_finite(value, where)
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where}: {_show(value)} is not one of {', '.join(map(str, args))}")
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where)  # type: ignore[arg-type]
    if origin in (list, tuple):
        return _convert_sequence(origin, args, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a mapping, found {_show(value)}")
        return {k: _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    problem: ConfigError | None = None
    for option in (a for a in args if a is not type(None)):
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            problem = error
    raise problem or ConfigError(f"{where}: {_show(value)} does not fit")


def _convert_sequence(origin: Any, args: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: expected a list, found {_show(value)}")
    return origin(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))


def _convert_scalar(hint: type, value: Any, where: str) -> Any:
    if hint is float and (type(value) is int or isinstance(value, str)):  # YAML reads 1e-3 (no dot) as text
        value = _as_float(value, where)
    if type(value) is not hint:
        raise ConfigError(f"{where}: expected {_type_name(hint)}, found {_show(value)}")
    _check_finite(value, where)
    return value


def _as_float(value: int | str, where: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{where}: expected a float, found {_show(value)}") from None
    except OverflowError:
        raise ConfigError(f"{where}: the number is too large; write one below 1e308") from None


def _check_finite(value: Any, where: str) -> None:
    """Raises ConfigError for a float that is infinite or NaN, however deep in plain values it stands."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} is {value}; write a finite number")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            _check_finite(inner, f"{where}[{place}]")


def _type_name(hint: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, hint.__name__)


def _show(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    at = f"line {mark.line + 1}: " if mark else ""
    return f"{at}{getattr(error, 'problem', None) or 'not valid YAML'}"
