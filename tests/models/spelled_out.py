"""RankMixer and RankElastor written out slowly, one row, one token, one value after the other.

The oracle for the models: it shares no code with ``fuxi_plugins.layers``, reads the parameters of a model by name, and
follows the formulas of the two papers and of the RankElastor authors' repository. A row is a vector of embeddings, the
tokens of a row a list of T vectors of length D.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Tokens = list[Tensor]
Parameters = dict[str, Tensor]


def rms_norm(vector: Tensor, gain: Tensor) -> Tensor:
    mean_square = sum(value * value for value in vector) / len(vector)
    return gain * vector / torch.sqrt(mean_square + 1e-12)


def layer_norm(vector: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    mean = sum(vector) / len(vector)
    variance = sum((value - mean) ** 2 for value in vector) / len(vector)
    return gain * (vector - mean) / torch.sqrt(variance + 1e-5) + bias


def gelu(vector: Tensor) -> Tensor:
    return 0.5 * vector * (1 + torch.erf(vector / math.sqrt(2)))


def relu(vector: Tensor) -> Tensor:
    return torch.where(vector > 0, vector, 0)


def exchanged_heads(tokens: Tokens) -> Tokens:
    """New token h is head h of every token, in the order of the tokens."""
    part = len(tokens[0]) // len(tokens)
    heads = range(len(tokens))
    return [torch.cat([token[h * part : (h + 1) * part] for token in tokens]) for h in heads]


class SpelledOut:
    """One model's forward, from its parameters; ``settings`` are those it was built with."""

    def __init__(self, parameters: Parameters, num_tokens: int, token_dim: int, num_blocks: int):
        self.parameters = parameters
        self.num_tokens = num_tokens
        self.token_dim = token_dim
        self.num_blocks = num_blocks

    def __call__(self, rows: Tensor, block: Callable, tokenizer: Callable, head: Callable) -> Tensor:
        """(B, nk) -> (B, 1), row by row."""
        probabilities = []
        for row in rows:
            tokens = tokenizer(row)
            for depth in range(self.num_blocks):
                tokens = block(f"blocks.{depth}", tokens)
            probabilities.append(1 / (1 + torch.exp(-head(tokens))))
        return torch.stack(probabilities)

    # Maps, by the name of the layer that holds the parameters.

    def linear(self, name: str, vector: Tensor) -> Tensor:
        out = self.parameters[f"{name}.weight"] @ vector
        return out + self.parameters[f"{name}.bias"] if f"{name}.bias" in self.parameters else out

    def token_linear(self, name: str, t: int, vector: Tensor) -> Tensor:
        out = vector @ self.parameters[f"{name}.weight"][t]
        return out + self.parameters[f"{name}.bias"][t, 0] if f"{name}.bias" in self.parameters else out

    def rms(self, name: str, vector: Tensor) -> Tensor:
        return rms_norm(vector, self.parameters[f"{name}.gain"])

    def token_rms(self, name: str, t: int, vector: Tensor) -> Tensor:
        return rms_norm(vector, self.parameters[f"{name}.gain"][t, 0])

    def layer_norm(self, name: str, vector: Tensor) -> Tensor:
        return layer_norm(vector, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])

    def cut(self, vector: Tensor) -> Tokens:
        length = len(vector) // self.num_tokens
        return [vector[t * length : (t + 1) * length] for t in range(self.num_tokens)]

    # Tokenizers.

    def mlp(self, vector: Tensor, norm: bool) -> Tensor:
        """One hidden layer: Linear, [RMSNorm], ReLU, Linear."""
        hidden = self.linear("tokenizer.mlp.0", vector)
        if norm:
            hidden = self.rms("tokenizer.mlp.1", hidden)
        return self.linear(f"tokenizer.mlp.{3 if norm else 2}", relu(hidden))

    def shared(self, row: Tensor, norm: bool) -> Tokens:
        return [self.mlp(piece, norm) for piece in self.cut(self.rms("tokenizer.norm", row))]

    def joint(self, row: Tensor, norm: bool) -> Tokens:
        return self.cut(self.mlp(self.rms("tokenizer.norm", row), norm))

    def per_token(self, row: Tensor) -> Tokens:
        length = math.ceil(len(row) / self.num_tokens)
        padded = torch.cat([self.rms("tokenizer.norm", row), row.new_zeros(length * self.num_tokens - len(row))])
        return [self.token_linear("tokenizer.projection", t, piece) for t, piece in enumerate(self.cut(padded))]

    # Heads.

    def mlp_head(self, tokens: Tokens) -> Tensor:
        return self.linear("head.3", relu(self.linear("head.1", torch.cat(tokens))))

    def mean_pool_head(self, tokens: Tokens) -> Tensor:
        return self.linear("head.linear", sum(tokens) / len(tokens))

    # Mixing: the map, its residual, and the norm that belongs to it.

    def full_repository(self, block: str, tokens: Tokens) -> Tokens:
        flat = self.rms(f"{block}.mixing.norm_before", torch.cat(tokens))
        mixed = self.cut(self.linear(f"{block}.mixing.map.linear", flat))
        return [token + new for token, new in zip(tokens, mixed, strict=True)]

    def full_paper(self, block: str, tokens: Tokens) -> Tokens:
        flat = torch.cat(tokens)
        return self.cut(self.linear(f"{block}.mixing.map.linear", flat) + flat)

    def grouped(self, block: str, tokens: Tokens, groups: int, norm: str) -> Tokens:
        flat = torch.cat(tokens)
        normed = self.rms(f"{block}.mixing.norm_before", flat) if norm == "before" else flat
        length = len(flat) // groups
        pieces = [normed[g * length : (g + 1) * length] for g in range(groups)]
        mixed = torch.cat([self.linear(f"{block}.mixing.map.linear", piece) for piece in pieces])
        new = self.cut(flat + mixed)
        return [self.layer_norm(f"{block}.mixing.norm_after", token) for token in new] if norm == "after" else new

    def low_rank(self, block: str, tokens: Tokens) -> Tokens:
        flat = self.rms(f"{block}.mixing.norm_before", torch.cat(tokens))
        mixed = self.cut(self.linear(f"{block}.mixing.map.up", self.linear(f"{block}.mixing.map.down", flat)))
        return [token + new for token, new in zip(tokens, mixed, strict=True)]

    def rotated(self, block: str, tokens: Tokens, scale: float) -> Tokens:
        flat = self.rms(f"{block}.mixing.norm_before", torch.cat(tokens))
        mixed = self.cut(self.parameters[f"{block}.mixing.map.rotation"] @ flat)
        return [token + scale * new for token, new in zip(tokens, mixed, strict=True)]

    def exchanged(self, block: str, tokens: Tokens) -> Tokens:
        return [token + new for token, new in zip(tokens, exchanged_heads(tokens), strict=True)]

    def exchanged_repository(self, block: str, tokens: Tokens) -> Tokens:
        return [self.layer_norm(f"{block}.mixing.norm_after", token) for token in self.exchanged(block, tokens)]

    # Blocks.

    def repository_block(self, block: str, tokens: Tokens, mixing: Callable, ffn: Callable) -> Tokens:
        new = []
        for t, token in enumerate(mixing(block, tokens)):
            m = self.rms(f"{block}.mixing_norm", token)
            new.append(m + ffn(f"{block}.ffn", t, m))
        return new

    def rankmixer_paper_block(self, block: str, tokens: Tokens, residual: bool = True) -> Tokens:
        new = []
        for t, token in enumerate(self.exchanged(block, tokens) if residual else exchanged_heads(tokens)):
            s = self.layer_norm(f"{block}.mixing_norm", token)
            pffn = self.token_linear(f"{block}.ffn.2", t, gelu(self.token_linear(f"{block}.ffn.0", t, s)))
            new.append(self.layer_norm(f"{block}.ffn_norm", pffn + s))
        return new

    def rankelastor_paper_block(self, block: str, tokens: Tokens) -> Tokens:
        new = []
        for t, token in enumerate(self.full_paper(block, tokens)):
            m = self.layer_norm(f"{block}.mixing_norm", token)
            w1, w2, w3 = (self.parameters[f"{block}.ffn.{name}.weight"][t] for name in ("gate", "value", "down"))
            w_r = self.parameters[f"{block}.ffn_skip.weight"][t]
            new.append((gelu(m @ w1) * (m @ w2)) @ w3 + m @ w_r)
        return new

    # Per-token FFNs of the repository.

    def skip_glu(self, name: str, t: int, x: Tensor, expands: bool) -> Tensor:
        gate = gelu(self.token_linear(f"{name}.gate", t, x))
        value = self.token_linear(f"{name}.value", t, x)
        skip = self.token_linear(f"{name}.skip", t, x)
        if not expands:
            return (skip + gate) * value + skip
        lift = self.token_linear(f"{name}.lift", t, x)
        return self.token_linear(f"{name}.down", t, (lift + gate) * value) + skip

    def glu_ffn(self, name: str, t: int, x: Tensor, hidden_units: list[int], expands: bool = True) -> Tensor:
        layer = 0
        for width in hidden_units:
            x = self.token_rms(f"{name}.{layer}", t, x)
            unit_width = len(x)
            x = self.skip_glu(f"{name}.{layer + 1}", t, x, expands)
            layer += 2
            if width != unit_width:
                x = self.token_linear(f"{name}.{layer}", t, x)
                layer += 1
        return self.token_linear(f"{name}.{layer}", t, x)

    def plain_ffn(self, name: str, t: int, x: Tensor, depth: int, activation: Callable, norm: bool) -> Tensor:
        layer = 0
        for _ in range(depth):
            x = self.token_linear(f"{name}.{layer}", t, x)
            if norm:
                layer += 1
                x = self.token_rms(f"{name}.{layer}", t, x)
            x = activation(x)
            layer += 2
        return self.token_linear(f"{name}.{layer}", t, x)
