"""Trials made of chunks with given rates, rules that learned from them, and how a stopper would have ended them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, Literal

from tests.records.builders import make_record
from vbench.metrics import measure
from vbench.records.record import Pass, Phase, Requests, Stopped, TrialRecord
from vbench.search.chunk_ratios import chunk_of
from vbench.search.early_stop import EarlyStop
from vbench.search.trial_stopper import Plan, TrialStopper
from vbench.spec.types import Objective

PLAN = Plan(prompts=10, passes=3, warmup_passes=1, probe_prompts=2)
ASKED = [100] * 10
"""1000 output tokens a pass, 200 in the probe."""
OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")
ALPHA = 0.05 / 5  # a probe, a warm-up and three passes
SPREAD_OUT = [100.0, 200.0, 300.0, 400.0, 500.0, 250.0, 350.0, 450.0]
Kind = Literal["probe", "warmup", "timed"]


def chunk(kind: Kind, index: int, rate: float, prompts: int = 10) -> Pass:
    """A pass at `rate` output tokens a second."""
    requests = Requests(input_tokens=[50] * prompts, output_tokens=[100] * prompts)
    return Pass(index=index, kind=kind, start_s=0.0, duration_s=100 * prompts / rate, requests=requests)


def trial(
    number: int, timed: Sequence[float], *, warmup: float | None = None, probe: float | None = None,
    overhead_s: float | None = None, **changes: Any,
) -> TrialRecord:  # fmt: skip
    """A completed trial with these rates. With `overhead_s`, phases that took so much longer than their passes."""
    passes = [] if probe is None else [chunk("probe", 0, probe, 2)]
    passes += [] if warmup is None else [chunk("warmup", 0, warmup)]
    passes += [chunk("timed", index, rate) for index, rate in enumerate(timed)]
    phases = []
    if overhead_s is not None:
        ends = [(*chunk_of(one), 5.0 + one.duration_s + overhead_s) for one in passes]
        phases = [Phase(name=name, index=index, start_s=5.0, end_s=end) for name, index, end in ends]
        phases.append(Phase(name="close", start_s=99.0, end_s=99.1))
    return make_record(
        number, None, passes=passes, phases=phases, **{"measurements": measure(passes, phases), **changes}
    )


def message(one: Pass) -> dict[str, Any]:
    """What the worker says of a pass."""
    return {
        "kind": one.kind, "index": one.index, "duration_s": one.duration_s, "requests": one.requests.model_dump(),
    }  # fmt: skip


def play(record: TrialRecord, stopper: TrialStopper | None) -> Stopped | None:
    """How the trial would have been stopped; None where it runs to its end."""
    took = {(phase.name, phase.index): phase.end_s - phase.start_s for phase in record.phases}
    for one in record.passes if stopper is not None else ():
        assert stopper is not None
        limit_s = stopper.limit_s(*chunk_of(one))
        if limit_s is not None and took.get(chunk_of(one), one.duration_s) > limit_s:
            return stopper.stopped(*chunk_of(one), limit_s)
        stopper.passed(message(one))
    return None


def share_done(stopped: Stopped, record: TrialRecord) -> float:
    """How much of the passes' time had gone by at the stop."""
    spent = 0.0
    for one in record.passes:
        if chunk_of(one) == (stopped.phase, stopped.index):
            break
        spent += one.duration_s
    return (spent + stopped.after_s) / sum(one.duration_s for one in record.passes)


def rule(metric: str = OBJECTIVE.metric, plan: Plan = PLAN, **settings: Any) -> EarlyStop:
    return EarlyStop(Objective(metric=metric, direction="maximize"), plan, **settings)


def learned(*records: TrialRecord, **settings: Any) -> EarlyStop:
    early = rule(**settings)
    for record in records:
        early.learn(record)
    return early


def stopper_of(early: EarlyStop, **settings: Any) -> TrialStopper:
    stopper = early.stopper(ASKED, **settings)
    assert stopper is not None
    return stopper


def limit(stopper: TrialStopper, phase: str, index: int = 0) -> float:
    limit_s = stopper.limit_s(phase, index)
    assert limit_s is not None
    return limit_s


def steady(number: int, rate: float, **changes: Any) -> TrialRecord:
    """A trial whose passes agree and whose warm-up has half of their rate."""
    return trial(number, [rate] * 3, warmup=rate / 2, **changes)


def probed(number: int, rate: float, **changes: Any) -> TrialRecord:
    """One with a probe too, which has a quarter of their rate."""
    return steady(number, rate, probe=rate / 4, **changes)


def made(draw: random.Random, number: int, rate: float, *, noise: float | None = None) -> TrialRecord:
    """A trial of that true rate: its passes scatter by 1 to 5 %, its ramp-up is its configuration's own."""
    sd = draw.uniform(0.01, 0.05) if noise is None else noise

    def once(slowdown: float) -> float:
        return rate * math.exp(draw.gauss(0, sd) - slowdown)

    return trial(
        number,
        [once(0.0) for _ in range(3)],
        warmup=once(draw.gauss(0.3, 0.1)),
        probe=once(draw.gauss(0.9, 0.2)),
    )
