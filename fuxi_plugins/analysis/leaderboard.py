"""What a leaderboard holds: its rows, and what the statistics say of them. ``ranking`` makes it from records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.published import PublishedResult
from fuxi_plugins.analysis.statistics.inference import Difference, Inference
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.analysis.verdict import Verdict
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Cost, DataCard, Parameters


@dataclass(frozen=True)
class Cell:
    """A run that a board expects."""

    dataset: str
    experiment: str
    display_name: str
    seed: int
    hparam_source: str = "default"  # or "published" or "tuned": where the experiment's hyper-parameters come from


@dataclass(frozen=True)
class Summary:
    """A metric over seeds."""

    mean: float
    std: float | None  # sample standard deviation; None for a single seed
    best: float  # of any seed
    worst: float
    by_seed: dict[int, float]


@dataclass(frozen=True)
class Row:
    """A model on a dataset: finished runs of one digest, which differ in their seed alone."""

    display_name: str
    key: str  # names the row in evidence and inference
    experiment: str
    model: str
    rank: int | None  # by the test mean; None when no seed has finished
    seeds: list[int]  # finished
    expected_seeds: int
    test: dict[str, Summary]
    valid: dict[str, Summary]
    parameters: Parameters | None
    seconds_per_epoch: float | None
    published: PublishedResult | None
    problems: list[str] = field(default_factory=list)  # failed or missing runs with their reasons
    variants: int = 1  # configurations among which validation chose this one
    variant: str = ""  # what sets this one apart from the others
    hparam_source: str = "default"
    intervals: dict[str, Interval] = field(default_factory=dict)  # by metric, of the test mean
    rank_range: tuple[int, int] | None = None  # ranks that the noise leaves possible
    letters: str = ""  # shared by rows that are not significantly different, and by no others
    calibration: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  # silent failures that some run shows
    few_steps: int | None = None  # of the shortest training, where that was too short to compare models by
    machines: dict[str, list[int]] = field(default_factory=dict)  # kind of machine -> seeds that ran on it
    verdict: Verdict | None = None  # on the published value of the board's metric
    cost: Cost | None = None  # where it has been measured
    submitted_by: str = ""  # who sent the row's runs, where they were not made here

    def difference(self, metric: str) -> float | None:
        """Ours less the published value."""
        if self.published is None or metric not in self.published.metrics or metric not in self.test:
            return None
        return self.test[metric].mean - self.published.metrics[metric]


@dataclass(frozen=True)
class Leaderboard:
    dataset: str
    data: DataCard
    rank_by: str
    metrics: list[str]
    rows: list[Row]
    inference: Inference | None = None  # in ``rank_by``, of the ranked rows by experiment
    evidence: Evidence | None = None  # of the sampling of test rows; without it only the seeds' noise is known
    unverified: list[Row] = field(default_factory=list)  # shown below the ranking; they decide nothing
    reference: str = ""  # name of the row by whose dense parameters those of the others are given
    remarks: tuple[str, ...] = ()  # of the suite, on the rows
    outdated: tuple[str, ...] = ()  # what was changed after the runs, a sentence each
    same_predictions: tuple[str, ...] = ()  # seeds that say nothing of the noise between seeds, a sentence each

    def relative_sizes(self) -> dict[str, float]:
        """Each row's dense parameters over the reference's, by key; empty where the reference was not run."""
        sizes = {row.key: row.parameters.dense for row in self.rows if row.parameters}
        reference = next((row.key for row in self.rows if row.display_name == self.reference), None)
        return {key: size / sizes[reference] for key, size in sizes.items()} if reference in sizes else {}

    def ranked(self) -> list[Row]:
        return [row for row in self.rows if row.rank]

    def difference(self, a: Row, b: Row) -> Difference | None:
        """Row ``a`` less row ``b`` in ``rank_by``; None where one has no finished run."""
        if self.inference is None or not (a.rank and b.rank):
            return None
        return self.inference.difference(a.key, b.key)

    def like_the_best(self) -> list[Row]:
        """Rows that are not significantly different from the first, without that one, in the order of the ranks."""
        names = self.inference.like_the_best() if self.inference else []
        return [row for row in self.ranked() if row.key in names]

    def far_apart(self) -> list[Row]:
        """Ranked rows whose seeds end so far apart that a mean describes none of them."""
        if self.inference is None:
            return []
        found = zip(self.inference.names, self.inference.different_outcomes, strict=True)
        apart = {name for name, is_apart in found if is_apart}
        return [row for row in self.ranked() if row.key in apart]

    def as_good_as_the_best(self) -> list[Row]:
        """The first row and those that are not significantly worse, which tables show in bold.

        Rows whose seeds end far apart are left out: what makes them not significantly worse is their own noise.
        """
        apart = {row.key for row in self.far_apart()}
        return [row for row in [*self.ranked()[:1], *self.like_the_best()] if row.key not in apart]

    def better_than_best_of(self, baselines: Sequence[str]) -> list[Row]:
        """Rows, none of them a baseline, that are significantly better than the baseline with the best mean.

        Args:
            baselines: names of rows.

        Raises:
            UserError: a name that no ranked row has.
        """
        ranked = {row.display_name: row for row in self.ranked()}
        if unknown := [name for name in baselines if name not in ranked]:
            raise UserError(
                f"a baseline must be a ranked row of the board, but {unknown[0]!r} is none of {list(ranked)}."
            )
        if not baselines:
            return []
        best = next(row for row in ranked.values() if row.display_name in baselines)
        ahead = takewhile(lambda row: row is not best, ranked.values())
        return [row for row in ahead if (difference := self.difference(row, best)) and difference.significant]
