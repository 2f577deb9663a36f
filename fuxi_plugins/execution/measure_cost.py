"""Measures a job's cost in a process of its own, with the settings that runs have."""

import os
import subprocess
import sys
from dataclasses import replace

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.processes import ALLOCATOR
from fuxi_plugins.records.parts import Cost
from fuxi_plugins.training.job import Job


def measure_apart(job: Job, gpu: int) -> Cost:
    """The cost of a job's model.

    Raises:
        UserError: the measuring process failed; its last words are in the message.
    """
    job = replace(job, gpu=gpu, checkpoint_folder=job.checkpoint_folder.with_name(job.checkpoint_folder.name + "-cost"))
    done = subprocess.run(
        [sys.executable, "-m", "fuxi_plugins.training.cost"],
        input=job.to_json() + "\n",
        capture_output=True,
        text=True,
        env={**ALLOCATOR, **os.environ, "OMP_NUM_THREADS": str(job.threads)},
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"the cost of {job.experiment.id} could not be measured: {last}")
    return Cost.model_validate_json(done.stdout.splitlines()[-1])
