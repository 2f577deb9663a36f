"""Refuses tables that keep the rows of older versions beside the current ones: only their own tools tell them apart."""

from collections.abc import Iterable
from pathlib import Path

from fuxi_plugins.core.errors import UserError

_EXPORTS = {
    "a Delta Lake table": "DeltaTable('{folder}').to_pandas().to_parquet('clicks.parquet') in Python (deltalake), or "
    "spark.read.format('delta').load('{folder}').write.parquet('clicks')",
    "an Iceberg table": "StaticTable.from_metadata('{folder}/metadata/...metadata.json').scan().to_pandas()"
    ".to_parquet('clicks.parquet') in Python (pyiceberg), or spark.table(NAME).write.parquet('clicks')",
    "a Hudi table": "spark.read.format('hudi').load('{folder}').write.parquet('clicks')",
}


def refuse_versioned(folder: Path, within: Iterable[Path] = ()) -> None:
    """
    Args:
        folder: of data, or the one in such a table that holds its data files.
        within: files and folders in it, at any depth, of which some may be such a table's.

    Raises:
        UserError: the folder is, or holds, a table of Delta Lake, Iceberg or Hudi.
    """
    beside = [folder / "_delta_log", folder / ".hoodie", *folder.glob("metadata/*.metadata.json")]
    if folder.name == "data":
        beside += folder.parent.glob("metadata/*.metadata.json")
    for path in (*beside, *within):
        kind = _kind_of(path)
        if kind and path.exists():
            table = path.parent.parent if kind == "an Iceberg table" else path.parent
            raise UserError(
                f"{table} must hold the rows of one version, but is {kind} ({path.relative_to(table)}), whose files "
                "also hold rows of older versions, which were changed or deleted since. Export the current version as "
                f"parquet, with {_EXPORTS[kind].format(folder=table)}, and use that."
            )


def _kind_of(path: Path) -> str | None:
    """What a folder of tables is, told from a file or folder in it where its versions are written down."""
    if path.name == "_delta_log":
        return "a Delta Lake table"
    if path.name == ".hoodie":
        return "a Hudi table"
    if path.parent.name == "metadata" and path.name.endswith(".metadata.json"):
        return "an Iceberg table"
    return None
