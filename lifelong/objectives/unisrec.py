"""Right items and other views of the same user, told apart from those of a batch of many domains (UniSRec's pretraining)."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from lifelong.core.types import Batch, History
from lifelong.objectives.base import Net
from lifelong.objectives.contrast.causal import Contrast
from lifelong.objectives.contrast.points import one_each, some
from lifelong.objectives.contrast.softmax import right_item, right_view
from lifelong.objectives.siamese.views import only

DROPPED = 0.2
"""Share of events that an augmentation changes."""


class Unisrec(Contrast):
    """L(sequence, item) + weight x L(sequence, sequence): softmax of cosines / temperature over the right items of the batch,
    and over other views of its users (UniSRec, Hou et al., KDD 2022, section 2.3).

    A batch may mix domains: then items of others are among the candidates. Points with the same right item do not compete
    (contrast/softmax.py). Another view of a user leaves out a fifth of the events, never the first, or reads a fifth of the
    items with some of their words missing, where the items have such a reading (`items: {name: text, missing_words: 0.15}`);
    else the first alone. The head should score by direction, too: `head: {name: next_item, unit: true}`; its bias stays 0.
    (Data set synthetic, 800 users, SASRec, 8 epochs, one seed: NDCG@10 on test .119 so, .100 without unit.)

    Where we leave the paper: each prefix is no sample of its own; the right item is asked for at every point of one causal
    pass, and the other view is one of each window up to a random point.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Contrast.Config):
        """Options of the objective."""

        temperature: float = 0.07
        """Of the cosines; the paper's."""
        weight: float = 1e-3
        """Of the loss between views; the paper's. 0: there is none, and no second pass."""
        words: float = 0.1
        """Share of the batches whose other view reads items with missing words, where these can be read so; the paper's."""
        at: Literal["every", "one"] = "every"
        """Where the right item is asked for: at every supervised point, or at one of each window, a random one."""

        def __post_init__(self) -> None:
            if not self.temperature > 0:
                raise ValueError(f"temperature is {self.temperature}, it must be above 0")
            if self.weight < 0:
                raise ValueError(f"weight is {self.weight}, it must not be below 0")
            if not 0 <= self.words <= 1:
                raise ValueError(f"words is {self.words}, it must lie in [0, 1]")

    options: Config
    compares = True

    def contrast(self, net: Net, batch: Batch) -> Tensor:
        """Both losses of the batch."""
        states_BLD = net.states(batch.history)
        last = some(batch, one_each(batch))
        asked = last if self.options.at == "one" else batch
        distinct_U, right_N = asked.targets_N.unique(return_inverse=True)
        items_UD = net.head.vectors(distinct_U, net.items).float()
        users_ND = net.users_at(states_BLD, asked).float()
        with torch.autocast(users_ND.device.type, enabled=False):
            loss = right_item(users_ND, items_UD, right_N, self.options.temperature)
        if not self.options.weight or not len(last):
            return loss
        users_MD = net.users_at(states_BLD, last).float()
        again_MD = self._other_view(net, last).float()
        with torch.autocast(users_MD.device.type, enabled=False):
            between = right_view(users_MD, again_MD, last.targets_N, self.options.temperature)
            return loss + self.options.weight * between

    def _other_view(self, net: Net, last: Batch) -> Tensor:
        """What each window with a point looks like up to that point (M, D), read differently."""
        history = replace(last.history, past_BS=None, times_BS=None).users(last.rows_N)
        place_L = torch.arange(history.window_BL.shape[1], device=last.rows_N.device)
        until_ML = history.valid_BL & (place_L <= last.positions_N[:, None])
        if getattr(net.items, "blurs", False) and float(torch.rand(())) < self.options.words:
            return _with_fewer_words(net, only(history, until_ML))[:, -1]
        first_ML = until_ML & (until_ML.cumsum(dim=1) == 1)
        kept_ML = first_ML | (torch.rand(until_ML.shape, device=until_ML.device) >= DROPPED)
        return net.states(only(history, until_ML & kept_ML))[:, -1]


def _with_fewer_words(net: Any, history: History) -> Tensor:
    """The states (M, L, D) where some events show their item with words missing."""
    rows_ML = history.window_BL
    changed_ML = (torch.rand(rows_ML.shape, device=rows_ML.device) < DROPPED) & history.valid_BL
    rows_n = rows_ML[changed_ML]
    events_MLD = net.events(history)
    difference_nD = (net.items.blurred(rows_n) - net.items(rows_n)).to(events_MLD.dtype)
    events_MLD = events_MLD.index_put(changed_ML.nonzero(as_tuple=True), difference_nD, accumulate=True)
    return net.encoder(events_MLD, history.valid_BL)
