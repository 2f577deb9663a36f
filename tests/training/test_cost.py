"""Costs against arithmetic done by hand, and the command."""

import itertools
import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.measure_cost import LATENCY_ROWS, ROUNDS, measure_in_turns
from fuxi_plugins.models.operations import operations
from fuxi_plugins.records.files import find_records, write_record
from fuxi_plugins.training.cost import repeated, times
from tests.training.test_runner import make_job, run


class Two(nn.Module):
    """x W, and a ReLU over it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 5, bias=False)

    def forward(self, batch):
        return self.linear(batch["x"]).relu()


def test_operations_by_hand():
    flops, coverage = operations(Two(), {"x": torch.ones(7, 3)})
    assert flops == 2 * 7 * 3 * 5 + 7 * 5  # the product, and one operation a value of the ReLU
    assert coverage == pytest.approx(210 / 245)


def test_rows_are_repeated_from_the_start():
    assert repeated({"x": torch.tensor([1, 2, 3])}, 5)["x"].tolist() == [1, 2, 3, 1, 2]


def test_times_are_as_many_as_calls_after_warming_up():
    calls = []
    assert len(times(lambda: calls.append(1), torch.device("cpu"))) == len(calls) - 1


def test_the_cost_of_a_model(workspace, tmp_path):
    (cost,) = measure_in_turns([make_job(workspace, tmp_path)], gpu=-1)
    assert cost.batch_size == 100
    assert set(cost.latency) == {str(rows) for rows in LATENCY_ROWS}
    assert all(0 < found.p50_ms <= found.p99_ms for found in cost.latency.values())
    assert all(found.calls >= ROUNDS for found in cost.latency.values())
    # DNN: four fields of 4 values and a slope of width 4, then 16 and 1; the rest is lookups, pooling and activations
    products = 2 * (1 * 4 + 4 * 4 * 16 + 16 * 1)
    assert cost.flops_per_row * cost.flops_coverage == pytest.approx(products)
    assert 0.5 < cost.flops_coverage < 1


def test_models_take_turns(workspace, tmp_path, monkeypatch):
    asked = []

    class Model:
        def __init__(self, job, gpu):
            self.name = job.seed

        def __enter__(self):
            return self

        def __exit__(self, *error):
            asked.append((self.name, "end"))

        def answer(self):
            return {"device": "cpu", "processor": "one", "threads": 1, "batch_size": 100, "flops_per_row": 1,
                    "flops_coverage": 1}  # fmt: skip

        def ask(self, method, *arguments):
            asked.append((self.name, method, *arguments))
            return 7 if method == "peak_bytes" else [float(self.name)] * 2

    monkeypatch.setattr("fuxi_plugins.execution.measure_cost._Apart", Model)
    costs = measure_in_turns([make_job(workspace, tmp_path, seed=seed) for seed in (1, 2)], gpu=-1)
    assert asked[: 2 * ROUNDS] == [(1, "step_seconds"), (2, "step_seconds")] * ROUNDS
    assert asked[-2:] == [(2, "end"), (1, "end")]
    assert len({cost.turn for cost in costs}) == 1
    assert [cost.training_rows_per_second for cost in costs] == [100, 50]
    assert [cost.latency["256"].p50_ms for cost in costs] == [1000, 2000]
    assert costs[0].latency["256"].calls == 2 * ROUNDS


@pytest.mark.parametrize("first", ["good", "bad"])
def test_a_model_that_fails_is_one_message(workspace, tmp_path, first):
    good, bad = make_job(workspace, tmp_path), make_job(workspace, tmp_path, seed=2)
    bad = replace(bad, data=replace(bad.data, folder=tmp_path / "nowhere"))
    with pytest.raises(UserError, match="the cost of DNN_tiny could not be measured: .*nowhere"):
        measure_in_turns([good, bad] if first == "good" else [bad, good], gpu=-1)


def test_the_command_measures_apart_and_writes_into_the_record_of_the_same_configuration(workspace, tmp_path):
    record = run(make_job(workspace, tmp_path))
    write_record(workspace.run_folder(record.dataset, record.experiment, record.seed), record)
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    done = CliRunner().invoke(main, [*arguments, "cost", "DNN_tiny", "--record"])
    assert done.exit_code == 0, done.output
    assert "DNN_tiny" in done.output
    (after,) = find_records(workspace.results)
    assert after.cost.threads == 1
    assert after.model_copy(update={"cost": None}) == record


def test_each_seeds_record_has_a_measurement_of_its_own(workspace, tmp_path):
    first = run(make_job(workspace, tmp_path))
    for name, seed in itertools.product((first.experiment, "DNN_tiny_again"), (1, 2, 3)):
        record = first.model_copy(update={"experiment": name, "seed": seed})
        write_record(workspace.run_folder(record.dataset, name, seed), record)
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    done = CliRunner().invoke(main, [*arguments, "cost", "DNN_tiny", "--times", "2", "--record", "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    measured = [one["training_rows_per_second"] for one in printed]
    assert len(set(measured)) == 2
    assert len({one["turn"] for one in printed}) == 2
    for name in (first.experiment, "DNN_tiny_again"):
        own = [record for record in find_records(workspace.results) if record.experiment == name]
        by_seed = {record.seed: record.cost.training_rows_per_second for record in own}
        assert by_seed == {1: measured[0], 2: measured[1], 3: measured[0]}


def test_a_suite_without_a_model_that_fits_is_one_message(workspace):
    path = workspace.configs / "dataset_config" / "tiny.yaml"
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "shops, type: sequence" in line)
    text = "\n".join(lines[:start] + lines[start + 2 :]).replace("user: [user, shops]", "user: [user]")
    path.write_text(text)
    (workspace.configs / "model_config" / "made.yaml").write_text(
        "Base: {dataset_id: tiny, embedding_dim: 4}\nDIN_tiny: {model: DIN}\nBST_tiny: {model: BST}\n"
    )
    (workspace.configs / "suites" / "made.yaml").write_text(
        "title: None fits\nexperiments: [DIN_tiny, BST_tiny]\nseeds: [1]\n"
    )
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    done = CliRunner().invoke(main, [*arguments, "cost", "made"])
    assert done.exit_code == 2, done.output
    assert done.output.count("skipped: ") == 2
    assert "error: none of the models of made works on its dataset" in done.output
