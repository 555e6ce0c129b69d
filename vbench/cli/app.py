"""The commands, their groups and their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

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
from vbench.cli.options import FLAG, help_of

DEBUG, PRIVATE = "--debug", "--private"
ANYWHERE = (DEBUG, PRIVATE)
"""Options of the command itself that may stand behind the name of a subcommand as well."""
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


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib import metadata

        typer.echo(f"vbench {metadata.version('vbench')}")
        raise typer.Exit


def root(
    version: Annotated[  # noqa: ARG001 -- its callback prints it
        bool,
        typer.Option(
            "--version", metavar=FLAG, help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[  # noqa: ARG001 -- `main` looks for it
        bool, typer.Option(DEBUG, metavar=FLAG, help="Show tracebacks. Stands anywhere on the line.")
    ] = False,
    private: Annotated[
        bool,
        typer.Option(
            PRIVATE,
            metavar=FLAG,
            envvar="VBENCH_PRIVATE",
            help="Make every file readable by you alone (0600): prompts and logs among them. Stands anywhere on the "
            "line.",
        ),
    ] = False,
) -> None:
    """Find the engine settings that give the most tokens per second on the card you have.

    A sweep file says what to try; [bold]vbench sweep[/] tries it on the real engine, one configuration after another,
    and goes on where it was interrupted; [bold]vbench report[/] makes a page of what it found.

      vbench sweep sweeps/demo.yaml     find the best settings
      vbench best                       print them, ready to paste
      vbench report                     make a page to show to others
    """
    if private:
        from vbench.records.private import make_private

        make_private()


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
            raise ReaderGone from error  # typer would make it exit code 1, which means something else here


class ReaderGone(Exception):
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
