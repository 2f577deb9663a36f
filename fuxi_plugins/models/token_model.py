"""What RankMixer and RankElastor share: a row becomes tokens, blocks transform them, a head reads them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from fuxi_plugins.layers import TokenizerKind, check_mlp

from .base import CTRModel

Reading = Literal["repository", "paper"]  # of two formulas under one name, the published code's or the paper's


class TokenModel(CTRModel):
    """Embeddings -> tokenizer -> L blocks -> head; a subclass builds the parts under these names."""

    embedding_layer: nn.Module  # the features of a row -> (B, nk)
    tokenizer: nn.Module  # (B, nk) -> (B, T, D)
    blocks: nn.Sequential  # L times TokenBlock, (B, T, D) -> (B, T, D)
    head: nn.Module  # (B, T, D) -> (B, 1)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        tokens = self.tokenizer(embeddings)  # (B, T, D)
        tokens = self.blocks(tokens)  # (B, T, D)
        return {"y_pred": self.output_activation(self.head(tokens))}

    def stages(self) -> dict[str, nn.Module]:
        """In order of depth, the modules whose outputs are the tokens (B, T, D) at that stage, for hooks."""
        stages: dict[str, nn.Module] = {"tokens": self.tokenizer}
        for depth, block in enumerate(self.blocks, start=1):
            stages[f"mixing_{depth}"] = block.get_submodule("mixing_norm")
            stages[f"ffn_{depth}"] = block
        return stages


def given(value: Any, default: Any) -> Any:
    """The value, or the default where it was left out."""
    return default if value is None else value


def refuse_unused(context: str, **settings: Any) -> None:
    """A setting that was given (is not None) though it means nothing in this context is an error."""
    for name, value in settings.items():
        if value is not None:
            raise ValueError(f"{name} has no meaning {context}, but {name}={value!r}; leave it out")


def tokenizer_settings(
    kind: TokenizerKind,
    hidden_units: Sequence[int] | None,
    norm: bool | None,
    dropout: float | None,
    norm_unless_given: bool,
) -> dict[str, Any]:
    """The settings of a tokenizer's MLP, checked, for the kinds that have one."""
    if kind in ("per_token", "reshape"):
        refuse_unused(
            f"with tokenizer={kind!r}",
            tokenizer_hidden_units=hidden_units,
            tokenizer_norm=norm,
            tokenizer_dropout=dropout,
        )
        return {}
    hidden_units, dropout = given(hidden_units, (500,)), given(dropout, 0.0)
    check_mlp(hidden_units, dropout)
    return {"hidden_units": hidden_units, "norm": given(norm, norm_unless_given), "dropout": dropout}
