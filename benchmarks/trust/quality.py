"""Quality: what 4-bit weights rounded to nearest cost in likelihood, that n-gram speculation changes no answer, and
whom a bound leaves to be the best.

    .venv/bin/python -m benchmarks.trust.quality [--tokens 96] [--passes 5]

`vbench sweep` with `quality: {when: always, max_nll_increase: 2%}`, end to end, of a small model that was trained for a
minute on the texts it is scored on (`tools/learned_model.py`; made when it is missing). The last line is one JSON
object.
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
from benchmarks.trust.engine import ENGINE_ARGS, ENVIRONMENT, ROOT
from benchmarks.trust.pages import Figures, finish, parser_of, table
from vbench.analysis.ranking import best
from vbench.outcome import Outcome
from vbench.quality.texts import load_texts
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.spec.measure_types import QualitySpec
from vbench.spec.types import Objective

MODELS = ROOT / "models" / "learned"
NUM_TEXTS = QualitySpec().num_texts
BOUND = 0.02
OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
# On a card the memory that 4-bit weights save holds more sequences. So small a model saves next to nothing, and on a
# CPU the 4-bit kernels are the slower ones: quantized it is given more sequences, to be worth a temptation.
FEW, MANY = 4, 32
PARAMETERS: dict[str, Any] = {
    "quantization": ["none", *({one: {"model": str(MODELS / one), "max_num_seqs": MANY}} for one in ("awq", "gptq"))],
    "speculative_config": ["none", {"ngram": NGRAM}],
}


def prompts_file(folder: Path) -> Path:
    """The first half of each text that is scored: what follows it the model knows."""
    path = folder / "prompts.jsonl"
    halves = (text[: len(text) // 2] for text in load_texts(None, NUM_TEXTS).texts)
    path.write_text("".join(json.dumps({"prompt": half}) + "\n" for half in halves), encoding="utf-8")
    return path


def sweep_file(prompts: Path, tokens: int, passes: int) -> str:
    """All configurations with the plain model as their baseline; JSON is YAML."""
    quality = {"when": "always", "greedy_prompts": NUM_TEXTS, "greedy_tokens": tokens, "max_nll_increase": BOUND}
    return json.dumps(
        {
            "name": "quality", "model": str(MODELS / "base"), "hardware": "cpu",
            "prompts": {"file": str(prompts), "output_tokens": 32},
            "engine_args": {**ENGINE_ARGS, "max_num_seqs": FEW}, "environment": ENVIRONMENT, "parameters": PARAMETERS,
            "search": {"method": "grid"}, "objective": {OBJECTIVE.direction: OBJECTIVE.metric},
            "measure": {"warmup_passes": 1, "passes": passes}, "baseline": {}, "quality": quality,
        }
    )  # fmt: skip


def by_command(text: str, folder: Path) -> list[TrialRecord]:
    """The records that `vbench sweep` leaves of this file."""
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


def measure(tokens: int = 96, passes: int = 5) -> tuple[list[TrialRecord], Figures]:
    """The records of the sweep, and the figures."""
    subprocess.run([sys.executable, "tools/learned_model.py"], cwd=ROOT, check=True, stdout=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="vbench-quality-") as name:
        records = by_command(sweep_file(prompts_file(Path(name)), tokens, passes), Path(name))
    return records, figures(records)


def name_of(record: TrialRecord) -> str:
    """`base`, `awq`, `base + ngram`, …"""
    quantization = record.parameters.get("quantization", "none")
    speculation = record.parameters.get("speculative_config", "none")
    name = "base" if quantization == "none" else str(quantization)
    return name if speculation == "none" else f"{name} + {speculation}"


def figures(records: Sequence[TrialRecord]) -> Figures:
    """By configuration: the increase of NLL per token, with 95 %, the share of greedy tokens kept, and whether it keeps
    the bound; then who is the fastest of all, and of those that keep it."""
    found: Figures = {}
    for record in records:
        one, name = record.quality, name_of(record)
        if one is None or one.nll_increase is None:
            raise SystemExit(f"{name} wasn't checked: {record.warnings}")
        low, high = one.nll_increase_interval or (one.nll_increase, one.nll_increase)
        found[name] = {
            "nll_per_token": round(sum(one.nll) / sum(one.tokens), 5),
            "nll_increase": round(one.nll_increase, 5),
            "low": round(low, 5),
            "high": round(high, 5),
            "greedy_agreement": one.greedy_agreement,
            "keeps_bound": all(violation <= 0 for violation in record.constraint_violations.values()),
            "tok_s": round(float(record.measurements[OBJECTIVE.metric]), 1),
            "quality_s": round(one.duration_s, 2),
        }
    unbound = [record.model_copy(update={"constraint_violations": {}}) for record in records]
    names = [None if one is None else name_of(one) for one in (best(unbound, OBJECTIVE), best(records, OBJECTIVE))]
    return {"configurations": found, "best_without_bound": names[0], "best_with_bound": names[1]}


def page(found: Mapping[str, Any], command: str, tokens: int) -> list[str]:
    """The table, and who is the best of it."""
    rows: list[Sequence[object]] = [
        (
            name, f"{one['nll_per_token']:.4f}",
            "" if name == "base" else f"{one['nll_increase']:+.2%} ({one['low']:+.2%} to {one['high']:+.2%})",
            f"{one['greedy_agreement']:.1%}", "yes" if one["keeps_bound"] else "no", f"{one['tok_s']:.0f}",
            f"{one['quality_s']:.1f}",
        )
        for name, one in found["configurations"].items()
    ]  # fmt: skip
    return [
        "# What quantization and speculation do to the answers",
        "",
        measured_with("vllm", command),
        "",
        f"`vbench sweep` with `quality: {{when: always, max_nll_increase: {BOUND:.0%}}}`. The model is small (2 layers "
        "of 256) and was trained for a minute on the very texts that it is scored on: it knows them by heart, so there "
        "is a likelihood to lose, and how much of it is lost says nothing of other models. awq and gptq: 4 bit in "
        f"groups of 128, rounded to nearest. {NUM_TEXTS} texts; {NUM_TEXTS} greedy answers of {tokens} tokens, each to "
        "the first half of a text. NLL in nats per token, its *increase* against `base`; *agreement*: share of the "
        "base's greedy tokens before the first difference; *cost*: seconds that the check took, in no figure of speed. "
        f"The quantized ones run {MANY} sequences at a time and the others {FEW}, as on a card where smaller weights "
        "leave room for more: with equal numbers they would be the slower ones here, and no temptation.",
        "",
        *table(("configuration", "NLL", "increase (95 %)", "agreement", "keeps it", "tok/s", "cost, s"), rows),
        "",
        f"The fastest is {found['best_without_bound']}; within the bound, and so the best that vbench names, it is "
        f"{found['best_with_bound']}.",
    ]


def main() -> None:
    parser = parser_of(__doc__, "quality")
    parser.add_argument("--tokens", type=int, default=96, help="of each greedy answer")
    parser.add_argument("--passes", type=int, default=5, help="timed passes of each configuration")
    given = parser.parse_args()
    _, found = measure(given.tokens, given.passes)
    command = f"python -m benchmarks.trust.quality --tokens {given.tokens} --passes {given.passes}"
    finish(given.out, page(found, command, given.tokens), {"quality": found})


if __name__ == "__main__":
    main()
