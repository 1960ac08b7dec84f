"""What every objective must keep: a finite loss that falls on a pattern, read at the points that the batch supervises.

The pattern is a checkerboard: users who go round in one of two rings of items, so the next item follows from the last.
"""

import torch

from lifelong.core import registry
from lifelong.core.config import plain
from lifelong.core.types import Batch, History
from lifelong.heads.next_item import NextItem
from lifelong.network import Design, TaskNet
from lifelong.objectives.base import Objective

RING, LENGTH = 5, 8


def make(name: str) -> Objective:
    """The objective of a YAML name with its default options."""
    _, cls, config = registry.make_config("objectives", name, "objective")
    return cls(config)


def checkerboard(objective: Objective) -> tuple[TaskNet, Batch]:
    """A tiny net and a batch in which every event (points "events") or the last one ("users") is supervised by the next."""
    torch.manual_seed(0)
    encoder = "bert4rec" if objective.causal is False else "sasrec"
    cls = registry.find("encoders", encoder)
    design = Design(encoder=encoder, options=plain(cls.Config(width=16, blocks=1, dropout=0.0)), length=LENGTH)
    net = TaskNet(design, 2 * RING + 1, None)
    net.head = NextItem(NextItem.Config(), 16, [str(i) for i in range(2 * RING)], torch.arange(1, 2 * RING + 1))
    start_B, ring_B = torch.arange(20) % RING, torch.arange(20) % 2
    place_BL = (start_B[:, None] + torch.arange(LENGTH + 1)) % RING + RING * ring_B[:, None]
    positions = torch.arange(LENGTH) if objective.points == "events" else torch.tensor([LENGTH - 1])
    rows_N = torch.arange(20).repeat_interleave(len(positions))
    positions_N = positions.repeat(20)
    return net, Batch(History(place_BL[:, :-1] + 1), rows_N, positions_N, place_BL[rows_N, positions_N + 1])


def check_learns(objective: Objective) -> None:
    """The loss is finite, falls in 100 steps, and its gradient reaches the item table."""
    net, batch = checkerboard(objective)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = net(objective, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(torch.isfinite(torch.tensor(losses))), "a loss is not finite"
    assert losses[-1] < 0.5 * losses[0], f"the loss does not fall: {losses[0]:.3f} to {losses[-1]:.3f}"
    assert net.items.weight.grad is not None, "the item table gets no gradient"
    assert net.items.weight.grad[1:].abs().sum() > 0, "the item table gets no gradient"


def check_points(objective: Objective) -> None:
    """What is not supervised does not count: other targets elsewhere leave the loss of a point alone."""
    net, batch = checkerboard(objective)
    net.eval()
    alone, twice = (_loss_of(objective, net, batch, times) for times in (1, 2))
    assert abs(alone - twice) < 1e-5, "the loss is no mean over the points"


def _loss_of(objective: Objective, net: TaskNet, batch: Batch, times: int) -> float:
    """The loss of the last point of the first user, so many times over, whatever is drawn being the same."""
    torch.manual_seed(0)
    last = int((batch.rows_N == 0).sum()) - 1
    picked = torch.full((times,), last)
    only = Batch(batch.history, batch.rows_N[picked], batch.positions_N[picked], batch.targets_N[picked])
    return float(net(objective, only).detach())


OBJECTIVE_CHECKS = (check_learns, check_points)


def check_objective(objective: Objective) -> None:
    """All checks."""
    for check in OBJECTIVE_CHECKS:
        check(objective)
