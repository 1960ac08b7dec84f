"""Formats of a model's files: the steps from each to the next, and reading a model of an older one through them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lifelong.core.errors import Unsupported
from lifelong.store import documents
from lifelong.store.store import Reference, Store, Version

Body = dict[str, Any]
Step = Callable[[Body, Store], Body]
"""The body of the next format out of one of this. It reads objects from the store and puts there what it writes again; it
takes every value from what is there, and raises where it is not, rather than choose one."""

STEPS: dict[int, Step] = {}
"""Format -> what leads from it to the next. There is one released format so far, so there is no step."""


class ReadOnly(Store):
    """The store of a model of an older format: what steps put stays in memory, and nothing is committed."""

    def __init__(self, store: Store, found: int) -> None:
        super().__init__(store.path, store.lineage, store.files)
        self.found = found
        self._memory: dict[Reference, bytes] = {}

    def put(self, data: bytes) -> Reference:
        """Keep the bytes in memory."""
        reference = Reference(hashlib.sha256(data).hexdigest(), len(data))
        self._memory[reference] = data
        return reference

    def get(self, reference: Reference) -> bytes:
        """The bytes, from memory or from the folder."""
        return self._memory[reference] if reference in self._memory else super().get(reference)

    def commit(self, body: Mapping[str, Any], op: str, parent: Version | None, created: int) -> Version:
        """Raises Unsupported."""
        raise self.refusal()

    @contextmanager
    def writing(self, wait: float = 300.0) -> Iterator[None]:
        """Raises Unsupported."""
        raise self.refusal()
        yield  # what makes it a generator

    def refusal(self) -> Unsupported:
        """The error of who would write."""
        return Unsupported(
            f"{self.path}: is of format {self.found}, which this release only reads; it writes format {documents.FORMAT}. Run "
            f"`lifelong migrate {self.path}` first"
        )


def readable(store: Store, version: Version) -> tuple[Store, Version]:
    """The same two where the version is of this release's format; else a store that only reads, and the version in it.

    Raises Unsupported where no step leads on from the version's format.
    """
    if version.format == documents.FORMAT:
        return store, version
    reading = ReadOnly(store, version.format)
    return reading, replace(version, body=stepped(version, reading), format=documents.FORMAT)


def stepped(version: Version, store: Store) -> Body:
    """The version's body in this release's format; what the steps write goes into `store`."""
    body = version.body
    for number in range(version.format, documents.FORMAT):
        if number not in STEPS:
            raise Unsupported(
                f"{store.path}: version {version.number} is of format {number}; no step leads on from it in this release"
            )
        body = STEPS[number](body, store)
    return body


def need_current(store: Store) -> None:
    """Raises Unsupported for a model that was opened out of an older format, before any work is done for nothing."""
    if isinstance(store, ReadOnly):
        raise store.refusal()
