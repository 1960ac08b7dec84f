"""What a phase trains of a view, laid over what it must not touch: where(claimed, theta, bank)."""

import torch
from torch import Tensor, nn

from lifelong.continual.bank import Bank
from lifelong.continual.view import View, render


class Overlay:
    """theta: name -> Parameter for each private tensor and each claim of the view; everything else stays a plain tensor.

    The optimizer holds theta and nothing else, so whatever it does (decay, momentum, a bug) ends outside the claims.
    """

    def __init__(self, bank: Bank, view: View, claims: dict[str, Tensor], names: list[str]) -> None:
        self.bank, self.view, self.claims = bank, view, claims
        self.frozen = render(bank, view, names)
        self.theta = {name: nn.Parameter(self._start(name)) for name in names if name in view.private or name in claims}

    def weights(self) -> dict[str, Tensor]:
        """The trunk's tensors of this step, by name, for torch.func.functional_call; gradients reach theta alone."""
        return {name: self._overlaid(name) if name in self.theta else value for name, value in self.frozen.items()}

    def store(self) -> None:
        """Put what was learnt into the view's private tensors and into what the task claimed of the bank."""
        for name, theta in self.theta.items():
            value = theta.detach().clone()
            if name in self.view.private:
                self.view.private[name] = value
            elif name in self.bank.tables:
                first = len(self.claims[name]) - len(value)
                self.bank.write(name, self.claims[name], torch.cat([self.bank.values[name][:first], value]))
            else:
                self.bank.write(name, self.claims[name], value)

    def _start(self, name: str) -> Tensor:
        value = self.frozen[name]
        if name in self.bank.tables and name not in self.view.private:
            value = value[_first_claimed(self.claims[name]) :]
        return value.clone()

    def _overlaid(self, name: str) -> Tensor:
        theta = self.theta[name]
        if name in self.view.private or (len(theta) == len(self.frozen[name]) and bool(self.claims[name].all())):
            return theta
        if name in self.bank.tables:
            return torch.cat([self.frozen[name][: len(self.frozen[name]) - len(theta)], theta])
        return torch.where(self.claims[name], theta, self.frozen[name])


def _first_claimed(claim_V: Tensor) -> int:
    """Rows are claimed at the end of a table, never in its middle."""
    first = int(claim_V.long().argmax())
    assert bool(claim_V[first:].all())
    return first
