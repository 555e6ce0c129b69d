"""A run that goes on after its finals: what it tries then counts, and has finals of its own."""

from __future__ import annotations

from tests.cli.process import BASE
from tests.sweep.conftest import Sweeps
from vbench.analysis import ranking
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective
from vbench.sweep.result import SweepResult

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
THREE = BASE.replace("passes: 2", "passes: 3")
SPACE = """\
engine_args: {noise: 0.02}
parameters:
  max_num_seqs: [1, 2, 4]
  seed: [1, 2]
search: {method: grid, finalists: 2, final_rounds: 1, trials: %d}
"""


def best_and_finals(result: SweepResult) -> tuple[int, list[int | None]]:
    best: TrialRecord | None = ranking.best(result.records, FASTEST)
    assert best is not None
    assert result.best is not None
    assert result.best.trial == best.trial  # what the session says is what the records say
    return best.trial, [one.repeat_of for one in result.records if one.origin == "final"]


def test_what_is_better_than_the_finalists_is_the_best_and_is_measured_again(sweep: Sweeps) -> None:
    first, finals = best_and_finals(sweep(SPACE % 4, base=THREE))
    assert set(finals) == {2, 3}  # two sequences at once
    assert first in finals

    # Four at once, far ahead, and nothing to compare it with: trial 6, after the finals 4 and 5.
    assert best_and_finals(sweep(SPACE % 5, base=THREE)) == (6, finals)
    assert best_and_finals(sweep(SPACE % 5, base=THREE)) == (6, finals)  # and so it stays

    best, more = best_and_finals(sweep(SPACE % 6, base=THREE))
    assert more[:2] == finals
    assert set(more[2:]) == {6, 7}
    assert best in (6, 7)
