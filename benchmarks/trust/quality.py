"""Quality: what 4-bit weights rounded to nearest cost in likelihood, and that n-gram speculation changes no answer.

    .venv/bin/python -m benchmarks.trust.quality [--texts 32] [--tokens 96]

`vbench sweep` with `quality: {when: always}`, end to end, on the texts that vbench ships. The weights are random: of
English such a model knows nothing that rounding could spoil, so that an increase may drown in its interval. The last
line is one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.trust.engine import ENGINE_ARGS, ENVIRONMENT, PROMPTS, ROOT
from benchmarks.trust.pages import Figures, finish, parser_of, table
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore

MODELS = ROOT / "models" / "demo"
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
# One option each besides `none`; together they would say nothing more.
WAYS: tuple[dict[str, Any], ...] = (
    {"quantization": ["none", *({one: {"model": str(MODELS / one)}} for one in ("awq", "gptq"))]},
    {"speculative_config": ["none", {"ngram": NGRAM}]},
)
Rows = dict[str, dict[str, TrialRecord]]


def sweep_file(parameters: Mapping[str, Any], num_texts: int, tokens: int, texts: Path | None) -> str:
    """A sweep with the plain model as its baseline; JSON is YAML."""
    quality = {"when": "always", "num_texts": num_texts, "greedy_prompts": num_texts, "greedy_tokens": tokens}
    return json.dumps(
        {
            "name": "quality", "model": str(MODELS / "base"), "hardware": "cpu",
            "prompts": {"file": str(PROMPTS), "limit": num_texts, "output_tokens": 16},
            "engine_args": ENGINE_ARGS, "environment": ENVIRONMENT, "parameters": dict(parameters),
            "search": {"method": "grid"}, "objective": {"maximize": "output_throughput_tok_s"},
            "measure": {"warmup_passes": 1, "passes": 3}, "baseline": {},
            "quality": quality if texts is None else {**quality, "texts": str(texts)},
        }
    )  # fmt: skip


def by_command(text: str, folder: Path) -> list[TrialRecord]:
    """The records that `vbench sweep` leaves of this file."""
    folder.mkdir()
    (folder / "quality.yaml").write_text(text, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "vbench"), "sweep", "quality.yaml"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "NO_COLOR": "1"}, check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    found = sorted((folder / "results").glob("*/*/trials.jsonl"))
    records = list(RecordStore(found[-1]).read().records) if found else []
    if done.returncode != 0 or not records or any(one.outcome is not Outcome.COMPLETED for one in records):
        raise SystemExit(f"vbench sweep ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return records


def checked(folder: Path, num_texts: int, tokens: int, texts: Path | None) -> dict[str, TrialRecord]:
    """By name: the base, its quantized forms, and the base with speculation."""
    found: dict[str, TrialRecord] = {}
    for number, parameters in enumerate(WAYS):
        for record in by_command(sweep_file(parameters, num_texts, tokens, texts), folder / str(number)):
            name = "base" if record.origin == "baseline" else str(next(iter(record.parameters.values())))
            if name != "none":  # the baseline once more
                found.setdefault(name, record)
    return found


def measure(num_texts: int = 32, tokens: int = 96) -> tuple[Rows, Figures]:
    """By text set and configuration the records, and the figures."""
    with tempfile.TemporaryDirectory(prefix="vbench-quality-") as name:
        folder = Path(name)
        (folder / "shipped").mkdir()
        rows = {"shipped": checked(folder / "shipped", num_texts, tokens, None)}
    return rows, figures(rows)


def figures(rows: Mapping[str, Mapping[str, TrialRecord]]) -> Figures:
    """By text set and configuration: the increase of NLL per token, with 95 %, and the share of greedy tokens kept."""
    found: Figures = {}
    for text_set, records in rows.items():
        for name, record in records.items():
            one = record.quality
            if one is None or one.nll_increase is None:
                raise SystemExit(f"{name} on {text_set} texts wasn't checked: {record.warnings}")
            low, high = one.nll_increase_interval or (one.nll_increase, one.nll_increase)
            found.setdefault(text_set, {})[name] = {
                "nll_per_token": round(sum(one.nll) / sum(one.tokens), 5),
                "nll_increase": round(one.nll_increase, 5),
                "low": round(low, 5),
                "high": round(high, 5),
                "greedy_agreement": one.greedy_agreement,
                "tok_s": round(float(record.measurements["output_throughput_tok_s"]), 1),
                "quality_s": round(one.duration_s, 2),
            }
    return found


def page(found: Figures, command: str, num_texts: int, tokens: int) -> list[str]:
    """The table."""
    rows: list[Sequence[object]] = [
        (
            text_set, name, f"{one['nll_per_token']:.4f}",
            "" if name == "base" else f"{one['nll_increase']:+.2%} ({one['low']:+.2%} to {one['high']:+.2%})",
            f"{one['greedy_agreement']:.1%}", f"{one['tok_s']:.0f}", f"{one['quality_s']:.1f}",
        )
        for text_set, configurations in found.items()
        for name, one in configurations.items()
    ]  # fmt: skip
    return [
        "# What quantization and speculation do to the answers",
        "",
        measured_with("vllm", command),
        "",
        f"`vbench sweep` with `quality: {{when: always}}` on models/demo (random weights; awq and gptq: 4 bit, rounded "
        f"to nearest), {num_texts} texts, {num_texts} greedy answers of {tokens} tokens. Random weights know "
        "nothing of English that rounding could spoil. NLL in nats per "
        "token; *agreement*: share of the base's greedy tokens before the first difference; *cost*: seconds that the "
        "check took, in no figure of speed.",
        "",
        *table(("texts", "configuration", "NLL", "increase (95 %)", "agreement", "tok/s", "cost, s"), rows),
    ]


def main() -> None:
    parser = parser_of(__doc__, "quality")
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=96)
    given = parser.parse_args()
    _, found = measure(given.texts, given.tokens)
    command = f"python -m benchmarks.trust.quality --texts {given.texts} --tokens {given.tokens}"
    finish(given.out, page(found, command, given.texts, given.tokens), {"quality": found})


if __name__ == "__main__":
    main()
