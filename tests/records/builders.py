"""Records for tests, built with defaults, and whole run folders. Numbers are such that sums can be done by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.records.record import EngineFacts, Failure, Pass, Phase, PromptSetFacts, Requests, TrialRecord
from vbench.records.runs import RunFolder, create, write_json_atomic
from vbench.records.store import RecordStore

NOW = datetime(2026, 11, 3, 9, 30, 0, tzinfo=UTC)
MIB = 1024**2


def make_pass(
    index: int, throughput: float, *, kind: Literal["warmup", "timed"] = "timed", start_s: float = 0.0
) -> Pass:
    """Ten requests of 100 output tokens: 1000 tokens, so a pass at 250 tok/s takes 4 s."""
    duration = 1000 / throughput
    requests = Requests(
        input_tokens=[50] * 10,
        output_tokens=[100] * 10,
        ttft_s=[0.1 * (one + 1) for one in range(10)],
        e2e_latency_s=[duration] * 10,
    )
    return Pass(index=index, kind=kind, start_s=start_s, duration_s=duration, requests=requests)


def make_record(
    trial: int = 0,
    throughput: float | Sequence[float] | None = 250.0,
    *,
    outcome: Outcome = Outcome.COMPLETED,
    failure: Failure | None = None,
    parameters: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    peak_mib: int | None = 1000,
    engine: str = "vllm",
    engine_facts: Mapping[str, Any] | None = None,
    **changes: Any,
) -> TrialRecord:
    """A record with one timed pass a throughput; a throughput of None is a trial that never got to measure."""
    rates = [] if throughput is None else [throughput] if isinstance(throughput, (int, float)) else list(throughput)
    passes = [make_pass(0, rates[0], kind="warmup", start_s=20.0)] if rates else []
    passes += [make_pass(index, rate, start_s=30.0 + 10 * index) for index, rate in enumerate(rates)]
    peak = None if peak_mib is None else peak_mib * MIB
    phases = [
        Phase(name="start", start_s=0.0, end_s=0.5),
        Phase(name="import", start_s=0.5, end_s=8.0),
        Phase(name="load", start_s=8.0, end_s=20.0, peak_memory_bytes=peak),
    ]
    chosen = dict(parameters or {})
    fields: dict[str, Any] = {
        "trial": trial,
        "config": {"engine": engine, "model": "org/model-1b", **(chosen if config is None else config)},
        "parameters": chosen,
        "outcome": outcome,
        "failure": failure,
        "measurements": measure(passes, phases) if rates else {},
        "passes": passes,
        "phases": phases,
        "engine": EngineFacts(name=engine, version="0.32.0", python="3.11.7", facts=dict(engine_facts or {})),
        "prompt_set": PromptSetFacts(
            sha256="ab" * 32, num_prompts=10, output_tokens=100, source="prompts/ten.jsonl", input_tokens=500
        ),
        "hardware": {"profile": "auto", "memory_source": "process tree PSS"},
        "started_at": "2026-11-03T09:30:00Z",
        "duration_s": 20.0 + sum(one.duration_s for one in passes) + 2.0,
    }
    return TrialRecord(**{**fields, **changes})


def make_failure(
    failure_class: str = "kv_cache_too_small", evidence: str = "No available memory", **changes: Any
) -> Failure:
    """A failure, of too small a cache unless said otherwise."""
    fields: dict[str, Any] = {
        "failure_class": failure_class,
        "evidence": evidence,
        "advice": "Raise it.",
        "phase": "load",
    }
    return Failure(**{**fields, **changes})


def make_run(root: Path, records: Sequence[TrialRecord], *, sweep: str = "demo", **run_facts: Any) -> RunFolder:
    """A run folder with everything in it that a real one has and a report reads."""
    run = create(root, sweep, NOW)
    run.sweep_yaml.write_text("name: demo\nmodel: org/model-1b\n", encoding="utf-8")
    write_json_atomic(run.machine_json, {"cpu": {"model": "Example CPU", "cores": 2}, "packages": {"vllm": "0.32.0"}})
    facts = {
        "name": sweep,
        "spec_digest": "cd" * 32,
        "prompt_set_sha256": "ab" * 32,
        "objective": {"metric": "output_throughput_tok_s", "direction": "maximize"},
        "constraints": ["peak_memory_mib <= 15360"],
        "parameters": list(dict.fromkeys(name for record in records for name in record.parameters)),
        "created_at": "2026-11-03T09:30:00Z",
        "vbench_version": "0.1.0",
        "num_trials_planned": len(records),
        "status": "finished",
    }
    write_json_atomic(run.run_json, {**facts, **run_facts})
    with RecordStore(run.trials_jsonl) as store:
        for record in records:
            store.append(record)
    return run


def make_sweep_records(count: int = 20, *, engine: str = "vllm") -> list[TrialRecord]:
    """A sweep as it might have been: a baseline, a few parameters that matter, and each kind of failure."""
    draw = random.Random(7)
    records: list[TrialRecord] = []
    for trial in range(count):
        settings: dict[str, Any] = {
            "max_num_seqs": draw.choice([8, 16, 32, 64]),
            "gpu_memory_utilization": round(0.80 + 0.01 * draw.randrange(16), 2),
            "enable_chunked_prefill": draw.choice([True, False]),
            "speculative_config": draw.choice(["none", "ngram"]),
        }
        if settings["speculative_config"] == "ngram":
            settings["speculative_config.ngram.num_speculative_tokens"] = draw.randrange(2, 9)
        if trial == 0:
            settings = {"max_num_seqs": 8, "gpu_memory_utilization": 0.9}
        records.append(_sweep_record(trial, settings, draw, engine))
    return records


def _sweep_record(trial: int, settings: dict[str, Any], draw: random.Random, engine: str) -> TrialRecord:
    ngram = settings.get("speculative_config") == "ngram"
    config: dict[str, Any] = {name: value for name, value in settings.items() if "." not in name and value != "none"}
    if ngram:
        tokens = settings["speculative_config.ngram.num_speculative_tokens"]
        config["speculative_config"] = {"method": "ngram", "num_speculative_tokens": tokens}
    common: dict[str, Any] = {"parameters": settings, "config": config, "engine": engine}
    common["origin"] = "baseline" if trial == 0 else "search"
    if trial in (5, 11, 12):
        line = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`."
        failed = make_failure(evidence=line, advice="Raise gpu_memory_utilization, or lower max_model_len.")
        return make_record(trial, None, outcome=Outcome.OUT_OF_MEMORY, failure=failed, peak_mib=None, **common)
    if trial == 8:
        failed = make_failure("deadline", "the load took longer than 15m 00s", advice="Raise deadlines.load.")
        return make_record(trial, None, outcome=Outcome.TIMED_OUT, failure=failed, **common)
    rate = 180 + 90 * math.log2(settings["max_num_seqs"]) + (60 if ngram else 0) + draw.gauss(0, 12)
    peak = int(4200 + 60 * settings["max_num_seqs"] + 9000 * (settings["gpu_memory_utilization"] - 0.8))
    if trial == 15:
        common["outcome"] = Outcome.OVER_BUDGET
        common["failure"] = make_failure("over_budget", "peak 16,020 MiB of 15,360 MiB", phase="pass")
    if trial in (3, 9):
        common["warnings"] = ["The first pass was 14% slower than the others: add a warm-up pass."]
    rates = [rate * (1 + draw.gauss(0, 0.012)) for _ in range(3)]
    return make_record(trial, rates, peak_mib=peak, **common)
