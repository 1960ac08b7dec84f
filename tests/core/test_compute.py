"""Where and how a task is trained: devices that exist, precision that the hardware has."""

import pytest
import torch

from lifelong.core.compute import Compute
from lifelong.core.errors import UsageError


def test_the_cpu_is_always_there():
    assert Compute(device="cpu").place() == torch.device("cpu")
    assert Compute().place().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:999"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(UsageError, match=name):
        Compute(device=name).place()


def test_bfloat16_on_gpus_that_have_it_and_where_it_is_asked_for(monkeypatch):
    asked = Compute(device="cpu", precision="bfloat16")
    assert (_product(asked), asked.identity()[1]) == (torch.bfloat16, "bfloat16")
    assert (_product(Compute(device="cpu")), Compute(device="cpu").identity()[1]) == (torch.float32, "float32")
    for has_it in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has_it=has_it: has_it)
        assert Compute()._in_bfloat16(torch.device("cuda")) == has_it
        assert not Compute(precision="float32")._in_bfloat16(torch.device("cuda"))


def _product(made):
    with made.autocast(torch.device("cpu")):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
