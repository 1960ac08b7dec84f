"""Every benchmark in turn, each in a process of its own: `make bench`, or `python -m benchmarks --only training --quick`.

Each prints its tables and writes benchmarks/results/NAME.json. What a peer reached on a machine like this one is reused, and
said so; --fresh runs the peers again. A stopped run goes on behind the last peer that was finished.
"""

import argparse
import subprocess
import sys
import time

from benchmarks import common

MODULES = ("preparation", "training", "step", "ranking", "addtask", "items", "flat", "scaling", "ttl", "gpu")
FLAGS = ("--quick", "--fresh")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    there = [name for name in MODULES if (common.ROOT / f"{name}.py").exists()]
    parser.add_argument("--only", choices=there, action="append", help="this one alone; may stand several times")
    parser.add_argument("--quick", action="store_true", help="the smallest version that shows the same")
    parser.add_argument("--fresh", action="store_true", help="measure the peers again, too")
    args = parser.parse_args()
    told = [flag for flag in FLAGS if getattr(args, flag.strip("-"))]
    stamp = common.stamp()
    print(
        ", ".join(f"{key} {value}" for key, value in stamp["machine"].items()) + f"; commit {stamp['commit']}",
        flush=True,
    )
    failed = []
    for name in args.only or there:
        print(f"\n## {name}\n{_first_line(name)}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}", *_understood(name, told)]
        if subprocess.run(command, cwd=common.ROOT.parent, check=False).returncode:
            failed.append(name)
        print(f"({time.perf_counter() - began:.0f} s)", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _understood(name: str, flags: list[str]) -> list[str]:
    """Those flags that the module names at all."""
    text = (common.ROOT / f"{name}.py").read_text(encoding="utf-8")
    return [flag for flag in flags if f'"{flag}"' in text]


def _first_line(name: str) -> str:
    return (common.ROOT / f"{name}.py").read_text(encoding="utf-8").split('"""')[1].partition("\n")[0]


if __name__ == "__main__":
    main()
