"""Batches on their way to the device: gathered and copied by a thread of their own while the device computes."""

import queue
import threading
from collections.abc import Iterator

import torch

from lifelong.core.types import Batch

DEPTH = 3
"""So many batches are ready before they are asked for."""


def ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches on `device`, in the same order.

    On the CPU they are handed through: a second thread would take the core that computes. For a GPU a thread gathers them
    into pinned memory and starts their copies; an error in it is raised here.
    """
    if device.type == "cpu":
        yield from batches
        return
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(DEPTH)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(batches, device, ready, stop), daemon=True)
    thread.start()
    try:
        while (batch := ready.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stop.set()
        while not ready.empty():
            ready.get_nowait()
        thread.join()


def _fill(
    batches: Iterator[Batch],
    device: torch.device,
    ready: "queue.Queue[Batch | BaseException | None]",
    stop: threading.Event,
) -> None:
    try:
        for batch in batches:
            if stop.is_set():
                return
            ready.put(batch.pinned().to(device))
        ready.put(None)
    except BaseException as error:  # raised again where the batches are used
        ready.put(error)
