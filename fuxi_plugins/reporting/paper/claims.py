"""The paper's four claims, each on every dataset in one line: RankElastor beside RankMixer."""

import math
import statistics
from collections.abc import Iterator, Sequence

from fuxi_plugins.analysis.statistics.inference import infer
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.numbers import Effect, PowerLaw, auc, auc_effect, effect_of, fit_power_law
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.tables import Table

VARIANTS = ("RankElastor", "RankMixer")
MORE_COST = 1.15  # that RankElastor may take of RankMixer's, by the paper's "10-15%"
EXPLAINED = (
    "A line is one claim on one dataset. Square brackets are 95% intervals.",
    "more test AUC: a claim is decided where the suite's board finds the difference significant. The board counts the "
    "sampling of test rows and the noise between seeds, with Holm's procedure over all pairs of variants.",
    "less collapse of rank: the entropy rank of a row's tokens, divided by that of independent normal numbers, at the "
    "stage where it is lowest after the first mixing. A share near 100% means no collapse. A difference that the "
    "untrained models already have is no effect of training.",
    "better with size: the exponent b in test logloss = c N^b, where N is the number of dense parameters. Below 0, "
    "larger models are better.",
    "little cost: operations per row and rows trained per second, which the paper puts 10 to 15% above RankMixer's. "
    "It is judged only where 'fuxibench cost' timed both models several times on one machine.",
)


def at_a_glance(studies: Sequence[Study]) -> Table:
    """Claim by claim, dataset by dataset; studies without both models say nothing here."""
    both = [study for study in studies if all(_runs(study, variant) for variant in VARIANTS)]
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
        effect = auc_effect(study, *VARIANTS) if study.suite == "paper_main" else None
        if effect:
            means = (f"{statistics.fmean(map(auc, study.records[variant])):.5f}" for variant in VARIANTS)
            yield ["more test AUC", _where(study), *means, str(effect), verdict(effect)]


def _less_collapse(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        probed = study.probed()
        if study.suite == "paper_rank" and set(VARIANTS) <= set(probed):
            runs = {variant: probed[variant] for variant in VARIANTS}
            effect = effect_of(runs, lowest_share, *VARIANTS)
            before = effect_of(runs, lambda record: lowest_share(record, "untrained"), *VARIANTS)
            means = (f"{statistics.fmean(map(lowest_share, records)):.1%}" for records in runs.values())
            difference = f"{effect:+.1%}, of which {before.mean:+.1%} untrained"
            yield ["less collapse of rank", _where(study), *means, difference, verdict(effect)]


def _scaling(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite.startswith("paper_scaling"):
            ours, theirs = (_fit(study, variant) for variant in VARIANTS)
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
        return "undecided (interval contains 0)"
    return "holds" if fit.high < 0 else "does not hold"


def _little_cost(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite == "paper_efficiency":
            yield ["little cost", _where(study), *_cost(study)]


def _cost(study: Study) -> list[str]:
    """Operations a row of both, how much more RankElastor takes, and whether that is little."""
    costs = [[record.cost for record in _runs(study, variant) if record.cost] for variant in VARIANTS]
    if not all(costs) or len({cost.hardware for listed in costs for cost in listed}) > 1:
        return ["–", "–", "–", "not measured"]
    ours, theirs = (listed[0].flops_per_row for listed in costs)
    shown = [
        f"{ours / 1e3:,.0f} kFLOP per row",
        f"{theirs / 1e3:,.0f} kFLOP per row",
        f"{ours / theirs - 1:+.0%} operations",
    ]
    # Records of several seeds share one measurement: only different ones are timings of their own.
    times = [sorted({-math.log(cost.training_rows_per_second) for cost in listed}) for listed in costs]
    if min(map(len, times)) < 2:
        return [*shown, "not measured (one timing)"]
    timed = infer(
        {variant: dict(enumerate(listed)) for variant, listed in zip(VARIANTS, times, strict=True)}
    ).difference(*VARIANTS)
    assert timed.interval is not None
    low, high = math.exp(timed.interval.low), math.exp(timed.interval.high)
    shown[-1] += f", {math.exp(timed.effect) - 1:+.0%} time [{low - 1:+.0%}, {high - 1:+.0%}]"
    if max(ours / theirs, high) <= MORE_COST:
        return [*shown, "holds"]
    return [*shown, "does not hold" if low > MORE_COST else "undecided (interval contains 15%)"]


def _runs(study: Study, variant: str) -> list[FinishedRun]:
    """Of a variant, at whatever size."""
    return [
        r for display_name, records in study.records.items() if display_name.split(" ")[0] == variant for r in records
    ]


def _fit(study: Study, variant: str) -> PowerLaw | None:
    runs = _runs(study, variant)
    return fit_power_law([r.parameters.dense for r in runs], [r.metrics["test"]["logloss"] for r in runs])


def _where(study: Study) -> str:
    return f"{study.dataset}, {study.protocol}, {study.seeds}"
