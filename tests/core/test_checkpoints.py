"""torch's own files without torch.load: the same tensors, and one line where a file is damaged or hostile."""

import pickle
import struct
import zipfile
from contextlib import suppress

import pytest
import torch
from torch import nn

from lifelong.core.checkpoints import MAGIC, read_checkpoint
from lifelong.core.errors import DataError


def example():
    torch.manual_seed(0)
    state = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict()
    state["turned"] = torch.randn(4, 6).T
    state["part"] = torch.arange(20)[3:9:2]
    state["half"], state["bf"] = torch.randn(5).half(), torch.ones(3, dtype=torch.bfloat16)
    state["bool"], state["empty"], state["one"] = torch.tensor([True, False]), torch.empty(0, 3), torch.tensor(3)
    state["parameter"] = nn.Parameter(torch.ones(2))
    return state


@pytest.fixture(params=[True, False], ids=["zip", "old"])
def file(request, tmp_path):
    torch.save(example(), tmp_path / "m.pth", _use_new_zipfile_serialization=request.param)
    return tmp_path / "m.pth"


def test_every_tensor_comes_back(file):
    state = read_checkpoint(file)
    assert list(state) == list(example())
    for name, value in example().items():
        assert torch.equal(state[name], value), name
        assert state[name].dtype == value.dtype, name


@pytest.mark.parametrize("wrap", [{"state_dict": 0, "epoch": 3}, {"model": {"module": 0}}])
def test_what_is_wrapped_around_is_taken_off(wrap, tmp_path):
    def filled(value):
        return (
            {k: filled(v) for k, v in value.items()}
            if isinstance(value, dict)
            else {"w": torch.ones(2)}
            if value == 0
            else value
        )

    torch.save(filled(wrap), tmp_path / "m.pth")
    assert torch.equal(read_checkpoint(tmp_path / "m.pth")["w"], torch.ones(2))


def test_whole_models_and_other_objects_are_refused(tmp_path):
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "m.pth")
    with pytest.raises(DataError, match=r"torch\.nn"):
        read_checkpoint(tmp_path / "m.pth")


def test_a_hostile_file_runs_nothing(tmp_path):
    data = b"cposix\nsystem\n(S'echo ran > ran'\ntR."
    (tmp_path / "plain.pth").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("m/data.pkl", data)
    old = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + data
    (tmp_path / "old.pth").write_bytes(old)
    for name in ("plain", "zip", "old"):
        with pytest.raises(DataError, match=r"posix\.system"):
            read_checkpoint(tmp_path / f"{name}.pth")


def test_damage_is_told_in_one_line(file):
    data = file.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 60)):
        file.write_bytes(data[:place])
        with pytest.raises(DataError) as error:
            read_checkpoint(file)
        assert "\n" not in str(error.value)
    for place in range(0, len(data), max(1, len(data) // 120)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :])
        with suppress(DataError):
            read_checkpoint(file)


def test_a_tensor_beyond_its_data_is_refused(tmp_path):
    storage = (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
        b"K\x00K\x09\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )
    with zipfile.ZipFile(tmp_path / "m.pth", "w") as archive:
        archive.writestr("m/data.pkl", storage)
        archive.writestr("m/data/0", struct.pack("<2f", 1, 2))
    with pytest.raises(DataError, match="beyond its data"):
        read_checkpoint(tmp_path / "m.pth")


def test_packed_entries_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x00" * 10_000_000)
    with pytest.raises(DataError, match="packed"):
        read_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("name", ["nothing.pth", "."])
def test_what_cannot_be_read(name, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_checkpoint(tmp_path / name)
