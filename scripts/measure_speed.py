"""Measures speed against peers and writes results/speed/speed.json and the table of docs/speed.md.

    python scripts/measure_speed.py                      every section, small
    python scripts/measure_speed.py --only step tables   some of them; the others' figures stay
    python scripts/measure_speed.py --authors ../RankElastor --rows 1000000

Ours is measured in a process with the allocator settings that runs have, the peers in another one with the same or,
with --default-allocator, with glibc's own, as FuxiCTR runs by itself. The two take turns, on one core where one process
with one thread does the work.
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from measuring.machine import ceiling, description
from measuring.report import as_markdown, merge, update_page
from measuring.sections import IN_BFLOAT16, ON_ONE_CORE, SECTIONS, Options
from measuring.timing import compare

from fuxi_plugins.execution.processes import ALLOCATOR, THREADS

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    arguments = parse()
    if not set(ALLOCATOR) <= set(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    torch.set_num_threads(arguments.threads)
    ours = {**os.environ, THREADS: str(arguments.threads)}
    peers = {name: value for name, value in ours.items() if name not in ALLOCATOR or not arguments.default_allocator}
    device = torch.device("cpu" if arguments.gpu < 0 else f"cuda:{arguments.gpu}")
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("--gpu was given, but torch sees no GPU here; without it the CPU is measured.")
    if arguments.bf16 and (exact := set(arguments.only) - IN_BFLOAT16):
        sys.exit(
            f"--bf16 is for {', '.join(sorted(IN_BFLOAT16))}, not for {', '.join(sorted(exact))}; name some by --only."
        )
    options = Options(
        device, arguments.rounds, arguments.rows, arguments.batch_size, arguments.authors, arguments.zoo, arguments.bf16
    )
    if arguments.authors is None:
        print("without --authors the RankElastor authors' own code is not among the peers of a step")
    if arguments.zoo is None and "zoo" in arguments.only:
        arguments.only.remove("zoo")
        print("without --zoo the models are not measured beside those of a FuxiCTR checkout")
    asked = {"bf16": arguments.bf16, "default-allocator": arguments.default_allocator, "gpu": device.type == "cuda"}
    suffix = "".join(f"-{what}" for what, wanted in asked.items() if wanted)
    measured = {}
    cores = os.sched_getaffinity(0)
    for name in arguments.only:
        # Of two virtual cores one may be slower for minutes, and would make one side look slow.
        os.sched_setaffinity(0, {max(cores)} if name in ON_ONE_CORE and arguments.threads == 1 else cores)
        results = []
        for comparison in compare(SECTIONS[name], options, ours, peers):
            results.append(comparison.plain())
            print(as_markdown(results[-1:]), flush=True)
        given = [argument.rpartition("/")[2] for argument in sys.argv[1:]]  # of a path only the name
        command = " ".join(["python scripts/measure_speed.py", *given])
        measured[name + suffix] = {
            "results": results, "machine": description(device), "ceiling": ceiling(device), "command": command,
        }  # fmt: skip
        known = merge(arguments.out / "speed.json", [name + suffix], measured)
    if arguments.out == ROOT / "results" / "speed":
        everything = [
            {**result, "section": section}
            for section, made in sorted(known["sections"].items())
            for result in made["results"]
        ]
        for table, of_zoo in (("speed", False), ("zoo", True)):
            chosen = [result for result in everything if result["section"].startswith("zoo") == of_zoo]
            update_page(ROOT / "docs" / "speed.md", table, as_markdown(chosen))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5, help="of all ways, in turns; the median counts")
    parser.add_argument("--rows", type=int, default=200_000, help="of the sections loading and evaluation")
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu", type=int, default=-1)
    parser.add_argument("--authors", type=Path, help="a checkout of the RankElastor authors' code")
    parser.add_argument("--zoo", type=Path, help="a checkout of FuxiCTR")
    parser.add_argument("--default-allocator", action="store_true", help="of glibc for the peers; kept apart by name")
    parser.add_argument("--bf16", action="store_true", help="our side with amp: bf16; kept apart by name")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
