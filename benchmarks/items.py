"""What it costs to train on texts of items: encoder calls, operations and seconds an epoch, with and without what saves them.

    python -m benchmarks.items

Complete Journey's product texts and households, MiniLM with its top two blocks trained, windows of 20 events, an in-batch
softmax, one thread. The papers' code encodes every place of every window, padded to one length, through all blocks. Here equal
texts of a step are encoded once (`once`), and what lies below the trained blocks is found on disk (`kept`). Loss and gradients
of a step are compared in evaluation mode. Seconds are of a few steps, and of an epoch by their number.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import common
from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.data.datasets.complete_journey import CompleteJourney
from lifelong.data.prepare import prepare
from lifelong.items.layers.cost import ON_CPU
from lifelong.items.text import Text

FIELDS = ("department", "category", "type", "brand")
LENGTH, USERS, WIDTH, PADDED = 20, 32, 64, 32


def world() -> tuple[Contents, list[np.ndarray]]:
    """Texts of all products, and an epoch of windows (B, L + 1) of rows: each household's events in pieces."""
    data = prepare(CompleteJourney(CompleteJourney.Config()))
    columns = [data.items[name].to_pylist() for name in FIELDS]
    texts = [", ".join(value for value in values if value) or "unknown" for values in zip(*columns, strict=True)]
    rows_E = data.items_E.astype(np.int64) + 1
    windows = []
    for begin, end in zip(data.offsets_U1[:-1], data.offsets_U1[1:], strict=True):
        events = rows_E[begin:end]
        count = len(events) // (LENGTH + 1)
        windows.append(events[len(events) - count * (LENGTH + 1) :].reshape(count, LENGTH + 1))
    all_WL = np.concatenate(windows)
    all_WL = all_WL[np.random.default_rng(0).permutation(len(all_WL))]
    batches = [all_WL[i : i + USERS] for i in range(0, len(all_WL) - USERS, USERS)]
    return Contents(np.arange(1, len(texts) + 1), texts), batches


def loss_of(vectors_BLD: Tensor, rows_BL: Tensor) -> Tensor:
    """An in-batch softmax: the mean of what came before, against every distinct item of the batch."""
    before_BLD = vectors_BLD[:, :-1].cumsum(dim=1) / torch.arange(1, LENGTH + 1)[:, None]
    distinct_K, place = rows_BL.unique(return_inverse=True)
    first_K = torch.full((len(distinct_K),), rows_BL.numel()).scatter_reduce(
        0, place.flatten(), torch.arange(rows_BL.numel()), "amin"
    )
    candidates_KD = vectors_BLD.flatten(0, 1)[first_K]
    scores = before_BLD.flatten(0, 1) @ candidates_KD.T / WIDTH**0.5
    return F.cross_entropy(scores, place[:, 1:].flatten())


def as_papers(encoder: Text, rows_BL: Tensor) -> Tensor:
    """Every place by itself, all padded to one length, through all blocks."""
    assert encoder.frozen is not None
    assert encoder.backbone is not None
    texts = encoder._text_V[rows_BL.flatten().numpy()]
    ids, mask = encoder.frozen.tokens.block(texts, PADDED, torch.device("cpu"))
    states = encoder.backbone(ids, mask)
    kept = torch.where(mask[:, :, None].bool(), states, 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return encoder.projection(encoder.statistics(kept)).view(*rows_BL.shape, WIDTH)


def each(encoder: Text, rows_BL: Tensor) -> Tensor:
    """Every place by itself, padded by its own length."""
    return encoder.encode(rows_BL.flatten()).view(*rows_BL.shape, WIDTH)


def once(encoder: Text, rows_BL: Tensor) -> Tensor:
    """Equal texts once."""
    return encoder(rows_BL)


WAYS: dict[str, tuple[bool, Callable[[Text, Tensor], Tensor]]] = {
    "as the papers' code": (False, as_papers),
    "once": (False, once),
    "kept": (True, each),
    "once and kept": (True, once),
}
"""How -> whether the states below the trained blocks lie on disk, and what makes vectors of windows."""


def encoders(contents: Contents, cache: Path) -> dict[bool, Text]:
    """The encoder with its frozen states on disk, and one with all blocks that computes them in its own pass."""
    made = {}
    for kept in (True, False):
        torch.manual_seed(0)
        options = Text.Config(train=2) if kept else Text.Config(train=2, slots="all", cached=False)
        encoder = Text(options, WIDTH, len(contents) + 1)
        if kept:
            encoder.open(contents, None, cache, Silent())
        else:
            encoder.restore(made[True].stored())
            encoder.open(contents, None, cache, Silent())
            encoder.cut = lambda: 0  # type: ignore[method-assign]
        made[kept] = encoder.eval()
    return made


def step(way: str, made: dict[bool, Text], rows_BL: Tensor) -> dict[str, Any]:
    """One step, forward and backward: loss, gradients, encoded texts, operations, seconds."""
    kept, vectors = WAYS[way]
    encoder = made[kept]
    encoder.zero_grad()
    began, loss = time.perf_counter(), torch.zeros(())
    with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        loss = loss_of(vectors(encoder, rows_BL), rows_BL)
        loss.backward()
    seconds = time.perf_counter() - began
    distinct = len(encoder.same_V[rows_BL.unique()].unique())
    return {
        "loss": float(loss.detach()),
        "gradients": {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None},
        "texts": distinct if vectors is once else rows_BL.numel(),
        "flops": counter.get_total_flops(),
        "seconds": seconds,
    }


def gap(mine: dict[str, Any], theirs: dict[str, Any]) -> float:
    """The length of the difference of all gradients, relative to their own."""
    apart = sum(float((mine[name] - value).double().square().sum()) for name, value in theirs.items() if name in mine)
    return float((apart / sum(float(value.double().square().sum()) for value in theirs.values())) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one step of each")
    steps = 1 if parser.parse_args().quick else 3
    torch.set_num_threads(1)
    contents, batches = world()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        made = encoders(contents, Path(folder))
        reading = time.perf_counter() - began
        assert made[True].frozen is not None
        disk = made[True].frozen.size()
        results: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for batch in batches[:steps]:
            for way in WAYS:
                results[way].append(step(way, made, torch.from_numpy(batch)))
    base = results["as the papers' code"]
    rows, record = [], {}
    for way, taken in results.items():
        total = {key: sum(t[key] for t in taken) / steps * len(batches) for key in ("texts", "flops", "seconds")}
        apart = max(abs(t["loss"] - b["loss"]) for t, b in zip(taken, base, strict=True))
        slope = max(gap(t["gradients"], b["gradients"]) for t, b in zip(taken, base, strict=True))
        less = sum(b["flops"] for b in base) / sum(t["flops"] for t in taken)
        record[way] = {**total, "fewer_flops": less, "loss_gap": apart, "gradient_gap": slope}
        figures = [
            f"{total['texts']:,.0f}",
            f"{total['flops'] / 1e12:,.1f}",
            f"{less:.1f} x",
            f"{total['seconds']:,.0f}",
        ]
        rows.append([way, *figures, f"{apart:.1e}", f"{slope:.1e}"])
    distinct = len(made[True].same_V[made[True].readable_V].unique())
    record["once for all"] = {
        "seconds": reading,
        "bytes": disk,
        "texts": distinct,
        "products": len(contents),
        "steps": len(batches),
    }
    header = ["way", "texts encoded", "Tflop", "fewer", "seconds", "loss apart", "gradient apart"]
    common.table(f"An epoch of {len(batches):,} steps, {len(contents):,} products, {distinct:,} texts", header, rows)
    print(f"once: {reading:.0f} s for what is frozen, {disk / 1e6:.1f} MB on disk")
    common.keep("items", "complete_journey", {"ways": record})


if __name__ == "__main__":
    main()
