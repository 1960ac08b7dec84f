"""What every benchmark needs: clocks, memory, the machine, medians with their spread, tables, results on disk.

Standard library and numpy alone, so that the peers' side imports it too. CPU seconds are those of the whole process: on a
shared machine they are the figure to compare, wall seconds stand beside them.
"""

import fcntl
import functools
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""For the environment of a process whose CPU seconds are to mean something."""

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""What the library does for itself, given to the peers too: without it glibc hands every freed block back, step after step."""


class Clock:
    """`with Clock() as clock:`, then clock.wall and clock.cpu, in seconds."""

    wall = cpu = 0.0

    def __enter__(self) -> "Clock":
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def values(self) -> dict[str, float]:
        """Both, rounded to milliseconds."""
        return {"wall_s": round(self.wall, 3), "cpu_s": round(self.cpu, 3)}


def peak_mib() -> float:
    """The most memory that this process ever had resident, MiB; ru_maxrss begins with that of the process that started it."""
    return round(int(_line("/proc/self/status", "VmHWM").split()[0]) / 1024, 1)


@functools.cache
def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def same_machine(record: Mapping[str, Any]) -> bool:
    """Whether a result was measured on a machine like this one."""
    return all(record.get("machine", {}).get(key) == machine()[key] for key in ("cpu", "cores", "memory_gib"))


def stamp() -> dict[str, Any]:
    """What every result carries: machine, commit, moment, load and threads."""
    return {
        "machine": machine(),
        "commit": commit(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": round(os.getloadavg()[0], 1),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
    }


def commit() -> str:
    """The commit that is checked out, with + where files differ from it."""
    said = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()  # noqa: E731
    return said("rev-parse", "--short", "HEAD") + ("+" if said("status", "--porcelain", "--", "../lifelong") else "")


@dataclass(frozen=True)
class Spread:
    """Some repetitions of one figure."""

    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        if self.runs == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)}, {self.runs} runs)"


def spread(values: Iterable[float]) -> Spread:
    """The median of some figures and their range."""
    array = np.array(list(values), float)
    return Spread(float(np.median(array)), float(array.min()), float(array.max()), len(array))


def number(value: float | None) -> str:
    """Four significant digits at most; a dash for what was not measured."""
    if value is None or value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a Markdown table, its columns in line."""
    cells = [
        list(header),
        *([c if isinstance(c, str) else str(number(c) if isinstance(c, float) else c) for c in r] for r in rows),
    ]
    widths = [max(len(row[n]) for row in cells) for n in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    print(f"\n{title}\n\n" + "\n".join([lines[0], rule, *lines[1:]]), flush=True)


def read(name: str) -> dict[str, Any]:
    """results/NAME.json, or nothing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(name: str, entry: str, record: Mapping[str, Any]) -> None:
    """Put one entry, stamped, into results/NAME.json; several processes may do so at once."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = {**read(name), entry: {**record, **stamp()}}
        partial = RESULTS / f".{name}.{os.getpid()}"
        partial.write_text(
            json.dumps(_finite(dict(sorted(content.items()))), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        os.replace(partial, RESULTS / f"{name}.json")


def _finite(value: Any) -> Any:
    """With null for what is no number, as JSON has it."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def found(name: str, entry: str) -> dict[str, Any] | None:
    """A finished entry measured on a machine like this one, else None."""
    record = read(name).get(entry)
    return record if record and record.get("finished", True) and same_machine(record) else None


def measured(module: str, *arguments: str, peer: bool = False) -> dict[str, Any]:
    """What a module, run with one thread in a process of its own, says in its last line (JSON). SystemExit if it fails."""
    python = str(peers_python()) if peer else sys.executable
    environment = {**os.environ, **ONE_THREAD, **(KEEP_FREED_MEMORY if peer else {}), "PYTHONWARNINGS": "ignore"}
    command = [python, "-m", f"benchmarks.{module}", *arguments]
    print("·", "peers" if peer else "ours", *command[2:], file=sys.stderr, flush=True)
    said = subprocess.run(command, cwd=ROOT.parent, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if said.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {said.returncode}")
    return dict(json.loads(said.stdout.strip().rpartition("\n")[2]))


def peers_python() -> Path:
    """The interpreter of the peers' environment. Raises SystemExit where benchmarks/peers/setup.sh was not run."""
    cache = Path(os.environ.get("LIFELONG_CACHE") or Path.home() / ".cache" / "lifelong")
    python = Path(os.environ.get("LIFELONG_PEERS") or cache / "peers") / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: run benchmarks/peers/setup.sh, or name the place in LIFELONG_PEERS")
    return python


def write_interactions(path: Path, events: int, *, history: int = 100, items: int = 20_000, seed: int = 0) -> None:
    """Made-up events as a tab-separated file: user_id, item_id, timestamp; items by Zipf's law, rows in random order."""
    random = np.random.default_rng(seed)
    user_E = random.integers(1, events // history + 1, events)
    item_E = np.minimum(random.zipf(1.2, events), items)
    time_E = random.integers(1_500_000_000, 1_600_000_000, events)
    with open(path, "w", encoding="ascii") as file:
        file.write("user_id\titem_id\ttimestamp\n")
        for start in range(0, events, 1 << 16):
            part = slice(start, start + (1 << 16))
            rows = zip(user_E[part].tolist(), item_E[part].tolist(), time_E[part].tolist(), strict=True)
            file.write("".join(f"{u}\t{i}\t{t}\n" for u, i, t in rows))


def _line(path: str, key: str) -> str:
    lines = Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
