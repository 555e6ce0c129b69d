"""`vbench plan FILE`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results, SetValue, SweepFile
from vbench.errors import EXIT_NO_RESULT

if TYPE_CHECKING:
    from vbench.sweep.forecast import Planned


def plan(
    file: SweepFile,
    set_values: SetValue = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object with every configuration.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most so many rows of each table.", show_default=True)
    ] = 20,
    engine_version: Annotated[
        str | None,
        typer.Option("--engine-version", metavar="X", help="Plan for this version instead of the installed one."),
    ] = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Say what of a sweep fits on the card, and what can't and why, before anything is loaded.

    Arithmetic on the model's config, the settings and the card's profile: no GPU, no engine and no download is needed.
    What is uncertain is tried by a sweep; what can't run is refused by it, for the reason given here.

      vbench plan sweeps/t4.yaml
      vbench plan sweeps/demo.yaml --set hardware=t4 --engine-version 0.18.1
    """
    from vbench.spec.loader import load_spec
    from vbench.sweep.forecast import forecast

    made = forecast(load_spec(file, set_values or []), results, engine_version)
    if as_json:
        said = {"quantization_floors": made.floors, "assumptions": [*made.assumptions]}
        entries = [_entry(one) for one in made.configurations]
        typer.echo(json.dumps({"configurations": entries, **said}, allow_nan=False))
    else:
        from vbench.cli.wording import make_console
        from vbench.report.forecast import forecast_view

        make_console(sys.stdout, pipe_width=140).print(forecast_view(made, limit))
    if not made.is_any_tried:
        raise typer.Exit(EXIT_NO_RESULT)


def _entry(one: Planned) -> dict[str, Any]:
    from vbench.execution.trial_record import recorded_config

    said = one.plan.as_json(recorded_config(one.config))
    return {name: said[name] for name in ("config", "verdict", "reason", "per_gpu")}
