"""Keeps freed memory in the process, so that a training step does not fault its pages in again; but not too much of it."""

import ctypes
import os
import platform
from pathlib import Path
from typing import ClassVar

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
LARGEST = 2**27
"""Bytes of the largest block that is kept."""
MOST_FREED = 2**32
"""Bytes of freed memory that the process may hold; above, all of it goes back."""
_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Usage(ctypes.Structure):
    """What mallinfo2 tells; uordblks and hblkhd are the bytes in use, on the heap and in blocks of their own."""

    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in _FIELDS]


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds for this process; True where that was possible.

    glibc returns large blocks to the system when they are freed, and every step of a training on the CPU frees some: the page
    faults of the next step can cost more than its arithmetic. Blocks above LARGEST still go back: kept, they leave holes
    where steps differ in size. Training a block of MiniLM on Complete Journey, after 40 steps: 4.7 GB resident and 298 CPU
    seconds; with 1 GB for LARGEST 6.9 GB and 288.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((_M_MMAP_THRESHOLD, LARGEST), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26))
    taken = [mallopt(option, value) for option, value in wanted]  # all of them, whatever the first one says
    return all(taken)


def give_back(most: int = MOST_FREED) -> bool:
    """Give all freed memory back to the system where the process holds more than `most` bytes of it; True where it did.

    Where steps differ in size the heap fills with holes: of the 4.7 GB above 0.2 were in use between two steps, and the rest
    grew on, to 8 GB in 150 steps.
    """
    libc = ctypes.CDLL(None)
    if platform.libc_ver()[0] != "glibc" or not hasattr(libc, "mallinfo2"):
        return False
    libc.mallinfo2.restype = _Usage
    told = libc.mallinfo2()
    _, resident, shared = map(int, Path("/proc/self/statm").read_text().split()[:3])
    held = (resident - shared) * os.sysconf("SC_PAGE_SIZE") - told.uordblks - told.hblkhd
    return held > most and bool(libc.malloc_trim(0))
