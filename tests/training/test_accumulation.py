"""A batch in parts: the same loss and the same gradient as the batch whole."""

import copy
from dataclasses import replace

import pytest
import torch

from fuxi_plugins.training import assembly, trainer
from fuxi_plugins.training.faults import is_disk_full, is_out_of_memory
from tests.training.test_runner import make_job, run


@pytest.mark.parametrize("parts", [2, 4, 7])
def test_a_step_in_parts_learns_what_the_whole_step_learns(workspace, tmp_path, parts):
    changes = {"embedding_regularizer": 1e-2, "net_regularizer": 1e-3, "train_step": "fuxictr", "optimizer": "SGD"}
    job = make_job(workspace, tmp_path, changes=changes)
    models = []
    for count in (1, parts):
        trainer.use_seed(1, 1)
        model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path, parts=count)
        model.watch(lambda news: None, [], None)
        model._max_gradient_norm, model._epoch_index, model._total_steps, model._steps_per_epoch = 10.0, 0, 0, 6
        models.append(model)
    whole, divided = models
    before = copy.deepcopy(whole.state_dict())
    for batch in trainer.load_split(whole, job.data, "train", job.experiment, job.seed):
        one, other = (model.train_step(batch).item() for model in models)
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, divided.state_dict()[name], msg=name)
    assert any(not torch.equal(value, before[name]) for name, value in whole.state_dict().items())


def test_the_record_says_that_memory_ran_out(workspace, tmp_path):
    record = run(replace(make_job(workspace, tmp_path), micro_batches=4))
    assert record.finished
    assert any("memory ran out, so each batch went in 4 parts" in deviation for deviation in record.deviations)
    assert not any("fused" in deviation for deviation in record.deviations)


def wrapped(inner):
    try:
        try:
            raise inner
        except Exception as error:
            raise ValueError("the model could not do its work") from error
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    ],
)
def test_want_of_memory_is_recognised(error):
    assert is_out_of_memory(error)
    assert is_out_of_memory(wrapped(error))
    assert not is_disk_full(error)


def test_what_torch_raises_when_a_tensor_is_too_large_for_the_machine_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(122, "Disk quota exceeded"),
        OSError("Can't synchronously write data (file write failed: errno = 28, 'No space left on device')"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
    ],
)
def test_a_full_disk_is_recognised(error):
    assert is_disk_full(error)
    assert is_disk_full(wrapped(error))
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(13, "Permission denied"), ValueError("x")])
def test_other_failures_are_neither(error):
    assert not is_out_of_memory(wrapped(error))
    assert not is_disk_full(wrapped(error))
