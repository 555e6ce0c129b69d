"""Putting a trial's record together from what was seen of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vbench.emulation.apply import Passed, as_it_is
from vbench.execution import machine_faults, verdict
from vbench.execution.engine_doubts import engine_doubts
from vbench.execution.engine_log import facts_in, read_log
from vbench.execution.interpreters import Interpreter
from vbench.execution.memory import write_samples
from vbench.execution.quality_check import frozen_texts, quality_of, quality_request
from vbench.execution.runner import RawTrial
from vbench.hardware.gpu_samples import write_gpu_samples
from vbench.hardware.gpu_trial import Reserved, TrialGpus
from vbench.hardware.gpu_unready import Fault
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.prompts.prompt_set import PromptSet
from vbench.records.record import EngineFacts, Failure, Origin, Pass, PromptSetFacts, TrialRecord
from vbench.records.redacted_record import clean_record
from vbench.records.redaction import clean_data
from vbench.records.runs import RunFolder
from vbench.spec.calling import num_answers, num_gpus
from vbench.spec.config import displayed, displayed_path
from vbench.spec.constraints import violations
from vbench.spec.space import Point, recorded_parameters
from vbench.spec.types import SweepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What trials are judged by and what they are given. `hardware` names it; `is_cpu` says whether the engine runs on
    the processor (None: where that name is `cpu`). A peak over `limit_bytes` (per GPU; of the process tree on a CPU)
    ends a trial as `over_budget`. `reserved` is what vbench itself holds on the GPUs meanwhile. `passed` turns a
    configuration into what the engine is given for it, where another card is emulated; records keep the configuration.
    """

    hardware: str
    limit_bytes: int | None = None
    is_cpu: bool | None = None
    reserved: Reserved = field(default_factory=Reserved)
    passed: Callable[[Mapping[str, Any]], Passed] = as_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all trials of a run share."""

    spec: SweepSpec
    run: RunFolder
    prompt_set: PromptSet
    judging: Judging
    gpus: TrialGpus | None


@dataclass(slots=True, kw_only=True)
class Tried:
    """One trial before its end: what was chosen, and by which engine it is run."""

    number: int
    point: Point
    origin: Origin
    config: Mapping[str, Any]
    interpreter: Interpreter
    notes: list[str]
    fork_blocker: str | None = None
    texts_sha256: str | None = None
    """Of the texts that its answers are checked by; None where they aren't."""
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def asked_quality(spec: SweepSpec, run: RunFolder, tried: Tried) -> dict[str, Any]:
    """What the worker is asked for the check of the trial's answers. Raises SpecError, StoreError."""
    texts, path = frozen_texts(spec, run)
    tried.texts_sha256 = texts.sha256
    return quality_request(spec, path, is_reference=tried.origin == "baseline")


def record_of(tried: Tried, raw: RawTrial, around: Surroundings) -> TrialRecord:
    """The record of a trial that ran, to whatever end."""
    log_text = read_log(around.run.log(tried.number), raw.log_start)
    outcome, failure, passes = verdict.judge(
        raw, log_text, around.spec.deadlines, around.prompt_set.num_prompts, is_timed_here=around.spec.engine != "fake"
    )
    outcome, failure = machine_faults.judged(outcome, failure, raw, around.gpus)
    phases = verdict.phases_of(raw)
    unwritten = _write_samples(tried, raw, around)
    facts, engine_notes = _facts(raw, log_text)
    quality, quality_warnings = quality_of(raw, tried.texts_sha256)
    measurements = measure(passes, phases, around.spec.goodput, quality)
    excess = verdict.over_budget(outcome, measurements["peak_memory_bytes"], _limit_bytes(tried.config, around))
    if excess is not None:
        outcome, failure = Outcome.OVER_BUDGET, excess
    violated = violations(around.spec.constraints, measurements, {**tried.config, **facts})
    gpu_warnings = around.gpus.warnings if around.gpus is not None else ()
    warnings = [*verdict.warnings_of(raw, passes, asked_tokens(around.prompt_set, tried.config)), *quality_warnings]
    warnings += unwritten
    record = _common(tried, around, outcome, failure, facts).model_copy(
        update={
            "measurements": measurements,
            "constraint_violations": violated if outcome.is_measured else {},
            "passes": passes,
            "quality": quality,
            "prompt_set": _prompts(around.prompt_set, passes),
            "hardware": _hardware(around, raw.memory_source),
            "environment": _environment(tried, raw.how, [*engine_notes, *_notes_of_start(raw), *tried.notes]),
            "phases": phases,
            "stopped": raw.stopped if outcome is Outcome.PRUNED else None,
            "warnings": [*warnings, *engine_doubts(tried.config, facts, _said_at_start(raw) + log_text), *gpu_warnings],
            "duration_s": round(raw.ended_t - raw.started_t, 6),
        }
    )
    return clean_record(record)


def record_without_engine(tried: Tried, around: Surroundings, problem: str) -> TrialRecord:
    """The record of a trial whose interpreter can't be used: nothing was started."""
    failure = Failure(
        failure_class="interpreter_unusable",
        evidence=problem,
        advice=f"mend {tried.config.get('python')}, or leave that option out (`vbench engines` shows what was found)",
        phase="start",
    )
    record = _common(tried, around, Outcome.UNSUPPORTED, failure, {})
    engine = EngineFacts(name=around.spec.engine)
    update = {"engine": engine, "hardware": _hardware(around, ""), "duration_s": 0.0}
    return clean_record(record.model_copy(update=update))


def record_not_started(tried: Tried, around: Surroundings, fault: Fault, waited_s: float) -> TrialRecord:
    """The record of a trial that the machine didn't let begin."""
    failure = machine_faults.failure_of(fault, "start")
    record = _common(tried, around, Outcome.INTERRUPTED, failure, {})
    return record.model_copy(update={"hardware": _hardware(around, ""), "duration_s": round(waited_s, 6)})


def _common(
    tried: Tried, around: Surroundings, outcome: Outcome, failure: Failure | None, facts: dict[str, Any]
) -> TrialRecord:
    found = tried.interpreter
    return TrialRecord(
        trial=tried.number,
        origin=tried.origin,
        config=recorded_config(tried.config),
        parameters=recorded_parameters(around.spec.parameters, tried.point),
        outcome=outcome,
        failure=failure,
        engine=EngineFacts(
            name=around.spec.engine, version=found.engine_version, python=found.python_version, facts=facts
        ),
        prompt_set=_prompts(around.prompt_set, []),
        started_at=tried.started_at,
    )


def recorded_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as stored: short paths, and no secrets."""
    recorded: dict[str, Any] = clean_data(displayed(config))
    return recorded


def asked_tokens(prompts: PromptSet, config: Mapping[str, Any]) -> list[int] | None:
    """The exact output tokens that each prompt is asked for, of all its answers; None where it runs until it stops."""
    if prompts.output_tokens is None:
        return None
    answers = num_answers(config)
    if answers is None:
        return None  # the engine refuses it, in its own words
    lengths = prompts.output_lengths or [prompts.output_tokens] * prompts.num_prompts
    return [length * answers for length in lengths]


def _limit_bytes(config: Mapping[str, Any], around: Surroundings) -> int | None:
    """What the measured peak may be. A process tree on a CPU stands for all the GPUs that the trial would take."""
    limit = around.judging.limit_bytes
    if limit is None or around.gpus is not None:
        return limit
    return limit * num_gpus(config)


def _write_samples(tried: Tried, raw: RawTrial, around: Surroundings) -> list[str]:
    """Returns a warning where they can't be written: a full disk mustn't take the record with it."""
    path = around.run.samples(tried.number)
    try:
        if raw.gpu_samples:
            write_gpu_samples(raw.gpu_samples, path, raw.started_t)
        else:
            write_samples(raw.samples, path, raw.started_t)
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # half of them would pass for all, and their room is wanted
        return [f"its memory over time couldn't be written ({error.strerror}); peaks are in the record all the same"]
    return []


def _facts(raw: RawTrial, log_text: str) -> tuple[dict[str, Any], list[str]]:
    said = raw.of("engine")
    own = said[-1].get("facts", {}) if said else {}
    logged = facts_in(_said_at_start(raw)) | facts_in(log_text)
    facts = {**logged, **{name: value for name, value in own.items() if value is not None}}
    notes = facts.pop("notes", [])
    return displayed(facts), notes  # a draft model's folder among them: records are made to be shown


def _said_at_start(raw: RawTrial) -> str:
    """The log of a reused engine's start, for an earlier trial."""
    return "" if raw.reused is None else raw.reused.said


def _notes_of_start(raw: RawTrial) -> list[str]:
    return [] if raw.reused is None else [f"the engine was started by trial {raw.reused.trial}"]


def _prompts(prompts: PromptSet, passes: list[Pass]) -> PromptSetFacts:
    timed = [one for one in passes if one.kind == "timed"]
    return PromptSetFacts(
        sha256=prompts.sha256,
        num_prompts=prompts.num_prompts,
        output_tokens=prompts.output_tokens,
        source=displayed_path(prompts.source),
        input_tokens=sum(timed[0].requests.input_tokens) if timed else None,
    )


def _hardware(around: Surroundings, memory_source: str) -> dict[str, Any]:
    return {
        "profile": around.judging.hardware,
        "memory_source": memory_source or None,
        **({} if around.gpus is None else around.gpus.facts()),
    }


def _environment(tried: Tried, how: str, notes: list[str]) -> dict[str, Any]:
    return {
        "worker_start": how,
        "fork_blocker": tried.fork_blocker if how == "cold" else None,
        "packages": tried.interpreter.packages,
        "notes": notes,
    }
