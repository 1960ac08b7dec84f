"""A catalogue in blocks: the same lists, ranks and bits whatever is asked beside it, and memory that does not grow with it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lifelong import LivingModel
from lifelong.asking.evaluation import outcome_of
from lifelong.asking.inference import Answering
from lifelong.asking.scoring import BLOCK, CatalogueBlocks
from lifelong.heads.classification import Classification
from lifelong.heads.next_item import NextItem
from lifelong.metrics.ranking import ranks, top_k
from lifelong.model.network import Design, TaskNet

DESIGN = Design(encoder="sasrec", options={"width": 16, "blocks": 1, "heads": 1}, length=8)


def answering(items=1000, block=BLOCK, rows=None, seed=0):
    """A task net with random weights and a catalogue of so many items."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TaskNet(DESIGN, items + 1, None)
        rows = torch.arange(1, items + 1) if rows is None else rows
        net.head = NextItem(NextItem.Config(), net.width, range(items), rows)
        torch.nn.init.normal_(net.head.bias)
    net.requires_grad_(False).eval()
    made = Answering(net, DESIGN)
    made.blocks = CatalogueBlocks(net, block)
    return made


def users(count=50):
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(1))


def best(made, users_ND, k=5, excluded=lambda a, b: None):
    return [torch.cat(part) for part in zip(*made.best(users_ND, k, excluded), strict=True)]


@pytest.mark.parametrize("block", [BLOCK, 512, 64])
@pytest.mark.parametrize("shuffled", [False, True])
def test_lists_and_ranks_are_those_of_the_scores(block, shuffled):
    rows = torch.randperm(1000, generator=torch.Generator().manual_seed(2)) + 1 if shuffled else None
    made = answering(block=block, rows=rows)
    generator = torch.Generator().manual_seed(3)
    excluded, targets = (
        torch.randint(-1, 1000, (50, 9), generator=generator),
        torch.randint(0, 1000, (50,), generator=generator),
    )
    scores = torch.cat(list(made.scores(users())))
    for found, expected in zip(
        best(made, users(), 5, lambda a, b: excluded[a:b]), top_k(scores, 5, excluded), strict=True
    ):
        assert torch.equal(found, expected)
    found = made.ranks(users(), targets, lambda a, b: excluded[a:b])
    assert torch.equal(found, ranks(scores, targets, excluded))
    assert torch.equal(made.ranks(users(), targets), ranks(scores, targets))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("request_size", [1, 7, 32])
def test_bits_do_not_depend_on_the_request(request_size, threads):
    made, targets = answering(block=256), torch.arange(50)
    whole, ranked = best(made, users()), made.ranks(users(), targets)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        parts = [best(made, part) for part in users().split(request_size)]
        ranked_parts = [
            made.ranks(u, t) for u, t in zip(users().split(request_size), targets.split(request_size), strict=True)
        ]
    finally:
        torch.set_num_threads(before)
    for n in (0, 1):
        assert torch.equal(torch.cat([part[n] for part in parts]), whole[n])
    assert torch.equal(torch.cat(ranked_parts), ranked)


def test_one_block_is_the_product_of_the_head():
    made = answering()
    chunk = torch.zeros(DESIGN.chunk, 16)
    chunk[:5] = users(5)
    (scores,) = made.scores(users(5))
    assert torch.equal(scores, made.net.scores(chunk)[:5])


def test_a_head_of_its_own_scoring_is_asked_for_all_at_once():
    """The planted fault: taking matrix and bias of a head that scores otherwise."""

    class Halved(NextItem):
        def scores(self, users_BD, items, seen=None):
            return super().scores(users_BD, items) / 2

    made = answering(block=64)
    made.net.head.__class__ = Halved
    assert made.blocks.linear is None
    (scores,) = made.scores(users(3))
    assert torch.equal(best(made, users(3), 1)[0][:, 0], scores.max(1).values)
    made.net.head = Classification(Classification.Config(), 16, ["a", "b"], None).eval()
    assert CatalogueBlocks(made.net).starts() == [0]


def test_nobody_asked():
    assert list(answering().best(users(0), 3)) == []
    assert answering().ranks(users(0), torch.zeros(0, dtype=torch.int64)).shape == (0,)


LIMITED = """
import resource, sys
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from test_scoring import answering, best, users
items, count = 100_000, 1600
made, asked = answering(items), users(count)
best(made, asked[:16])
used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (used + (160 << 20), -1))
try:
    {statement}
    print("done")
except (MemoryError, RuntimeError):
    print("refused")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("best(made, asked); made.ranks(asked, torch.arange(count))", "done"),
        ("torch.cat(list(made.scores(asked)))", "refused"),  # the planted fault: users × items, 640 MB
    ],
)
def test_a_hundred_thousand_items_fit_into_little_memory(statement, said):
    script = LIMITED.format(here=str(Path(__file__).parent), statement=statement)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == said, done.stderr


@pytest.mark.parametrize("repeats", [True, False])
def test_evaluating_by_blocks_gives_the_same_ranks(born, cache, repeats):
    """The test cases of a real task, its catalogue cut into blocks of seven items."""
    model = LivingModel.open(born, cache=cache)
    made, cases = model.answering("next"), model.cases("next")
    made.net.head.config = NextItem.Config(repeats=repeats)
    whole = outcome_of(made, cases, cases.test).ranks_N
    made.blocks = CatalogueBlocks(made.net, 7)
    assert len(made.blocks.starts()) == 3
    assert (outcome_of(made, cases, cases.test).ranks_N == whole).all()
