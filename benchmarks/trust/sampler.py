"""What watching a trial's memory costs it: the same passes with and without the sampler's reading.

    .venv/bin/python -m benchmarks.trust.sampler [--pairs 20] [--passes 3]

One kept engine, so that nothing differs but what its parent does meanwhile; sides in turns (ABBA). *A*: a source that
reads nothing. *B*: the process tree's, as for every trial on a CPU. The last line is one JSON object.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search.machine import measured_with
from benchmarks.trust.engine import ROOT, Engine, SourceFor, demo_prompts
from benchmarks.trust.pages import Figures, as_dict, finish, in_words, parser_of, table
from vbench.analysis.paired import first_of_pair, ratio_of_pairs
from vbench.execution.memory import ProcessTreeMemory, UnmeasuredMemory

MODEL = ROOT / "models" / "demo" / "base"
NUM_PROMPTS, OUTPUT_TOKENS = 16, 48


def measure(pairs: int = 20, passes: int = 3) -> tuple[list[tuple[float, float]], Figures]:
    """Pairs (without, with) of tok/s, and the figures."""
    sources: dict[str, SourceFor] = {"A": lambda *_: UnmeasuredMemory(), "B": ProcessTreeMemory}
    rows: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="vbench-sampler-") as name,
        Engine(Path(name), MODEL, demo_prompts(NUM_PROMPTS), OUTPUT_TOKENS) as engine,
    ):
        engine.again(passes=1)
        for index in range(pairs):
            order = ("A", "B") if first_of_pair(index) == "A" else ("B", "A")
            found = {side: engine.again(sources[side], passes=passes).tok_s for side in order}
            rows.append((found["A"], found["B"]))
            print(f"pair {index}: {found['B'] / found['A']:.4f}", flush=True)
    return rows, figures(rows)


def figures(rows: Sequence[tuple[float, float]]) -> Figures:
    """tok/s with ÷ without."""
    return as_dict(ratio_of_pairs(rows), len(rows))


def page(rows: Sequence[tuple[float, float]], found: Figures, command: str, passes: int) -> list[str]:
    """The table."""
    return [
        "# What sampling memory costs",
        "",
        measured_with("vllm", command),
        "",
        f"Model demo/base, {NUM_PROMPTS} prompts, {OUTPUT_TOKENS} tokens each, {passes} passes a value (their median), "
        "one kept engine; output tokens per second.",
        "",
        f"With ÷ without: **{in_words(found)}**, {found['pairs']} pairs.",
        "",
        *table(
            ("pair", "without", "with", "ratio"),
            [(index, f"{a:.1f}", f"{b:.1f}", f"{b / a:.4f}") for index, (a, b) in enumerate(rows)],
        ),
    ]


def main() -> None:
    parser = parser_of(__doc__, "sampler")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args()
    rows, found = measure(given.pairs, given.passes)
    command = f"python -m benchmarks.trust.sampler --pairs {given.pairs} --passes {given.passes}"
    finish(given.out, page(rows, found, command, given.passes), {"sampler": found})


if __name__ == "__main__":
    main()
