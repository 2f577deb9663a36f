"""Two rows on one dataset, paired by test row and counted by seed, and what may be said of them in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.analysis.statistics.inference import Difference, Inference
from fuxi_plugins.records.metrics import Metric, find_metric

SMALLEST_P_SAID = 1e-6  # nothing here is so nearly normal that smaller ones would mean something


@dataclass(frozen=True)
class Comparison:
    """A less B, in one metric."""

    dataset: str
    metric: str
    a: str
    b: str
    means: tuple[float, float]
    seeds: tuple[int, int]
    difference: Difference
    seeds_won: int  # of the seeds that both have
    seeds_shared: int
    units: str  # what the sampling error is of: "test rows", "clusters of test rows", or "" where it is not known
    board: str = ""  # the board whose rows inform these two of the noise between seeds; "": nobody does
    pairs: int = 1  # of rows that are compared there, for all of which the p value is adjusted
    caveats: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The verdict."""
        if self.difference.adjusted_p is None:
            return "not compared with"
        if not self.difference.significant:
            return "not significantly different from"
        better = (self.difference.effect > 0) == find_metric(self.metric).higher_is_better
        return f"significantly {'better' if better else 'worse'} than"

    @property
    def sentence(self) -> str:
        metric = find_metric(self.metric)
        won = f"{self.seeds_won} of {self.seeds_shared} shared seeds won"
        said = [*self._said_of_p(metric), won]
        return (
            f"On {self.dataset}, {self.a} is {self.words} {self.b}: "
            f"{metric.show_difference(self.difference.effect)} test {metric.compared_name} ({'; '.join(said)})."
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
    a: Mapping[int, float],
    b: Mapping[int, float],
    names: tuple[str, str],
    shown: tuple[str, str],
    inference: Inference,
    *,
    dataset: str,
    metric: str,
    evidence: Evidence | None,
    board: str = "",
    caveats: tuple[str, ...] = (),
) -> Comparison:
    """What the inference about a set of rows says of two of them.

    Args:
        a, b: the metric by seed.
        names: of the two in the inference.
        shown: their names in the sentence.
        board: whose rows the inference is about, if of more than these two.
    """
    shared = sorted(a.keys() & b.keys())
    key = find_metric(metric).sort_key
    single = [name for name, values in zip(shown, (a, b), strict=True) if len(values) == 1]
    difference = inference.difference(*names)
    found = list(caveats)
    if evidence is None:
        found.append("The test labels were not at hand, so only the noise between seeds is counted.")
    elif not evidence.clusters and evidence.growth:
        found.append(clustering_warning(evidence))
    if single and difference.p is not None:
        found.append(f"One seed only, whose noise is taken to be as usual on {board}: {', '.join(single)}.")
    return Comparison(
        dataset=dataset,
        metric=metric,
        a=shown[0],
        b=shown[1],
        means=(sum(a.values()) / len(a), sum(b.values()) / len(b)),
        seeds=(len(a), len(b)),
        difference=difference,
        seeds_won=sum(key(a[seed]) < key(b[seed]) for seed in shared),
        seeds_shared=len(shared),
        units="" if evidence is None else "clusters of test rows" if evidence.clusters else "test rows",
        board=board,
        pairs=inference.compared if board else 1,
        caveats=tuple(found),
    )


def compare_on_board(board: Leaderboard, stem: str, a: Row, b: Row) -> Comparison | None:
    """Two rows of a board by the board's own inference; None where one has no finished run."""
    if board.inference is None or not (a.rank and b.rank):
        return None
    return compare(
        a.test[board.rank_by].by_seed,
        b.test[board.rank_by].by_seed,
        (a.experiment, b.experiment),
        (a.preset, b.preset),
        board.inference,
        dataset=board.dataset,
        metric=board.rank_by,
        evidence=board.evidence,
        board=stem if len(board.inference.names) > 2 else "",
    )


def clustering_warning(evidence: Evidence) -> str:
    """That rows count as independent although values of a column repeat, and what difference that makes."""
    columns = ", ".join(f"{name} ({ratio:g} times)" for name, ratio in list(evidence.growth.items())[:3])
    return (
        f"Test rows count as independent, but values of these columns repeat, and clustered by one of them the "
        f"standard error would grow: {columns}. If rows of one value are not independent, name the column as the "
        "dataset's cluster_id."
    )


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= SMALLEST_P_SAID else f"p < {SMALLEST_P_SAID:.0e}"
