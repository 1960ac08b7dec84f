"""The processes of one training, as torchrun starts them; a process alone is a group of one and needs no network.

    torchrun --nproc-per-node 4 -m lifelong pretrain MODEL TASK.yaml

What ranks tell each other about the run itself (JSON, fingerprints, errors) goes over gloo; gradients and rows go over nccl on
GPUs and over gloo on CPUs. Nothing is ever pickled.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor

from lifelong.core.errors import LifelongError

TIMEOUT_S = 1800.0
"""How long a rank waits for the others: longer than the slowest thing that one of them does alone (data, the commit)."""
T = TypeVar("T")


class Elsewhere(LifelongError):
    """Another rank failed, and has said why; or it cannot be reached any more."""


class Group:
    """`world` processes, of which this is number `rank`. All methods but `first_to_fail` are called by every rank alike."""

    def __init__(self) -> None:
        self.rank, self.world, self.local_rank = 0, 1, 0
        self.device = torch.device("cpu")
        self.backend: str | None = None
        self.timeout_s = TIMEOUT_S
        self._store: Any = None
        self._control: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes and speaks."""
        return self.rank == 0

    def barrier(self, what: str = "a barrier") -> None:
        """Wait until all ranks are here. Raises Elsewhere after the time-out; on rank 0 it names who is missing."""
        if self.world > 1:
            import torch.distributed as dist

            with self._talking(what):
                wait = timedelta(seconds=self.timeout_s)
                dist.monitored_barrier(self._control, timeout=wait, wait_all_ranks=True)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of all ranks with those of rank 0."""
        if self.world > 1:
            import torch.distributed as dist

            with self._talking("a broadcast"), torch.no_grad():
                for tensor in tensors:
                    contiguous = tensor.detach().to(self.device).contiguous()
                    dist.broadcast(contiguous, src=0)
                    tensor.copy_(contiguous)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, a fresh tensor, the same bits on every rank."""
        total = tensor.detach().clone()
        if self.world > 1:
            import torch.distributed as dist

            with self._talking("a sum"):
                dist.all_reduce(total)
        return total

    def mean(self, value: float, weight: float = 1.0) -> float:
        """The mean over ranks of a number, weighted."""
        if self.world == 1:
            return value
        both = torch.tensor([value * weight, weight], dtype=torch.float64, device=self.device)
        total, weights = self.sum(both).tolist()
        return total / weights

    def tell(self, document: Any) -> Any:
        """Rank 0's plain document (JSON), on every rank; what the others pass is not looked at."""
        if self.world == 1:
            return document
        import torch.distributed as dist

        text = json.dumps(document).encode() if self.leads else b""
        with self._talking("what rank 0 says"):
            size = torch.tensor([len(text)])
            dist.broadcast(size, src=0, group=self._control)
            data = torch.frombuffer(bytearray(text.ljust(int(size), b" ") or b" "), dtype=torch.uint8)
            dist.broadcast(data, src=0, group=self._control)
        return json.loads(data.numpy().tobytes())

    def same(self, fingerprint: str, what: str) -> None:
        """Raises LifelongError, naming the ranks, where they do not all have rank 0's fingerprint."""
        if self.world == 1:
            return
        digests = self._gather(hashlib.sha256(fingerprint.encode()).digest(), what)
        if others := [rank for rank, digest in enumerate(digests) if digest != digests[0]]:
            raise LifelongError(
                f"{what} of rank {', '.join(map(str, others))} is not that of rank 0; nothing was committed. Do all machines "
                "run the same release on the same files?"
            )

    def attempt(self, call: Callable[[], T], what: str) -> T:
        """Every rank calls; an error of one ends all: it is raised there, and Elsewhere on the others."""
        if self.world == 1:
            return call()
        result: T | None = None
        error: LifelongError | OSError | None = None
        try:
            result = call()
        except (LifelongError, OSError) as caught:  # raised again below, when the others know
            error = caught
        failed = [r for r, said in enumerate(self._gather(bytes([error is not None]), what)) if said != b"\0"]
        if error is not None:
            raise error
        if failed:
            raise Elsewhere(f"{what}: rank {', '.join(map(str, failed))} failed")
        return result  # type: ignore[return-value]

    def first(self, call: Callable[[], T], what: str) -> T | None:
        """Rank 0 calls while the others wait, and get None; an error there ends all."""
        return self.attempt(lambda: call() if self.leads else None, what)

    def in_turn(self, call: Callable[[], T], what: str) -> T:
        """The first rank of each machine calls, then the others, which find on disk what it made."""
        if self.world == 1:
            return call()
        ahead = self.attempt(lambda: call() if self.local_rank == 0 else None, what)
        rest = self.attempt(lambda: call() if self.local_rank else None, what)
        return ahead if self.local_rank == 0 else rest  # type: ignore[return-value]

    def first_to_fail(self) -> bool:
        """Whether no other rank has asked this before: so that one error is said once."""
        try:
            return self._store is None or int(self._store.add("lifelong/failed", 1)) == 1
        except RuntimeError:  # whoever kept the count is gone
            return True

    def _gather(self, said: bytes, what: str) -> list[bytes]:
        """What every rank says, of one length for all."""
        import torch.distributed as dist

        mine = torch.frombuffer(bytearray(said), dtype=torch.uint8)
        found = [torch.empty_like(mine) for _ in range(self.world)]
        with self._talking(what):
            dist.all_gather(found, mine, group=self._control)
        return [part.numpy().tobytes() for part in found]

    @contextmanager
    def _talking(self, what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise Elsewhere(
                f"rank {self.rank} of {self.world} lost the others at {what} (waits {self.timeout_s:g} s): {reason}"
            ) from None


ALONE = Group()
"""The group of a process that nobody started together with others."""


def several() -> bool:
    """Whether this process was started together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def start(device: torch.device | None = None, timeout_s: float = TIMEOUT_S) -> Group:
    """Join the processes that torchrun has started; ALONE where RANK and WORLD_SIZE do not say that there are several.

    device: where this rank computes; by default the GPU of its number on the machine, else the CPU. Raises Elsewhere where
    the others cannot be reached.
    """
    if not several():
        return ALONE
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    group = Group()
    group.rank, group.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    group.local_rank, group.timeout_s = int(os.environ.get("LOCAL_RANK", "0")), timeout_s
    group.device = device or torch.device(f"cuda:{group.local_rank}" if torch.cuda.is_available() else "cpu")
    group.backend = "nccl" if group.device.type == "cuda" else "gloo"
    wait = timedelta(seconds=timeout_s)
    if group.backend == "nccl":
        torch.cuda.set_device(group.device)
    with group._talking("the start"):
        group._store, _, _ = next(rendezvous("env://", timeout=wait))
        group._store.set_timeout(wait)
        store = PrefixStore("lifelong", group._store)
        dist.init_process_group(group.backend, store=store, rank=group.rank, world_size=group.world, timeout=wait)
        group._control = dist.new_group(backend="gloo", timeout=wait)
    return group


def shut(group: Group) -> None:
    """Leave the group; a process alone has nothing to leave."""
    if group.world > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
