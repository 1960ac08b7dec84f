"""One training step: its arithmetic, the rate at which this machine multiplies matrices, and where the rest of the time goes.

    python -m benchmarks.step

SASRec, two blocks, windows of 100, 1,024 shared negatives; forward, backward and optimizer. The arithmetic is counted by hand,
the rate is measured in the same process on products of the very shapes of the model, and page faults with and without the
allocator's thresholds raised.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import common
from benchmarks.stepping import product_shapes, ready, step_flops, stepper
from lifelong.core import memory
from lifelong.core.compute import Compute

LENGTH, NEGATIVES, STEPS = 100, 1024, 12
KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm"),
    "attention": ("attention",),
    "optimizer": ("adam",),
    "softmax and its gradient": ("exp", "amax", "aten::div", "sub_", "scatter_add", "aten::sum"),
    "copies": ("copy_", "aten::fill_", "zero"),
    "pads and masks": ("where", "masked", "aten::eq", "tril"),
    "dropout": ("random_", "aten::ge", "aten::mul"),
    "norms": ("layer_norm",),
    "ReLU": ("relu", "threshold", "clamp"),
    "look-ups": ("embedding", "index", "gather"),
}


def product_seconds(shape: tuple[int, int, int]) -> float:
    """CPU seconds of one product of that shape, median."""
    rows, inner, columns = shape
    a, b, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
    taken = []
    for _ in range(9):
        began = time.process_time()
        torch.mm(a, b, out=out)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def timed(step: Callable[[int], None]) -> list[float]:
    """CPU seconds of single steps."""
    step(3)
    taken = []
    for _ in range(STEPS):
        began = time.process_time()
        step(1)
        taken.append(time.process_time() - began)
    return taken


def breakdown(step: Callable[[int], None]) -> dict[str, float]:
    """Kind of work -> its share of a step's time, by the profiler's own times."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step(4)
    spent: dict[str, float] = {}
    for event in seen.key_averages():
        kind = next((k for k, words in KINDS.items() if any(w in event.key.lower() for w in words)), "the rest")
        spent[kind] = spent.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: round(value / total, 3) for kind, value in sorted(spent.items(), key=lambda pair: -pair[1])}


def one(width: int, batch: int, kept: bool) -> dict[str, Any]:
    """All figures of one width, in this process."""
    memory_kept = memory.keep_freed_memory() if kept else False
    compute = Compute(device="cpu", precision="float32")
    step, _, points = stepper(ready(width, batch, length=LENGTH, negatives=NEGATIVES, compute=compute), 2 * STEPS)
    step(3)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    taken = timed(step)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    shapes = product_shapes(width, batch * LENGTH, points, NEGATIVES)
    flops = step_flops(width, batch, LENGTH, points, NEGATIVES)
    dense = sum(n * product_seconds(shape) for n, shape in shapes)
    dense_flops = sum(n * 2 * float(np.prod(shape)) for n, shape in shapes)
    seconds = statistics.median(taken)
    return {
        "width": width,
        "batch": batch,
        "freed_memory_kept": memory_kept,
        "seconds": taken,
        "gflop": flops / 1e9,
        "gflops": flops / seconds / 1e9,
        "product_gflops": dense_flops / dense / 1e9,
        "share": flops / seconds / (dense_flops / dense),
        "faults_per_step": faults / (STEPS + 3),
        "breakdown": breakdown(step),
        "peak_mib": common.peak_mib(),
    }


def main() -> None:
    """Both widths, each with and without the allocator's thresholds, every one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WIDTH", "BATCH", "KEPT"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    if options.one:
        width, batch, kept = map(int, options.one)
        print(json.dumps(one(width, batch, bool(kept))))
        return
    rows, parts = [], []
    for width, batch in ((64, 32),) if options.quick else ((64, 32), (256, 16)):
        for kept in (1, 0):
            found = common.measured("step", "--one", str(width), str(batch), str(kept))
            common.keep("step", f"sasrec-{width}-{'kept' if kept else 'given back'}", found)
            milliseconds = common.spread(1e3 * s for s in found["seconds"])
            rates = (f"{found['gflops']:.1f}", f"{found['product_gflops']:.1f}", f"{found['share']:.0%}")
            rows.append(
                (str(width), "yes" if kept else "no", str(milliseconds), *rates, f"{found['faults_per_step']:.0f}")
            )
        parts.append((str(width), ", ".join(f"{k} {v:.0%}" for k, v in found["breakdown"].items() if v >= 0.01)))
    header = ("width", "memory kept", "CPU ms a step", "GFLOP/s", "of products", "share", "page faults a step")
    common.table("A training step, SASRec, 2 blocks, one thread", header, rows)
    common.table("Where the time goes", ("width", "share of the step"), parts)


if __name__ == "__main__":
    main()
