"""Train the shared encoder under masks that know how tasks relate, while earlier heads keep answering the same (TERACON)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lifelong.continual.parts.mask import Mask
from lifelong.continual.past import Earlier
from lifelong.continual.phase import Phase
from lifelong.continual.retention import Retention
from lifelong.continual.site import Site
from lifelong.continual.strategies.base import Growth, Strategy
from lifelong.continual.view import View

Masks = dict[str, Mask]
"""Slot -> the mask of one task that sits there."""


class Teracon(Strategy):
    """Task relation-aware continual user representation learning (Kim et al., KDD 2023).

    Every weight goes on learning; what earlier tasks answer about the users of the present one is held by distillation, and
    each task has a mask in every slot that mixes the embeddings of all tasks, later ones included (parts/mask.py). Where we
    leave the paper: grown mixers start from zero for the task that is added, where its code makes all mixers anew, which breaks
    the earlier tasks before the first step; a first task that was learnt by another strategy gets its masks, exactly 1, when
    the second comes; the optimizer is the one of all strategies, with its weight decay.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Strategy.Config):
        """Options of the strategy."""

        strength: float = 0.7
        """Weight of the retention of earlier answers (alpha); 0.7 is the paper's, 0 leaves it out."""
        largest: float = 50.0
        """How sharp the masks are at the end of an epoch and in every answer (s_max); 50 is the paper's."""
        heads: Literal["train", "freeze"] = "train"
        """Whether the earlier tasks' heads and mixers go along; they do in the paper."""

        def __post_init__(self) -> None:
            if not self.strength >= 0:
                raise ValueError(f"strength is {self.strength}, it must be 0 or more")
            Mask.Config(largest=self.largest)

    isolates: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.options: Teracon.Config = config

    def grow(self, site: Site, task: str) -> Growth:
        """Seat the masks, train under the earlier tasks' eyes, write back."""
        view = site.share(past_parts=True)
        past = site.shared_past("TERACON asks them what they answer")
        masked = [earlier for earlier in past if takes_masks(earlier)]
        before: list[Mapping[str, Mask]] = [masks_of(earlier) for earlier in masked]
        *grown, own = grow_masks(before, site.sublayers(), self.options.largest)
        for earlier, masks in zip(masked, grown, strict=True):
            earlier.sit(masks)
        view.parts = dict(own)
        if self.options.heads == "train":
            site.let_train(past)
        penalty = Retention(past, site.seen(past), view.private, own, self.options.strength)
        yield Phase(view=view, label="train", penalty=penalty)
        self._settle(masked, site, view)
        return view

    def _settle(self, masked: list[Earlier], site: Site, view: View) -> None:
        """Give each earlier task masks that stand by themselves, and all of them the shared weights."""
        for earlier in masked:
            earlier.sit({slot: mask.apart() for slot, mask in masks_of(earlier).items()})
            earlier.view.parts = dict(masks_of(earlier))
        site.write_back(view)


def takes_masks(earlier: Earlier) -> bool:
    """Whether an earlier task has masks, or free slots to put some in; one with patches goes without."""
    return all(slot.part is None or isinstance(slot.part, Mask) for slot in earlier.slots.values())


def masks_of(earlier: Earlier) -> Masks:
    """The masks that sit in its slots."""
    return {name: slot.part for name, slot in earlier.slots.items() if isinstance(slot.part, Mask)}


def grow_masks(before: list[Mapping[str, Mask]], slots: Mapping[str, int], largest: float) -> list[Masks]:
    """The masks of all tasks once one more has come, its own last; it holds the embeddings that all of them look at.

    `before`: the masks of each earlier task, none where it has none yet. A mask that was there computes what it computed.
    """
    tasks, first_free = len(before) + 1, sum(1 for masks in before if masks)
    made: list[Masks] = [{} for _ in range(tasks)]
    for slot, width in slots.items():
        own = Mask(Mask.Config(tasks=tasks, place=tasks - 1, largest=largest), width)
        place = first_free
        for masks, grown in zip(before, made, strict=False):
            if slot in masks:
                own.embeddings_TD.data[: masks[slot].options.tasks] = masks[slot].embeddings_TD.detach()
                grown[slot] = masks[slot].grown(tasks)
            else:
                grown[slot] = Mask(Mask.Config(tasks=tasks, place=place, largest=largest), width)
                place += 1
            grown[slot].requires_grad_(False).borrow(own)
        made[-1][slot] = own
    return made
