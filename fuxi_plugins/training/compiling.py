"""``compile: true``: the forward pass goes through ``torch.compile``, on a CPU region by region.

A token model calls one network for every token, and a tokenizer one for every few rows. As one graph all calls
would be compiled, which takes minutes; as a region the network is compiled once. Two parts stay as they are on a CPU,
where faster code is written for them: embedding layers, of whose tables ``fast_step`` gathers the gradients, and a wide
shared tokenizer (``layers/wide_hidden.py``). The number of rows is no constant of compiled code, so neither the last
batch nor the validation rows are compiled for their size.
"""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from fuxictr.pytorch.layers import FeatureEmbedding, FeatureEmbeddingDict
from torch import Tensor, nn
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
VERSIONS = 64  # of a function's compiled code, one for each kind of arguments; beyond, torch would stop compiling it
DEVIATION = "compile: the forward pass went through torch.compile"


class Compiled(FuxiCTRModel):
    """Mixed in front of a model class: ``compile: true``. The first steps take longer, with kept code by seconds."""

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if "_compiled" not in self.__dict__:
            torch._inductor.config.compile_threads = torch.get_num_threads()
            if on_cpu := self.device.type == "cpu":
                divide(self)
            # Not a submodule: the checkpoint is the model's.
            self.__dict__["_compiled"] = torch.compile(super().forward, dynamic=True if on_cpu else None)
        # Without the first of these a GRU, as DIEN's, is run uncompiled.
        with torch._dynamo.config.patch(allow_rnn=True, recompile_limit=VERSIONS):
            return self.__dict__["_compiled"](inputs)


def divide(module: nn.Module) -> None:
    """Leaves embedding layers out of what is compiled, and makes a region of each method that a layer calls often.

    Such a layer names the method as its ``repeated``.
    """
    repeated = getattr(module, "repeated", None)
    if isinstance(module, FeatureEmbedding | FeatureEmbeddingDict):
        module.forward = torch.compiler.disable(module.forward)
    elif repeated:
        setattr(module, repeated, region(getattr(module, repeated)))
        module.forward = torch.compiler.disable(module.forward)
    else:
        for child in module.children():
            divide(child)


def region(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function of x (..., B, width) and whatever else, compiled by itself."""
    compiled = torch.compile(function)

    @wraps(function)
    def call(x: Tensor, *others: Any) -> Tensor:
        torch._dynamo.maybe_mark_dynamic(x, x.dim() - 2)  # and no other axis of it or of the weights
        return compiled(x, *others)

    return call


def keep_code_in(folder: Path) -> None:
    """Where compiled code is kept for the next run and the next process, unless the environment names a folder."""
    if os.environ.get(CACHE_VARIABLE) in (None, default_cache_dir()):  # torch writes its own choice there
        os.environ[CACHE_VARIABLE] = str(folder)


def require_compiler(experiment_id: str) -> None:
    """Holds that torch finds the C++ compiler that it needs on a CPU.

    Raises:
        UserError: there is none.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise UserError(
            f"experiment {experiment_id!r}: compile: true needs a C++ compiler, but neither $CXX nor g++ is one. "
            "Install g++ or clang++, name it in CXX, or leave the setting out."
        ) from error
