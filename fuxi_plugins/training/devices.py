"""How exactly a run's device computes, and when it has done what was asked of it."""

import os

import torch

from fuxi_plugins.experiments.training_settings import Training

# The sizes of cuBLAS's workspace with which equal products give equal bits. Read when CUDA is first used.
CUBLAS_WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that is queued; a CPU queues nothing. A clock is read after it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def use_arithmetic(training: Training) -> None:
    """Sets for the whole process how it computes, as the settings ask; comes before the device is first used.

    Without ``tf32`` convolutions and recurrent layers are float32 like all else: torch's own default rounds theirs.
    """
    torch.backends.cuda.matmul.allow_tf32 = training.tf32
    torch.backends.cudnn.allow_tf32 = training.tf32
    use_products(training.bf16_products)
    if training.deterministic:
        os.environ.update(CUBLAS_WORKSPACE)
    torch.use_deterministic_algorithms(training.deterministic)
    # torch would also fill all memory that it allocates, to show who reads it before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def use_products(bf16: bool) -> None:
    """Sets for the whole process whether a CPU rounds the factors of its float32 products to bfloat16."""
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if bf16 else "none"  # type: ignore[attr-defined]


def deviations(training: Training) -> list[str]:
    """What is asked for, in words for the record."""
    said = {
        "tf32: on a GPU matrix products, convolutions and recurrent layers in TensorFloat-32": training.tf32,
        "bf16_products: on a CPU the factors of matrix products in bfloat16": training.bf16_products,
        "deterministic: only operations that give the same bits in every run on the same device": (
            training.deterministic
        ),
    }
    return [words for words, is_asked in said.items() if is_asked]
