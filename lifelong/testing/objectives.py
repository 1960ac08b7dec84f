"""What every objective must keep: a finite loss that falls on a pattern, at the supervised points, and users that stay apart.

The pattern is a checkerboard: users who go round in one of two rings of items, so the next item follows from the last.
"""

import torch

from lifelong.core import registry
from lifelong.core.config import plain
from lifelong.core.errors import LifelongError
from lifelong.core.types import Batch, History
from lifelong.encoders.layers.dropout import Dropout
from lifelong.heads.next_item import NextItem
from lifelong.model.network import Design, TaskNet
from lifelong.objectives.base import Objective
from lifelong.objectives.siamese.collapse import LEAST_SPREAD, spread

RING, LENGTH = 5, 8


def make(name: str) -> Objective:
    """The objective of a YAML name with its default options."""
    _, cls, config = registry.make_config("objectives", name, "objective")
    return cls(config)


def checkerboard(objective: Objective) -> tuple[TaskNet, Batch]:
    """A tiny net and a batch in which the last event (points "users") or every one is supervised by the next. The objective is
    equipped for it."""
    torch.manual_seed(0)
    encoder = "bert4rec" if objective.causal is False else "sasrec"
    cls = registry.find("encoders", encoder)
    design = Design(encoder=encoder, options=plain(cls.Config(width=16, blocks=1, dropout=0.0)), length=LENGTH)
    net = TaskNet(design, 2 * RING + 1, None)
    net.head = NextItem(NextItem.Config(), 16, [str(i) for i in range(2 * RING)], torch.arange(1, 2 * RING + 1))
    start_B, ring_B = torch.arange(20) % RING, torch.arange(20) % 2
    place_BL = (start_B[:, None] + torch.arange(LENGTH + 1)) % RING + RING * ring_B[:, None]
    positions = torch.tensor([LENGTH - 1]) if objective.points == "users" else torch.arange(LENGTH)
    objective.equip(net.user_width)
    rows_N = torch.arange(20).repeat_interleave(len(positions))
    positions_N = positions.repeat(20)
    return net, Batch(History(place_BL[:, :-1] + 1), rows_N, positions_N, place_BL[rows_N, positions_N + 1])


def check_learns(objective: Objective) -> None:
    """The loss is finite, falls in 100 steps, and its gradient reaches the item table."""
    net, batch = checkerboard(objective)
    losses = _train(objective, net, batch, 100)
    assert all(torch.isfinite(torch.tensor(losses))), "a loss is not finite"
    assert losses[-1] < min(0.5 * losses[0], losses[0] - 0.5), (
        f"the loss does not fall: {losses[0]:.3f} to {losses[-1]:.3f}"
    )
    table = net.items.weight
    assert table is not None
    assert table.grad is not None and table.grad[1:].abs().sum() > 0, "the item table gets no gradient"  # noqa: PT018


def check_tells_users_apart(objective: Objective) -> None:
    """Trained with dropout, it does not let the user vectors fall into one point, and does not find out by itself that
    something has collapsed."""
    net, batch = checkerboard(objective)
    for module in net.modules():
        if isinstance(module, Dropout):
            module.p = 0.2
    _train(objective, net, batch, 60)
    try:
        objective.end_epoch()
    except LifelongError as error:
        raise AssertionError(str(error)) from None
    with torch.no_grad():
        wide = float(spread(net.eval().vectors(net.states(batch.history), batch.history)))
    assert wide >= LEAST_SPREAD, f"all users look the same: spread {wide:.4f}"


def check_points(objective: Objective) -> None:
    """What is not supervised does not count: other targets elsewhere leave the loss of a point alone."""
    net, batch = checkerboard(objective)
    net.eval()
    alone, twice = (_loss_of(objective, net, batch, times) for times in (1, 2))
    assert abs(alone - twice) < 1e-5, "the loss is no mean over the points"


def check_in_bfloat16(objective: Objective) -> None:
    """Where matrix products are computed in bfloat16 the loss stays float32 and close, and every gradient is finite."""
    net, batch = checkerboard(objective)
    net.eval()
    losses = []
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses.append(net(objective, batch))
    assert losses[1].dtype == torch.float32, f"the loss is {losses[1].dtype}"
    whole, half_ = (float(loss.detach()) for loss in losses)
    assert abs(half_ - whole) < 0.03 * max(1.0, abs(whole)), (
        f"the loss is {half_:.4f} in bfloat16, {whole:.4f} in float32"
    )
    losses[1].backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients, "no parameter gets a gradient"
    assert all(torch.isfinite(grad).all() for grad in gradients), "a gradient is not finite"


def _loss_of(objective: Objective, net: TaskNet, batch: Batch, times: int) -> float:
    """The loss of the last point of the first user, so many times over, whatever is drawn being the same."""
    torch.manual_seed(0)
    last = int((batch.rows_N == 0).sum()) - 1
    picked = torch.full((times,), last)
    only = Batch(batch.history, batch.rows_N[picked], batch.positions_N[picked], batch.targets_N[picked])
    return float(net(objective, only).detach())


def _train(objective: Objective, net: TaskNet, batch: Batch, steps: int) -> list[float]:
    """The losses of so many steps on the same batch."""
    optimizer = torch.optim.Adam([*net.parameters(), *objective.parameters()], lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = net(objective, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


OBJECTIVE_CHECKS = (check_learns, check_tells_users_apart, check_points, check_in_bfloat16)


def check_objective(objective: Objective) -> None:
    """All checks."""
    for check in OBJECTIVE_CHECKS:
        check(objective)
