"""Options that several commands share, and how an interrupt ends a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vbench.errors import Interrupted

DEFAULT_RESULTS = Path("results")
DEFAULT_REPORTS = Path("reports")

SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file (YAML).", show_default=False)]
Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Where runs are kept.", envvar="VBENCH_RESULTS")
]
SetValue = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the file for this call: a key of it ([bold]search.trials=5[/], [bold]prompts.limit=8[/]) or an "
        "engine argument to fix ([bold]max_num_seqs=4[/]). May be repeated.",
        show_default=False,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        help="A run: its folder, SWEEP/RUN, a sweep's name (its latest run), an id; the latest of all if left out.",
        show_default=False,
    ),
]


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into `Interrupted` with a message that says how to go on.

    A second Ctrl-C while cleaning up ends at once; the keeper sees our end close and kills what is left.
    """

    def stop(_number: int, _frame: object) -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, _end_now)
        raise Interrupted(message)

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_now(_number: int, _frame: object) -> None:
    os._exit(Interrupted.exit_code)
