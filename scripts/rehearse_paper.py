"""Runs the paper's suites on a small dataset in one process, so that no run pays for the start of an interpreter.

python scripts/rehearse_paper.py ml100k --profile matched --seeds 1,2 --suites paper_rank,paper_main

`fuxibench run` gives every run a process of its own, which costs seconds each; a rehearsal has more runs than minutes.
The records are the same. A run that fails ends the rehearsal. What is finished is not run again.
"""

import argparse
import time

from fuxi_plugins import benchmark
from fuxi_plugins.experiments.suite import instance_name, suite_names
from fuxi_plugins.runs.provenance import utc_now
from fuxi_plugins.runs.runner import carry_out
from fuxi_plugins.scheduling.plan import take_over
from fuxi_plugins.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--profile", default="matched")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--suites", default="")
    arguments = parser.parse_args()
    workspace = Workspace.locate()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    paper = [name for name in suite_names(workspace.configs) if name.startswith("paper_")]
    for name in arguments.suites.split(",") if arguments.suites else paper:
        suite = benchmark.find_suite(instance_name(name, arguments.dataset, arguments.profile), workspace, seeds)
        resources = benchmark.Resources(slots=[-1], threads=1)
        plan = benchmark.plan_suite(suite, workspace, resources)
        for job, twin in plan.equal:
            take_over(job, twin, workspace)
        print(f"{suite.name}: {len(plan.finished) + len(plan.equal)} finished, {len(plan.todo)} to run", flush=True)
        for job in plan.todo:
            job.run_folder.mkdir(parents=True, exist_ok=True)
            clock = time.perf_counter()
            record = carry_out(job, lambda news: None, started=utc_now(), clock_start=clock)
            print(
                f"{job.name}: AUC {record.metrics['test']['AUC']:.5f}, {time.perf_counter() - clock:.0f} s", flush=True
            )
        benchmark.write_boards(suite, benchmark.suite_boards(suite, workspace), workspace)


if __name__ == "__main__":
    main()
