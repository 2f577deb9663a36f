"""Where the time of a training step goes: torch's profiler, its operations sorted into a few kinds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from fuxi_plugins.training import fast_step
from measuring.clock import synchronize

PRODUCTS, LOOKUPS, COPIES, ELEMENT_WISE = "products", "lookups", "copies", "element-wise"
REGULARISER, CLIPPING, OPTIMIZER = "regulariser", "clipping", "optimizer"
KINDS = (PRODUCTS, ELEMENT_WISE, COPIES, LOOKUPS, REGULARISER, CLIPPING, OPTIMIZER)

# By what an operation's name contains; what fits nowhere is element-wise or a sum.
_NAMES = {
    PRODUCTS: ("mm", "matmul", "linear", "convolution", "gru", "lstm", "attention", "einsum"),
    LOOKUPS: ("embedding", "index", "gather", "scatter", "Lookup", "unique", "sort"),
    COPIES: ("copy", "clone", "contiguous", "cat", "stack", "zero", "fill", "empty", "split", "Memcpy", "Memset"),
}


def kind_of(operation: str) -> str:
    """Of an operation of torch, by its name."""
    name = operation.rpartition("::")[2]
    return next((kind for kind, parts in _NAMES.items() if any(part in name for part in parts)), ELEMENT_WISE)


def shares(model: Any, batch: Mapping[str, Tensor], steps: int) -> dict[str, float]:
    """The share of each kind in the time of some training steps, together 1.

    On a GPU the time is that of its kernels, on a CPU that of the processor.
    """
    on_gpu = model.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    model.train_step(batch)  # the first makes the optimizer's state
    with _named_parts(model), profile(activities=activities) as profiled:
        for _ in range(steps):
            model.train_step(batch)
        synchronize(model.device)
    seconds: Counter[str] = Counter()
    for event in profiled.events():
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        seconds[_part_of(event) or kind_of(event.name)] += own
    total = sum(seconds.values())
    return {kind: seconds[kind] / total for kind in KINDS}


def _part_of(event: Any) -> str | None:
    """The part of the step that an operation belongs to by where it was called, if by anything."""
    while event is not None:
        if event.name in (REGULARISER, CLIPPING, OPTIMIZER):
            return event.name
        event = event.cpu_parent
    return None


@contextmanager
def _named_parts(model: Any) -> Iterator[None]:
    """Has the profiler see where the regulariser, clipping and the optimizer begin and end."""
    step, clip, penalise = model.optimizer.step, fast_step.clip_gradients, fast_step.Penalty.add_gradient
    object.__setattr__(model, "gradient_norm", _named(CLIPPING, model.gradient_norm))
    fast_step.clip_gradients = _named(CLIPPING, clip)
    fast_step.Penalty.add_gradient = _named(REGULARISER, penalise)  # type: ignore[method-assign]
    model.optimizer.step = _named(OPTIMIZER, step)
    try:
        yield
    finally:
        object.__delattr__(model, "gradient_norm")  # the class has its own again
        fast_step.clip_gradients = clip
        fast_step.Penalty.add_gradient = penalise  # type: ignore[method-assign]
        model.optimizer.step = step


def _named(part: str, call: Any) -> Any:
    def called(*arguments: Any) -> Any:
        with record_function(part):
            return call(*arguments)

    return called
