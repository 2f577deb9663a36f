"""Figures of effective rank: along the model, its distribution, during training, of embedding tables, against AUC."""

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import gaussian_kde, spearmanr

from fuxi_plugins.records.parts import RankFamily
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.study import Study, short_stage
from fuxi_plugins.reporting.paper.style import Drawing, drawing, look

NAMES = {"entropy": "entropy rank", "stable": "stable rank"}
DEFINITIONS = (
    "Entropy rank is exp(-sum p ln p) of the normalised singular values p, stable rank is sum s^2 / s_1^2. Both are "
    "of the matrix of tokens of a row, as mean over rows"
)


def trajectories(study: Study) -> Drawing:
    """Rank from stage to stage, with the untrained model of the same seeds and Gaussian matrices beside it."""
    probed = {
        display_name: records for display_name, records in study.probed().items() if records[0].ranks.row_families
    }
    token_models = {p: r for p, r in probed.items() if "tokens" in r[0].ranks.stages}
    others = {p: {p: r} for p, r in probed.items() if p not in token_models}
    panels = [*([token_models] if token_models else []), *others.values()]
    with drawing(4.2 + 2.7 * (len(panels) - 1), 5.2) as figure:
        widths = [1.5 if panel is token_models else 1 for panel in panels]
        grid = figure.subplots(2, len(panels), squeeze=False, sharey="row", width_ratios=widths)
        for row, measure in enumerate(NAMES):
            for axes, panel in zip(grid[row], panels, strict=True):
                for display_name, records in panel.items():
                    _trajectory(axes, display_name, records, measure)
                axes.set_title(" and ".join(panel) if row == 0 else "")
                axes.set_ylim(0, 1.04)
                if row == 0:
                    axes.legend(loc="lower right" if panel is token_models else "upper right")
            grid[row][0].set_ylabel(f"{NAMES[measure]} / its cap")
    caption = (
        f"Effective rank along the model on {study.dataset} ({study.protocol}, {study.seeds}). Filled markers: "
        "trained weights, with bars from the lowest to the highest seed. Open markers: untrained models of the same "
        f"seeds. Dotted: independent normal numbers of the same shape. {DEFINITIONS}, divided by the smaller side of "
        f"the matrix, whose shape is given below each stage. {_sample(probed)}"
    )
    return Drawing(f"trajectories-{study.name}", figure, caption)


def densities(study: Study) -> Drawing:
    """The distribution over rows at each stage, trained and untrained, RankElastor against RankMixer."""
    records = {p: r for p, r in study.probed().items() if "tokens" in r[0].ranks.stages}
    stages = list(next(iter(records.values()))[0].ranks.row_families)
    columns = min(3, len(stages))
    with drawing(2.6 * columns, 1.9 * -(-len(stages) // columns) + 0.5) as figure:
        grid = figure.subplots(-(-len(stages) // columns), columns, squeeze=False)
        for axes, stage in zip(grid.flat, stages, strict=False):
            for place, (display_name, runs) in enumerate(records.items()):
                style = look(display_name, place)
                before, after = (
                    np.concatenate([_of_rows(study, r, stage, moment) for r in runs]) for moment in (0, -1)
                )
                _density(axes, after, color=style["color"], linestyle=style["linestyle"], label=display_name)
                _density(axes, before, color=style["color"], linestyle=":", label=f"{display_name}, untrained")
            axes.set_title(short_stage(stage))
            axes.set_yticks([])
        for axes in grid.flat[len(stages) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("entropy rank")
        figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    caption = (
        f"Distribution over rows of the entropy rank of a row's matrix of tokens at each stage, on {study.dataset} "
        f"({study.protocol}, {study.seeds} pooled). Dotted: the untrained models. {_sample(records)}"
    )
    return Drawing(f"densities-{study.name}", figure, caption)


def dynamics(study: Study) -> Drawing:
    """The last block's rank before training, after the 1st, 2nd, 4th, ... evaluation, and of the reported weights."""
    records = {p: r for p, r in study.probed().items() if "tokens" in r[0].ranks.stages}
    stages = list(next(iter(records.values()))[0].ranks.row_families)
    last_mixing = [stage for stage in stages if stage.startswith("mixing")][-1]
    shown = ["tokens", last_mixing, stages[-1]]
    with drawing(7.6, 2.7) as figure:
        grid = figure.subplots(1, len(shown), sharey=True)
        for axes, stage in zip(grid, shown, strict=True):
            for place, (display_name, runs) in enumerate(records.items()):
                style = look(display_name, place)
                for number, run in enumerate(runs):
                    epochs, means = _over_time(study, run, stage)
                    axes.plot(epochs[:-1], means[:-1], **style, alpha=0.9, label=display_name if number == 0 else None)
                    axes.plot(run.best_epoch, means[-1], marker="*", markersize=10, color=style["color"], mec="white")
            axes.axhline(
                runs[0].ranks.row_families[stage].gaussian["entropy"], color="#888888", linestyle=":", linewidth=1
            )
            axes.set_title(short_stage(stage))
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        grid[0].set_ylabel("entropy rank of a row, mean")
        grid[0].legend()
    caption = (
        f"Entropy rank of a row's matrix of tokens during training on {study.dataset} ({study.protocol}), one "
        "line per seed. Epoch 0 is the untrained model; a star marks the weights that validation chose. Dotted: "
        f"independent normal numbers. {_sample(records)}"
    )
    return Drawing(f"dynamics-{study.name}", figure, caption)


def tables(study: Study) -> Drawing:
    """Information abundance of every field's embedding table against the size of its vocabulary."""
    records = study.probed()
    with drawing(4.6, 3.2) as figure:
        axes = figure.subplots()
        for place, (display_name, runs) in enumerate(records.items()):
            sizes, before, after = _tables(study, runs[0])
            style = look(display_name, place)
            axes.plot(sizes, after, linestyle="", color=style["color"], marker=style["marker"], label=display_name)
            if place == 0:
                axes.plot(sizes, before, linestyle="", color="#333333", marker="_", markersize=9, label="untrained")
        width = max(family.token.columns for family in runs[0].ranks.stages.values() if family.row)
        axes.set_xscale("log")
        axes.set_xlabel("vocabulary of the field")
        axes.set_ylabel("information abundance of its table")
        axes.set_ylim(0, None)
        axes.legend()
    caption = (
        f"Embedding tables on {study.dataset} ({study.protocol}, one seed): the sum of the singular values divided "
        f"by the largest, for each field, against the size of its vocabulary. It is at most that size, and at most "
        f"{width}. Dashes: the untrained tables of the first model. Padding is left out."
    )
    return Drawing(f"tables-{study.name}", figure, caption)


def auc_against_rank(records: Sequence[FinishedRun], dataset: str, protocol: str) -> Drawing:
    """Probed runs of token models: does a higher rank go with a higher AUC?"""
    runs = list(records)
    with drawing(8.2, 3.3) as figure:
        grid = figure.subplots(1, 2, sharey=True)
        words = []
        for axes, measure in zip(grid, NAMES, strict=True):
            ranks = [_last(r).trained[measure] / _last(r).cap for r in runs]
            aucs = [r.metrics["test"]["AUC"] for r in runs]
            for place, display_name in enumerate(dict.fromkeys(r.display_name for r in runs)):
                chosen = [i for i, r in enumerate(runs) if r.display_name == display_name]
                style = look(display_name, place)
                axes.plot([ranks[i] for i in chosen], [aucs[i] for i in chosen], linestyle="", label=display_name,
                          color=style["color"], marker=style["marker"])  # fmt: skip
            axes.set_xlabel(f"{NAMES[measure]} after the last block / cap")
            if len(set(ranks)) > 2:
                found = spearmanr(ranks, aucs)
                words.append(f"{found.statistic:+.2f} (p {found.pvalue:.2g}) for the {NAMES[measure]}")
        grid[0].set_ylabel("test AUC")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center")
    caption = (
        f"Test AUC against effective rank after the last block, for the {len(runs)} runs on {dataset} with ranks. "
        f"Spearman's correlation: {', '.join(words) or 'too few runs'}. Runs of one model are not independent, and "
        "models differ in more than rank, so this shows no cause."
    )
    return Drawing(f"auc-against-rank-{dataset}-{protocol}", figure, caption)


def _last(record: FinishedRun) -> RankFamily:
    return list(record.ranks.row_families.values())[-1]


def _trajectory(axes: Axes, display_name: str, records: Sequence[FinishedRun], measure: str) -> None:
    stages = records[0].ranks.row_families
    families = [[record.ranks.row_families[name] for record in records] for name in stages]
    caps = np.array([seeds[0].cap for seeds in families])
    x = np.arange(len(stages))
    after = np.array([[family.trained[measure] for family in seeds] for seeds in families]) / caps[:, None]
    before = np.array([[family.untrained[measure] for family in seeds] for seeds in families]) / caps[:, None]
    style = look(display_name)
    mean = after.mean(axis=1)
    half_widths = np.abs(np.stack([after.min(axis=1), after.max(axis=1)]) - mean)
    axes.errorbar(x, mean, yerr=half_widths, capsize=2, label=display_name, **style)
    axes.plot(x, before.mean(axis=1), color=style["color"], marker=style["marker"], linestyle=style["linestyle"],
              markerfacecolor="white", linewidth=0.8, alpha=0.75, label=f"{display_name}, untrained")  # fmt: skip
    gaussian = [seeds[0].gaussian[measure] for seeds in families] / caps
    axes.plot(x, gaussian, color="#888888", linestyle=":", linewidth=1, zorder=0)
    shapes = [f"{seeds[0].rows}×{seeds[0].columns}" for seeds in families]
    names = [f"{short_stage(name)}\n{shape}" for name, shape in zip(stages, shapes, strict=True)]
    axes.set_xticks(x, names, fontsize=7)


def _of_rows(study: Study, record: FinishedRun, stage: str, moment: int) -> np.ndarray:
    """(rows,) entropy rank of each row of the sample at one of the measurements."""
    with h5py.File(study.rank_file(record)) as file:
        return file[stage]["row"]["entropy"][moment]


def _over_time(study: Study, record: FinishedRun, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and means over rows, the reported weights last."""
    with h5py.File(study.rank_file(record)) as file:
        return file["epoch"][:], file[stage]["row"]["entropy"][:].mean(axis=1)


def _tables(study: Study, record: FinishedRun) -> tuple[list[int], list[float], list[float]]:
    with h5py.File(study.rank_file(record)) as file:
        tables = [file["tables"][name] for name in file["tables"]]
        return [t.attrs["vocabulary"] for t in tables], [t[0] for t in tables], [t[-1] for t in tables]


def _density(axes: Axes, values: np.ndarray, **style: Any) -> None:
    if np.ptp(values) < 1e-9:
        axes.axvline(values[0], **style)
        return
    x = np.linspace(values.min() - 0.3, values.max() + 0.3, 200)
    axes.plot(x, gaussian_kde(values)(x), **style)


def _sample(records: Mapping[str, Sequence[FinishedRun]]) -> str:
    sample = next(iter(records.values()))[0].ranks.sample
    return f"Sample: {sample} evenly spaced validation rows."
