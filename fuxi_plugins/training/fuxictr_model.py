"""What the classes that are mixed in front of a FuxiCTR model class may rely on, said to the type checker.

The model class behind a mixin is chosen at run time, so to the interpreter a mixin has no base of its own.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    class FuxiCTRModel(nn.Module):
        """FuxiCTR's ``BaseModel``, which has no annotations itself."""

        device: torch.device
        feature_map: Any
        checkpoint: str
        validation_metrics: list[str]
        output_activation: nn.Module
        optimizer: Any  # one of torch's, or several that pass for one
        loss_fn: Any
        _embedding_regularizer: float | str | None
        _net_regularizer: float | str | None
        _max_gradient_norm: float
        _steps_per_epoch: int
        _total_steps: int
        _epoch_index: int
        _stopping_steps: int
        _stop_training: bool

        def compile(self, optimizer: str, loss: str, lr: float) -> None: ...
        def reset_parameters(self) -> None: ...
        def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]: ...
        def get_labels(self, inputs: dict[str, Tensor]) -> Tensor: ...
        def get_group_id(self, inputs: dict[str, Tensor]) -> Tensor: ...
        def regularization_loss(self) -> Tensor | float: ...
        def compute_loss(self, return_dict: dict[str, Tensor], y_true: Tensor) -> Tensor: ...
        def fit(self, data_generator: Any, **settings: Any) -> None: ...
        def train_epoch(self, data_generator: Any) -> None: ...
        def train_step(self, batch_data: dict[str, Tensor]) -> Any: ...  # what ``item()`` gives the loss of
        def eval_step(self) -> None: ...
        def evaluate(self, data_generator: Any, metrics: list[str] | None = None) -> dict[str, float]: ...
        def save_weights(self, checkpoint: str | Path) -> None: ...
        def load_weights(self, checkpoint: str) -> None: ...

else:
    FuxiCTRModel = object
