"""Scaling: 1, 2 and 4 processes share a step; tokens a second, memory and bytes on the wire, for DDP, FSDP2 and sharded rows.

    python -m benchmarks.scaling            # every mode, 1, 2 and 4 processes, one thread each
    python -m benchmarks.scaling --quick    # fewer steps
    python -m benchmarks.scaling --show

Processes are forked on this machine and talk over gloo on the loopback device, whose counters give the bytes: so nobody else
should use it meanwhile. With more processes than free cores wall seconds say little; CPU seconds a token over all processes
say what sharing costs. Memory is what a process has written itself (Private_Dirty): what it shares by the fork is not in it.
"""

import argparse
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what optimizers import on first use: once here, not in every fork
import torch.distributed.fsdp
import torch.multiprocessing as mp

from benchmarks import common
from lifelong import LivingModel
from lifelong.core.compute import Compute
from lifelong.core.progress import Silent
from lifelong.core.types import Batch
from lifelong.growing import growth as growing
from lifelong.growing.growth import Ground, Growth
from lifelong.growing.resume import State
from lifelong.growing.training import make_learner
from lifelong.model.cases import Cases
from lifelong.model.task import Task
from lifelong.parallel.group import Group, shut, start
from lifelong.parallel.rows import ShardedRows
from lifelong.parallel.shares import shares
from lifelong.parallel.wrap import average_rows, wrap

WORLDS = (1, 2, 4)
TABLE_ROWS, WIDTH = 200_000, 64
"""Of the table in the mode `rows`: 51 MB, and as much for each of Adam's two moments."""
MODES = ("ddp", "fsdp", "ddp, sparse tables", "rows")


def task_of(negatives: bool) -> Task:
    """SASRec on invented events; with sampled softmax and sparse gradients of the tables, or with a full softmax."""
    head = {"name": "next_item", **({"full_softmax_up_to": 5, "negatives": 512} if negatives else {})}
    return Task.from_values(
        {
            "name": "next",
            "encoder": {"name": "sasrec", "width": WIDTH, "blocks": 2, "dropout": 0.0},
            "length": 50,
            "head": head,
            "data": {"dataset": {"name": "synthetic", "users": 1500, "items": 3000, "events_per_user": 50}},
            "fit": {"batch_size": 64},
        },
        "scaling",
    ).check()


def measure(group: Group, mode: str, steps: int, cases: Cases, report: Path) -> None:
    """Some steps in this process, after two that warm up; rank 0 writes the sums over all."""
    make = _table_steps if mode == "rows" else _learner_steps
    work = iter(make(group, mode, cases))
    for _ in range(2):
        next(work)
    group.barrier()
    wire, wall, cpu, tokens = _loopback(), time.perf_counter(), time.process_time(), 0
    for _ in range(steps):
        tokens += next(work)
    cpu = time.process_time() - cpu
    group.barrier()
    wall = time.perf_counter() - wall
    total = group.sum(torch.tensor([tokens, cpu], dtype=torch.float64)).tolist()
    document = {
        "tokens_per_s": total[0] / wall,
        "tokens_per_cpu_s": total[0] / total[1],
        "wire_mb_per_step": (_loopback() - wire) / steps / 1e6,
        "memory_mb_per_process": _private_mb(),
        "steps": steps,
    }
    if group.leads:
        report.write_text(json.dumps(document))


def _learner_steps(group: Group, mode: str, cases: Cases) -> Iterator[int]:
    """Tokens of this rank, after each step of the library's own training."""
    kind = "fsdp" if mode == "fsdp" else "ddp"
    growth = _growth(cases, mode, Compute(device="cpu", precision="float32", parallel=kind), group)
    phase, job = growth.first_phase(), growth.job()
    learner = make_learner(job, phase, growth.site).train()
    rows = [v for n, v in learner.parameters_by_name().items() if n in learner.sparse_names()]
    step = wrap(learner, group, job.compute.parallel, rows)
    state = State(learner.parameters_by_name(), learner.sparse_names(), job.fit)
    for batch in shares(_endless(job.feed.epoch), group):
        (step(batch) * batch.weight).backward()
        average_rows(rows, group)
        state.advance()
        yield int(batch.history.valid_BL.sum()) if batch.weight else 0


def _growth(cases: Cases, mode: str, compute: Compute, group: Group) -> Growth:
    negatives = "sparse" in mode
    growing.SPARSE_FROM = 1 if negatives else 1 << 62
    with tempfile.TemporaryDirectory() as folder:
        model = LivingModel._unborn(Path(folder) / "model", task_of(negatives), None)
        return Growth(Ground(model.design, model.bank, None, 1), task_of(negatives), cases, 0, compute, group)


def _table_steps(group: Group, mode: str, cases: Cases) -> Iterator[int]:
    """Look up 64 × 50 rows and 512 negatives in all, by Zipf's law, and train them where they lie."""
    run = -(-TABLE_ROWS // group.world)
    first = min(TABLE_ROWS, group.rank * run)
    rows = ShardedRows(torch.randn(min(run, TABLE_ROWS - first), WIDTH), TABLE_ROWS, group)
    optimizer = torch.optim.SparseAdam(rows.parameters(), 0.001)
    random = torch.Generator().manual_seed(group.rank)
    count = 64 * 50 // group.world
    while True:
        wanted = (TABLE_ROWS ** torch.rand(count + 512, generator=random)).long().clamp(max=TABLE_ROWS - 1)
        rows(wanted).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield count


def _endless(epoch: Callable[[int], Iterator[Batch]]) -> Iterator[Batch]:
    number = 0
    while True:
        yield from epoch(number)
        number += 1


def _loopback() -> int:
    """Bytes that this machine has sent to itself."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def _private_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Private_Dirty")).split()[1]) / 1000


def _one(rank: int, world: int, port: int, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    group = start(torch.device("cpu"))
    measure(group, *arguments)
    shut(group)


def run(mode: str, world: int, steps: int, cases: Cases) -> dict[str, Any]:
    """One mode in so many processes."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        arguments = (world, port, (mode, steps, cases, report))
        mp.start_processes(_one, arguments, nprocs=world, start_method="fork")
        return dict(json.loads(report.read_text()))


def show() -> None:
    """The table of what was measured."""
    rows = []
    for mode in MODES:
        one = (common.found("scaling", f"{mode}, 1") or {}).get("tokens_per_cpu_s")
        for world in WORLDS:
            if record := common.found("scaling", f"{mode}, {world}"):
                rows.append([mode, str(world), *_cells(record, one)])
    heads = ["mode", "processes", "tokens/s", "tokens a CPU s", "of 1 process", "MB/step on the wire", "MB a process"]
    common.table("Strong scaling: one global batch of 64 windows, one thread a process", heads, rows)


def _cells(record: dict[str, Any], one: float | None) -> list[str]:
    share = f"{record['tokens_per_cpu_s'] / one:.0%}" if one else "–"
    numbers = [record[k] for k in ("tokens_per_s", "tokens_per_cpu_s", "wire_mb_per_step", "memory_mb_per_process")]
    said = [common.number(value) for value in numbers]
    return [said[0], said[1], share, said[2], said[3]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--show", action="store_true", help="the table of what was measured before")
    args = parser.parse_args()
    if not args.show:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            model = LivingModel._unborn(Path(folder) / "model", task_of(False), None)
            cases = model._growth(task_of(False), 0, Compute(device="cpu"), Silent()).cases
        for mode in MODES:
            for world in WORLDS:
                common.keep("scaling", f"{mode}, {world}", run(mode, world, 5 if args.quick else 20, cases))
    show()


if __name__ == "__main__":
    main()
