"""Measures what a second process brings to one run and writes results/speed/scaling.json and docs/scale.md's tables.

    python scripts/measure_scaling.py                       two processes on the CPU
    python scripts/measure_scaling.py --processes 8 --gpu   one GPU each
    python scripts/measure_scaling.py --sharded --rounds 3 --steps 2    sharded tables, into the same file
    python scripts/measure_scaling.py --page                the tables again, from the figures that are there

The script starts itself anew with the allocator settings that runs have.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from measuring import sharded
from measuring.machine import ceiling, description
from measuring.plan import write_page
from measuring.scaling import measure, measure_data

from fuxi_plugins.core.files import write_text
from fuxi_plugins.execution.processes import ALLOCATOR
from fuxi_plugins.training.distributed.launch import launcher

ROOT = Path(__file__).resolve().parents[1]
SPEED = ROOT / "results" / "speed"


def main() -> None:
    arguments = parse()
    if not arguments.page:
        if not set(ALLOCATOR) <= set(os.environ):
            os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
        torch.set_num_threads(arguments.threads)
        file = SPEED / "scaling.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        found = {"sharded": sharded_ways(arguments)} if arguments.sharded else whole_tables(arguments)
        write_text(file, json.dumps(before | found, indent=1, sort_keys=True) + "\n")
    write_page(SPEED, ROOT / "docs" / "scale.md")


def whole_tables(arguments: argparse.Namespace) -> dict:
    """What processes with whole tables bring to a run, and what its rows cost."""
    given = (arguments.rounds, arguments.steps, arguments.batch_size, arguments.threads, arguments.gpu)
    device = torch.device("cuda:0" if arguments.gpu else "cpu")
    return {
        "command": command(),
        "machine": description(device),
        "ceiling": ceiling(device),
        "data": measure_data(arguments.rows),
        "cases": launcher(arguments.processes, measure)(*given)[0],
    }


def command() -> str:
    return f"python scripts/measure_scaling.py {' '.join(sys.argv[1:])}".strip()


def sharded_ways(arguments: argparse.Namespace) -> dict:
    """Steps with whole and with sharded tables, and the memory that each way takes in a process of its own.

    Large tables by two processes alone: the first also holds them whole, and four did not fit into 24 GB.
    """
    given = (arguments.rounds, arguments.steps, arguments.batch_size)
    few = [way for way in sharded.WAYS if way != "whole tables"]
    return {
        "command": command(),
        "machine": description(torch.device("cpu")),
        "ways": [
            way
            for tables in sharded.TABLES
            for count, ways in ((2, list(sharded.WAYS)), (4, few))
            if count == 2 or sharded.TABLES[tables] is not sharded.TEN_MILLION
            for way in launcher(count, sharded.measure)(*given, tables, ways)[0]
        ],
        "memory": {
            way: max(launcher(2, sharded.measure_memory)(way, arguments.batch_size).values())
            for way in sharded.WAYS
            if way not in sharded.OF_ONE
        },
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9, help="of all ways, in turns; the median counts")
    parser.add_argument("--steps", type=int, default=3, help="of each way in a round")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--rows", type=int, default=200_000, help="that are prepared and loaded")
    parser.add_argument("--threads", type=int, default=1, help="of a process")
    parser.add_argument("--gpu", action="store_true", help="a GPU for each process; not measured yet")
    parser.add_argument("--sharded", action="store_true", help="measure sharded tables alone, with 2 and 4 processes")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
