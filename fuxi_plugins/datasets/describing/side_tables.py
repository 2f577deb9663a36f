"""Tables beside the rows, as of users or items: which files are some, and by which ids they are joined."""

from collections.abc import Iterable, Mapping
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.columns import Guess
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.describing.names import is_id, is_item, is_moment, is_user
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.side_tables import SideTable, read_table

KNOWN = 0.5  # of the rows' ids that a table must know
_HEAD_BYTES = 1 << 20  # of the rows, whose ids are looked for


def find_tables(files: FoundFiles, header: list[str]) -> list[SideTable]:
    """The files beside the rows that have a row for each id in a column of theirs, and more to say of it.

    Args:
        files: as they lie on the disk.
        header: the columns of the rows.
    """
    if files.file_format.column_names:
        return []
    found: list[SideTable] = []
    taken = set(header)
    for name in files.others:
        try:
            columns = read_header(files.root / name, files.file_format)
        except UserError:  # of another form than the rows
            continue
        shared = [column for column in columns if column in header and not is_moment(column)]
        new = [column for column in columns if column not in taken]
        for key in sorted(shared, key=lambda column: not is_id(column)) if new else []:
            try:
                table = read_table(files.root, name, key, new, files.file_format)
            except UserError:  # no id of its own for each row, or a column that nobody can read
                continue
            if _share_known(table, files) >= KNOWN:
                found.append(table)
                taken.update(new)
                break
    return found


def _share_known(table: SideTable, files: FoundFiles) -> float:
    """Of the different ids at the head of the rows."""
    blocks = read_blocks(files.root / files.names["train"], [table.key], files.file_format, _HEAD_BYTES)
    block = next(blocks, None)
    if block is None:
        return 0.0
    ids = as_text(block.frame[table.key]).drop_nulls().unique()
    return sum(text in table.rows for text in ids) / max(len(ids), 1)


def sources_of(tables: Iterable[SideTable], guesses: Mapping[str, Guess]) -> dict[str, list[str]]:
    """By ``user`` and ``item``, the features that tables tell of them and the ids of these tables."""
    found: dict[str, list[str]] = {}
    for table in tables:
        source = "user" if is_user(table.key) else "item" if is_item(table.key) else None
        told = [name for name in (table.key, *table.frame.columns) if name in guesses and guesses[name].active]
        if source and told:
            found.setdefault(source, []).extend(name for name in told if name not in found.get(source, []))
    return found


def said_of(tables: Iterable[SideTable]) -> list[str]:
    """What the owner of the files is told."""
    joined = [f"{table.name} by {table.key} ({', '.join(table.frame.columns)})" for table in tables]
    return [f"Joined to the rows: {'; '.join(joined)}."] if joined else []


def setting_of(tables: Iterable[SideTable]) -> dict[str, Any]:
    """The part of a dataset's config."""
    by_name = {table.name: table.key for table in tables}
    return {"tables": by_name} if by_name else {}
