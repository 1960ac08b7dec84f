"""Freed memory: kept for the next step, and given back where it is too much."""

import platform
import subprocess
import sys

import pytest

HOLES = """
import ctypes, resource
from lifelong.core.memory import give_back, keep_freed_memory
def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
keep_freed_memory()
blocks = [malloc(1 << 20) for _ in range(300)]
for block in blocks: ctypes.memset(block, 1, 1 << 20)
in_use = give_back(1 << 27)
for block in blocks[:-1]: free(block)
kept = resident()
print(in_use, give_back(1 << 30), give_back(1 << 27), give_back(1 << 27), kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_holes_are_given_back_once_they_are_many():
    told = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    *given_back, less = told.stdout.split()
    assert given_back == ["False", "False", "True", "False"]  # in use, below the limit, above it, nothing left to give
    assert int(less) > 250  # MiB: without keep_freed_memory they would have gone at once
