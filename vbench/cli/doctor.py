"""`vbench doctor`."""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results
from vbench.errors import EXIT_MACHINE

if TYPE_CHECKING:
    from vbench.doctor.examine import Examination

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
_TITLES = {"machine": "Machine", "GPU": "GPUs", "engine": "Engines", "environment": "Known traps here"}


def doctor(
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PATH",
            help="The interpreter that a sweep's `python:` would name: look at its engine only.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object.")] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Look whether a sweep could start here, and say what to do about what stands in its way.

    It looks at the driver and the GPUs, memory and disk, and the engines of this Python and of the virtual environments
    in this folder. Ends with exit code 0 where one of the engines can be used, else with 3. The first look at an engine
    imports it, which takes seconds.

      vbench doctor
      vbench doctor --python ~/vllm/bin/python
    """
    from vbench.doctor.examine import examine

    found = examine(python, Path.cwd(), results, os.environ)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        _show(found)
    if not found.can_sweep:
        raise typer.Exit(EXIT_MACHINE)


def _show(found: Examination) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for about, checks in groupby(found.checks, key=lambda one: one.about):
        lines = Table.grid(padding=(0, 1))
        for one in checks:
            mark, style = _MARKS[one.status]
            says = Text.assemble((one.name, "" if one.status == "ok" else "bold"), ": ", one.says)
            lines.add_row(Text(mark, style=style), says)
            if one.advice:
                lines.add_row("", Text(f"→ {one.advice}", style="dim"))
        console.print(Text(_TITLES.get(about, about), style="bold"))
        console.print(Padding(lines, (0, 0, 1, 2)))
    console.print(_summary(found))


def _summary(found: Examination) -> str:
    if not found.can_sweep:
        return "[red]✗[/] No sweep can start here yet: see the lines marked ✗."
    names = ", ".join(
        dict.fromkeys(f"{one.interpreter.distribution} {one.interpreter.engine_version}" for one in found.engines)
    )
    return f"[green]✓[/] A sweep can start here ({names}): `vbench sweep sweeps/demo.yaml`"
