"""The command line's entry point and the one place that ends the process."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback

__all__ = ["main", "run"]


def run(args: list[str]) -> int:  # noqa: PLR0911 (one for each way to end)
    """Run the command line; return its exit code, or minus the signal that is to end us.

    Our own errors become one line on stderr.
    """
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
        return -signal.SIGINT
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - a gate must not take it for a verdict: 1 is "found something"
        traceback.print_exc()
        return _fail("this is a fault of placeaudit; please report it with the lines above", 2)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    print(f"placeaudit: {message}", file=sys.stderr)  # noqa: T201
    return code


def main() -> None:
    """Entry point of ``placeaudit`` and ``python -m placeaudit``.

    A program that Ctrl-C ended leaves the process killed by SIGINT, as Python itself does: a shell
    loop around it then ends too.  Registered first, so that it comes after every other ``atexit``.
    """
    killed: list[int] = []
    atexit.register(_die, killed)
    code = run(sys.argv[1:])
    if code < 0:
        killed.append(-code)
    sys.exit(128 - code if code < 0 else code)


def _die(killed: list[int]) -> None:
    """End by the signal in ``killed``, if there is one."""
    for number in killed:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
