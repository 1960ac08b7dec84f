"""Ranking a large catalogue: the promised path beside an argsort a user, a whole matrix a batch, and faiss.

    python -m benchmarks.ranking [--users 10000] [--items 1000000] [--width 64] [--rounds 5]

All sides rank the same made-up vectors. In every round each side takes its turn in one process, so that what else the machine
does meets all of them; a ratio is that of two sides in one round. Every peak of memory is that of a process of its own. Kept in
results/ranking.json, one entry for each number of threads.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import common
from lifelong.asking.approximate import ApproximateIndex
from lifelong.asking.inference import Answering
from lifelong.core.memory import keep_freed_memory
from lifelong.heads.next_item import NextItem
from lifelong.metrics.ranking import top_k
from lifelong.model.network import Design, TaskNet

K = 10
CENTRES = 2000
"""Item and user vectors lie around so many points, as trained ones do; that matters to the approximate index alone."""
Side = tuple[str, int, Callable[[Tensor], Any]]
"""What it is, users a turn, and the function that ranks for them."""


@dataclass(frozen=True)
class Around:
    """Vectors (count, D) around random centres."""

    centres: Tensor
    generator: torch.Generator

    def __call__(self, count: int) -> Tensor:
        centre = torch.randint(0, len(self.centres), (count,), generator=self.generator)
        return self.centres[centre] + 0.5 * torch.randn(count, self.centres.shape[1], generator=self.generator)


class World:
    """A task net with a catalogue of made-up vectors, and made-up user vectors (N, D)."""

    def __init__(self, users: int, items: int, width: int) -> None:
        generator = torch.Generator().manual_seed(0)
        centres = torch.randn(CENTRES, width, generator=generator)
        around = Around(centres, generator)
        design = Design(encoder="sasrec", options={"width": width, "blocks": 1, "heads": 1}, length=8)
        net = TaskNet(design, 1, None)
        net.head = NextItem(NextItem.Config(tied=False), width, range(items), None)
        net.head.output = torch.nn.Embedding.from_pretrained(around(items))
        net.head.bias = torch.nn.Parameter(torch.randn(items, generator=generator))
        net.requires_grad_(False).eval()
        self.answering = Answering(net, design)
        self.matrix_CD, self.bias_C = net.head.output.weight, net.head.bias
        self.users_ND, self.targets_N = around(users), torch.randint(0, items, (users,), generator=generator)

    def sides(self) -> dict[str, Side]:
        """Name -> side."""
        made: dict[str, Side] = {
            "lifelong": ("lifelong, promised bits", 64, self.promised),
            "ranks": ("lifelong, ranks of targets", 64, self.ranks),
            "argsort": ("numpy, argsort a user", 4, self.argsort),
            "argpartition": ("numpy, argpartition a user", 8, self.argpartition),
            "whole": ("torch, topk of users × items", 64, self.whole),
        }
        try:
            import faiss
        except ImportError:
            return made
        faiss.omp_set_num_threads(torch.get_num_threads())
        self.flat = faiss.IndexFlatIP(self.matrix_CD.shape[1] + 1)
        self.flat.add(torch.cat([self.matrix_CD, self.bias_C[:, None]], 1).numpy())
        return {**made, "flat": ("faiss, IndexFlatIP", 64, self.faiss_flat)}

    def promised(self, users_ND: Tensor) -> Tensor:
        return torch.cat([index for _, index in self.answering.best(users_ND, K)])

    def ranks(self, users_ND: Tensor) -> Tensor:
        return self.answering.ranks(users_ND, self.targets_N[: len(users_ND)])

    def argsort(self, users_ND: Tensor) -> Tensor:
        matrix, bias = self.matrix_CD.numpy(), self.bias_C.numpy()
        return torch.from_numpy(np.stack([np.argsort(-(matrix @ user + bias))[:K] for user in users_ND.numpy()]))

    def argpartition(self, users_ND: Tensor) -> Tensor:
        matrix, bias, found = self.matrix_CD.numpy(), self.bias_C.numpy(), []
        for user in users_ND.numpy():
            scores = -(matrix @ user + bias)
            best = np.argpartition(scores, K)[:K]
            found.append(best[np.argsort(scores[best])])
        return torch.from_numpy(np.stack(found))

    def whole(self, users_ND: Tensor) -> Tensor:
        return F.linear(users_ND, self.matrix_CD, self.bias_C).topk(K, dim=1).indices

    def faiss_flat(self, users_ND: Tensor) -> Tensor:
        return torch.from_numpy(self.flat.search(torch.cat([users_ND, torch.ones(len(users_ND), 1)], 1).numpy(), K)[1])


def turns(world: World, rounds: int) -> dict[str, Any]:
    """Milliseconds a user of every side in every round, by wall and CPU clock, and whether the lists are the same."""
    sides = world.sides()
    expected = top_k(torch.cat(list(world.answering.scores(world.users_ND[:4]))), K)[1]
    taken: dict[str, Any] = {name: {"side": side[0], "wall_ms": [], "cpu_ms": []} for name, side in sides.items()}
    for name, (_, users, rank) in sides.items():
        found = rank(world.users_ND[:users])  # once before, and the lists are looked at
        taken[name]["same_lists"] = None if name == "ranks" else float((found[:4] == expected).float().mean())
    for _ in range(rounds):
        for name, (_, users, rank) in sides.items():
            with common.Clock() as clock:
                rank(world.users_ND[:users])
            taken[name]["wall_ms"].append(1e3 * clock.wall / users)
            taken[name]["cpu_ms"].append(1e3 * clock.cpu / users)
    return taken


def peak(world: World, name: str) -> dict[str, Any]:
    """MiB before and at the peak of ranking a few batches by one side; `all` takes every user by the promised path."""
    rank = world.promised if name == "all" else world.sides()[name][2]
    users = world.users_ND if name == "all" else world.users_ND[: world.sides()[name][1]]
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts, not what making the vectors took
    before = resident("VmRSS")
    with common.Clock() as clock:
        rank(users)
    return {"before_mib": before, "peak_mib": resident("VmHWM"), **clock.values(), "users": len(users)}


def resident(name: str) -> float:
    """MiB resident in this process: at the moment (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024, 1)


def approximate(world: World) -> dict[str, Any]:
    """The index's time to build, its recall and its time a user."""
    with common.Clock() as built:
        index = ApproximateIndex(world.answering, world.users_ND[-256:], K)
    users_ND = world.users_ND[:512]
    with common.Clock() as clock:
        found = torch.cat([part for _, part in index.best(users_ND, K)])
    exact = world.promised(users_ND)
    other = float((exact[:, :, None] == found[:, None]).any(2).float().mean())
    told = {"recall": index.recall, "recall_other_users": other, "searched": index.searched, "lists": index.lists}
    return {
        "build_s": built.values()["wall_s"],
        "wall_ms": 1e3 * clock.wall / 512,
        "cpu_ms": 1e3 * clock.cpu / 512,
        **told,
    }


def child(options: argparse.Namespace) -> None:
    """One measurement, as JSON into a file."""
    torch.set_num_threads(options.threads)
    if options.job in ("turns", "ann"):  # where memory is measured, what making the vectors took must be gone
        keep_freed_memory()  # for all sides, or page faults would be compared
    world = World(options.users, options.items, options.width)
    job = {"turns": lambda: turns(world, options.rounds), "ann": lambda: approximate(world)}
    made = job[options.job]() if options.job in job else peak(world, options.job)
    Path(options.result).write_text(json.dumps(made))


def measure(options: argparse.Namespace, job: str, threads: int) -> Any:
    """A measurement in a process of its own; None where it failed."""
    with tempfile.NamedTemporaryFile() as file:
        sizes = [f"--{name}={getattr(options, name)}" for name in ("users", "items", "width", "rounds")]
        words = ["--job", job, "--result", file.name, f"--threads={threads}", *sizes]
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "benchmarks.ranking", *words]
        code = subprocess.run(command, cwd=common.ROOT.parent, env=environment, check=False).returncode
        return json.loads(Path(file.name).read_text()) if code == 0 else None


def report(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Measure, print and keep everything for one number of threads."""
    taken = measure(options, "turns", threads)
    whole = measure(options, "all", threads)
    clock = "cpu_ms" if threads == 1 else "wall_ms"  # threads that wait cost CPU seconds, too
    rows = []
    for name, one in taken.items():
        one |= {} if options.no_peaks else measure(options, name, threads)
        ratio = common.spread(np.array(one[clock]) / np.array(taken["lifelong"][clock]))
        one |= {"times_lifelong": vars(ratio), "median_wall_ms": float(np.median(one["wall_ms"]))}
        above = one["peak_mib"] - one["before_mib"] if "peak_mib" in one else "–"
        same = "–" if one["same_lists"] is None else f"{one['same_lists']:.0%}"
        rows.append(
            [
                one["side"],
                str(common.spread(one["wall_ms"])),
                str(common.spread(one["cpu_ms"])),
                str(ratio),
                above,
                same,
            ]
        )
    title = f"{options.items:,} items of width {options.width}, best {K}, {threads} threads"
    head = [
        "side",
        "wall ms a user",
        "CPU ms a user",
        f"times lifelong's {clock}",
        "MiB above the vectors",
        "same lists",
    ]
    common.table(title, head, rows)
    told = f"{whole['wall_s']:,.0f} s, {whole['cpu_s']:,.0f} CPU s, {whole['peak_mib']:,.0f} MiB at the peak"
    print(f"\nall {whole['users']:,} users by the promised path: {told}")
    record = {"title": title, "sides": taken, "all_users": whole}
    if threads == 1 and options.ann:
        record["approximate"] = found = measure(options, "ann", threads)
        print(f"approximate index: {json.dumps(found)}")
    common.keep("ranking", f"{options.items} items, {threads} threads", record)
    return record


def main(arguments: list[str] | None = None) -> int:
    """Both numbers of threads; 0 where the targets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking")
    for name, default in (("users", 10_000), ("items", 1_000_000), ("width", 64), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, help="only so many")
    parser.add_argument("--ann", action="store_true", help="the approximate index, too (minutes)")
    parser.add_argument("--no-peaks", action="store_true", help="leave the memory of each side out (a process a side)")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        child(options)
        return 0
    met = True
    for threads in [options.threads] if options.threads else [1, 2]:
        record = report(options, threads)
        times, peak_mib = record["sides"]["argsort"]["times_lifelong"]["median"], record["all_users"]["peak_mib"]
        reached = times >= 5 and peak_mib < 2048
        print(
            f"target, {threads} threads: at least 5 times an argsort a user: {times:.1f}; under 2,048 MiB: {peak_mib:,.0f}"
        )
        met &= reached
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
