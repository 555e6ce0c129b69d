"""The door: the commands, and the one place that turns an error into a message and an exit code.

Exit codes: 0 done · 1 done, but no trial completed · 2 bad input · 3 this machine can't · 4 the results folder can't ·
5 a defect of vbench · 6 `compare --fail-if-slower` found a loss · 130 interrupted (what was measured is kept).
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from vbench import errors
from vbench.cli import (
    best,
    compare,
    doctor,
    engines,
    export,
    hardware,
    list_runs,
    plan,
    prompts,
    report,
    run,
    schema,
    show,
    sweep,
)
from vbench.cli.options import FLAG, help_of, silence_stdout
from vbench.cli.streams import make_streams_safe
from vbench.printable import printable

app = typer.Typer(
    name="vbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done · 1 no trial completed · 2 bad input · 3 this machine can't · 4 results folder · "
    "5 a defect of vbench · 6 slower (compare --fail-if-slower) · 130 interrupted",
)
_DEBUG = "--debug"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib import metadata

        typer.echo(f"vbench {metadata.version('vbench')}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar=FLAG, help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG, metavar=FLAG, help="Show tracebacks. Stands anywhere on the line.")
    ] = False,
) -> None:
    """Find the engine settings that give the most tokens per second on the card you have.

    A sweep file says what to try; [bold]vbench sweep[/] tries it on the real engine, one configuration after another,
    and goes on where it was interrupted; [bold]vbench report[/] makes a page of what it found.

      vbench sweep sweeps/demo.yaml     find the best settings
      vbench best                       print them, ready to paste
      vbench report                     make a page to show to others
    """


class _CommandHelp(TyperCommand):
    def get_help_option(self, ctx: Any) -> Any:
        return _as_flag(super().get_help_option(ctx))


class _Commands(TyperGroup):
    def get_help_option(self, ctx: Any) -> Any:
        return _as_flag(super().get_help_option(ctx))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error  # typer would make it exit code 1, which means something else here


class _ReaderGone(Exception):
    """Whoever read our output had enough of it (`vbench list | head -1`)."""


def _as_flag(option: Any) -> Any:
    if option is not None:
        option.metavar = FLAG  # typer would write `--help <bool>`
    return option


def _add(name: str, panel: str, command: Callable[..., None]) -> None:
    app.command(name, cls=_CommandHelp, rich_help_panel=panel, help=help_of(command))(command)


app.callback(cls=_Commands, help=help_of(root))(root)
_add("plan", "Measure", plan.plan)
_add("sweep", "Measure", sweep.sweep)
_add("run", "Measure", run.run)
_add("report", "Read", report.report)
_add("best", "Read", best.best)
_add("list", "Read", list_runs.list_runs)
_add("show", "Read", show.show)
_add("compare", "Read", compare.compare)
_add("export", "Read", export.export)
_add("hardware", "This machine", hardware.hardware)
_add("doctor", "This machine", doctor.doctor)
_add("engines", "This machine", engines.engines)
_add("schema", "Write a sweep file", schema.schema)
_prompts = typer.Typer(name="prompts", cls=_Commands, no_args_is_help=True, rich_markup_mode="rich")
for _name, _command in (("make", prompts.make), ("show", prompts.show), ("freeze", prompts.freeze_file)):
    _prompts.command(_name, cls=_CommandHelp, help=help_of(_command))(_command)
app.add_typer(_prompts, rich_help_panel="Write a sweep file", help="Make, look at and freeze sets of prompts.")


def main() -> None:
    """Run the command line and end the process."""
    make_streams_safe()
    argv = sys.argv[1:]
    is_debugging = _DEBUG in argv
    sys.exit(run_command([_DEBUG, *(word for word in argv if word != _DEBUG)] if is_debugging else argv, is_debugging))


def run_command(argv: list[str], is_debugging: bool) -> int:
    """Run one command line; returns its exit code. Every error becomes a message here, or nowhere."""
    logging.getLogger("vbench").addHandler(logging.NullHandler())  # what it warns of is in the notes of a run too
    try:
        app(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else errors.EXIT_OK
    except errors.VbenchError as error:
        if is_debugging and not isinstance(error, errors.Interrupted):
            raise
        _say(str(error), is_error=not isinstance(error, errors.Interrupted))
        return error.exit_code
    except KeyboardInterrupt:  # before a command could do better
        return errors.EXIT_INTERRUPTED
    except (BrokenPipeError, _ReaderGone):
        silence_stdout()
        return errors.EXIT_OK
    except Exception as error:
        if is_debugging:
            raise
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return _no_room(error)
        _say(
            f"this is a defect of vbench, please report it: {type(error).__name__}: {error}\n"
            "Run it again with --debug to see where."
        )
        return errors.EXIT_DEFECT
    return errors.EXIT_OK


def _no_room(error: OSError) -> int:
    """A full or read-only disk is no defect, whichever of our files (or stdout) met it."""
    from vbench.records.store import storage_advice

    silence_stdout()
    _say(f"{error.filename or 'the output'} can't be written: {error.strerror}; {storage_advice(error)}")
    return errors.EXIT_STORE


def _say(text: str, *, is_error: bool = True) -> None:
    prefix = f"{typer.style('error', fg='red', bold=True)}: " if is_error else ""
    with suppress(OSError):  # nobody may be there to hear it
        typer.echo(f"{prefix}{printable(text)}", err=True)
