"""The command group.  A command's module is imported when that command is asked for."""

from __future__ import annotations

from importlib import import_module

import click

import placeaudit

__all__ = ["cli"]

#: Command name to its module and one line of help, in the order that help shows them.
COMMANDS = {
    "trace": "Run a program and record its copies and waits.",
    "check": "Say what is wrong with a recorded run; the exit code is the verdict.",
    "report": "Write a recorded run as one self-contained HTML page.",
    "diff": "Say what changed between two recorded runs.",
    "import-tf-log": "Make a record of a TensorFlow device-placement log.",
    "devices": "Say which devices are there and which would be used.",
    "explain": "Explain a rule, or list them all.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"placeaudit.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(placeaudit.__version__, prog_name="placeaudit")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find the tensor copies and host waits that a training program does not need.

    Start with:  placeaudit trace --simulate cuda train.py
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
