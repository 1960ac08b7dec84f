"""No answers but the user vector itself: for a first task that is trained by an objective without a head, such as clue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lifelong.core.errors import ConfigError
from lifelong.core.types import ItemVectors, Negatives, Outcome, Ranked, Seen
from lifelong.heads.base import Head


class UserVector(Head):
    """Its scores are the user vector, entry by entry; its catalogue is empty, it has no parameters.

    It is measured by retrieval: of each user's history every other event goes into one half, and the rank is how many users'
    second halves lie as near, by cosine, to the first half as his own (lifelong/asking/retrieval.py). hr@1 is the share of
    users whose own half is the nearest.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Head.Config):
        """Options of the head."""

    answers: ClassVar[str] = "vectors"
    objective: ClassVar[str] = "clue"
    metrics: ClassVar[tuple[str, ...]] = ("mrr@10", "hr@1", "hr@10")

    def __init__(self, config: Config, width: int, catalogue: Sequence[str], rows_C: Tensor | None) -> None:
        super().__init__(config, width, catalogue, rows_C)

    def scores(self, users_BD: Tensor, items: ItemVectors, seen: Seen | None = None) -> Tensor:
        """The user vectors (B, D)."""
        return users_BD

    def loss(
        self,
        users_ND: Tensor,
        targets_N: Tensor,
        items: ItemVectors,
        negatives: Negatives | None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Raises ConfigError: there is nothing that could be right or wrong."""
        raise ConfigError(
            "head user_vector has no loss of its own; train it by an objective without one: clue, clue_infonce"
        )

    def outcome(self, scores_NC: Tensor, targets_N: Tensor) -> Outcome:
        """The rank of each target among the scores, ties and NaN counted against it; the scores are similarities to halves."""
        right_N1 = scores_NC.gather(1, targets_N[:, None])
        return Ranked((~(scores_NC < right_N1)).sum(dim=1).cpu().numpy())
