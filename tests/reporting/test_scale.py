"""Two hundred models, ten datasets, ten seeds: the tables and the site of 20,000 records, in seconds of one core."""

import gzip
import resource
import time

import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.site.build import write_site
from fuxi_plugins.reporting.site.gather import gather
from tests.reporting.many import write_workspace

MODELS, DATASETS, SEEDS = 200, 10, 10


@pytest.mark.slow
def test_twenty_thousand_records(tmp_path):
    write_workspace(tmp_path, MODELS, DATASETS, SEEDS)
    workspace = Workspace(tmp_path / "benchmark_configs", tmp_path / "results", tmp_path / ".cache")
    started = time.process_time()
    contents = gather(workspace)
    gathered = time.process_time() - started
    for named in contents.boards:
        for form in FORMATS:
            render(named.board, named.title, form)
    tables = time.process_time() - started - gathered
    began = time.process_time()
    pages = write_site(tmp_path / "site", contents).pages
    site = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
    first = (tmp_path / "site" / "index.html").read_bytes()
    print(
        f"gathered {gathered:.1f} s, tables {tables:.1f} s, {pages} pages in {site:.1f} s, at most {peak:.0f} MiB, "
        f"first page {len(gzip.compress(first)) / 1e3:.0f} kB"
    )
    assert len(contents.records) == MODELS * DATASETS * SEEDS
    assert pages == 2 + 2 * DATASETS + MODELS + len(contents.records)
    assert len(gzip.compress(first)) < 250_000
    assert tables < 10
    assert gathered + site < 60
    assert peak < 1024
