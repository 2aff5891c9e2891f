"""Options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from placeaudit.settings import Given

__all__ = ["force", "judging", "own", "quiet", "runs"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def own(function: _Function) -> _Function:
    """``--own PKG``: an installed package that is the user's own."""
    return click.option(
        "--own",
        multiple=True,
        metavar="PKG",
        help="Installed package that counts as your own code (repeatable).",
    )(function)


def force(function: _Function) -> _Function:
    """``-f/--force``: replace what is there."""
    return click.option("-f", "--force", is_flag=True, help="Replace an existing output.")(function)


def quiet(function: _Function) -> _Function:
    """``-q/--quiet``: say nothing on stderr but errors."""
    return click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(function)


def runs(function: _Function) -> _Function:
    """``RUN…``: one or more records."""
    return click.argument(
        "runs",
        nargs=-1,
        required=True,
        metavar="RUN...",
        type=click.Path(path_type=Path),
    )(function)


def judging(function: Callable[..., int]) -> Callable[..., int]:
    """``--select``, ``--ignore`` and so on, as in ruff, and ``--own``: all as one ``given``."""

    @functools.wraps(function)
    def command(**values: Any) -> int:
        names = [field.name for field in fields(Given)]
        return function(given=Given(**{name: values.pop(name) for name in names}), **values)

    command = own(command)
    for name, metavar, text in (
        ("--per-file-ignores", "PATTERN:RULE", "Not these rules in files of this pattern."),
        ("--extend-select", "RULES", "These rules as well."),
        ("--ignore", "RULES", "Not these rules."),
        ("--select", "RULES", "Only these rules (PA103, PA1, a name, ALL)."),
    ):
        command = click.option(name, multiple=True, metavar=metavar, help=text)(command)
    return command
