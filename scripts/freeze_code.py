"""Gives the present source of models and training its revision, if it still computes the golden numbers.

\b
    python scripts/freeze_code.py                  # after a change that must not change a number
    python scripts/freeze_code.py --raise DCNv2    # after one that does: DCNv2's next revision, with new golden numbers

A model of which no revision is known gets revision 1. Without --raise, changed numbers are an error and nothing is
written. ``training`` and ``training of trees`` name the training protocols.
"""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fuxi_plugins.core.files import write_text  # noqa: E402
from fuxi_plugins.core.workspace import Workspace  # noqa: E402
from fuxi_plugins.experiments.code import (  # noqa: E402
    REVISIONS,
    TRAINING,
    TREES,
    Revision,
    model_digest,
    training_digest,
)
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, load_tree_class  # noqa: E402
from fuxi_plugins.models.variants import VARIANTS  # noqa: E402
from tests.conftest import make_workspace  # noqa: E402
from tests.golden.values import differing, model_values, training_values, tree_values  # noqa: E402

Values = dict[str, list[float]]
GOLDEN = ROOT / "tests" / "golden" / "golden.json"


@click.command(help=__doc__)
@click.option("--raise", "raised", multiple=True, help="A model whose numbers have changed on purpose, or training.")
def freeze(raised: tuple[str, ...]) -> None:
    known = {name: Revision(**entry) for name, entry in _read(REVISIONS).items()}
    golden = _read(GOLDEN)
    sources = {protocol: training_digest(protocol) for protocol in (TRAINING, TREES)}
    sources |= {name: model_digest(name) for name in (*sorted(NATIVE_MODELS), *sorted(TREE_MODELS))}
    frozen = {name: _next(known.get(name), source, name in raised) for name, source in sources.items()}
    rows = {name: [name, *(row for row, v in VARIANTS.items() if v.model == name)] for name in NATIVE_MODELS}
    rows |= {TRAINING: [TRAINING], TREES: list(TREE_MODELS), **{name: [name] for name in TREE_MODELS}}
    now = {TRAINING: _in_a_workspace(training_values)} | _of_trees(golden, known, frozen)
    now |= {row: model_values(row) for name in sorted(NATIVE_MODELS) for row in rows[name]}
    changed = {
        row: kinds
        for name, parts in rows.items()
        for row in parts
        if name in known and name not in raised and (kinds := differing(now[row], golden.get(row, {})))
    }
    if changed:
        for row, kinds in changed.items():
            click.echo(f"{row}: {', '.join(kinds)} differ from the golden numbers", err=True)
        sys.exit("nothing is written; mend the code, or raise the revision of what was meant to change")
    # Golden numbers stay as they were first computed, so that many small steps within the tolerance cannot add up.
    kept = {row: golden[row] for name, parts in rows.items() if name in known and name not in raised for row in parts}
    write_text(GOLDEN, _text({**now, **kept}))
    write_text(REVISIONS, _text({name: asdict(entry) for name, entry in sorted(frozen.items())}))
    click.echo(f"{len(frozen)} revisions written")


def _of_trees(
    golden: Mapping[str, Values], known: Mapping[str, Revision], frozen: Mapping[str, Revision]
) -> dict[str, Values]:
    """The numbers of each tree model; the golden ones where its library is not installed and no code has changed."""
    now = {}
    for name in TREE_MODELS:
        package = load_tree_class(name).package
        if importlib.util.find_spec(package):
            now[name] = _in_a_workspace(lambda folder, workspace, name=name: tree_values(name, workspace))
        elif all(known.get(part) == frozen[part] for part in (name, TREES)):
            now[name] = golden[name]
        else:
            sys.exit(
                f"nothing is written; the code of {name} has changed, so install its library: pip install {package}"
            )
    return now


def _in_a_workspace(values: Callable[[Path, Workspace], Values]) -> Values:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        return values(Path(folder), make_workspace(Path(folder), patch))


def _next(known: Revision | None, source: str, raised: bool) -> Revision:
    return Revision((known.revision + raised) if known else 1, source)


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _text(value: dict) -> str:
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(value.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    freeze()
