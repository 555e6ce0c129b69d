"""The planner beside the real vLLM on this machine's CPU, as a table.

    .venv/bin/python -m benchmarks.planner_agreement [--model models/tiny/base]

Starts every case of `tests/planner/engine_cases.py` (a second or two each, the first of a model class longer) and
writes `benchmarks/planner_agreement.md`. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.planner.engine_cases import CASES, Case, Engines
from vbench.execution.interpreters import describe_engine, find_interpreter
from vbench.planner.verdict import Plan

HERE = Path(__file__).parent
_HEAD = "| case | KV tokens: planned | vLLM | error | blocks: planned | vLLM | weights bytes: planned | vLLM | error |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE.parent / "models/tiny/base", help="whose tokenizer is used")
    model = parser.parse_args().model.resolve()
    version = describe_engine(find_interpreter(None, "vllm"), "vllm").get("version")
    rows = []
    with tempfile.TemporaryDirectory(prefix="vbench-agreement-") as name:
        engines = Engines(Path(name), model)
        try:
            for case in CASES:
                planned, said = engines.plan(case), engines.run(case)
                rows.append(_row(case, planned, said))
                print(rows[-1]["case"], rows[-1]["tokens_error"], rows[-1]["weights_error"], flush=True)
        finally:
            engines.close()
    summary = _summary(rows)
    text = _table(rows, summary, str(version))
    (HERE / "planner_agreement.md").write_text(text, encoding="utf-8")
    print(json.dumps(summary))


def _row(case: Case, planned: Plan, said: dict[str, Any]) -> dict[str, Any]:
    assert planned.per_gpu is not None
    tokens, weights = said["logged_kv_tokens"], said["weights_bytes"]
    return {
        "case": case.label + (f"-draft={case.draft}" if case.draft else ""),
        "tokens": planned.per_gpu.kv_tokens,
        "said_tokens": tokens,
        "tokens_error": planned.per_gpu.kv_tokens / tokens - 1,
        "blocks": planned.kv_blocks,
        "said_blocks": said["num_gpu_blocks"],
        "weights": planned.per_gpu.weights_bytes,
        "said_weights": weights,
        "weights_error": None if weights is None else planned.per_gpu.weights_bytes / weights - 1,
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    weights = [abs(row["weights_error"]) for row in rows if row["weights_error"] is not None]
    return {
        "cases": len(rows),
        "largest_kv_tokens_error": max(abs(row["tokens_error"]) for row in rows),
        "cases_with_weights": len(weights),
        "largest_weights_error": round(max(weights), 6),
    }


def _table(rows: list[dict[str, Any]], summary: dict[str, Any], version: str) -> str:
    lines = [
        "# The planner beside the real engine",
        "",
        f"`python -m benchmarks.planner_agreement`, {datetime.now(UTC):%Y-%m-%d}; vLLM {version} (CPU), dummy weights. "
        "KV tokens as vLLM's log has them; weights as the bytes of the loaded model's parameters (unknown where ranks "
        "are processes of their own).",
        "",
        f"Largest error over {summary['cases']} cases: KV tokens {summary['largest_kv_tokens_error']:.2%}, weights "
        f"{summary['largest_weights_error']:.3%}.",
        "",
        _HEAD,
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        said = "–" if row["said_weights"] is None else f"{row['said_weights']:,}"
        error = "–" if row["weights_error"] is None else f"{row['weights_error']:+.3%}"
        lines.append(
            f"| {row['case']} | {row['tokens']:,} | {row['said_tokens']:,} | {row['tokens_error']:+.2%} "
            f"| {row['blocks']:,} | {row['said_blocks']:,} | {row['weights']:,} | {said} | {error} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
