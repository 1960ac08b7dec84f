import pytest
from ranks import run_processes

from lifelong.cli import together as module
from lifelong.cli.together import AlreadySaid, together
from lifelong.core.compute import Compute
from lifelong.core.errors import DataError


def one_fails():
    module.SECONDS_FOR_THE_CAUSE = 0.5

    def call():
        if group.rank == 1:
            raise DataError("row 7 is broken")

    with pytest.raises((DataError, AlreadySaid)) as raised, together(Compute(device="cpu")) as group:
        group.attempt(call, "preparing data")
    assert isinstance(raised.value, DataError if group.rank == 1 else AlreadySaid)
    assert raised.value.exit_code == (2 if group.rank == 1 else 1)


def test_the_cause_is_said_by_the_rank_that_has_it_and_by_no_other():
    run_processes(2, one_fails)


def test_a_process_alone_raises_what_it_meets(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    error = DataError("row 7 is broken")
    with pytest.raises(DataError, match="row 7"), together(Compute(device="cpu")) as group:
        raise error if group.world == 1 else AssertionError
