"""Results that can't be true, and a result pipe that somebody else writes to: nothing of it becomes a measurement."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.cli.process import BASE, Vbench, records_of
from tests.execution.bench import Bench, is_alive, wait_until
from tests.faults.matrix import Counts, fault
from vbench.execution import trial_process, watch
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines

LONG = Deadlines(load_s=120, pass_s=120, close_s=120)
ANSWERED = {"input_tokens": [6, 6, 6], "output_tokens": [4, 4, 4]}
REFUSED = "`bad_result`, with what can't be true as evidence; no number of it is used; the sweep goes on"
STRAY = "`bad_result`, with the line as evidence: nothing but our protocol counts; the sweep goes on"
FLOODED = "the trial is ended at once as `bad_result`; vbench's own memory doesn't grow; the sweep goes on"


@pytest.fixture
def bench(fake_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The shared keeper, in a hurry to kill; it is well afterwards, and nothing runs below it."""
    monkeypatch.setattr(trial_process, "_TERM_GRACE_S", 0.3)
    yield fake_bench
    assert wait_until(lambda: fake_bench.processes() == [])
    assert is_alive(fake_bench.keeper.pid)


def said(**message: object) -> str:
    """What the engine is told to say on the result pipe; NOW in it becomes the time."""
    return "say=" + json.dumps(message).replace('"NOW"', "NOW").replace('"1NOW"', "1NOW") + "@pass"


def told(index: int = 0, kind: str = "timed", t: object = "NOW", **changes: object) -> str:
    """A pass that never was."""
    return said(event="pass", kind=kind, index=index, t=t, **{"duration_s": 0.5, "requests": ANSWERED, **changes})


class Case(NamedTuple):
    name: str
    fail: str
    evidence: str
    failure_class: str = "bad_result"
    promise: str = REFUSED


CASES = [
    Case("a result of NaN", "nan@pass", "not JSON compliant", "exception"),
    Case("a result of infinity", "infinite@pass", "not JSON compliant", "exception"),
    Case("a negative latency", "negative@pass", "pass 0 claims a latency of -1.0 s"),
    Case("a request without an answer", "cut@pass", "doesn't answer each of the 3 prompts once"),
    Case("an answer twice", "repeat@pass", "doesn't answer each of the 3 prompts once"),
    Case("gaps between tokens of other requests", "other_gaps@pass", "doesn't answer each of the 3 prompts once"),
    Case("a pass told twice", told(), "the timed pass 0 was told twice"),
    Case("a pass from the future", told(index=7, t="1NOW"), "pass 7 claims to have begun"),
    Case("a pass from the past", told(index=7, t=1.0), "pass 7 claims to have begun -"),
    Case("a negative duration", told(index=7, duration_s=-3), "pass 7 claims a duration of -3.0 s"),
    Case("a negative number of tokens", told(index=7, requests={**ANSWERED, "output_tokens": [4, 4, -4]}),
         "pass 7 claims a negative number of tokens"),
    Case("a result that isn't a pass's shape", told(index=7, requests=[1]), "a line on the result pipe isn't ours"),
    Case("a number beyond all floats", "say=" + '{"event": "phase", "name": "pass", "t": 1e999}' + "@pass",
         "a line on the result pipe isn't ours"),
    Case("an integer of 400 digits", 'say={"event": "engine", "facts": {"x": 1' + 400 * "0" + "}}@pass",
         "a line on the result pipe isn't ours"),
    Case("`done` in the middle", said(event="done", t="NOW"), "said `done` "),
    Case("another protocol's worker", said(event="hello", protocol=99), "speaks protocol 99", promise="`bad_result`"),
    Case("text on the result pipe", "say=INFO hello@pass", "isn't ours: 'INFO hello'", promise=STRAY),
    Case("binary junk on the result pipe", "say_binary@pass", "on the result pipe", promise=STRAY),
    Case("a truncated result", 'say_and_exit={"event": "pa@pass', "exit code 0", "died",
         "`crashed`: without a whole last message there is no result; the sweep goes on"),
    Case("the engine closes the result pipe", "close_pipe@pass", "ended in warmup", "died",
         "`crashed`: without a whole last message there is no result; the sweep goes on"),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=fault("result", case.name, case.promise)) for case in CASES]
)
def test_no_such_result_counts(bench: Bench, case: Case) -> None:
    ran = bench.run(engine_args={"fail": case.fail}, deadlines=LONG)

    assert (ran.outcome, ran.failure_class) == (Outcome.CRASHED, case.failure_class), ran.log
    assert case.evidence in ran.why.evidence
    assert ran.why.advice


PHASE = '{"event": "phase", "name": "pass", "t": NOW}'
FLOODS = [
    ("endless text on the result pipe", "say_endless=junk", "lines on the result pipe aren't ours"),
    ("endless empty lines on the result pipe", "say_endless=", "lines on the result pipe aren't ours"),
    ("endless phases, each with a new deadline", f"say_endless={PHASE}", "messages,"),
    ("progress told without end", 'say_endless={"event": "tokens", "count": 1, "elapsed_s": 1}', "progress is told"),
    ("endless messages of no kind", 'say_endless={"event": "x"}', "lines on the result pipe aren't ours"),
    ("a line without an end on the result pipe", "say_line_endless", "a line of over"),
]


@pytest.mark.parametrize(
    ("fail", "evidence"),
    [pytest.param(*values, id=name, marks=fault("result", name, FLOODED)) for name, *values in FLOODS],
)
def test_a_flood_of_the_result_pipe_ends(
    bench: Bench, fail: str, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_MAX_MESSAGE_BYTES", 8 * 1024**2)
    monkeypatch.setattr(watch, "_MAX_MESSAGES", 10_000)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    ran = bench.run(engine_args={"fail": f"{fail}@pass"}, deadlines=LONG)

    assert (ran.outcome, ran.failure_class) == (Outcome.CRASHED, "bad_result"), ran.log
    assert evidence in ran.why.evidence
    assert ran.raw.timed_out is None
    assert len(ran.raw.garbage) <= 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib < 400 * 1024


@fault("result", "a sweep over configurations with such results", "each has one record; the sound one wins")
def test_a_sweep_goes_on(vbench: Vbench, counts: Counts) -> None:
    fails = [case.fail for case in CASES[::3]] + [f"{fail}@pass" for _, fail, _ in FLOODS[:2]]
    options = ", ".join(json.dumps(fail) for fail in fails)
    vbench.write(f"{BASE}parameters: {{fail: [{options}]}}\nsearch: {{method: grid}}\nbaseline: {{}}\n")
    counts.tried(len(fails) - 1)

    vbench("sweep", "small.yaml", check=0)

    run = vbench.run()
    counts.records(run, len(fails) + 1)
    assert [record["outcome"] for record in records_of(run)] == ["completed", *["crashed"] * len(fails)]
    assert json.loads(vbench("best", "--json", check=0).stdout)["trial"] == 0
