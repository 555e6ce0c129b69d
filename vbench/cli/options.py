"""What several commands share: options, how their help is laid out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.errors import UsageError
from vbench.printable import printable

if TYPE_CHECKING:
    from vbench.records.runs import RunFolder

DEFAULT_RESULTS = Path("results")
DEFAULT_REPORTS = Path("reports")
FLAG = ""
"""The metavar of an option without a value."""

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file (YAML).", show_default=False)]
Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Where runs are kept.", envvar="VBENCH_RESULTS")
]
SetValue = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the file for this call: a key of it ([bold]search.seed=1[/], [bold]prompts.limit=8[/]) or an "
        "engine argument to fix ([bold]max_num_seqs=4[/]). May be repeated.",
        show_default=False,
    ),
]
NoPlan = Annotated[
    bool,
    typer.Option("--no-plan", metavar=FLAG, help="Start also what the memory planner says can't run on the card."),
]
Emulate = Annotated[
    str | None,
    typer.Option(
        "--emulate", metavar="NAME", help="Hold trials to another, smaller card: a hardware profile, such as t4."
    ),
]
# How a sweep searches and when it stops: each of these stands for a key of the file, and wins over it.
_LIMITS, _SEARCH = "When to stop", "How to search"
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        min=1,
        help="How many trials in all. Default: the whole of a grid, else 30.",
        rich_help_panel=_LIMITS,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="TIME", help="Time budget (90s, 10m, 6h), all sessions together.", rich_help_panel=_LIMITS
    ),
]
GpuHours = Annotated[
    float | None,
    typer.Option(
        "--gpu-hours",
        metavar="X",
        help="GPU-hours that the run may take, all its sessions together; [bold]--new[/] starts a new account.",
        rich_help_panel=_LIMITS,
    ),
]
SessionTime = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="TIME",
        help="How long this machine is yours (12h). No trial is started that wouldn't end in time. In a Kaggle "
        "notebook it counts since the notebook was opened, elsewhere from now on.",
        rich_help_panel=_LIMITS,
    ),
]
SessionMargin = Annotated[
    str | None,
    typer.Option(
        "--session-margin",
        metavar="TIME",
        help="Stop so long before the session's end, to save results. Default: 15m.",
        rich_help_panel=_LIMITS,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="How configurations are chosen: auto (the default), surrogate, grid, random, qmc, tpe, gp, cmaes, nsga2, "
        "nsga3 or botorch.",
        rich_help_panel=_SEARCH,
    ),
]
Prune = Annotated[
    bool | None,
    typer.Option(
        "--prune/--no-prune",
        metavar=FLAG,
        help="Stop trials that can't catch the best so far. Default: with method auto.",
        rich_help_panel=_SEARCH,
        show_default=False,
    ),
]
Finalists = Annotated[
    int | None,
    typer.Option(
        "--finalists",
        metavar="N",
        min=0,
        help="Measure up to so many of the best again before one is named. 0: none. Default: 3 with method auto.",
        rich_help_panel=_SEARCH,
    ),
]
RandomArm = Annotated[
    bool,
    typer.Option(
        "--random-arm",
        metavar=FLAG,
        help="Afterwards, a random search of equal time: what was the search worth?",
        rich_help_panel=_SEARCH,
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        metavar="N",
        min=1,
        help="So many one-GPU trials side by side, where they don't disturb each other.",
        rich_help_panel=_SEARCH,
    ),
]
_FAULTS = "After a trial that the machine spoilt, not its settings: stop, which is the default, or go on with the next."
MachineFaults = Annotated[
    str | None,
    typer.Option("--machine-faults", metavar="stop|go_on", help=_FAULTS, rich_help_panel=_LIMITS, show_default=False),
]
FromRuns = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="RUN",
        help="Learn from an earlier run of the same model and card first; named as for [bold]vbench show[/]. May be "
        "repeated.",
        rich_help_panel=_SEARCH,
        show_default=False,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run: its folder, SWEEP/RUN, a sweep's name (its latest run), or a run's id. Left out: the latest of "
        "all.",
        show_default=False,
    ),
]


def help_of(command: Callable[..., Any]) -> str:
    """A command's docstring, each paragraph on one line, so that it is wrapped where the terminal ends. An indented
    paragraph (examples) keeps its lines, and its indent, which typer would take away with that of all lines."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(f"[none]{one}[/]" if one.startswith(" ") else " ".join(one.split()) for one in paragraphs)


def say(text: str, *, is_error: bool = False) -> None:
    """Print a sentence with names in it, which come from files and folders: nothing in them moves the cursor."""
    typer.echo(printable(text), err=is_error)


def refuse_comparison(run: RunFolder) -> None:
    """Raises UsageError for the run of a comparison, which has no best trial."""
    from vbench.records.runs import is_comparison

    if is_comparison(run):
        name = f"{run.sweep}/{run.run_id}"
        raise UsageError(f"{name} is a comparison: `vbench compare {name}` prints what it found")
