"""Every snippet of the README and of docs/ is checked.

A command of ``bash`` that only reads runs here, on the results of this repository; those of docs/tables.md run in
tests/test_tables_page.py. ``fuxibench run`` checks every setting in a dry run. All other commands are parsed, with the
reason why they are not run; programs that are not ours must be listed. The tests that :data:`PYTHON` names run Python.
"""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli import completion
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.models.registry import INSTALLED_ONLY, use_sources
from tests.conftest import ROOT, write

HERE = ["--configs", str(ROOT / "benchmark_configs"), "--results", str(ROOT / "results")]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

READ = {"list", "compare", "power", "splits", "table", "across", "show", "data list"}
NOT_RUN = {
    "check": "tests/cli/test_cli.py runs it",
    "data fetch": "downloads gigabytes",
    "data import": "the files are downloaded by hand",
    "plan": "tests/execution/test_budgets.py runs it",
    "predictions": "tests/submissions/test_store.py runs it",
    "join": "waits for another host; tests/training/distributed/test_hosts.py runs it",
    "run-expid": "tests/experiments/test_published_folders.py runs it",
    "data verify": "needs files that are downloaded",
    "data prepare": "needs files that are downloaded",
    "data describe": "the reader's own files; tests/test_readme.py uses the page's dataset",
    "data audit": "the reader's own files",
    "new": "the reader's own dataset",
    "tune": "trains for hours",
    "report": "writes into results/; tests/reporting runs it",
    "submit": "needs trained models; tests/submissions runs docs/submit.md to the letter",
    "doctor": "judges this machine",
    "zoo": "needs a FuxiCTR checkout",
    "leaderboard": "prints what test_results.py compares with results/leaderboards",
}
FOREIGN = {
    "source": "the shell's",
    "export": "the shell's",
    "for": "the shell's",
    "done": "the shell's",
    "cd": "the shell's",
    "git": "clones a public repository",
    "ray": "starts a cluster; tests/execution/test_ray_engine.py has one",
    "srun": "needs Slurm",
    "pip": "installs from an index",
    "uv": "installs from an index",
    "docker": "needs Docker; tests/test_container.py reads the Dockerfile",
}
PYTHON = {
    "add_a_model.md": ["tests/cli/test_notebook.py", "tests/models/test_a_new_model.py"],
    "python.md": ["tests/cli/test_notebook.py"],
    "tables.md": ["tests/test_tables_page.py"],
    "metrics.md": ["tests/records/new_metric.py"],
    "tutorial.md": ["tests/test_tutorial.py"],
}
OWN_NAMES = ("my_", "TwoLayers", "Gated")  # that the reader chooses
PLACEHOLDER = re.compile(r"\$?[A-Z]{2,}|.*\$\w+.*|\.\.\.")  # as EXPERIMENT or paper_$part

BY_COMPLETION = {
    completion.suites: ("suites",),
    completion.datasets: ("datasets",),
    completion.models: ("models",),
    completion.suites_and_experiments: ("suites", "experiments"),
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of each command of a page's bash snippets, comments left out."""
    found = []
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # a variable of the environment
                words = words[1:]
            if words:
                found.append(words)
    return found


def inline(page: Path) -> list[list[str]]:
    """Commands within sentences, which may go over a line's end."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [shlex.split(command) for command in re.findall(r"`(fuxibench\s[^`]+)`", text)]


def is_mention(words: list[str]) -> bool:
    """Whether a sentence names a command without calling it: nothing follows the command's own name."""
    command: click.Command = main
    for word in ours(words):
        if not isinstance(command, click.Group) or word.startswith("-"):
            return False
        command = command.commands[word]
    return True


def ours(words: list[str]) -> list[str] | None:
    """What follows ``fuxibench``, also behind a launcher; None where that is not called."""
    if words[0] == "fuxibench" or words[0] == "srun" or words[:2] == ["docker", "run"]:
        return words[words.index("fuxibench") + 1 :]
    if words[0] == "torchrun":
        return words[words.index("fuxi_plugins") + 1 :]
    return None


def parse(words: list[str]) -> click.Context:
    """The command's context with converted values, as click makes it.

    Raises:
        click.UsageError: an unknown option or command, a missing argument, or a value that is not legal.
    """
    context = main.make_context("fuxibench", list(words), resilient_parsing=False)
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, context._protected_args + context.args)
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.fixture(scope="module")
def known():
    listed = json.loads(CliRunner().invoke(main, [*HERE, "list", "--json"]).output)
    return {kind: {row["name"].partition("@")[0] for row in rows} for kind, rows in listed.items()}


def check_names(context, known):
    """Suites, experiments, models and datasets that a command names exist, but for those that are made on the page."""
    for parameter in context.command.params:
        kinds = BY_COMPLETION.get(parameter._custom_shell_complete)
        values = context.params.get(parameter.name)
        if kinds is None or values is None:
            continue
        names = set().union(*(known[kind] for kind in kinds)) | {f"{name}_common" for name in known["datasets"]}
        for value in [values] if isinstance(values, str) else values:
            suite = value.partition("@")[0]  # of paper_rank@ml100k,matched
            assert suite in names or value.startswith(OWN_NAMES) or PLACEHOLDER.fullmatch(value), (
                f"{value} is none of {kinds}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_legal_and_name_what_there_is(page, known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"\S+\.(?:zip|parquet)", page.read_text(encoding="utf-8")):
        (tmp_path / Path(name).name.strip("`")).touch()
    for folder in ("BARS", "FILE"):
        (tmp_path / folder).mkdir()
    for name in ("ABOUT.md", "logo.svg"):
        (tmp_path / name).touch()
    snippets = [words for words in commands(page) if ours(words) is not None]
    sentences = [words for words in inline(page) if not is_mention(words)]
    for words in [*snippets, *sentences]:
        try:
            context = parse(ours(words))
        except click.MissingParameter:
            assert words not in snippets, words  # a sentence may leave out the name
            continue
        except click.UsageError as error:
            pytest.fail(f"{' '.join(words)}: {error.format_message()}")
        check_names(context, known)


def test_every_other_program_is_listed_and_every_script_exists():
    for page in PAGES:
        for words in commands(page):
            if ours(words) is not None:
                continue
            if words[0] in ("python", "bash") and words[1] != "-m":
                assert (ROOT / words[1]).is_file() or f"# {words[1]}" in page.read_text(encoding="utf-8"), words
            elif words[0] != "python":
                assert words[0] in FOREIGN, (page.name, words)


def called(words: list[str]) -> str:
    """The command that is called, with its group's name where it has one."""
    own = ours(words)
    while own[0].startswith("-"):  # an option of fuxibench itself, with its value
        own = own[2:]
    return " ".join(own[: 1 + isinstance(main.commands[own[0]], click.Group)])


PRINTED = commands(ROOT / "docs" / "tables.md")


def is_the_readers(words: list[str]) -> bool:
    """Whether a command needs what the reader makes: a dataset, a suite or a trained model."""
    return any(
        word.startswith(("my_", "Gated")) or PLACEHOLDER.fullmatch(word) or word in ("TwoLayers", "s3rec_lastfm_common")
        for word in ours(words)
        if word != "my_models.py"
    )


OURS = [words for page in PAGES for words in commands(page) if ours(words) is not None and words not in PRINTED]


def test_each_command_is_run_or_has_a_reason():
    for words in OURS:
        name = called(words)
        assert name in READ or name == "run" or name in NOT_RUN or name.partition(" ")[0] in NOT_RUN, words


@pytest.mark.parametrize(
    "words",
    [words for words in OURS if called(words) in READ and not is_the_readers(words)],
    ids=lambda words: " ".join(ours(words))[:60],
)
def test_commands_that_read_run(words, tmp_path, monkeypatch):
    if words[-2:-1] == ["--out"]:
        words = [*words[:-1], str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*HERE, *ours(words)])
    assert done.exit_code == 0, done.output
    assert done.output


@pytest.mark.parametrize(
    "words",
    [words for words in OURS if called(words) == "run" and not is_the_readers(words)],
    ids=lambda words: " ".join(ours(words))[:60],
)
def test_runs_are_possible(words, tmp_path, monkeypatch):
    """In an empty folder, with the model of docs/add_a_model.md beside it."""
    own = ours(words)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    write(tmp_path / "my_models.py", blocks(ROOT / "docs" / "add_a_model.md", "python")[0])
    own = [word.replace("/shared", str(tmp_path)) for word in own]
    try:
        done = CliRunner().invoke(main, [*own, "--dry-run"])
    finally:
        use_sources(INSTALLED_ONLY)
    assert done.exit_code == 0, done.output
    assert "would run" in done.output


def test_python_is_run_by_a_test():
    for page in PAGES:
        found = blocks(page, "python")
        assert bool(found) == (page.name in PYTHON), page.name
        for test in PYTHON.get(page.name, []):
            text = (ROOT / test).read_text(encoding="utf-8")
            assert page.name in text or (ROOT / "docs" / page.name).stem in text
