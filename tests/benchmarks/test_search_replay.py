"""The arithmetic of the replay: what a trial costs on the virtual clock, what a search is scored by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search.measured import HERE, MEASUREMENTS, Measured, first_pass_seconds, measured_of
from benchmarks.search.methods import BY_NAME, COMPARED
from benchmarks.search.scores import difference_interval, quantile_interval, regret_at, searched
from benchmarks.search.simulate import Moment, Simulation, Trace
from benchmarks.search.timeline import KILL_S, longer, play, steps_of
from vbench.outcome import Outcome
from vbench.records.record import EngineFacts, Failure, Pass, Phase, PromptSetFacts, Requests, Stopped, TrialRecord
from vbench.records.store import RecordStore
from vbench.spec.loader import parse_spec

TEXT = """\
name: small
model: org/name
engine: fake
prompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}
parameters:
  max_num_seqs: [1, 2, 4, 8]
  block_size: [16, 32, 64]
search: {method: grid}
measure: {warmup_passes: 1, passes: 2}
"""
TOKENS = 32
PASSES = (
    ("probe", "probe", 0, 0.5),
    ("warmup", "warmup", 0, 2.0),
    ("pass", "timed", 0, 1.0),
    ("pass", "timed", 1, 1.0),
)


def record_of(parameters: dict[str, Any], speed: float = 1.0, number: int = 0) -> TrialRecord:
    """Start 1 s, probe 0.5 s, warm-up 2 s, two passes of 1 s at `speed` 1, end 0.25 s; each pass begins 0.01 s late."""
    phases, passes, clock = [Phase(name="load", start_s=0.0, end_s=1.0)], [], 1.0
    for name, kind, index, at_one_s in PASSES:
        seconds = at_one_s / speed
        work = Requests(input_tokens=[8] * 4, output_tokens=[8] * 4)
        passes.append(Pass(index=index, kind=kind, start_s=clock + 0.01, duration_s=seconds, requests=work))
        phases.append(Phase(name=name, index=index, start_s=clock, end_s=clock + seconds + 0.01))
        clock = phases[-1].end_s
    phases.append(Phase(name="close", start_s=clock, end_s=clock + 0.25))
    return TrialRecord(
        trial=number, config={}, parameters=parameters, outcome=Outcome.COMPLETED, passes=passes, phases=phases,
        measurements={"output_throughput_tok_s": TOKENS * speed}, engine=EngineFacts(name="fake"),
        prompt_set=PromptSetFacts(sha256="0", num_prompts=4, output_tokens=8, source="x"),
        started_at="2026-01-01T00:00:00+00:00", duration_s=clock + 0.25,
    )  # fmt: skip


def refused_of(parameters: dict[str, Any], number: int) -> TrialRecord:
    failure = Failure(failure_class="planner_unsupported", evidence="no", advice="none", phase="plan")
    changes = {"outcome": Outcome.UNSUPPORTED, "failure": failure, "passes": [], "phases": [], "duration_s": None,
               "measurements": {}}  # fmt: skip
    return record_of(parameters, number=number).model_copy(update=changes)


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    """12 configurations, faster with more sequences; those of block size 64 are refused, 8 and 32 is the best."""
    spec = parse_spec(TEXT, tmp_path / "small.yaml")
    records = []
    for number, (seqs, block) in enumerate((s, b) for s in (1, 2, 4, 8) for b in (16, 32, 64)):
        parameters = {"max_num_seqs": seqs, "block_size": block}
        speed = seqs * (1.0 if block == 16 else 1.1)
        records.append(refused_of(parameters, number) if block == 64 else record_of(parameters, speed, number))
    return measured_of(spec, records)


class Limits:
    """A stopper with fixed limits; keeps what it was told."""

    def __init__(self, **limits_s: float) -> None:
        self.limits_s, self.heard = limits_s, [""]

    def limit_s(self, phase: str, index: int) -> float | None:
        return self.limits_s.get(f"{phase}{index}")

    def passed(self, message: dict[str, Any]) -> None:
        self.heard.append(f"{message['kind']}{message['index']}")

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        return Stopped(
            phase=phase,
            index=index,
            after_s=after_s,
            bound=1.0,
            incumbent_trial=0,
            incumbent_value=2.0,
            error_rate=0.05,
        )


ONE = {"max_num_seqs": 1, "block_size": 16}


def test_a_whole_trial_costs_what_it_took() -> None:
    record = record_of(ONE)
    assert play(record, 7, is_probed=True).duration_s == pytest.approx(record.duration_s)
    assert play(record, 7, is_probed=True).trial == 7


def test_a_trial_without_its_probe_costs_that_much_less() -> None:
    played = play(record_of(ONE), 0, is_probed=False)
    assert played.duration_s == pytest.approx(1.0 + 2.01 + 1.01 + 1.01 + 0.25)
    assert [one.kind for one in played.passes] == ["warmup", "timed", "timed"]
    assert played.outcome is Outcome.COMPLETED
    assert played.measurements["output_throughput_tok_s"] == pytest.approx(32.0)


def test_what_the_first_pass_compiles_is_paid_once() -> None:
    without = play(record_of(ONE), 0, is_probed=False, first_pass_s=0.3)
    assert without.duration_s == pytest.approx(5.28 + 0.3)
    assert [one.duration_s for one in without.passes] == pytest.approx([2.3, 1.0, 1.0])
    assert play(record_of(ONE), 0, is_probed=True, first_pass_s=0.3).duration_s == pytest.approx(5.79)


def test_a_stopped_trial_costs_what_had_passed_and_its_end() -> None:
    stopper = Limits(warmup0=3.0, pass0=0.4)
    played = play(record_of(ONE), 0, is_probed=False, stopper=stopper)
    assert played.outcome is Outcome.PRUNED
    assert played.duration_s == pytest.approx(1.0 + 2.01 + 0.4 + KILL_S)
    assert played.stopped is not None
    assert (played.stopped.phase, played.stopped.index, played.stopped.after_s) == ("pass", 0, 0.4)
    assert stopper.heard == ["", "warmup0"]
    assert [one.kind for one in played.passes] == ["warmup"]
    assert played.measurements["output_throughput_tok_s"] is None


@pytest.mark.parametrize(("limit_s", "is_stopped"), [(1.02, False), (1.005, True)])
def test_the_pass_counts_from_the_beginning_of_its_phase(limit_s: float, is_stopped: bool) -> None:
    played = play(record_of(ONE), 0, is_probed=False, stopper=Limits(pass1=limit_s))
    assert (played.outcome is Outcome.PRUNED) is is_stopped


def test_a_longer_pass_lengthens_its_phase() -> None:
    step = next(step for step in steps_of(record_of(ONE)) if step.name == "warmup")
    after = longer(step, 0.5)
    assert after.one is not None
    assert (after.one.duration_s, after.duration_s) == pytest.approx((2.5, 2.51))


def test_the_grid_costs_every_runnable_configuration_without_its_probe(measured: Measured) -> None:
    runnable = [cell for cell in measured.cells.values() if not cell.is_refused]
    assert len(runnable) == 8
    assert measured.grid_s == pytest.approx(sum((cell.record.duration_s or 0) - 0.01 for cell in runnable)
                                            - sum(0.5 / s / b for s in (1, 2, 4, 8) for b in (1, 1.1)))  # fmt: skip
    assert measured.best == pytest.approx(TOKENS * 8.8)


def test_what_compiles_is_what_the_probe_took_beyond_its_work() -> None:
    plain = record_of({"max_num_seqs": 1, "enable_prefix_caching": True, "speculative_config": "none"})
    probe = plain.passes[0].model_copy(update={"duration_s": 0.9})
    parameters = {**plain.parameters, "speculative_config": "ngram"}
    compiles = plain.model_copy(update={"trial": 1, "parameters": parameters, "passes": [probe, *plain.passes[1:]]})
    assert first_pass_seconds([plain, compiles]) == pytest.approx({0: 0.0, 1: 0.4})


def test_a_configuration_that_is_missing_or_doubled_is_refused(measured: Measured) -> None:
    records = [cell.record for cell in measured.cells.values()]
    with pytest.raises(ValueError, match="1 of 12 configurations weren't measured"):
        measured_of(measured.spec, records[:-1])
    with pytest.raises(ValueError, match="again"):
        measured_of(measured.spec, [*records, records[0]])


def test_the_grid_goes_through_the_file_and_pays_nothing_for_what_is_refused(measured: Measured) -> None:
    trace = Simulation(measured, BY_NAME["grid"], 0, trials=12).run(10 * measured.grid_s, measured.best)
    assert len(trace.moments) == 8
    assert (trace.refused, trace.pruned, trace.repeated) == (4, 0, 0)
    assert trace.moments[-1].engine_s == pytest.approx(measured.grid_s)
    assert trace.moments[-1].best == measured.best
    bests = [moment.best or 0.0 for moment in trace.moments]
    assert bests == sorted(bests)


@pytest.mark.parametrize("name", [method.name for method in COMPARED])
def test_a_seed_is_the_same_search_again(measured: Measured, name: str) -> None:
    def trace() -> Trace:
        return Simulation(measured, BY_NAME[name], 3, trials=8).run(measured.grid_s, measured.best)

    assert trace() == trace()


def test_only_plain_optuna_repeats_and_pays_for_it(measured: Measured) -> None:
    for method in COMPARED:
        trace = Simulation(measured, method, 1, trials=40).run(10 * measured.grid_s, 2 * measured.best)
        assert (trace.repeated > 0) == method.repeats
        if not method.repeats:
            assert trace.moments[-1].engine_s <= measured.grid_s * 1.0001


def test_early_stop_makes_the_same_order_cheaper(measured: Measured) -> None:
    costs = {}
    for name in ("random", "random + early stop"):
        trace = Simulation(measured, BY_NAME[name], 2, trials=12).run(10 * measured.grid_s, 2 * measured.best)
        costs[name] = trace.moments[-1].engine_s
        assert trace.moments[-1].best == measured.best
        assert (trace.pruned > 0) == (name != "random")
    assert costs["random + early stop"] < costs["random"]


def test_noise_differs_by_seed_and_leaves_the_truth_alone(measured: Measured) -> None:
    def cost(seed: int, noise: float) -> float:
        trace = Simulation(measured, BY_NAME["grid"], seed, trials=12, noise=noise).run(measured.grid_s * 9, 2e9)
        assert max(moment.best or 0 for moment in trace.moments) <= measured.best
        return trace.moments[-1].engine_s

    assert cost(0, 0.0) == cost(1, 0.0)
    assert len({cost(0, 0.1), cost(1, 0.1), cost(0, 0.0)}) == 3


TRACE = Trace(
    moments=(Moment(engine_s=10, best=None), Moment(engine_s=20, best=99), Moment(engine_s=30, best=90),
             Moment(engine_s=40, best=100)),
    pruned=1, refused=0, repeated=0,
)  # fmt: skip


def test_the_share_is_that_of_the_first_time_within_two_per_cent() -> None:
    one = searched(TRACE, 0, best=100, grid_s=200, shares=(0.0, 0.1, 0.15, 1.0), wall_s=0.0)
    assert one.share == pytest.approx(0.1)
    assert one.is_reached
    assert one.is_lost
    assert one.curve == pytest.approx((1.0, 0.01, 0.1, 0.0))


def test_a_search_that_never_gets_there_counts_as_the_whole_grid() -> None:
    one = searched(replace(TRACE, moments=TRACE.moments[:1]), 0, best=100, grid_s=200, shares=(0.5,), wall_s=0.0)
    assert (one.share, one.is_reached, one.is_lost) == (1.0, False, False)
    assert regret_at(TRACE, 5, 100) == 1.0


def test_intervals_hold_the_value_and_are_the_same_each_time() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5] * 5
    median = quantile_interval(values, 50)
    assert median.value == pytest.approx(0.3)
    assert median.low <= median.value <= median.high
    assert median == quantile_interval(values, 50)
    assert difference_interval(values, [one + 1 for one in values], 50) == pytest.approx((-1.0, -1.0, -1.0))


def test_the_committed_measurements_are_whole_and_name_no_place_of_a_machine() -> None:
    records = RecordStore(MEASUREMENTS).read().records
    assert sum(record.outcome is Outcome.COMPLETED for record in records) == 128
    assert sum(record.outcome is Outcome.UNSUPPORTED for record in records) == 64
    assert len({json.dumps(record.parameters, sort_keys=True) for record in records}) == 192
    for path in (HERE / "space_a").iterdir():
        assert not any(
            f'"/{word}' in path.read_text(encoding="utf-8") for word in ("tmp", "work", "root", "home", "usr")
        )
