"""One step shared by all ranks: DDP or FSDP2 around a module, and gradients of single rows exchanged beside it.

The loss of a rank is the mean over its own points, so it is scaled by `Batch.weight` (see shares.py) before backward: then the
average over ranks is the gradient of the mean over all points, the one that a single process would take.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.parallel.group import Group

Mode = Literal["ddp", "fsdp"]


def wrap(module: nn.Module, group: Group, mode: Mode | None, apart: Collection[nn.Parameter] = ()) -> nn.Module:
    """The module to call in its place: after backward every rank has the gradients averaged over ranks.

    ddp: every rank holds everything. fsdp: gradients, optimizer and what the module holds between steps are split over ranks
    (`parameters()` are DTensors from here on), the weights are gathered for a step. Left alone are parameters without a
    gradient and those in `apart`: their gradients are `average_rows`'s, or come averaged (rows.py).
    """
    left = {id(p) for p in module.parameters() if not p.requires_grad} | {id(p) for p in apart}
    if group.world == 1 or mode is None or all(id(p) in left for p in module.parameters()):
        return module
    if mode == "ddp":
        return _in_ddp(module, group, left)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    ignored = {p for p in module.parameters() if id(p) in left}
    mesh = init_device_mesh(group.device.type, (group.world,))
    fully_shard(module, mesh=mesh, reshard_after_forward=False, ignored_params=ignored)
    return module


def _in_ddp(module: nn.Module, group: Group, left: set[int]) -> nn.Module:
    from torch.nn.parallel import DistributedDataParallel as DDP

    names = [name for name, p in module.named_parameters() if id(p) in left]
    names += [name for name, _ in module.named_buffers()]  # all ranks have the same from the start
    own = [
        f".{name}" for name in names if "." not in name
    ]  # DDP calls a module's own parameters so, in one of two places
    DDP._set_params_and_buffers_to_ignore_for_model(module, [*names, *own])
    return DDP(
        module,
        device_ids=[group.device.index] if group.device.type == "cuda" else None,
        init_sync=False,  # all ranks start from the same bits; a table of gigabytes need not be sent to show it
        find_unused_parameters=True,  # a copied mask token has no gradient in a task of labels
        gradient_as_bucket_view=True,
    )


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Within, a module sharded by `wrap` has plain, complete parameters; called by all ranks."""
    sharded = hasattr(module, "unshard")
    if sharded:
        module.unshard()  # type: ignore[operator]
    try:
        yield
    finally:
        if sharded:
            module.reshard()  # type: ignore[operator]


@torch.no_grad()
def unwrap(module: nn.Module) -> None:
    """Give a wrapped module plain, complete parameters for good, which no wrapper watches any more; called by all ranks, after
    the last step."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None and parameter.requires_grad:
                part._parameters[name] = nn.Parameter(full(parameter.detach()))


def full(tensor: Tensor) -> Tensor:
    """A plain tensor with all of its values; for a sharded one all ranks must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def laid_like(like: Tensor, whole: Tensor) -> Tensor:
    """A plain tensor that every rank has, on the device of another one and sharded as that is."""
    if not hasattr(like, "full_tensor"):
        return whole.to(like.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def average_rows(parameters: Iterable[nn.Parameter], group: Group) -> None:
    """Replace gradients that hold only some rows by their average over ranks; after backward.

    What goes over the wire are the rows that a rank touched, padded to the most that one of them did, and their indices.
    """
    if group.world == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = _average(parameter.grad.coalesce(), group)


def _average(grad: Tensor, group: Group) -> Tensor:
    import torch.distributed as dist

    with group._talking("the rows of a gradient"):
        count = torch.tensor([grad._nnz()], device=grad.device)
        counts = torch.empty(group.world, dtype=count.dtype, device=grad.device)
        dist.all_gather_into_tensor(counts, count)
        most, width = int(counts.max()), grad.shape[1]
        index = torch.zeros(most, dtype=torch.int64, device=grad.device)
        values = torch.zeros(most, width, dtype=grad.dtype, device=grad.device)
        index[: grad._nnz()], values[: grad._nnz()] = grad.indices()[0], grad.values()
        all_index, all_values = index.new_empty(group.world * most), values.new_empty(group.world * most, width)
        dist.all_gather_into_tensor(all_index, index)
        dist.all_gather_into_tensor(all_values, values)
    real = (torch.arange(most, device=grad.device) < counts[:, None]).flatten()
    rows, values = all_index[real], all_values[real] / group.world
    return torch.sparse_coo_tensor(rows[None], values, grad.shape, check_invariants=False).coalesce()
