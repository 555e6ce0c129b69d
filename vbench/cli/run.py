"""`vbench run FILE`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vbench.cli.interrupts import interruptible
from vbench.cli.options import DEFAULT_RESULTS, FLAG, NoPlan, Results, SetValue, SweepFile
from vbench.cli.sweep import Emulate, emulating
from vbench.errors import EXIT_NO_RESULT


def run(
    file: SweepFile,
    set_values: SetValue = None,
    emulate: Emulate = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar=FLAG, help="Print the trial's record as one line of JSON, nothing else.")
    ] = False,
    no_plan: NoPlan = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Run one configuration of a sweep file, and say everything about it.

    It is the file's baseline (or, without one, the first of each choice), changed by [bold]--set[/]. Constraints are
    checked, not obeyed: what was asked for is run.

      vbench run sweeps/demo.yaml
      vbench run sweeps/demo.yaml --set max_num_seqs=4 --set prompts.limit=8
    """
    from vbench.cli.listeners import make_listener
    from vbench.outcome import Outcome
    from vbench.spec.hidden_values import refuse_hidden_values
    from vbench.spec.loader import load_spec
    from vbench.sweep.prepared import prepare
    from vbench.sweep.single import single_trial
    from vbench.sweep.start import run_sweep

    overrides = [*(set_values or []), *emulating(emulate)]
    spec = single_trial(load_spec(file, overrides))
    refuse_hidden_values(spec, file)
    listener = make_listener(as_json=as_json, stream=sys.stdout, is_single=True)
    with interruptible("stopped; nothing was recorded", listener.stopping):
        result = run_sweep(
            prepare(spec), results, listener, force_new=True, overrides=overrides, is_planned=not no_plan
        )
    if all(record.outcome is not Outcome.COMPLETED for record in result.records):
        raise typer.Exit(EXIT_NO_RESULT)
