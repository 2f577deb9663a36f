"""Two rows on one dataset, paired by test row and counted by seed, and what may be said of them in one sentence."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.analysis.power import Needed, what_would_decide
from fuxi_plugins.analysis.statistics.inference import Difference, Inference, infer
from fuxi_plugins.records.metrics import Metric, find_metric
from fuxi_plugins.records.record import FinishedRun

SMALLEST_P_SAID = 1e-6  # nothing here is so nearly normal that smaller ones would mean something


@dataclass(frozen=True)
class Comparison:
    """A less B, in one metric."""

    dataset: str
    metric: str
    a: str
    b: str
    experiments: tuple[str, str]
    means: tuple[float, float]
    seeds: tuple[int, int]
    difference: Difference
    seeds_won: int  # of the seeds that both have
    seeds_shared: int
    units: str  # what the sampling error is of: "test rows", "clusters of test rows", or "" where it is not counted
    board: str = ""  # the board whose rows inform these two of the noise between seeds; "": nobody does
    pairs: int = 1  # of rows that are compared there, for all of which the p value is adjusted
    caveats: tuple[str, ...] = ()
    needed: Needed | None = None  # what would decide it; None where it is decided, or nothing is known of the noise
    test_rows: int | None = None

    @property
    def effect(self) -> float:
        return self.difference.effect

    @property
    def words(self) -> str:
        """The verdict."""
        if self.difference.adjusted_p is None:
            return "not compared with"
        if not self.difference.significant:
            return "not significantly different from"
        better = (self.difference.effect > 0) == find_metric(self.metric).higher_is_better
        # What test rows add to the noise is not known without their labels, so nothing is called significant.
        word = "better" if better else "worse"
        return f"{'significantly' if self.units else 'apparently'} {word} than"

    @property
    def sentence(self) -> str:
        metric = find_metric(self.metric)
        won = f"{self.seeds_won} of {self.seeds_shared} shared seeds won"
        said = [*self._said_of_p(metric), won]
        needed = f" {self.needed.sentence(self.test_rows)}" if self.needed else ""
        return (
            f"On {self.dataset}, {self.a} is {self.words} {self.b}: "
            f"{metric.show_difference(self.difference.effect)} test {metric.compared_name} ({'; '.join(said)}).{needed}"
        )

    def _said_of_p(self, metric: Metric) -> list[str]:
        found = []
        if interval := self.difference.interval:
            found.append(
                f"95% {metric.show_difference_end(interval.low)} to {metric.show_difference_end(interval.high)}"
            )
        if self.difference.p is None or self.difference.adjusted_p is None:
            found.append("one seed does not say how much seeds differ")
        elif self.pairs > 1:
            adjusted = f"{_p(self.difference.adjusted_p)} adjusted for the {self.pairs:,} pairs of {self.board}"
            found.append(f"{_p(self.difference.p)}, {adjusted}")
        else:
            found.append(_p(self.difference.p))
        return found


def compare(
    a: Sequence[FinishedRun],
    b: Sequence[FinishedRun],
    metric: str,
    evidence: Evidence | None,
    rows: Mapping[str, Sequence[FinishedRun]] | None = None,
    board: str = "",
) -> Comparison:
    """Compares the finished runs of two experiments on the same data.

    Args:
        a, b: records of one experiment each, in any order of seeds.
        metric: one that all records measured on test.
        evidence: about all the rows, or None.
        rows: by experiment, the rows of a board on which both stand; they inform these two of the noise between seeds.
        board: its name.
    """
    rows = rows or {runs[0].experiment: runs for runs in (a, b)}
    values = {
        name: {record.seed: record.metrics["test"][metric] for record in records} for name, records in rows.items()
    }
    sampling = evidence.sampling_of(metric, list(values)) if evidence else None
    inference = infer(values, find_metric(metric), sampling)
    experiments, names = zip(*((runs[0].experiment, _name(runs[0])) for runs in (a, b)), strict=True)
    shown = names if len({*names}) > 1 else experiments  # one model with two configurations
    ours, theirs = zip(experiments, shown, strict=True)
    return _comparison(inference, values, ours, theirs, a[0].dataset, metric, evidence, board)


def compare_on_board(board: Leaderboard, stem: str, a: Row, b: Row) -> Comparison | None:
    """Two rows of a board by the board's own inference; None where one has no finished run."""
    if board.inference is None or not (a.rank and b.rank):
        return None
    values = {row.key: row.test[board.rank_by].by_seed for row in (a, b)}
    ours, theirs = ((row.key, row.display_name) for row in (a, b))
    named = stem if len(board.inference.names) > 2 else ""
    return _comparison(board.inference, values, ours, theirs, board.dataset, board.rank_by, board.evidence, named)


def _comparison(
    inference: Inference,
    values: Mapping[str, Mapping[int, float]],
    ours: tuple[str, str],
    theirs: tuple[str, str],
    dataset: str,
    metric: str,
    evidence: Evidence | None,
    board: str,
) -> Comparison:
    """What the inference says of two rows, each given as its name in the inference and its name in the sentence."""
    a, b = values[ours[0]], values[theirs[0]]
    shared = sorted(a.keys() & b.keys())
    key = find_metric(metric).sort_key
    difference = inference.difference(ours[0], theirs[0])
    single = [shown for name, shown in (ours, theirs) if len(values[name]) == 1]
    caveats = []
    if evidence is None:
        caveats.append(
            "The test labels were not at hand, so only the noise between seeds is counted, and nothing is called "
            "significant."
        )
    elif not evidence.clusters and evidence.growth:
        caveats.append(clustering_warning(evidence))
    if single and difference.p is None:
        caveats.append(f"One seed only, whose noise is not known: {', '.join(single)}.")
    elif single:
        caveats.append(f"One seed only, whose noise is taken to be as usual on {board}: {', '.join(single)}.")
    return Comparison(
        dataset=dataset,
        metric=metric,
        a=ours[1],
        b=theirs[1],
        experiments=(ours[0], theirs[0]),
        means=(statistics.fmean(a.values()), statistics.fmean(b.values())),
        seeds=(len(a), len(b)),
        difference=difference,
        seeds_won=sum(key(a[seed]) < key(b[seed]) for seed in shared),
        seeds_shared=len(shared),
        units="" if evidence is None else "clusters of test rows" if evidence.clusters else "test rows",
        board=board,
        pairs=inference.compared if board else 1,
        caveats=tuple(caveats),
        needed=what_would_decide(inference, ours[0], theirs[0]),
        test_rows=evidence.rows if evidence else None,
    )


def clustering_warning(evidence: Evidence) -> str:
    """Warns that rows count as independent although values of a column repeat, and says what difference that makes."""
    columns = ", ".join(f"{name} ({ratio:g} times)" for name, ratio in list(evidence.growth.items())[:3])
    return (
        f"Test rows count as independent, but values of these columns repeat, and clustering by one of them would "
        f"increase the standard error: {columns}. If rows with the same value are not independent, name the column as "
        "cluster_id in the dataset's config."
    )


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= SMALLEST_P_SAID else f"p < {SMALLEST_P_SAID:.0e}"


def _name(record: FinishedRun) -> str:
    """The row's name; a trial of a search says what it varies."""
    return f"{record.display_name}@{record.variant}" if record.role == "trial" else record.display_name
