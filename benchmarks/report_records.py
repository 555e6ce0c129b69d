"""Made-up runs of any size, for measuring what a report costs. Nothing in them was measured.

A record has what one of a real sweep has (passes with a column a request, phases with what the machine did, what the
engine said of itself, the planner's estimate) and about its size. Trials fail, stop early, break constraints, warn, and
are measured again as they do in real runs. The same count gives the same bytes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.records.record import Pass, Phase, TrialRecord
from vbench.records.runs import RunFolder, create, write_json_atomic
from vbench.records.store import encode_line

MIB = 1 << 20
NUM_REQUESTS = 6
_START = datetime(2026, 11, 1, 9, 0, 0, tzinfo=UTC)
_OUTPUT_TOKENS = 128
_INPUT_TOKENS = [500 + 4 * one for one in range(NUM_REQUESTS)]
_NUM_FINALISTS, _NUM_FINALS = 3, 6
_WARNING = "timed passes differ by 6%: something else is running, or it hadn't warmed up"


def write_run(root: Path, count: int) -> RunFolder:
    """A run of so many records."""
    run = create(root, f"synthetic-{count}", _START)
    run.sweep_yaml.write_text("name: synthetic\nmodel: org/model-7b\n", encoding="utf-8")
    write_json_atomic(run.machine_json, {"cpu": {"model": "Made-up CPU", "cores": 8}, "packages": {"vllm": "0.32.0"}})
    facts = {
        "name": run.sweep,
        "description": "Made-up records, for measuring what a report costs.",
        "prompt_set_sha256": "ab" * 32,
        "objective": {"metric": "output_throughput_tok_s", "direction": "maximize"},
        "constraints": ["p95_ttft_s <= 4"],
        "parameters": list(_settings(random.Random(0))),
        "search_method": "surrogate",
        "seed": 0,
        "created_at": _START.isoformat(),
        "vbench_version": "0.1.0",
        "num_trials_planned": count,
        "status": "finished",
    }
    write_json_atomic(run.run_json, facts)
    with run.trials_jsonl.open("wb") as file:
        for record in make_records(count):
            file.write(encode_line(record))
    return run


def make_records(count: int) -> Iterator[TrialRecord]:
    """The baseline, the search, and in a run of 20 or more the finals of a few trials."""
    finals = _NUM_FINALS if count >= 20 else 0
    kept: list[TrialRecord] = []
    for trial in range(count - finals):
        record = _record(trial, random.Random(trial))
        kept += [record] if trial and record.outcome is Outcome.COMPLETED and len(kept) < 10 * _NUM_FINALISTS else []
        yield record
    best = sorted(kept, key=lambda one: -one.measurements["output_throughput_tok_s"])[:_NUM_FINALISTS]
    for number in range(finals if best else 0):
        of = best[number % len(best)]
        again = _record(of.trial, random.Random(of.trial), repeat=number + 1)
        yield again.model_copy(
            update={"trial": count - finals + number, "origin": "final", "repeat_of": of.trial, "stopped": None}
        )


def _settings(draw: random.Random) -> dict[str, Any]:
    return {
        "max_num_seqs": draw.choice((8, 16, 32, 64, 128, 256)),
        "max_num_batched_tokens": draw.choice((1024, 2048, 4096, 8192)),
        "gpu_memory_utilization": round(0.70 + 0.01 * draw.randrange(25), 2),
        "quantization": draw.choice(("none", "awq", "gptq")),
        "enable_chunked_prefill": draw.choice((True, False)),
        "block_size": draw.choice((16, 32)),
        "max_model_len": draw.choice((2048, 4096, 8192)),
    }


def _record(trial: int, draw: random.Random, repeat: int = 0) -> TrialRecord:
    settings = _settings(draw)
    noise = random.Random(f"{trial}-{repeat}") if repeat else draw
    rate = 200 + 110 * math.log2(settings["max_num_seqs"]) + 240 * (settings["quantization"] == "awq")
    rate *= 1 + noise.gauss(0, 0.04)
    fate = draw.random() if trial else 1.0
    changes = _fate(fate, rate)
    num_passes = 0 if fate < 0.10 else 1 if fate < 0.16 else 4
    load_s = 20 + 10 * noise.random()
    passes, phases = _course(num_passes, rate, load_s, settings, noise)
    model = {"none": "", "awq": "-awq", "gptq": "-gptq"}[settings["quantization"]]
    given = {name: value for name, value in settings.items() if value != "none"}
    fields: dict[str, Any] = {
        "trial": trial,
        "origin": "search" if trial else "baseline",
        "config": {"engine": "vllm", "model": f"org/model-7b{model}", "enforce_eager": False, **given,
                   "environment": {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}},
        "parameters": settings,
        "outcome": Outcome.COMPLETED,
        "measurements": measure(passes if num_passes == 4 else [], phases),
        "constraint_violations": {"p95_ttft_s <= 4": -0.5} if num_passes == 4 else {},
        "passes": passes,
        "engine": {"name": "vllm", "version": "0.32.0", "python": "3.11.7", "facts": _facts(settings)},
        "prompt_set": {"sha256": "ab" * 32, "num_prompts": NUM_REQUESTS, "output_tokens": _OUTPUT_TOKENS,
                       "source": "prompts/made-up.jsonl", "input_tokens": sum(_INPUT_TOKENS)},
        "hardware": {"profile": "cpu", "memory_source": "process tree PSS"},
        "environment": {"worker_start": "fork", "fork_blocker": None, "notes": [],
                        "packages": {"torch": "2.13.0+cpu", "transformers": "5.19.0"}},
        "phases": phases,
        "warnings": [_WARNING] if draw.random() < 0.02 else [],
        "estimate": _estimate(settings),
        "started_at": (_START + timedelta(seconds=60 * trial)).isoformat(),
        "duration_s": round(phases[-1].end_s, 6),
    }  # fmt: skip
    return TrialRecord.model_validate({**fields, **changes})


def _fate(fate: float, rate: float) -> dict[str, Any]:
    """What becomes of a trial: 5 % lack memory, 3 % are too slow to load, 2 % crash, 6 % are stopped early, 2 % break a
    constraint, 1 % go over the budget, and the rest complete."""
    advice = "Raise gpu_memory_utilization, or lower max_model_len."
    if fate < 0.05:
        evidence = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`."
        failure = {"class": "kv_cache_too_small", "evidence": evidence, "advice": advice, "phase": "load"}
        return {"outcome": Outcome.OUT_OF_MEMORY, "failure": failure}
    if fate < 0.08:
        failure = {"class": "deadline", "evidence": "the load took longer than 5m 00s", "advice": "Raise it.",
                   "phase": "load"}  # fmt: skip
        return {"outcome": Outcome.TIMED_OUT, "failure": failure}
    if fate < 0.10:
        failure = {"class": "engine_crashed", "evidence": "RuntimeError: made up", "advice": "Read the log.",
                   "phase": "load"}  # fmt: skip
        return {"outcome": Outcome.CRASHED, "failure": failure}
    if fate < 0.16:
        stopped = {"phase": "pass", "index": 0, "after_s": 0.4, "bound": rate * 0.9, "incumbent_trial": 0,
                   "incumbent_value": rate, "error_rate": 0.05}  # fmt: skip
        return {"outcome": Outcome.PRUNED, "stopped": stopped}
    if fate < 0.18:
        return {"constraint_violations": {"p95_ttft_s <= 4": 0.25}}
    if fate < 0.19:
        failure = {"class": "over_budget", "evidence": "peak 16,020 MiB of 15,360 MiB", "advice": advice,
                   "phase": "pass"}  # fmt: skip
        return {"outcome": Outcome.OVER_BUDGET, "failure": failure}
    return {}


def _course(
    num_passes: int, rate: float, load_s: float, settings: dict[str, Any], noise: random.Random
) -> tuple[list[Pass], list[Phase]]:
    """The passes, the first of them a warm-up, and the phases around them."""
    peak = int((4200 + 12 * settings["max_num_seqs"] + 30000 * (settings["gpu_memory_utilization"] - 0.7)) * MIB)
    phases = [
        Phase(name="start", start_s=0.0, end_s=0.5, peak_memory_bytes=400 * MIB),
        Phase(name="import", start_s=0.5, end_s=4.25, peak_memory_bytes=900 * MIB),
        Phase(name="load", start_s=4.25, end_s=round(load_s, 6), peak_memory_bytes=peak),
    ]
    passes: list[Pass] = []
    for index in range(num_passes):
        start_s = phases[-1].end_s
        passes.append(_pass(index, rate * (1 + noise.gauss(0, 0.01)), start_s, settings, noise))
        name = "pass" if index else "warmup"
        end_s = round(start_s + passes[-1].duration_s + 0.001, 6)
        host = _host(passes[-1].duration_s, noise) if index else None
        phases.append(
            Phase(name=name, index=max(0, index - 1), start_s=start_s, end_s=end_s,
                  peak_memory_bytes=peak + noise.randrange(64) * MIB, host=host)
        )  # fmt: skip
    end_s = phases[-1].end_s
    phases.append(Phase(name="close", start_s=end_s, end_s=round(end_s + 0.4, 6), peak_memory_bytes=peak))
    return passes, phases


def _pass(index: int, rate: float, start_s: float, settings: dict[str, Any], noise: random.Random) -> Pass:
    duration_s = NUM_REQUESTS * _OUTPUT_TOKENS / rate
    firsts = [round(0.02 + 0.03 * noise.random(), 6) for _ in range(NUM_REQUESTS)]
    ends = [round(duration_s * (0.9 + 0.1 * noise.random()), 6) for _ in range(NUM_REQUESTS)]
    requests = {
        "input_tokens": _INPUT_TOKENS,
        "output_tokens": [_OUTPUT_TOKENS] * NUM_REQUESTS,
        "ttft_s": firsts,
        "tpot_s": [round((end - first) / 127, 6) for first, end in zip(firsts, ends, strict=True)],
        "e2e_latency_s": ends,
        "asked_tokens": _OUTPUT_TOKENS,
    }
    prompt_tokens = float(sum(_INPUT_TOKENS))
    return Pass.model_validate(
        {
            "index": max(0, index - 1),
            "kind": "timed" if index else "warmup",
            "start_s": start_s,
            "duration_s": duration_s,
            "requests": requests,
            "output_sha256": f"{settings['quantization']:0>64}".replace("n", "0"),
            "engine_metrics": {"generation_tokens": 1.0 * NUM_REQUESTS * _OUTPUT_TOKENS, "num_preemptions": 0.0,
                               "prefix_cache_hits": 0.0, "prompt_tokens": prompt_tokens},
        }
    )  # fmt: skip


def _host(seconds: float, noise: random.Random) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 4), "cpus": 8, "busy_cores": round(6 + noise.random(), 4), "trial_cores": 5.9,
        "vbench_cores": 0.01, "foreign_cores": round(0.1 * noise.random(), 4), "steal_share": 0.0,
        "pressure_share": 0.01, "throttled_share": 0.0, "num_throttled": 0, "load_1min": 6.2, "cpu_mhz": 2450.0,
        "is_whole_machine": True,
    }  # fmt: skip


def _facts(settings: dict[str, Any]) -> dict[str, Any]:
    tokens = 1000 * int(1000 * (settings["gpu_memory_utilization"] - 0.5))
    return {
        "kv_cache_tokens": tokens, "max_concurrency": tokens / settings["max_model_len"], "init_engine_s": 3.1,
        "dtype": "float16", "quantization": settings["quantization"], "max_model_len": settings["max_model_len"],
        "enforce_eager": False, "seed": 0, "load_format": "auto", "block_size": settings["block_size"],
        "num_gpu_blocks": tokens // settings["block_size"], "kv_cache_dtype": "auto",
        "gpu_memory_utilization": settings["gpu_memory_utilization"], "enable_prefix_caching": False,
        "cpu_offload_gb": 0.0, "max_num_seqs": settings["max_num_seqs"],
        "max_num_batched_tokens": settings["max_num_batched_tokens"], "scheduling_policy": "fcfs",
        "enable_chunked_prefill": settings["enable_chunked_prefill"], "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1, "data_parallel_size": 1, "cudagraph_capture_sizes": [1, 2, 4, 8],
        "compilation_mode": "NONE", "attention_backends_in_use": ["CPU_ATTN"], "weights_bytes": 7_283_584_000,
    }  # fmt: skip


def _estimate(settings: dict[str, Any]) -> dict[str, Any]:
    tokens = 1000 * int(1010 * (settings["gpu_memory_utilization"] - 0.5))
    concurrency = tokens / settings["max_model_len"]
    return {
        "verdict": "fits",
        "reason": f"{tokens:,} KV tokens: {concurrency:.1f} requests of {settings['max_model_len']:,} at once",
        "per_gpu": {"weights_bytes": 7_283_584_000, "kv_bytes_per_token": 65536, "kv_tokens": tokens,
                    "activation_bytes": 17326080, "graph_bytes": 0, "context_bytes": 1717986918,
                    "total_bytes": 9_746_955_878, "budget_bytes": 15_033_180_242},
        "kv_blocks": tokens // settings["block_size"], "block_size": settings["block_size"], "block_bytes": 262144,
        "concurrency": concurrency, "max_model_len": settings["max_model_len"], "margin_bytes": 1286224364,
        "error_bytes": 536870912, "peak_bytes": 12033180242, "is_pool_given": False, "warnings": [], "assumptions": [],
    }  # fmt: skip


def record_bytes(run: RunFolder) -> dict[str, Any]:
    """How large a run's file and its records are."""
    with run.trials_jsonl.open("rb") as file:
        sizes = sorted(map(len, file))
    return {"file_mib": round(sum(sizes) / MIB, 1), "median_record_bytes": sizes[len(sizes) // 2]}
