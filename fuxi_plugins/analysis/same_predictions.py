"""Seeds of one experiment with the same predictions: a copied run, or a model that the seed does not change."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fuxi_plugins.models.registry import is_native, is_tree_model
from fuxi_plugins.records.differences import repeating_command
from fuxi_plugins.records.record import FinishedRun


@dataclass(frozen=True)
class SamePredictions:
    """Two or more seeds whose runs predict the same."""

    experiment: str
    seeds: list[int]
    copied: bool  # whether one can only be a copy of another

    @property
    def sentence(self) -> str:
        """What a reader must know, and where a run was copied the command that repeats the others."""
        *others, last = map(str, self.seeds)
        are = "are copies of one run" if self.copied else "have the same predictions"
        said = f"seeds {', '.join(others)} and {last} {are}, so they say nothing of the noise between seeds"
        if not self.copied:
            return f"{said}."
        return f"{said}. {repeating_command(self.experiment, self.seeds[1:])} trains all but the first."


def same_predictions(
    runs: Sequence[FinishedRun], digest_of: Callable[[FinishedRun], str | None]
) -> list[SamePredictions]:
    """The seeds that predict the same, of runs with the same settings, code and data.

    Args:
        digest_of: gives the digest of a run's predictions, or None where they are not known. It is asked about runs
            with equal metrics alone, as equal predictions have them.
    """
    alike: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run in runs:
        alike.setdefault((run.digest, run.data.fingerprint, str(run.metrics["test"])), []).append(run)
    found = []
    for group in alike.values():
        by_digest: dict[str, list[FinishedRun]] = {}
        for run in group if len(group) > 1 else ():
            if digest := digest_of(run):
                by_digest.setdefault(digest, []).append(run)
        found += [_described(same) for same in by_digest.values() if len(same) > 1]
    return found


def _described(runs: Sequence[FinishedRun]) -> SamePredictions:
    copied = any(_is_copy(*pair) for pair in itertools.combinations(runs, 2))
    return SamePredictions(runs[0].experiment, sorted(run.seed for run in runs), copied)


def _is_copy(one: FinishedRun, other: FinishedRun) -> bool:
    """Whether one of two runs with the same predictions is a copy of the other.

    Two runs of trees without sampling, or of a model that collapsed to a constant, predict the same too. But no two
    runs take the same time to the last digit, and networks of this package start from values that the seed draws, so
    that their losses differ.
    """
    if one.seconds == other.seconds:
        return True
    losses = [[epoch.train_loss for epoch in run.history] for run in (one, other)]
    return losses[0] == losses[1] and is_native(one.model) and not is_tree_model(one.model)
