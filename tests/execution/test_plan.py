from dataclasses import replace

import pytest
import torch

from fuxi_plugins.cli.listing import table
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution import checks
from fuxi_plugins.execution.plan import plan_runs, take_over
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.execution.status import suite_status
from fuxi_plugins.experiments.adhoc import adhoc_suite
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records, read_record, write_record
from fuxi_plugins.records.parts import Code, RankFamily, RankSummary, StageRank
from fuxi_plugins.reporting.boards import suite_cells
from fuxi_plugins.training.runner import failed_record, identity
from tests.analysis.make import record, with_digest

RESOURCES = Resources(slots=[-1], threads=1)


@pytest.fixture
def jobs(workspace):
    return plan_suite(find_suite("tiny_suite", workspace), workspace, RESOURCES).todo


def finish(job, **changes):
    made = record().model_dump() | identity(job) | {"data": job.data.card.model_dump()} | changes
    del made["digest"]
    write_record(job.run_folder, with_digest(made))


def plan(workspace, **settings):
    return plan_suite(find_suite("tiny_suite", workspace), workspace, RESOURCES, **settings)


def test_everything_is_to_be_run_at_first(jobs):
    assert [job.name for job in jobs] == [
        "LR_tiny seed 1", "LR_tiny seed 2", "DNN_tiny seed 1", "DNN_tiny seed 2",
    ]  # fmt: skip


def test_a_finished_run_is_not_run_again_unless_forced(workspace, jobs):
    finish(jobs[1])
    assert [job.name for job in plan(workspace).todo] == [jobs[0].name, jobs[2].name, jobs[3].name]
    assert len(plan(workspace, force=True).todo) == 4


def test_an_update_repeats_the_runs_that_were_changed_and_no_others(workspace, jobs):
    for job in jobs:
        finish(job)
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text().replace("[16]", "[32]"))
    assert [job.name for job in plan(workspace, update=True).todo] == ["DNN_tiny seed 1", "DNN_tiny seed 2"]


@pytest.mark.parametrize(("epochs", "said"), [(1, "EVAL is more than the STEPS steps of 1 epoch,"), (2, "of 2 epochs")])
def test_more_steps_between_evaluations_than_there_are_is_said_before_training(workspace, jobs, epochs, said):
    job = jobs[0]
    steps = epochs * -(-job.data.card.rows["train"] // job.experiment.training.batch_size)

    def planned(eval_steps):
        settings = {"epochs": epochs, "eval_steps": eval_steps}
        (one,) = [run for run in find_suite("tiny_suite", workspace).experiments if run.id == "LR_tiny"]
        suite = find_suite("LR_tiny", workspace)
        changed = replace(one, settings={**one.settings, **settings})
        return plan_suite(replace(suite, experiments=[changed]), workspace, RESOURCES)

    assert planned(steps).todo
    with pytest.raises(UserError, match=said.replace("EVAL", str(steps + 1)).replace("STEPS", str(steps))):
        planned(steps + 1)


def test_a_failed_run_is_run_again(workspace, jobs):
    write_record(jobs[1].run_folder, failed_record(jobs[1], "x", started="2026-01-01T00:00:00+00:00"))
    assert len(plan(workspace).todo) == 4


def test_another_configuration_under_the_same_name_is_an_error_that_shows_the_difference(workspace, jobs):
    finish(jobs[2])
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text().replace("[16]", "[32]"))
    with pytest.raises(UserError, match=r"hidden_units \[16\] in the record, \[32\] now"):
        plan(workspace)
    assert read_record(jobs[2].run_folder / "record.json").finished


def test_a_setting_younger_than_the_record_at_its_default_is_no_difference(workspace, jobs):
    def older(part, name):
        return {**params, part: {key: value for key, value in params[part].items() if key != name}}

    params = jobs[2].experiment.params
    finish(jobs[2], params=older("model", "net_dropout"))
    assert len(plan(workspace).todo) == 3
    finish(jobs[2], params=older("model", "hidden_units"))
    with pytest.raises(UserError, match=r"hidden_units .* in the record, \[16\] now"):
        plan(workspace)
    finish(jobs[2], params={**params, "model": {**params["model"], "gone": 1}})
    with pytest.raises(UserError, match="gone 1 in the record, absent now"):
        plan(workspace)


def test_a_run_finished_under_another_name_is_taken_over(workspace, jobs):
    """As the winner of a grid is, when it becomes the experiment."""
    finish(jobs[2], experiment="DNN_tiny@hidden_units=_16_")
    record = jobs[2].run_folder / "record.json"
    elsewhere = workspace.run_folder("tiny", "DNN_tiny@hidden_units=_16_", 1)
    elsewhere.mkdir(parents=True)
    record.rename(elsewhere / "record.json")
    (elsewhere / "predictions.h5").write_bytes(b"predictions")
    found = plan(workspace)
    assert [job.name for job in found.todo] == ["LR_tiny seed 1", "LR_tiny seed 2", "DNN_tiny seed 2"]
    ((job, twin),) = found.equal
    taken = take_over(job, twin, workspace)
    assert taken == read_record(record)
    assert (taken.experiment, taken.same_run_as) == ("DNN_tiny", "DNN_tiny@hidden_units=_16_")
    assert taken.metrics == twin.metrics
    assert (job.run_folder / "predictions.h5").read_bytes() == b"predictions"
    assert [done.experiment for done in plan(workspace).finished] == ["DNN_tiny"]
    assert len(plan(workspace, force=True).todo) == 4


def finish_elsewhere(workspace, job, name="DNN_other", **changes):
    """A finished run of the job's settings under another experiment's name."""
    finish(job, experiment=name, **changes)
    elsewhere = workspace.run_folder("tiny", name, changes.get("seed", job.seed))
    elsewhere.mkdir(parents=True)
    (job.run_folder / "record.json").rename(elsewhere / "record.json")
    for file in ("predictions.h5", "rank.h5"):
        (elsewhere / file).write_bytes(file.encode())


def test_what_is_taken_over_is_named_as_the_experiment_that_takes_it(workspace, jobs):
    others = {
        "suite": "their_suite",
        "role": "trial",
        "variant": "x=1",
        "display_name": "Theirs",
        "published_as": "Theirs",
    }
    finish_elsewhere(workspace, jobs[2], **others, same_run_as="DNN_first")
    ((job, twin),) = plan(workspace).equal
    assert all(getattr(twin, name) == value for name, value in others.items())
    taken = take_over(job, twin, workspace)
    assert {name: getattr(taken, name) for name in others} == {name: identity(job)[name] for name in others}
    assert taken.same_run_as == "DNN_first"  # where it was first run
    assert not (job.run_folder / "rank.h5").exists()  # it was not probed


def rank_summary():
    family = RankFamily(rows=4, columns=3, untrained={}, trained={}, gaussian={})
    return RankSummary(sample=2, seconds=1.0, stages={"tokens": StageRank(token=family)})


def test_a_probed_run_is_taken_over_before_one_that_was_not_probed(workspace, jobs):
    for name, rank in (("DNN_a", None), ("DNN_b", rank_summary()), ("DNN_c", None)):
        finish_elsewhere(workspace, jobs[2], name, rank=rank)
    ((job, twin),) = plan(workspace).equal
    assert twin.experiment == "DNN_b"
    assert take_over(job, twin, workspace).rank == rank_summary()
    assert (job.run_folder / "rank.h5").read_bytes() == b"rank.h5"


def test_a_run_that_was_not_probed_does_not_do_where_probes_are_wanted(workspace, jobs):
    finish(jobs[0])
    finish_elsewhere(workspace, jobs[2])
    probed = [replace(job, probe=True) for job in jobs]
    found = plan_runs(probed, find_records(workspace.results))
    assert (found.todo, found.finished, found.equal) == (probed, [], [])


@pytest.mark.parametrize(
    "changes",
    [{"seed": 3}, {"status": "failed", "reason": "it broke"}, {"code": Code(model="x", training="y")}],
    ids=str,
)
def test_another_seed_code_or_a_failure_is_not_taken_over(workspace, jobs, changes):
    finish_elsewhere(workspace, jobs[2], **changes)
    assert plan(workspace).equal == []


def test_other_data_are_not_taken_over(workspace, jobs):
    finish_elsewhere(workspace, jobs[2], data=jobs[2].data.card.model_dump() | {"fingerprint": "0" * 64})
    assert plan(workspace).equal == []


@pytest.mark.parametrize("part", ["model", "training"])
def test_other_code_under_the_same_name_is_an_error(workspace, jobs, part):
    finish(jobs[2], code=jobs[2].experiment.code.model_copy(update={part: "sha256:" + "0" * 64}))
    with pytest.raises(UserError, match=f"code of the {part} sha256:0* in the record"):
        plan(workspace)


def test_other_data_under_the_same_name_are_an_error(workspace, jobs, tmp_path):
    finish(jobs[0])
    test = tmp_path / "csv" / "test.csv"
    test.write_text(test.read_text() + "1,3,s2,0.5,s1\n")
    with pytest.raises(UserError, match=r"data fingerprint .* in the record"):
        plan(workspace)


def test_seeds_of_the_command_line_come_first(workspace):
    assert find_suite("tiny_suite", workspace, seeds=[7]).seeds == [7]
    assert find_suite("LR_tiny", workspace).seeds == [1]


def test_slots_and_threads_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert Resources.choose([], None, None) == Resources(slots=[-1] * 6, threads=1)
    assert Resources.choose([], 2, None) == Resources(slots=[-1, -1], threads=3)
    assert Resources.choose([-1], 2, 1) == Resources(slots=[-1, -1], threads=1)


def test_gpus_make_slots(monkeypatch):
    monkeypatch.setattr("fuxi_plugins.execution.resources._require_gpus", lambda asked: None)
    assert Resources.choose([0, 1, 0], None, 2).slots == [0, 1, 0]
    assert Resources.choose([1], 3, 2).slots == [1, 1, 1]


def test_further_seeds_of_one_experiment(workspace):
    suite = workspace.configs / "suites" / "tiny_suite.yaml"
    suite.write_text(suite.read_text() + "more_seeds: {DNN_tiny: [3, 5]}\n")
    planned = [(job.experiment.id, job.seed) for job in plan(workspace).todo]
    assert planned == [("LR_tiny", 1), ("LR_tiny", 2), *(("DNN_tiny", seed) for seed in (1, 2, 3, 5))]
    found = find_suite("tiny_suite", workspace)
    assert [(cell.experiment, cell.seed) for cell in suite_cells(found)] == planned
    assert [(run.experiment, run.seed) for run in suite_status(found, workspace)] == planned
    assert "2 experiments x 2 seeds + 2 runs" in table("suites", workspace)
    assert len(suite_cells(find_suite("tiny_suite", workspace, seeds=[7]))) == 2


def plan_of(settings, workspace):
    suite = adhoc_suite("DNN", "tiny", settings, [1], workspace)
    return plan_suite(suite, workspace, RESOURCES)


@pytest.mark.parametrize(
    ("has_it", "settings", "said"),
    [
        (True, {"amp": "bf16"}, []),
        (False, {}, []),
        (False, {"amp": "bf16"}, ["amp: bf16"]),
        (False, {"bf16_products": True}, ["bf16_products: true"]),
    ],
)
def test_a_cpu_without_bfloat16_is_said_before_the_runs(has_it, settings, said, workspace, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_it})
    notes = plan_of(settings, workspace).notes
    assert [note.partition(": this CPU")[0] for note in notes if "bfloat16" in note] == said


def test_without_a_compiler_nothing_that_is_compiled_starts(workspace, monkeypatch):
    def missing(experiment_id):
        raise UserError(f"{experiment_id} needs a compiler")

    monkeypatch.setattr(checks, "require_compiler", missing)
    assert plan_of({}, workspace).todo
    with pytest.raises(UserError, match="needs a compiler"):
        plan_of({"compile": True}, workspace)


def test_runs_of_a_workspace_share_compiled_code(workspace):
    (job,) = plan_of({}, workspace).todo
    assert job.compiled_folder == workspace.cache / "compiled"
