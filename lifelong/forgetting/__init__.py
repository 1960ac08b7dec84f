"""Forgetting runs: strategies × orders of the tasks × seeds in one command, every task measured after every addition."""

from lifelong.forgetting.run import run_forgetting

__all__ = ["run_forgetting"]
