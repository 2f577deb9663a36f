"""The recipes of docs/scale.md for Slurm and Kubernetes, with what stands for either of them on this machine."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from fuxi_plugins.records.files import read_record
from tests.conftest import ROOT, write
from tests.execution.ray_cluster import free_port
from tests.training.distributed.test_two_hosts import EXPERIMENT

PAGE = (ROOT / "docs" / "scale.md").read_text()
(SLURM,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
MANIFESTS = [made for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) for made in yaml.safe_load_all(text)]
SERVICE, JOB, RAY_JOB = MANIFESTS

FUXIBENCH = """\
    #!/bin/sh
    exec {python} -m fuxi_plugins --configs {configs} "$@"
"""
SRUN = """\
    #!/bin/sh
    SLURM_PROCID=0 "$@" & one=$!
    SLURM_PROCID=1 "$@" & other=$!
    wait $one && wait $other
"""
SCONTROL = """\
    #!/bin/sh
    printf '127.0.0.1\\nnode2\\n'
"""


@pytest.fixture
def programs(workspace, tmp_path, monkeypatch):
    """``fuxibench`` for the workspace, and stand-ins for Slurm's commands."""
    write(workspace.configs / "model_config" / "shared.yaml", EXPERIMENT)
    fuxibench = FUXIBENCH.format(python=sys.executable, configs=workspace.configs)
    for name, text in (("fuxibench", fuxibench), ("srun", SRUN), ("scontrol", SCONTROL)):
        write(tmp_path / "bin" / name, text).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def as_here(text, tmp_path):
    """A recipe's text with the names of this machine."""
    for theirs, ours in (("/shared", str(tmp_path)), ("ctr-0.ctr", "127.0.0.1"), ("29400", str(free_port()))):
        text = text.replace(theirs, ours)
    return text.replace("EXPERIMENT", "DNN_shared --seeds 1 --threads 1")


def start(script, **environment):
    return subprocess.Popen(
        ["bash", "-c", script],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def require_finished(commands, tmp_path):
    outputs = [command.communicate(timeout=900)[0] for command in commands]
    assert [command.returncode for command in commands] == [0] * len(commands), outputs
    record = read_record(tmp_path / "results" / "runs" / "tiny" / "DNN_shared" / "seed-1" / "record.json")
    assert record.finished
    assert record.machine.processes == 2


@pytest.mark.slow
def test_the_script_for_slurm(programs, tmp_path):
    require_finished([start(as_here(SLURM, tmp_path), SLURM_JOB_NODELIST="node[1-2]")], tmp_path)


@pytest.mark.slow
def test_the_command_of_the_pods(programs, tmp_path):
    (container,) = JOB["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-c"]
    (script,) = container["args"]
    environment = {one["name"]: as_here(one["value"], tmp_path) for one in container["env"]}
    script = as_here(script, tmp_path)
    require_finished([start(script, JOB_COMPLETION_INDEX=str(n), **environment) for n in range(2)], tmp_path)


def test_the_scripts_are_what_bash_reads():
    for script in (SLURM, *JOB["spec"]["template"]["spec"]["containers"][0]["args"]):
        assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


def test_the_pods_of_the_job_find_each_other():
    """An indexed job's pods are called by the job's name and a number, below the service that their subdomain names."""
    assert (SERVICE["apiVersion"], SERVICE["kind"]) == ("v1", "Service")
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    name = JOB["metadata"]["name"]
    spec, pod = JOB["spec"], JOB["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 2
    assert SERVICE["metadata"]["name"] == pod["subdomain"]
    assert SERVICE["spec"]["clusterIP"] == "None"
    assert SERVICE["spec"]["selector"] == {"job-name": name}
    (script,) = pod["containers"][0]["args"]
    assert script.count(f"{name}-0.{pod['subdomain']}:29400") == 2
    assert_shares_a_folder(pod)


def test_the_ray_job_has_what_kuberay_requires():
    assert (RAY_JOB["apiVersion"], RAY_JOB["kind"]) == ("ray.io/v1", "RayJob")
    cluster = RAY_JOB["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"} <= workers.keys()
    for group in (cluster["headGroupSpec"], workers):
        assert {"rayStartParams", "template"} <= group.keys()
        assert_shares_a_folder(group["template"]["spec"])


def assert_shares_a_folder(pod):
    (container,) = pod["containers"]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    assert all(one["value"].startswith(mount["mountPath"]) for one in container["env"])
    assert {"name", "image"} <= container.keys()
