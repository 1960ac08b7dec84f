"""What the papers say of their own methods, each as two arms of one comparison, and the arms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLUE_ALONE = ("head=user_vector", "metrics=null", "fit.lr=0.001")
"""At four times this rate, the first tasks' own, all users of MovieLens fall into one point (effective rank 1.03)."""
SHORT = 0.02
"""What may be missing where nothing is to be missing."""


@dataclass(frozen=True)
class Claim:
    """Arm a is said to beat arm b or, where `equal`, not to fall short of it."""

    said: str
    a: str
    b: str
    equal: bool = False

    def verdict(self, gap: Mapping[str, Any] | None) -> str:
        """holds, does not hold, or open: what the interval of a minus b allows to say."""
        if gap is None:
            return "not run"
        if gap["low"] > (-SHORT if self.equal else 0):
            return "holds"
        return "does not hold" if gap["high"] < 0 else "open"


@dataclass(frozen=True)
class Arm:
    """How a label is learnt: by which strategy, on a first task with which settings, after another label or not."""

    strategy: str
    first: tuple[str, ...] = ()
    after: bool = False


def _clue(views: str) -> tuple[str, ...]:
    return (f"objective={{name: clue, views: {views}}}", *CLUE_ALONE)


FIRST = {
    "pruned, retrained": ("strategy={name: conure, keep: 0.3, retrain: 1.0}",),
    "dense": ("strategy={name: conure, keep: 1.0}",),
}
"""Arms of the first task: its settings."""
ARMS = {
    "conure": Arm("conure"),
    "conure after a label": Arm("conure", after=True),
    "finetune": Arm("finetune"),
    "peterrec": Arm("peterrec"),
    "probe": Arm("probe"),
    "views by dropout": Arm("probe", _clue("dropout")),
    "views by masking": Arm("probe", _clue("mask")),
}
"""Arms of a label."""
SERIES = {"ten by teracon": "teracon", "ten by conure": "conure"}
"""Arms of ten tasks, one after the other: the strategy."""

TEN = {
    "cj": (
        "home_ownership",
        "churn",
        "coupon_redemption",
        "propensity_pets",
        "age",
        "income",
        "marital_status",
        "household_size",
        "kids",
    )
}
"""The worlds with enough tasks for a series of ten, and those after the first."""

CLAIMS = {
    "conure-retraining": Claim(
        "Conure: pruned to 30 % and retrained, a task beats the dense network (table 2)", "pruned, retrained", "dense"
    ),
    "conure-t2-helps-t3": Claim(
        "Conure: what is learnt for an earlier related task helps the next (table 3)", "conure after a label", "conure"
    ),
    "conure-not-below-finetune": Claim(
        "Conure: one shared network does not fall short of a fine-tuned copy a task (table 2)",
        "conure",
        "finetune",
        equal=True,
    ),
    "peterrec-not-below-finetune": Claim(
        "PeterRec: patches do as well as fine-tuning everything (table 3)", "peterrec", "finetune", equal=True
    ),
    "peterrec-beats-last-layer": Claim("PeterRec: patches beat training the head alone (table 3)", "peterrec", "probe"),
    "clue-dropout-views": Claim(
        "CLUE: views by dropout beat views by masking (table III; only on one of its two sets)",
        "views by dropout",
        "views by masking",
    ),
    "teracon-beats-conure": Claim(
        "TERACON: with ten tasks, they are above Conure's", "ten by teracon", "ten by conure"
    ),
}
UNTESTED = (
    ("CLUE beats PeterRec's pretraining on millions of cold users (table II)", "the sets are not public"),
    ("TERACON's margins on TTL and NAVER Shopping", "the sets are not public, the tables could not be had"),
    ("Tenrec's lifelong figures (table 8)", "the data need an application; tasks/tenrec runs them"),
)
