"""Bits in, the same bits out; any change of any byte is told."""

import hashlib
import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from lifelong.core.errors import LifelongError, ModelCorrupt, UsageError
from lifelong.core.fingerprint import canonical_json, tensors_hash
from lifelong.store.tensors import CHECKSUM, DTYPES, pack, read_metadata, unpack

NAN, INFINITY = float("nan"), float("inf")


def some_tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "own/bias": torch.tensor([-0.0, 1e-42, 3.4e38]),
        "claim/weight": torch.randn(3, 5, generator=generator),
        "mask/weight": torch.tensor([7, 255], dtype=torch.uint8),
        "empty": torch.zeros(0, 4),
        "step": torch.tensor(3.0),
    }


@st.composite
def tensors(draw):
    """A tensor of any dtype and small shape, its bits arbitrary."""
    dtype = draw(st.sampled_from(list(DTYPES.values())))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    count = int(torch.Size(shape).numel())
    if dtype == torch.bool:
        return torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=dtype).view(shape)
    size = count * torch.empty(0, dtype=dtype).element_size()
    data = bytearray(draw(st.binary(min_size=size, max_size=size)))
    return (torch.frombuffer(data, dtype=dtype) if data else torch.zeros(0, dtype=dtype)).view(shape)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=20).filter(lambda name: name.isprintable()), tensors(), max_size=4))
def test_every_bit_comes_back(named):
    if "__metadata__" in named:
        return
    back = unpack(pack(named, {"k": "v"}, allow_nonfinite=True), "test", allow_nonfinite=True)
    assert tensors_hash(back) == tensors_hash(named)


def test_equal_contents_give_equal_bytes_in_any_order():
    named, metadata = some_tensors(), {"a": "1", "b": "2", "c": "3"}
    backwards = dict(reversed(named.items())), dict(reversed(metadata.items()))
    assert len({pack(named, metadata), pack(*backwards), *(pack(named, metadata) for _ in range(10))}) == 1
    assert read_metadata(pack(named, metadata), "test") == metadata


def test_any_safetensors_reader_reads_it():
    assert tensors_hash(load(pack(some_tensors(), {}))) == tensors_hash(some_tensors())


def test_what_is_not_contiguous_shared_or_learning_is_stored_by_value():
    weight = torch.nn.Parameter(torch.arange(12.0).view(3, 4))
    back = unpack(pack({"a": weight, "tied": weight, "turned": weight.T, "row": weight[1]}, {}), "test")
    assert torch.equal(back["tied"], weight)
    assert torch.equal(back["turned"], weight.T)
    assert torch.equal(back["row"], weight[1])
    assert not any(tensor.requires_grad for tensor in back.values())


def test_what_is_unpacked_is_memory_of_its_own():
    data = pack(some_tensors(), {})
    unpack(data, "test")["claim/weight"].zero_()
    assert tensors_hash(unpack(data, "test")) == tensors_hash(some_tensors())


@pytest.mark.parametrize("bad", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_nan_and_infinity_are_refused_both_ways(bad, dtype):
    named = {"fine": torch.zeros(1), "bad": torch.tensor([0.0, bad], dtype=dtype)}
    with pytest.raises(LifelongError, match="'bad' holds NaN"):
        pack(named, {})
    data = pack(named, {}, allow_nonfinite=True)
    with pytest.raises(ModelCorrupt, match="objects/x: tensor 'bad' holds NaN"):
        unpack(data, "objects/x")
    assert tensors_hash(unpack(data, "objects/x", allow_nonfinite=True)) == tensors_hash(named)


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(UsageError, match="complex64"):
        pack({"z": torch.zeros(1, dtype=torch.complex64)}, {})
    for metadata in ({CHECKSUM: "x"}, {"a": 1}):
        with pytest.raises(UsageError, match="metadata"):
            pack({}, metadata)
    with pytest.raises(UsageError, match="__metadata__"):
        pack({"__metadata__": torch.zeros(1)}, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"more": (torch.float32, (1,))}, "missing: \\['more'\\]"),
        ({"step": None}, "not expected: \\['step'\\]"),
        ({"step": (torch.float64, ())}, "'step' is torch.float32 \\(\\), expected torch.float64"),
        ({"empty": (torch.float32, (4, 0))}, "'empty' is torch.float32 \\(0, 4\\), expected"),
    ],
)
def test_names_dtypes_and_shapes_are_compared_with_what_is_expected(changes, message):
    expect = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in some_tensors().items()}
    data = pack(some_tensors(), {})
    assert unpack(data, "test", expect=expect).keys() == expect.keys()
    changed = {name: value for name, value in {**expect, **changes}.items() if value is not None}
    with pytest.raises(ModelCorrupt, match=message):
        unpack(data, "test", expect=changed)


def mutate(data, rng):
    """Flip, set, insert, delete, cut, swap or repeat some bytes."""
    changed, place = bytearray(data), rng.randrange(len(data))
    other, length = rng.randrange(len(data)), rng.randint(1, 16)
    match rng.randrange(7):
        case 0:
            changed[place] ^= 1 << rng.randrange(8)
        case 1:
            changed[place] = rng.randrange(256)
        case 2:
            changed[place:place] = rng.randbytes(length)
        case 3:
            del changed[place : place + length]
        case 4:
            del changed[place:]
        case 5:
            changed[place], changed[other] = changed[other], changed[place]
        case 6:
            changed[place:place] = changed[other : other + length]
    return bytes(changed)


def silent_mutations(read, count, seed=0):
    """How many mutations that changed a byte were read without a word, or without the right name."""
    data, rng, silent = pack(some_tensors(), {"a": "b"}), random.Random(seed), 0
    for mutant in (mutate(data, rng) for _ in range(count)):
        try:
            read(mutant)
            silent += mutant != data
        except ModelCorrupt as error:
            silent += not str(error).startswith("objects/x: ")
    return silent


def test_no_mutation_is_silent_and_none_crashes():
    assert silent_mutations(lambda data: unpack(data, "objects/x"), 1000) == 0


@pytest.mark.slow
def test_no_mutation_of_many_is_silent_and_none_crashes():
    assert silent_mutations(lambda data: unpack(data, "objects/x"), 100_000, seed=1) == 0


def test_reading_without_the_checksum_would_be_found():
    def unchecked(data):
        try:
            return load(data)
        except Exception as error:
            raise ModelCorrupt(f"objects/x: {error}") from None

    assert silent_mutations(unchecked, 300) > 20


def sealed(header, values=b""):
    """A file by somebody who knows how the checksum is made."""
    plain = {**header, "__metadata__": {}}
    digest = hashlib.sha256(canonical_json(plain) + values).hexdigest()
    text = canonical_json({**header, "__metadata__": {CHECKSUM: digest}})
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + values


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_the_forger_can_forge_what_is_right():
    assert unpack(sealed({"a": entry()}, bytes(4)), "x")["a"].item() == 0.0


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry("F8_E4M3", (1,), (0, 1))},
        {"a": entry("object")},
        {"a": {"dtype": "F32"}},
        {"a": 5},
        {"a": entry(shape=(2,))},
        {"a": entry(shape=(-1,))},
        {"a": entry(shape=(2**63, 2**63))},
        {"a": entry(shape=("1",))},
        {"a": entry(offsets=(0, 2**70))},
        {"a": entry(offsets=(-4, 0))},
        {"a": entry(), "b": entry()},
        {"a": {**entry(), "extra": [1]}},
        {"a": entry(), "b": entry(offsets=(8, 12))},
        {},
    ],
    ids=str,
)
def test_a_sealed_forgery_is_corrupt(header):
    values = bytes(12) if "b" in header and header["b"]["data_offsets"][0] else bytes(4)
    with pytest.raises(ModelCorrupt):
        unpack(sealed(header, values), "x")


def test_a_name_that_stands_twice_is_corrupt():
    text = b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2)
    with pytest.raises(ModelCorrupt, match="twice"):
        unpack(len(text).to_bytes(8, "little") + text + bytes(4), "x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        b"\xff" * 8,
        bytes(8),
        (2).to_bytes(8, "little") + b"{}",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (4).to_bytes(8, "little") + b'"\xff"x',
        (4).to_bytes(8, "little") + b"null",
        b"\x80\x04\x95" + b"pickle" * 5,
        save({"a": torch.zeros(1)}),
        save({"a": torch.zeros(1)}, {CHECKSUM: "0" * 64}),
    ],
    ids=lambda data: ascii(data[:20]),
)
def test_what_is_no_file_of_ours_is_corrupt(data):
    for read in (unpack, read_metadata):
        with pytest.raises(ModelCorrupt, match=r"^objects/x: "):
            read(data, "objects/x")


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__x", "../../etc/x", ""]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "BF16", "I64", "BOOL", "U8", "F4", 7, None]),
                "shape": st.lists(st.integers(-1, 4) | st.just(2**64), max_size=3),
                "data_offsets": st.lists(st.integers(-1, 40) | st.just(2**64), min_size=1, max_size=3),
            }
        )
        | st.integers()
        | st.none(),
        max_size=3,
    ),
    st.binary(max_size=40),
)
def test_no_sealed_forgery_crashes(header, values):
    try:
        named = unpack(sealed(header, values), "x", allow_nonfinite=True)
    except ModelCorrupt:
        return
    assert named.keys() == header.keys()
