"""Two views of a user must give vectors that agree, and differ from those of the batch's other users (CLUE with negatives)."""

from dataclasses import dataclass
from typing import Literal

from lifelong.objectives.clue import Clue
from lifelong.objectives.siamese.views import Views


class ClueInfoNCE(Clue):
    """CLUE's network without its predictor, under InfoNCE: the rival that the paper argues against, for two users may well be
    alike. It needs no watch for collapse, and makes the better vectors where both were measured (objectives/clue.py)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Clue.Config):
        """Options of the objective."""

        views: Views = "halves"
        """How two views of a user differ; halves: each event is in one of them alone, so that no item gives a user away."""
        negatives: Literal["none", "in_batch"] = "in_batch"
        """The other users of the batch must look different."""
