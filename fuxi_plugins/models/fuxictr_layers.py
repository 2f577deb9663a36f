"""FuxiCTR's layers, called so that they take every setting the native models allow."""

from collections.abc import Sequence

from fuxictr.pytorch.layers import MLP_Block


def mlp_block(
    input_dim: int,
    hidden_units: Sequence[int],
    output_dim: int | None,
    activations: str | Sequence[str],
    dropout: float,
    batch_norm: bool,
) -> MLP_Block:
    """FuxiCTR's MLP, (B, input_dim) -> (B, output_dim), or to the last hidden layer where output_dim is None.

    FuxiCTR adds lists and asks ``isinstance(..., list)``, so a tuple would be an error or be taken for one
    activation.
    """
    return MLP_Block(
        input_dim=input_dim,
        hidden_units=list(hidden_units),
        hidden_activations=activations if isinstance(activations, str) else list(activations),
        output_dim=output_dim,
        dropout_rates=dropout,
        batch_norm=batch_norm,
    )
