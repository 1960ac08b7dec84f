"""All tensors of the encoder, once; beside each a small integer that says which task owns what.

Two kinds of tensor live here: prunable weights (convolutions, linear maps), with one owner per weight, and tables (items,
positions), with one owner per row. Norms and biases never do: they are private to a task, see view.py. Owner 0 is free. The
bank is never a Parameter, so no optimizer, weight decay or stale momentum can reach a sealed weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

FREE = 0


@dataclass
class Bank:
    """values: name -> float32; owners: name -> int16 of the same shape, or (V,) for the names in `tables`."""

    values: dict[str, Tensor]
    owners: dict[str, Tensor]
    tables: frozenset[str]
    _rendered: dict[tuple[str, frozenset[int], int], Tensor] = field(default_factory=dict, repr=False)

    def fork(self) -> "Bank":
        """A bank to grow in: changing it leaves this one as it is. Tables are shared until rows are added or written."""
        values = {n: v if n in self.tables else v.clone() for n, v in self.values.items()}
        return Bank(values, {n: o.clone() for n, o in self.owners.items()}, self.tables)

    @property
    def prunable(self) -> list[str]:
        """Names of the weights with one owner each."""
        return [name for name in self.values if name not in self.tables]

    def shares(self) -> dict[int, float]:
        """Owner -> share of all prunable weights, FREE included."""
        counts = sum(torch.bincount(self.owners[n].flatten().long(), minlength=2**15) for n in self.prunable)
        assert isinstance(counts, Tensor)
        owners = [FREE, *(int(o) for o in counts.nonzero().flatten() if o != FREE)]
        return {o: int(counts[o]) / int(counts.sum()) for o in owners}

    def render(self, name: str, lineage: frozenset[int], rows: int) -> Tensor:
        """The tensor as a lineage sees it: owned by one of it -> value, else 0; tables end at `rows`.

        Tensors that two lineages see alike are one tensor. where, never a product: NaN * 0 is NaN, and -1 * 0 is -0.
        """
        present = self.owners[name] if name not in self.tables else self.owners[name][:rows]
        seen = frozenset(int(o) for o in present.unique()) & lineage
        key = (name, seen, len(present) if name in self.tables else 0)
        if key not in self._rendered:
            self._rendered[key] = self._render(name, seen, present)
        return self._rendered[key]

    def write(self, name: str, where: Tensor, values: Tensor) -> None:
        """Put the values (full shape) where the bool mask is True; used by a task on what it owns, before it is sealed."""
        if name in self.tables:
            where = where[:, None]
        self.values[name] = torch.where(where, values, self.values[name])
        self._rendered.clear()

    def release(self, name: str, index: Tensor) -> None:
        """Give weights (flat indices), or rows of a table, back: free, and zero."""
        if name in self.tables:
            self.owners[name] = self.owners[name].index_fill(0, index, FREE)
            self.values[name] = self.values[name].index_fill(0, index, 0.0)
            self._rendered.clear()
            return
        self.owners[name] = self.owners[name].flatten().index_fill(0, index, FREE).view_as(self.owners[name])
        self.values[name] = self.values[name].flatten().index_fill(0, index, 0.0).view_as(self.values[name])
        self._rendered.clear()

    def append_rows(self, name: str, new_VD: Tensor, owner: int) -> None:
        """Rows of a table for items that nobody has known; the earlier ones keep their place."""
        self.values[name] = torch.cat([self.values[name], new_VD])
        self.owners[name] = torch.cat([self.owners[name], torch.full((len(new_VD),), owner, dtype=torch.int16)])
        self._rendered.clear()

    def _render(self, name: str, seen: frozenset[int], present: Tensor) -> Tensor:
        value = self.values[name][: len(present)] if name in self.tables else self.values[name]
        visible = owned_by(present, seen)
        if bool(visible.all()):
            return value
        return torch.where(visible[:, None] if name in self.tables else visible, value, 0.0).contiguous()


def owned_by(owners: Tensor, lineage: frozenset[int] | set[int]) -> Tensor:
    """Bool, shape of `owners`: True where the owner is one of the lineage. A set look-up, never `owner <= t`: a task forked
    from the base must not see its siblings."""
    lookup = torch.zeros(2**15, dtype=torch.bool)
    lookup[list(lineage)] = True
    lookup[FREE] = False
    return lookup[owners.long()]


def empty_bank(trunk: nn.Module) -> Bank:
    """A bank of the trunk's shapes in which everything is free and zero."""
    values: dict[str, Tensor] = {}
    owners: dict[str, Tensor] = {}
    tables = table_names(trunk)
    for name, parameter in trunk.named_parameters():
        if parameter.dim() < 2:
            continue
        values[name] = torch.zeros_like(parameter, requires_grad=False)
        shape = parameter.shape[:1] if name in tables else parameter.shape
        owners[name] = torch.zeros(shape, dtype=torch.int16)
    return Bank(values, owners, tables)


def table_names(trunk: nn.Module) -> frozenset[str]:
    """Names of the trunk's tables: the weights of its nn.Embedding modules."""
    return frozenset(f"{name}.weight" for name, module in trunk.named_modules() if isinstance(module, nn.Embedding))


def private_values(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those parameters that belong to a task alone: norms and biases, at most one dimension."""
    return {name: p for name, p in parameters.items() if p.dim() < 2}
