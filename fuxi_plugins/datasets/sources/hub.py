"""Gets datasets from the Hugging Face hub with the hub's own library, which resumes what was cut."""

import shutil
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import DiskTooSmall, digest, explaining_full_disk, require_space
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.spec import DatasetSpec

UNPACKED = 4  # csv files are about so many times larger than the archive; checked exactly when it has come


def fetch_from_hub(spec: DatasetSpec, repository: str, workspace: Workspace) -> Path:
    """Downloads the dataset's archive, verifies every file and installs them all or none.

    A call that was cut is resumed by the next. The hub's address may be changed by the environment variable
    HF_ENDPOINT, as the hub's library has it.

    Raises:
        UserError: the library is missing, the hub cannot be reached, the disk is too small, or a file is not the
            published one.
    """
    archive = f"{repository.partition('/')[2]}.zip"
    folder = workspace.dataset_folder(spec.files_of or spec.dataset_id) / "download"
    folder.mkdir(parents=True, exist_ok=True)
    with explaining_full_disk(folder):
        path = _download(repository, archive, folder)
    try:
        installed = import_files(spec, path, workspace)
    except DiskTooSmall:
        raise  # what came stays, for when there is room
    except UserError:  # what came is not what was published: the next call gets it anew
        shutil.rmtree(folder)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        raise
    shutil.rmtree(folder)
    return installed


def _download(repository: str, archive: str, folder: Path) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers
    except ImportError as error:
        raise UserError(
            "fetching needs the hub's library, which is not installed: pip install huggingface-hub. Without it, get "
            "the files by yourself and use fuxibench data import."
        ) from error
    address = huggingface_hub.hf_hub_url(repository, archive, repo_type="dataset")
    try:
        about = huggingface_hub.get_hf_file_metadata(address)
        size = about.size or 0
        # Another file of the same name has another tag: a part of the old one is never continued by the new.
        partial = folder / f"{digest([about.etag])[:16]}.zip"
        present = partial.stat().st_size if partial.exists() else 0
        needed = size * (1 + UNPACKED) - present
        require_space(folder, needed, f"fetching {archive} ({size / 1e9:.2f} GB) and unpacking it")
        if present < size or not present:
            with partial.open("ab") as file:
                headers = build_hf_headers()
                http_get(
                    address, file, resume_size=present, headers=headers, expected_size=size, displayed_filename=archive
                )
        return partial
    except Exception as error:
        if not _is_of_the_network(error):
            raise
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"{address} could not be fetched: {said}. The same command goes on where this one stopped; without a "
            "network, get the files elsewhere and use fuxibench data import."
        ) from error


def _is_of_the_network(error: Exception) -> bool:
    """Whether the library, or whichever package it speaks HTTP with in this version, gave up on the hub."""
    package = type(error).__module__.partition(".")[0]
    return package in ("huggingface_hub", "httpx", "httpx2", "requests") or isinstance(
        error, ConnectionError | TimeoutError
    )
