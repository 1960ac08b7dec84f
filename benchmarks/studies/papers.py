"""The papers' own claims re-tested: two arms each, the same task measured after both, three seeds, paired user by user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.studies.tables import Entries, by, difference, parts, ranged, signed, table
from benchmarks.studies.worlds import SEEDS, World, base, copied, worlds
from lifelong.asking.evaluation import outcome_of
from lifelong.core.types import Outcome
from lifelong.living import LivingModel
from lifelong.metrics.bootstrap import measure, paired_difference
from lifelong.metrics.parse import parse

TITLE = "Papers"
ABOUT = (
    "What each paper says of its own method, on our data at our size. A claim holds where the interval of the difference, over "
    "users and seeds, is clear of zero on its side; does not hold where it is clear on the other; else it is open here."
)


@dataclass(frozen=True)
class Claim:
    """a is said to beat b (or, where `equal`, not to fall short of it) on the last task. An arm: settings of the first task,
    then (task, settings) after it; {label} and {other} stand for the world's."""

    said: str
    a: tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]]
    b: tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]]
    equal: bool = False


DENSE = ["strategy={name: conure, keep: 1.0}"]
CLAIMS = {
    "conure-retraining": Claim(
        "Conure: pruned to 30 % and retrained, a task beats the dense network (table 2)",
        (["strategy={name: conure, keep: 0.3, retrain: 1.0}"], ()),
        (DENSE, ()),
    ),
    "conure-t2-helps-t3": Claim(
        "Conure: what is learnt for an earlier related task helps the next (table 3)",
        ((), (("{other}", ["strategy=conure"]), ("{label}", ["strategy=conure", "parent=latest"]))),
        ((), (("{label}", ["strategy=conure"]),)),
    ),
    "conure-not-below-finetune": Claim(
        "Conure: one shared network does not fall short of a fine-tuned copy a task (table 2)",
        ((), (("{label}", ["strategy=conure"]),)),
        ((), (("{label}", ["strategy=finetune"]),)),
        equal=True,
    ),
    "peterrec-not-below-finetune": Claim(
        "PeterRec: patches do as well as fine-tuning everything (table 3)",
        ((), (("{label}", ["strategy=peterrec"]),)),
        ((), (("{label}", ["strategy=finetune"]),)),
        equal=True,
    ),
    "peterrec-beats-last-layer": Claim(
        "PeterRec: patches beat training the head alone (table 3)",
        ((), (("{label}", ["strategy=peterrec"]),)),
        ((), (("{label}", ["strategy=probe"]),)),
    ),
    "clue-dropout-views": Claim(
        "CLUE: views by dropout beat views by masking (table III; only on one of its two sets)",
        (
            ["objective={name: clue, views: dropout}", "head=user_vector", "metrics=null"],
            (("{label}", ["strategy=probe"]),),
        ),
        (
            ["objective={name: clue, views: mask}", "head=user_vector", "metrics=null"],
            (("{label}", ["strategy=probe"]),),
        ),
    ),
    "teracon-beats-conure": Claim(
        "TERACON: after several tasks the last is learnt better than by Conure",
        ((), (("{labels}", ["strategy=teracon"]),)),
        ((), (("{labels}", ["strategy=conure"]),)),
    ),
}
UNTESTED = (
    ("CLUE beats PeterRec's pretraining on millions of cold users (table II)", "the sets are not public"),
    ("TERACON's margins on TTL and NAVER Shopping", "the sets are not public, the tables could not be had"),
    ("Tenrec's lifelong figures (table 8)", "the data need an application; tasks/tenrec runs them"),
)


def jobs(quick: bool) -> list[str]:
    """claim/world/seed."""
    seeds = SEEDS[:1] if quick else SEEDS
    claims = ["conure-t2-helps-t3"] if quick else list(CLAIMS)
    return [f"{claim}/{world}/seed{seed}" for claim in claims for world in worlds(quick) for seed in seeds]


def run(key: str, quick: bool) -> dict[str, Any]:
    """Both arms, each from its own pretrained model."""
    claim, name, seed_ = key.split("/")
    world, seed = worlds(quick)[name], int(seed_.removeprefix("seed"))
    found = CLAIMS[claim]
    (metric, a), (_, b) = (
        _arm(world, arm, seed, f"{claim}-{name}-{side}") for side, arm in (("a", found.a), ("b", found.b))
    )
    return {
        "seed": seed,
        "metric": metric,
        "a": vars(measure(parse(metric), a)),
        "b": vars(measure(parse(metric), b)),
        "difference": vars(paired_difference(parse(metric), a, b)),
    }


def _arm(world: World, arm: Any, seed: int, name: str) -> tuple[str, Outcome]:
    """The last task's outcome, and its metric."""
    first, added = arm
    model = base(world, seed, *first)
    with copied(model, name) as grown:
        last = world.first
        for task, settings in _named(world, added):
            grown.add_task(world.task(task, *settings), seed=seed, allow_forgetting=True)
            last = task
        return _told(grown, last)


def _named(world: World, added: Any) -> list[tuple[str, Sequence[str]]]:
    made: list[tuple[str, Sequence[str]]] = []
    for task, settings in added:
        words = {"{label}": world.labels[:1], "{other}": world.labels[1:2], "{labels}": world.labels}
        made += [(name, settings) for name in words.get(task, (task,))]
    return made


def _told(model: LivingModel, task: str) -> tuple[str, Outcome]:
    cases = model.cases(task)
    return model.members[task].task.measured_by[0], outcome_of(model.answering(task), cases, cases.test)


def tables(entries: Entries) -> list[dict[str, Any]]:
    """Every claim on every world, and what cannot be tested here."""
    rows = []
    for claim in parts(entries, 0):
        mine = {key: record for key, record in entries.items() if key.startswith(f"{claim}/")}
        for world in parts(mine, 1):
            found = by(mine, claim, world)
            gap = difference([r["difference"] for r in found])
            values = (ranged(r[side]["value"] for r in found) for side in ("a", "b"))
            rows.append(
                (CLAIMS[claim].said, world, found[0]["metric"], *values, signed(gap), verdict(CLAIMS[claim], gap))
            )
    header = ("claim", "data", "metric", "it", "the other", "difference", "here")
    return [
        table("Claims", header, rows),
        table("Not tested here", ("claim", "why"), UNTESTED),
    ]


def verdict(claim: Claim, gap: dict[str, Any] | None) -> str:
    """holds, does not hold, or open: what the interval allows to say."""
    if gap is None:
        return "not run"
    if gap["high"] < 0:
        return "does not hold"
    if gap["low"] > 0:
        return "holds"
    return "not contradicted" if claim.equal else "open"
