"""The page of published values: what it says in words is what its tables say."""

import re

import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.literature import Fact, Literature, Source, load_literature
from fuxi_plugins.analysis.literature_splits import literature_splits
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.reporting.literature import overall_sentence, render_literature, split_sentence
from tests.conftest import ROOT

PAPER = Source("arXiv:1", "paper", "New Net", 2024, "https://arxiv.org/abs/1", "the full text", frozenset({"New"}))
BARS = Source("BARS", "benchmark", "A benchmark", 2022, "https://github.com/reczoo/BARS", "the repository")
RERUN = Source("a/b", "reproduction", "A | rerun", None, "https://github.com/a/b", "the repository")
SHORT = Source("a/c", "reproduction", "One epoch", None, "https://github.com/a/c", "the repository", trained_out=False)


def literature(values, dataset="Toy"):
    facts = [Fact(dataset, model, "AUC", value, source, "table 1") for source, model, value in values]
    return Literature((PAPER, BARS, RERUN, SHORT), tuple(facts))


TABLE = [(PAPER, "New", "0.8149"), (PAPER, "Old", "81.42%"), (PAPER, "DNN", "0.8100")]
OTHERS = [(BARS, "Old", "0.8140"), (RERUN, "Old", "0.813500"), (RERUN, "New", "0.8147"), (SHORT, "Old", "0.79")]


def sentence(values, dataset="Toy"):
    (split,) = literature_splits(literature(values, dataset).facts, "AUC")
    return split_sentence(split)


def test_the_sentence_of_a_split():
    assert sentence(TABLE + OTHERS) == (
        "On Toy, 3 sources give values of Old that span 0.00070, from 0.813500 (a/b) to 0.8142 (arXiv:1). The one "
        "reported gain is +0.00070. It is no larger than the span."
    )
    larger = [(PAPER, "New", "0.8150"), *TABLE[1:], *OTHERS, (BARS, "DNN", "0.8101")]
    assert sentence(larger).endswith(
        "The median span of the 2 baselines of two sources or more is 0.00040. The one reported gain is +0.00080. "
        "It is larger than the median span."
    )


def test_the_sentence_of_a_split_with_spans_alone_or_gains_alone():
    assert sentence(TABLE) == "The one reported gain on Toy is +0.00070."
    assert (
        sentence(OTHERS)
        == "On Toy, 2 sources give values of Old that span 0.00050, from 0.813500 (a/b) to 0.8140 (BARS)."
    )


def test_the_sentence_counts_the_small_gains():
    other = Source("arXiv:2", "paper", "Newer", 2025, "https://arxiv.org/abs/2", "the full text", frozenset({"Newer"}))
    more = [(other, "Newer", "0.8160"), (other, "FM", "0.80"), (other, "LR", "0.79")]
    assert sentence([*TABLE, *OTHERS, *more]).endswith(
        "The median of 2 reported gains is +0.00835. 1 of them is no larger than the span."
    )
    worse = [(other, "Newer", "0.7990"), *more[1:]]
    assert sentence([*TABLE, *OTHERS, *worse]).endswith(
        "The median of 2 reported gains is -0.00015. All of them are no larger than the span."
    )


def test_the_overall_sentence_counts_splits_that_have_both():
    both = literature_splits([*literature(TABLE + OTHERS).facts, *literature(TABLE, "Other").facts], "AUC")
    assert overall_sentence(both) == (
        "Named splits that have both: 1. There 1 of 1 reported gains are no larger than the median span of the "
        "baselines."
    )
    assert overall_sentence(both[:1]) == "No named split has both a baseline of two sources and a reported gain."


def test_the_page_by_hand():
    page = render_literature(literature(TABLE + OTHERS), "AUC")
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "| Old | 3 | 0.00070 | 0.8142 (1) | 0.8140 (2) | 0.813500 (3) | – |" in lines
    assert "| New | 1 | – | – | – | 0.8147 (3) | 0.8149 (1) |" in lines
    assert "| arXiv:1 (1) | New | 0.8149 | Old | 0.8142 | 2 | +0.00070 |" in lines
    assert "| training was cut short | 4 | Toy | Old 0.79 |" in lines
    assert r"| 3 | a/b | reproduction | A \| rerun | – | https://github.com/a/b | the repository |" in lines
    assert not any(line.startswith("| DNN") for line in lines), "one source alone is no span"


def test_a_split_of_its_own_is_in_no_count_of_named_splits():
    page = render_literature(literature(TABLE + OTHERS, "Toy (own split)"), "AUC")
    assert "No named split has both" in page
    assert "On Toy (own split), 3 sources" in page


def test_a_metric_that_no_source_gives_is_one_clear_error():
    with pytest.raises(UserError, match="no source gives a value in NE; those there are: AUC"):
        render_literature(literature(TABLE), "NE")


@pytest.mark.parametrize("metric", ["AUC", "gAUC", "logloss"])
def test_numbers_in_brackets_are_sources_of_the_list(metric):
    shipped = load_literature(ROOT / "results")
    page = render_literature(shipped, metric)
    for value, number in re.findall(r"(0\.\d+) \((\d+)\)", page):
        source = shipped.sources[int(number) - 1]
        assert value in {fact.shown for fact in shipped.facts if fact.source == source and fact.metric == metric}


def test_the_command_writes_the_page(tmp_path):
    """With the shipped values, where a workspace has none of its own."""
    done = CliRunner().invoke(main, ["--results", str(tmp_path), "report", "literature", "--metric", "gAUC"])
    assert done.exit_code == 0, done.output
    written = tmp_path / "ledger" / "literature-gAUC.md"
    assert written.read_text() in done.output
    assert "`fuxibench report literature --metric gAUC` makes this page" in written.read_text()


def test_the_figures_in_the_docs_are_the_pages():
    shipped = load_literature(ROOT / "results")
    docs = " ".join((ROOT / "docs" / "publishing.md").read_text().split())
    splits = {split.dataset: split for split in literature_splits(shipped.facts, "AUC")}
    criteo, named = splits["Criteo_x1"], [split for split in splits.values() if split.is_named]
    span = criteo.most_given
    assert (span.model, len(span.baselines), len(criteo.gains), criteo.median_gain) == ("DCNv2", 5, 3, 0.0005)
    low, high = span.baselines[0].shown, span.baselines[-1].shown
    assert (
        f"five sources give DCNv2 an AUC from {low} to {high}, a span of {span.width}. The median of the three" in docs
    )
    assert overall_sentence(named).startswith("Named splits that have both: 9. There 18 of 22 ")
    assert "On the nine named splits with both spans and gains, 18 of 22 gains" in docs
    repeated = {
        source: [fact.is_repeated for fact in shipped.facts if fact.source.title.startswith(source) and not fact.is_own]
        for source in ("FINAL:", "FinalMLP:")
    }
    assert [(sum(found), len(found)) for found in repeated.values()] == [(28, 28), (17, 24)]
    assert "All 28 in the tables of FINAL and 17 of the 24 in those of FinalMLP" in docs
