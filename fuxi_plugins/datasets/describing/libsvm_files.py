"""Files of libsvm and libffm, which are written as parquet before they are described."""

from collections.abc import Mapping
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.split_names import find_splits, refuse_splits_of_a_file
from fuxi_plugins.datasets.libsvm import is_libsvm
from fuxi_plugins.datasets.reading.csv_blocks import first_line
from fuxi_plugins.datasets.reading.forms import is_description


def find_libsvm(origin: Path, splits: Mapping[str, str] | None = None) -> dict[str, Path]:
    """By split, the files of a folder that are of libsvm or libffm, or ``origin`` itself; empty if there are none.

    Args:
        origin: the folder or file.
        splits: what the user says of splits.

    Raises:
        UserError: there are several, and none is named as a split.
    """
    candidates = [origin] if origin.is_file() else sorted(origin.iterdir()) if origin.is_dir() else []
    files = [path for path in candidates if path.is_file() and not path.name.startswith((".", "_")) and _is_one(path)]
    if len(files) < 2:
        if files:
            refuse_splits_of_a_file(files[0], splits)
        return dict.fromkeys(["train"] if files else [], files[0] if files else origin)
    names = find_splits(origin, files, splits)
    paths = {split: origin / name for split, name in names.items()}
    if "train" not in paths or not all(path.is_file() for path in paths.values()):
        raise UserError(
            f"{origin} must name one file of libsvm or libffm after each of {', '.join(SPLITS)}, train at least, but "
            f"holds {', '.join(path.name for path in files)}. --train FILE and --test FILE say which they are."
        )
    return paths


def _is_one(path: Path) -> bool:
    if is_description(path):
        return False
    try:
        line = first_line(path)
    except UserError:  # no text
        return False
    return is_libsvm(line.decode(errors="replace"))
