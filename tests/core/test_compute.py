"""Where and how a task is trained: devices that exist, precision that the hardware has."""

import pytest
import torch

from lifelong.core import compute
from lifelong.core.compute import Compute
from lifelong.core.errors import UsageError


def test_the_cpu_is_always_there():
    assert Compute(device="cpu").place() == torch.device("cpu")
    assert Compute().place().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:999"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(UsageError, match=name):
        Compute(device=name).place()


def test_bfloat16_where_the_processor_has_it_and_where_it_is_asked_for(monkeypatch):
    cpu = torch.device("cpu")

    def product(made):
        with made.autocast(cpu):
            return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    for flags, dtype in ((frozenset(), torch.float32), (frozenset({"amx_bf16"}), torch.bfloat16)):
        monkeypatch.setattr(compute, "_processor_flags", lambda flags=flags: flags)
        assert product(Compute(device="cpu")) == dtype
        assert Compute(device="cpu").identity()[1] == str(dtype).removeprefix("torch.")
    assert product(Compute(device="cpu", precision="float32")) == torch.float32
    monkeypatch.setattr(compute, "_processor_flags", frozenset)
    assert product(Compute(device="cpu", precision="bfloat16")) == torch.bfloat16
