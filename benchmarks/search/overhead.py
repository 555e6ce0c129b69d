"""What vbench itself takes for a trial, and what memory it holds, over many trials of the fake engine.

    .venv/bin/python -m benchmarks.search.overhead [--trials 2000] [--methods grid random auto] [--out FILE]

Overhead of a trial: from the end of the trial before it to its own end, less what the engine's process worked on it
(from its first phase to its `done`): asking the search, forking, reading, sampling memory, waiting for the process,
writing the record. Each method runs in a process of its own. Prints a table; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.search.machine import measured_with
from benchmarks.search.silent import Silent
from vbench.metrics import percentile
from vbench.records.record import TrialRecord
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

METHODS = ("grid", "random", "auto")
SWEEP = """\
name: overhead
model: org/name
engine: fake
prompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}
measure: {warmup_passes: 1, passes: 3}
parameters:
  max_num_seqs: {low: 1, high: 100}
  max_model_len: {low: 512, high: 8128, step: 32}
search: {seed: 1}
"""
"""100 · 239 configurations, each another engine, so that none is reused."""
_MARKS = (0.1, 0.5, 1.0)


class Watching(Silent):
    """A listener that times trials and looks at this process's memory at some of them."""

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.overheads_s: list[float] = []
        self.rss: dict[int, int] = {}
        self._marks = {round(trials * mark) for mark in _MARKS}
        self._process = psutil.Process()
        self._begin_t: float | None = None
        self._done_t: float | None = None
        self._last_t = 0.0
        self._count = 0

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """From here on trials are timed."""
        super().engine_ready(fork_blocker, seconds)
        if fork_blocker is not None:
            raise SystemExit(f"trials can't be forked here: {fork_blocker}")
        self._last_t = time.monotonic()

    def trial_started(self, number: int, point: Point, origin: str) -> None:  # noqa: ARG002
        """Forget the trial before."""
        self._begin_t = self._done_t = None

    def trial_event(self, message: dict[str, Any]) -> None:
        """The engine's own time: from its first phase to the end of its work."""
        if message["event"] == "phase" and self._begin_t is None:
            self._begin_t = message["t"]
        if message["event"] == "done":
            self._done_t = message["t"]

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:  # noqa: ARG002
        """The trial's overhead; trials that were stopped early have no `done` and aren't counted."""
        now = time.monotonic()
        if self._begin_t is not None and self._done_t is not None:
            self.overheads_s.append(now - self._last_t - (self._done_t - self._begin_t))
        self._last_t = now
        self._count += 1
        if self._count in self._marks:
            self.rss[self._count] = self._process.memory_info().rss


def measure_here(method: str, trials: int) -> dict[str, Any]:
    """One sweep in this process: overheads in milliseconds, memory in MiB after a tenth, a half and all of it."""
    watching = Watching(trials)
    with tempfile.TemporaryDirectory(prefix="vbench-overhead-") as name:
        text = f"{SWEEP}".replace("search: {", f"search: {{method: {method}, trials: {trials}, prune: false, ")
        start = time.monotonic()
        run_sweep(prepare(parse_spec(text, Path(name) / "overhead.yaml")), Path(name) / "results", watching)
        wall_s = time.monotonic() - start
    found = watching.overheads_s
    tenth = max(1, len(found) // 10)
    return {
        "method": method, "trials": trials, "wall_s": round(wall_s, 1),
        "median_ms": round(1000 * statistics.median(found), 2), "mean_ms": round(1000 * statistics.fmean(found), 2),
        "p99_ms": round(1000 * percentile(found, 99), 2),
        "first_tenth_ms": round(1000 * statistics.median(found[:tenth]), 2),
        "last_tenth_ms": round(1000 * statistics.median(found[-tenth:]), 2),
        "rss_mib": {count: round(rss / 2**20, 1) for count, rss in watching.rss.items()},
    }  # fmt: skip


def measure_apart(method: str, trials: int) -> dict[str, Any]:
    """The same in a process of its own, so that its memory is its own."""
    words = [sys.executable, "-m", "benchmarks.search.overhead", "--here", method, "--trials", str(trials)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    parser.add_argument("--here", metavar="METHOD", help="one method in this process; prints its numbers")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_here(arguments.here, arguments.trials)))
        return
    rows = [measure_apart(method, arguments.trials) for method in arguments.methods]
    text = "\n".join(table(rows, arguments.trials)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps({row["method"]: {name: row[name] for name in row if name != "method"} for row in rows}))


def table(rows: list[dict[str, Any]], trials: int) -> list[str]:
    """The table, with what it was measured on."""
    marks = [str(count) for count in rows[0]["rss_mib"]]
    lines = [
        "# What vbench itself takes for a trial",
        "",
        measured_with("fake", f"python -m benchmarks.search.overhead --trials {trials}"),
        "",
        "A trial's overhead: from the end of the one before it to its own end, less what its engine worked (first "
        "phase to `done`). Early stop is off. Memory: resident set of the vbench process after so many trials.",
        "",
        "| method | median ms | mean ms | p99 ms | median of the first tenth | of the last tenth | "
        + " | ".join(f"MiB after {mark}" for mark in marks)
        + " |",
        "|---" * (6 + len(marks)) + "|",
    ]
    for row in rows:
        memory = " | ".join(f"{mib:.1f}" for mib in row["rss_mib"].values())
        lines.append(
            f"| {row['method']} | {row['median_ms']:.1f} | {row['mean_ms']:.1f} | {row['p99_ms']:.1f} "
            f"| {row['first_tenth_ms']:.1f} | {row['last_tenth_ms']:.1f} | {memory} |"
        )
    return lines


if __name__ == "__main__":
    main()
