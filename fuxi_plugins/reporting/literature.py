"""The page of published values: per split how far sources are apart on one model, and what papers report to gain."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from fuxi_plugins.analysis.literature import FACTS_FILE, KINDS, SOURCES_FILE, Fact, Literature, Source
from fuxi_plugins.analysis.literature_splits import TABLE_BASELINES, Gain, Span, Split, literature_splits
from fuxi_plugins.analysis.published import PUBLISHED_FILE
from fuxi_plugins.core.cleaning import markdown
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Metric, find_metric, main_metric


def render_literature(literature: Literature, metric_name: str) -> str:
    """The page in Markdown.

    Raises:
        UserError: no source gives a value in the metric.
    """
    metric = find_metric(metric_name)
    splits = literature_splits(literature.facts, metric_name)
    if not splits:
        known = sorted({fact.metric for fact in literature.facts})
        raise UserError(f"no source gives a value in {metric_name}; those there are: {', '.join(known) or 'none'}.")
    shown = [split for split in splits if split.compared or split.gains]
    number = {source.id: place for place, source in enumerate(literature.sources, 1)}
    parts = [f"# Published values of the same models, test {metric_name}", *_introduction(metric)]
    parts += [_table(["split", "baselines", "median span", "reported gains", "median gain", "not above median span"],
                     [_summary_row(split, metric) for split in shown])]  # fmt: skip
    parts += [overall_sentence([split for split in shown if split.is_named])]
    for split in shown:
        parts += _section(split, metric, number)
    if alone := [split.dataset for split in splits if split not in shown]:
        parts += [f"No baseline has two sources, and no paper reports a gain, on {', '.join(alone)}."]
    parts += _left_out([fact for fact in literature.facts if fact.metric == metric_name], number)
    parts += ["## Sources", _source_table(literature.sources)]
    return "\n\n".join(parts) + "\n"


def split_sentence(split: Split) -> str:
    """What the sources of a split say, in numbers."""
    metric = find_metric(split.metric)
    said = []
    span = split.most_given
    if span:
        low, high = span.baselines[0], span.baselines[-1]
        said += [
            f"On {split.dataset}, {len(span.baselines)} sources give values of {span.model} that span "
            f"{metric.show(span.width)}, from {low.shown} ({low.source.id}) to {high.shown} ({high.source.id})."
        ]
        if len(split.compared) > 1:
            said += [
                f"The median span of the {len(split.compared)} baselines of two sources or more is "
                f"{metric.show(split.median_width or 0)}."
            ]
    if split.gains:
        where = "" if span else f" on {split.dataset}"
        if len(split.gains) == 1:
            said += [f"The one reported gain{where} is {metric.show_difference(split.gains[0].value)}."]
        else:
            gain = metric.show_difference(split.median_gain or 0)
            said += [f"The median of {len(split.gains)} reported gains{where} is {gain}."]
    if span and split.gains:
        said += [_comparison(split)]
    return " ".join(said)


def _comparison(split: Split) -> str:
    small, gains = len(split.small_gains), len(split.gains)
    which = "median span" if len(split.compared) > 1 else "span"
    if gains == 1:
        return f"It is {'no larger' if small else 'larger'} than the {which}."
    if small in (0, gains):
        return f"All of them are {'no larger' if small else 'larger'} than the {which}."
    return f"{small} of them {'is' if small == 1 else 'are'} no larger than the {which}."


def overall_sentence(splits: Sequence[Split]) -> str:
    """Over the splits that have both a span and a reported gain."""
    both = [split for split in splits if split.compared and split.gains]
    gains = sum(len(split.gains) for split in both)
    if not gains:
        return "No named split has both a baseline of two sources and a reported gain."
    small = sum(len(split.small_gains) for split in both)
    return (
        f"Named splits that have both: {len(both)}. There {small} of {gains} reported gains are no larger than the "
        "median span of the baselines."
    )


def _introduction(metric: Metric) -> list[str]:
    command = "fuxibench report literature" + ("" if metric.name == main_metric() else f" --metric {metric.name}")
    return [
        f"`{command}` makes this page from [{FACTS_FILE}](../published/{FACTS_FILE}), "
        f"[{SOURCES_FILE}](../published/{SOURCES_FILE}) and [{PUBLISHED_FILE}](../published/{PUBLISHED_FILE}): "
        f"values as their sources print them, with seeds and settings where the source says them.",
        "**Baselines** are models trained by others than their authors. A **span** is the highest value that sources "
        "give for one baseline less the lowest. It holds all in which the sources differ: tuning, embedding size, "
        "code, seeds and digits. A **reported gain** is a paper's own best model against the best of its baselines, "
        f"where its table has {TABLE_BASELINES} or more; it is positive where the own model is better. A gain is "
        "measured within one table, so a span does not refute it. But where a baseline moves as much between two "
        f"tables, the gain may as well be better training. {metric.name}: {metric.direction}.",
        "For splits marked *valid = test* BARS has no validation rows: early stopping has seen the test labels. On "
        "splits marked *own split*, the sources drew different rows, or do not say which, so a span there holds the "
        "data too. Values that a source repeats from another, or from a training that was cut short, are in no span. "
        "Numbers in brackets are those of the sources at the end.",
    ]


def _section(split: Split, metric: Metric, number: dict[str, int]) -> list[str]:
    parts = [f"## {_name(split)}", split_sentence(split)]
    if spans := [span for span in split.spans if span.sources > 1]:
        header = ["baseline", "sources", "span", *(f"{kind}s" for kind in KINDS), "its authors"]
        parts += [_table(header, [_span_row(span, metric, number) for span in spans])]
    if split.gains:
        header = ["paper", "own best", "value", "best baseline", "value", "of", "gain"]
        parts += [_table(header, [_gain_row(gain, metric, number) for gain in split.gains])]
    return [part for part in parts if part]


def _name(split: Split) -> str:
    return split.dataset + (" (valid = test)" if split.valid_is_test else "")


def _summary_row(split: Split, metric: Metric) -> list[str]:
    width, gain = split.median_width, split.median_gain
    return [
        _name(split),
        str(len(split.compared)),
        "–" if width is None else metric.show(width),
        str(len(split.gains)),
        "–" if gain is None else metric.show_difference(gain),
        "–" if width is None or gain is None else f"{len(split.small_gains)} of {len(split.gains)}",
    ]


def _span_row(span: Span, metric: Metric, number: dict[str, int]) -> list[str]:
    several = len(span.baselines) > 1
    of_kind = [[fact for fact in span.baselines if fact.source.kind == kind] for kind in KINDS]
    return [
        span.model,
        str(len(span.baselines)),
        metric.show(span.width) if several else "–",
        *(_values(facts, number) for facts in of_kind),
        _values(span.own, number),
    ]


def _values(facts: Iterable[Fact], number: dict[str, int]) -> str:
    return ", ".join(f"{fact.shown} ({number[fact.source.id]})" for fact in facts) or "–"


def _gain_row(gain: Gain, metric: Metric, number: dict[str, int]) -> list[str]:
    return [
        f"{gain.own.source.id} ({number[gain.own.source.id]})",
        gain.own.model,
        gain.own.shown,
        gain.baseline.model + (" (repeated)" if gain.baseline.is_repeated else ""),
        gain.baseline.shown,
        str(gain.baselines),
        metric.show_difference(gain.value),
    ]


def _left_out(facts: Sequence[Fact], number: dict[str, int]) -> list[str]:
    """What is in no span, and why: one row a source and split."""
    groups: dict[tuple[str, int, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.is_repeated or not fact.source.trained_out:
            why = "repeated from another source" if fact.is_repeated else "training was cut short"
            groups[why, number[fact.source.id], fact.dataset].append(fact)
    rows = [
        [why, str(source), dataset, ", ".join(sorted(f"{fact.model} {fact.shown}" for fact in listed))]
        for (why, source, dataset), listed in sorted(groups.items())
    ]
    return ["## Values in no span", _table(["why", "source", "split", "values"], rows)] if rows else []


def _source_table(sources: Iterable[Source]) -> str:
    rows = [
        [str(place), source.id, source.kind, source.title, str(source.year or "–"), source.url, source.read]
        for place, source in enumerate(sources, 1)
    ]
    return _table(["", "source", "kind", "title", "year", "where", "what was read"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[markdown(cell) for cell in row] for row in rows]
    return tabulate(cells, headers=header, tablefmt="pipe", disable_numparse=True)
