"""Templates: experiments written once, for any dataset.

A template (``benchmark_configs/templates/*.yaml``) has arms, profiles and letters; a suite names the arms it wants.
With a dataset and a profile they become experiments like any other, whose ids, ``RankMixer_ml100k_matched``, do not
depend on the suite: two suites that ask for one arm share its run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fuxi_plugins.core.configs import AnyConfigs, files_by_name, folders_of
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.explain import explain
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.spec import DatasetSpec, load_dataset_specs
from fuxi_plugins.experiments.experiment import ExperimentConfig
from fuxi_plugins.experiments.sizes import dense_parameters, nearest_width
from fuxi_plugins.records.metrics import usual_group_metrics

Settings = dict[str, Any]
MOST_TOKENS = 26
TOLERANCE = 0.02  # of the dense parameters of two arms of equal size


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(Strict):
    """Either changes to the profile's token model, or a whole model."""

    changes: Settings = {}
    settings: Settings | None = None
    equal_size: bool | None = None  # as large as the reference; that of the profile unless given


class Profile(Strict):
    title: str
    equal_size: bool
    token_model: Settings
    arms: dict[str, Arm] = {}  # those that this profile builds in another way
    shapes: dict[str, dict[str, Settings]] = {}  # dataset -> arm -> settings


class OnDataset(Strict):
    letters: dict[str, int]
    settings: Settings = {}


class Template(Strict):
    file: Path
    base: Settings
    datasets: dict[str, OnDataset] = Field(min_length=1)
    profiles: dict[str, Profile] = Field(min_length=1)
    reference: str
    arms: dict[str, Arm]


@dataclass(frozen=True)
class Shape:
    """What a dataset decides of a token model."""

    num_fields: int  # n
    embedding_dim: int  # k
    input_dim: int  # nk
    num_tokens: int  # T
    token_dim: int  # D

    def __str__(self) -> str:
        n, k, nk = self.num_fields, self.embedding_dim, self.input_dim
        return f"n = {n} fields of k = {k}, nk = {nk}: T = {self.num_tokens} tokens of D = {self.token_dim}"


def load_template(configs: AnyConfigs, name: str) -> Template:
    """Reads a template.

    Raises:
        UserError: there is none of that name, or its file is not valid.
    """
    known = files_by_name(configs, "templates")
    if name not in known:
        folders = " ".join(str(folder / "templates") for folder in folders_of(configs))
        raise unknown_name("template", name, known, f"ls {folders}")
    path = known[name]
    try:
        return Template(file=path, **load_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error, Template)}") from error


def shape_for(spec: DatasetSpec, embedding_dim: int) -> Shape:
    """T is the largest divisor of nk that is at most min(n, 26); D the smallest multiple of T that is at least k."""
    widths = [
        column.embedding_dim or embedding_dim
        for column in spec.active_columns
        if column.type != "meta"
        for _ in column.names
    ]
    input_dim = sum(widths)
    most = min(len(widths), MOST_TOKENS)
    tokens = max(divisor for divisor in range(1, most + 1) if input_dim % divisor == 0)
    return Shape(len(widths), embedding_dim, input_dim, tokens, -(-embedding_dim // tokens) * tokens)


@dataclass(frozen=True)
class Expanded:
    experiments: list[ExperimentConfig]
    shape: Shape


def expand(
    configs: AnyConfigs,
    name: str,
    arms: list[str],
    dataset: str,
    profile: str,
    sizes: Mapping[str, Settings] | None = None,
) -> Expanded:
    """The arms as experiments on a dataset; with sizes, every arm at every size, all as large as the reference.

    Raises:
        UserError: an arm, a profile or a dataset that does not exist, or an arm that cannot have the size it needs.
    """
    template = load_template(configs, name)
    if profile not in template.profiles:
        raise UserError(f"the profiles of {name!r} are {', '.join(template.profiles)}, not {profile!r}.")
    specs = load_dataset_specs(configs)
    if dataset not in specs:
        raise unknown_name("dataset", dataset, specs, "fuxibench list datasets")
    for arm in arms:
        if arm not in template.arms:
            raise unknown_name(f"arm of the template {name!r}", arm, template.arms, f"{template.file.name}")
    builder = _Builder(template, specs[dataset], profile)
    sized = sizes or {"": {}}
    experiments = [builder.experiment(arm, size, changes) for size, changes in sized.items() for arm in arms]
    return Expanded(experiments, builder.shape)


def load_templated_experiment(configs: AnyConfigs, experiment_id: str) -> ExperimentConfig | None:
    """The experiment ``arm_dataset_profile``, or None where no template has one of that id."""
    for name in files_by_name(configs, "templates"):
        template = load_template(configs, name)
        for arm in template.arms:
            for profile in template.profiles:
                inside = experiment_id.removeprefix(f"{arm}_").removesuffix(f"_{profile}")
                if experiment_id == f"{arm}_{inside}_{profile}" and inside in load_dataset_specs(configs):
                    return expand(configs, name, [arm], inside, profile).experiments[0]
    return None


class _Builder:
    """One template on one dataset under one profile."""

    def __init__(self, template: Template, spec: DatasetSpec, profile: str):
        self.template, self.spec, self.profile_name = template, spec, profile
        self.profile = template.profiles[profile]
        fitting = (entry for pattern, entry in template.datasets.items() if fnmatchcase(spec.dataset_id, pattern))
        on_dataset = next(fitting, None)
        if on_dataset is None:
            raise UserError(f"{template.file}: no entry under datasets fits {spec.dataset_id!r}.")
        self.base = {**template.base, **on_dataset.settings}
        if spec.group_id:
            self.base["metrics"] = list(dict.fromkeys([*self.base["metrics"], *usual_group_metrics()]))
        self.shape = shape_for(spec, self.base["embedding_dim"])
        self.letters = {"T": self.shape.num_tokens, "D": self.shape.token_dim, **on_dataset.letters}

    def experiment(self, arm: str, size: str, size_changes: Mapping[str, Any]) -> ExperimentConfig:
        settings = self._settings(arm)
        reference = self._resized(self._settings(self.template.reference), size_changes)
        if arm == self.template.reference:
            settings = reference
        else:
            settings = {**settings, **{key: v for key, v in size_changes.items() if key == "num_blocks"}}
            if self._is_equal_size(arm) or size:
                settings = self._as_large_as(reference, settings, arm)
        model = settings.pop("model")
        suffix = f"@{size}" if size else ""
        return ExperimentConfig(
            id=f"{arm}_{self.spec.dataset_id}_{self.profile_name}{suffix}",
            file=self.template.file,
            model=model,
            dataset_id=self.spec.dataset_id,
            preset=f"{arm} {size}".strip(),
            published_as=None,
            seed=None,
            settings={**self.base, **settings},
            origins=dict.fromkeys({**self.base, **settings}, self.template.file.name),
            # Models made equally large answer a question; they are not how anybody would run them.
            role="study" if self.profile.equal_size or size else "result",
            variant=", ".join(filter(None, (self.profile_name, size))),
        )

    def _arm(self, arm: str) -> Arm:
        return self.profile.arms.get(arm) or self.template.arms[arm]

    def _is_equal_size(self, arm: str) -> bool:
        chosen = self._arm(arm).equal_size
        return self.profile.equal_size if chosen is None else chosen

    def _settings(self, arm: str) -> Settings:
        entry = self._arm(arm)
        settings = {**self.profile.token_model, **entry.changes} if entry.settings is None else entry.settings
        if settings.get("mixing") == "block_transpose" and settings["reading"] == "repository":
            settings = {"mixing_norm": "before", **settings}  # the norm that full mixing has, so that only P differs
        if settings.get("ffn", "glu") != "glu" and settings["reading"] == "repository":
            settings = {key: value for key, value in settings.items() if key != "ffn_expansion"}  # glu's alone
        own = self.profile.shapes.get(self.spec.dataset_id, {}).get(arm, {})
        return {key: self._filled(value) for key, value in {**settings, **own}.items()}

    def _filled(self, value: Any) -> Any:
        """The value with a number for every letter."""
        if isinstance(value, list):
            return [self._filled(part) for part in value]
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in self.letters:
                raise UserError(f"{self.template.file}: {value} is none of {', '.join(f'${x}' for x in self.letters)}.")
            return self.letters[value[1:]]
        return value

    def _resized(self, settings: Settings, changes: Mapping[str, Any]) -> Settings:
        """The reference at a size; ``width`` multiplies what its per-token network is wide."""
        changed = {**settings, **{key: value for key, value in changes.items() if key != "width"}}
        width = changes.get("width", 1)
        if width != 1 and "ffn_hidden_units" in changed:
            changed["ffn_hidden_units"] = [round(width * units) for units in changed["ffn_hidden_units"]]
        elif width != 1:
            changed["ffn_expansion"] = width * changed["ffn_expansion"]
        return changed

    def _as_large_as(self, reference: Settings, settings: Settings, arm: str) -> Settings:
        """The arm with the width that brings its dense parameters nearest to the reference's."""
        target = self._size(reference)
        width = nearest_width(target, lambda width: self._size(_widened(settings, width)))
        found = _widened(settings, width)
        if "ffn_hidden_units" in found:  # a step of all hidden layers is coarse; one of the last alone is fine
            *others, last = found["ffn_hidden_units"]
            finer = [{**found, "ffn_hidden_units": [*others, units]} for units in (last, *range(1, 2 * last))]
            found = min(finer, key=lambda tried: abs(self._size(tried) - target))
        if abs(self._size(found) - target) > TOLERANCE * target:
            raise UserError(
                f"{arm} on {self.spec.dataset_id} must come within {TOLERANCE:.0%} of the {target:,} dense parameters "
                f"of {self.template.reference}, but the nearest width, {width}, gives {self._size(found):,}."
            )
        return found

    def _size(self, settings: Settings) -> int:
        return dense_parameters(settings["model"], settings, self.shape.input_dim)


def _widened(settings: Settings, width: int) -> Settings:
    """The settings with all hidden layers of the per-token network, or of an MLP, of that width."""
    if settings["model"] == "DNN":
        return {**settings, "hidden_units": [width] * len(settings["hidden_units"])}
    if settings["reading"] == "paper":  # hidden widths are int(r D); the half keeps rounding away from the edge
        return {**settings, "ffn_expansion": (width + 0.5) / settings["token_dim"]}
    return {**settings, "ffn_hidden_units": [width] * len(settings["ffn_hidden_units"])}
