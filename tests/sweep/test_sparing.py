"""What a trial is spared: passes of one that can't win, a probe that tells nothing, the start of a running engine."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cli.process import BASE
from tests.sweep.conftest import Sweeps
from tests.sweep.test_phases import NOISY
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.early_stop import EarlyStop


def test_trials_that_cannot_win_are_stopped_and_only_those_of_the_search(sweep: Sweeps) -> None:
    # A pass of the baseline takes 0.06 s of real time, one without quantization and one at a time 0.34 s and more.
    extra = """\
engine_args: {sleep_scale: 1.0}
parameters:
  max_num_seqs: [1, 4]
  quantization: [none, awq]
baseline: {max_num_seqs: 4, quantization: awq}
search: {method: grid, prune: true, random_arm: true}
"""
    result = sweep(extra, base=BASE.replace("passes: 2", "passes: 3"))
    slow = next(one for one in result.records if one.parameters == {"max_num_seqs": 1, "quantization": "none"})
    assert (slow.outcome, slow.origin) == (Outcome.PRUNED, "search")
    assert slow.stopped is not None
    assert slow.stopped.incumbent_trial == 0
    assert slow.stopped.bound <= slow.stopped.incumbent_value
    assert result.best is not None
    assert result.best.parameters == {"max_num_seqs": 4, "quantization": "awq"}


def test_a_probe_is_made_only_while_it_may_stop_something(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = f"{NOISY}baseline: {{}}\nsearch: {{method: random, trials: 4, finalists: 2, random_arm: true, prune: true, "
    probes = {(one.origin, one.passes[0].kind) for one in begun(sweep(f"{extra}probe_prompts: 2}}\n").records)}
    assert probes == {("baseline", "probe"), ("search", "probe"), ("random", "timed"), ("final", "timed")}
    monkeypatch.setattr(EarlyStop, "wants_probe", property(lambda early: early.agreement.count < 3))
    kinds = [one.passes[0].kind for one in begun(sweep(f"{extra}probe_prompts: 2}}\n", new=True).records)]
    assert kinds[:4] == ["probe", "probe", "probe", "timed"]


def begun(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Without those that were stopped in their first pass, as on a busy machine any may be."""
    return [one for one in records if one.passes or one.outcome is not Outcome.PRUNED]


def test_an_engine_serves_the_trials_that_only_ask_differently(sweep: Sweeps) -> None:
    extra = """\
parameters:
  block_size: [16, 32]
  sampling.temperature: [0.0, 0.5, 1.0]
search: {method: grid, finalists: 3, final_rounds: 1}
"""
    starts = [(one.origin, one.environment["worker_start"]) for one in sweep(extra).records]
    assert starts[:6] == [("search", one) for one in ("fork", "reused", "reused", "fork", "reused", "reused")]
    assert starts[6:] == [("final", "fork")] * 3
    apart = sweep(extra.replace("grid,", "grid, reuse_engine: false,"), new=True).records
    assert {one.environment["worker_start"] for one in apart} == {"fork"}
