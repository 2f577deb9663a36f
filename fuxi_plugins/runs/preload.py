"""What every run imports: the process that runs are forked from imports this module, so that they need not."""

from fuxi_plugins.runs import host, observers, resume, runner, sentinels, worker

__all__ = ["host", "observers", "resume", "runner", "sentinels", "worker"]
