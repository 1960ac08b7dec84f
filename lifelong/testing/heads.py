"""What every head must keep: scores of its own catalogue, a loss that falls, each user by himself, cold users answered.

Each check takes `make(width, catalogue, rows_C) -> Head` and raises AssertionError saying what was broken.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.types import Classified, Ranked
from lifelong.heads.base import Head
from lifelong.metrics.parse import parse

Make = Callable[[int, Sequence[str], Tensor | None], Head]
WIDTH, CATALOGUE = 8, tuple("abcdefghijklmnopqrst")


def makers(name: str) -> Make:
    """The head of a YAML name with its default options."""
    _, cls, config = registry.make_config("heads", name, "head")
    return lambda width, catalogue, rows_C: cls(config, width, catalogue, rows_C)


def example(make: Make) -> tuple[Head, Tensor, Tensor, nn.Embedding]:
    """A head, 32 user vectors, their right answers (a function of the vector), and an item table."""
    torch.manual_seed(0)
    rows_C = torch.arange(1, len(CATALOGUE) + 1)
    head = make(WIDTH, CATALOGUE, rows_C)
    users_ND, items = torch.randn(32, WIDTH), nn.Embedding(len(CATALOGUE) + 1, WIDTH)
    return head, users_ND, (users_ND @ torch.randn(WIDTH, len(CATALOGUE))).argmax(dim=1), items


def check_scores(make: Make) -> None:
    """One finite score for each catalogue entry, the same whoever else is asked at the same shape, and for a cold user too."""
    head, users_ND, _, items = example(make)
    head.eval()
    scores_NC = head.scores(users_ND, items).detach()
    assert scores_NC.shape == (32, len(CATALOGUE)), f"scores of shape {tuple(scores_NC.shape)}"
    others_ND = torch.cat([users_ND[:1], torch.randn(31, WIDTH)])
    assert torch.equal(head.scores(others_ND, items)[0].detach(), scores_NC[0]), "the neighbours change a user's scores"
    assert torch.isfinite(head.scores(torch.zeros(4, WIDTH), items)).all(), "a user without history has no finite score"


def check_learns(make: Make) -> None:
    """The loss is finite and falls, and its gradient reaches every parameter of the head."""
    head, users_ND, targets_N, items = example(make)
    users_ND.requires_grad_()
    optimizer = torch.optim.Adam([users_ND, *head.parameters()], lr=0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = head.loss(users_ND, targets_N, items, None)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(p.grad is not None for p in head.parameters()), "a parameter gets no gradient"
    assert losses[-1] < 0.7 * losses[0], f"the loss does not fall: {losses[0]:.3f} to {losses[-1]:.3f}"


def check_outcome(make: Make) -> None:
    """Scores that put the right answer first give 1.0 by every metric of the head, and equal scores do not."""
    head, _, targets_N, _ = example(make)
    targets_N = torch.arange(24) % 2  # two answers, so that every metric is defined
    perfect_NC = torch.nn.functional.one_hot(targets_N, len(CATALOGUE)).float() * 30
    for spec in head.metrics:
        metric = parse(spec)
        outcome = head.outcome(perfect_NC, targets_N)
        assert isinstance(outcome, metric.outcome), f"{spec} does not look at a {type(outcome).__name__}"
        assert float(metric.value(outcome, None)[0]) > 0.999, f"perfect scores do not give 1.0 by {spec}"
        tied = head.outcome(torch.zeros_like(perfect_NC), targets_N)
        assert float(metric.value(tied, None)[0]) < 0.999, f"equal scores give 1.0 by {spec}"


def check_declarations(make: Make) -> None:
    """It says what it answers, by which objective it is trained and what it is measured by."""
    head, _, targets_N, _ = example(make)
    assert head.answers in ("items", "classes"), f"answers is {head.answers!r}"
    assert head.objective in registry.names("objectives"), f"there is no objective {head.objective!r}"
    outcome = head.outcome(torch.zeros(32, len(CATALOGUE)), targets_N)
    assert isinstance(outcome, Ranked | Classified)


HEAD_CHECKS = (check_scores, check_learns, check_outcome, check_declarations)


def check_head(make: Make) -> None:
    """All checks."""
    for check in HEAD_CHECKS:
        check(make)
