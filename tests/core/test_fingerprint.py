"""Fingerprints see every bit, and nothing but name, dtype, shape and bits."""

import torch

from lifelong.core.fingerprint import changed_values, json_hash, tensors_hash


def test_every_bit_counts():
    value = torch.randn(3, 4)
    flipped = value.clone().view(torch.int32)
    flipped[1, 2] ^= 1
    assert tensors_hash({"a": value}) != tensors_hash({"a": flipped.view(torch.float32)})
    assert changed_values(value, flipped.view(torch.float32)) == 1


def test_minus_zero_is_not_zero():
    assert changed_values(torch.tensor([0.0, 1.0]), torch.tensor([-0.0, 1.0])) == 1


def test_name_shape_and_dtype_count_order_and_strides_do_not():
    a, b = torch.randn(2, 3), torch.randn(3)
    assert tensors_hash({"a": a, "b": b}) == tensors_hash({"b": b, "a": a})
    assert tensors_hash({"a": a}) != tensors_hash({"c": a})
    assert tensors_hash({"a": a}) != tensors_hash({"a": a.view(3, 2)})
    assert tensors_hash({"a": a}) == tensors_hash({"a": a.t().contiguous().t()})


def test_another_shape_changes_everything():
    assert changed_values(torch.zeros(3), torch.zeros(5)) == 5


def test_equal_documents_have_one_hash():
    assert json_hash({"a": 1, "b": [2]}) == json_hash({"b": [2], "a": 1})
