"""What every head must keep: scores of its own catalogue, a loss that falls, each user by himself, cold users answered.

Each check takes `make(width, catalogue, rows_C) -> Head` and raises AssertionError saying what was broken.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.core import registry
from lifelong.core.types import OUTCOMES, Negatives, Seen, moved
from lifelong.heads.base import Head
from lifelong.metrics.parse import parse

Make = Callable[[int, Sequence[str], Tensor | None], Head]
WIDTH, CATALOGUE = 8, tuple("abcdefghijklmnopqrst")


def makers(name: str) -> Make:
    """The head of a YAML name with its default options."""
    _, cls, config = registry.make_config("heads", name, "head")
    return lambda width, catalogue, rows_C: cls(config, width, catalogue, rows_C)


def example(make: Make) -> tuple[Head, Tensor, Tensor, nn.Embedding]:
    """A head that has been told its targets, 32 user vectors, their right answers (a function of the vector), an item table."""
    torch.manual_seed(0)
    head = _made(make)
    users_ND, items = torch.randn(32, WIDTH), nn.Embedding(len(CATALOGUE) + 1, WIDTH)
    targets_N = right_answers(head, users_ND @ torch.randn(WIDTH, _columns(head)))
    head.prepare(targets_N)
    return head, users_ND, targets_N, items


def right_answers(head: Head, signal_NC: Tensor) -> Tensor:
    """Answers of the head's kind, a function of a signal (N, C): the largest, all above 0, or the number itself."""
    if head.answers == "labels":
        return (signal_NC > 0).float()
    return 100 + 7 * signal_NC[:, 0] if head.answers == "number" else signal_NC.argmax(dim=1)


def check_scores(make: Make) -> None:
    """One finite score for each catalogue entry, the same whoever else is asked at the same shape, and for a cold user too."""
    head, users_ND, _, items = example(make)
    head.eval()
    scores_NC = head.scores(users_ND, items, _seen(head, 32)).detach()
    assert scores_NC.shape == (32, _columns(head)), f"scores of shape {tuple(scores_NC.shape)}"
    others_ND = torch.cat([users_ND[:1], torch.randn(31, WIDTH)])
    others_NC = head.scores(others_ND, items, _seen(head, 32)).detach()
    assert torch.equal(others_NC[0], scores_NC[0]), "the neighbours change a user's scores"
    nothing = moved(_seen(head, 4), torch.zeros_like)
    cold_NC = head.scores(torch.zeros(4, WIDTH), items, nothing)
    assert torch.isfinite(cold_NC).all(), "a user without history has no finite score"


def check_learns(make: Make) -> None:
    """The loss is finite and falls, and its gradient reaches every parameter of the head."""
    head, users_ND, targets_N, items = example(make)
    if head.answers == "vectors":  # nothing is right or wrong
        return
    users_ND.requires_grad_()
    optimizer = torch.optim.Adam([users_ND, *head.parameters()], lr=0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = head.loss(users_ND, targets_N, items, None, _seen(head, 32))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(p.grad is not None for p in head.parameters()), "a parameter gets no gradient"
    assert losses[-1] < 0.7 * losses[0], f"the loss does not fall: {losses[0]:.3f} to {losses[-1]:.3f}"


def check_scores_train(make: Make) -> None:
    """A strategy that holds earlier answers trains through the scores: their gradients are finite, of a cold user's, too."""
    head, users_ND, _, items = example(make)
    users_ND.requires_grad_()
    seen = _seen(head, 32)
    if seen is not None:
        seen.rows_BS[:4], seen.rows_BS[4:8, :2] = 0, 0
    head.scores(users_ND, items, seen).square().mean().backward()
    trained = {"the user vectors": users_ND, "the item table": items.weight, **dict(head.named_parameters())}
    for name, value in trained.items():
        assert value.grad is None or torch.isfinite(value.grad).all(), f"no finite gradient for {name}"


def check_sampled(make: Make) -> None:
    """A loss over drawn candidates estimates the one over the whole catalogue: drawn so often as they are expected, every
    entry the same number of times or some more often than others, they give that very loss. For heads of items.

    So a candidate that is the right answer must not count, one that stands twice must count half each time (logQ, subtracted),
    and what a point may not be asked for, because its user had it, must not count either.
    """
    head, users_ND, targets_N, items = example(make)
    if head.answers != "items":
        return
    seen, times_C = _seen(head, 32), 1 + torch.arange(len(CATALOGUE)) % 3
    losses = []
    for index_K, expected_K in (
        (torch.arange(len(CATALOGUE)), torch.ones(len(CATALOGUE))),
        (torch.arange(len(CATALOGUE)).repeat_interleave(times_C), times_C.repeat_interleave(times_C)),
    ):
        torch.manual_seed(1)  # of what a loss may draw
        sampled = Negatives(index_K, expected_K.float().log())
        losses.append(float(head.loss(users_ND, targets_N, items, sampled, seen).detach()))
    torch.manual_seed(1)
    full = float(head.loss(users_ND, targets_N, items, None, seen).detach())
    off = max(abs(loss - full) for loss in losses)
    assert off < 1e-4, f"all candidates give a loss of {losses}, the whole catalogue one of {full:.4f}"


def check_outcome(make: Make) -> None:
    """Scores that say the right answer are perfect by every metric of the head, and equal scores are not."""
    head = _made(make)
    classes_N = torch.arange(24) % 2 * 10  # two answers, so that every metric is defined, and no neighbours
    signal_NC = F.one_hot(classes_N, len(CATALOGUE)).float() * 60 - 30
    signal_NC = classes_N[:, None].float() if head.answers == "number" else signal_NC
    targets_N = classes_N.float() if head.answers == "number" else right_answers(head, signal_NC)
    for spec in head.metrics:
        metric = parse(spec)
        outcome = head.outcome(signal_NC, targets_N)
        assert isinstance(outcome, metric.outcome), f"{spec} does not look at a {type(outcome).__name__}"
        best = 1.0 if metric.higher_is_better else 0.0
        off = abs(float(metric.value(outcome, None)[0]) - best)
        assert off < 0.001, f"right scores are {off} from perfect by {spec}"
        tied = head.outcome(torch.zeros_like(signal_NC), targets_N)
        value = float(metric.value(tied, None)[0])
        assert not abs(value - best) < 0.001, f"equal scores are perfect by {spec}: {value}"


def check_probabilities(make: Make) -> None:
    """What is said of a user's scores has the same bits whoever else is asked; probabilities lie in [0, 1], of classes they add
    up to one."""
    head = _made(make)
    scores_NC = torch.randn(67, _columns(head)) * 4
    said_NC = head.probabilities(scores_NC)
    for size in (1, 7, 16, 33):
        parts = torch.cat([head.probabilities(part.clone()) for part in scores_NC.split(size)])
        assert torch.equal(parts, said_NC), f"asked in requests of {size} other bits are said"
    if head.answers in ("classes", "labels"):
        assert ((said_NC >= 0) & (said_NC <= 1)).all(), "a probability lies outside [0, 1]"
    if head.answers == "classes":
        assert torch.allclose(said_NC.sum(dim=1), torch.ones(67), atol=1e-5), "probabilities do not add up to one"


def check_kept(make: Make) -> None:
    """Whatever it was told of its targets is among its tensors: a fresh one that is given them answers the same."""
    head, users_ND, targets_N, items = example(make)
    fresh = _made(make)
    fresh.load_state_dict(head.state_dict())
    given, kept = (h.eval().scores(users_ND, items, _seen(h, 32)) for h in (head, fresh))
    assert torch.equal(given, kept), "a head that is loaded from its tensors gives other scores"
    losses = [0.0, 0.0]
    for place, one in enumerate((head, fresh) if head.answers != "vectors" else ()):
        torch.manual_seed(1)  # of what a loss may draw
        losses[place] = float(one.loss(users_ND, targets_N, items, None, _seen(one, 32)).detach())
    assert losses[0] == losses[1], "a head that is loaded from its tensors has another loss"


def check_declarations(make: Make) -> None:
    """It says what it answers, by which objective it is trained and what it is measured by."""
    head, _, targets_N, _ = example(make)
    assert head.answers in OUTCOMES, f"answers is {head.answers!r}"
    assert head.objective in registry.names("objectives"), f"there is no objective {head.objective!r}"
    outcome = head.outcome(torch.zeros(32, _columns(head)), targets_N)
    assert type(outcome) is OUTCOMES[head.answers], f"{head.answers} give a {type(outcome).__name__}"


def _made(make: Make) -> Head:
    """The head over the example's catalogue: of a number its name alone, of vectors none."""
    rows_C = torch.arange(1, len(CATALOGUE) + 1)
    head = make(WIDTH, CATALOGUE, rows_C)
    catalogue = {"number": CATALOGUE[:1], "vectors": ()}.get(head.answers, CATALOGUE)
    return make(WIDTH, catalogue, rows_C if head.answers == "items" else None)


def _columns(head: Head) -> int:
    """How many scores a user gets."""
    return {"number": 1, "vectors": WIDTH}.get(head.answers, len(CATALOGUE))


def _seen(head: Head, users: int) -> Seen | None:
    """Three events of each user's past, where the head asks for them."""
    if not head.needs_seen:
        return None
    rows_BS = torch.arange(users * 3).view(users, 3) % (len(CATALOGUE) + 1)
    times_BS = torch.arange(users * 3).view(users, 3) * 3600
    return Seen(rows_BS, times_BS, torch.arange(users), torch.full((users,), 3))


HEAD_CHECKS = (
    check_scores,
    check_learns,
    check_scores_train,
    check_sampled,
    check_outcome,
    check_probabilities,
    check_kept,
    check_declarations,
)


def check_head(make: Make) -> None:
    """All checks."""
    for check in HEAD_CHECKS:
        check(make)
