"""The command line's entry point and the one place that ends the process."""

from __future__ import annotations

import sys

__all__ = ["main", "run"]


def run(args: list[str]) -> int:
    """Run the command line; return its exit code.  Our own errors become one line on stderr."""
    import click

    from placeaudit.commands.main import cli
    from placeaudit.errors import PlaceauditError

    try:
        code = cli.main(args, prog_name="placeaudit", standalone_mode=False)
    except PlaceauditError as error:
        return _fail(str(error), error.exit_code)
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return _fail(error.format_message() + where, error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except click.Abort:
        return 128 + 2
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; nobody is left to be told.
        sys.stdout = None  # type: ignore[assignment]
        return 0
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    print(f"placeaudit: {message}", file=sys.stderr)  # noqa: T201
    return code


def main() -> None:
    """Entry point of ``placeaudit`` and ``python -m placeaudit``."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
