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
        fixed: frozenset[str] = frozenset(),
    ) -> None:
        """fixed: names that are not trained, whoever owns them: a table of what encodes items."""
        self.bank, self.view, self.claims, self.sparse = bank, view, claims, sparse
        self.frozen = {name: value.to(device) for name, value in render(bank, view, names).items()}
        trained = [name for name in names if (name in view.private or name in claims) and name not in fixed]
        self.theta = {name: nn.Parameter(self._start(name)) for name in trained}
        self._masks = {name: self._mask(name).to(device) for name in self.theta if not self._whole(name)}

    def weights(self, theta: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The trunk's tensors of this step, by name, for torch.func.functional_call; gradients reach theta alone.

        `theta` stands in for the overlay's own where a wrapper (sharding) holds the values.
        """
        theta = self.theta if theta is None else theta
        return {n: self._overlaid(n, theta[n]) if n in theta else value for n, value in self.frozen.items()}

    def keep_to_claims(self) -> None:
        """Take rows that the task does not own out of the gradients of sparse tables; after backward, before the optimizer."""
        for name in self.sparse & self.theta.keys() - self.view.private.keys():
            grad, claim_V = self.theta[name].grad, self.claims[name]
            if grad is not None and not bool(claim_V.all()):
                grad = grad.coalesce()
                owned = claim_V.to(grad.device)[grad.indices()[0]]
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
            else:
                first = len(self.claims[name]) - len(value)
                value = torch.cat([self.bank.values[name][:first], value]) if first else value
                self.bank.write(name, self.claims[name], value)

    def _start(self, name: str) -> Tensor:
        value = self.frozen[name]
        if name in self.bank.tables and name not in self.view.private and name not in self.sparse:
            value = value[_end_claimed(self.claims[name]) or 0 :]
        return value.clone()

    def _mask(self, name: str) -> Tensor:
        claim = self.claims[name]
        return claim[:, None] if name in self.bank.tables else claim

    def _whole(self, name: str) -> bool:
        """Whether theta replaces the tensor, or is its end (a table): no mask is needed then. Nor is one for a sparse table,
        whose gradient is kept to the claims."""
        if name in self.view.private or name in self.sparse:
            return True
        claim = self.claims[name]
        return bool(claim.all()) or (name in self.bank.tables and _end_claimed(claim) is not None)

    def _overlaid(self, name: str, theta: Tensor) -> Tensor:
        if name in self._masks:
            return torch.where(self._masks[name], theta, self.frozen[name])
        if len(theta) < len(self.frozen[name]):
            return torch.cat([self.frozen[name][: len(self.frozen[name]) - len(theta)], theta])
        return theta


def _end_claimed(claim_V: Tensor) -> int | None:
    """Where the claimed rows begin, if they are the end of the table, as those of new items are; None where they are not."""
    first = int(claim_V.long().argmax())
    return first if bool(claim_V[first:].all()) else None
