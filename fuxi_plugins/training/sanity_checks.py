"""Silent failures: things that go wrong without an error and leave a number that looks fine.

Looked for after every run, on the trained model that is about to be thrown away, so that nothing measured can change.
What trips is in the record, and the board marks the row.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fuxi_plugins.datasets.dataloader import ROW_WEIGHT
from fuxi_plugins.training.fast_step import BaseModel
from fuxi_plugins.training.options import InBfloat16

PASSED = ""
FEW = 8  # rows that are predicted twice
MOST_NAMED = 3  # parameters in one sentence
LOSS_METHODS = ("compute_loss", "add_loss", "regularization_loss")

LoadTrain = Callable[[int], Any]  # seed -> a loader of the training rows


def inspect(model: Any, load_train: LoadTrain, seed: int, test_passes: int) -> dict[str, str]:
    """Every check by name, with what it found: nothing when all is well.

    Args:
        model: a hosted model at the end of its run; it is trained two steps further.
        load_train: as above.
        seed: of the run.
        test_passes: how often the test rows have been predicted.
    """
    batch = next(iter(load_train(seed)))
    model.eval()
    rows = rows_are_independent(model, batch)
    model.train()
    checks = {
        "rows are independent": rows,
        "own loss is called": own_loss_is_called(model, batch),
        "parameters are trained": parameters_are_trained(model, batch),
        "regulariser is applied": regulariser_is_applied(model, batch),
        "test is touched once": PASSED if test_passes == 1 else f"the test rows were predicted {test_passes} times",
    }
    if ROW_WEIGHT in batch:
        checks["weights reach the loss"] = weights_reach_the_loss(model, batch)
    if load_train(seed).shuffle:
        checks["seed fixes the order"] = seed_fixes_the_order(load_train, seed)
    return checks


def own_loss_is_called(model: Any, batch: dict[str, torch.Tensor]) -> str:
    """A loss that the model defines is in vain when the training step never calls it."""
    own = [name for name in LOSS_METHODS if _definer(model, name) is not BaseModel]
    calls = dict.fromkeys(own, 0)

    def counting(name: str, method: Callable) -> Callable:
        def counted(*arguments: Any, **settings: Any) -> Any:
            calls[name] += 1
            return method(*arguments, **settings)

        return counted

    with _replaced(model, {name: counting(name, getattr(model, name)) for name in own}):
        model.train_step(batch)
    silent = [name for name, count in calls.items() if count == 0]
    return f"the training step never calls the model's own {', '.join(silent)}" if silent else PASSED


@torch.no_grad()
def rows_are_independent(model: Any, batch: dict[str, torch.Tensor]) -> str:
    """The prediction of a row must not change with the rows around it, its place among them, or earlier batches.

    A few rows are predicted in their batch, then in one of the same size that repeats them in reverse.
    """
    size = len(next(iter(batch.values())))
    few = min(FEW, size)
    order = torch.arange(size) % few
    turned = (few - 1 - order).to(next(iter(batch.values())).device)
    before = model.forward(batch)["y_pred"].float()[:few].flip(0)
    after = model.forward({name: column[turned] for name, column in batch.items()})["y_pred"].float()[:few]
    changed = float((after - before).abs().max())
    rounding = 1e-2 if isinstance(model, InBfloat16) else 1e-4
    return f"the prediction of a row changes by {changed:.2g} with the rows around it" if changed > rounding else PASSED


def parameters_are_trained(model: Any, batch: dict[str, torch.Tensor]) -> str:
    """A parameter that ``forward`` never uses gets no gradient, but counts in the model's size."""
    model.train_step(batch)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    unused = [f"{name} {tuple(p.shape)}" for name, p in named if p.grad is None]
    more = f" and {len(unused) - MOST_NAMED} more" if len(unused) > MOST_NAMED else ""
    return f"no gradient reaches {', '.join(unused[:MOST_NAMED])}{more}" if unused else PASSED


def regulariser_is_applied(model: Any, batch: dict[str, torch.Tensor]) -> str:
    """With a loss of zero, what gradient is left is the regulariser's: there must be one where one was asked for."""
    asked = [kind for kind in ("embedding", "net") if getattr(model, f"_{kind}_regularizer", None)]
    if not asked or _definer(model, "compute_loss") is not BaseModel:
        return PASSED
    with _replaced(model, {"add_loss": lambda outputs, labels: 0.0 * outputs["y_pred"].sum()}):
        model.train_step(batch)
    applied = any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.requires_grad)
    return PASSED if applied else f"the {' and '.join(asked)} regulariser adds nothing to the gradient"


def weights_reach_the_loss(model: Any, batch: dict[str, torch.Tensor]) -> str:
    """A loss that does not average by ``loss_fn`` counts every row alike, whatever its weight."""
    calls = []

    def counted(*arguments: Any, **settings: Any) -> torch.Tensor:
        calls.append(1)
        return loss(*arguments, **settings)

    loss = model.loss_fn
    model.loss_fn = counted
    try:
        model.train_step(batch)
    finally:
        model.loss_fn = loss
    return PASSED if calls else "the training step never calls loss_fn, so the weights of rows change nothing"


def seed_fixes_the_order(load_train: LoadTrain, seed: int) -> str:
    """Equal seeds must give equal batches, and another seed others."""
    first, again, other = (next(iter(load_train(number))) for number in (seed, seed, seed + 1))
    if not all(torch.equal(first[name], again[name]) for name in first):
        return "the same seed gives another order of the training rows"
    if all(torch.equal(first[name], other[name]) for name in first):
        return "another seed gives the same order of the training rows"
    return PASSED


def _definer(model: Any, name: str) -> type:
    """The class of the model, leaving out what the harness mixes in, that defines a method."""
    classes = [c for c in type(model).__mro__ if not c.__module__.startswith("fuxi_plugins.training")]
    return next(c for c in classes if name in vars(c))


@contextmanager
def _replaced(model: Any, methods: dict[str, Callable]) -> Iterator[None]:
    """Puts functions in the place of methods, for a while."""
    for name, function in methods.items():
        object.__setattr__(model, name, function)
    try:
        yield
    finally:
        for name in methods:
            object.__delattr__(model, name)
