"""How far published values of one model on one split are apart, and what papers report to gain there."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fuxi_plugins.analysis.literature import OWN_SPLIT, Fact
from fuxi_plugins.analysis.published import VALID_IS_TEST
from fuxi_plugins.records.metrics import find_metric

TABLE_BASELINES = 2  # a table with fewer has no best one to gain on
_DECIMALS = 9  # of a difference: 0.8149 - 0.8142 is 0.0007, which binary fractions miss


@dataclass(frozen=True)
class Span:
    """What sources give for one model; facts go from the lowest value to the highest."""

    model: str
    baselines: tuple[Fact, ...]  # one a source
    own: tuple[Fact, ...]  # by who proposes the model

    @property
    def width(self) -> float:
        """The highest baseline less the lowest."""
        return round(self.baselines[-1].value - self.baselines[0].value, _DECIMALS)

    @property
    def sources(self) -> int:
        return len(self.baselines) + len(self.own)


@dataclass(frozen=True)
class Gain:
    """A paper's own best model against the best baseline of the paper's table."""

    own: Fact
    baseline: Fact
    baselines: int

    @property
    def value(self) -> float:
        """Positive where the own model is better, whether the metric's best value is high or low."""
        key = find_metric(self.own.metric).sort_key
        return round(key(self.baseline.value) - key(self.own.value), _DECIMALS)


@dataclass(frozen=True)
class Split:
    """What is published on one split, in one metric."""

    dataset: str
    metric: str
    spans: tuple[Span, ...]  # one a model, by name
    gains: tuple[Gain, ...]  # one a paper, by source

    @property
    def is_named(self) -> bool:
        """Its sources used the same rows."""
        return not self.dataset.endswith(OWN_SPLIT)

    @property
    def valid_is_test(self) -> bool:
        return self.dataset in VALID_IS_TEST

    @property
    def compared(self) -> tuple[Span, ...]:
        """The spans of models that two sources or more give as a baseline."""
        return tuple(span for span in self.spans if len(span.baselines) > 1)

    @property
    def most_given(self) -> Span | None:
        """The baseline of most sources; of several the first by name."""
        return min(self.compared, key=lambda span: -len(span.baselines), default=None)

    @property
    def median_width(self) -> float | None:
        return _median(span.width for span in self.compared)

    @property
    def median_gain(self) -> float | None:
        return _median(gain.value for gain in self.gains)

    @property
    def small_gains(self) -> tuple[Gain, ...]:
        """The gains that are no larger than the median width."""
        width = self.median_width
        return () if width is None else tuple(gain for gain in self.gains if gain.value <= width)


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(statistics.median(listed), _DECIMALS) if listed else None


def literature_splits(facts: Iterable[Fact], metric: str) -> list[Split]:
    """Every split with values in the metric: the named ones first, each kind in the order of their names."""
    by_dataset = defaultdict(list)
    for fact in facts:
        if fact.metric == metric:
            by_dataset[fact.dataset].append(fact)
    found = [Split(name, metric, _spans(listed), _gains(listed)) for name, listed in by_dataset.items()]
    return sorted(found, key=lambda split: (not split.is_named, split.dataset))


def _spans(facts: Iterable[Fact]) -> tuple[Span, ...]:
    by_model = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: (fact.value, fact.source.id)):
        by_model[fact.model].append(fact)
    return tuple(
        Span(
            model,
            baselines=tuple(fact for fact in by_model[model] if fact.is_baseline),
            own=tuple(fact for fact in by_model[model] if fact.is_own),
        )
        for model in sorted(by_model, key=str.casefold)
    )


def _gains(facts: Iterable[Fact]) -> tuple[Gain, ...]:
    """The gains of papers that show a model of their own beside baselines; repeated values are baselines too."""
    by_source = defaultdict(list)
    for fact in facts:
        if fact.source.kind == "paper":
            by_source[fact.source.id].append(fact)
    gains = []
    for _, listed in sorted(by_source.items()):
        best_first = sorted(listed, key=lambda fact: (find_metric(fact.metric).sort_key(fact.value), fact.model))
        own = [fact for fact in best_first if fact.is_own]
        others = [fact for fact in best_first if not fact.is_own]
        if own and len(others) >= TABLE_BASELINES:
            gains.append(Gain(own[0], others[0], len(others)))
    return tuple(gains)
