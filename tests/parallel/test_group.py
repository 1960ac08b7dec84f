import time

import pytest
import torch
from ranks import run_ranks

from lifelong.core.errors import DataError, LifelongError
from lifelong.parallel.group import ALONE, Elsewhere, shut, start


def test_a_process_alone_is_a_group_of_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    group = start()
    assert group is ALONE
    assert (group.rank, group.world, group.leads) == (0, 1, True)
    group.barrier()
    group.same("x", "anything")
    assert group.mean(2.5, 3) == 2.5
    assert group.tell({"a": 1}) == {"a": 1}
    assert group.first(lambda: 5, "five") == group.in_turn(lambda: 5, "five") == 5
    assert torch.equal(group.sum(torch.ones(2)), torch.ones(2))
    assert group.first_to_fail()
    shut(group)


def talk(group):
    tensor = torch.full((3,), float(group.rank))
    assert torch.equal(group.sum(tensor), torch.full((3,), float(sum(range(group.world)))))
    group.broadcast([tensor])
    assert torch.equal(tensor, torch.zeros(3))
    assert group.mean(group.rank, group.rank) == sum(r * r for r in range(3)) / sum(range(3))
    assert group.tell({"ä": [group.rank]}) == {"ä": [0]}
    assert group.first(lambda: "made", "a file") == ("made" if group.leads else None)
    assert group.in_turn(lambda: group.rank, "data") == group.rank
    group.same("alike", "the data")
    with pytest.raises(LifelongError, match="the data of rank 1, 2 is not that of rank 0"):
        group.same(str(group.rank), "the data")
    with pytest.raises(LifelongError, match="the data of rank 2 is not that of rank 0"):
        group.same(str(group.rank == 2), "the data")


def test_ranks_talk():
    run_ranks(3, talk)


def fail_on_one(group):
    def call():
        if group.rank == 1:
            raise DataError("row 7 is broken")

    with pytest.raises(DataError if group.rank == 1 else Elsewhere, match=r"row 7|preparing data: rank 1 failed"):
        group.attempt(call, "preparing data")
    asked = group.sum(torch.tensor([float(group.first_to_fail())]))
    assert asked.item() == 1


def test_an_error_of_one_rank_reaches_all_and_is_said_once():
    run_ranks(2, fail_on_one)


def come_late(group):
    if group.rank == 1:
        time.sleep(1.5)
        return
    with pytest.raises(Elsewhere, match=r"rank 0 of 2 lost the others at the commit \(waits 0.5 s\): .*[Rr]ank.* 1"):
        group.barrier("the commit")


def test_a_rank_that_does_not_come_is_named():
    run_ranks(2, come_late, timeout_s=0.5)


def end_early(group):
    if group.rank == 0:
        with pytest.raises(Elsewhere, match="rank 0 of 2 lost the others"):
            group.sum(torch.ones(2))


def test_a_rank_that_ended_is_noticed():
    began = time.monotonic()
    run_ranks(2, end_early)
    assert time.monotonic() - began < 30
