"""`vbench engines`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.cli.options import FLAG
from vbench.errors import EXIT_MACHINE

if TYPE_CHECKING:
    from vbench.doctor.engine_list import ListedEngine

_DEFAULT_ENGINE = "vllm"
_PIPE_WIDTH = 160  # columns where there is no terminal to ask
_COLUMNS = ("engine", "version", "platform", "python_version", "torch", "arguments", "modes")
_TITLES = {"python_version": "Python", "arguments": "args"}


def engines(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="A sweep file: look also at every interpreter that it names.", show_default=False
        ),
    ] = None,
    pythons: Annotated[
        list[str] | None,
        typer.Option("--python", metavar="PATH", help="An interpreter to ask. May be repeated.", show_default=False),
    ] = None,
    is_describing: Annotated[
        bool,
        typer.Option("--describe", metavar=FLAG, help="Show the arguments that the engine of one interpreter accepts."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object.")] = False,
) -> None:
    """List the interpreters that hold an engine, and which engine: what `python:` in a sweep file can name.

    Without --python it looks at the Python that runs vbench and at the virtual environments in this folder. Ends with
    exit code 3 where one that was named can't be used, or where none was named and none can. The first look at an
    engine imports it, which takes seconds.

      vbench engines
      vbench engines sweeps/demo.yaml --json
      vbench engines --python ~/vllm-old/bin/python --describe
    """
    from vbench.doctor.engine_list import all_named_usable, list_engines
    from vbench.doctor.engines import interpreters_here
    from vbench.errors import UsageError

    of_sweep, engine = _of_sweep(file)
    named = [*of_sweep, *(pythons or [])]
    if is_describing and len(set(named)) > 1:
        raise UsageError(f"--describe shows one interpreter's arguments, and {len(set(named))} are named: use --python")
    found = [] if pythons and file is None else interpreters_here(Path.cwd())
    if is_describing:
        found, named = [], named or [sys.executable]
    listed = list_engines(found, named, engine)
    if is_describing:
        _describe(listed[0], as_json=as_json)
    elif as_json:
        typer.echo(json.dumps({"engines": [one.as_json() for one in listed]}, indent=2))
    else:
        _show(listed)
    if not all_named_usable(listed):
        raise typer.Exit(EXIT_MACHINE)


def _of_sweep(file: Path | None) -> tuple[list[str], str]:
    """The interpreters that a sweep names, its own first, and the engine that they should hold."""
    from vbench.spec.loader import load_spec

    if file is None:
        return [], _DEFAULT_ENGINE
    spec = load_spec(file)
    return [spec.python or sys.executable, *spec.interpreters()], spec.engine


def _show(listed: Sequence[ListedEngine]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from vbench.cli.wording import make_console

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in ("interpreter", *_COLUMNS):
        table.add_column(_TITLES.get(name, name), justify="right" if name == "arguments" else "left", overflow="fold")
    for one in listed:
        if one.problem is None:
            facts = one.as_json()
            table.add_row(escape(one.python), *(escape(_cell(facts[name])) for name in _COLUMNS))
    console = make_console(sys.stdout, pipe_width=_PIPE_WIDTH)
    if table.row_count:
        console.print(table)
    for one in listed:
        if one.problem is not None:
            mark = "[red]✗[/]" if one.is_named or one.interpreter is not None else "[dim]–[/]"
            console.print(f"{mark} {escape(one.python)}: {escape(one.problem)}", highlight=False)


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)


def _describe(one: ListedEngine, *, as_json: bool) -> None:
    from vbench.errors import MachineError

    if one.description is None or one.interpreter is None:
        raise MachineError(one.problem or f"{one.python} can't be asked")
    if as_json:
        said = {name: value for name, value in one.description.items() if name != "event"}
        typer.echo(json.dumps({**one.as_json(), **said}, indent=2))
        return
    arguments: Mapping[str, Mapping[str, Any]] = one.description.get("arguments", {})
    held = one.interpreter
    typer.echo(f"{one.python}: {held.distribution} {held.engine_version}, {len(arguments)} arguments\n")
    width = max(map(len, arguments), default=0)
    for name in sorted(arguments):
        choices = arguments[name].get("choices")
        told = " | ".join(map(str, choices)) if choices else str(arguments[name].get("type") or "")
        typer.echo(f"{name:<{width}}  {told}".rstrip())
    for name, keys in sorted(one.description.get("nested_keys", {}).items()):
        typer.echo(f"\nkeys of {name}: {', '.join(keys)}")
