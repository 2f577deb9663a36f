"""Costs against arithmetic done by hand, and the command."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from fuxi_plugins.cli.main import main
from fuxi_plugins.models.operations import operations
from fuxi_plugins.records.files import find_records, write_record
from fuxi_plugins.training.cost import LATENCY_ROWS, measure, repeated, times
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
    assert len(times(lambda: calls.append(1), torch.device("cpu"))) == len(calls) - 2


def test_the_cost_of_a_model(workspace, tmp_path):
    cost = measure(make_job(workspace, tmp_path))
    assert cost.batch_size == 100
    assert set(cost.latency) == {str(rows) for rows in LATENCY_ROWS}
    assert all(0 < found.p50_ms <= found.p99_ms for found in cost.latency.values())
    # DNN: four fields of 4 values and a slope of width 4, then 16 and 1; the rest is lookups, pooling and activations
    products = 2 * (1 * 4 + 4 * 4 * 16 + 16 * 1)
    assert cost.flops_per_row * cost.flops_coverage == pytest.approx(products)
    assert 0.5 < cost.flops_coverage < 1


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
    for seed in (1, 2, 3):
        record = first.model_copy(update={"seed": seed})
        write_record(workspace.run_folder(record.dataset, record.experiment, seed), record)
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    done = CliRunner().invoke(main, [*arguments, "cost", "DNN_tiny", "--times", "2", "--record", "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    measured = [one["training_rows_per_second"] for one in printed]
    assert len(set(measured)) == 2
    assert len({one["turn"] for one in printed}) == 2
    by_seed = {record.seed: record.cost.training_rows_per_second for record in find_records(workspace.results)}
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
