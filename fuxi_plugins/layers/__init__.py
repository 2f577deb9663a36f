"""The mathematics of the token models, in torch alone: usable in any training loop.

B rows in a batch, n fields, k the width of a field embedding, T tokens, D the width of a token, r the
expansion. X is (T, D) for one row, vec(X) its row-major flattening of length TD.
"""

from .blocks import TokenBlock, rms_norm_block
from .checks import nearest_divisor, nearest_multiple, require_multiple, require_one_of, require_positive
from .dropout import Dropout
from .experts import PerTokenExperts, check_experts
from .heads import HeadKind, LinearHead, MeanHead, MeanPoolHead, MLPHead, make_head
from .mixing import (
    BlockTranspose,
    FixedOrthogonal,
    FullLinear,
    GroupedLinear,
    LowRankLinear,
    MixingKind,
    MixingNorm,
    MixingOptions,
    ResidualMixing,
    block_transpose,
    check_mixing,
    exchange_heads,
    make_mixing,
)
from .norms import LayerNorm, RMSNorm, rms_norm
from .per_token import (
    FFNKind,
    PerToken,
    PerTokenGLU,
    PerTokenLinear,
    PerTokenRMSNorm,
    PerTokenSequential,
    PerTokenSkipGLU,
    PerTokenSwiGLU,
    check_ffn,
    expanded,
    glu_ffn,
    mlp_ffn,
)
from .tokenizers import (
    JointTokenizer,
    PerTokenTokenizer,
    ReshapeTokenizer,
    SharedTokenizer,
    TokenizerKind,
    check_mlp,
    check_tokenizer,
    make_tokenizer,
)
from .unimixing import BlockMixing, UniMixing, UniMixingLite, check_block_size, sinkhorn

__all__ = [
    "BlockMixing",
    "BlockTranspose",
    "Dropout",
    "FFNKind",
    "FixedOrthogonal",
    "FullLinear",
    "GroupedLinear",
    "HeadKind",
    "JointTokenizer",
    "LayerNorm",
    "LinearHead",
    "LowRankLinear",
    "MLPHead",
    "MeanHead",
    "MeanPoolHead",
    "MixingKind",
    "MixingNorm",
    "MixingOptions",
    "PerToken",
    "PerTokenExperts",
    "PerTokenGLU",
    "PerTokenLinear",
    "PerTokenRMSNorm",
    "PerTokenSequential",
    "PerTokenSkipGLU",
    "PerTokenSwiGLU",
    "PerTokenTokenizer",
    "RMSNorm",
    "ReshapeTokenizer",
    "ResidualMixing",
    "SharedTokenizer",
    "TokenBlock",
    "TokenizerKind",
    "UniMixing",
    "UniMixingLite",
    "block_transpose",
    "check_block_size",
    "check_experts",
    "check_ffn",
    "check_mixing",
    "check_mlp",
    "check_tokenizer",
    "exchange_heads",
    "expanded",
    "glu_ffn",
    "make_head",
    "make_mixing",
    "make_tokenizer",
    "mlp_ffn",
    "nearest_divisor",
    "nearest_multiple",
    "require_multiple",
    "require_one_of",
    "require_positive",
    "rms_norm",
    "rms_norm_block",
    "sinkhorn",
]
