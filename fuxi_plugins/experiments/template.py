"""Templates: experiments written once, for any dataset.

A template (``benchmark_configs/templates/*.yaml``) has variants, protocols and variables; a suite names the variants
that it wants. With a dataset and a protocol they become experiments like any other. Their ids, such as
``RankMixer_ml100k_matched``, do not depend on the suite: two suites that ask for one variant share its run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from fuxi_plugins.core.configs import AnyConfigs, files_by_name, folders_of
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.explain import Strict, checked
from fuxi_plugins.core.renamed import with_new_names
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.equal_size import LateSettings, as_large_as
from fuxi_plugins.experiments.experiment import ExperimentConfig
from fuxi_plugins.records.metrics import usual_group_metrics

Settings = dict[str, Any]
NEW_NAMES = {"arms": "variants", "profiles": "protocols"}  # of a template's keys; old -> new
MOST_TOKENS = 26


class Variant(Strict):
    """Either changes to the protocol's token model, or a whole model."""

    changes: Settings = Field(default_factory=dict)
    settings: Settings | None = None
    equal_size: bool | None = None  # as large as the reference; that of the protocol unless given


class Protocol(Strict):
    title: str
    equal_size: bool
    token_model: Settings
    variants: dict[str, Variant] = Field(default_factory=dict)  # those that this protocol builds in another way
    shapes: dict[str, dict[str, Settings]] = Field(default_factory=dict)  # dataset -> variant -> settings


class OnDataset(Strict):
    variables: dict[str, int]
    settings: Settings = Field(default_factory=dict)
    seeds: list[int] = Field(default_factory=list)  # of every suite there; empty: those that a suite names itself

    @model_validator(mode="before")
    @classmethod
    def _under_new_names(cls, given: Any) -> Any:
        return (
            with_new_names(given, {"letters": "variables"}, "a template's dataset")
            if isinstance(given, dict)
            else given
        )


class Template(Strict):
    file: Path
    base: Settings
    datasets: dict[str, OnDataset] = Field(min_length=1)
    protocols: dict[str, Protocol] = Field(min_length=1)
    reference: str
    variants: dict[str, Variant]


@dataclass(frozen=True)
class Shape:
    """What a dataset decides of a token model."""

    embedding_dims: tuple[int, ...]  # of its n fields, most of them k
    embedding_dim: int  # k
    num_tokens: int  # T
    token_dim: int  # D

    @property
    def input_dim(self) -> int:
        """nk, the width of a row's embeddings."""
        return sum(self.embedding_dims)

    def __str__(self) -> str:
        n, k, nk = len(self.embedding_dims), self.embedding_dim, self.input_dim
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
    settings = with_new_names(load_yaml(path), NEW_NAMES, str(path))
    return checked(Template, {**settings, "file": path}, str(path))


def shape_for(spec: DatasetSpec, embedding_dim: int) -> Shape:
    """T is the largest divisor of nk that is at most min(n, 26); D the smallest multiple of T that is at least k."""
    widths = tuple(
        column.embedding_dim or embedding_dim
        for column in spec.active_columns
        if column.type != "meta"
        for _ in column.names
    )
    input_dim = sum(widths)
    most = min(len(widths), MOST_TOKENS)
    tokens = max(divisor for divisor in range(1, most + 1) if input_dim % divisor == 0)
    return Shape(widths, embedding_dim, tokens, -(-embedding_dim // tokens) * tokens)


@dataclass(frozen=True)
class Expanded:
    experiments: list[ExperimentConfig]
    shape: Shape
    reference: str  # whose size the others are measured by
    plain: Mapping[str, Settings]  # by variant, before any is made as large as the reference
    seeds: list[int]  # that the template gives suites on this dataset; empty: their own

    def require_one_shape(self, suite: str) -> None:
        """
        Raises:
            UserError: token models of several shapes, whose differences are no effect of their parts.
        """
        shapes: dict[str, list[str]] = {}
        for variant, settings in self.plain.items():
            if "num_tokens" in settings:
                shape = "{num_tokens} tokens of {token_dim} in {num_blocks} blocks".format(**settings)
                shapes.setdefault(shape, []).append(variant)
        if len(shapes) > 1:
            seen = "; ".join(f"{', '.join(names)}: {shape}" for shape, names in shapes.items())
            raise UserError(
                f"the token models of {suite} must have one shape, for it compares their parts, but on this dataset "
                f"the protocol has several: {seen}. Use --protocol matched."
            )

    def remarks(self) -> list[str]:
        """What the names of variants do not say."""
        model = self.plain[self.reference]["model"]
        transposing = [
            variant
            for variant, settings in self.plain.items()
            if settings["model"] == model and settings.get("mixing") == "block_transpose"
        ]
        said = f"Class {model} with the block transpose P in place of its mixing: {', '.join(transposing)}."
        return [said] if transposing else []


def expand(
    configs: AnyConfigs,
    name: str,
    variants: list[str],
    dataset: str,
    protocol: str,
    sizes: Mapping[str, Settings] | None = None,
) -> Expanded:
    """The variants as experiments on a dataset; with sizes, every variant at every size, all as large as the reference.

    Raises:
        UserError: no such variant, protocol or dataset, or a variant that cannot have the size it needs.
    """
    template = load_template(configs, name)
    if protocol not in template.protocols:
        raise UserError(f"the protocols of {name!r} are {', '.join(template.protocols)}, not {protocol!r}.")
    specs = load_dataset_specs(configs)
    if dataset not in specs:
        raise unknown_name("dataset", dataset, specs, "fuxibench list datasets")
    for variant in variants:
        if variant not in template.variants:
            raise unknown_name(f"variant of the template {name!r}", variant, template.variants, f"{template.file.name}")
    builder = _Builder(template, specs[dataset], protocol)
    sized = sizes or {"": {}}
    experiments = [
        builder.experiment(variant, size, changes) for size, changes in sized.items() for variant in variants
    ]
    plain = {variant: builder.plain_settings(variant) for variant in variants}
    return Expanded(experiments, builder.shape, template.reference, plain, builder.seeds)


def load_templated_experiment(configs: AnyConfigs, experiment_id: str) -> ExperimentConfig | None:
    """The experiment ``variant_dataset_protocol``, or None where no template has one of that id."""
    for name in files_by_name(configs, "templates"):
        template = load_template(configs, name)
        for variant in template.variants:
            for protocol in template.protocols:
                inside = experiment_id.removeprefix(f"{variant}_").removesuffix(f"_{protocol}")
                if experiment_id == f"{variant}_{inside}_{protocol}" and inside in load_dataset_specs(configs):
                    return expand(configs, name, [variant], inside, protocol).experiments[0]
    return None


class _Builder:
    """One template on one dataset under one protocol."""

    def __init__(self, template: Template, spec: DatasetSpec, protocol: str):
        self.template, self.spec, self.protocol_name = template, spec, protocol
        self.protocol = template.protocols[protocol]
        matching = (entry for pattern, entry in template.datasets.items() if fnmatchcase(spec.dataset_id, pattern))
        on_dataset = next(matching, None)
        if on_dataset is None:
            raise UserError(f"{template.file}: no entry under datasets fits {spec.dataset_id!r}.")
        self.base = {**template.base, **on_dataset.settings}
        self.seeds = on_dataset.seeds
        if spec.group_id:
            self.base["metrics"] = list(dict.fromkeys([*self.base["metrics"], *usual_group_metrics()]))
        self.shape = shape_for(spec, self.base["embedding_dim"])
        self.variables = {"T": self.shape.num_tokens, "D": self.shape.token_dim, **on_dataset.variables}

    def experiment(self, variant: str, size: str, size_changes: Mapping[str, Any]) -> ExperimentConfig:
        settings = self._all_settings(variant, size, size_changes)
        suffix = f"@{size}" if size else ""
        return ExperimentConfig(
            id=f"{variant}_{self.spec.dataset_id}_{self.protocol_name}{suffix}",
            file=self.template.file,
            model=self.plain_settings(variant)["model"],
            dataset_id=self.spec.dataset_id,
            display_name=f"{variant} {size}".strip(),
            published_as=None,
            seed=None,
            settings=settings,
            origins=dict.fromkeys(settings, self.template.file.name),
            # Models made equally large answer a question; they are not how anybody would run them.
            role="study" if self.protocol.equal_size or size else "result",
            variant=", ".join(filter(None, (self.protocol_name, size))),
        )

    def _all_settings(self, variant: str, size: str, size_changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings of a variant at a size; those of one of equal size are made when they are read."""
        reference = self._resized(self.plain_settings(self.template.reference), size_changes)
        if variant == self.template.reference:
            return self._with_base(reference)
        depth = {name: value for name, value in size_changes.items() if name == "num_blocks"}
        own = {**self.plain_settings(variant), **depth}
        if not size and not self._is_equal_size(variant):
            return self._with_base(own)
        where, fields = f"{variant} on {self.spec.dataset_id}", self.shape.embedding_dims
        return LateSettings(
            names=list(self._with_base(own)),
            make=lambda: self._with_base(as_large_as(reference, own, fields, where)),
        )

    def _with_base(self, settings: Settings) -> Settings:
        return {name: value for name, value in {**self.base, **settings}.items() if name != "model"}

    def _variant(self, variant: str) -> Variant:
        return self.protocol.variants.get(variant) or self.template.variants[variant]

    def _is_equal_size(self, variant: str) -> bool:
        chosen = self._variant(variant).equal_size
        return self.protocol.equal_size if chosen is None else chosen

    def plain_settings(self, variant: str) -> Settings:
        """A variant's settings, ``model`` among them, before it is made as large as another."""
        entry = self._variant(variant)
        settings = {**self.protocol.token_model, **entry.changes} if entry.settings is None else entry.settings
        if settings.get("mixing") == "block_transpose" and settings["formulation"] == "official_code":
            settings = {"mixing_norm": "before", **settings}  # the norm that full mixing has, so that only P differs
        if settings.get("ffn", "glu") != "glu" and settings["formulation"] == "official_code":
            settings = {key: value for key, value in settings.items() if key != "ffn_expansion"}  # glu's alone
        own = self.protocol.shapes.get(self.spec.dataset_id, {}).get(variant, {})
        return {key: self._filled(value) for key, value in {**settings, **own}.items()}

    def _filled(self, value: Any) -> Any:
        """The value with a number for every variable."""
        if isinstance(value, list):
            return [self._filled(part) for part in value]
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in self.variables:
                raise UserError(
                    f"{self.template.file}: {value} is none of {', '.join(f'${x}' for x in self.variables)}."
                )
            return self.variables[value[1:]]
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
