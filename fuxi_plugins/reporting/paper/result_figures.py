"""Figures of scores and costs: ablation effects, scaling curves, costs, and what a block's parts do to a spectrum."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.numbers import auc_effect, fit_power_law
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.style import Drawing, drawing, look

REFERENCE = "RankElastor"


def ablation(study: Study) -> Drawing:
    """Every variant less RankElastor."""
    effects = {
        variant: effect
        for variant in study.variants
        if variant != REFERENCE and (effect := auc_effect(study, variant, REFERENCE))
    }
    with drawing(6.2, 0.5 + 0.27 * len(effects)) as figure:
        axes = figure.subplots()
        for place, effect in enumerate(reversed(effects.values())):
            axes.plot(effect.by_seed, [place] * len(effect.by_seed), "o", color="#9a9a9a", markersize=3.5)
            if interval := effect.difference.interval:
                axes.plot([interval.low, interval.high], [place, place], color="#0b3c5d", linewidth=1.6)
            axes.plot(effect.mean, place, "D", color="#0b3c5d")
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_yticks(range(len(effects)), list(reversed(effects)))
        axes.set_xlabel(f"test AUC minus that of {REFERENCE}")
        everything = [value for effect in effects.values() for value in (effect.mean, *effect.by_seed)]
        limit = 1.6 * max(map(abs, everything))
        axes.set_xlim(-limit, limit)
    caption = (
        f"Ablation on {study.dataset} ({study.protocol}, {study.seeds}): test AUC of a variant minus RankElastor's. "
        "Dots: seeds that both have. Diamonds: the difference of the means. Lines: its 95% interval, from the sampling "
        "of test rows and the noise between seeds; wider intervals are cut at the frame."
    )
    return Drawing(f"ablation-{study.name}", figure, caption)


def scaling(study: Study) -> Drawing:
    """AUC and logloss against dense parameters, with a power law fitted to the logloss."""
    variants: dict[str, list[FinishedRun]] = {}
    for display_name in study.variants:
        variants.setdefault(display_name.split(" ")[0], []).extend(study.records.get(display_name, []))
    words = []
    with drawing(7.2, 3.0) as figure:
        grid = figure.subplots(1, 2)
        for place, (variant, records) in enumerate(variants.items()):
            if not records:
                continue
            sizes = np.array([record.parameters.dense for record in records], np.float64)
            style = look(variant, place)
            for axes, metric in zip(grid, ("AUC", "logloss"), strict=True):
                values = np.array([record.metrics["test"][metric] for record in records])
                distinct = np.unique(sizes)
                means = [values[sizes == size].mean() for size in distinct]
                axes.plot(sizes, values, linestyle="", color=style["color"], marker=style["marker"], alpha=0.35)
                axes.plot(distinct, means, **style, label=variant)
            fit = fit_power_law(sizes, [record.metrics["test"]["logloss"] for record in records])
            if fit:
                span = np.geomspace(sizes.min(), sizes.max(), 50)
                grid[1].plot(span, fit(span), color=style["color"], linewidth=0.8, linestyle=":")
                words.append(f"{variant} {fit.exponent:+.4f} [{fit.low:+.4f}, {fit.high:+.4f}]")
        for axes, metric in zip(grid, ("AUC", "logloss"), strict=True):
            axes.set_xscale("log")
            axes.set_xlabel("dense parameters")
            axes.set_ylabel(f"test {metric}")
        grid[0].legend()
    caption = (
        f"{study.title}: the two models at equal dense parameters, {study.seeds} per size. Dotted: logloss = c "
        "N^b, fitted to the logarithms by least squares; b with its 95% bootstrap interval: "
        f"{'; '.join(words) or 'too few sizes'}."
    )
    return Drawing(f"{study.suite.removeprefix('paper_')}-{study.dataset}-{study.protocol}", figure, caption)


def costs(study: Study) -> Drawing:
    """Training time of an epoch and dense parameters."""
    variants = [variant for variant in study.variants if study.records.get(variant)]
    with drawing(6.6, 0.7 + 0.32 * len(variants)) as figure:
        grid = figure.subplots(1, 2, sharey=True)
        seconds = [np.median([r.seconds.per_epoch for r in study.records[variant]]) for variant in variants]
        dense = [study.records[variant][0].parameters.dense for variant in variants]
        for axes, values, label, form in (
            (grid[0], seconds, "seconds of training an epoch", "{:.3g}"),
            (grid[1], dense, "dense parameters", "{:,.0f}"),
        ):
            bars = axes.barh(
                range(len(variants)), values, color=["#0b3c5d" if a == REFERENCE else "#b8c4cc" for a in variants]
            )
            axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=7)
            axes.set_yticks(range(len(variants)), variants)
            axes.set_xlabel(label)
            axes.margins(x=0.2)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            axes.grid(axis="y", visible=False)
        grid[0].invert_yaxis()
    machine = study.records[variants[0]][0].machine
    where = f"{machine.threads} thread(s) of {machine.processor} ({machine.device})" if machine else "unknown machine"
    caption = (
        f"Cost on {study.dataset} ({study.protocol}): median over runs, {where}. Runs were made one after the "
        "other, so other work on the machine may have slowed some of them."
    )
    return Drawing(f"costs-{study.name}", figure, caption)


def spectra_through_parts(path: Path) -> Drawing:
    """What the parts of a block do at their start to matrices of given spectra; from ``scripts/check_bounds.py``."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    shape = (rows[0]["num_tokens"], rows[0]["token_dim"])
    rows = [row for row in rows if (row["num_tokens"], row["token_dim"]) == shape]
    with drawing(6.6, 2.9) as figure:
        grid = figure.subplots(1, 2)
        for axes, measure in zip(grid, ("entropy", "stable"), strict=True):
            for place, part in enumerate(dict.fromkeys(row["part"] for row in rows)):
                own = [row for row in rows if row["part"] == part]
                before = [float(row[f"{measure}_in"]) for row in own]
                after = [float(row[f"{measure}_out"]) for row in own]
                known = {"X + P X": "RankMixer", "full mixing": REFERENCE}
                axes.plot(before, after, **look(known.get(part, part), place), label=part)
            axes.plot([1, int(shape[0])], [1, int(shape[0])], color="#333333", linewidth=0.7)
            if measure == "stable":
                axes.set(xscale="log", yscale="log")
            axes.set_xlabel(f"{measure} rank of the input")
            axes.set_ylabel("of the output")
        grid[0].legend()
    caption = (
        f"Parts of a block at their initialisation, {shape[0]} tokens of width {shape[1]}: effective rank of the "
        "output against that of the input. The input's singular values fall as i^-a, with a = 0, 0.5, 1, 2; its "
        "singular vectors are random. Above the thin line a part raises the rank. No weights are trained."
    )
    return Drawing("spectra-through-parts", figure, caption)
