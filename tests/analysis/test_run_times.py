"""What a suite will cost, from the times of runs before."""

import pytest

from fuxi_plugins.analysis.run_times import Estimate, Measured, estimates, measured, shipped
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.parts import Machine, Seconds
from tests.analysis.make import record
from tests.conftest import ROOT


def timed(name, seed, total, device="cpu", threads=1):
    machine = Machine(device=device, processor="A Processor", threads=threads, versions={})
    seconds = Seconds(train=1, evaluation=1, total=total, per_epoch=1)
    return record(name, seed, experiment=name, machine=machine, seconds=seconds)


def test_times_are_medians_by_experiment_and_machine():
    runs = [timed("A", 1, 10), timed("A", 2, 30), timed("A", 3, 12), timed("A", 4, 2, "cuda:0 H200"), record("B")]
    assert measured([*runs, timed("B", 2, 7.04, threads=4), record("C", failed="it broke")]) == [
        Measured("A", "A Processor, 1 thread", 3, 12),
        Measured("A", "cuda:0 H200, 1 thread", 1, 2),
        Measured("B", "A Processor, 4 threads", 1, 7.0),
    ]


def test_an_estimate_is_the_sum_of_what_is_known_on_each_machine():
    times = [Measured("A", "slow", 3, 3600.0), Measured("B", "slow", 1, 1800.0), Measured("A", "fast", 1, 20.0)]
    found = estimates(["A", "A", "B", "C"], times)
    assert found == [Estimate("slow", 9000.0, 3, 4), Estimate("fast", 40.0, 2, 4)]
    assert [one.sentence for one in found] == [
        "3 of 4 runs took 2.5 h on slow, one after the other",
        "2 of 4 runs took 1 min on fast, one after the other",
    ]
    assert estimates(["C"], times) == []
    assert estimates(["A"], [*times, Measured("A", "slow", 1, 60.0)])[1].seconds == 60  # one's own come last and win


def test_shipped_times_are_those_of_the_records():
    here = {(one.experiment, one.machine): one for one in measured(find_records(ROOT / "results"))}
    listed = shipped()
    assert len(listed) > 100
    for one in listed:
        now = here[one.experiment, one.machine]
        if now.runs == one.runs:  # later runs may have joined: python scripts/update_run_seconds.py counts them
            assert now.seconds == pytest.approx(one.seconds, abs=0.06)
