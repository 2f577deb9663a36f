"""Files of libsvm and libffm, which are written as parquet before they are described."""

from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.found_files import named_after_splits
from fuxi_plugins.datasets.libsvm import is_libsvm
from fuxi_plugins.datasets.reading.csv_blocks import first_line
from fuxi_plugins.datasets.reading.forms import is_description


def find_libsvm(origin: Path) -> dict[str, Path]:
    """By split, the files of a folder that are of libsvm or libffm, or ``origin`` itself; empty if there are none.

    Raises:
        UserError: there are several, and none is named as a split.
    """
    candidates = [origin] if origin.is_file() else sorted(origin.iterdir()) if origin.is_dir() else []
    files = [path for path in candidates if path.is_file() and not path.name.startswith((".", "_")) and _is_one(path)]
    if len(files) < 2:
        return dict.fromkeys(["train"] if files else [], files[0] if files else origin)
    names = named_after_splits(files)
    if "train" not in names or any("*" in name for name in names.values()):
        raise UserError(
            f"{origin} must name its files of libsvm or libffm after {', '.join(SPLITS)}, but holds "
            f"{', '.join(path.name for path in files)}."
        )
    return {split: origin / name for split, name in names.items()}


def _is_one(path: Path) -> bool:
    if is_description(path):
        return False
    try:
        line = first_line(path)
    except UserError:  # no text
        return False
    return is_libsvm(line.decode(errors="replace"))
