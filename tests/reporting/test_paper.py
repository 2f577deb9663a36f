"""The report on the paper, from runs of a tiny dataset and from made-up records whose answers are known."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.cli.main import main
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import RANK_FILE
from fuxi_plugins.records.parts import Cost, Latency, Parameters, RankFamily, RankSummary, StageRank
from fuxi_plugins.reporting.paper import glance, rank_figures, result_figures, tables
from fuxi_plugins.reporting.paper.claims import claims
from fuxi_plugins.reporting.paper.document import build_sections, write_report
from fuxi_plugins.reporting.paper.gather import studies
from fuxi_plugins.reporting.paper.numbers import auc_effect, effect_of, fit_power_law
from fuxi_plugins.reporting.paper.study import Study, short_stage
from fuxi_plugins.training.provenance import utc_now
from fuxi_plugins.training.runner import carry_out
from tests.analysis.make import record
from tests.conftest import ROOT, make_workspace


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The paper's rank suite on the tiny dataset, two variants and two seeds, carried out in this process."""
    with pytest.MonkeyPatch.context() as patch:
        workspace = make_workspace(tmp_path_factory.mktemp("paper"), patch)
        configs = ROOT / "benchmark_configs"
        for path in [configs / "templates" / "paper.yaml", *(configs / "suites").glob("paper_*.yaml")]:
            target = workspace.configs / path.relative_to(configs)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        shutil.copytree(ROOT / "results" / "published", workspace.results / "published")
        shutil.copytree(ROOT / "results" / "paper", workspace.results / "paper")
        suite = find_suite("paper_rank@tiny,matched", workspace, [1, 2])
        suite = replace(suite, experiments=suite.experiments[:2])
        for job in plan_suite(suite, workspace, Resources([-1], 1)).todo:
            job.run_folder.mkdir(parents=True, exist_ok=True)
            carry_out(job, lambda news: None, started=utc_now(), clock_start=time.perf_counter())
        yield workspace


def test_the_report_of_a_rehearsal(rehearsed, tmp_path):
    found = [study for study in studies(rehearsed, "tiny", "matched") if study.finished]
    assert {study.suite for study in found} >= {"paper_rank", "paper_main", "paper_ablation", "paper_efficiency"}
    written = write_report(build_sections(found, rehearsed.results), tmp_path)
    text, html = (tmp_path / "paper.md").read_text(), (tmp_path / "index.html").read_text()
    for path in written:
        assert path.stat().st_size > 500, path
    for figure in (p for p in written if p.suffix == ".png"):
        assert f"figures/{figure.name}" in text
        assert f"figures/{figure.stem}.svg" in html
    for expected in ("What this does not show", "share before training", "not run", "Mix 2", "Gaussian"):
        assert expected in text
        assert expected in html


def test_a_figure_is_the_same_bytes_again(rehearsed, tmp_path):
    (study,) = (s for s in studies(rehearsed, "tiny", "matched") if s.suite == "paper_rank")
    first, second = (rank_figures.tables(study).save(tmp_path / name) for name in ("one", "two"))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one


def test_the_separation_is_that_of_the_records(rehearsed):
    (study,) = (s for s in studies(rehearsed, "tiny", "matched") if s.suite == "paper_rank")
    table = tables.separation(study)
    last = dict(zip(table.header, table.rows[-1], strict=True))
    values = [r.rank.stages["ffn_2"].row.trained["entropy"] for r in study.records["RankElastor"]]
    assert last["RankElastor"] == f"{np.mean(values):.2f}"
    assert last["cap"] == "4"
    assert last["stage"] == "FFN 2"


def call(workspace, *arguments):
    return CliRunner().invoke(
        main, ["--configs", str(workspace.configs), "--results", str(workspace.results), *arguments]
    )


def test_the_command_writes_the_report(rehearsed, tmp_path):
    result = call(rehearsed, "report", "paper", "--dataset", "tiny", "--protocol", "matched", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "tinny"], "did you mean 'tiny'?"),
        (["--dataset", "tiny", "--protocol", "mached"], "the protocols of 'paper' are matched, repository, paper"),
        (["--dataset", "tiny", "--protocol", "paper"], "no run of the paper's suites is finished"),
    ],
)
def test_a_report_that_cannot_be(rehearsed, tmp_path, arguments, message):
    result = call(rehearsed, "report", "paper", *arguments, "--out", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "none").exists()


def made_up(suite, aucs, tmp_path, **settings) -> Study:
    records = {
        display_name: [record(display_name, seed, auc, **settings) for seed, auc in enumerate(values, start=1)]
        for display_name, values in aucs.items()
    }
    return Study(suite, "toy", "matched", "Made up", list(aucs), 9, records, tmp_path)


def test_an_effect_is_what_the_board_says(tmp_path):
    values = {"RankElastor": [0.82, 0.83, 0.81], "RankMixer": [0.80, 0.79, 0.81], "MLP": [0.7, 0.71, 0.705]}
    study = made_up("paper_main", values, tmp_path)
    records = [record for runs in study.records.values() for record in runs]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    board = with_uncertainty(build_leaderboard("toy", records, cells, tmp_path), None)
    rows = {row.display_name: row for row in board.ranked()}
    for variant, reference in (("RankElastor", "RankMixer"), ("MLP", "RankElastor")):
        assert auc_effect(study, variant, reference).difference == board.difference(rows[variant], rows[reference])
    assert auc_effect(study, "RankElastor", "RankMixer").by_seed == pytest.approx([0.02, 0.04, 0.0])
    assert auc_effect(study, "RankElastor", "none") is None


def test_agreement_needs_a_significant_effect():
    def effect(before, after):
        runs = {"A": before, "B": after}
        records = {name: [record(name, seed, v) for seed, v in enumerate(values)] for name, values in runs.items()}
        return effect_of(records, lambda r: r.metrics["test"]["AUC"], "B", "A")

    clear = effect([0.7, 0.7001, 0.6999], [0.6, 0.6001, 0.5999])
    assert tables.agreement(-0.001, clear) == "agrees"
    assert tables.agreement(+0.001, clear) == "contradicts"
    assert tables.agreement(-0.001, effect([0.7], [0.6])) == "undecided (same sign; one seed)"
    open_one = effect([0.7, 0.7], [0.6, 0.75])
    assert tables.agreement(-0.001, open_one) == f"undecided (same sign; {open_one.needed.phrase()})"
    assert tables.agreement(None, clear) == "–"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_power_law_is_found_with_its_interval(seeds):
    random = np.random.default_rng(0)
    sizes = np.repeat([1e4, 2e4, 4e4, 8e4], seeds)
    fit = fit_power_law(sizes, 0.5 * sizes**-0.05 * np.exp(random.normal(0, 1e-3, len(sizes))))
    assert fit.exponent == pytest.approx(-0.05, abs=3e-3)
    assert fit.low < fit.exponent < fit.high
    assert fit.high - fit.low < 0.01
    assert fit(np.array([1e4]))[0] == pytest.approx(0.5 * 1e4**-0.05, rel=5e-3)
    assert fit_power_law([1, 1, 2], [1, 2, 3]) is None


def test_the_scores_table_by_hand(tmp_path):
    study = made_up("paper_main", {"RankElastor": [0.800, 0.802], "RankMixer": [0.830, 0.832], "MLP": []}, tmp_path)
    study.records.pop("MLP")
    table = tables.scores(study, "Toy", {"RankElastor": 0.80000, "RankMixer": 0.79})
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["RankElastor"]["ours, test AUC"] == "0.80100 ± 0.00141 (2)"
    assert rows["RankElastor"]["ours − paper"] == "+0.00100"  # toy is Toy
    assert rows["RankMixer"]["paper, − RankElastor"] == "-0.01000"
    assert rows["RankMixer"]["same sign as the paper"] == "contradicts"
    assert rows["MLP"]["ours, test AUC"] == "not run"


def test_published_values_stand_beside_the_data_they_are_of():
    results = ROOT / "results"
    name, values = tables.published_auc(results, "paper_ablation", "avazu_x4_twin")
    assert (name, values["RankMixer"]) == ("Avazu_x4", 0.79270)
    name, values = tables.published_auc(results, "paper_main", "ml100k")
    assert (name, values["RankElastor"], values["MLP"]) == ("Criteo_x1", 0.81482, 0.81307)
    assert tables.published_auc(results, "paper_sequence", "ml100k")[0] == "KuaiVideo_x1"


def probed(display_name: str, seed: int, mixing: float, ffn: float, untrained: float):
    """A run whose rows' tokens have these entropy ranks after mixing and network; normal numbers have 4."""

    def stage(value: float) -> StageRank:
        measured = {"trained": value, "untrained": untrained, "gaussian": 4.0}
        family = RankFamily(rows=5, columns=6, **{name: {"entropy": rank} for name, rank in measured.items()})
        return StageRank(row=family, token=family)

    stages = {"tokens": stage(1.0), "mixing_1": stage(mixing), "ffn_1": stage(ffn)}
    return record(display_name, seed, rank=RankSummary(sample=8, seconds=0.1, stages=stages))


def claimed(*studies):
    """By name of the claim."""
    return {claim.name: claim for claim in claims(studies)}


def test_the_claims_by_hand(tmp_path):
    main_table = made_up(
        "paper_main", {"RankElastor": [0.80, 0.801, 0.802], "RankMixer": [0.79, 0.791, 0.792]}, tmp_path
    )
    ranks = made_up("paper_rank", {}, tmp_path)
    ranks.records["RankElastor"] = [probed("RankElastor", seed, 3.6, 3.8, 3.2) for seed in (1, 2)]
    ranks.records["RankMixer"] = [probed("RankMixer", 1, 3.9, 3.0, 3.0), probed("RankMixer", 2, 3.9, 3.004, 3.0)]
    costs = made_up("paper_efficiency", {"RankElastor": [0.8], "RankMixer": [0.8], "MLP": []}, tmp_path)
    found = claimed(main_table, ranks, costs)
    rows = {row[0]: row[1:] for row in glance.details(list(found.values())).rows}
    assert rows["better AUC than the baselines"] == [
        "toy, matched, 3 seeds", "0.80100", "RankMixer 0.79100", "+0.01000 [+0.00649, +0.01351]", "–", "holds",
    ]  # fmt: skip
    assert rows["less collapse of rank"][1:3] == ["90.0%", "RankMixer 75.0%"]  # not the tokens' own
    assert rows["less collapse of rank"][-1] == "holds"
    assert rows["less collapse by training"][1:3] == ["10.0%", "RankMixer 0.1%"]
    assert "little cost" not in rows
    assert len(found) == 4
    assert glance.matrix(list(found.values())).rows == [["toy, matched", "holds", "holds", "holds", "not measured"]]


def test_a_claim_of_more_than_several_needs_all_of_them(tmp_path):
    ours, worse, better = [0.80, 0.8001, 0.7999], [0.79, 0.7901, 0.7899], [0.81, 0.8101, 0.8099]
    open_one = [0.7968, 0.8008, 0.7979]

    def verdict(**others):
        study = made_up("paper_main", {"RankElastor": ours, "RankMixer": worse, **others}, tmp_path)
        return claimed(study)["better AUC than the baselines"].verdict

    assert str(verdict(MLP=worse)) == "holds"
    assert str(verdict(MLP=better, DCNv2=open_one)) == "does not hold (significantly worse than MLP)"
    undecided = verdict(MLP=worse, DCNv2=open_one)
    assert undecided.word == "undecided"
    assert "not significant against DCNv2; about " in undecided.why
    assert undecided.power
    nearer = [0.7975, 0.8017, 0.7978]  # its difference is smaller, so that it takes more seeds
    both = verdict(DCNv2=open_one, MLP=nearer)
    assert both.why.startswith("not significant against DCNv2, MLP; for MLP about ")
    study = made_up("paper_main", {"RankElastor": [0.8], "RankMixer": [0.79]}, tmp_path)
    (claim,) = claims([study])
    assert str(claim.verdict) == "undecided (one seed: how much seeds differ is not known)"
    assert glance.matrix([claim]).rows == [["toy, matched", "undecided (1 seed)"]]
    assert glance.details([claim]).rows == []


def test_each_part_of_the_block_is_judged_beside_blocks_without_it(tmp_path):
    values = {"RankElastor": 0.80, "RankMixer": 0.70, "RankMixer+GLU": 0.79, "NoMixing+GLU": 0.78,
              "RankElastor-GELU": 0.81, "RankElastor-ReLU": 0.77}  # fmt: skip
    seeds = {name: [auc, auc + 1e-4, auc - 1e-4] for name, auc in values.items()}
    found = claimed(made_up("paper_ablation", seeds, tmp_path))
    assert str(found["full mixing helps"].verdict) == "holds"
    assert found["full mixing helps"].others == "RankMixer+GLU 0.79000"  # the best of the two, RankMixer is none
    assert str(found["GLU helps"].verdict) == "does not hold (significantly worse than RankElastor-GELU)"


def test_a_claim_compares_what_it_names_and_nothing_else(tmp_path):
    """A difference that Holm's procedure over all pairs of a board leaves open, and that over two pairs does not."""
    values = {"RankElastor": 0.8, "RankElastor-GELU": 0.7985, "RankElastor-ReLU": 0.7}
    values |= dict.fromkeys(("RankMixer", "NoMixing+GLU", "RankMixer+GLU", "LowRank", "Half-P"), 0.8)
    seeds = {name: [auc, auc + 6e-4, auc - 6e-4] for name, auc in values.items()}
    study = made_up("paper_ablation", seeds, tmp_path)
    assert not auc_effect(study, "RankElastor", "RankElastor-GELU").significant
    claim = claimed(study)["GLU helps"]
    assert str(claim.verdict) == "holds"
    assert claim.difference == str(auc_effect(study, "RankElastor", "RankElastor-GELU"))  # the interval is the same


@pytest.mark.parametrize(("seeds", "said"), [(1, "undecided (one seed"), (3, "holds")])
def test_the_claim_on_size_needs_seeds(tmp_path, seeds, said):
    sized = {}
    for depth in range(4):
        size = Parameters(dense=1000 * 2**depth, embedding=1)
        for variant, start in (("RankElastor", 0.7), ("RankMixer", 0.69)):
            name, level = f"{variant} depth{depth}", start + 0.01 * depth
            sized[name] = [record(name, seed, level + 1e-4 * seed, parameters=size) for seed in range(seeds)]
    study = Study("paper_scaling_depth", "toy", "matched", "Depth", list(sized), 8, sized, tmp_path)
    (claim,) = claims([study])
    assert claim.name == "better with size (depth)"
    assert str(claim.verdict).startswith(said)


def of_sizes(losses_by_size, folder, sizes=(1000, 2000, 4000), evidence=None):
    """A study of depth: RankElastor with these log losses by seed at each size, and RankMixer with their mean."""
    sized = {}
    for place, (size, losses) in enumerate(zip(sizes, losses_by_size, strict=True)):
        parameters = Parameters(dense=size, embedding=1)
        for variant, level in (("RankElastor", 0.0), ("RankMixer", 0.01)):
            sized[f"{variant} depth{place}"] = [
                record(f"{variant}{place}", seed, 1 - loss - level, parameters=parameters)  # log loss: 1 - AUC
                for seed, loss in enumerate(losses)
            ]
    return Study("paper_scaling_depth", "toy", "matched", "Depth", list(sized), 99, sized, folder, evidence=evidence)


def test_an_exponent_is_the_slope_of_the_logarithms(tmp_path):
    losses = [[0.70, 0.71], [0.69, 0.70], [0.66, 0.69]]
    (claim,) = claims([of_sizes(losses, tmp_path)])
    logs = np.log([1000.0, 2000, 4000]).repeat(2)
    slope = np.polyfit(logs, np.log(np.ravel(losses)), 1)[0]
    assert claim.ours.startswith(f"{slope:+.4f} [")


def test_slopes_that_agree_by_luck_decide_nothing(tmp_path):
    """Each seed has the same slope, but a seed of one size is no pair with that of another."""
    apart = [[level + of_seed for of_seed in (-0.04, 0.0, 0.04)] for level in (0.700, 0.699, 0.698)]
    (claim,) = claims([of_sizes(apart, tmp_path)])
    assert claim.verdict.word == "undecided"
    assert "exponent" in claim.verdict.why
    near = [[level + of_seed for of_seed in (-0.0001, 0.0, 0.0001)] for level in (0.700, 0.699, 0.698)]
    (claim,) = claims([of_sizes(near, tmp_path)])
    assert str(claim.verdict) == "holds"


def measured(flops: float, rows_per_second: float, turn: str | None = None, processor: str = "one") -> Cost:
    return Cost(
        device="cpu", processor=processor, threads=1, batch_size=512, flops_per_row=flops, flops_coverage=1.0,
        training_rows_per_second=rows_per_second, inference_rows_per_second=1.0,
        latency={"1": Latency(calls=10, p50_ms=1, p99_ms=1)}, peak_bytes=1, turn=turn,
    )  # fmt: skip


def in_turns(flops: float, *rows_per_second: float, processor: str = "one") -> list[Cost]:
    return [measured(flops, speed, f"turn {i}", processor) for i, speed in enumerate(rows_per_second)]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (in_turns(1100, 95, 95.1), in_turns(1000, 100, 100.1), "holds"),
        (in_turns(1100, 50, 51), in_turns(1000, 100, 101), "does not hold"),
        (in_turns(1100, 50, 150), in_turns(1000, 100, 101), "undecided"),
        (in_turns(1300, 95, 95.1), in_turns(1000, 100, 100.1), "undecided"),
        # The machine slows down to a third, which both models share in each turn.
        (in_turns(1100, 95, 60, 31.7), in_turns(1000, 100, 63.1, 33.2), "holds"),
        ([measured(1100, 95), measured(1100, 96)], in_turns(1000, 100, 101), "not measured (not timed in turns)"),
        (in_turns(1100, 95), in_turns(1000, 100, 101), "not measured (timed once)"),
        (in_turns(1100, 95, 95)[:1] * 2, in_turns(1000, 100, 101), "not measured (timed once)"),
        (
            in_turns(1100, 95, 96),
            in_turns(1000, 100, 101, processor="two"),
            "not measured (timed on different machines)",
        ),
    ],
)
def test_cost_is_judged_by_operations_and_several_timings(tmp_path, ours, theirs, said):
    study = made_up("paper_efficiency", {}, tmp_path)
    for variant, costs in (("RankElastor", ours), ("RankMixer", theirs)):
        study.records[variant] = [record(variant, seed, cost=cost) for seed, cost in enumerate(costs, 1)]
    (claim,) = claims([study])
    assert claim.name == "little cost"
    assert str(claim.verdict).startswith(said)


def test_costs_are_listed_without_a_comparison_of_seconds(tmp_path):
    study = made_up("paper_efficiency", {"RankElastor": [0.8], "RankMixer": [0.8], "MLP": []}, tmp_path)
    study.records.pop("MLP")
    study.records["RankMixer"] = [record("RankMixer", 1, cost=measured(1500, 10))]
    rows = {row[0]: row[1:] for row in tables.costs(study).rows}
    assert rows["RankElastor"] == ["1,234", "56,789", "–", "2.00"]
    assert rows["RankMixer"] == ["1,234", "56,789", "2", "2.00"]
    assert rows["MLP"] == ["–", "–", "–", "not run"]


def test_ablation_scaling_and_costs_are_drawn(tmp_path):
    variants = {"RankElastor": [0.80, 0.81], "RankMixer": [0.79, 0.80], "NoMixing+GLU": [0.795, 0.808]}
    study = made_up("paper_ablation", variants, tmp_path)
    assert "sampling of test rows" in result_figures.ablation(study).caption
    sized = {
        f"{variant} width{i}": [
            record(f"{variant} width{i}", 1, auc + 0.01 * i, parameters=Parameters(dense=1000 * 2**i, embedding=1))
        ]
        for i in range(4)
        for variant, auc in (("RankElastor", 0.7), ("RankMixer", 0.69))
    }
    scaled = Study("paper_scaling_width", "toy", "matched", "Width", list(sized), 8, sized, tmp_path)
    drawing = result_figures.scaling(scaled)
    assert "RankMixer" in drawing.caption
    assert [path.suffix for path in drawing.save(tmp_path)] == [".png", ".svg"]
    assert tables.sizes(scaled).rows[0][:2] == ["RankElastor width0", "1,000"]


def test_a_run_that_learned_nothing_is_said(tmp_path):
    study = made_up("paper_main", {"RankElastor": [0.80, 0.82], "MLP": [0.5]}, ROOT / "results")
    epoch = study.records["MLP"][0].history[0].model_copy(update={"valid": {"AUC": 0.5}})
    study.records["MLP"][0] = study.records["MLP"][0].model_copy(update={"history": [epoch]})
    section = build_sections([study], ROOT / "results")[0]
    assert section.paragraphs[1] == "Warnings: MLP seed 1: validation AUC never left 0.5."


def test_stages_have_short_names():
    assert [short_stage(s) for s in ("raw", "cross_1", "cin_2", "ffn_3")] == ["Raw", "Cross 1", "CIN 2", "FFN 3"]


def test_a_record_s_rank_file_is_found_where_runs_leave_it(rehearsed):
    (study,) = (s for s in studies(rehearsed, "tiny", "matched") if s.suite == "paper_rank")
    run = study.records["RankMixer"][0]
    assert study.rank_file(run) == rehearsed.run_folder(run.dataset, run.experiment, run.seed) / RANK_FILE
    assert study.rank_file(run).exists()
    assert rank_figures.trajectories(study).name == "trajectories-paper_rank-tiny-matched"
