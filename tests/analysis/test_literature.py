"""Published values: the shipped files keep their promises, a wrong row is named, spans and gains are as worked out."""

import csv
import random
import statistics
from decimal import Decimal
from fractions import Fraction

import pytest

from fuxi_plugins.analysis.literature import FACTS_FILE, SOURCES_FILE, Fact, Source, load_literature
from fuxi_plugins.analysis.literature_splits import literature_splits
from fuxi_plugins.analysis.published import DATASET_NAMES, MODEL_NAMES
from fuxi_plugins.core.errors import UserError
from tests.conftest import ROOT, write

PUBLISHED = ROOT / "results" / "published"
SHIPPED = load_literature(ROOT / "results")
METRICS = ("AUC", "gAUC", "logloss")

SOURCES = """\
source,kind,title,year,url,read,proposes,quotes,trained_out
arXiv:1,paper,New Net,2024,https://arxiv.org/abs/1,the full text,New,Toy/Old,yes
arXiv:2,paper,Newer Net,2025,https://arxiv.org/abs/2,the full text,Newer;Newest,,yes
BARS leaderboard,benchmark,BARS,2022,https://github.com/reczoo/BARS,the repository,,,yes
rerun,reproduction,A rerun,,https://github.com/a/b,the repository,,,yes
short,reproduction,One epoch,,https://github.com/a/c,the repository,,,no
"""
FACTS = """\
dataset,model,metric,value,std,seeds,source,place,note
Toy,New,AUC,81.49%,,5,arXiv:1,table 2,
Toy,Old,AUC,81.42%,,,arXiv:1,table 2,
Toy,DNN,AUC,.8100,5.8E-4,,arXiv:1,table 2,
Toy,New,AUC,0.8140,,,arXiv:2,table 3,
Toy,Newer,AUC,0.8150,,,arXiv:2,table 3,
Toy,Newest,AUC,0.8147,,,arXiv:2,table 3,
Toy,Old,AUC,0.8138,,,arXiv:2,table 3,
Toy,Old,AUC,0.81445,,,rerun,README.md,
Toy,Old,AUC,0.79,,,short,README.md,
Toy (own split),Old,AUC,0.7,,,rerun,README.md,random 8:1:1
"""
RESULTS = """\
dataset,model,AUC,logloss,gAUC,source,config_ref
Toy,Old,0.8142,0.44,,BARS leaderboard (x),c
Toy,MLP,0.8105,,,BARS leaderboard (x),c
Toy,Old,0.9,,,BARS leaderboards of another kind,c
Avazu_x4,Old,0.79,,,BARS leaderboard (x),c
"""


def files(folder, sources=SOURCES, facts=FACTS, results=RESULTS):
    for name, text in ((SOURCES_FILE, sources), (FACTS_FILE, facts), ("published_results.csv", results)):
        write(folder / "published" / name, text)
    return folder


@pytest.fixture
def toy(tmp_path):
    return load_literature(files(tmp_path))


def split(literature, dataset="Toy", metric="AUC"):
    (found,) = (found for found in literature_splits(literature.facts, metric) if found.dataset == dataset)
    return found


def given(facts):
    return [(fact.shown, fact.source.id) for fact in facts]


def test_spans_by_hand(toy):
    spans = {span.model: span for span in split(toy).spans}
    assert given(spans["Old"].baselines) == [
        ("0.8138", "arXiv:2"),
        ("0.8142", "BARS leaderboard"),
        ("0.81445", "rerun"),
    ]
    assert spans["Old"].width == 0.00065
    assert given(spans["DNN"].baselines) == [("0.8100", "arXiv:1"), ("0.8105", "BARS leaderboard")]
    assert given(spans["New"].baselines) == [("0.8140", "arXiv:2")]
    assert given(spans["New"].own) == [("0.8149", "arXiv:1")]
    assert split(toy).median_width == 0.000575
    assert split(toy).most_given.model == "Old"


def test_gains_by_hand(toy):
    first, second = split(toy).gains
    assert (first.own.model, first.baseline.model, first.baselines, first.value) == ("New", "Old", 2, 0.0007)
    assert (second.own.model, second.baseline.model, second.baselines, second.value) == ("Newer", "New", 2, 0.0010)
    assert split(toy).median_gain == 0.00085
    assert split(toy).small_gains == ()


def test_where_lower_is_better_the_lowest_is_best():
    source = Source("arXiv:1", "paper", "New Net", 2024, "https://arxiv.org/abs/1", "the full text", frozenset({"New"}))
    values = {"New": "0.438", "Old": "0.440", "DNN": "0.445"}
    facts = [Fact("Toy", model, "logloss", value, source, "table 2") for model, value in values.items()]
    (found,) = literature_splits(facts, "logloss")
    assert [(gain.baseline.model, gain.value) for gain in found.gains] == [("Old", 0.002)]
    assert literature_splits(facts[:2], "logloss")[0].gains == (), "one other model is no table of baselines"


def test_published_results_of_a_listed_source_are_facts_too(toy):
    bars = {(fact.dataset, fact.model, fact.metric): fact for fact in toy.facts if fact.source.id == "BARS leaderboard"}
    assert set(bars) == {
        ("Toy", "Old", "AUC"), ("Toy", "Old", "logloss"), ("Toy", "DNN", "AUC"), ("Avazu_x4_001", "Old", "AUC")
    }  # fmt: skip
    assert bars["Toy", "Old", "AUC"].place == "BARS leaderboard (x)"


def test_what_the_source_says_is_kept(toy):
    new, _, dnn = toy.facts[4:7]
    assert (new.printed, new.value, new.seeds, new.std) == ("81.49%", pytest.approx(0.8149), 5, "")
    assert (dnn.printed, dnn.value, dnn.seeds, dnn.std) == (".8100", 0.81, None, "5.8E-4")


WRONG_FACTS = {
    "no source": ("rerun,README.md,\n", ",README.md,\n", "line 9: source must not be empty"),
    "an unknown source": ("0.81445,,,rerun", "0.81445,,,reran", "has no source 'reran'; did you mean 'rerun'?"),
    "no place": ("arXiv:2,table 3,\nToy,Newer", "arXiv:2,,\nToy,Newer", "line 5: place must not be empty"),
    "no number": ("81.49%", "81.49 %", "line 2: value must be a number as printed"),
    "a percentage without its sign": ("81.49%", "81.49", "line 2: AUC is from 0 to 1, but value is 81.49"),
    "half a seed": ("81.49%,,5", "81.49%,,0.5", "seeds must be a number of runs or empty, but is '0.5'"),
    "an unknown metric": ("Toy,DNN,AUC", "Toy,DNN,gauc", "line 4: there is no metric 'gauc'; did you mean 'gAUC'?"),
    "another name of a model": ("Toy,DNN", "Toy,MLP", "line 4: model must be 'DNN', the name used here, but is 'MLP'"),
    "another name of a split": ("Toy,DNN", "Avazu_x4,DNN", "dataset must be 'Avazu_x4_001', the name used here"),
    "a split that nobody can tell": ("random 8:1:1", "", "line 11: the note must describe a split"),
    "a value that stands twice": ("Toy,Newest", "Toy,Newer", "line 7: arXiv:2 Toy Newer AUC stands there already"),
    "a value of both files": ("0.81445,,,rerun", "0.81445,,,BARS leaderboard", "Old AUC stands there already"),
    "a cell too many": ("README.md,random", "README.md,,random", "line 11: there must be 9 cells, but there are 10"),
    "other columns": ("std,seeds", "seeds,std", "literature.csv: the columns must be dataset, model, metric"),
}  # fmt: skip
WRONG_SOURCES = {
    "a kind of its own": ("rerun,reproduction", "rerun,blog", "line 5: kind must be one of paper, benchmark"),
    "no address": ("https://github.com/a/b", "github.com/a/b", "line 5: url must be an address that begins with https://"),
    "a year in words": ("New Net,2024", "New Net,late", "line 2: year must be a year or empty, but is 'late'"),
    "neither yes nor no": ("New,Toy/Old,yes", "New,Toy/Old,", "trained_out must be yes or no, but is ''"),
    "a model that it does not have": ("Newer;Newest", "Newer;Newst", "but has no value of it; did you mean 'Newest'?"),
    "a repeated value that it does not have": ("Toy/Old", "Toy/Odd", "arXiv:1 repeats Toy/Odd, but has no such value"),
    "a repeated value without its split": ("Toy/Old", "Old", "quotes must be dataset/model;dataset/model"),
    "a source that stands twice": ("short,", "rerun,", "line 6: the source rerun stands there already"),
    "no title": ("A rerun", "", "line 5: title must not be empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FACTS)
def test_a_wrong_row_of_values_is_named(name, tmp_path):
    old, new, message = WRONG_FACTS[name]
    assert old in FACTS
    with pytest.raises(UserError) as error:
        load_literature(files(tmp_path, facts=FACTS.replace(old, new, 1)))
    assert message in str(error.value)


@pytest.mark.parametrize("name", WRONG_SOURCES)
def test_a_wrong_row_of_sources_is_named(name, tmp_path):
    old, new, message = WRONG_SOURCES[name]
    assert old in SOURCES
    with pytest.raises(UserError) as error:
        load_literature(files(tmp_path, sources=SOURCES.replace(old, new, 1)))
    assert message in str(error.value)


def test_a_source_without_a_value_is_named(tmp_path):
    more = SOURCES + "idle,paper,Idle,2020,https://a.org,the full text,,,yes\n"
    with pytest.raises(UserError, match="no value comes from idle"):
        load_literature(files(tmp_path, sources=more))


def test_the_order_of_the_facts_changes_nothing():
    facts = list(SHIPPED.facts)
    random.Random(1).shuffle(facts)
    for metric in METRICS:
        assert literature_splits(facts, metric) == literature_splits(SHIPPED.facts, metric)


def raw(name):
    with (PUBLISHED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def exact(text):
    return Fraction(Decimal(text.rstrip("%"))) / (100 if text.endswith("%") else 1)


def all_rows():
    """(source, dataset, model, metric) -> value, straight from the files."""
    names = [row["source"] for row in raw(SOURCES_FILE)]
    found = {(r["source"], r["dataset"], r["model"], r["metric"]): exact(r["value"]) for r in raw(FACTS_FILE)}
    for row in raw("published_results.csv"):
        for name in names:
            if row["source"] == name or row["source"].startswith(name + " "):
                dataset = DATASET_NAMES.get(row["dataset"], row["dataset"])
                for metric in METRICS:
                    if row[metric]:
                        found[name, dataset, MODEL_NAMES.get(row["model"], row["model"]), metric] = exact(row[metric])
    return found


@pytest.mark.parametrize("metric", METRICS)
def test_spans_and_gains_of_the_shipped_values_spelled_out(metric):
    sources = {row["source"]: row for row in raw(SOURCES_FILE)}
    rows = [(*key[:3], value) for key, value in all_rows().items() if key[3] == metric]
    for found in literature_splits(SHIPPED.facts, metric):
        here = [row for row in rows if row[1] == found.dataset]
        widths = []
        for model in sorted({row[2] for row in here}):
            values = []
            for name, dataset, of, value in here:
                source = sources[name]
                if of != model or model in source["proposes"].split(";") or source["trained_out"] == "no":
                    continue
                if f"{dataset}/{model}" not in source["quotes"].split(";"):
                    values.append(value)
            (span,) = (span for span in found.spans if span.model == model)
            assert len(span.baselines) == len(values)
            if len(values) > 1:
                widths.append(max(values) - min(values))
                assert span.width == pytest.approx(float(widths[-1]), abs=1e-9)
        assert len(found.compared) == len(widths)
        gains = {}
        for name in sorted({row[0] for row in here if sources[row[0]]["kind"] == "paper"}):
            proposed = sources[name]["proposes"].split(";")
            own = [value for source, _, model, value in here if source == name and model in proposed]
            others = [value for source, _, model, value in here if source == name and model not in proposed]
            if own and len(others) > 1:
                gains[name] = min(others) - min(own) if metric == "logloss" else max(own) - max(others)
        assert [gain.own.source.id for gain in found.gains] == list(gains)
        assert [gain.value for gain in found.gains] == pytest.approx([float(gain) for gain in gains.values()], abs=1e-9)
        if widths:
            assert found.median_width == pytest.approx(float(statistics.median(widths)), abs=1e-9)
            small = sum(gain <= statistics.median(widths) for gain in gains.values())
            assert len(found.small_gains) == small
        if gains:
            assert found.median_gain == pytest.approx(float(statistics.median(gains.values())), abs=1e-9)


def test_every_shipped_value_has_a_source_and_a_place():
    listed = {row["source"] for row in raw(SOURCES_FILE)}
    for row in raw(FACTS_FILE):
        assert row["source"] in listed
        assert row["place"]
    assert len(SHIPPED.facts) == len(all_rows())


def test_a_repeated_value_is_one_of_another_source():
    """Under the name of a variant too: what one calls AutoInt is what another calls AutoInt+."""
    for fact in SHIPPED.facts:
        if fact.is_repeated:
            last_digit = 10.0 ** -len(fact.shown.partition(".")[2])
            assert any(
                abs(other.value - fact.value) < last_digit
                for other in SHIPPED.facts
                if other.source != fact.source and (other.dataset, other.metric) == (fact.dataset, fact.metric)
            ), fact


def test_values_that_agree_in_five_digits_are_one_measurement():
    seen = {}
    for fact in SHIPPED.facts:
        if fact.is_baseline and len(fact.shown.partition(".")[2]) > 4:
            other = seen.setdefault((fact.dataset, fact.model, fact.metric, fact.shown), fact)
            assert other.source == fact.source, fact
