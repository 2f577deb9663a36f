"""Fetching, through the hub's own library and a local server: verified, resumed, all or nothing."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import source_folder
from tests.conftest import ROOT, TINY_DATASET, write, write_tiny_csv
from tests.datasets.hub_server import Hub

ARCHIVE = "/datasets/reczoo/Tiny_x1/resolve/main/Tiny_x1.zip"


@pytest.fixture
def published(workspace, tmp_path):
    """The dataset ``tiny`` as one that is on the hub: (its spec, the bytes of its archive)."""
    files, content = {}, io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for seed, split in enumerate(("train", "valid", "test")):
            path = write_tiny_csv(tmp_path / "made" / f"{split}.csv", rows=3000, seed=seed)
            files[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
            archive.write(path, f"Tiny_x1/{path.name}")
    source = '        source: {homepage: "", licence: "", hub: reczoo/Tiny_x1}\n'
    text = TINY_DATASET.replace("        data_root: {folder}\n", source + f"        files: {files}\n")
    write(workspace.configs / "dataset_config" / "tiny.yaml", text.replace("{{", "{").replace("}}", "}"))
    return load_dataset_spec(workspace.configs, "tiny"), content.getvalue()


def fetch(workspace, endpoint, **environment):
    """The command in a process of its own: the hub's library reads its address when it is imported."""
    return subprocess.run(
        [sys.executable, "-m", "fuxi_plugins", "--configs", str(workspace.configs), "data", "fetch", "tiny"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "30",
             "FUXIBENCH_CACHE": str(workspace.cache), "NO_PROXY": "127.0.0.1", **environment},
    )  # fmt: skip


def test_a_dataset_is_fetched_verified_and_prepared(published, workspace):
    spec, archive = published
    hub = Hub({ARCHIVE: archive})
    with hub.serving() as endpoint:
        done = fetch(workspace, endpoint)
    assert done.returncode == 0, done.stderr
    assert "tiny: files in" in done.stdout
    assert [path.name for path in workspace.dataset_folder("tiny").iterdir()] == ["source"]
    assert prepare_dataset(spec, workspace).card.rows["train"] == 3000


def test_a_cut_download_goes_on_where_it_stopped(published, workspace):
    spec, archive = published
    larger = io.BytesIO(archive)  # the library writes ten megabytes at a time
    with zipfile.ZipFile(larger, "a") as opened:
        opened.writestr("readme.bin", np.random.default_rng(0).bytes(24_000_000))
    hub = Hub({ARCHIVE: larger.getvalue()})
    with hub.serving() as endpoint:
        hub.cut_after = 15_000_000
        done = fetch(workspace, endpoint)
        assert done.returncode == 2, done.stderr
        assert "The same command goes on where this one stopped" in done.stderr
        assert "Traceback" not in done.stderr
        assert not source_folder(spec, workspace).exists()
        hub.cut_after = None
        hub.requests.clear()
        assert fetch(workspace, endpoint).returncode == 0
    (asked,) = [asked for method, path, asked in hub.requests if (method, path) == ("GET", ARCHIVE)]
    assert int(asked.removeprefix("bytes=").partition("-")[0]) >= 10_000_000, "it begins where the first was cut"
    assert source_folder(spec, workspace).exists()
    assert not (workspace.dataset_folder("tiny") / "download").exists()


def test_one_changed_byte_is_found_and_the_next_call_gets_the_file_anew(published, workspace):
    spec, archive = published
    unpacked = {
        name: zipfile.ZipFile(io.BytesIO(archive)).read(name)
        for name in zipfile.ZipFile(io.BytesIO(archive)).namelist()
    }
    spoilt = io.BytesIO()
    with zipfile.ZipFile(spoilt, "w") as other:
        for name, content in unpacked.items():
            other.writestr(name, content.replace(b"1,", b"0,", 1) if name.endswith("test.csv") else content)
    hub = Hub({ARCHIVE: spoilt.getvalue()})
    with hub.serving() as endpoint:
        done = fetch(workspace, endpoint)
        assert done.returncode == 2
        assert "needs test.csv with md5" in done.stderr
        assert not workspace.dataset_folder("tiny").exists()
        hub.files[ARCHIVE] = archive
        assert fetch(workspace, endpoint).returncode == 0
    assert source_folder(spec, workspace).exists()


def test_a_flipped_bit_in_the_archive_is_found(published, workspace):
    _, archive = published
    spoilt = bytearray(archive)
    spoilt[len(spoilt) // 2] ^= 1
    with Hub({ARCHIVE: bytes(spoilt)}).serving() as endpoint:
        done = fetch(workspace, endpoint)
    assert done.returncode == 2
    assert "is not a complete zip archive" in done.stderr
    assert not workspace.dataset_folder("tiny").exists()


def test_what_is_not_on_the_hub_and_a_hub_that_is_not_there_are_one_clear_message(published, workspace):
    with Hub({}).serving() as endpoint:
        missing = fetch(workspace, endpoint)
    gone = fetch(workspace, endpoint)
    for done in (missing, gone):
        assert done.returncode == 2
        assert "could not be fetched" in done.stderr
        assert "fuxibench data import" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_missing_library_and_a_full_disk_are_said(published, workspace, monkeypatch):
    import shutil

    from fuxi_plugins.core.errors import UserError
    from fuxi_plugins.datasets.sources import hub

    spec, _ = published
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(UserError, match="pip install huggingface-hub"):
            hub.fetch_from_hub(spec, "reczoo/Tiny_x1", workspace)
    import huggingface_hub

    usage = shutil.disk_usage(workspace.configs)
    with monkeypatch.context() as patched:
        size = type("Metadata", (), {"size": 10**12, "etag": "a"})()
        patched.setattr(huggingface_hub, "get_hf_file_metadata", lambda _: size)
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
        with pytest.raises(UserError, match=r"fetching Tiny_x1.zip \(1000.00 GB\) .* has 1.00 GB left"):
            hub.fetch_from_hub(spec, "reczoo/Tiny_x1", workspace)
    assert not source_folder(spec, workspace).exists()


def test_what_came_is_kept_when_there_is_no_room_to_unpack_it(published, workspace, tmp_path, monkeypatch):
    from fuxi_plugins.core.errors import UserError
    from fuxi_plugins.datasets.sources import hub

    spec, archive = published
    came = workspace.dataset_folder("tiny") / "download" / "came.zip"
    came.parent.mkdir(parents=True)
    came.write_bytes(archive)
    monkeypatch.setattr(hub, "_download", lambda *_: came)
    with monkeypatch.context() as patched:
        patched.setattr("fuxi_plugins.core.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
        with pytest.raises(UserError, match=r"unpacking train.csv needs .* Make room"):
            hub.fetch_from_hub(spec, "reczoo/Tiny_x1", workspace)
    assert came.exists()
    assert not source_folder(spec, workspace).exists()
    assert hub.fetch_from_hub(spec, "reczoo/Tiny_x1", workspace) == source_folder(spec, workspace)
    assert not came.exists()
