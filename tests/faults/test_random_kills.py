"""A hundred random kills over a suite of twenty runs: the results are those of an undisturbed execution.

Runners and runs are forked from this process, which has the imports, instead of being started anew: a run then takes
a second, and kills meet training, checkpoints and records instead of imports. All else is as in use.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from dataclasses import replace

import pytest

from fuxi_plugins.execution import local, running
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import run_jobs
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.processes import RunProcess
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.training import worker
from tests.conftest import write
from tests.execution.test_local import children
from tests.faults.test_faults import Noted

KILLS = 100
TWO_AT_A_TIME = Resources(slots=[-1, -1], threads=1)
EXPERIMENTS = """
Base: {dataset_id: tiny, batch_size: 50, epochs: 20, early_stop_patience: 20, learning_rate: 1e-3}
Dropout_tiny: {model: DNN, embedding_dim: 4, hidden_units: [16], net_dropout: 0.2}
Cross_tiny: {model: DCNv2, embedding_dim: 4, parallel_dnn_hidden_units: [8], net_dropout: 0.1}
"""


class Copied(RunProcess):
    """A run's process that is a copy of the runner."""

    def __init__(self, log, threads):
        its_stdin, stdin = os.pipe()
        stdout, its_stdout = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            for number, end in enumerate((its_stdin, its_stdout, os.open(log, os.O_WRONLY | os.O_APPEND))):
                os.dup2(end, number)
            os.closerange(3, 1024)  # the runner's ends too, or nobody would see it die
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            os._exit(worker.main())
        os.close(its_stdin)
        os.close(its_stdout)
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")

    def has_ended(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def _reap(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def plan(workspace):
    suite = find_suite("twenty", workspace)
    return plan_suite(suite, workspace, TWO_AT_A_TIME, checkpoint_steps=2)


def execute(workspace):
    """What ``fuxibench run twenty --jobs 2 --checkpoint-steps 2`` does after its imports."""
    running.Forked, local.start_server = Copied, lambda threads: None  # in this copy of the test's process
    planned = plan(workspace)
    limits = Limits(timeout_seconds=600)
    run_jobs(planned.todo, before=planned.before, slots=[-1, -1], limits=limits, listener=Noted())


def started(workspace):
    runner = multiprocessing.get_context("fork").Process(target=execute, args=(workspace,))
    runner.start()
    return runner


def without_times(record: dict) -> dict:
    kept = {name: value for name, value in record.items() if name not in ("seconds", "started")}
    times = ("seconds", "evaluation_seconds")
    kept["history"] = [{key: entry[key] for key in entry if key not in times} for entry in record["history"]]
    return kept


def results(workspace) -> dict[str, bytes]:
    """Records, without their times, and predictions, by path."""
    found = {}
    for path in sorted(workspace.results.rglob("*")):
        if path.name == "record.json":
            content = json.dumps(without_times(json.loads(path.read_bytes())), sort_keys=True).encode()
        elif path.name == "predictions.h5":
            content = path.read_bytes()
        else:  # logs, and what comes and goes while runs are under way
            continue
        found[str(path.relative_to(workspace.results))] = content
    return found


@pytest.mark.slow
def test_a_hundred_random_kills_change_nothing(workspace):
    write(workspace.configs / "model_config" / "twenty.yaml", EXPERIMENTS)
    seeds = list(range(10))
    text = f"title: Twenty runs\nexperiments: [Dropout_tiny, Cross_tiny]\nseeds: {seeds}\n"
    write(workspace.configs / "suites" / "twenty.yaml", text)
    undisturbed = replace(
        workspace, results=workspace.results / "undisturbed", cache=workspace.cache.with_name("cache_undisturbed")
    )
    disturbed = replace(workspace, results=workspace.results / "disturbed")
    begun = time.monotonic()
    first = started(undisturbed)
    first.join()
    assert first.exitcode == 0
    expected = results(undisturbed)
    assert len(expected) == 40  # records and predictions

    run_seconds = (time.monotonic() - begun) / 10  # two at a time
    dice = random.Random(20)
    plan(disturbed)
    kept: dict[str, bytes] = {}
    runner, kills, of_workers, done = started(disturbed), 0, 0, 0
    while kills < KILLS:
        # kills this close let no run get on, those wider apart do: the last kill finds some five runs undone
        pause = 0.02 if done > 15 * kills / KILLS else 0.2
        time.sleep(dice.expovariate(1 / (pause * run_seconds)))
        workers = children(runner.pid) if runner.is_alive() else []
        done = sum(b'"status": "finished"' in content for content in results(disturbed).values())
        assert done < 20, "the suite was done before it had been killed often enough"
        if not runner.is_alive():  # it came to the end of its list; what failed is in the list of the next
            runner = started(disturbed)
            continue
        victim = dice.choice([runner.pid, *workers])
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:  # it ended by itself before it was hit
            continue
        kills += 1
        of_workers += victim != runner.pid
        if victim == runner.pid:
            runner.join()
            now = {
                path: content
                for path, content in results(disturbed).items()
                if path.endswith("record.json") and b'"status": "finished"' in content
            }
            assert kept.items() <= now.items(), "a finished record has changed"
            kept = now
            runner = started(disturbed)
    runner.join()
    print(f"{kills} kills, {of_workers} of them of runs, {len(kept)} runs finished between them")
    while any(b'"status": "failed"' in content for content in results(disturbed).values()):
        again = started(disturbed)
        again.join()
    run_plan(plan(disturbed), find_suite("twenty", disturbed), disturbed, TWO_AT_A_TIME)
    assert results(disturbed) == expected
    assert not list(disturbed.results.rglob("lease-*"))
    assert not list(disturbed.results.rglob("*.partial"))
