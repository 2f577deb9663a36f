"""A config for a folder that FuxiCTR's ``build_dataset`` has written: the feature map beside the files says all."""

import os
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets import encoded
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.description import Description
from fuxi_plugins.datasets.describing.relations import NO_GROUPS

# What is said of files that are read from a copy.
WRITTEN_ANEW = (
    "Written anew as parquet in {}, which is what runs read. After a change of your files, runs are refused until you "
    "remove the config and describe them again."
)


def is_encoded(folder: Path) -> bool:
    """Whether a folder holds files that FuxiCTR has encoded."""
    return (folder / encoded.MAP_NAME).is_file()


def describe_encoded(dataset_id: str, folder: Path, target: Path) -> Description:
    """A config that takes the numbers of encoded files for ids, as they are.

    Args:
        dataset_id: of the new dataset.
        folder: it holds the feature map, and a file for each split.
        target: the folder for files that must be written anew, those with histories and those that are not parquet.

    Raises:
        UserError: a split has no file, or a file or the feature map cannot be read.
    """
    files = {}
    for split in SPLITS:
        found = [path for ending in encoded.ENDINGS if (path := folder / f"{split}{ending}").is_file()]
        if not found:
            raise UserError(
                f"{folder} holds FuxiCTR's {encoded.MAP_NAME} and must hold {split} as one of "
                f"{', '.join(split + ending for ending in encoded.ENDINGS)} too. If the files are not encoded, move "
                f"{encoded.MAP_NAME} away."
            )
        files[f"{split}_data"] = found[0]
    taken, settings = encoded.as_parquet(files, folder / encoded.MAP_NAME, target)
    root = Path(os.path.commonpath([path.resolve().parent for path in taken.values()]))
    entry = {
        "title": dataset_id,
        "data_root": str(root),
        **{key: str(path.resolve().relative_to(root)) for key, path in taken.items()},
        **settings,
    }
    read_spec(dataset_id, entry, folder / encoded.MAP_NAME)
    remarks = [f"FuxiCTR has encoded these files: the columns are those of {encoded.MAP_NAME}, their numbers are ids."]
    anew = [path.name for key, path in taken.items() if path != files[key]]
    if anew:
        remarks += [f"Histories are without their padding: {', '.join(anew)}.", WRITTEN_ANEW.format(root)]
    return Description(entry, [*remarks, NO_GROUPS])
