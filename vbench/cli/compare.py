"""`vbench compare`: is B faster than A, by how much, and how sure is that; a gate for CI jobs."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli import compare_again
from vbench.cli.options import DEFAULT_RESULTS, FLAG, NoPlan, Results
from vbench.errors import EXIT_SLOWER, UsageError

if TYPE_CHECKING:
    from vbench.analysis.comparison import Comparison

_PIPE_WIDTH = 160  # columns where there is no terminal to ask
_TRIAL = "A run (its best trial), or RUN:NUMBER, RUN:baseline, RUN:best."

First = Annotated[str, typer.Argument(metavar="A", help=_TRIAL, show_default=False)]
Second = Annotated[str, typer.Argument(metavar="B", help="What is compared with it.", show_default=False)]


def compare(  # noqa: PLR0913, PLR0917 -- one for each option of the command
    a: First,
    b: Second = "",
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What decides. Default: the objective of A's run.")
    ] = None,
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            "--fail-if-slower",
            metavar="SHARE",
            help="End with exit code 6 when B is shown to be worse than A by more than this (3%).",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", metavar=FLAG, help="With --fail-if-slower: fail also when so large a loss can't be excluded."
        ),
    ] = False,
    again: compare_again.Again = False,
    detect: compare_again.Detect = None,
    max_pairs: compare_again.MaxPairs = None,
    timeout: compare_again.Timeout = None,
    of_a: compare_again.SetA = None,
    of_b: compare_again.SetB = None,
    new: compare_again.NewOne = False,
    no_plan: NoPlan = False,
    as_json: Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print JSON.")] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Compare two trials: two configurations, two runs, two engine versions, two cards.

    Prints each metric with the 95 % interval of B ÷ A, what differs between the two, and one sentence: how much faster
    B is, or how small a difference would have been seen. What can't be compared (other prompts, other output lengths,
    a trial that wasn't measured) is refused with the reason. Trials of one run that were measured in turns are compared
    pair by pair.

      vbench compare demo:baseline demo:best         what the sweep gained
      vbench compare demo:3 demo:7                   two of its trials
      vbench compare demo/20261121-113655 demo       the best of two runs
      vbench compare old new --metric p95_ttft_s     by a latency
      vbench compare old new --fail-if-slower 3%     for a CI job: exit code 6
                                                     when new lost more than 3%

    What hardly differs has to be measured again, in turns; what was found is printed once more by naming its run.

      vbench compare demo:3 demo:7 --again --detect 2%
      vbench compare sweeps/demo.yaml --a max_num_seqs=4 --b max_num_seqs=16
      vbench compare sweeps/demo.yaml --b python=/opt/vllm-next/bin/python
      vbench compare compare-demo
    """
    from vbench.analysis import comparison
    from vbench.report.compared_side import read_side

    check_metric(metric)
    share = None if fail_if_slower is None else parse_share(fail_if_slower, "--fail-if-slower")
    if strict and share is None:
        raise UsageError("--strict belongs to --fail-if-slower: give both")
    asked = compare_again.Asked(
        again=again, detect=detect, max_pairs=max_pairs, timeout=timeout, of_a=of_a or (), of_b=of_b or (), new=new,
        no_plan=no_plan,
    )  # fmt: skip
    asked.check(a, b)
    if asked.is_measuring:
        found = compare_again.measure_again(a, b, asked, results, metric, as_json=as_json)
    elif not b:
        found = compare_again.comparison_of(results, a, metric)
    else:
        found = comparison.compare(read_side(results, a), read_side(results, b), metric)
    show(found, share, is_strict=strict, as_json=as_json)


def show(found: Comparison, share: float | None, *, is_strict: bool, as_json: bool) -> None:
    """Print a comparison, and end with exit code 6 where the gate says so."""
    from vbench.analysis import gate as gates
    from vbench.analysis.comparison_wording import gate_sentence
    from vbench.cli.wording import make_console
    from vbench.report.comparison import comparison_json, comparison_view

    gate = None if share is None else gates.gate(found.ratio, found.metric, share)
    is_failed = gate is not None and gate.fails(is_strict=is_strict)
    if as_json:
        typer.echo(json.dumps(comparison_json(found, gate, is_failed=is_failed), indent=2, ensure_ascii=False))
    else:
        make_console(sys.stdout, pipe_width=_PIPE_WIDTH).print(comparison_view(found))
    if gate is not None:
        prefix = "failed: " if is_failed else "warning: " if gate.decision == "unsure" else ""
        typer.echo(prefix + gate_sentence(gate, found.metric), err=True)
    if is_failed:
        raise typer.Exit(EXIT_SLOWER)


def check_metric(metric: str | None) -> None:
    """Raises UsageError, with what is close, for a name that is no metric."""
    from difflib import get_close_matches

    from vbench.metrics import metric_names

    if metric is None or metric in metric_names():
        return
    close = get_close_matches(metric, metric_names(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "there are " + ", ".join(metric_names()[:6]) + ", …"
    raise UsageError(f"--metric {metric!r} is no metric: {hint}")


def parse_share(text: str, option: str) -> float:
    """`3%` or 0.03, above 0 and below 1. Raises UsageError."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UsageError(f"{option} {text!r} is no share between 0 and 100%: give 3% or 0.03")
    return value
