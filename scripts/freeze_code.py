"""Gives the present source of models and training its revision, if it still computes the golden numbers.

\b
    python scripts/freeze_code.py                  # after a change that must not change a number
    python scripts/freeze_code.py --raise DCNv2    # after one that does: DCNv2's next revision, with new golden numbers

A model of which no revision is known gets revision 1. Without --raise, changed numbers are an error and nothing is
written. ``training`` names the training protocol.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fuxi_plugins.core.files import write_text  # noqa: E402
from fuxi_plugins.experiments.code import REVISIONS, TRAINING, Revision, model_digest, training_digest  # noqa: E402
from fuxi_plugins.models.registry import NATIVE_MODELS  # noqa: E402
from fuxi_plugins.models.variants import VARIANTS  # noqa: E402
from tests.conftest import make_workspace  # noqa: E402
from tests.golden.values import differing, model_values, training_values  # noqa: E402

GOLDEN = ROOT / "tests" / "golden" / "golden.json"


@click.command(help=__doc__)
@click.option("--raise", "raised", multiple=True, help="A model whose numbers have changed on purpose, or training.")
def freeze(raised: tuple[str, ...]) -> None:
    known = {name: Revision(**entry) for name, entry in _read(REVISIONS).items()}
    golden = _read(GOLDEN)
    rows = {name: [name, *(row for row, v in VARIANTS.items() if v.model == name)] for name in NATIVE_MODELS}
    now: dict[str, dict[str, list[float]]] = {TRAINING: _train()}
    frozen = {TRAINING: _next(known.get(TRAINING), training_digest(), TRAINING in raised)}
    for name in sorted(NATIVE_MODELS):
        now |= {row: model_values(row) for row in rows[name]}
        frozen[name] = _next(known.get(name), model_digest(name), name in raised)
    changed = {
        row: kinds
        for name, parts in {TRAINING: [TRAINING], **rows}.items()
        for row in parts
        if name in known and name not in raised and (kinds := differing(now[row], golden.get(row, {})))
    }
    if changed:
        for row, kinds in changed.items():
            click.echo(f"{row}: {', '.join(kinds)} differ from the golden numbers", err=True)
        sys.exit("nothing is written; mend the code, or raise the revision of what was meant to change")
    # Golden numbers stay as they were first computed, so that many small steps within the tolerance cannot add up.
    kept = {row: golden[row] for name, parts in rows.items() if name in known and name not in raised for row in parts}
    if TRAINING in known and TRAINING not in raised:
        kept[TRAINING] = golden[TRAINING]
    write_text(GOLDEN, _text({**now, **kept}))
    write_text(REVISIONS, _text({name: asdict(entry) for name, entry in sorted(frozen.items())}))
    click.echo(f"{len(frozen)} revisions written")


def _next(known: Revision | None, source: str, raised: bool) -> Revision:
    return Revision((known.revision + raised) if known else 1, source)


def _train() -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        return training_values(Path(folder), make_workspace(Path(folder), patch))


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _text(value: dict) -> str:
    lines = (f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(value.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    freeze()
