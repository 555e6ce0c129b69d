"""`vbench sweep FILE`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, NoPlan, Results, SetValue, SweepFile, interruptible
from vbench.errors import EXIT_NO_RESULT, UsageError

Emulate = Annotated[
    str | None,
    typer.Option(
        "--emulate", metavar="NAME", help="Hold trials to another, smaller card: a hardware profile, such as t4."
    ),
]


def emulating(name: str | None) -> list[str]:
    """`--emulate NAME` as a change of the file."""
    return [] if name is None else [f"emulate={{profile: {json.dumps(name)}}}"]


def sweep(
    file: SweepFile,
    set_values: SetValue = None,
    emulate: Emulate = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", min=1, help="How many trials in all, instead of the file's."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Time budget (90s, 10m, 6h), instead of the file's.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", metavar=FLAG, help="Start a new run, even if there is one to go on with.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object a line: each record, then a summary.")
    ] = False,
    no_plan: NoPlan = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Try what the sweep file describes, and find the best; run it again to go on after any interruption.

    Each trial is one configuration on the real engine, in a process of its own: warm-up, timed passes over the fixed
    prompts, memory. Its record is on disk before the next begins.

      vbench sweep sweeps/demo.yaml                 run it, or go on with it
      vbench sweep sweeps/demo.yaml --trials 40     more trials, in the same run
      vbench sweep sweeps/demo.yaml --set dtype=float16 --timeout 2h
      vbench sweep sweeps/demo.yaml --emulate t4 --timeout 1h
    """
    from vbench.cli.listeners import make_listener
    from vbench.spec.loader import load_spec
    from vbench.sweep.prepared import prepare
    from vbench.sweep.start import run_sweep

    overrides = [*(set_values or []), *emulating(emulate), *_budget(trials, timeout)]
    spec = load_spec(file, overrides)
    listener = make_listener(as_json=as_json, stream=sys.stdout)
    again = _command_to_go_on(file, [*(set_values or []), *emulating(emulate)], trials, timeout, results)
    with interruptible(f"stopped; what was measured is kept. Go on with: {again}", listener.stopping):
        result = run_sweep(prepare(spec), results, listener, force_new=new, overrides=overrides, is_planned=not no_plan)
    if result.best is None:
        raise typer.Exit(EXIT_NO_RESULT)


def _budget(trials: int | None, timeout: str | None) -> list[str]:
    from vbench.units import parse_duration_s

    overrides = [] if trials is None else [f"search.trials={trials}"]
    if timeout is not None:
        try:
            overrides.append(f"search.timeout={parse_duration_s(timeout)}")
        except ValueError as error:
            raise UsageError(f"--timeout: {error}") from error
    return overrides


def _command_to_go_on(
    file: Path, set_values: Sequence[str], trials: int | None, timeout: str | None, results: Path
) -> str:
    """The command that finds this run again: with the same `--set`, or it would be another sweep."""
    words = ["vbench", "sweep", str(file), *(word for value in set_values for word in ("--set", value))]
    words += [] if trials is None else ["--trials", str(trials)]
    words += [] if timeout is None else ["--timeout", timeout]
    words += [] if results == DEFAULT_RESULTS else ["--results", str(results)]
    return shlex.join(words)
