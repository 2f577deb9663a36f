"""The words of boards, commands and messages, in plain sentences.

docs/glossary.md is made from them, and the site shows them at the heads of its tables. Metrics have explanations in
their own table (:mod:`fuxi_plugins.records.metrics`).
"""

# word -> explanation, in alphabetical order
GLOSSARY: dict[str, str] = {
    "BARS": (
        "The public CTR benchmark at github.com/reczoo/BARS. Published values and tuned settings come from there."
    ),
    "baseline": "A row that others are compared with in a LaTeX table; a star marks what beats all baselines.",
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
        "(A Ray cluster is something else: several machines that share the runs.)"
    ),
    "common board": (
        "A board on which every model has the same configuration and no tuning. "
        "It checks that the models work; it does not say which is best."
    ),
    "dense parameters": "Number of trained parameters outside the embedding tables.",
    "deviations": "The list, in a record, of all settings by which a run differs from plain FuxiCTR.",
    "difference": "Our mean minus the published value.",
    "digest": (
        "A hash of a run's dataset, model, settings and code. Runs with equal digest, seed and data are the same run, "
        "so nothing is trained twice."
    ),
    "effective rank": (
        "How many directions the values of a matrix really use. A low value means that token embeddings have collapsed "
        "onto few directions."
    ),
    "embedding parameters": "Number of parameters in the embedding tables.",
    "evidence": (
        "The file <board>.statistics.json with the sampling errors of the test metrics. It holds no labels, and lets "
        "a machine without the dataset compute the same intervals."
    ),
    "expected best": "The best validation score of k trials, averaged over all ways to draw k of the trials.",
    "experiment": "One model with one configuration on one dataset: an entry of a YAML file, run with several seeds.",
    "fingerprint": "A hash of the prepared data. Runs on data with different fingerprints cannot share a board.",
    "gap": "Our mean minus the published value.",
    "group": "The rows of one user or session, as the dataset's group_id says. gAUC, MRR and NDCG rank within groups.",
    "honest": (
        "In a dataset's name: the validation set is held out of train, where the published split uses the test set."
    ),
    "hparam_source": (
        "Where the hyper-parameters of a row come from: FuxiCTR's defaults (default), a paper or BARS (published), "
        "or a search of this project (tuned). Boards show it as settings."
    ),
    "interval": (
        "The 95% confidence interval of a model's expected test metric. It counts the noise between seeds and, where "
        "the labels are known, the sampling of test rows."
    ),
    "lease": (
        "A small file that says which process is carrying out a run, so that several machines can share one results "
        "folder. It expires when that process dies."
    ),
    "ledger": "The table of every published value beside our result, with a verdict on whether we reproduce it.",
    "letters": "Two rows share a letter if and only if their difference is not statistically significant.",
    "model": "The name of a row: the model, with its variant or changed training options where it has any.",
    "noise between seeds": "How much the test metric changes when only the random seed changes.",
    "null line": (
        "The value of a measure without any training, for the untrained model and for random numbers. "
        "What training did is the distance from it."
    ),
    "p value": (
        "The probability that two equally good models differ at least this much by chance. An adjusted p accounts for "
        "all pairs that are compared on the board (Holm's procedure)."
    ),
    "plateau": (
        "A stretch of training on which the validation metric barely moves before it rises again. "
        "Early stopping may end a run there."
    ),
    "prepared data": "A dataset after preprocessing, as training reads it. It is stored in the cache.",
    "probe": "An extra measurement during training, such as effective ranks. It changes no result.",
    "protocol": (
        "The rules by which the models of a paper suite get their sizes: equal sizes (matched), as the authors' code "
        "(repository), or as the paper's equations (paper)."
    ),
    "published value": "The metric that a paper or BARS reports for the model.",
    "rank": "Place of the row by its mean test metric over seeds.",
    "rank range": (
        "The numbers in brackets, as in 2 (1–6): the ranks that remain possible. The row ranks below all rows that are "
        "significantly better and above all that are significantly worse."
    ),
    "record": "The file record.json of a run: settings, data, metrics of every epoch, test metrics, cost and versions.",
    "revision": "The number of a model's code. It rises when a change to the code changes the model's results.",
    "role": (
        "What a run was made for: a result of a board, a trial of a search, or one variant of a study. "
        "The record says it."
    ),
    "run": "One experiment trained and tested with one seed.",
    "runner": "One fuxibench run command at work. Several runners may share a results folder.",
    "s / epoch": "Mean training time of an epoch in seconds. Compare it only between runs on the same idle machine.",
    "sanity check": (
        "A test after each run for failures that raise no error, such as a loss that does not fall or a regulariser "
        "that is never applied."
    ),
    "search": "Tuning: several configurations of one model are trained and the best on validation is chosen.",
    "search space": "The hyper-parameters that a search varies, and their ranges.",
    "seed": "The number that fixes the initial weights and the order of the data. Boards count the finished seeds.",
    "settings": "Where the hyper-parameters come from; see hparam_source.",
    "smallest detectable difference": (
        "The difference between two models that one planned comparison would find with a probability of 80%. "
        "Much smaller differences stay undecided."
    ),
    "stage": "A place along the depth of a model, such as the output of a block, where effective ranks are measured.",
    "study": "Runs that vary one thing at a time, such as an ablation or a scaling curve.",
    "submission": "A zip of an experiment's runs with predictions, from which others can recompute its metrics.",
    "suite": "A named list of experiments and seeds in one YAML file. Running it makes a board.",
    "template": "A YAML file from which one suite makes its experiments on any dataset, as the paper_ suites do.",
    "trial": "One configuration of a search, trained once.",
    "twin": (
        "A synthetic dataset in the raw format of a real one, for rehearsals. "
        "Its scores say nothing about the real dataset."
    ),
    "unverified": (
        "Of a row that others sent: its metrics were not recomputed here. It stands below the ranking and decides "
        "nothing."
    ),
    "valid": "The validation metric at the epoch that was kept. Epochs and configurations are chosen by it.",
    "valid = test": "A published split whose validation set is its test set: early stopping has seen the test labels.",
    "variant": "What sets a run apart from the others of its model: changed settings, another size, or an ablation.",
    "verdict": (
        "Our mean against the published value: reproduced, above, below or not comparable. Reproduced means that the "
        "noise between seeds explains the difference."
    ),
    "warning": (
        "A mark (⚠) on a row of which a sanity check failed. Read the reason before you use the row's number."
    ),
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
    word = head.casefold()
    return GLOSSARY.get(HEADS.get(word, word), "")
