"""How many bytes a training step reads and writes."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._inductor.graph import GraphLowering
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

OVERWRITE = ("copy_", "fill_", "zero_")  # their first argument, which they do not read
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class BytesMoved(TorchDispatchMode):
    """Counts the bytes that operations read and write, each tensor once an operation; views move none.

    The kernels that a compiler made are counted after :func:`watch_compiler`. Torch compiles nothing while this counts,
    so a compiled model must have taken a step before.
    """

    counting: ClassVar["BytesMoved | None"] = None

    def __init__(self) -> None:
        super().__init__()
        self.products = 0
        self.others = 0

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Has torch run compiled code while this counts."""
        return True

    def __enter__(self) -> "BytesMoved":
        BytesMoved.counting = self
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        BytesMoved.counting = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if not func.is_view and "empty" not in name:
            written = {argument.name for argument in func._schema.arguments if argument.is_out}  # never read
            read = [
                args[1:] if name in OVERWRITE else args,
                {key: value for key, value in kwargs.items() if key not in written},
            ]
            moved = _bytes(read) + _bytes(out)
            if name in PRODUCTS:
                self.products += moved
            else:
                self.others += moved
        return out


def watch_compiler() -> None:
    """Has :class:`BytesMoved` count the kernels that torch's inductor makes from now on, by inductor's own sums.

    What inductor leaves to torch, such as products, is counted as any operation. Kept code is not used, since its sums
    are not kept.
    """
    torch._inductor.config.force_disable_caches = True
    compiled = GraphLowering.compile_to_module

    def watched(graph: GraphLowering) -> Any:
        module = compiled(graph)
        kernels = [node for node in graph.scheduler.nodes if not node.is_extern()]
        moved, call = sum(node.get_read_write_buffers_sizes() for node in kernels), module.call

        def counted(arguments: list[Any]) -> Any:
            if BytesMoved.counting:
                BytesMoved.counting.others += moved
            return call(arguments)

        module.call = counted
        return module

    GraphLowering.compile_to_module = watched  # type: ignore[method-assign]


def _bytes(values: Any) -> int:
    """Of distinct elements: an expanded axis is read once."""
    return sum(
        _own_elements(leaf) * leaf.element_size() for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)
    )


def _own_elements(tensor: Tensor) -> int:
    sizes: Iterable[tuple[int, int]] = zip(tensor.shape, tensor.stride(), strict=True) if not tensor.is_sparse else ()
    return math.prod(size for size, stride in sizes if stride != 0)
