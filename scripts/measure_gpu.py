"""Measures training on a GPU in under ten minutes, and writes results/speed/gpu.json and the tables of docs/speed.md.

\b
    python scripts/measure_gpu.py                 everything, on the first GPU
    python scripts/measure_gpu.py --only tokens   one section; the figures of the others stay
    python scripts/measure_gpu.py --rehearse      all of it with small sizes, on the CPU where there is no GPU; writes
                                                  no page, and its file only where --out says

A section that fails is printed with its error, and the others go on.
"""

import sys
import tempfile
import time
import traceback
from pathlib import Path

import click
import torch
from measuring.gpu import SECTIONS, Options, device_name
from measuring.machine import ceiling, description
from measuring.report import merge, update_page
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[1]


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="A section; may be repeated.")
@click.option("--gpu", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the GPU.")
@click.option("--minutes", type=float, default=9.0, show_default=True, help="After which no section begins.")
@click.option("--rehearse", is_flag=True, help="Go through everything with small sizes; no figure is kept.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of gpu.json. Default: results/speed.")
def main(only: tuple[str, ...], gpu: int, minutes: float, rehearse: bool, out: Path | None) -> None:
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not rehearse:
        raise click.ClickException("torch sees no GPU here; --rehearse goes through the measurement on the CPU.")
    device = torch.device(f"cuda:{gpu}" if has_gpu else "cpu")
    if not has_gpu:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        options = Options(device, Path(temporary), rehearse, time.monotonic() + 60 * minutes)
        folder = out or (options.folder if rehearse else ROOT / "results" / "speed")
        failed = [name for name in only or SECTIONS if not measure(name, options, folder)]
        if not rehearse:
            known = merge(folder / "gpu.json", [], {})
            update_page(ROOT / "docs" / "speed.md", "gpu", as_page(known["sections"]))
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


def measure(name: str, options: Options, folder: Path) -> bool:
    """Measures a section, prints its table and puts it into the file; whether all of it was measured."""
    section, begun = SECTIONS[name], time.monotonic()
    rows, error = [], ""
    try:
        for row in section(options):
            if time.monotonic() > options.until:
                raise TimeoutError("there is no time left")
            rows.append(row)
    except Exception as raised:  # the other sections are measured all the same
        error = f"{type(raised).__name__}: {raised}"
        traceback.print_exc(file=sys.stderr)
    print(f"## {name}: {section.__doc__.splitlines()[0]}\n\n{table(rows)}\n{error}", flush=True)
    found = {
        "rows": rows,
        "what": section.__doc__.splitlines()[0],
        "error": error,
        "seconds": time.monotonic() - begun,
        "device": device_name(options.device),
        "machine": description(options.device),
        "ceiling": None if options.is_rehearsal else ceiling(options.device),
        "is_rehearsal": options.is_rehearsal,
        "command": " ".join(["python scripts/measure_gpu.py", *sys.argv[1:]]),
    }
    merge(folder / "gpu.json", [name], {name: found})
    return not error


def as_page(sections: dict) -> str:
    """The tables of what was measured, each with its device and command."""
    parts = []
    for name in SECTIONS:
        if name in sections and sections[name]["rows"]:
            found = sections[name]
            parts.append(f"{found['what']} {found['device']}, `{found['command']}`:\n\n{table(found['rows'])}")
    return "\n\n".join(parts)


def table(rows: list[dict]) -> str:
    return tabulate(
        [{key: cell(value) for key, value in row.items()} for row in rows], "keys", "pipe", stralign="right"
    )


def cell(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
