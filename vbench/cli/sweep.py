"""`vbench sweep FILE`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli import options
from vbench.cli.interrupts import interruptible
from vbench.cli.options import DEFAULT_RESULTS, FLAG, NoPlan, Results, SetValue, SweepFile
from vbench.cli.options import Emulate as Emulate  # noqa: PLC0414 -- re-exported
from vbench.errors import EXIT_NO_RESULT, UsageError

if TYPE_CHECKING:
    from vbench.spec.types import SweepSpec
    from vbench.sweep.limits import Limits

_KEYS = {
    "--trials": "search.trials",
    "--timeout": "search.timeout",
    "--gpu-hours": "search.gpu_hours",
    "--method": "search.method",
    "--prune": "search.prune",
    "--finalists": "search.finalists",
    "--random-arm": "search.random_arm",
    "--parallel": "search.parallel_trials",
    "--machine-faults": "search.machine_faults",
}
"""Options that stand for a key of the file."""
Asked = Mapping[str, str | int | float | bool | None]
"""Options by name; None, and False of a plain flag, is one that wasn't given."""


def emulating(name: str | None) -> list[str]:
    """`--emulate NAME` as a change of the file."""
    return [] if name is None else [f"emulate={{profile: {json.dumps(name)}}}"]


def sweep(  # noqa: PLR0913, PLR0917 -- one for each option of the command
    file: SweepFile,
    set_values: SetValue = None,
    emulate: Emulate = None,
    trials: options.Trials = None,
    timeout: options.Timeout = None,
    gpu_hours: options.GpuHours = None,
    session: options.SessionTime = None,
    session_margin: options.SessionMargin = None,
    method: options.Method = None,
    prune: options.Prune = None,
    finalists: options.Finalists = None,
    random_arm: options.RandomArm = False,
    parallel: options.Parallel = None,
    machine_faults: options.MachineFaults = None,
    from_runs: options.FromRuns = None,
    new: Annotated[
        bool, typer.Option("--new", metavar=FLAG, help="Start a new run, even if there is one to go on with.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            metavar=FLAG,
            help="Print one JSON object a line: each record, then a summary (run, status, num_trials, outcomes, "
            "best_trial, objective, best_value, mark).",
        ),
    ] = False,
    no_plan: NoPlan = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Try what the sweep file describes, and find the best; run it again to go on after any interruption.

    Each trial is one configuration on the real engine, in a process of its own: warm-up, timed passes over the fixed
    prompts, memory. Its record is on disk before the next begins, and the best so far, ready to paste, in the run's
    best.md.

      vbench sweep sweeps/demo.yaml                 run it, or go on with it
      vbench sweep sweeps/demo.yaml --trials 40     more trials, in the same run
      vbench sweep sweeps/demo.yaml --set dtype=float16 --timeout 2h
      vbench sweep sweeps/demo.yaml --emulate t4 --timeout 1h

    With little time, such as a Kaggle week: the same line in each session goes on where the last one stopped.

      vbench sweep t4.yaml --session 12h --gpu-hours 8
      vbench sweep t4.yaml --from t4-small          learn from another run first
      vbench sweep t4.yaml --random-arm             was the search worth it?
    """
    asked: Asked = {
        "--trials": trials, "--timeout": timeout, "--gpu-hours": gpu_hours, "--session": session,
        "--session-margin": session_margin, "--method": method, "--prune": prune, "--finalists": finalists,
        "--random-arm": random_arm or None, "--parallel": parallel, "--machine-faults": machine_faults,
    }  # fmt: skip
    from vbench.cli.listeners import make_listener
    from vbench.records.runs import resolve_run
    from vbench.search.make import check_method
    from vbench.spec.hidden_values import refuse_hidden_values
    from vbench.spec.loader import load_spec
    from vbench.sweep.prepared import prepare
    from vbench.sweep.start import run_sweep

    changes = [*(set_values or []), *emulating(emulate)]
    overrides = [*changes, *overrides_of(asked)]
    spec = load_spec(file, overrides)
    refuse_hidden_values(spec, file)
    check_method(spec)
    limits, earlier = limits_asked(spec, asked), [resolve_run(results, run) for run in from_runs or ()]
    again = command_to_go_on(file, changes, asked, from_runs or (), results)
    listener = make_listener(as_json=as_json, stream=sys.stdout)
    with interruptible(f"stopped; what was measured is kept. Go on with: {again}", listener.stopping):
        result = run_sweep(
            prepare(spec), results, listener, force_new=new, overrides=overrides, is_planned=not no_plan,
            limits=limits, warm_start=earlier,
        )  # fmt: skip
    if result.best is None:
        raise typer.Exit(EXIT_NO_RESULT)


def overrides_of(asked: Asked) -> list[str]:
    """The options that stand for a key of the file, as `--set` values."""
    given = {key: asked.get(option) for option, key in _KEYS.items()}
    if given["search.timeout"] is not None:
        given["search.timeout"] = _seconds("--timeout", asked["--timeout"])
    return [f"{key}={_as_yaml(value)}" for key, value in given.items() if value is not None]


def _as_yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(option: str, text: object) -> float:
    from vbench.units import parse_duration_s

    try:
        return parse_duration_s(str(text))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def limits_asked(spec: SweepSpec, asked: Asked) -> Limits:
    """The file's limits and the session's. Raises UsageError for a margin that leaves nothing."""
    from vbench.sweep.limits import DEFAULT_MARGIN_S, limits_of
    from vbench.units import format_duration

    session, margin = asked.get("--session"), asked.get("--session-margin")
    margin_s = DEFAULT_MARGIN_S if margin is None else _seconds("--session-margin", margin)
    if session is None:
        if margin is not None:
            raise UsageError("--session-margin: goes with --session, which says how long the machine is yours")
        return limits_of(spec)
    session_s = _seconds("--session", session)
    if margin_s >= session_s:
        shown = format_duration(margin_s)
        raise UsageError(f"--session: {session} is no longer than its margin, {shown}: give a shorter --session-margin")
    return limits_of(spec, session_s=session_s, session_margin_s=margin_s)


def command_to_go_on(file: Path, changes: Sequence[str], asked: Asked, from_runs: Sequence[str], results: Path) -> str:
    """The command that finds this run again: with the same `--set`, or it would be another sweep. Secrets in it are
    hidden: it is printed."""
    from vbench.spec.redacted_text import shown_override

    words = ["vbench", "sweep", str(file), *(word for value in changes for word in ("--set", shown_override(value)))]
    for option, value in asked.items():
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option.removeprefix('--')}")
        elif value is not None:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    words += [word for run in from_runs for word in ("--from", run)]
    return shlex.join(words if results == DEFAULT_RESULTS else [*words, "--results", str(results)])
