"""What a phase trains of a view, laid over what it must not touch: where(claimed, theta, bank)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lifelong.continual.bank import Bank
from lifelong.continual.view import View, render

CPU = torch.device("cpu")


class Overlay:
    """theta: name -> Parameter for each private tensor and each claim of the view; everything else stays a plain tensor.

    The optimizer holds theta and nothing else, so whatever it does (decay, momentum, a bug) ends outside the claims. Tensors
    lie on `device`; the bank and the view stay where they are. Of a table in `sparse` theta is a copy of all rows, whose
    gradient holds the rows of a batch alone; `keep_to_claims` takes those out of it that the task does not own.
    """

    def __init__(
        self,
        bank: Bank,
        view: View,
        claims: dict[str, Tensor],
        names: list[str],
        device: torch.device = CPU,
        sparse: frozenset[str] = frozenset(),
    ) -> None:
        self.bank, self.view, self.claims, self.sparse = bank, view, claims, sparse
        self.frozen = {name: value.to(device) for name, value in render(bank, view, names).items()}
        self.theta = {name: nn.Parameter(self._start(name)) for name in names if name in view.private or name in claims}
        self._masks = {name: claims[name].to(device) for name in self.theta if not self._whole(name)}

    def weights(self, theta: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The trunk's tensors of this step, by name, for torch.func.functional_call; gradients reach theta alone.

        `theta` stands in for the overlay's own where a wrapper (sharding) holds the values.
        """
        theta = self.theta if theta is None else theta
        return {n: self._overlaid(n, theta[n]) if n in theta else value for n, value in self.frozen.items()}

    def keep_to_claims(self) -> None:
        """Take rows that the task does not own out of the gradients of sparse tables; after backward, before the optimizer."""
        for name in self.sparse & self.theta.keys():
            grad = self.theta[name].grad
            first = 0 if name in self.view.private else _first_claimed(self.claims[name])
            if grad is not None and first:
                grad = grad.coalesce()
                owned = grad.indices()[0] >= first
                kept = (grad.indices()[:, owned], grad.values()[owned])
                self.theta[name].grad = torch.sparse_coo_tensor(
                    *kept, grad.shape, is_coalesced=True, check_invariants=False
                )

    def store(self) -> None:
        """Put what was learnt into the view's private tensors and into what the task claimed of the bank."""
        for name, theta in self.theta.items():
            value = theta.detach().cpu().clone()
            if name in self.view.private:
                self.view.private[name] = value
            elif name in self.bank.tables:
                first = len(self.claims[name]) - len(value)
                self.bank.write(name, self.claims[name], torch.cat([self.bank.values[name][:first], value]))
            else:
                self.bank.write(name, self.claims[name], value)

    def _start(self, name: str) -> Tensor:
        value = self.frozen[name]
        if name in self.bank.tables and name not in self.view.private and name not in self.sparse:
            value = value[_first_claimed(self.claims[name]) :]
        return value.clone()

    def _whole(self, name: str) -> bool:
        """Whether theta replaces the tensor, or is its end (a table): no mask is needed then."""
        private_or_table = name in self.view.private or name in self.bank.tables
        return private_or_table or bool(self.claims[name].all())

    def _overlaid(self, name: str, theta: Tensor) -> Tensor:
        if name in self._masks:
            return torch.where(self._masks[name], theta, self.frozen[name])
        if len(theta) < len(self.frozen[name]):
            return torch.cat([self.frozen[name][: len(self.frozen[name]) - len(theta)], theta])
        return theta


def _first_claimed(claim_V: Tensor) -> int:
    """Rows are claimed at the end of a table, never in its middle."""
    first = int(claim_V.long().argmax())
    assert bool(claim_V[first:].all())
    return first
