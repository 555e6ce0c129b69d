"""`vbench compare --again`: both sides measured anew, in turns; and the result of such a comparison once more."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.interrupts import interruptible
from vbench.cli.options import DEFAULT_RESULTS, FLAG
from vbench.errors import EXIT_NO_RESULT, UsageError

if TYPE_CHECKING:
    from vbench.analysis.comparison import Comparison
    from vbench.records.record import TrialRecord
    from vbench.records.runs import RunFolder
    from vbench.sweep.comparing_session import ComparisonResult, Until
    from vbench.sweep.comparing_sides import Contender

_AGAIN = "Measure again, in turns"
Again = Annotated[
    bool,
    typer.Option("--again", metavar=FLAG, help="Measure both again now, in turns (A B B A …).", rich_help_panel=_AGAIN),
]
Detect = Annotated[
    str | None,
    typer.Option(
        "--detect",
        metavar="SHARE",
        help="Go on until a true change of this size would be seen with 80 % power. Default: 3%.",
        rich_help_panel=_AGAIN,
    ),
]
MaxPairs = Annotated[
    int | None,
    typer.Option(
        "--max-pairs", metavar="N", min=1, help="But no more pairs than this. Default: 12.", rich_help_panel=_AGAIN
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="TIME", help="And no longer than this (90s, 30m).", rich_help_panel=_AGAIN),
]
SetA = Annotated[
    list[str] | None,
    typer.Option(
        "--a",
        metavar="KEY=VALUE",
        help="Where A is a sweep file: what is set for A alone, as by [bold]--set[/]. May be repeated.",
        rich_help_panel=_AGAIN,
        show_default=False,
    ),
]
SetB = Annotated[
    list[str] | None,
    typer.Option(
        "--b",
        metavar="KEY=VALUE",
        help="The same for B, which without a name of its own is A's file too.",
        rich_help_panel=_AGAIN,
        show_default=False,
    ),
]
NewOne = Annotated[
    bool,
    typer.Option(
        "--new", metavar=FLAG, help="Begin anew, even if there is an unfinished one to go on with.",
        rich_help_panel=_AGAIN,
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of this way of comparing."""

    again: bool = False
    detect: str | None = None
    max_pairs: int | None = None
    timeout: str | None = None
    of_a: Sequence[str] = ()
    of_b: Sequence[str] = ()
    new: bool = False
    no_plan: bool = False

    def check(self, a: str, b: str) -> None:
        """Raises UsageError where options don't go together."""
        given = {"--detect": self.detect, "--max-pairs": self.max_pairs, "--timeout": self.timeout, "--new": self.new,
                 "--no-plan": self.no_plan}  # fmt: skip
        for name, value in given.items():
            if value and not self.is_measuring:
                raise UsageError(f"{name} belongs to --again: give both")
        if self.is_measuring and not b and not Path(a).is_file():
            raise UsageError(
                f"--again measures two sides: name what is compared with {a}, or a sweep file and --a, --b"
            )
        if self.is_measuring and not b and not self.of_a and not self.of_b:
            raise UsageError("A and B are one file: say what is set for each with --a KEY=VALUE and --b KEY=VALUE")
        for option, values, side in (("--a", self.of_a, a), ("--b", self.of_b, b or a)):
            if values and not Path(side).is_file():
                raise UsageError(f"{option} changes a sweep file, and {side} is none")

    @property
    def is_measuring(self) -> bool:
        """Whether something is to be measured."""
        return self.again or bool(self.of_a or self.of_b)


def comparison_of(results: Path, run: str, metric: str | None) -> Comparison:
    """What a comparison that was made before found. Raises UsageError for a run that is none."""
    from vbench.records.runs import is_comparison, resolve_run

    folder = resolve_run(results, run)
    if not is_comparison(folder):
        raise UsageError(f"{folder.sweep}/{folder.run_id} is no comparison: name what it is to be compared with")
    return _comparison(folder, metric)


def measure_again(a: str, b: str, asked: Asked, results: Path, metric: str | None, *, as_json: bool) -> Comparison:
    """Measure both sides in turns, and say what was found. Ends with exit code 1, and a message, where a side failed.

    Progress goes to stdout, with JSON to stderr.
    """
    from vbench.cli.compare_lines import Lines
    from vbench.sweep.comparing_match import match
    from vbench.sweep.comparing_run import run_comparison

    until = _until(asked)
    sides = _contender(results, a, asked.of_a), _contender(results, b or a, asked.of_b)
    lines = Lines(sys.stderr if as_json else sys.stdout)
    message = f"stopped; what was measured is kept. Go on with: {_command(a, b, asked, results)}"
    with interruptible(message):
        result = run_comparison(match(*sides), results, lines, until, force_new=asked.new, is_planned=not asked.no_plan)
    if result.failed is not None:
        _say_failed(result, result.failed)
        raise typer.Exit(EXIT_NO_RESULT)
    if not result.pairs:
        raise UsageError(
            f"--timeout {asked.timeout}: no pair could be measured in that time; {message.partition('. ')[2]}"
        )
    lines.ends(result, until)
    return _comparison(result.run, metric)


def _until(asked: Asked) -> Until:
    from vbench.cli.compare import parse_share
    from vbench.sweep.comparing import DEFAULT_DETECT, DEFAULT_MOST
    from vbench.sweep.comparing_session import Until
    from vbench.units import parse_duration_s

    try:
        timeout_s = None if asked.timeout is None else parse_duration_s(asked.timeout)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from error
    return Until(
        detect=DEFAULT_DETECT if asked.detect is None else parse_share(asked.detect, "--detect"),
        most=asked.max_pairs or DEFAULT_MOST, timeout_s=timeout_s,
    )  # fmt: skip


def _contender(results: Path, text: str, own: Sequence[str]) -> Contender:
    from vbench.records.runs import RunFolder
    from vbench.report.compared_side import read_side
    from vbench.sweep.comparing_sides import contender_of_file, contender_of_run

    if Path(text).is_file():
        return contender_of_file(Path(text), (), own)
    side = read_side(results, text)
    return contender_of_run(RunFolder(Path(side.run)), side.record)


def _command(a: str, b: str, asked: Asked, results: Path) -> str:
    """The command that goes on, without secrets."""
    from vbench.spec.redacted_text import shown_override

    words = ["vbench", "compare", a, *([b] if b else []), *(["--again"] if asked.again else [])]
    for option, values in (("--a", asked.of_a), ("--b", asked.of_b)):
        words += [word for value in values for word in (option, shown_override(value))]
    given = {"--detect": asked.detect, "--max-pairs": asked.max_pairs, "--timeout": asked.timeout}
    words += [str(word) for option, value in given.items() if value is not None for word in (option, value)]
    return shlex.join(words if results == DEFAULT_RESULTS else [*words, "--results", str(results)])


def _comparison(folder: RunFolder, metric: str | None) -> Comparison:
    from vbench.analysis.comparison import compare
    from vbench.report.compared_again import read_comparison

    a, b, pairs = read_comparison(folder)
    return compare(a, b, metric, pairs)


def _say_failed(result: ComparisonResult, record: TrialRecord) -> None:
    from vbench.cli.wording import describe_result
    from vbench.report.contents import read_run

    side = (record.model_extra or {}).get("side")
    typer.echo(f"{side} failed: {describe_result(record, read_run(result.run).objective)}", err=True)
    if record.failure is not None:
        log = result.run.log(record.trial)
        typer.echo(record.failure.advice + (f"; log in {log}" if log.exists() else ""), err=True)
    if result.pairs:
        name = f"{result.run.sweep}/{result.run.run_id}"
        typer.echo(f"the {len(result.pairs)} pairs before it are kept: vbench compare {name}", err=True)
