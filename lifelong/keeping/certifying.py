"""Asking every task in every version anew, in fresh processes, and comparing bit for bit with what was sealed.

`python -m lifelong.keeping.certifying FOLDER THREADS VERSION …` is one of these processes; the last of the versions is asked in
requests of every size, the others in one.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.asking.inference import Answering
from lifelong.core.fingerprint import changed_values, numeric_stack, tensors_hash
from lifelong.core.progress import Progress
from lifelong.keeping.checkpoint import Loaded, load, read_probes
from lifelong.keeping.formats import readable
from lifelong.keeping.sealing import (
    PROBES,
    REQUEST_SIZES,
    THREADS,
    answering_of,
    answers,
    fingerprint,
    largest_difference,
)
from lifelong.keeping.verification import in_fresh_process
from lifelong.store.store import Store


@dataclass(frozen=True)
class Asking:
    """What came of asking one task of one version with so many threads.

    asked: (size of a request, values compared, values changed) for each size. On another numeric stack than that of the sealing
    `difference` is the largest from the sealed values, `close` whether all lie within the tolerance, and what is compared bit
    for bit is one way of asking with another.
    """

    version: int
    task: str
    threads: int
    fingerprint: str
    asked: list[tuple[int, int, int]]
    answers: str
    same_stack: bool = True
    difference: float = 0.0
    close: bool = True


def ask_anew(store: Store, numbers: Sequence[int], progress: Progress) -> list[Asking]:
    """Every task of the versions with these numbers, by a fresh process for each number of threads."""
    found: list[Asking] = []
    for threads in THREADS:
        progress.say(f"asking {len(numbers)} versions anew, in a fresh process with {threads} threads")
        said = in_fresh_process(
            "lifelong.keeping.certifying", str(store.path.resolve()), str(threads), *(str(number) for number in numbers)
        )
        found += [Asking(**row) for row in json.loads(said)]
    return found


def ask_versions(store: Store, threads: int, numbers: Sequence[int]) -> Iterator[Asking]:
    """Every task of the versions, in this process with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for number in numbers:
            sizes = REQUEST_SIZES if number == numbers[-1] else (PROBES,)
            reading, version = readable(store, store.version(number))
            loaded = load(reading, version.body)
            for name, entry in version.body["tasks"].items():
                yield _ask(reading, loaded, number, name, entry, sizes, threads)
    finally:
        torch.set_num_threads(before)


def problems_of(askings: Sequence[Asking], entries: dict[tuple[int, str], dict[str, Any]]) -> list[str]:
    """What is not as it was sealed; entries: (version, task) -> what the version says of the task."""
    problems: list[str] = []
    digests: dict[tuple[int, str], str] = {}
    for asking in askings:
        where = f"task {asking.task} in version {asking.version}"
        if asking.fingerprint != entries[asking.version, asking.task]["fingerprint"]:
            problems.append(f"{where}: the rendered weights are not those that were sealed")
        for size, compared, changed in asking.asked:
            if changed:
                how = f"asked {size} at a time with {asking.threads} threads"
                problems.append(f"{where}: {changed} of {compared} probe values differ, {how}")
        if not asking.close:
            problems.append(f"{where}: answers differ by up to {asking.difference:.1e}, beyond the tolerance")
        if digests.setdefault((asking.version, asking.task), asking.answers) != asking.answers:
            problems.append(f"{where}: {asking.threads} threads give other answers than {THREADS[0]}")
    return list(dict.fromkeys(problems))


def _ask(
    store: Store,
    loaded: Loaded,
    number: int,
    name: str,
    entry: dict[str, Any],
    sizes: Sequence[int],
    threads: int,
) -> Asking:
    answering = answering_of(loaded, name)
    golden = read_probes(store, entry, answering.length)
    whole = answers(answering, golden["windows"], PROBES)
    same = entry["stack"] == numeric_stack()
    difference, close = (0.0, True) if same else largest_difference(golden, answering)
    reference = golden if same else {**golden, **whole}
    asked = [(size, *_compared(reference, whole if size == PROBES else None, answering, size)) for size in sizes]
    print_of = fingerprint(answering.net)
    return Asking(number, name, threads, print_of, asked, tensors_hash(whole), same, difference, close)


def _compared(
    reference: dict[str, Tensor], given: dict[str, Tensor] | None, answering: Answering, size: int
) -> tuple[int, int]:
    """(values compared, values changed) when all probes are asked in requests of so many users; given: the answers, where they
    are there already."""
    given = given or answers(answering, reference["windows"], size)
    return sum(value.numel() for value in given.values()), sum(changed_values(reference[k], given[k]) for k in given)


def _main(folder: str, threads: str, *numbers: str) -> None:
    found = ask_versions(Store.open(folder), int(threads), [int(number) for number in numbers])
    print(json.dumps([asdict(asking) for asking in found]))


if __name__ == "__main__":
    with torch.inference_mode():
        _main(*sys.argv[1:])
