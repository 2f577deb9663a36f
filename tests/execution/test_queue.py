"""Jobs that several runners share: each is settled once, by whoever comes first."""

import pytest

from fuxi_plugins.execution import queue as queues
from fuxi_plugins.execution.leases import Leaser
from fuxi_plugins.execution.plan import record_state
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.queue import SharedQueue
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import write_record
from tests.analysis.make import record


@pytest.fixture
def jobs(workspace, monkeypatch):
    monkeypatch.setattr(queues, "POLL", 0.0)
    return plan_suite(find_suite("LR_tiny", workspace, seeds=[1, 2]), workspace, Resources([-1], 1)).todo


def unrecorded(jobs):
    return {job.run_folder: None for job in jobs}


def test_each_job_is_taken_once_in_order(jobs):
    queue = SharedQueue(jobs, unrecorded(jobs))
    assert [queue.take()[0] for _ in jobs] == jobs
    assert not queue
    assert queue.take() is None


def test_a_job_recorded_between_the_look_and_the_lease_is_not_run(jobs, monkeypatch):
    lease = Leaser.lease

    def lease_late(leaser, folder):
        if folder == jobs[0].run_folder:  # its owner ends just before we lease it
            write_record(folder, record(failed="it broke"))
        return lease(leaser, folder)

    monkeypatch.setattr(Leaser, "lease", lease_late)
    queue = SharedQueue(jobs, unrecorded(jobs))
    assert queue.take()[0] == jobs[1]
    assert not list(jobs[0].run_folder.glob("lease-*.json"))  # given back at once
    ((job, found),) = queue.settled_by_others()
    assert (job, found.reason) == (jobs[0], "it broke")


def test_a_job_that_another_has_taken_over_is_waited_for(jobs):
    queue = SharedQueue(jobs[:1], unrecorded(jobs))
    job, _ = queue.take()
    assert not queue
    queue.give_back(job)
    assert queue
    assert queue.settled_by_others() == []
    write_record(job.run_folder, record(failed="it broke there"))
    ((settled, found),) = queue.settled_by_others()
    assert (settled, found.reason) == (job, "it broke there")
    assert not queue


def test_any_other_writing_of_a_record_settles_its_job(jobs):
    """Inodes are used again: a new record may well have a smaller one."""
    folder = jobs[0].run_folder
    write_record(folder, record(failed="as it stood"))
    inode, time = record_state(folder)
    assert SharedQueue(jobs[:1], {folder: (inode, time)}).settled_by_others() == []
    for before in (None, (inode + 1, time), (inode - 1, time), (inode, time + 1)):
        queue = SharedQueue(jobs[:1], {folder: before})
        assert [job for job, _ in queue.settled_by_others()] == jobs[:1]
