"""Measures the web site of many results: seconds and memory of the build, sizes of pages, time to the first table.

    python scripts/measure_site.py                      # 200 models x 10 datasets x 10 seeds: 20,000 records
    python scripts/measure_site.py --models 40 --seeds 3

The records are made up. The build is `fuxibench report site` in a process of its own; its memory is that process's
peak. A page's transferred size is what a web host sends: the page, its style sheet and its scripts, each compressed
by gzip. The first table is seen in headless Chromium, which must be installed with its driver: over a network of
`--megabits` and with a processor `--slower` times slower, by the clock of the page from its request to the first
paint that holds a row of the table; the median over `--rounds`.
"""

import argparse
import contextlib
import gzip
import http.server
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.reporting.many import write_workspace  # noqa: E402

LATENCY_MS = 40  # of the throttled network, each way
WATCH = """
    new MutationObserver((changes, observer) => {
        if (!document.querySelector("tbody tr")) return;
        observer.disconnect();
        // A task after the next frame runs once that frame is painted.
        requestAnimationFrame(() => setTimeout(() => { window.firstTable = performance.now(); }));
    }).observe(document, {childList: true, subtree: true});
"""
SEEN = """
    const look = () => window.firstTable ? arguments[0](window.firstTable) : setTimeout(look, 5);
    look();
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--datasets", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--megabits", type=float, default=10.0, help="per second, of the network")
    parser.add_argument("--slower", type=float, default=4.0, help="than this machine's processor")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_workspace(folder, asked.models, asked.datasets, asked.seeds)
        print(f"{asked.models} models x {asked.datasets} datasets x {asked.seeds} seeds")
        for which in ("first build", "build again, with nothing new"):
            seconds, used = build(folder)
            cpu = used.ru_utime + used.ru_stime
            print(f"{which}: {seconds:.1f} s, {cpu:.1f} s of one core, at most {_megabytes(used):.0f} MB of memory")
        site = folder / "site"
        files = [path for path in site.rglob("*") if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        print(f"{len(files):,} files, {total / 1e6:.0f} MB")
        for name, page in pages(site).items():
            print(f"{name}: {transferred(site, page) / 1e3:.0f} kB transferred")
        if not (shutil.which("chromium") and shutil.which("chromedriver")):
            sys.exit("the time to the first table needs chromium and chromedriver, which are not installed")
        with served(site) as address:
            seen = first_tables(address, asked)
        print(f"first table after {statistics.median(seen):.2f} s, the median of {', '.join(f'{s:.2f}' for s in seen)}")


def build(folder: Path) -> tuple[float, resource.struct_rusage]:
    """Seconds and resources of the command that writes the site."""
    command = [sys.executable, "-m", "fuxi_plugins", "report", "site"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, used


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6  # kilobytes, but bytes on a Mac


def pages(site: Path) -> dict[str, str]:
    """The first page, and the first board and model."""
    return {
        "first page": "index.html",
        **{
            f"page of a {kind}": min((site / folder).glob("*.html")).relative_to(site).as_posix()
            for kind, folder in (("board", "boards"), ("model", "models"))
        },
    }


def transferred(site: Path, page: str) -> int:
    """Bytes of a page with its style sheet, scripts and figures, each compressed."""
    files = [site / page, *(path for path in (site / "static").iterdir() if path.suffix in (".css", ".js"))]
    if page == "index.html":
        files += (site / "figures").glob("*.svg")
    return sum(len(gzip.compress(path.read_bytes())) for path in files)


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Sends files compressed, as web hosts do."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        body = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the measurements are the output."""


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressing, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


def first_tables(address: str, asked: argparse.Namespace) -> list[float]:
    """Seconds from the request of the page to its first table, on a slow machine with a slow network."""
    from selenium import webdriver  # here, because sizes and seconds of the build need no browser

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.page_load_strategy = "eager"  # the table may be there before the figure
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
        speed = asked.megabits * 1e6 / 8
        driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": LATENCY_MS, "downloadThroughput": speed, "uploadThroughput": speed},
        )
        driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": asked.slower})
        seen = []
        for _ in range(asked.rounds):
            driver.get(address)
            seen.append(driver.execute_async_script(SEEN) / 1000)
            driver.get("about:blank")
        return seen
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
