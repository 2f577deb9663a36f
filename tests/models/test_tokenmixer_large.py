"""TokenMixer-Large against its equations written out slowly, one value after the other."""

import pytest
import torch
from torch import Tensor

from fuxi_plugins.models.tokenmixer_large import TokenMixerLarge
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, rms_norm
from tests.models.test_token_models import FixedEmbeddings

T, D, H, L, INTERVAL = 3, 4, 2, 5, 2
ROWS, WIDTH = 3, 15  # five fields of width 3
SETTINGS = {
    "embedding_dim": 3,
    "num_tokens": T,
    "token_dim": D,
    "num_heads": H,
    "num_blocks": L,
    "residual_interval": INTERVAL,
    "ffn_expansion": 1.5,
}


class SlowTokenMixerLarge(SpelledOut):
    """A row's tokens through all blocks; which of the intervals' tokens are read by auxiliary heads."""

    def tokens(self, row: Tensor, global_token: bool) -> list[Tensor]:
        place = "tokenizer.tokenizer" if global_token else "tokenizer"
        fields = T - global_token
        length = -(-WIDTH // fields)
        padded = torch.cat([self.rms(f"{place}.norm", row), row.new_zeros(length * fields - WIDTH)])
        made = [
            self.token_linear(f"{place}.projection", t, padded[t * length : (t + 1) * length]) for t in range(fields)
        ]
        if global_token:
            made.insert(0, self.linear("tokenizer.projection", self.rms("tokenizer.norm", row)))
        return made

    def swiglu(self, name: str, t: int, x: Tensor) -> Tensor:
        gate = self.token_linear(f"{name}.gate", t, x)
        inside = gate / (1 + torch.exp(-gate)) * self.token_linear(f"{name}.up", t, x)
        return self.token_linear(f"{name}.down", t, inside)

    def block(self, name: str, tokens: list[Tensor], residual: str) -> list[Tensor]:
        part = D // H
        mixed = [torch.cat([token[h * part : (h + 1) * part] for token in tokens]) for h in range(H)]
        mixed = [
            vector + self.swiglu(f"{name}.mixed_ffn", h, self.rms(f"{name}.mixed_norm", vector))
            for h, vector in enumerate(mixed)
        ]
        reverted = [torch.cat([vector[t * part : (t + 1) * part] for vector in mixed]) for t in range(T)]
        start = tokens if residual == "input" else reverted
        return [
            start[t] + self.swiglu(f"{name}.ffn", t, self.rms(f"{name}.mixing_norm", reverted[t])) for t in range(T)
        ]

    def read(self, head: str, tokens: list[Tensor]) -> Tensor:
        normed = [rms_norm(token, self.parameters[f"{head}.0.gain"]) for token in tokens]
        return 1 / (1 + torch.exp(-self.linear(f"{head}.1.linear", sum(normed) / T)))

    def predictions(self, row: Tensor, residual: str, global_token: bool) -> dict[str, Tensor]:
        tokens = start = self.tokens(row, global_token)
        read = {}
        for depth in range(1, L + 1):
            tokens = self.block(f"blocks.{depth - 1}", tokens, residual)
            if depth in (2, 4):
                tokens = start = [early + late for early, late in zip(start, tokens, strict=True)]
                read[f"aux_heads.{depth}"] = self.read(f"aux_heads.{depth}", tokens)
        return {**read, "head": self.read("head", tokens)}


@pytest.mark.parametrize("residual", ["input", "reverted"])
@pytest.mark.parametrize("global_token", [True, False])
def test_values_losses_and_gradients_are_those_of_the_equations(residual, global_token):
    chosen = {"block_residual": residual, "global_token": global_token, "aux_loss_weight": 0.3}
    model = tiny.build(TokenMixerLarge, **SETTINGS, **chosen).double()
    rows = torch.randn(ROWS, WIDTH, dtype=torch.float64)
    labels = torch.tensor([[1.0], [0.0], [1.0]], dtype=torch.float64)
    model.embedding_layer = FixedEmbeddings(rows)
    tiny.randomize(model, scale=0.5)
    parameters = dict(model.named_parameters())

    slow = SlowTokenMixerLarge(parameters, T, D, L)
    by_row = [slow.predictions(row, residual, global_token) for row in rows]
    expected = {head: torch.stack([row[head] for row in by_row]) for head in by_row[0]}
    predicted = model({})
    torch.testing.assert_close(predicted["y_pred"], expected["head"], rtol=0, atol=1e-9)

    losses = {head: -(labels * p.log() + (1 - labels) * (1 - p).log()).mean() for head, p in expected.items()}
    slow_loss = losses.pop("head") + 0.3 * sum(losses.values())
    loss = model.compute_loss(predicted, labels)
    torch.testing.assert_close(loss, slow_loss, rtol=0, atol=1e-9)
    gradients = torch.autograd.grad(loss, parameters.values())
    torch.testing.assert_close(gradients, torch.autograd.grad(slow_loss, parameters.values()), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("blocks", "interval", "ends"), [(2, 2, []), (3, 2, ["2"]), (4, 2, ["2"]), (7, 3, ["3", "6"]), (4, None, [])]
)
def test_intervals_end_before_the_last_block(blocks, interval, ends):
    model = tiny.build(TokenMixerLarge, **{**SETTINGS, "num_blocks": blocks, "residual_interval": interval})
    assert list(model.aux_heads) == ends


def test_a_block_starts_as_nearly_the_identity():
    model = tiny.build(TokenMixerLarge, num_tokens=4, token_dim=32, num_heads=2)
    block, x = model.blocks[0], torch.randn(8, 4, 32)
    assert (block(x) - x).abs().max() < 0.1
    assert (block(x) - x).abs().max() > 0
    up, down = block.ffn.up.weight[0], block.ffn.down.weight[0]
    assert down.std().item() == pytest.approx(0.01 * up.std().item(), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 5}, "token_dim must be a multiple of num_heads, but token_dim=32 and num_heads=5; .* is 30"),
        ({"block_residual": "mixed"}, "block_residual must be one of 'input', 'reverted'"),
        ({"residual_interval": None, "aux_loss_weight": 0.1}, "aux_loss_weight has no meaning without residual_inter"),
        ({"residual_interval": 0}, "residual_interval must be at least 1"),
        ({"num_tokens": 1}, "num_tokens of 2 or more, but num_tokens=1"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(TokenMixerLarge, **settings)
