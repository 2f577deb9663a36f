"""A model as an earlier commit of this repository trains it, in the process that measures the present one."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("fuxi_plugins", "measuring")  # of which a process has the present ones


def build_at(revision: str, model: str, shape: Any, settings: Mapping[str, Any]) -> Any:
    """A model with that commit's fast step.

    Args:
        revision: a commit or what names one, later than the fast step.
        model: name of a model of the registry.
        shape: the present ``peers.Shape`` of its data.
        settings: of its constructor.

    Raises:
        ValueError: git knows no such revision.
    """
    with tempfile.TemporaryDirectory() as folder:
        _extract(revision, Path(folder))
        with _imported_from(Path(folder)):
            peers = import_module("measuring.peers")
            model_class = import_module("fuxi_plugins.models.registry").load_model_class(model)
            its_shape = peers.Shape(shape.vocabulary, shape.numeric, shape.embedding_dim)
            return peers.build(model_class, its_shape, fast=True, **settings)


def _extract(revision: str, folder: Path) -> None:
    command = ["git", "archive", revision, "fuxi_plugins", "scripts/measuring"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode:
        raise ValueError(f"{revision!r} must name a commit with these scripts; git says: {done.stderr.decode()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # since Python 3.11.4; git's own archives need none
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)


@contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """Imports of the packages find those of the folder; afterwards the present ones are back."""
    present = _take_modules()
    paths = [str(folder), str(folder / "scripts")]
    sys.path[:0] = paths
    try:
        yield
    finally:
        _take_modules()
        sys.modules.update(present)
        for path in paths:
            sys.path.remove(path)


def _take_modules() -> dict[str, Any]:
    """The packages' modules, which are imported anew when they are asked for next."""
    names = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    return {name: sys.modules.pop(name) for name in names}
