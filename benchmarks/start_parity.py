"""Forked against cold: does the way a worker is started change what it measures, and what does each way cost?

    .venv/bin/python benchmarks/start_parity.py [--pairs 6] [--model models/demo/base]

Runs the same configuration of real vLLM forked and cold in turn (ABBA, so that drift of the machine cancels), and
writes `benchmarks/start_parity.md`. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from vbench.execution.engine_log import read_log
from vbench.execution.interpreters import describe_engine, find_interpreter
from vbench.execution.keeper_client import Keeper
from vbench.execution.machine import machine_facts
from vbench.execution.runner import run_trial
from vbench.execution.verdict import judge, phases_of
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.prompts.prompt_set import load_prompt_set, write_jsonl
from vbench.spec.types import Deadlines, PromptSpec

HERE = Path(__file__).parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ENGINE_ARGS = {
    "max_model_len": 1024,
    "enforce_eager": True,
    "kv_cache_memory_bytes": 128 * 1024**2,
    "enable_prefix_caching": False,
}
OUTPUT_TOKENS = 48
How = Literal["fork", "cold"]


class Bench:
    """The two ways side by side: a keeper that has imported vLLM, and one that hasn't."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        prompt_spec = PromptSpec(file=HERE.parent / "sweeps/prompts/demo.jsonl", limit=16, output_tokens=OUTPUT_TOKENS)
        prompts = load_prompt_set(prompt_spec, str(model))
        self.num_prompts = prompts.num_prompts
        write_jsonl(prompts, folder / "prompts.jsonl")
        self.interpreter = find_interpreter(None, "vllm")
        self.keepers = {"fork": self._keeper("fork"), "cold": self._keeper("cold")}

    def _keeper(self, how: How) -> Keeper:
        keeper = Keeper(
            self.interpreter, "vllm", preload=how == "fork", environment=ENVIRONMENT, run_uid=f"parity-{how}",
            log=self.folder / f"{how}.log",
        )  # fmt: skip
        keeper.wait_ready(300)
        if how == "fork" and not keeper.can_fork:
            raise SystemExit(f"forking isn't possible here: {keeper.fork_blocker}")
        return keeper

    def trial(self, how: How, number: int) -> dict[str, float]:
        """One trial: output tok/s (median of its timed passes), seconds in all and to a ready engine, peak bytes."""
        log = self.folder / f"{number}.log"
        raw = run_trial(
            self.keepers[how], trial_id=number, how=how, deadlines=Deadlines(), log=log, run_uid=f"parity-{how}",
            on_event=lambda _: None,
            request={
                "engine": "vllm", "model": str(self.model), "engine_args": ENGINE_ARGS, "environment": ENVIRONMENT,
                "prompts_file": str(self.folder / "prompts.jsonl"), "output_tokens": OUTPUT_TOKENS,
                "warmup_passes": 1, "passes": 5, "max_seconds": None,
            },
        )  # fmt: skip
        outcome, failure, passes = judge(raw, read_log(log), Deadlines(), self.num_prompts)
        if outcome is not Outcome.COMPLETED:
            raise SystemExit(f"a {how} trial failed: {failure}")
        measured = measure(passes, phases_of(raw))
        return {
            "tok_s": measured["output_throughput_tok_s"],
            "startup_s": measured["startup_s"],
            "trial_s": raw.ended_t - raw.started_t,
            "peak_bytes": measured["peak_memory_bytes"],
        }

    def close(self) -> None:
        """End both keepers."""
        for keeper in self.keepers.values():
            keeper.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--model", type=Path, default=HERE.parent / "models/demo/base")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vbench-parity-") as name:
        bench = Bench(Path(name), arguments.model.resolve())
        try:
            pairs = [_pair(bench, index) for index in range(arguments.pairs)]
        finally:
            bench.close()
        facts = machine_facts(bench.interpreter, "vllm", describe_engine(bench.interpreter, "vllm"))
    summary = _summary(pairs)
    (HERE / "start_parity.md").write_text(_table(pairs, summary, facts, arguments.pairs), encoding="utf-8")
    print(json.dumps(summary))


def _pair(bench: Bench, index: int) -> dict[str, dict[str, float]]:
    order: tuple[How, How] = ("fork", "cold") if index % 2 == 0 else ("cold", "fork")
    start = time.monotonic()
    pair: dict[str, dict[str, float]] = {how: bench.trial(how, 2 * index + place) for place, how in enumerate(order)}
    ratio = pair["fork"]["tok_s"] / pair["cold"]["tok_s"]
    print(f"pair {index}: fork/cold {ratio:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return pair


def _summary(pairs: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    ratios = [pair["fork"]["tok_s"] / pair["cold"]["tok_s"] for pair in pairs]
    memory = [pair["fork"]["peak_bytes"] / pair["cold"]["peak_bytes"] for pair in pairs]

    def median(how: How, key: str) -> float:
        return round(statistics.median(pair[how][key] for pair in pairs), 3)

    return {
        "pairs": len(pairs),
        "throughput_ratio_median": round(statistics.median(ratios), 4),
        "throughput_ratio_min": round(min(ratios), 4),
        "throughput_ratio_max": round(max(ratios), 4),
        "peak_memory_ratio_median": round(statistics.median(memory), 4),
        "fork_trial_s": median("fork", "trial_s"),
        "cold_trial_s": median("cold", "trial_s"),
        "fork_startup_s": median("fork", "startup_s"),
        "cold_startup_s": median("cold", "startup_s"),
    }


def _table(
    pairs: list[dict[str, dict[str, float]]], summary: dict[str, float], facts: dict[str, object], n: int
) -> str:
    lines = [
        "# Forked and cold trials side by side",
        "",
        f"`python benchmarks/start_parity.py --pairs {n}`, {datetime.now(UTC):%Y-%m-%d}; "
        f"vLLM {facts['engine_version']} (CPU), Python {facts['python_version']}, {facts['cpu']}, "
        f"{facts['cpus_allowed']} cores, "
        f"load average {facts['load_average']}. A shared machine: read ratios, not seconds.",
        "",
        f"Same configuration, 16 prompts of the demo set, {OUTPUT_TOKENS} tokens each, 1 warm-up and 5 timed passes a "
        "trial; order within a pair alternates.",
        "",
        "| pair | fork tok/s | cold tok/s | ratio | fork start-up s | cold start-up s | fork trial s | cold trial s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for index, pair in enumerate(pairs):
        fork, cold = pair["fork"], pair["cold"]
        lines.append(
            f"| {index} | {fork['tok_s']:.1f} | {cold['tok_s']:.1f} | {fork['tok_s'] / cold['tok_s']:.3f} "
            f"| {fork['startup_s']:.2f} | {cold['startup_s']:.2f} | {fork['trial_s']:.2f} | {cold['trial_s']:.2f} |"
        )
    lines += ["", "Summary:", "", *(f"* {name}: {value}" for name, value in summary.items()), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
