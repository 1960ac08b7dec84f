"""A table of item vectors whose rows lie on many ranks: looked up by exchange, trained where they lie, saved in any number.

Rank r holds rows [r·n, (r+1)·n) with n = ceil(V / world), the layout of DTensor's Shard(0). Its memory is V / world rows and
as much again for each moment of the optimizer; no rank ever holds the table.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lifelong.core.errors import ModelCorrupt
from lifelong.parallel.group import Group


class ShardedRows(nn.Module):
    """(V, D) float32, of which `weight` is this rank's run of rows; train it with torch.optim.SparseAdam.

    The gradient of `weight` is sparse and is the average over ranks already, so DDP and FSDP2 must leave it alone.
    """

    def __init__(self, local_nD: Tensor, rows: int, group: Group) -> None:
        super().__init__()
        self.rows, self.group = rows, group
        self.run = -(-rows // group.world)
        self.weight = nn.Parameter(local_nD)

    @classmethod
    def split(cls, table_VD: Tensor, group: Group) -> "ShardedRows":
        """From a table that every rank has at hand."""
        run = -(-len(table_VD) // group.world)
        local = table_VD[group.rank * run : (group.rank + 1) * run]
        return cls(local.detach().to(group.device, copy=True), len(table_VD), group)

    @property
    def first(self) -> int:
        """The number of this rank's first row."""
        return min(self.rows, self.group.rank * self.run)

    def forward(self, rows: Tensor) -> Tensor:
        """The vectors (*, D) of some rows; all ranks look up together, each what it needs."""
        unique, inverse = torch.unique(rows, return_inverse=True)
        counts = torch.bincount(unique // self.run, minlength=self.group.world)
        return _Lookup.apply(self.weight, unique - self._firsts(counts), counts, self.group)[inverse]  # type: ignore[no-untyped-call]

    def _firsts(self, counts: Tensor) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device) * self.run, counts)

    def dtensor(self) -> Tensor:
        """The whole table as a DTensor, Shard(0), that shares its memory with `weight`; for code that knows DTensors."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import DTensor, Shard

        mesh = init_device_mesh(self.group.device.type, (self.group.world,))
        local, shape = self.weight.detach(), torch.Size((self.rows, self.weight.shape[1]))
        return DTensor.from_local(local, mesh, [Shard(0)], run_check=False, shape=shape, stride=(shape[1], 1))

    @torch.no_grad()
    def gather(self) -> Tensor:
        """All rows, on every rank; for tables that fit."""
        if self.group.world == 1:
            return self.weight.detach().clone()
        import torch.distributed as dist

        padded = self.weight.new_zeros(self.run, self.weight.shape[1])
        padded[: len(self.weight)] = self.weight
        table = padded.new_empty(self.group.world * self.run, padded.shape[1])
        dist.all_gather_into_tensor(table, padded)
        return table[: self.rows]

    def save(self, folder: Path, name: str) -> None:
        """Write this rank's rows to a file of their own; together the files are the table, whatever the number of ranks."""
        save_rows(folder, name, self.weight.detach(), self.first, self.rows)


class _Lookup(torch.autograd.Function):
    """Ask each owner for rows, counted from its first one; send the gradients back the same way."""

    @staticmethod
    def forward(ctx: Any, local_nD: Tensor, places_u: Tensor, counts_w: Tensor, group: Group) -> Tensor:
        asked_w = _exchange_counts(counts_w, group)
        wanted = _exchange(places_u, counts_w, asked_w, group)
        ctx.group, ctx.shape, ctx.counts, ctx.asked = group, local_nD.shape, counts_w, asked_w
        ctx.save_for_backward(wanted)
        return _exchange(local_nD[wanted], asked_w, counts_w, group)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (wanted,) = ctx.saved_tensors
        values = _exchange(grads[0].contiguous(), ctx.counts, ctx.asked, ctx.group) / ctx.group.world
        return torch.sparse_coo_tensor(wanted[None], values, ctx.shape, check_invariants=False), None, None, None


def _exchange_counts(counts_w: Tensor, group: Group) -> Tensor:
    one_w = torch.ones_like(counts_w)
    return _exchange(counts_w, one_w, one_w, group)


def _exchange(parts: Tensor, sent_w: Tensor, received_w: Tensor, group: Group) -> Tensor:
    """Of rows in the order of the ranks they are for, to rows in the order of the ranks they come from."""
    if group.world == 1:
        return parts
    import torch.distributed as dist

    sizes = received_w.tolist()
    found = parts.new_empty(sum(sizes), *parts.shape[1:])
    with group._talking("an exchange of rows"):
        dist.all_to_all_single(found, parts, sizes, sent_w.tolist())
    return found


def save_rows(folder: Path, name: str, rows_nD: Tensor, first: int, total: int) -> None:
    """One block of a table as `NAME.FIRST.safetensors`, complete or not there at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{first:012d}.safetensors"
    partial = path.with_suffix(".partial")
    save_file({"rows": rows_nD.cpu().contiguous()}, partial, {"first": str(first), "total": str(total)})
    partial.replace(path)


def load_rows(folder: Path, name: str, group: Group) -> ShardedRows:
    """The table out of the blocks that any number of ranks wrote; each rank reads its own rows only.

    Raises ModelCorrupt where a block is missing.
    """
    blocks = [_Block(path) for path in sorted(folder.glob(f"{name}.*.safetensors"))]
    if not blocks:
        raise ModelCorrupt(f"{folder}: holds no block of the table {name!r}")
    total = blocks[0].total
    run = -(-total // group.world)
    first, last = min(total, group.rank * run), min(total, (group.rank + 1) * run)
    parts = [part for block in blocks if len(part := block.read(first, last))]
    local = torch.cat(parts) if parts else blocks[0].read(0, 0)
    if len(local) != last - first:
        raise ModelCorrupt(f"{folder}: of rows {first} to {last} of {name!r} only {len(local)} are in its blocks")
    return ShardedRows(local.to(group.device), total, group)


class _Block:
    """A file with a run of rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            self.count = file.get_slice("rows").get_shape()[0]
        if "first" not in told or "total" not in told:
            raise ModelCorrupt(f"{path}: does not say which rows it holds")
        self.first, self.total = int(told["first"]), int(told["total"])

    def read(self, first: int, last: int) -> Tensor:
        """Those of its rows that lie in [first, last)."""
        low, high = max(first, self.first) - self.first, min(last, self.first + self.count) - self.first
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice("rows")[low : max(low, high)] if low < self.count else file.get_slice("rows")[:0]
