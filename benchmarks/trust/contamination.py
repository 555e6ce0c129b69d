"""Contamination: what a prefix cache that is warm from the pass before makes of throughput, and that vbench says so.

    .venv/bin/python -m benchmarks.trust.contamination [--rounds 8] [--prompts 16]

Sweeps, end to end, of prompts that share nothing with each other. In turns, each on a fresh engine: *kept*, the prefix
cache on and never forgotten (`measure: {reset_prefix_cache: false}`), so that only the first pass is cold; *off*, with
`enable_prefix_caching: false`; *reset*, the cache on and forgotten before each pass, as vbench does by default. The
last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.search.silent import Silent
from benchmarks.trust.engine import ENGINE_ARGS, ENVIRONMENT
from benchmarks.trust.pages import HERE, Figures, as_dict, finish, in_words, parser_of, table
from vbench.analysis.paired import ratio_of_pairs
from vbench.metrics import output_tokens
from vbench.outcome import Outcome
from vbench.records.record import Pass, TrialRecord
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

INPUT_TOKENS, OUTPUT_TOKENS, BLOCK_SIZE, PASSES = 320, 24, 64, 3
WAYS = ("kept", "off", "reset")
ROUNDS_A_SWEEP = 4
_FLAG = "prefix cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A trial: tok/s of its first pass and of its timed ones (median), hits ÷ prompt tokens of these, its warning."""

    first: float
    timed: float
    hit_rate: float
    warning: str | None


Rounds = list[dict[str, Seen]]


def sweep(ways: Sequence[str], seeds: Sequence[int], num_prompts: int) -> SweepSpec:
    """`kept` and `off` are one sweep, `reset` another. The engine's seed changes nothing at temperature 0: it makes
    the rounds."""
    arguments = {**ENGINE_ARGS, "block_size": BLOCK_SIZE}
    del arguments["enable_prefix_caching"]
    caching = [way != "off" for way in ways]
    text = {
        "name": "contamination", "model": "../../models/demo/base", "hardware": "cpu",
        "prompts": {
            "synthetic": {"count": num_prompts, "input_tokens": INPUT_TOKENS, "seed": 6},
            "output_tokens": OUTPUT_TOKENS,
        },
        "engine_args": arguments, "environment": ENVIRONMENT,
        "parameters": {"seed": list(seeds), "enable_prefix_caching": caching},
        "search": {"method": "grid"}, "objective": {"maximize": "output_throughput_tok_s"},
        "measure": {"warmup_passes": 1, "passes": PASSES, "reset_prefix_cache": "reset" in ways},
    }  # fmt: skip
    return parse_spec(json.dumps(text), HERE / "contamination.yaml")


def measure(rounds: int = 8, num_prompts: int = 16) -> tuple[Rounds, Figures]:
    """What each round saw, and the figures."""
    found: Rounds = []
    with tempfile.TemporaryDirectory(prefix="vbench-contamination-") as name:
        for begin in range(0, rounds, ROUNDS_A_SWEEP):
            seeds = range(begin, min(rounds, begin + ROUNDS_A_SWEEP))
            some: dict[int, dict[str, Seen]] = {seed: {} for seed in seeds}
            sweeps: list[tuple[str, ...]] = [("kept", "off"), ("reset",)]
            for ways in sweeps if begin // ROUNDS_A_SWEEP % 2 == 0 else sweeps[::-1]:
                spec = sweep(ways, list(seeds), num_prompts)
                for record in run_sweep(prepare(spec), Path(name) / str(begin), Silent(), force_new=True).records:
                    is_cached = record.config["enable_prefix_caching"]
                    some[record.config["seed"]]["off" if not is_cached else ways[0]] = seen(record)
            found += some.values()
            print(f"{len(found)} rounds", flush=True)
    return found, figures(found)


def seen(record: TrialRecord) -> Seen:
    """What is compared of a trial."""
    if record.outcome is not Outcome.COMPLETED:
        raise SystemExit(f"a trial ended as {record.outcome}: {record.failure}")
    return Seen(
        first=_rate(record.passes[0]),
        timed=float(record.measurements["output_throughput_tok_s"]),
        hit_rate=float(record.measurements["prefix_cache_hit_rate"] or 0.0),
        warning=next((one for one in record.warnings if _FLAG in one.lower()), None),
    )


def _rate(one: Pass) -> float:
    return output_tokens(one) / one.duration_s


def figures(rounds: Rounds) -> Figures:
    """Ratios to the first cold pass (that of *kept*) and to what *off* measures, and how many trials of each way carry
    the warning."""

    def ratio(way: str, part: str, to: str = "kept", to_part: str = "first") -> Mapping[str, Any]:
        pairs = [(float(getattr(one[to], to_part)), float(getattr(one[way], part))) for one in rounds]
        return as_dict(ratio_of_pairs(pairs), len(pairs))

    found: Figures = {f"{way}_to_cold": ratio(way, "timed") for way in WAYS}
    found |= {f"{way}_first_to_cold": ratio(way, "first") for way in WAYS if way != "kept"}
    found |= {f"{way}_to_off": ratio(way, "timed", "off", "timed") for way in WAYS if way != "off"}
    for way in WAYS:
        found[f"{way}_flagged"] = sum(one[way].warning is not None for one in rounds)
        found[f"{way}_hit_rate"] = round(statistics.median(one[way].hit_rate for one in rounds), 4)
    return {"rounds": len(rounds), **found}


def page(rounds: Rounds, found: Figures, command: str, num_prompts: int) -> list[str]:
    """The table."""
    named = {"kept": "cache kept", "off": "`enable_prefix_caching: false`", "reset": "reset before each pass"}
    rows = [
        (
            named[way], f"{statistics.median(one[way].first for one in rounds):.1f}",
            f"{statistics.median(one[way].timed for one in rounds):.1f}", f"{found[f'{way}_hit_rate']:.1%}",
            in_words(found[f"{way}_to_cold"]),
            "" if way == "kept" else in_words(found[f"{way}_first_to_cold"]),
            "" if way == "off" else in_words(found[f"{way}_to_off"]),
            f"{found[f'{way}_flagged']} of {len(rounds)}",
        )
        for way in WAYS
    ]  # fmt: skip
    warning = next((one["kept"].warning for one in rounds if one["kept"].warning), None)
    return [
        "# A warm prefix cache, and what vbench says of it",
        "",
        measured_with("vllm", command),
        "",
        f"Model demo/base, {num_prompts} prompts of {INPUT_TOKENS} random tokens that share nothing, {OUTPUT_TOKENS} "
        f"tokens each, blocks of {BLOCK_SIZE}; {len(rounds)} rounds, each way a fresh engine, one warm-up pass (the "
        f"first) and {PASSES} timed. Output tok/s, medians over rounds. The *cold pass* is the first of the trials "
        "that keep the cache; it is the first of its process, too, so that *first ÷ cold* compares like with like and "
        "*timed ÷ cold* has in it what a process's first pass costs. *timed ÷ off* is to the timed passes without a "
        "cache.",
        "",
        *table(
            ("", "first pass", "timed passes", "hits",
             "timed ÷ cold (95 %)", "first ÷ cold (95 %)", "timed ÷ off (95 %)", "flagged"),
            rows,
        ),
        "",
        "The warning: " + (f"“{warning}”" if warning else "none was stored."),
    ]  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__, "contamination")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=16)
    given = parser.parse_args()
    rounds, found = measure(given.rounds, given.prompts)
    command = f"python -m benchmarks.trust.contamination --rounds {given.rounds} --prompts {given.prompts}"
    finish(given.out, page(rounds, found, command, given.prompts), {"contamination": found})


if __name__ == "__main__":
    main()
