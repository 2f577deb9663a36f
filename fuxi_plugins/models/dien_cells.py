"""DIEN's two GRUs and the attention between them, with the cells that its sources describe for the second one."""

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from .histories import latest_last

Formulation = Literal["mixed", "paper", "fuxictr", "official_code"]


class InterestEvolution(nn.Module):
    """The first GRU, and the attention: target (B, m), behaviours (B, L, m), real (B, L) -> the last state (B, m).

    A subclass is the second GRU.

    Args:
        width: m.
        score: the attention, target (B, m) and interests (B, L, m) -> (B, L); None for none.
        use_softmax: whether the weights of a history sum to one.
        formulation: ``fuxictr`` scores padded places as if their interests were 0, and only rows with behaviours. That
            matters to an activation with statistics of the batch, Dice.
    """

    def __init__(self, width: int, score: nn.Module | None, use_softmax: bool, formulation: Formulation):
        super().__init__()
        self.use_softmax, self.formulation = use_softmax, formulation
        self.extraction = nn.GRU(width, width, batch_first=True)
        self.score = score

    def forward(self, target: Tensor, behaviours: Tensor, real: Tensor) -> Tensor:
        behaviours, real = latest_last(behaviours, real)  # padding behind: no state depends on it
        interests = self.extraction(behaviours)[0]  # (B, L, m)
        if self.score is None:
            return self.evolve(interests, None, real)
        weight = self._scores(self.score, target, interests, real)
        if self.use_softmax:
            weight = weight.masked_fill(~real, -1e9).softmax(dim=1)
        return self.evolve(interests, weight * real, real)

    def _scores(self, score: nn.Module, target: Tensor, interests: Tensor, real: Tensor) -> Tensor:
        if self.formulation != "fuxictr":
            return score(target, interests)
        rows = real.any(dim=1)
        scores = torch.zeros_like(interests[..., 0])
        if rows.any():
            scores[rows] = score(target[rows], (interests * real.unsqueeze(-1))[rows])
        return scores

    @abstractmethod
    def evolve(self, interests: Tensor, weight: Tensor | None, real: Tensor) -> Tensor:
        """Interests (B, L, m), their weights and whether they are real (B, L) -> the last state (B, m)."""


class PlainGRU(InterestEvolution):
    """GRU without an attention, and AIGRU, whose inputs the attention weighs."""

    def __init__(self, width: int, score: nn.Module | None, use_softmax: bool, formulation: Formulation):
        super().__init__(width, score, use_softmax, formulation)
        self.evolution = nn.GRU(width, width, batch_first=True)

    def evolve(self, interests: Tensor, weight: Tensor | None, real: Tensor) -> Tensor:
        if weight is not None:
            interests = interests * weight.unsqueeze(-1)
        return last_real(self.evolution(interests)[0], real)


class AttentionalGRU(InterestEvolution):
    """AGRU and AUGRU, whose steps the attention weighs; a subclass is a cell."""

    def evolve(self, interests: Tensor, weight: Tensor | None, real: Tensor) -> Tensor:
        """The recurrence; a padded step leaves the state as it is."""
        assert weight is not None, "AGRU and AUGRU have an attention"
        h = torch.zeros_like(interests[:, 0])
        steps = (interests.unbind(1), weight.unsqueeze(-1).unbind(1), real.unsqueeze(-1).unbind(1))
        for i, a, is_real in zip(*steps, strict=True):
            h = torch.where(is_real, self.step(i, a, h), h)
        return h

    @abstractmethod
    def step(self, i: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """The next state from an interest (B, m), its weight (B, 1) and the state (B, m)."""


class ResetBefore(AttentionalGRU):
    """The cell of ``mixed`` and ``official_code``: the reset gate scales the state before the candidate's matrix.

    The official code's update gate keeps the old state, the weight closes it, and the gates' biases start at 1.

    Args:
        has_update_gate: AUGRU's; AGRU has the weight in its place.
    """

    def __init__(
        self,
        width: int,
        score: nn.Module | None,
        use_softmax: bool,
        formulation: Formulation,
        has_update_gate: bool,
    ):
        super().__init__(width, score, use_softmax, formulation)
        self.gates = nn.Linear(2 * width, 2 * width if has_update_gate else width)
        self.candidate = nn.Linear(2 * width, width)

    def init_weights(self) -> None:
        """Starts the gates' biases; FuxiCTR calls it after resetting its own layers."""
        if self.formulation == "official_code":
            nn.init.ones_(self.gates.bias)

    def step(self, i: Tensor, a: Tensor, h: Tensor) -> Tensor:
        *update, r = self.gates(torch.cat([i, h], dim=-1)).sigmoid().split(h.shape[1], dim=1)
        candidate = self.candidate(torch.cat([i, r * h], dim=-1)).tanh()
        u = a
        if update:
            u = 1 - (1 - a) * update[0] if self.formulation == "official_code" else a * update[0]
        return (1 - u) * h + u * candidate


class ResetAfter(AttentionalGRU):
    """The cell of ``paper`` and ``fuxictr``: the reset gate scales what the candidate's matrix makes of the state.

    FuxiCTR's maps of the state have biases of their own, so that the gate scales that of the candidate too.

    Args:
        has_update_gate: AUGRU's; AGRU has the weight in its place.
    """

    def __init__(
        self,
        width: int,
        score: nn.Module | None,
        use_softmax: bool,
        formulation: Formulation,
        has_update_gate: bool,
    ):
        super().__init__(width, score, use_softmax, formulation)
        parts = 3 if has_update_gate else 2  # update, reset, candidate
        self.of_interest = nn.Linear(width, parts * width)
        self.of_state = nn.Linear(width, parts * width, bias=self.formulation == "fuxictr")

    def step(self, i: Tensor, a: Tensor, h: Tensor) -> Tensor:
        *gates_of_i, candidate_of_i = self.of_interest(i).split(h.shape[1], dim=1)
        *gates_of_h, candidate_of_h = self.of_state(h).split(h.shape[1], dim=1)
        *update, r = [(of_i + of_h).sigmoid() for of_i, of_h in zip(gates_of_i, gates_of_h, strict=True)]
        candidate = (candidate_of_i + r * candidate_of_h).tanh()
        u = a * update[0] if update else a
        return (1 - u) * h + u * candidate


def last_real(states: Tensor, real: Tensor) -> Tensor:
    """The state after the last real behaviour (B, m), 0 for a row without any; real ones come first."""
    count = real.sum(dim=1)
    index = (count - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, states.shape[-1])
    return states.gather(1, index).squeeze(1) * (count > 0).unsqueeze(-1)
