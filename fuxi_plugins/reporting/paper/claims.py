"""The paper's claims, each on every dataset: holds, does not hold, or undecided and what would decide it."""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.numbers import Effect, auc, effect_against_zero, effect_of, planned_auc_effects
from fuxi_plugins.reporting.paper.scaling import Scaling
from fuxi_plugins.reporting.paper.study import Study

OURS, OTHER = "RankElastor", "RankMixer"
# What each part of the block must be better than: the same block with another part in its place.
PARTS = {
    "full mixing helps": ("RankMixer+GLU", "NoMixing+GLU"),
    "GLU helps": ("RankElastor-GELU", "RankElastor-ReLU"),
}
MORE_COST = 1.15  # that RankElastor may take of RankMixer's, by the paper's "10-15%"
SHARE_OF_INTEREST = 0.01  # the smallest difference of interest in a share of the rank of random numbers
# Both parts of the noise are estimates. With few seeds that of the test rows may come out at 0, which it never is.
OF_SEEDS_ALONE = "the noise of test rows came out at 0, so take the verdict with care,"
ONE_SEED = "one seed: how much seeds differ is not known"


@dataclass(frozen=True)
class Verdict:
    """
    Args:
        word: ``holds``, ``does not hold``, ``undecided`` or ``not measured``.
        why: what is missing, and what would decide it.
        power: the smallest difference that the runs at hand show with a power of 80%, in words; "" where that is not
            the question.
    """

    word: str
    why: str = ""
    power: str = ""

    def __str__(self) -> str:
        return f"{self.word} ({self.why})" if self.why else self.word

    @property
    def has_noise(self) -> bool:
        """Whether it weighs a difference against its noise, which takes more than one seed or timing."""
        return self.word != "not measured" and self.why != ONE_SEED


@dataclass(frozen=True)
class Claim:
    """A claim on one dataset under one protocol.

    Args:
        name: of the claim, the same on all datasets.
        study: whose runs decide it.
        ours, others: values of RankElastor and of what it is compared with.
        difference: with its 95% interval.
    """

    name: str
    study: Study
    ours: str
    others: str
    difference: str
    verdict: Verdict


def judge(effect: Effect, digits: str = ".2g", quantity: str = "difference") -> Verdict:
    """Whether a claim of "more" holds.

    Args:
        effect: what is more.
        digits: the format of its numbers.
        quantity: what it is called.
    """
    if not effect.known:
        return Verdict("undecided", ONE_SEED)
    if effect.significant:
        return Verdict("holds" if effect.mean > 0 else "does not hold")
    if effect.needed is None:
        return Verdict("undecided", "all seeds gave the same value")
    why = effect.needed.phrase(effect.test_rows, quantity=quantity, digits=digits)
    return Verdict("undecided", why, f"{effect.needed.shown:{digits}}")


def judge_all(effects: Mapping[str, Effect]) -> Verdict:
    """Whether a claim of "more than each of these" holds.

    It holds if every difference is significant, and does not hold if one is significant the other way.
    """
    worse = [name for name, effect in effects.items() if effect.significant and effect.mean < 0]
    if worse:
        fragile = [name for name in worse if effects[name].of_seeds_alone]
        doubt = f"; {OF_SEEDS_ALONE} against {', '.join(fragile)}" if fragile else ""
        return Verdict("does not hold", f"significantly worse than {', '.join(worse)}{doubt}")
    open_ones = {name: effect for name, effect in effects.items() if not effect.significant}
    if not open_ones:
        return Verdict("holds")
    if any(not effect.known for effect in open_ones.values()):
        return Verdict("undecided", ONE_SEED)
    hardest = max(open_ones, key=lambda name: _effort(open_ones[name]))
    found = judge(open_ones[hardest])
    against = f"not significant against {', '.join(open_ones)}"
    if len(open_ones) == 1:
        return Verdict("undecided", f"{against}; {found.why}", found.power)
    return Verdict("undecided", f"{against}; for {hardest} {found.why}", f"{found.power} ({hardest})")


def claims(studies: Sequence[Study]) -> list[Claim]:
    """Claim by claim, dataset by dataset; studies without the runs that a claim compares say nothing of it."""
    both = [study for study in studies if all(_runs(study, variant) for variant in (OURS, OTHER))]
    of_parts = (claim for name in PARTS for claim in _part_helps(both, name))
    return [*_more_auc(both), *of_parts, *_less_collapse(both), *_scaling(both), *_little_cost(both)]


def lowest_share(record: FinishedRun, moment: str = "trained") -> float:
    """The lowest entropy rank of a row's tokens from the first mixing on, over that of normal numbers."""
    named = record.ranks.row_families.items()
    families = [family for name, family in named if name.partition("_")[0] in ("mixing", "ffn")]
    return min(getattr(family, moment)["entropy"] / family.gaussian["entropy"] for family in families)


def _more_auc(studies: Sequence[Study]) -> Iterator[Claim]:
    for study in studies:
        if study.suite == "paper_main":
            baselines = [variant for variant in study.records if variant != OURS]
            yield _better_auc("better AUC than the baselines", study, baselines)


def _part_helps(studies: Sequence[Study], name: str) -> Iterator[Claim]:
    for study in studies:
        others = [variant for variant in PARTS[name] if variant in study.records]
        if study.suite == "paper_ablation" and others:
            yield _better_auc(name, study, others)


def _better_auc(name: str, study: Study, others: Sequence[str]) -> Claim:
    """The difference shown is that from the best of the others."""
    means = {variant: statistics.fmean(map(auc, study.records[variant])) for variant in (OURS, *others)}
    effects = planned_auc_effects(study, OURS, others)
    best = max(others, key=lambda variant: means[variant])
    shown = f"{best} {means[best]:.5f}"
    return Claim(name, study, f"{means[OURS]:.5f}", shown, str(effects[best]), judge_all(effects))


def _less_collapse(studies: Sequence[Study]) -> Iterator[Claim]:
    """Of the trained models, and of what training alone has changed."""
    for study in studies:
        probed = study.probed()
        if study.suite == "paper_rank" and {OURS, OTHER} <= set(probed):
            runs = {variant: probed[variant] for variant in (OURS, OTHER)}
            for name, measure in (("less collapse of rank", lowest_share), ("less collapse by training", _by_training)):
                effect = effect_of(runs, measure, OURS, OTHER, SHARE_OF_INTEREST)
                means = [f"{statistics.fmean(map(measure, records)):.1%}" for records in runs.values()]
                yield Claim(name, study, means[0], f"{OTHER} {means[1]}", f"{effect:+.1%}", judge(effect, ".1%"))


def _by_training(record: FinishedRun) -> float:
    return lowest_share(record) - lowest_share(record, "untrained")


def _scaling(studies: Sequence[Study]) -> Iterator[Claim]:
    for way, study in itertools.product(("depth", "width", "joint"), studies):
        if study.suite == f"paper_scaling_{way}":
            scaling = Scaling(
                study, {name: _variant(name) for name in study.records if _variant(name) in (OURS, OTHER)}
            )
            ours, others = scaling.weights(OURS), scaling.weights(OTHER)
            if ours is not None and others is not None:
                shown, beside, apart = (f"{scaling.exponent(w):+.4f}" for w in (ours, others, ours - others))
                verdict = judge(scaling.exponent(-ours), quantity="exponent")
                yield Claim(f"better with size ({way})", study, shown, f"{OTHER} {beside}", apart, verdict)


def _little_cost(studies: Sequence[Study]) -> Iterator[Claim]:
    for study in studies:
        if study.suite == "paper_efficiency":
            yield Claim("little cost", study, *_cost(study))


def _cost(study: Study) -> tuple[str, str, str, Verdict]:
    """Operations a row of both, how much more RankElastor takes, and whether that is little."""
    costs = [[record.cost for record in _runs(study, variant) if record.cost] for variant in (OURS, OTHER)]
    if not all(costs):
        return "–", "–", "–", Verdict("not measured")
    ours, theirs = (listed[0].flops_per_row for listed in costs)
    shown = f"{ours / 1e3:,.0f} kFLOP per row", f"{OTHER} {theirs / 1e3:,.0f} kFLOP per row"
    difference = f"{ours / theirs - 1:+.0%} operations"
    if len({cost.hardware for listed in costs for cost in listed}) > 1:
        return *shown, difference, Verdict("not measured", "timed on different machines")
    # A machine's speed changes by the minute, so only times of one turn are compared. Records may share a measurement.
    ours_timed, theirs_timed = ({cost.turn: cost.training_rows_per_second for cost in listed} for listed in costs)
    turns = sorted(turn for turn in ours_timed.keys() & theirs_timed.keys() if turn)
    if len(turns) < 2:
        return *shown, difference, Verdict("not measured", "timed once" if turns else "not timed in turns")
    slower = {place: math.log(theirs_timed[turn] / ours_timed[turn]) for place, turn in enumerate(turns)}
    timed = effect_against_zero(slower, math.log(MORE_COST)).difference
    assert timed.interval is not None
    low, high = math.exp(timed.interval.low), math.exp(timed.interval.high)
    difference += f", {math.exp(timed.effect) - 1:+.0%} time [{low - 1:+.0%}, {high - 1:+.0%}]"
    if max(ours / theirs, high) <= MORE_COST:
        return *shown, difference, Verdict("holds")
    if low > MORE_COST:
        return *shown, difference, Verdict("does not hold")
    return *shown, difference, Verdict("undecided", "the interval contains 15%: more timings are needed")


def _effort(effect: Effect) -> tuple[float, float]:
    """By which open differences are ordered: seeds needed, then test rows."""
    return (effect.needed.seeds, effect.needed.rows) if effect.needed else (0, 0)


def _runs(study: Study, variant: str) -> list[FinishedRun]:
    """Of a variant, at whatever size."""
    return [record for name, records in study.records.items() if _variant(name) == variant for record in records]


def _variant(display_name: str) -> str:
    """Without the size that a row's name may end with."""
    return display_name.split(" ")[0]
