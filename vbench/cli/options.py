"""What several commands share: options, how their help is laid out, how an interrupt or a closed pipe ends one."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.errors import Interrupted, UsageError
from vbench.printable import printable

if TYPE_CHECKING:
    from vbench.records.runs import RunFolder

DEFAULT_RESULTS = Path("results")
DEFAULT_REPORTS = Path("reports")
FLAG = ""
"""The metavar of an option without a value."""
_SHOW_CURSOR = b"\x1b[?25h"

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


class _Stopped(BaseException):
    """Raised by a signal wherever the program happens to be, so no `except Exception` may take it for its own:
    `threading.Thread.start` has one, and would lose track of a thread that does run."""


@contextmanager
def interruptible(message: str, on_stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into `Interrupted` with a message that says how to go on.

    `on_stop` is called first, in a signal handler: it must not write through a buffer. A second Ctrl-C while cleaning
    up ends at once, with the same message; the keeper sees our end close and kills what is left. A reader of our output
    that is gone (`vbench sweep … | head`) ends the command the same way. Where SIGHUP is ignored (`nohup`) it stays so.
    """

    def stop(_number: int, _frame: object) -> None:
        for one in heard:  # a terminal that is closed may send SIGHUP twice, and its shell once more
            signal.signal(one, _hear_nothing if one == signal.SIGHUP else lambda *_: _end_now(message))
        with suppress(OSError):  # the terminal may be what has gone
            on_stop()
        raise _Stopped

    is_hup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = (signal.SIGINT, signal.SIGTERM, *(() if is_hup_ignored else (signal.SIGHUP,)))
    before = {one: signal.signal(one, stop) for one in heard}
    try:
        yield
    except _Stopped:
        raise Interrupted(message) from None
    except BrokenPipeError as error:
        silence_stdout()
        raise Interrupted(f"nobody reads the output any more: {message}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hear_nothing(_number: int, _frame: object) -> None:
    """Not SIG_IGN, which processes that are started would inherit."""


def silence_stdout() -> None:
    """Let what is still buffered for a closed pipe go nowhere, or Python complains about it on its way out."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _end_now(message: str) -> None:
    with suppress(OSError):  # a terminal that has gone
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR + b"\n")  # the live view hid it, and stands there without an end
        os.write(2, f"{message}\n".encode(errors="replace"))
    os._exit(Interrupted.exit_code)
