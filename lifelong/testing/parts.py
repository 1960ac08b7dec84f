"""What every part must keep: the identity at the start, one position at a time, honest numbers, the same bits for any threads.

Each check takes `make(opening) -> Part` and the openings that it fits, and raises AssertionError where the promise is broken;
`check_part(make)` runs them all. `furnished` makes an encoder whose slots hold a part, for the contract of encoders.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lifelong.continual.parts.base import Part
from lifelong.core import registry
from lifelong.core.errors import ConfigError
from lifelong.core.slot import Opening, Slot
from lifelong.encoders.base import Encoder
from lifelong.testing.windows import Make, same_bits, slots_of

MakePart = Callable[[Opening], Part]
USERS, LENGTH = 5, 7
SUBLAYERS = (Opening("sublayer", 16, 16), Opening("sublayer", 8, 8))
MAPS = (Opening("map", 16, 16), Opening("map", 24, 16), Opening("map", 16, 48))
DIVIDED = (16, 71)
"""Users and length at which torch divides a pointwise operation among threads, and with a remainder."""


def named(name: str, **options: object) -> MakePart:
    """Makes the part of a YAML name, `package.module:Class` included."""
    _, cls, config = registry.make_config("parts", {"name": name, **options}, "part")
    return lambda opening: cls.fitting(config, opening)


def furnished(make: Make, part: MakePart) -> Make:
    """Makes encoders with the part in every slot that it fits; raises AssertionError where there is none."""

    def made(width: int, length: int) -> Encoder:
        encoder = make(width, length)
        for slot in slots_of(encoder).values():
            if _fits(part, slot.opening):
                slot.part = part(slot.opening)
        assert any(slot.part for slot in slots_of(encoder).values()), "no slot takes the part"
        return encoder

    return made


def check_identity(make: MakePart) -> None:
    """A fresh part gives back the states bit for bit, in its own slot and through it."""
    for opening in openings(make):
        states, source = _given(opening)
        slot = Slot(opening.width, opening.kind, opening.source_width)
        slot.part = make(opening).eval()
        with torch.no_grad():
            same_bits(states, slot(states, source), f"a fresh part behind a {opening.kind} is no identity")


def check_numbers(make: MakePart) -> None:
    """Every parameter gets a finite gradient that is not 0 everywhere once training is under way, and `numbers` counts them."""
    for opening in openings(make):
        part = _used(make, opening)
        assert part.numbers == sum(p.numel() for p in part.parameters()), "numbers is not what the part trains"
        states = part(*_given(opening))
        (states * torch.randn_like(states)).sum().backward()
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"
            assert bool(parameter.grad.any()), f"the gradient of {name} is 0 everywhere"


def check_positions(make: MakePart) -> None:
    """What one position is given changes that position, and no bit of any other: no part looks ahead, or at other users."""
    for opening in openings(make):
        part, given = _used(make, opening), _given(opening)
        before = _ask(part, *given)
        for user, place in ((0, 0), (2, 3), (USERS - 1, LENGTH - 1)):
            other = [tensor.clone() for tensor in given]
            for tensor in other:
                tensor[user, place] = 1.0 - 2.0 * tensor[user, place]
            after = _ask(part, *other)
            assert not torch.equal(before[user, place], after[user, place]), "the part does not depend on the states"
            after[user, place] = before[user, place]
            same_bits(before, after, "what one position is given changes another position")


def check_spec(make: MakePart) -> None:
    """A part made again out of its spec and its tensors gives the same bits."""
    for opening in openings(make):
        part = _used(make, opening)
        again = named(**part.spec())(opening).eval()
        again.load_state_dict(part.state_dict())
        same_bits(_ask(part, *_given(opening)), _ask(again, *_given(opening)), "spec and tensors make another part")


def check_threads(make: MakePart) -> None:
    """One thread, two and three give the same bits (on the CPU)."""
    threads = torch.get_num_threads()
    for opening in (Opening(o.kind, 64, 64) for o in openings(make)[:1]):
        part, given, made = _used(make, opening), _given(opening, *DIVIDED), []
        try:
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                made.append(_ask(part, *given))
        finally:
            torch.set_num_threads(threads)
        for other in made[1:]:
            same_bits(made[0], other, "the number of threads changes what the part gives")


PART_CHECKS: tuple[Callable[[MakePart], None], ...] = (
    check_identity,
    check_numbers,
    check_positions,
    check_spec,
    check_threads,
)


def check_part(make: MakePart) -> None:
    """All of PART_CHECKS. Raises AssertionError at the first that fails."""
    for check in PART_CHECKS:
        check(make)


def openings(make: MakePart) -> list[Opening]:
    """Those of the openings above that the part fits; at least one."""
    found = [opening for opening in (*SUBLAYERS, *MAPS) if _fits(make, opening)]
    assert found, "the part fits no slot"
    return found


def _fits(make: MakePart, opening: Opening) -> bool:
    try:
        make(opening)
    except ConfigError:
        return False
    return True


def _used(make: MakePart, opening: Opening) -> Part:
    """A part that has been trained a little, in eval mode: at its start half of it has no effect yet."""
    torch.manual_seed(0)
    part = make(opening).eval()
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return part


def _given(opening: Opening, users: int = USERS, length: int = LENGTH) -> tuple[Tensor, Tensor]:
    """States and source."""
    random = torch.Generator().manual_seed(1)
    widths = (opening.width, opening.source_width)
    states, source = (torch.randn(users, length, width, generator=random) for width in widths)
    return states, source


def _ask(part: Part, states: Tensor, source: Tensor) -> Tensor:
    with torch.no_grad():
        made: Tensor = part(states, source) if part.reads_source else part(states)
    return made
