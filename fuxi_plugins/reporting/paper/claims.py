"""The paper's four claims, each on every dataset in one line: RankElastor beside RankMixer."""

import math
import statistics
from collections.abc import Iterator, Sequence

from fuxi_plugins.analysis.statistics.inference import infer
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.numbers import Effect, PowerLaw, auc, auc_effect, effect_of, fit_power_law
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.tables import Table

ARMS = ("RankElastor", "RankMixer")
MORE_COST = 1.15  # that RankElastor may take of RankMixer's, by the paper's "10-15%"
EXPLAINED = (
    "One line for every dataset on which the suites have run. A claim about AUC holds, or does not, where the suite's "
    "board finds the difference significant (sampling of test rows and noise between seeds, Holm's procedure over all "
    "pairs of arms); the interval is that of this one comparison. Rank: the lowest that the entropy rank of a row's "
    "tokens falls from the first mixing on, as a share of what independent normal numbers have, with the noise "
    "between seeds; a share near 100% is no collapse, and what the untrained models differ by, training did not bring. "
    "Scaling: the exponent b of test logloss = c N^b in dense parameters N, below 0 where larger is better. Cost: "
    "operations a row and rows trained a second, which the paper puts 10 to 15% above RankMixer's. It is judged where "
    "both models were timed several times on one machine ('fuxibench cost'), not by the seconds that runs took."
)


def at_a_glance(studies: Sequence[Study]) -> Table:
    """Claim by claim, dataset by dataset; studies without both models say nothing here."""
    both = [study for study in studies if all(_runs(study, arm) for arm in ARMS)]
    lines = [*_more_auc(both), *_less_collapse(both), *_scaling(both), *_little_cost(both)]
    return Table(["claim", "data", "RankElastor", "RankMixer", "difference [95%]", "verdict"], lines)


def verdict(effect: Effect) -> str:
    """Whether a claim of "more" holds."""
    if not effect.known:
        return "undecided (too few seeds)"
    if not effect.significant:
        return "undecided (not significant)"
    return "holds" if effect.mean > 0 else "does not hold"


def lowest_share(record: FinishedRun, moment: str = "trained") -> float:
    """The lowest entropy rank of a row's tokens from the first mixing on, over that of normal numbers."""
    named = record.ranks.row_families.items()
    families = [family for name, family in named if name.partition("_")[0] in ("mixing", "ffn")]
    return min(getattr(family, moment)["entropy"] / family.gaussian["entropy"] for family in families)


def _more_auc(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        effect = auc_effect(study, *ARMS) if study.suite == "paper_main" else None
        if effect:
            means = (f"{statistics.fmean(map(auc, study.records[arm])):.5f}" for arm in ARMS)
            yield ["more test AUC", _where(study), *means, str(effect), verdict(effect)]


def _less_collapse(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        probed = study.probed()
        if study.suite == "paper_rank" and set(ARMS) <= set(probed):
            runs = {arm: probed[arm] for arm in ARMS}
            effect = effect_of(runs, lowest_share, *ARMS)
            before = effect_of(runs, lambda record: lowest_share(record, "untrained"), *ARMS)
            means = (f"{statistics.fmean(map(lowest_share, records)):.1%}" for records in runs.values())
            difference = f"{effect:+.1%}, of which {before.mean:+.1%} untrained"
            yield ["less collapse of rank", _where(study), *means, difference, verdict(effect)]


def _scaling(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite.startswith("paper_scaling"):
            ours, theirs = (_fit(study, arm) for arm in ARMS)
            if ours and theirs:
                shown = (f"{fit.exponent:+.4f} [{fit.low:+.4f}, {fit.high:+.4f}]" for fit in (ours, theirs))
                several = all(len(records) > 1 for records in study.records.values())
                said = _falls(ours) if several else "undecided (too few seeds)"
                how = study.suite.removeprefix("paper_scaling_")
                difference = f"{ours.exponent - theirs.exponent:+.4f}"
                yield [f"better with size ({how})", _where(study), *shown, difference, said]


def _falls(fit: PowerLaw) -> str:
    """Whether logloss falls with size, by the interval of the exponent."""
    if fit.low is None or fit.high is None or fit.low <= 0 <= fit.high:
        return "undecided (interval holds 0)"
    return "holds" if fit.high < 0 else "does not hold"


def _little_cost(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite == "paper_efficiency":
            yield ["little cost", _where(study), *_cost(study)]


def _cost(study: Study) -> list[str]:
    """Operations a row of both, how much more RankElastor takes, and whether that is little."""
    costs = [[record.cost for record in _runs(study, arm) if record.cost] for arm in ARMS]
    if not all(costs) or len({cost.hardware for listed in costs for cost in listed}) > 1:
        return ["–", "–", "–", "not measured"]
    ours, theirs = (listed[0].flops_per_row for listed in costs)
    shown = [
        f"{ours / 1e3:,.0f} kFLOP a row",
        f"{theirs / 1e3:,.0f} kFLOP a row",
        f"{ours / theirs - 1:+.0%} operations",
    ]
    # Records of several seeds share one measurement: only different ones are timings of their own.
    times = [sorted({-math.log(cost.training_rows_per_second) for cost in listed}) for listed in costs]
    if min(map(len, times)) < 2:
        return [*shown, "not measured (one timing)"]
    timed = infer({arm: dict(enumerate(listed)) for arm, listed in zip(ARMS, times, strict=True)}).difference(*ARMS)
    assert timed.interval is not None
    low, high = math.exp(timed.interval.low), math.exp(timed.interval.high)
    shown[-1] += f", {math.exp(timed.effect) - 1:+.0%} time [{low - 1:+.0%}, {high - 1:+.0%}]"
    if max(ours / theirs, high) <= MORE_COST:
        return [*shown, "holds"]
    return [*shown, "does not hold" if low > MORE_COST else "undecided (interval holds 15%)"]


def _runs(study: Study, arm: str) -> list[FinishedRun]:
    """Of an arm, at whatever size."""
    return [r for preset, records in study.records.items() if preset.split(" ")[0] == arm for r in records]


def _fit(study: Study, arm: str) -> PowerLaw | None:
    runs = _runs(study, arm)
    return fit_power_law([r.parameters.dense for r in runs], [r.metrics["test"]["logloss"] for r in runs])


def _where(study: Study) -> str:
    return f"{study.dataset}, {study.profile}, {study.seeds}"
