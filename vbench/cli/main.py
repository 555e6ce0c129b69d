"""The door: the commands, and the one place that turns an error into a message and an exit code.

Exit codes: 0 done · 1 done, but no trial completed · 2 bad input · 3 this machine can't · 4 the results folder can't ·
5 a defect of vbench · 130 interrupted (what was measured is kept).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vbench import errors
from vbench.cli import inspect, report, run, schema, sweep

app = typer.Typer(
    name="vbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done · 1 no trial completed · 2 bad input · 3 this machine can't · 4 results folder · "
    "5 a defect of vbench · 130 interrupted",
)
_DEBUG = "--debug"


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from vbench.execution.machine import vbench_version

        typer.echo(f"vbench {vbench_version()}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show tracebacks.")] = False,
) -> None:
    """Find the engine settings that give the most tokens per second on the card you have.

    A sweep file says what to try; [bold]vbench sweep[/] tries it on the real engine, one configuration after another,
    and goes on where it was interrupted; [bold]vbench report[/] makes a page of what it found.

    Start with: [bold]vbench sweep sweeps/demo.yaml[/]
    """


app.command(rich_help_panel="Measure")(sweep.sweep)
app.command(rich_help_panel="Measure")(run.run)
app.command(rich_help_panel="Read")(report.report)
app.command(rich_help_panel="Read")(inspect.best)
app.command("list", rich_help_panel="Read")(inspect.list_runs)
app.command(rich_help_panel="Read")(inspect.show)
app.command(rich_help_panel="Write a sweep file")(schema.schema)


def main() -> None:
    """Run the command line and end the process."""
    argv = sys.argv[1:]
    is_debugging = _DEBUG in argv
    sys.exit(run_command([_DEBUG, *(word for word in argv if word != _DEBUG)] if is_debugging else argv, is_debugging))


def run_command(argv: list[str], is_debugging: bool) -> int:
    """Run one command line; returns its exit code. Every error becomes a message here, or nowhere."""
    try:
        app(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else errors.EXIT_OK
    except errors.VbenchError as error:
        if is_debugging:
            raise
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        return errors.EXIT_OK  # the reader of our output had enough
    except Exception as error:
        if is_debugging:
            raise
        _say(
            f"this is a defect of vbench, please report it: {type(error).__name__}: {error}\n"
            "Run it again with --debug to see where."
        )
        return errors.EXIT_DEFECT
    return errors.EXIT_OK


def _say(text: str) -> None:
    typer.echo(f"{typer.style('error', fg='red', bold=True)}: {text}", err=True)
