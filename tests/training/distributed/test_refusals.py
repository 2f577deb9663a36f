"""What sharding cannot do is refused in one message, before anything starts."""

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.training.assembly import build_model, deviations
from fuxi_plugins.training.hosted import TrainingFailed
from fuxi_plugins.training.preflight import require_shareable
from tests.training.test_runner import make_job, run


@pytest.mark.parametrize("changes", [{"optimizer": "LBFGS"}, {"train_step": "fuxictr"}, {"compile": True}], ids=str)
def test_settings_that_do_not_go_with_sharding(workspace, tmp_path, changes):
    with pytest.raises(UserError, match="sharding needs train_step: fast, compile: false and an optimizer"):
        make_job(workspace, tmp_path, changes={"sharding": "row_wise", **changes})


def test_sparse_tables_and_checkpoints_need_it_with_several_processes(workspace, tmp_path):
    sparse, both, plain = (
        make_job(workspace, tmp_path, changes=changes).experiment
        for changes in (
            {"sparse_embeddings": True},
            {"sparse_embeddings": True, "sharding": "auto"},
            {"sharding": None},
        )
    )
    with pytest.raises(UserError, match="needs sharding to be run by several processes"):
        require_shareable(sparse)
    with pytest.raises(UserError, match="keeps checkpoints only with sharding"):
        require_shareable(plain, checkpoint_steps=5)
    require_shareable(both, checkpoint_steps=5)


def test_batches_in_parts(workspace, tmp_path):
    job = make_job(workspace, tmp_path, changes={"sharding": "row_wise"})
    with pytest.raises(TrainingFailed, match="with sharding the training step cannot be done in parts"):
        build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path, parts=4, processes=2)


def test_one_process_has_whole_tables_and_the_same_numbers(workspace, tmp_path):
    plain, declared = (
        make_job(workspace, tmp_path / str(sharding), changes={"sharding": sharding}) for sharding in (None, "auto")
    )
    one, other = run(plain), run(declared)
    assert one.history[-1].train_loss == other.history[-1].train_loss
    assert one.metrics == other.metrics
    assert one.params["training"] == {k: v for k, v in other.params["training"].items() if k != "sharding"}
    assert other.params["training"]["sharding"] == "auto"
    assert not [line for line in deviations(declared.experiment, declared.data) if "sharding" in line]
    assert [line for line in deviations(declared.experiment, declared.data, processes=2) if "sharding=auto" in line]
