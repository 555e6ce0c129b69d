"""`vbench sweep FILE`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, Results, SetValue, SweepFile, interruptible
from vbench.errors import EXIT_NO_RESULT


def sweep(
    file: SweepFile,
    set_values: SetValue = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="How many trials in all, instead of the file's.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Time budget (90s, 10m, 6h), instead of the file's.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Start a new run, even if there is one to go on with.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line: each record, then a summary.")
    ] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Try what the sweep file describes, and find the best; run it again to go on after any interruption.

    Each trial is one configuration on the real engine, in a process of its own: warm-up, timed passes over the fixed
    prompts, memory. Its record is on disk before the next begins.
    """
    from vbench.cli.listeners import make_listener
    from vbench.spec.loader import load_spec
    from vbench.sweep.prepared import prepare
    from vbench.sweep.start import run_sweep

    overrides = list(set_values or [])
    if trials is not None:
        overrides.append(f"search.trials={trials}")
    if timeout is not None:
        overrides.append(f"search.timeout={timeout}")
    spec = load_spec(file, overrides)
    with interruptible(f"stopped; what was measured is kept. Go on with: vbench sweep {file}"):
        prepared = prepare(spec)
        result = run_sweep(prepared, results, make_listener(as_json=as_json, stream=sys.stdout), force_new=new)
    if result.best is None:
        raise typer.Exit(EXIT_NO_RESULT)
