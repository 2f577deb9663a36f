"""Leases: one owner at a time, whoever dies, whatever the clocks say; and eight runners on one folder."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fuxi_plugins.execution import leases
from fuxi_plugins.execution.leases import Leaser, clear_dead_leases, current_lease
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import run_jobs
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.queue import SharedQueue
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records
from fuxi_plugins.training.runner import identity
from tests.analysis.make import record
from tests.conftest import write


def elsewhere(leaser: Leaser, host="another") -> Leaser:
    """The same leaser as if on another machine, whose processes nobody here can see."""
    leaser.owner = replace(leaser.owner, host=host, system=f"boot of {host}")
    return leaser


def test_a_lease_excludes_others_until_it_is_released(tmp_path):
    one, two = Leaser(), Leaser()
    held = one.lease(tmp_path)
    assert held is not None
    assert two.lease(tmp_path) is None
    assert one.lease(tmp_path) is None
    held.release()
    assert two.lease(tmp_path) is not None


def test_a_process_that_has_ended_on_this_machine_holds_nothing(tmp_path):
    code = "import pathlib, sys; from fuxi_plugins.execution.leases import *; Leaser().lease(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (left,) = tmp_path.iterdir()
    assert left.name == "lease-1.json"
    taken = Leaser().lease(tmp_path)
    assert taken.path.name == "lease-2.json"
    assert Leaser().lease(tmp_path) is None
    taken.release()
    assert not list(tmp_path.iterdir())


def test_a_process_id_that_is_used_again_is_not_its_former_owner(tmp_path):
    leaser = Leaser()
    leaser.owner = replace(leaser.owner, born="1")  # a process of our own id that started long ago
    leaser.lease(tmp_path)
    assert Leaser().lease(tmp_path) is not None


def test_on_another_machine_only_silence_ends_a_lease(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", 0.0)
    owner = elsewhere(Leaser()).lease(tmp_path)
    tracker = Leaser(patience=0.2)
    for _ in range(6):  # it beats: however long one waits, it is alive
        assert owner.beat()
        assert tracker.lease(tmp_path) is None
        time.sleep(0.1)
    assert tracker.lease(tmp_path) is None
    time.sleep(0.3)  # it is silent
    taken = tracker.lease(tmp_path)
    assert taken is not None
    assert not owner.beat()  # and finds out that it has lost the run
    assert current_lease(tmp_path).owner == tracker.owner


def test_what_runs_elsewhere_is_not_judged_by_the_processes_of_this_machine(tmp_path):
    owner = elsewhere(Leaser())
    owner.owner = replace(owner.owner, pid=os.getpid(), born="1")  # here it would be gone
    assert owner.lease(tmp_path) is not None
    assert Leaser().lease(tmp_path) is None


def test_a_process_that_has_ended_but_was_not_waited_for_holds_nothing(tmp_path):
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    leaser = Leaser()
    leaser.owner = replace(leaser.owner, pid=child.pid, born=leases._born(child.pid))
    leaser.lease(tmp_path)
    assert Leaser().lease(tmp_path) is None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended and stays a zombie
    assert Leaser().lease(tmp_path) is not None
    child.wait()


RENAMED = "open('/proc/self/comm', 'w').write('a) R 1'); print(flush=True); input()"


def test_a_process_is_known_by_its_start_whatever_its_name():
    with subprocess.Popen(
        [sys.executable, "-S", "-c", RENAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        born = leases._born(child.pid)
        own = leases._born(os.getpid())
        child.stdin.close()
    assert int(born) > int(own) > 0  # in ticks since the boot
    assert leases._born(child.pid) == ""


def test_who_has_lost_a_run_leaves_the_lease_of_its_new_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", 0.0)
    lost = elsewhere(Leaser()).lease(tmp_path)
    tracker = Leaser(patience=0.0)
    assert tracker.lease(tmp_path) is None
    time.sleep(0.01)
    taken = tracker.lease(tmp_path)
    lost.release()
    assert current_lease(tmp_path).owner == tracker.owner
    assert taken.beat()


def test_the_leases_that_were_superseded_are_removed_first(tmp_path, monkeypatch):
    """Or one of them would be the highest for a moment, and the run free to be taken while it is being given back."""
    for number in (1, 2, 9):
        (tmp_path / f"lease-{number}.json").write_text("{}")
    leaser = Leaser(patience=0.0)
    assert leaser.lease(tmp_path) is None
    time.sleep(0.01)
    taken = leaser.lease(tmp_path)
    assert taken.path.name == "lease-10.json"
    assert current_lease(tmp_path).owner == leaser.owner  # 10 is more than 9
    removed, unlink = [], Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **more: removed.append(path.name) or unlink(path, **more))
    taken.release()
    assert removed == [f"lease-{number}.json" for number in (1, 2, 9, 10)]


def test_a_lease_whose_answer_was_lost_is_held(tmp_path, monkeypatch):
    """Over NFS a link may be made and reported as an error, because the request was sent twice."""
    link = os.link

    def answers_late(source, target):
        link(source, target)
        raise FileExistsError(target)

    monkeypatch.setattr(os, "link", answers_late)
    assert Leaser().lease(tmp_path) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["lease-1.json"]


def test_a_lease_that_is_cleared_away_while_it_is_rewritten_is_lost(tmp_path, monkeypatch):
    @contextmanager
    def cleared_away(path):
        yield path.with_suffix(".partial")
        raise FileNotFoundError(path)

    monkeypatch.setattr(leases, "HEARTBEAT", 0.0)
    lease = Leaser().lease(tmp_path)
    monkeypatch.setattr(leases, "replacing", cleared_away)
    assert not lease.beat()


def test_what_a_dead_owner_was_writing_is_cleared_away(tmp_path):
    (tmp_path / ".record.json.1.partial").write_text("half of")
    assert Leaser().lease(tmp_path) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["lease-1.json"]


def test_only_leases_of_the_dead_are_cleared(tmp_path):
    dead = Leaser()
    dead.owner = replace(dead.owner, born="1")
    dead.lease(tmp_path / "dead")
    elsewhere(Leaser()).lease(tmp_path / "elsewhere")
    Leaser().lease(tmp_path / "alive")
    for folder in tmp_path.iterdir():
        clear_dead_leases(folder)
    assert sorted(path.parent.name for path in tmp_path.rglob("lease-*.json")) == ["alive", "elsewhere"]


def test_a_lease_rewritten_by_a_clock_that_runs_backwards_is_alive(tmp_path):
    owner = elsewhere(Leaser()).lease(tmp_path)
    tracker = Leaser(patience=0.05)
    for second in range(5):
        os.utime(owner.path, (1000 - second, 1000 - second))
        assert tracker.lease(tmp_path) is None
        time.sleep(0.06)


@pytest.mark.parametrize("jump", [-1e9, -3600, 3600, 1e9])
def test_a_clock_that_jumps_takes_no_run_from_a_living_runner(tmp_path, monkeypatch, jump):
    owner = elsewhere(Leaser()).lease(tmp_path)
    tracker = Leaser(patience=60)
    assert tracker.lease(tmp_path) is None
    now = time.time()
    os.utime(owner.path, (now + jump, now + jump))  # the owner's machine, or the file server, is in another time
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert tracker.lease(tmp_path) is None


@pytest.mark.parametrize("content", ['{"owner": {"runner"', "[" * 100_000])
def test_a_damaged_lease_is_freed_by_time_alone(tmp_path, content):
    (tmp_path / "lease-1.json").write_text(content)
    tracker = Leaser(patience=0.1)
    assert tracker.lease(tmp_path) is None
    time.sleep(0.2)
    assert tracker.lease(tmp_path).path.name == "lease-2.json"


def test_a_file_of_a_like_name_is_no_lease_and_stays(tmp_path):
    copy = write(tmp_path / "lease-copy.json", "{}")
    held = Leaser().lease(tmp_path)
    assert held.path.name == "lease-1.json"
    held.release()
    assert list(tmp_path.iterdir()) == [copy]


def lease_when_told(folder, start, end, results):
    leaser = Leaser()
    start.wait()
    results.put(leaser.lease(folder) is not None)
    end.wait()  # a process that has gone would hold nothing any more


@pytest.mark.parametrize("dead_owner", [False, True])
def test_of_many_that_lease_at_the_same_instant_one_succeeds(tmp_path, dead_owner):
    context = multiprocessing.get_context("fork")
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if dead_owner:
            leaser = Leaser()
            leaser.owner = replace(leaser.owner, born="1")
            leaser.lease(folder)
        start, end, results = context.Event(), context.Event(), context.Queue()
        processes = [context.Process(target=lease_when_told, args=(folder, start, end, results)) for _ in range(4)]
        for process in processes:
            process.start()
        start.set()
        outcomes = [results.get(timeout=30) for _ in processes]
        end.set()
        for process in processes:
            process.join()
        assert sum(outcomes) == 1


# A run of milliseconds: it notes that it ran, then writes the record that it is handed.
FAKE_WORKER = """\
    import json, os, sys
    job = json.loads(sys.stdin.readline())
    ledger, records = sys.argv[1:]
    name = f"{job['experiment']['id']} {job['seed']}"
    out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, f"{name}\\n".encode())
    part = os.path.join(job["run_folder"], f".record.json.{os.getpid()}.partial")
    with open(os.path.join(records, name)) as made, open(part, "w") as file:
        file.write(made.read())
    os.rename(part, os.path.join(job["run_folder"], "record.json"))
"""


class Silent:
    def started(self, job): ...

    def progressed(self, job, state): ...

    def ended(self, job, record): ...


@pytest.fixture
def many_jobs(workspace, tmp_path):
    """100 seeds of two models that never train: the plan, and the command of a worker that only writes records."""
    suite = find_suite("tiny_suite", workspace, seeds=range(100))
    plan = plan_suite(suite, workspace, Resources(slots=[-1], threads=1))
    records = tmp_path / "made_records"
    records.mkdir()
    for job in plan.todo:
        made = record().model_copy(update=identity(job))
        (records / f"{job.experiment.id} {job.seed}").write_text(made.model_dump_json())
    script = write(tmp_path / "fake_worker.py", FAKE_WORKER)
    ledger = tmp_path / "ledger"
    return plan, [sys.executable, "-I", "-S", str(script), str(ledger), str(records)], ledger


def run_all(plan, worker, start, results):
    start.wait()
    records = run_jobs(
        plan.todo,
        before=plan.before,
        slots=[-1, -1],
        limits=Limits(timeout_seconds=60),
        listener=Silent(),
        worker=worker,
    )
    results.put(len(records))


def test_eight_runners_on_one_folder_do_each_of_200_runs_exactly_once(workspace, many_jobs):
    plan, worker, ledger = many_jobs
    assert len(plan.todo) == 200
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    runners = [context.Process(target=run_all, args=(plan, worker, start, results)) for _ in range(8)]
    for runner in runners:
        runner.start()
    start.set()
    assert [results.get(timeout=120) for _ in runners] == [200] * 8  # each saw the whole suite done
    for runner in runners:
        runner.join()
    assert Counter(ledger.read_text().splitlines()) == {f"{job.experiment.id} {job.seed}": 1 for job in plan.todo}
    assert len(list(find_records(workspace.results))) == 200
    left = {path.name for path in workspace.results.rglob("*") if path.is_file()}
    assert left == {"record.json", "run.log"}


def test_the_runs_of_a_runner_that_was_killed_are_done_by_the_others(workspace, many_jobs):
    plan, worker, ledger = many_jobs
    dead = Leaser()
    dead.owner = replace(dead.owner, born="1")
    for job in plan.todo[:5]:
        dead.lease(job.run_folder)
    slots, limits = [-1, -1], Limits(timeout_seconds=60)
    records = run_jobs(plan.todo[:10], before=plan.before, slots=slots, limits=limits, listener=Silent(), worker=worker)
    assert len(records) == 10
    assert len(ledger.read_text().splitlines()) == 10


def test_what_another_runner_has_recorded_since_planning_is_not_run_again(workspace, many_jobs):
    plan, _, _ = many_jobs
    first, second = plan.todo[:2]
    queue = SharedQueue([first, second], plan.before)
    write(first.run_folder / "record.json", record(failed="it broke").model_dump_json())
    job, _ = queue.take()
    assert job == second
    ((settled, found),) = queue.settled_by_others()
    assert (settled, found.reason) == (first, "it broke")
    assert not queue


def test_a_lease_tells_how_far_the_run_is(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", 0.0)
    lease = Leaser().lease(tmp_path)
    lease.note({"epoch": 3, "step": 10})
    assert lease.beat()
    assert current_lease(tmp_path).progress == {"epoch": 3, "step": 10}
    assert json.loads(lease.path.read_text())["owner"]["pid"] == os.getpid()
