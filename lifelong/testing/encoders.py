"""What every encoder must keep: causality or hidden events, clean pads, users apart, open slots, honest parameters.

Each check takes `make(width, length) -> Encoder`, builds small encoders with it and raises AssertionError where the promise is
broken; `check_encoder(make)` runs them all. The checks set torch's global seed.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lifelong.encoders.base import Encoder
from lifelong.testing.slots import check_openings, check_slots
from lifelong.testing.windows import (
    LENGTH,
    USERS,
    WIDTH,
    Make,
    Ramp,
    example,
    fill,
    pad_left,
    same_bits,
    seasoned,
    states_of,
)

DIVIDED = (64, 71)
"""Width and length at which torch divides a pointwise operation on 16 users among threads, and with a remainder."""
TOLERANCE = 1e-6


def check_causality(make: Make) -> None:
    """A causal encoder: another event at p changes no bit of a state before p, and does change the state at p."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    before_BLD = states_of(encoder, vectors_BLD, valid_BL)
    for place in range(LENGTH):
        other_BLD = vectors_BLD.clone()
        other_BLD[:, place] = -2.0 * vectors_BLD[:, place] + 1.0
        after_BLD = states_of(encoder, other_BLD, valid_BL)
        if encoder.causal:
            same_bits(before_BLD[:, :place], after_BLD[:, :place], f"an event at {place} changes a state before it")
        real_B = valid_BL[:, place]
        moved_B = (before_BLD[:, place] != after_BLD[:, place]).any(dim=1)
        assert bool((moved_B | ~real_B).all()), f"the state at {place} does not depend on the event there"


def check_hidden(make: Make) -> None:
    """An encoder that sees both sides does so, and knows nothing of an event that is hidden.

    It takes hidden_BL, bool, True at p where event p + 1 is hidden; the last place stands for the event to come, which is
    hidden in any case. What a hidden event is changes no bit of any state; another event changes states before it.
    """
    encoder = seasoned(make)
    if encoder.causal:
        return
    vectors_BLD, valid_BL = example(encoder)
    other_BLD = -2.0 * vectors_BLD + 1.0
    hidden_BL = valid_BL & (torch.arange(LENGTH, device=valid_BL.device) % 3 == 1)
    replaced_BL = hidden_BL.roll(1, dims=1)
    replaced_BL[:, 0] = False
    before_BLD = states_of(encoder, vectors_BLD, valid_BL, hidden_BL)
    after_BLD = states_of(encoder, torch.where(replaced_BL[:, :, None], other_BLD, vectors_BLD), valid_BL, hidden_BL)
    same_bits(before_BLD, after_BLD, "what a hidden event is reaches a state")
    hidden_BL[:, -1] = ~hidden_BL[:, -1]
    after_BLD = states_of(encoder, vectors_BLD, valid_BL, hidden_BL)
    same_bits(before_BLD, after_BLD, "hiding the event to come, which is always hidden, changes a state")
    other_BLD = torch.cat([vectors_BLD[:, :-1], other_BLD[:, -1:]], dim=1)
    full_B = valid_BL.all(dim=1)
    moved_BLD = states_of(encoder, other_BLD, valid_BL) != states_of(encoder, vectors_BLD, valid_BL)
    assert bool(moved_BLD[full_B, : LENGTH // 2].any()), "no state sees a later event; say causal = True"


def check_left_padding(make: Make) -> None:
    """The same events behind more padding give the same states, to 1e-6."""
    encoder = seasoned(make)
    vectors_BLD, _ = example(encoder)
    for length in (1, 5, LENGTH - 1):
        events_BLD = vectors_BLD[:, -length:]
        bare_BLD = states_of(encoder, events_BLD, torch.ones_like(events_BLD[:, :, 0], dtype=torch.bool))
        padded_BLD = states_of(encoder, *pad_left(events_BLD, LENGTH))[:, -length:]
        gap = float((bare_BLD - padded_BLD).abs().max())
        assert gap <= TOLERANCE, f"{LENGTH - length} pads before {length} events move a state by {gap:.2g}"


def check_pads_are_zero(make: Make) -> None:
    """States at padded positions are exactly +0, also where every slot holds a part with a bias."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    for filled in (False, True):
        if filled:
            fill(encoder, Ramp)
        states_BLD = states_of(encoder, vectors_BLD, valid_BL)
        zeros_ND = states_BLD[~valid_BL]
        same_bits(zeros_ND, torch.zeros_like(zeros_ND), "a padded position has a state other than 0")


def check_pads_are_ignored(make: Make) -> None:
    """What stands at padded positions of the input changes no bit, not even NaN or infinity."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    before_BLD = states_of(encoder, vectors_BLD, valid_BL)
    for value in (7.0, float("inf"), float("nan")):
        other_BLD = torch.where(valid_BL[:, :, None], vectors_BLD, value)
        same_bits(before_BLD, states_of(encoder, other_BLD, valid_BL), f"{value} at padded positions changes a state")


def check_neighbours(make: Make) -> None:
    """Other users beside one, with other events and other pads, change no bit of that one's states."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    before_BLD = states_of(encoder, vectors_BLD, valid_BL)
    for user in (0, USERS // 2, USERS - 1):
        others_BLD, others_BL = (t.roll(3, dims=0) for t in (5.0 * vectors_BLD, valid_BL))
        others_BLD[user], others_BL[user] = vectors_BLD[user], valid_BL[user]
        after_BLD = states_of(encoder, others_BLD, others_BL)
        same_bits(before_BLD[user], after_BLD[user], f"the states of user {user} depend on the other users")


def check_place_in_batch(make: Make) -> None:
    """At a fixed shape the row that a user stands in changes no bit."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    before_BLD = states_of(encoder, vectors_BLD, valid_BL)
    for shift in (1, USERS // 2):
        after_BLD = states_of(encoder, vectors_BLD.roll(shift, dims=0), valid_BL.roll(shift, dims=0))
        same_bits(before_BLD.roll(shift, dims=0), after_BLD, "a user's states depend on its row in the batch")


def check_gradients(make: Make) -> None:
    """A loss on the states gives every parameter a gradient that is finite and not all 0, beside a user without events."""
    encoder = seasoned(make).train()
    vectors_BLD, valid_BL = example(encoder)
    valid_BL[-1] = False
    states_BLD = encoder(vectors_BLD, valid_BL)
    (states_BLD * torch.randn_like(states_BLD)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"
        assert bool(parameter.grad.any()), f"the gradient of {name} is 0 everywhere"


def check_in_bfloat16(make: Make) -> None:
    """Where matrix products are computed in bfloat16, states are close to those in float32 and every gradient is finite."""
    encoder = seasoned(make)
    window = example(encoder)
    whole_BLD = states_of(encoder, *window)
    with torch.autocast(whole_BLD.device.type, torch.bfloat16):
        half_BLD = encoder(*window).float()
    off, scale = float((half_BLD.detach() - whole_BLD).abs().mean()), float(whole_BLD.abs().mean())
    assert off < 0.05 * scale, f"states are {off / scale:.1%} off in bfloat16"
    half_BLD.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"


def check_shapes(make: Make) -> None:
    """Full, short and empty windows, one user or many: finite float32 states (B, L, D)."""
    encoder = seasoned(make)
    vectors_BLD, _ = example(encoder)
    for users, length in ((USERS, LENGTH), (1, LENGTH), (3, 1), (USERS, LENGTH // 2)):
        for real in (True, False):
            window_BLD = vectors_BLD[:users, :length]
            valid_BL = torch.full((users, length), real, device=window_BLD.device)
            states_BLD = states_of(encoder, window_BLD, valid_BL)
            assert states_BLD.shape == window_BLD.shape, f"the states of {window_BLD.shape} are {states_BLD.shape}"
            assert states_BLD.dtype == torch.float32, f"the states are {states_BLD.dtype}, not float32"
            kind = "full" if real else "empty"
            assert bool(states_BLD.isfinite().all()), f"a {kind} window gives states that are not finite"


def check_functional_call(make: Make) -> None:
    """Weights handed over by functional_call and weights loaded with load_state_dict give the same bits."""
    encoder = seasoned(make)
    vectors_BLD, valid_BL = example(encoder)
    other = {name: p.detach() + 0.1 * torch.randn_like(p) for name, p in encoder.named_parameters()}
    with torch.no_grad():
        called_BLD = functional_call(encoder, other, (vectors_BLD, valid_BL))
    encoder.load_state_dict(other, strict=False)
    same_bits(called_BLD, states_of(encoder, vectors_BLD, valid_BL), "functional_call does not replace every weight")


def check_learning(make: Make) -> None:
    """On sequences that alternate between two items, the next item's loss falls below 0.6 of its start in 30 steps."""
    torch.manual_seed(0)
    encoder = make(WIDTH, LENGTH).train()
    device, items = next(encoder.parameters()).device, 8
    pairs_B2 = torch.stack([torch.randperm(items)[:2] for _ in range(USERS)])
    board_BL = pairs_B2.repeat(1, LENGTH // 2 + 1)[:, : LENGTH + 1].to(device)
    table_VD = nn.Parameter(torch.randn(items, WIDTH, device=device))
    valid_BL = torch.ones(USERS, LENGTH, dtype=torch.bool, device=device)
    optimizer, losses = torch.optim.Adam([*encoder.parameters(), table_VD], lr=1e-2), []
    for _ in range(31):
        asked_BL = _asked(encoder, valid_BL)
        hidden = () if encoder.causal else (asked_BL,)
        states_BLD = encoder(table_VD[board_BL[:, :-1]], valid_BL, *hidden)
        loss = F.cross_entropy(states_BLD[asked_BL] @ table_VD.T, board_BL[:, 1:][asked_BL])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0], f"30 steps took the loss from {losses[0]:.3f} only to {losses[-1]:.3f}"


def check_repeatable(make: Make) -> None:
    """Two calls in eval mode give the same bits, and so do two calls in training under the same global seed."""
    encoder = seasoned(make)
    window = example(encoder)
    torch.manual_seed(1)
    first_BLD = states_of(encoder, *window)
    same_bits(first_BLD, states_of(encoder, *window), "two calls in eval mode differ")
    encoder.train()
    torch.manual_seed(1)
    first_BLD = encoder(*window)
    torch.manual_seed(1)
    same_bits(first_BLD, encoder(*window), "training draws from another generator than torch's global one")


def check_threads(make: Make) -> None:
    """One thread, two and three give the same bits (on the CPU), in a small shape and in one whose work is divided."""
    threads = torch.get_num_threads()
    for width, length in ((WIDTH, LENGTH), (WIDTH, LENGTH + 1), DIVIDED):
        encoder, states = seasoned(make, width, length), []
        window = example(encoder)
        try:
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                states.append(states_of(encoder, *window))
        finally:
            torch.set_num_threads(threads)
        for other in states[1:]:
            same_bits(states[0], other, "the number of threads changes a state")


def check_no_batch_norm(make: Make) -> None:
    """There is no BatchNorm, and no buffer changes in training."""
    encoder = seasoned(make).train()
    names = [name for name, m in encoder.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert not names, f"{names[0]} is a BatchNorm: it makes users depend on each other"
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    encoder(*example(encoder))
    for name, buffer in encoder.named_buffers():
        assert torch.equal(before[name], buffer), f"training changes the buffer {name}, which no task would own"


ENCODER_CHECKS: tuple[Callable[[Make], None], ...] = (
    check_causality,
    check_hidden,
    check_left_padding,
    check_pads_are_zero,
    check_pads_are_ignored,
    check_neighbours,
    check_place_in_batch,
    check_slots,
    check_openings,
    check_gradients,
    check_in_bfloat16,
    check_shapes,
    check_functional_call,
    check_learning,
    check_repeatable,
    check_threads,
    check_no_batch_norm,
)


def check_encoder(make: Make) -> None:
    """All of ENCODER_CHECKS. Raises AssertionError at the first that fails."""
    for check in ENCODER_CHECKS:
        check(make)


def _asked(encoder: Encoder, valid_BL: Tensor) -> Tensor:
    """Where the next event is predicted: everywhere but at the first event, which cannot know; or at a hidden half."""
    asked_BL = valid_BL.clone() if encoder.causal else torch.rand(valid_BL.shape, device=valid_BL.device) < 0.5
    asked_BL[:, 0], asked_BL[:, -1] = False, True
    return asked_BL
