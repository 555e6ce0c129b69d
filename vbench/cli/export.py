"""`vbench export [RUN]`."""

from __future__ import annotations

from typing import Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results, RunName


def export(
    run: RunName = "",
    optuna: Annotated[
        str,
        typer.Option(
            "--optuna", metavar="URL", help="The database, e.g. [bold]sqlite:///study.db[/].", show_default=False
        ),
    ] = ...,  # type: ignore[assignment]
    study: Annotated[
        str, typer.Option("--study", metavar="NAME", help="The study's name. Default: SWEEP/RUN.", show_default=False)
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", metavar=FLAG, help="Replace a study of that name.")] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Write a run as an Optuna study into a database, for optuna-dashboard.

    The study is a copy of what was measured so far: write it again with --replace when there is more. Finals and
    references are trials of it too; which trial vbench calls the best is the study's user attribute best_trial.

      vbench export demo --optuna sqlite:///study.db
      pip install optuna-dashboard
      optuna-dashboard sqlite:///study.db
    """
    from vbench.analysis.ranking import best as best_of
    from vbench.records.runs import resolve_run
    from vbench.report.contents import read_run
    from vbench.search.optuna_export import export_study, shown_url
    from vbench.spec.stored import stored_parameters

    folder = resolve_run(results, run)
    contents = read_run(folder)
    name = study or f"{folder.sweep}/{folder.run_id}"
    overrides = contents.run.get("overrides")
    facts = {
        key: contents.run[key]
        for key in ("search_method", "seed", "hardware", "vbench_version", "warm_start", "random_arm")
        if contents.run.get(key) is not None
    }
    winner = best_of(contents.result.records, contents.objective)
    if winner is not None:
        facts["best_trial"] = winner.trial
    count = export_study(
        contents.result.records,
        stored_parameters(contents.sweep_yaml, [str(one) for one in overrides or ()]),
        contents.objectives,
        optuna,
        name,
        {"run": f"{folder.sweep}/{folder.run_id}", **facts},
        replace=replace,
    )
    typer.echo(f"{count} trials in the study {name!r} of {shown_url(optuna)}")
