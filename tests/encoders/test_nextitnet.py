"""NextItNet's block (a), beside the paper's formula."""

import torch
from torch.nn import functional as F

from lifelong.encoders.nextitnet import Bottleneck, NextItNet


def by_the_formula(block, states_BLD, dilation):
    """LN, ReLU, 1x1; LN, ReLU, 1x3 dilated, causal; LN, ReLU, 1x1; the skip (WSDM 2019, figure 3a)."""
    inner = F.conv1d(
        F.relu(block.norm1(states_BLD)).transpose(1, 2), block.narrow.weight[:, :, None], block.narrow.bias
    )
    inner = F.relu(block.norm2(inner.transpose(1, 2))).transpose(1, 2)
    inner = F.conv1d(F.pad(inner, (2 * dilation, 0)), block.conv1.weight, block.conv1.bias, dilation=dilation)
    inner = F.relu(block.norm3(inner.transpose(1, 2))).transpose(1, 2)
    return states_BLD + F.conv1d(inner, block.widen.weight[:, :, None], block.widen.bias).transpose(1, 2)


def test_a_bottleneck_is_block_a_of_the_paper():
    torch.manual_seed(0)
    block, states_BLD = Bottleneck(NextItNet.Config(width=8, block="bottleneck"), dilation=2), torch.randn(3, 9, 8)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    made = block(states_BLD, torch.ones(3, 9, dtype=torch.bool))
    torch.testing.assert_close(made, by_the_formula(block, states_BLD, 2))
    assert not torch.allclose(made, by_the_formula(block, states_BLD, 1)), "another dilation is another block"
    assert sum(p.numel() for p in block.parameters() if p.dim() > 1) == 7 * 4**2
