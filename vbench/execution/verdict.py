"""What a trial's end means: outcome, failure, and the samples in the record's form. Pure; decides nothing twice.

A trial completed only if it said `done` exactly once, its passes are sound, and its process ended with exit code 0 or
is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vbench.analysis.disturbance import Disturbance, Seen, disturbances, is_host_known
from vbench.execution.cache_hits import cache_warnings
from vbench.execution.failures import classify, clean_line
from vbench.execution.host_load import host_phase
from vbench.execution.memory import peak_bytes
from vbench.execution.quality_check import PHASE
from vbench.execution.runner import RawTrial
from vbench.execution.settling import settling_warnings
from vbench.execution.soundness import end_problem, passes_of
from vbench.execution.work_counts import work_warnings
from vbench.hardware.gpu_phases import gpu_phase
from vbench.hardware.gpu_trial import foreign_warnings
from vbench.outcome import Outcome
from vbench.records.record import Failure, Pass, Phase
from vbench.spec.types import Deadlines
from vbench.units import MIB

_SIGKILL = 9
# vLLM says its configuration at start, in every version from 0.5 on.
_SEVERAL_RANKS = re.compile(r"\btensor_parallel_size=(?:[2-9]|\d\d)")
_WRAPPER = "engine_died"  # of failure_classes: it says that a process ended, and not why
_A_DEATH = re.compile(
    r"\bsignal 9\b|SIGKILL|\b(?:exit ?code|returncode)\W+-9\b|\b(?:died|dead|killed)\b", re.IGNORECASE
)
_OOM_KILL = "the kernel's out-of-memory killer struck meanwhile"
_OOM_ADVICE = "lower the KV space, quantize, or free host memory"
_RESULT_ADVICE = "run the trial again; report it if it stays"
_LOG_ADVICE = "read the trial's log (`vbench show` prints its last lines)"


def judge(
    raw: RawTrial, log_text: str, deadlines: Deadlines, num_prompts: int, *, is_timed_here: bool = False
) -> tuple[Outcome, Failure | None, list[Pass]]:
    """The outcome, why it wasn't `completed`, and the passes that can be trusted (a trial may fail after some).
    `is_timed_here`: its passes are timed by the clock that it is watched by, as all but a fake engine's are."""
    passes, problem = passes_of(raw, num_prompts, is_timed_here=is_timed_here)
    phase = _last_phase(raw)
    if raw.keeper_error is not None:
        return (*_failed(Outcome.CRASHED, "keeper_gone", raw.keeper_error, _LOG_ADVICE, phase), passes)
    if raw.exit is None and not raw.is_kept:
        evidence = f"process {phase} could not be ended, not even by SIGKILL"
        return (*_failed(Outcome.CRASHED, "unkillable", evidence, "look for a stuck driver or disk", phase), passes)
    if raw.flood is not None:
        evidence = f"{raw.flood}{f', the first: {raw.garbage[0]!r}' if raw.garbage else ''}"
        return (*_failed(Outcome.CRASHED, "bad_result", evidence, _RESULT_ADVICE, phase), passes)
    dones, errors = raw.of("done"), raw.of("error")
    was_checked_in_vain = phase == PHASE and not dones
    if was_checked_in_vain:  # everything had been measured: what ends in the check costs that alone
        dones, errors = [{}], []
    if raw.stopped is not None and not dones:
        return Outcome.PRUNED, None, passes
    if raw.timed_out is not None and not dones:
        return (*_timed_out(raw, deadlines, phase, log_text), passes)
    if errors:
        return (*_from_error(raw, errors[-1], log_text, phase), passes)
    if not dones:
        return (*_died(raw, log_text, phase), passes)
    was_ended = raw.timed_out is not None or raw.stopped is not None  # by us, as it had just said that it was done
    was_ended |= was_checked_in_vain or any("problem" in one for one in raw.of(PHASE))  # which may have hurt the engine
    if raw.exit is not None and not was_ended and raw.exit.code != 0:
        evidence = f"said it was done, then ended with {raw.exit.describe()}"
        return (*_failed(Outcome.CRASHED, "bad_exit", evidence, _LOG_ADVICE, phase), passes)
    problem = end_problem(raw) or problem
    if problem is not None or not any(one.kind == "timed" for one in passes):
        evidence = problem or "said it was done without a timed pass"
        return (*_failed(Outcome.CRASHED, "bad_result", evidence, _RESULT_ADVICE, phase), passes)
    return Outcome.COMPLETED, None, passes


def phases_of(raw: RawTrial) -> list[Phase]:
    """The trial's phases from its start, each ending where the next begins, with the memory peak within it. On a reused
    engine the first is the first pass's: nothing was started."""
    marks: list[tuple[str, int, float]] = [] if raw.how == "reused" else [("start", 0, raw.started_t)]
    for message in raw.of("phase"):  # whatever it says, a phase begins after the one before it and within the trial
        begin = min(max(float(message["t"]), marks[-1][2] if marks else raw.started_t), raw.ended_t)
        marks.append((str(message["name"]), int(message.get("index", 0)), begin))
    if raw.closed_t is not None:
        marks.append(("after_close", 0, raw.closed_t))
    ends = [*(t for _, _, t in marks[1:]), raw.ended_t]
    return [
        Phase(
            name=name,
            index=index,
            start_s=round(start - raw.started_t, 6),
            end_s=round(end - raw.started_t, 6),
            peak_memory_bytes=peak_bytes(raw.samples, start, end),
            host=_host(raw, start, end),
            gpus=[one.as_json() for one in gpu_phase(raw.gpu_samples, start, end)] or None,
        )
        for (name, index, start), end in zip(marks, ends, strict=False)
    ]


def _host(raw: RawTrial, start: float, end: float) -> dict[str, Any] | None:
    if raw.host is None:
        return None
    whole = raw.host.is_whole_machine
    found = host_phase(raw.host_readings, len(raw.host.cpus), start, end, is_whole_machine=whole)
    return None if found is None else found.as_json()


def over_budget(outcome: Outcome, peak: int | None, limit_bytes: int | None) -> Failure | None:
    """The failure of a completed trial whose peak (bytes, of the fullest GPU) passed the limit; None where it didn't.

    A peak that couldn't be measured passes nothing.
    """
    if outcome is not Outcome.COMPLETED or limit_bytes is None or peak is None or peak <= limit_bytes:
        return None
    return Failure(
        failure_class="over_budget",
        evidence=f"peak {peak / MIB:,.1f} MiB is over the budget of {limit_bytes / MIB:,.1f} MiB by "
        f"{(peak - limit_bytes) / MIB:,.1f} MiB",
        advice="lower the KV space (gpu_memory_utilization, kv_cache_memory_bytes), max_num_seqs or "
        "max_num_batched_tokens, or quantize",
    )


def warnings_of(raw: RawTrial, passes: Sequence[Pass], asked: Sequence[int] | None) -> list[str]:
    """What makes the numbers less trustworthy, each with advice. `asked`: the exact output tokens of each prompt, of
    all its answers together; None where each runs until it stops."""
    timed = [one for one in passes if one.kind == "timed"]
    warnings = [
        *work_warnings(timed, asked), *settling_warnings(raw.of("settled"), timed), *cache_warnings(raw, passes),
    ]  # fmt: skip
    seen = Seen(passes, phases_of(raw))
    disturbed = disturbances(seen)
    durations = [one.duration_s for one in timed]
    if len(durations) >= 2 and max(durations) > 1.15 * min(durations):
        spread = max(durations) / min(durations) - 1
        warnings.append(f"timed passes differ by {spread:.0%}{_why_they_differ(disturbed, is_host_known(seen))}")
    warnings += [one.text for one in disturbed if one.kind != "gpu_processes"]  # those are said below, with their pids
    if raw.leftovers:
        warnings.append(f"{len(raw.leftovers)} process(es) outlived the trial and were ended")
    if raw.timed_out is not None and raw.of("done"):
        warnings.append("the worker didn't end by itself after its last result and was killed")
    warnings += _disturbed_watch(raw, timed)
    return [*warnings, *foreign_warnings(raw.gpu_samples), *raw.gpu_warnings]


def _disturbed_watch(raw: RawTrial, timed: Sequence[Pass]) -> list[str]:
    warnings = []
    if raw.log_left_out:
        warnings.append(
            f"the engine printed so much that {raw.log_left_out / MIB:,.0f} MiB of it were left out of the log, whose "
            "beginning and end are there; printing takes time, too: see what it says, and turn it off"
        )
    if raw.stood_still_s:
        warnings.append(
            f"vbench stood still for {raw.stood_still_s:.0f} s meanwhile (suspended, or the machine overloaded): no "
            "deadline counts that, but a pass may have been spoiled by it; run the trial again if its passes differ"
        )
    clockless = sum(one.requests.ttft_s is None and one.requests.tpot_s is not None for one in timed)
    if clockless:
        warnings.append(
            f"{clockless} of {len(timed)} timed passes have no time to first token: the machine's clock was set while "
            "they ran; throughput isn't touched by that"
        )
    return warnings


def _why_they_differ(disturbed: Sequence[Disturbance], is_known: bool) -> str:
    if disturbed:
        return f", likely as {' and '.join(one.cause for one in disturbed)}"
    if is_known:
        return ": nothing else ran here, so it hadn't warmed up (add warm-up passes), or the engine itself varies"
    return ": something else is running, or it hadn't warmed up"


def _last_phase(raw: RawTrial) -> str:
    phases = raw.of("phase")
    return str(phases[-1]["name"]) if phases else "start"


def _failed(outcome: Outcome, failure_class: str, evidence: str, advice: str, phase: str) -> tuple[Outcome, Failure]:
    return outcome, Failure(failure_class=failure_class, evidence=clean_line(evidence), advice=advice, phase=phase)


def _timed_out(raw: RawTrial, deadlines: Deadlines, phase: str, log_text: str) -> tuple[Outcome, Failure]:
    name = raw.timed_out or "load"
    limit_s = {"load": deadlines.load_s, "pass": deadlines.pass_s, "close": deadlines.close_s}[name]
    advice = f"raise `deadlines: {{{name}: …}}` if it was only slow"
    if name == "load" and _SEVERAL_RANKS.search(log_text):
        advice += (
            "; ranks that wait for each other for ever (two T4 on Kaggle): set NCCL_P2P_DISABLE=1 and "
            "disable_custom_all_reduce: true"
        )
    return _failed(Outcome.TIMED_OUT, f"{name}_deadline", f"{name} took over {limit_s:g} s", advice, phase)


def _from_error(raw: RawTrial, error: dict[str, Any], log_text: str, phase: str) -> tuple[Outcome, Failure]:
    raised = f"{error.get('type', 'Error')}: {error.get('message', '')}"
    match = classify(f"{log_text}\n{raised}")
    is_of_a_death = bool(_A_DEATH.search(raised)) if match is None else match.failure_class.name == _WRAPPER
    if raw.kernel_oom_kills > 0 and is_of_a_death:  # the kernel may have counted another program's
        evidence = f"{clean_line(raised.splitlines()[0], 200)} ({_OOM_KILL})"
        return _failed(Outcome.OUT_OF_MEMORY, "host_out_of_memory", evidence, _OOM_ADVICE, phase)
    if match is None:
        first_line = next((line for line in raised.splitlines() if line.strip()), raised)
        return _failed(Outcome.CRASHED, "exception", first_line, _LOG_ADVICE, phase)
    kind = match.failure_class
    return _failed(kind.outcome, kind.name, match.evidence, kind.advice, phase)


def _died(raw: RawTrial, log_text: str, phase: str) -> tuple[Outcome, Failure]:
    ending = raw.exit.describe() if raw.exit else "no exit"
    if raw.exit and raw.exit.signal == _SIGKILL and raw.kernel_oom_kills > 0:
        evidence = f"{ending} in {phase}; {_OOM_KILL}"
        return _failed(Outcome.OUT_OF_MEMORY, "host_out_of_memory", evidence, _OOM_ADVICE, phase)
    match = classify(log_text)
    if match is not None:
        kind = match.failure_class
        return _failed(kind.outcome, kind.name, match.evidence, kind.advice, phase)
    how = f", {ending}" if raw.exit and raw.exit.signal else f" with {ending}"
    return _failed(Outcome.CRASHED, "died", f"the worker ended in {phase}{how}", _LOG_ADVICE, phase)
