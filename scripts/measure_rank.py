"""How much faster the batched rank measures are than a loop of svdvals over the rows, and how near they are.

python scripts/measure_rank.py [--rows 512] [--device cpu]

The loop is what a first version would be: for every row torch.linalg.svdvals and then the same four measures.
"svdvals alone" leaves the measures out of the loop. Each time is the least of five, loop and batch in turn.
"""

import argparse
import time
from collections.abc import Callable

import torch

from fuxi_plugins.diagnostics.rank import MEASURES, rank_measures

SHAPES = ((8, 16), (10, 20), (15, 26), (26, 26), (26, 30), (24, 64))


def seconds(work: Callable[[], object], device: str) -> float:
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def loop(batch: torch.Tensor) -> dict[str, torch.Tensor]:
    rows = []
    for matrix in batch:
        s = torch.linalg.svdvals(matrix)
        rows.append([measure(s) for measure in MEASURES.values()])
    return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(MEASURES)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"{arguments.rows} rows on {arguments.device}, {torch.get_num_threads()} threads; microseconds a row")
    print("   shape |    loop | svdvals alone | batched | loop/batched | alone/batched | largest difference")
    for shape in SHAPES:
        batch = torch.randn(arguments.rows, *shape, device=arguments.device)
        works = {
            "loop": lambda batch=batch: loop(batch),
            "alone": lambda batch=batch: [torch.linalg.svdvals(matrix) for matrix in batch],
            "batched": lambda batch=batch: rank_measures(batch),
        }
        best = dict.fromkeys(works, float("inf"))
        for _ in range(5):
            for name, work in works.items():
                best[name] = min(best[name], seconds(work, arguments.device))
        by_row, at_once = loop(batch.double()), rank_measures(batch)
        difference = max(float(((by_row[name] - at_once[name]) / by_row[name]).abs().max()) for name in MEASURES)
        micro = {name: 1e6 * value / arguments.rows for name, value in best.items()}
        print(
            f"{shape[0]:>3} x {shape[1]:>2} | {micro['loop']:7.1f} | {micro['alone']:13.1f} | {micro['batched']:7.1f} "
            f"| {best['loop'] / best['batched']:12.1f} | {best['alone'] / best['batched']:13.1f} | {difference:.1e}"
        )


if __name__ == "__main__":
    main()
