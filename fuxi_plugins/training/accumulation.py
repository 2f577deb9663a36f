"""A training step in less memory: the batch in parts, one after the other, with the gradients added up."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from fuxi_plugins.training.fuxictr_model import FuxiCTRModel
from fuxi_plugins.training.sample_weights import share_of


class AccumulatingStep(FuxiCTRModel):
    """Mixed in front of a FuxiCTR model class: the loss and the gradient of the whole batch, part by part.

    The loss is a mean over rows plus a regulariser of the weights, so the parts' losses weighted by their share of
    the rows (or of the rows' weights) add up to it, whatever a model adds to it that is a mean over rows as well.
    """

    parts: int  # set on the model when it is built

    def train_step(self, batch_data: dict[str, Tensor]) -> Tensor:
        self.optimizer.zero_grad()
        rows = len(self.get_labels(batch_data))
        parts = min(self.parts, max(1, rows // 2))  # batch normalisation needs two rows
        bounds = [rows * part // parts for part in range(parts + 1)]
        total = torch.zeros((), device=self.device)
        for start, stop in pairwise(bounds):
            part = {name: column[start:stop] for name, column in batch_data.items()}
            share = share_of(part, stop - start, batch_data, rows)
            loss = self.compute_loss(self.forward(part), self.get_labels(part)) * share
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.parameters(), self._max_gradient_norm)
        self.optimizer.step()
        return total


def deviation(parts: int) -> str:
    """For the record of such a run."""
    return (
        f"step: memory ran out, so each batch went in {parts} parts with their gradients added (the same batch size; "
        "batch normalisation and dropout see the parts)"
    )
