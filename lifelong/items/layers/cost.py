"""What an item encoder will cost before it is trained: measured on a few items, then multiplied."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.items.base import ItemEncoder

SAMPLE = 192
"""Items that are measured."""


@dataclass(frozen=True)
class ItemCost:
    """What reading a catalogue and training on it costs: once for what is frozen, and in every step for what is not.

    items: of the catalogue; contents: distinct readable ones. flops: floating-point operations, those of matrix products,
    convolutions and attention. cache_bytes: on disk. memory_bytes: weights, and where they are trained gradient and two
    moments, and what a step keeps for its backward pass. Seconds are the most: loading the backbone is counted too often.
    """

    items: int
    contents: int
    trained: int
    frozen_seconds: float
    frozen_flops: float
    cache_bytes: int
    step_encoded: int
    step_seconds: float
    step_flops: float
    steps: int
    settle_seconds: float
    memory_bytes: int

    @property
    def epoch_seconds(self) -> float:
        """Seconds of an epoch that go into encoding items, validation's table included."""
        return self.step_seconds * self.steps + self.settle_seconds

    def line(self) -> str:
        """One line for a person."""
        return (
            f"items: {self.contents:,} contents of {self.items:,} items; in an epoch {_seconds(self.epoch_seconds)} "
            f"({self.steps:,} steps of {self.step_encoded:,} contents, {self.step_flops * self.steps / 1e12:.2f} Tflop); "
            f"{self.trained:,} numbers trained, {self.memory_bytes / 1e6:.0f} MB"
        )


def estimate(
    make: Callable[[int], ItemEncoder], contents: Contents, rows_per_step: int, steps: int, cache: Path | None = None
) -> ItemCost:
    """Measure an encoder on SAMPLE of its items, for steps that look up `rows_per_step` distinct items each.

    `make(rows)` gives an encoder that has read nothing, with what was restored of it. cache: where frozen features may lie
    already; without one, all are taken to be computed. Nothing is kept. Raises what reading the items raises.
    """
    chosen = np.linspace(0, len(contents) - 1, min(SAMPLE, len(contents))).astype(np.int64)
    texts, pictures = ([v[i] for i in chosen] if v else [] for v in (contents.texts, contents.pictures))
    some = Contents(np.arange(1, len(chosen) + 1), texts, pictures, contents.of)
    with tempfile.TemporaryDirectory() as folder:
        make(2).open(_one(some), None, Path(folder) / "one", Silent())  # what is read for the first time is slow
        encoder = make(len(chosen) + 1)
        where = Path(folder) / "all" if cache is None else cache
        (_, read), flops = _timed(lambda: encoder.open(some, None, where, Silent()))
        size = sum(file.stat().st_size for file in (Path(folder) / "all").rglob("*") if file.is_file())
        sampled = len(encoder.same_V[encoder.readable_V].unique())
        distinct = _distinct(contents, len(contents) * sampled / max(1, len(chosen)))
        step, kept = _step(encoder)
        (_, settled), _ = _timed(encoder.settle)
    times, each = distinct / max(1, sampled), min(rows_per_step, distinct) / max(1, sampled)
    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    weights = sum(p.numel() * p.element_size() for p in encoder.parameters())
    return ItemCost(
        items=len(contents),
        contents=int(distinct),
        trained=trained,
        frozen_seconds=read * times,
        frozen_flops=flops * times,
        cache_bytes=int(size * times),
        step_encoded=min(rows_per_step, int(distinct)),
        step_seconds=step[0] * each,
        step_flops=step[1] * each,
        steps=steps,
        settle_seconds=settled * times,
        memory_bytes=int(weights + trained * 12 + kept * each),
    )


def _one(contents: Contents) -> Contents:
    return Contents(contents.rows_n[:1], contents.texts[:1], contents.pictures[:1], contents.of)


def _distinct(contents: Contents, guess: float) -> float:
    """How many different contents there are; of items that have several, as many as of the most varied."""
    counts = [len({v for v in values if v}) for values in (contents.texts, contents.pictures)]
    return max(counts) or guess


def _step(encoder: ItemEncoder) -> tuple[tuple[float, float], int]:
    """Seconds and operations of one step over the sample, forward and backward, and bytes kept between the two."""
    encoder.train()
    rows = torch.arange(encoder.rows)
    if not any(p.requires_grad for p in encoder.parameters()):
        return (0.0, 0.0), 0
    encoder(rows).sum().backward()  # the first one is slower
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def step() -> None:
        encoder(rows).sum().backward()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(rows).sum().backward()
    (_, seconds), _ = _timed(step, count=False)
    _, flops = _timed(step)
    encoder.zero_grad()
    own = {p.untyped_storage().data_ptr() for p in encoder.parameters()}
    return (seconds, flops), sum(size for place, size in kept.items() if place not in own)


def _timed(work: Callable[[], Any], count: bool = True) -> tuple[tuple[Any, float], float]:
    """What it gives, seconds, and floating-point operations."""
    began = time.perf_counter()
    if not count:
        return (work(), time.perf_counter() - began), 0.0
    counter = FlopCounterMode(display=False, custom_mapping=ON_CPU)
    with counter:
        made = work()
    return (made, time.perf_counter() - began), float(counter.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *more: Any, out_shape: Any = None, **options: Any) -> int:
    """torch counts no attention on the CPU by itself."""
    return int(sdpa_flop_count(query, key, value))


ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
