"""`vbench hardware`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from vbench.cli.options import FLAG

_PIPE_WIDTH = 160  # columns where there is no terminal to ask


def hardware(
    folder: Annotated[
        Path,
        typer.Option("--folder", metavar="DIR", help="Where your own profiles (NAME.gpu.yaml) are."),
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object.")] = False,
) -> None:
    """List the cards that vbench knows, with this machine first; `hardware:` in a sweep file takes one of their names.

    A row is per GPU. `–` is unknown or not there, `~` is derived. Your own card: docs/hardware.md.

      vbench hardware
      vbench hardware --folder sweeps --json
    """
    from vbench.errors import UsageError
    from vbench.hardware.nvml import Nvml
    from vbench.hardware.view import hardware_table, hardware_view

    if not folder.is_dir():
        raise UsageError(f"--folder {folder}: there is no such folder")
    with Nvml() as nvml:
        if as_json:
            typer.echo(json.dumps(hardware_view(nvml, folder), indent=2))
            return
        rows = hardware_table(nvml, folder)
        warnings, driver = nvml.warnings, nvml.driver_version
    _show(rows)
    if driver is not None:
        typer.echo(f"NVIDIA driver {driver}")
    for warning in warnings:
        typer.echo(f"note: {warning}", err=True)


def _show(rows: list[dict[str, str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    left = ("name", "title", "link")
    for name in rows[0]:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold", no_wrap=name == "name")
    for number, row in enumerate(rows):
        table.add_row(*row.values(), style="bold" if number == 0 else "", end_section=number == 0)
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table, markup=False)
