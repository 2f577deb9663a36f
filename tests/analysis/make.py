"""Records made up for tables small enough to check by hand."""

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.records.parts import Code, DataCard, Epoch, Parameters, Seconds
from fuxi_plugins.records.record import Record, make_record, run_digest


def card(**changes) -> DataCard:
    settings = {
        "fingerprint": "f" * 64,
        "title": "Made up",
        "rows": {"train": 8, "valid": 4, "test": 4},
        "positive_rate": {"train": 0.5, "valid": 0.5, "test": 0.25},
    }
    return DataCard(**{**settings, **changes})


def record(
    display_name="A", seed=1, test=0.7, valid=0.6, *, experiment=None, failed="", data=None, **changes
) -> Record:
    fields = {
        "dataset": "toy",
        "experiment": experiment or f"{display_name}_toy",
        "model": display_name,
        "display_name": display_name,
        "seed": seed,
        "params": {"model": {}, "training": {}},
        "code": Code(model="revision 1", training="revision 1"),
        "started": "2026-01-01T00:00:00+00:00",
        "data": data or card(),
    }
    if failed:
        return with_digest({**fields, "status": "failed", "reason": failed, **changes})
    fields |= {
        "status": "finished",
        "metrics": {"valid": {"AUC": valid, "logloss": 1 - valid}, "test": {"AUC": test, "logloss": 1 - test}},
        "best_epoch": 1,
        "history": [
            Epoch(epoch=1, step=1, train_loss=0.5, learning_rate=1e-3, valid={}, seconds=2.0, evaluation_seconds=1.0)
        ],
        "parameters": Parameters(dense=1234, embedding=56789),
        "seconds": Seconds(train=2.0, evaluation=1.0, total=4.0, per_epoch=2.0),
    }
    return with_digest({**fields, **changes})


def with_digest(fields: dict) -> Record:
    """The record with the digest that its other fields give."""
    named = run_digest(fields["dataset"], fields["model"], fields["params"], fields["code"])
    return make_record({"digest": named, **fields})


def suite_board(dataset: str, values: dict[str, list[float]], results, metric="AUC", **failed: str) -> SuiteBoard:
    """A board, with its uncertainty, of models by their test AUC of each seed; logloss is 1 - AUC.

    Args:
        failed: models without a finished run, with the reason.
    """
    records = [
        record(name, seed, value, dataset=dataset, experiment=f"{name}_{dataset}")
        for name, found in values.items()
        for seed, value in enumerate(found, 1)
    ]
    records += [
        record(name, 1, dataset=dataset, experiment=f"{name}_{dataset}", failed=reason)
        for name, reason in failed.items()
    ]
    return board_of(dataset, records, results, metric)


def board_of(dataset: str, records: list[Record], results, metric="AUC") -> SuiteBoard:
    cells = [Cell(dataset, one.experiment, one.display_name, one.seed) for one in records]
    board = build_leaderboard(dataset, records, cells, results, metric)
    return SuiteBoard(f"{dataset}_board", with_uncertainty(board, None))
