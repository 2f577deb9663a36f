"""What the commands print: cleaned for a terminal, and in whatever encoding it has."""

import codecs
import io
import sys

import click

from fuxi_plugins.core.cleaning import terminal

# How characters that we write ourselves look where there are no others than ASCII's.
_PLAIN = {"±": "+-", "–": "-", "…": "...", "×": "x", "•": "*", "·": "*", "⚠": "!", "’": "'"}


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints a text with its lines; what moves a cursor or cannot be seen is an escape."""
    click.echo(terminal(text), file=sys.stderr if err else sys.stdout, nl=nl)


def show_in_any_encoding() -> None:
    """A character that the output's encoding lacks is replaced, where Python would stop."""
    codecs.register_error("fuxibench", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="fuxibench")


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end
