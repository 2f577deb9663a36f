"""Kinds of parameters that several commands take."""

from typing import Any

import click

MOST_NUMBERS = 1000  # that a range may stand for


class MetricName(click.ParamType):
    """The name of a metric of the table."""

    name = "metric"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        from fuxi_plugins.records.metrics import UnknownMetric, find_metric

        try:
            return find_metric(value).name
        except UnknownMetric as error:
            self.fail(str(error), param, context)


class Integers(click.ParamType):
    """Whole numbers of at least ``least``, separated by commas, each once unless ``repeated``; ``1-3`` means 1,2,3."""

    name = "n,n,..."

    def __init__(self, least: int, repeated: bool = False):
        self.least, self.repeated = least, repeated

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            numbers = [number for part in value.split(",") for number in _numbers(part)]
        except ValueError:
            self.fail(
                f"whole numbers separated by commas are needed, as 0,1,2 or 0-2, but this is {value!r}", param, context
            )
        if min(numbers) < self.least:
            self.fail(f"each must be {self.least} or more, but one of {value} is not", param, context)
        if len(set(numbers)) < len(numbers) and not self.repeated:
            self.fail(f"each may stand once, but one of {value} stands twice", param, context)
        return numbers


class Names(click.Command):
    """A command whose repeatable options take many values: ``--boards A B`` is ``--boards A --boards B``.

    It must have no arguments: their words would be taken for more values.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        many = {
            name for one in self.get_params(context) if isinstance(one, click.Option) and one.multiple
            for name in one.opts
        }  # fmt: skip
        spread: list[str] = []
        option, values = "", 0  # the option that further words belong to, and how many it has
        for word in args:
            if word.startswith("-"):
                option, values = (word if word in many else ""), 0
                spread.append(word)
            elif option:
                spread += [option, word] if values else [word]
                values += 1
            else:
                spread.append(word)
        return super().parse_args(context, spread)


def _numbers(part: str) -> list[int]:
    """One number, or those from a first to a last one."""
    first, dash, last = part.strip().rpartition("-")
    if not (first and dash):
        return [int(part)]
    numbers = range(int(first), int(last) + 1)
    if not 0 < len(numbers) <= MOST_NUMBERS:
        raise ValueError(part)
    return list(numbers)
