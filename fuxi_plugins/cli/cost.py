"""``fuxibench cost``."""

import click

from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("name")
@click.option("--gpu", default=-1, help="Which GPU to measure on; -1 is the CPU.")
@click.option("--threads", default=1, show_default=True, help="Threads of the CPU.")
@click.option("--record", "into_records", is_flag=True, help="Write the figures into its finished records.")
@click.pass_obj
def cost(workspace: Workspace, name: str, gpu: int, threads: int, into_records: bool) -> None:
    """Measures what models cost. Of a suite or experiment: operations, throughput, latency, memory.

    Nothing else should run on the machine meanwhile.
    """
    from tabulate import tabulate

    from fuxi_plugins.execution.measure_cost import measure_apart
    from fuxi_plugins.execution.planner import Resources, plan_suite
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.records.record import find_records, write_record

    suite = find_suite(name, workspace, seeds=[1])
    resources = Resources.choose([gpu], jobs=1, threads=threads)
    rows = []
    for job in plan_suite(suite, workspace, resources, force=True).todo:
        measured = measure_apart(job, gpu)
        latency = [f"{found.p50_ms:.2f} / {found.p99_ms:.2f}" for found in measured.latency.values()]
        rows.append([
            job.experiment.id, f"{measured.flops_per_row:,.0f}", f"{measured.flops_coverage:.0%}",
            f"{measured.training_rows_per_second:,.0f}", f"{measured.inference_rows_per_second:,.0f}", *latency,
            f"{measured.peak_bytes / 2**20:,.0f}",
        ])  # fmt: skip
        if into_records:
            for record in find_records(workspace.results, job.data.spec.dataset_id):
                if record.finished and record.digest == job.experiment.digest:
                    folder = workspace.run_folder(record.dataset, record.experiment, record.seed)
                    write_record(folder, record.model_copy(update={"cost": measured}))
    header = ["experiment", "FLOP / row", "counted", "rows/s training", "rows/s inference",
              *(f"ms at {count}: p50 / p99" for count in measured.latency), "peak MB"]  # fmt: skip
    click.echo(tabulate(rows, headers=header, tablefmt="simple", disable_numparse=True, colalign=["left"]))
    click.echo(f"{measured.device}, {measured.processor}, {measured.threads} threads; after warming up, loading apart")
