"""The peer of the per-token networks: the same networks as T separate stacks of torch's own modules."""

import torch
from torch import Tensor, nn

from fuxi_plugins.layers import PerTokenLinear, PerTokenRMSNorm, PerTokenSequential, PerTokenSkipGLU
from fuxi_plugins.layers.norms import EPS


class RMSNorm(nn.Module):
    """As one writes it down; its gradient is autograd's."""

    def __init__(self, gain: Tensor):
        super().__init__()
        self.gain = nn.Parameter(gain.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * self.gain


class SkipGLU(nn.Module):
    def __init__(self, layer: PerTokenSkipGLU, token: int):
        super().__init__()
        self.gate, self.value, self.skip = (linear(part, token) for part in (layer.gate, layer.value, layer.skip))
        self.lift, self.down = (linear(part, token) for part in (layer.lift, layer.down))

    def forward(self, x: Tensor) -> Tensor:
        return self.down((self.lift(x) + nn.functional.gelu(self.gate(x))) * self.value(x)) + self.skip(x)


class PerTokenLoop(nn.Module):
    """What a :class:`PerTokenSequential` computes, with its weights, by one ``nn.Sequential`` a token."""

    def __init__(self, network: PerTokenSequential, num_tokens: int):
        super().__init__()
        self.networks = nn.ModuleList(
            nn.Sequential(*(alone(layer, token) for layer in network)) for token in range(num_tokens)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x[:, token]) for token, network in enumerate(self.networks)], dim=1)


def alone(layer: nn.Module, token: int) -> nn.Module:
    """The layer of one token as a module of its own."""
    if isinstance(layer, PerTokenLinear):
        return linear(layer, token)
    if isinstance(layer, PerTokenRMSNorm):
        return RMSNorm(layer.gain[token, 0].detach())
    if isinstance(layer, PerTokenSkipGLU):
        return SkipGLU(layer, token)
    return type(layer)() if not isinstance(layer, nn.Dropout) else nn.Dropout(layer.p)


def linear(layer: PerTokenLinear, token: int) -> nn.Linear:
    weight = layer.weight[token].detach()  # (in, out)
    made = nn.Linear(*weight.shape)
    made.weight.data.copy_(weight.T)
    made.bias.data.copy_(layer.bias[token, 0].detach())
    return made


def with_loops(model: nn.Module) -> nn.Module:
    """Puts loops in the place of the per-token networks of a token model, and returns it."""
    for block in model.blocks:
        block.ffn = PerTokenLoop(block.ffn, block.ffn[-1].weight.shape[0])
    return model
