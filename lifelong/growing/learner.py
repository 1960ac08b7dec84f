"""What a phase trains, as one module: its parameters are theta and the task's own, its forward is the loss of a batch."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.continual.overlay import Overlay
from lifelong.continual.phase import Phase
from lifelong.core.compute import Compute
from lifelong.core.types import Batch
from lifelong.model.network import TaskNet
from lifelong.objectives.base import Objective


class Learner(nn.Module):
    """The network of a task with the overlay's tensors in place of its own trunk; what DDP, FSDP2 or a compiler may wrap.

    Its trainable parameters are those of `parameters_by_name`, and no others.
    """

    def __init__(self, net: TaskNet, objective: Objective, overlay: Overlay, phase: Phase, compute: Compute) -> None:
        super().__init__()
        self.net, self.objective, self.overlay, self.compute = net, objective, overlay, compute
        self.device = next(iter(overlay.frozen.values())).device
        objective.to(self.device)
        self.penalty = None if phase.penalty is None else phase.penalty.to(self.device)
        net.to_device(self.device)
        net.put(overlay.frozen)
        for name, parameter in overlay.theta.items():
            self.register_parameter(_key(name), parameter)

    def forward(self, batch: Batch) -> Tensor:
        """The objective's loss of a batch, plus the phase's penalty; a float32 scalar."""
        weights = self.overlay.weights(self.theta())
        with self.compute.autocast(self.device):
            loss = functional_call(self.net, weights, (self.objective, batch))
        return loss if self.penalty is None else loss + self.penalty(weights, batch)

    def theta(self) -> dict[str, nn.Parameter]:
        """What is trained of the trunk, by name; where a wrapper shards it, what stands in the overlay's place."""
        return {name: getattr(self, _key(name)) for name in self.overlay.theta}

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """theta/… of the trunk, own/… of the task, beside/… of what is sealed with neither: the objective's own (a predictor)
        and the penalty's (heads of earlier tasks); in a fixed order."""
        trunk = set(self.net.trunk_names())
        beyond = {name: p for name, p in self.net.named_parameters() if name not in trunk}
        own = {f"own/{name}": p for name, p in beyond.items() if p.requires_grad}
        theta = {f"theta/{name}": value for name, value in self.theta().items()}
        penalty = [] if self.penalty is None else self.penalty.named_parameters()
        beside = [*self.objective.named_parameters(prefix="objective"), *penalty]
        return {**theta, **own, **{f"beside/{name}": p for name, p in beside if p.requires_grad}}

    def sparse_names(self) -> set[str]:
        """Those whose gradients hold only the rows that a batch touched."""
        tables = {f"{n}.weight" for n, m in self.net.named_modules() if isinstance(m, nn.Embedding) and m.sparse}
        return {name for name in self.parameters_by_name() if name.partition("/")[2] in tables}

    @torch.no_grad()
    def settle(self) -> TaskNet:
        """The network with the weights as they stand, in evaluation mode; items that are encoded by content, encoded."""
        self.net.put(self.overlay.weights(self.theta()))
        self.net.eval()
        if self.net.content is not None:
            self.net.content.settle()
        return self.net

    def store(self) -> None:
        """Put what was learnt into the view and the bank, when no wrapper shards it any more."""
        self.overlay.theta = self.theta()
        self.overlay.store()


def _key(name: str) -> str:
    """A parameter's name may not hold a dot."""
    return "theta/" + name.replace(".", "/")
