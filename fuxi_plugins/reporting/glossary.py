"""The words of boards, commands and messages, in plain sentences.

docs/glossary.md is made from them, and the site shows them at the heads of its tables. Metrics have explanations in
their own table (:mod:`fuxi_plugins.records.metrics`).
"""

from fuxi_plugins.records.metrics import find_metric, is_metric

# word -> explanation, in alphabetical order
GLOSSARY: dict[str, str] = {
    "BARS": (
        "The public CTR benchmark at github.com/reczoo/BARS. Published values and tuned settings come from there."
    ),
    "baseline": (
        "A model that the others are compared with in a paper's table. "
        "A star marks values that are significantly better than the best baseline."
    ),
    "Bayes row": (
        "The score of the true click probabilities on a synthetic dataset. A model can exceed it only by chance."
    ),
    "board": "A leaderboard: the table that ranks the experiments of one suite on one dataset by a test metric.",
    "cache": (
        "The folder of prepared data and checkpoints, .cache/ or $FUXIBENCH_CACHE. Everything in it can be made again."
    ),
    "chosen configuration": "The settings with the best validation score, and how many configurations were tried.",
    "cluster": (
        "Test rows that are not independent, such as the rows of one user. Intervals treat each cluster as one unit. "
        "A Ray cluster is something else: several machines that share the runs."
    ),
    "common board": (
        "A board on which every model has the same configuration and no tuning. "
        "It checks that the models work; it does not say which is best."
    ),
    "dense parameters": "Number of trained parameters outside the embedding tables.",
    "deviations": "The list, in a record, of all points in which a run differs from plain FuxiCTR.",
    "difference": "Our mean minus the published value.",
    "digest": (
        "A hash of a run's dataset, model, settings and code. Runs with equal digest, seed and data are the same run, "
        "so nothing is trained twice."
    ),
    "effective rank": (
        "The number of directions over which the values of a matrix spread. A low value means that token embeddings "
        "have collapsed onto few directions."
    ),
    "embedding parameters": "Number of parameters in the embedding tables.",
    "evidence": (
        "The file BOARD.statistics.json with the sampling errors of the test metrics. It holds no labels. "
        "With it a machine without the dataset computes the same intervals."
    ),
    "expected best": "The best validation score of k trials, averaged over all ways to draw k of the trials.",
    "experiment": "One model with one configuration on one dataset: an entry of a YAML file, run with several seeds.",
    "fingerprint": "A hash of the prepared data. Runs on data with different fingerprints cannot share a board.",
    "gap": "Our mean minus the published value.",
    "group": "The rows of one user or session, as the dataset's group_id says. gAUC, MRR and NDCG rank within groups.",
    "Holm's procedure": (
        "Adjusts p values for many comparisons: the chance of even one false significant difference on a board is at "
        "most about 5%."
    ),
    "honest": (
        "In a dataset's name: the validation set is taken from train, although the published split uses the test set."
    ),
    "hparam_source": "The key of an experiment's config that boards show as settings.",
    "interval": (
        "The 95% confidence interval of a model's expected test metric. It counts the noise between seeds and, where "
        "the labels are known, the sampling of test rows."
    ),
    "lease": (
        "A small file that says which process executes a run, so that several machines can share one results folder. "
        "It expires when that process dies."
    ),
    "ledger": "The table of every published value beside our result, with a verdict on whether we reproduce it.",
    "letters": "Two rows share a letter if and only if their difference is not statistically significant.",
    "model": "The name of a row: the model, with its variant or changed training options if there are any.",
    "noise between seeds": "How much the test metric changes when only the random seed changes.",
    "null line": (
        "The value of a measure for the untrained model and for random numbers. "
        "The distance from it is the effect of training."
    ),
    "p value": (
        "The probability that two equally good models differ at least this much by chance. An adjusted p accounts for "
        "all pairs that are compared on the board (Holm's procedure)."
    ),
    "plateau": (
        "A part of training in which the validation metric barely changes before it rises again. "
        "Early stopping may end a run there."
    ),
    "prepared data": "A dataset after preprocessing, as training reads it. It is stored in the cache.",
    "probe": "An extra measurement, such as effective ranks. It changes no result.",
    "protocol": (
        "The rules by which the models of a paper_ suite get their sizes: equal sizes (matched), the sizes of the "
        "authors' code (repository), or those of the paper's equations (paper)."
    ),
    "published value": "The metric that a paper or BARS reports for the model.",
    "rank": "Position of the model by its mean test metric over seeds.",
    "rank range": (
        "The numbers in brackets, as in 2 (1–6): the ranks that are still possible. They are below all models that are "
        "significantly better and above all that are significantly worse."
    ),
    "record": "The file record.json of a run: settings, data, metrics of every epoch, test metrics, cost and versions.",
    "revision": "The version number of a model's code. It rises when a change to the code changes the model's results.",
    "role": (
        "The purpose of a run: a result of a board, a trial of a search, or one variant of a study. The record has it."
    ),
    "row": "On a board: one model with its settings. In a dataset: one impression, with its features and its label.",
    "run": "One experiment trained and tested with one seed.",
    "runner": "A process of the command fuxibench run. Several runners may share a results folder.",
    "s / epoch": "Mean training time of an epoch in seconds. Compare it only between runs on the same idle machine.",
    "sanity check": (
        "A test after each run for failures that raise no error, such as a loss that does not fall or a regulariser "
        "that is never applied."
    ),
    "search": "Tuning: several configurations of one model are trained and the best on validation is chosen.",
    "search space": "The hyper-parameters that a search varies, and their ranges.",
    "seed": "The number that fixes the initial weights and the order of the data. Boards count the finished seeds.",
    "settings": (
        "Where the hyper-parameters of a row come from: FuxiCTR's defaults (default), a paper or BARS (published), "
        "or a search of this project (tuned)."
    ),
    "smallest detectable difference": (
        "The true difference between two models that one planned comparison finds to be significant with a probability "
        "of 80%. A board shows it for the median pair: half of all pairs of models need a larger one. "
        "Much smaller differences stay undecided."
    ),
    "stage": "A point in the depth of a model, such as the output of a block, where effective ranks are measured.",
    "study": "Runs that vary one thing at a time, such as an ablation or a scaling curve.",
    "submission": "A zip of an experiment's runs with predictions, from which others can recompute its metrics.",
    "suite": "A named list of experiments and seeds in one YAML file. Running it makes a board.",
    "template": "A YAML file from which the paper_ suites make their experiments on any dataset.",
    "trial": "One configuration of a search, trained once.",
    "twin": (
        "A synthetic dataset in the raw format of a real one, to try things out offline. "
        "Its scores say nothing about the real dataset."
    ),
    "unverified": (
        "Of a row that others sent: its metrics were not recomputed here. It stands below the ranking and decides "
        "nothing."
    ),
    "valid": "The validation metric at the epoch that was kept. Epochs and configurations are chosen by it.",
    "valid = test": "A published split whose validation set is its test set: early stopping has seen the test labels.",
    "variant": "How a run differs from the others of its model: changed settings, another size, or an ablation.",
    "verdict": (
        "The result of comparing our mean with the published value: reproduced, above, below or not comparable. "
        "Reproduced means that the noise between seeds explains the difference."
    ),
    "warning": "A mark (⚠) on a model that failed a sanity check. Read the reason before you use the model's numbers.",
    "workspace": "The folder in which you use fuxibench. It holds your configs and results.",
    "zoo": "The models in a checkout of FuxiCTR. They run here under names such as zoo:DeepFM.",
}  # fmt: skip

# Heads of the site's tables -> the word that explains them, where the two differ.
HEADS = {
    "95% interval": "interval",
    "95% of seeds": "interval",
    "bars": "BARS",
    "bars mean": "BARS",
    "bars best": "BARS",
    "best": "search",
    "chosen": "chosen configuration",
    "dense": "dense parameters",
    "embedding": "embedding parameters",
    "one trial": "expected best",
    "published": "published value",
    "paper": "published value",
    "seeds": "seed",
    "space": "search space",
    "trials": "trial",
}


def explanation(head: str) -> str:
    """What a table's head means, or nothing where it needs no words."""
    if is_metric(head):
        metric = find_metric(head)
        return f"{metric.meaning} {metric.direction.capitalize()}."
    word = head.casefold()
    return GLOSSARY.get(HEADS.get(word, word), "")
