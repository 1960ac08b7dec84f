"""What Amazon's files say of a product: a JSON object a line (2018, 2023) or a Python one (2014), cleaned as UniSRec does."""

import ast
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifelong.core.errors import DataError
from lifelong.data.datasets.downloads.tables import first_of_each
from lifelong.data.formats.base import pieces

LONGEST = 2000
"""So many characters of a field, or more, are no text of use (UniSRec): there are pages of script among them."""
LONGEST_LINE = 1 << 20
KEYS: dict[str, tuple[str, ...]] = {
    "id": ("asin", "parent_asin"),
    "title": ("title",),
    "category": ("category", "categories"),
    "brand": ("brand", "store"),
}
"""Our field -> its names, one for each release."""


def read_meta(path: Path) -> pa.Table:
    """id, title, category, brand; the first line of an id counts. Raises DataError for a line that is no object."""
    found: dict[str, list[str | None]] = {name: [] for name in KEYS}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        product = _product(line, f"{path}: line {number}")
        for name, keys in KEYS.items():
            value = next((product[key] for key in keys if product.get(key) is not None), None)
            found[name].append(clean(value) if name != "id" else None if value is None else str(value))
    return first_of_each(pa.table({name: pa.array(values, pa.string()) for name, values in found.items()}))


def clean(value: Any) -> str | None:
    """A field as text that ends in one dot, None where nothing is left (UniSRec, Hou et al., KDD 2022, its preprocessing).

    Lists are joined by spaces, entities of HTML and quotes and line ends resolved; a field of LONGEST characters or more is
    none. Where we leave it: a missing field stays missing, and is no lone dot.

    >>> clean(["Arts", "Q&amp;A..."])
    'Arts Q&A.'
    """
    text = re.sub(r'["\n\r]', "", html.unescape(" ".join(_flat(value)))).strip().rstrip(".")
    return None if not text or len(text) + 1 >= LONGEST else f"{text}."


def _flat(value: Any) -> Iterator[str]:
    """The texts of a value; 2014 has lists of lists of categories."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
    elif isinstance(value, Mapping):
        yield from _flat(list(value.values()))
    elif value is not None:
        yield str(value)


def _product(line: str, where: str) -> Mapping[str, Any]:
    try:
        product = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        product = _written_by_python(line, where)
    if not isinstance(product, Mapping):
        raise DataError(f"{where}: {line!r:.60} is no object in braces")
    return product


def _written_by_python(line: str, where: str) -> Any:
    """A line of 2014: a dict as Python writes it, read as a literal and never run."""
    if len(line) > LONGEST_LINE:
        raise DataError(f"{where}: is longer than {LONGEST_LINE} characters")
    try:
        return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise DataError(f"{where}: {line!r:.60} is neither JSON nor a Python dict") from None


def _lines(path: Path) -> Iterator[str]:
    for piece in pieces(path, "jsonl"):
        try:
            yield from piece.decode().removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            raise DataError(f"{path}: is not UTF-8") from None
