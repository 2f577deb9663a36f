"""A published folder of configs, FuxiCTR's, BARS's or the RankElastor authors' -> one experiment with its data here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuxi_plugins.core.configs import config_files
from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.explain import describe
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import load_published_yaml, yaml_text
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.experiments.experiment import NAME_CHARACTERS
from fuxi_plugins.experiments.translation.accounts import Account
from fuxi_plugins.experiments.translation.dataset import (
    Places,
    overriding,
    require_description,
    require_known,
    translate_dataset,
)
from fuxi_plugins.experiments.translation.settings import is_setting, translate_settings
from fuxi_plugins.models import checkouts


@dataclass(frozen=True)
class Translated:
    """A folder of configs that holds one experiment and its dataset, and what became of the published ones."""

    configs: Path
    dataset_id: str
    accounts: list[Account] = field(default_factory=list)  # of each setting of the experiment and of the dataset
    remarks: list[str] = field(default_factory=list)  # what was decided on the way
    at_hand: bool = True  # whether the files of the dataset are there


@dataclass(frozen=True)
class Published:
    """An experiment and its dataset as a folder says them, ``Base`` included."""

    experiment: dict[str, Any]
    dataset_id: str
    dataset: dict[str, Any]
    dataset_file: Path
    remarks: list[str]

    def unaccounted(self, accounts: Iterable[Account]) -> set[str]:
        """The settings that stand in no account; there must be none."""
        return {*self.experiment, *self.dataset} - {account.name for account in accounts}


def published_ids(folder: Path) -> list[str]:
    """The experiments of a folder.

    Raises:
        UserError: it has no file of experiments, or one that is not YAML.
    """
    files = _contents(folder, "model_config", [])
    return list(dict.fromkeys(name for content in files.values() for name in content if name != "Base"))


def read_published(folder: Path, experiment_id: str) -> Published:
    """One experiment of a folder.

    Raises:
        UserError: the folder is a file, there is no such experiment, it names no model, its dataset is not there, or
            two files say different things of it.
    """
    if folder.is_file():
        raise _is_a_file(folder)
    remarks: list[str] = []
    files = _contents(folder, "model_config", remarks)
    experiments = {name: None for content in files.values() for name in content if name != "Base"}
    if experiment_id not in experiments:
        raise _not_in(folder, "experiment", experiment_id, experiments)
    of_datasets = _contents(folder, "dataset_config", remarks)
    datasets = {name: dataset for content in of_datasets.values() for name, dataset in content.items()}
    is_ours = any("title" in dataset for dataset in datasets.values())
    experiment = _experiment(experiment_id, files, remarks, only_own_base=is_ours)
    for name in ("model", "dataset_id"):
        if not isinstance(experiment.get(name), str):
            raise UserError(f"{folder}: the experiment {experiment_id!r} must name its {name}.")
    dataset_id = experiment["dataset_id"]
    if dataset_id not in datasets:
        raise _not_in(folder, "dataset", dataset_id, datasets)
    told = {str(path): content[dataset_id] for path, content in of_datasets.items() if dataset_id in content}
    _require_one(told, f"the dataset {dataset_id!r}")
    return Published(experiment, dataset_id, datasets[dataset_id], Path(next(iter(told))), remarks)


def translate_folder(
    folder: Path,
    experiment_id: str,
    target: Path,
    data: Path | None = None,
    zoo: Path | None = None,
    kept_in: Workspace | None = None,
) -> Translated:
    """Writes the experiment and its dataset to ``target`` as ``model_config.yaml`` and ``dataset_config.yaml``.

    A folder that is in the form of this harness already (its datasets have titles) is left as it is.

    Args:
        folder: with FuxiCTR's ``dataset_config.yaml`` and ``model_config.yaml``, or folders of these names.
        experiment_id: which experiment.
        target: folder to write to.
        data: folder with the data files, if they do not lie where the config says.
        zoo: a checkout whose own class of the model is to run, where it has one.
        kept_in: where the configs will be kept, so that files of data that are written anew are kept there too.

    Raises:
        UserError: no such experiment or dataset, or something that cannot be followed; says all settings that cannot.
    """
    published = read_published(folder, experiment_id)
    if "title" in published.dataset:
        return Translated(folder, published.dataset_id)
    if set(experiment_id) - NAME_CHARACTERS or experiment_id.startswith("."):
        raise UserError(f"{folder}: an experiment's id becomes a folder's name, which {experiment_id!r} cannot be.")
    experiment, model, remarks = published.experiment, published.experiment["model"], list(published.remarks)
    tasks = _number_of_tasks(experiment_id, experiment, zoo)
    dataset_id, file = published.dataset_id, published.dataset_file
    require_description(dataset_id, published.dataset, file)
    stronger = overriding(published.dataset)
    remarks += [f"{name}: {value} of the dataset goes before the experiment's" for name, value in stronger.items()]
    if zoo is not None:
        model, remark = _of_the_zoo(model, zoo)
        remarks.append(remark)
    require_known(dataset_id, (name for name in stronger if not is_setting(name, model, experiment)), file)
    settings = translate_settings(model, {**experiment, **stronger})
    decoded = kept_in.decoded_folder(dataset_id) if kept_in else target / "data"
    dataset = translate_dataset(dataset_id, published.dataset, experiment, Places(folder, data), decoded)
    if settings.has_first_order and (shared := _sharing(dataset.settings["feature_cols"])):
        remarks.append(
            f"the first-order weights of {' and '.join(shared)} (share_embedding) start at N(0, 1e-4) as all others, "
            "where FuxiCTR leaves them at N(0, 1); so the results differ from FuxiCTR's"
        )
    labels, of_labels = _labels_at_once(experiment_id, tasks, dataset.labels)
    accounts = [*settings.accounts, *dataset.accounts]
    of_experiment = {**settings.named, "dataset_id": dataset_id, "hparam_source": "published", **settings.settings}
    if labels:
        of_experiment["labels"] = labels
        accounts.append(Account("labels", labels, "added", "all labels of the dataset, as in FuxiCTR"))
    read_spec(dataset_id, dataset.settings, file)  # what is wrong is said of the file that the user has
    write_text(target / "model_config.yaml", yaml_text({experiment_id: of_experiment}))
    write_text(target / "dataset_config.yaml", yaml_text({dataset_id: dataset.settings}))
    return Translated(target, dataset_id, accounts, [*remarks, *of_labels, *dataset.remarks], at_hand=dataset.at_hand)


def keep_configs(translated: Translated, configs: Path, experiment_id: str) -> list[Path]:
    """Copies a translated experiment and its dataset to a workspace's configs; returns the files that are new there.

    Raises:
        UserError: a file of that name says something else.
    """
    written = []
    for name, stem in (("dataset_config", translated.dataset_id), ("model_config", experiment_id)):
        text = (translated.configs / f"{name}.yaml").read_text(encoding="utf-8")
        path = configs / name / f"{stem}.yaml"
        if not path.exists():
            write_text(path, text)
            written.append(path)
        elif path.read_text(encoding="utf-8") != text:
            raise UserError(
                f"{path} exists and says something else than {translated.configs / name}.yaml. Leave out --keep, or "
                "rename one of the two and what refers to it."
            )
    return written


def _contents(folder: Path, name: str, remarks: list[str]) -> dict[Path, dict[str, dict[str, Any]]]:
    """The entries of a config by file and by name, ``Base`` among them."""
    files = config_files(folder, name)
    if not files:
        raise UserError(f"{folder} must hold {name}.yaml or a folder {name}, but holds neither.")
    found: dict[Path, dict[str, dict[str, Any]]] = {}
    for path in files:
        content, repeated = load_published_yaml(path)
        remarks += [f"{path.name}, {key} stands twice; the last one counts" for key in repeated]
        content = {key: settings for key, settings in content.items() if settings is not None}
        for key, settings in content.items():
            if not isinstance(settings, dict):
                raise UserError(f"{path}: {key} must be a mapping of settings, but is {describe(settings)}.")
        found[path] = content
    return found


def _experiment(
    name: str, files: Mapping[Path, dict[str, dict[str, Any]]], remarks: list[str], only_own_base: bool
) -> dict[str, Any]:
    """An experiment with what ``Base`` says where it is silent.

    FuxiCTR reads files in the order of its file system until it has the experiment and a ``Base``. So the ``Base`` of
    the experiment's own file counts, and where that has none, whichever comes first.

    Raises:
        UserError: it depends on that order what the experiment is.
    """
    bases = {path: content["Base"] for path, content in files.items() if "Base" in content}
    told: dict[str, dict[str, Any]] = {}
    for path in (path for path, content in files.items() if name in content):
        own = files[path][name]
        if path in bases or only_own_base or not bases:
            told[str(path)] = {**bases.get(path, {}), **own}
            continue
        told |= {f"{path} with Base of {of.name}": {**base, **own} for of, base in bases.items()}
        from_others = ", ".join(of.name for of in bases)
        remarks.append(f"{path.name} has no Base, so that of {from_others} counts for {name}, as in FuxiCTR")
    return _require_one(told, f"the experiment {name!r} with its Base")


def _require_one(told: Mapping[str, dict[str, Any]], what: str) -> dict[str, Any]:
    """What all files say.

    Raises:
        UserError: they say different things.
    """
    first, *others = told.values()
    if any(other != first for other in others):
        raise UserError(
            f"{what} must be the same by every file, but is not by {', '.join(told)}. FuxiCTR would take "
            "whichever its file system lists first. Keep one of them, or write Base into the experiment's own file."
        )
    return first


def _is_a_file(file: Path) -> UserError:
    """What to name in its place: the folder it lies in, or of a file for FuxiCTR's tuner its base."""
    content, _ = load_published_yaml(file)
    if "tuner_space" not in content:
        return UserError(
            f"--config must name a folder with model_config.yaml and dataset_config.yaml, but {file} is a file; name "
            f"its folder, {file.parent}."
        )
    folder, base = content.get("base_config", "FOLDER"), content.get("base_expid", "ID")
    return UserError(
        f"{file} is a search space for FuxiCTR's tuner, and run-expid runs one experiment. Run its base first: "
        f"fuxibench run-expid --config {folder} --expid {base} --keep. Then search: fuxibench tune {base} --space "
        f"{file} --trials N."
    )


def _not_in(folder: Path, kind: str, wrong: str, known: Mapping[str, Any]) -> UserError:
    suggestion = did_you_mean(wrong, known) or f"; there are {', '.join(known) or 'none'}."
    return UserError(f"{folder} has no {kind} {wrong!r}{suggestion}")


def _number_of_tasks(experiment_id: str, experiment: Mapping[str, Any], zoo: Path | None) -> int:
    """How many labels the experiment learns at once.

    Raises:
        UserError: several, and no checkout is named whose class could.
    """
    tasks = experiment.get("task")
    number = len(tasks) if isinstance(tasks, list) else 1
    if number > 1 and zoo is None:
        raise UserError(
            f"the experiment {experiment_id!r} trains {experiment['model']} on {number} labels at once, which no class "
            "here does. Name a checkout of FuxiCTR whose class does: --zoo PATH."
        )
    return number


def _labels_at_once(experiment_id: str, tasks: int, labels: list[str]) -> tuple[list[str], list[str]]:
    """What ``labels`` is for the experiment, none where it learns one; and a remark on those that it leaves out.

    A model of several tasks learns all labels of its dataset in FuxiCTR, each by a task of its own.

    Raises:
        UserError: another number of labels than of tasks.
    """
    if tasks == 1:
        return [], [f"of the labels, {labels[0]} is learned"] if len(labels) > 1 else []
    if len(labels) != tasks:
        raise UserError(
            f"the experiment {experiment_id!r} must have a label for each of its {tasks} tasks, but its dataset has "
            f"{', '.join(labels)}."
        )
    return labels, []


def _sharing(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """The active columns that share the embedding of another."""
    found = [column["name"] for column in columns if column.get("share_embedding") and column.get("active", True)]
    return [name for names in found for name in ([names] if isinstance(names, str) else names)]


def _of_the_zoo(model: str, zoo: Path) -> tuple[str, str]:
    """The checkout's own class of that name, else the model as it is; and a sentence on it."""
    models = checkouts.discover(zoo).models
    names = [name for name in models if name == model or name.endswith(f"/{model}")]
    if not names:
        return model, f"{zoo} has no class {model}, so the model here is taken"
    best = min(names, key=len)
    return f"{checkouts.PREFIX}{best}", f"the model is {best} of {zoo}"
