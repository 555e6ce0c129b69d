"""What starting an engine costs a trial: in a cold process, forked, and with an engine that is used again.

    .venv/bin/python -m benchmarks.search.startup [--rounds 3] [--trials 6] [--out FILE]

The same sweep over a setting of the requests (the temperature, offline) in three ways in turn, the order turned round
in every other round. Prints a table; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.search.silent import Silent
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.spec.loader import parse_spec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

HERE = Path(__file__).parent
WAYS = {
    "cold": "worker_start: cold\nsearch: {method: grid, reuse_engine: false}\n",
    "fork": "worker_start: auto\nsearch: {method: grid, reuse_engine: false}\n",
    "reuse": "worker_start: auto\nsearch: {method: grid, reuse_engine: true}\n",
}
_STARTING = ("start", "import", "load")


def sweep_text(way: str, trials: int, engine: str = "vllm") -> str:
    """The sweep; its file would lie beside this one."""
    temperatures = ", ".join(f"{step / 10:g}" for step in range(trials))
    arguments = "enforce_eager: true, kv_cache_memory_bytes: 134217728, max_num_seqs: 8, dtype: bfloat16, "
    return f"""\
name: startup-{way}
model: ../../models/demo/base
engine: {engine}
hardware: cpu
prompts: {{file: ../../sweeps/prompts/demo.jsonl, limit: 16, output_tokens: 32}}
engine_args: {{{arguments if engine == "vllm" else ""}max_model_len: 1024}}
environment: {{OMP_NUM_THREADS: "1", NUMBA_NUM_THREADS: "1", VLLM_NO_USAGE_STATS: "1", HF_HUB_OFFLINE: "1"}}
parameters: {{sampling.temperature: [{temperatures}]}}
objective: {{maximize: output_throughput_tok_s}}
measure: {{warmup_passes: 1, passes: 3}}
{WAYS[way]}"""


def run_once(way: str, trials: int, engine: str = "vllm") -> dict[str, float]:
    """One sweep. Seconds a trial: of the trials, of that start-up, and of the whole sweep, import included."""
    listener = Silent()
    with tempfile.TemporaryDirectory(prefix="vbench-startup-") as name:
        prepared = prepare(parse_spec(sweep_text(way, trials, engine), HERE / "startup.yaml"))
        start = time.monotonic()
        result = run_sweep(prepared, Path(name), listener)
        wall_s = time.monotonic() - start
        records = RecordStore(result.run.trials_jsonl).read().records
    if len(records) != trials or any(record.outcome is not Outcome.COMPLETED for record in records):
        raise SystemExit(f"{way}: not every trial completed")
    return {
        "trial_s": statistics.fmean(record.duration_s or 0.0 for record in records),
        "startup_s": statistics.fmean(startup_s(record) for record in records),
        "sweep_s": wall_s / trials,
        "ready_s": listener.ready_s,
        "tok_s": statistics.median(float(one.measurements["output_throughput_tok_s"]) for one in records),
        "reused": sum(record.environment.get("worker_start") == "reused" for record in records),
    }


def startup_s(record: TrialRecord) -> float:
    """Seconds until the engine was ready; 0 for a trial that found one running."""
    return sum(phase.end_s - phase.start_s for phase in record.phases if phase.name in _STARTING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=6, help="in each sweep")
    parser.add_argument("--engine", choices=("vllm", "fake"), default="vllm")
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(arguments.rounds):
        for way in list(WAYS) if number % 2 == 0 else reversed(WAYS):
            found[way].append(run_once(way, arguments.trials, arguments.engine))
            print(f"round {number}, {way}: {found[way][-1]['trial_s']:.2f} s a trial", flush=True)
    summary = {way: summarised(rounds) for way, rounds in found.items()}
    text = "\n".join(table(summary, arguments)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps(summary))


def summarised(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Medians over the rounds, and the share of start-up in a trial."""
    found = {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}
    return {**found, "startup_share": round(found["startup_s"] / found["trial_s"], 4)}


def table(summary: dict[str, dict[str, float]], arguments: Any) -> list[str]:
    """The table."""
    command = f"python -m benchmarks.search.startup --rounds {arguments.rounds} --trials {arguments.trials}"
    rows = [
        "# Start-up: cold, forked, reused",
        "",
        measured_with(arguments.engine, command),
        "",
        f"{arguments.trials} trials a sweep that differ in the temperature alone, 16 prompts of the demo set, 32 "
        f"tokens each, a warm-up and 3 timed passes; medians of {arguments.rounds} sweeps each, in turns. *Start-up*: "
        "worker start to engine ready. *Whole sweep*: with the import of the engine, once, where trials are forked.",
        "",
        "| way | s a trial | of it start-up s | share | whole sweep, s a trial | import s | reused | output tok/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, one in summary.items():
        rows.append(
            f"| {way} | {one['trial_s']:.2f} | {one['startup_s']:.2f} | {one['startup_share']:.1%} "
            f"| {one['sweep_s']:.2f} | {one['ready_s']:.2f} | {one['reused']:.0f} of {arguments.trials} "
            f"| {one['tok_s']:.0f} |"
        )
    return rows


if __name__ == "__main__":
    main()
