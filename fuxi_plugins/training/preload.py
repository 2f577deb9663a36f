"""What every run imports: the process that runs are forked from imports this module, so that they need not."""

from fuxi_plugins.training import assembly, checkpoint, runner, sanity_checks, trackers, trainer, worker

__all__ = ["assembly", "checkpoint", "runner", "sanity_checks", "trackers", "trainer", "worker"]
