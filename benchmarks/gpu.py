"""Everything about a GPU in one call: does it compute what the CPU computes, does the promise hold on it, how fast is it.

    python -m benchmarks.gpu [--seconds 20]

Prints a short table: tokens/s, share of the matrix units' measured bfloat16 rate, memory; SASRec of two blocks, windows of 200,
8,192 negatives. Without a GPU it checks itself on the CPU at a small size, and says so.
"""

import argparse
import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import common
from benchmarks.stepping import ready, step_flops, stepper
from lifelong import LivingModel
from lifelong.asking.inference import Answering
from lifelong.core.compute import Compute
from lifelong.core.fingerprint import changed_values
from lifelong.keeping.sealing import REQUEST_SIZES, answers, probe_windows

CASES = ((64, 512, 100_000), (256, 256, 100_000), (64, 512, 1_000_000), (256, 256, 1_000_000))
"""Width, windows a step, items."""
LENGTH, NEGATIVES = 200, 8192


def peak_rate(device: torch.device) -> float:
    """FLOP/s of a large bfloat16 product: what the matrix units give on this machine."""
    size = 8192 if device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = _seconds(lambda: a @ b, device, 20)
    return 2.0 * size**3 / seconds


def speed(width: int, batch: int, items: int, compute: Compute, seconds: float, small: bool) -> dict[str, Any]:
    """Tokens a second of whole steps, loading included, and memory."""
    device = compute.place()
    users = 200 if small else 20_000
    growth = ready(
        width, batch, length=LENGTH, items=items, users=users, negatives=min(NEGATIVES, items), compute=compute
    )
    step, _, points = stepper(growth, 32)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    step(5)  # compiles, fills caches
    one = _seconds(lambda: step(5), device, 1) / 5
    count = max(5, int(seconds / one))
    each = _seconds(lambda: step(count), device, 1) / count
    memory = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else common.peak_mib()
    return {
        "width": width,
        "items": items,
        "compiled": compute.compile,
        "tokens_per_s": batch * LENGTH / each,
        "ms": 1e3 * each,
        "flops": step_flops(width, batch, LENGTH, points, min(NEGATIVES, items)) / each,
        "mib": memory,
    }


def same_loss(device: torch.device) -> float:
    """The largest difference of loss or gradient between CPU and device, in float32, relative to the CPU's."""
    found = []
    for place in ("cpu", str(device)):
        torch.manual_seed(0)
        compute = Compute(device=place, precision="float32")
        _, learner, _ = stepper(ready(32, 8, length=20, items=5000, users=50, negatives=256, compute=compute), 1)
        loss = learner.eval()(_first_batch(compute).to(learner.device))
        loss.backward()
        grads = [p.grad.to_dense().cpu() for p in learner.parameters_by_name().values() if p.grad is not None]
        found.append([loss.detach().cpu().reshape(1), *grads])
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in zip(*found, strict=True))


def promise(device: torch.device) -> dict[str, int]:
    """A task's answers on the device, at every request size, before and after two tasks are added: changed values."""
    world = {"name": "synthetic", "users": 300, "items": 200, "events_per_user": 40}
    first = {
        "name": "next",
        "encoder": {"name": "sasrec", "width": 32, "blocks": 1},
        "length": 30,
        "head": {"name": "next_item"},
        "data": {"dataset": world, "split": "time"},
        "fit": {"epochs": 2},
    }
    compute = Compute(device=str(device))
    changed, compared = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        model = LivingModel.pretrain(Path(folder) / "model", first, compute=compute)
        windows = probe_windows(np.arange(1, model.members["next"].view.rows), 30).to(device)
        golden = answers(_on(model, device), windows, 100)
        for n in range(2):
            label = {
                "name": f"label_{n}",
                "head": {"name": "classification"},
                "data": {"dataset": world, "label": f"label_{n}", "split": "by_user"},
                "fit": {"epochs": 2},
            }
            model.add_task(label, compute=compute)
            again = LivingModel.open(Path(folder) / "model")
            for size in REQUEST_SIZES:
                given = answers(_on(again, device), windows, size)
                changed += sum(changed_values(golden[key], given[key]) for key in golden)
                compared += sum(value.numel() for value in golden.values())
    return {"changed": changed, "compared": compared}


def _on(model: LivingModel, device: torch.device) -> Answering:
    return Answering(copy.deepcopy(model.answering("next").net).to(device), model.design)


def _first_batch(compute: Compute) -> Any:
    growth = ready(32, 8, length=20, items=5000, users=50, negatives=256, compute=compute)
    growth.first_phase()
    return next(iter(growth.job().feed.epoch(0)))


def _seconds(work: Any, device: torch.device, times: int) -> float:
    """Wall seconds of one run, after one that is not counted where there are several."""
    if times > 1:
        work()
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Checks first, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    device = Compute().place()
    small = device.type == "cpu" or options.quick
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU: the CPU stands in, at a small size"
    print(f"device: {name}")
    difference, kept = same_loss(device), promise(device)
    print(f"float32 loss and gradients against the CPU: at most {difference:.1e} relative")
    print(f"the promise on this device: {kept['changed']} of {kept['compared']} values changed by two added tasks")
    peak = peak_rate(device)
    rows = []
    for width, batch, items in ((32, 4, 5000),) if small else CASES:
        for fused in (False,) if small else (False, True):
            compute = Compute(device=str(device), compile=fused)
            found = speed(width, batch, items, compute, 1.0 if small else options.seconds, small)
            common.keep("gpu", f"{name} d={width} items={items} compiled={fused}", {**found, "peak_flops": peak})
            share = f"{found['flops'] / peak:.1%}"
            figures = (f"{found['tokens_per_s']:,.0f}", f"{found['ms']:.1f}", share, f"{found['mib']:,.0f}")
            rows.append((str(width), f"{items:,}", "yes" if fused else "no", *figures))
    header = ("width", "items", "compiled", "tokens/s", "ms a step", "share of matrix rate", "MiB")
    common.table(f"Training on {name}; matrix rate {peak / 1e12:.3g} TFLOP/s (bfloat16)", header, rows)
    if difference > 1e-3 or kept["changed"]:
        raise SystemExit("a check failed")


if __name__ == "__main__":
    main()
