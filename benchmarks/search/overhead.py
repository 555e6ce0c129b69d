"""What vbench itself takes for a trial, and what memory it holds, over many trials of the fake engine.

    .venv/bin/python -m benchmarks.search.overhead [--trials 2000] [--methods grid random auto] [--out FILE]

Overhead of a trial: from the end of the trial before it to its own end, less what the engine's process worked on it
(from its first phase to its `done`): asking the search, forking, reading, sampling memory, waiting for the process,
writing the record. CPU time (user and system) beside it, as a busy machine makes everything wait: of vbench, and of its
keeper with the trials' processes, whose work as engines is in it. Each method runs in a process of its own. Prints a
table; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
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
    """A listener that times trials, and looks at the memory of this process and of its keeper at some of them."""

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.overheads_s: list[float] = []
        self.rss: dict[int, tuple[int, int]] = {}
        self._marks = {round(trials * mark) for mark in _MARKS}
        self._process = self._keeper = psutil.Process()
        self._begin_t: float | None = None
        self._done_t: float | None = None
        self._last_t = 0.0
        self._count = 0

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """From here on trials are timed."""
        super().engine_ready(fork_blocker, seconds)
        if fork_blocker is not None:
            raise SystemExit(f"trials can't be forked here: {fork_blocker}")
        (self._keeper,) = self._process.children()
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
            self.rss[self._count] = (self._process.memory_info().rss, self._keeper.memory_info().rss)


def measure_here(method: str, trials: int) -> dict[str, Any]:
    """One sweep in this process: overheads and CPU time in milliseconds, memory in MiB after a tenth, a half and all of
    it."""
    watching = Watching(trials)
    with tempfile.TemporaryDirectory(prefix="vbench-overhead-") as name:
        text = f"{SWEEP}".replace("search: {", f"search: {{method: {method}, trials: {trials}, prune: false, ")
        prepared = prepare(parse_spec(text, Path(name) / "overhead.yaml"))
        start, before_s = time.monotonic(), _cpu_s()
        run_sweep(prepared, Path(name) / "results", watching)
        wall_s = time.monotonic() - start
        own_s, processes_s = (after - before for after, before in zip(_cpu_s(), before_s, strict=True))
    found = watching.overheads_s
    tenth = max(1, len(found) // 10)
    return {
        "method": method, "trials": trials, "wall_s": round(wall_s, 1),
        "median_ms": round(1000 * statistics.median(found), 2), "mean_ms": round(1000 * statistics.fmean(found), 2),
        "p99_ms": round(1000 * percentile(found, 99), 2),
        "first_tenth_ms": round(1000 * statistics.median(found[:tenth]), 2),
        "last_tenth_ms": round(1000 * statistics.median(found[-tenth:]), 2),
        "cpu_ms": round(1000 * own_s / trials, 2), "processes_cpu_ms": round(1000 * processes_s / trials, 2),
        "rss_mib": {count: round(rss / 2**20, 1) for count, (rss, _) in watching.rss.items()},
        "keeper_rss_mib": {count: round(rss / 2**20, 1) for count, (_, rss) in watching.rss.items()},
    }  # fmt: skip


def _cpu_s() -> tuple[float, float]:
    """User and system time of this process, and of its children that have ended with theirs."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own_s, children_s = (one.ru_utime + one.ru_stime for one in used)
    return own_s, children_s


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
        "phase to `done`). CPU time: of vbench, and of its keeper with the trials' processes, all that they do. Early "
        "stop is off. Memory: resident sets of vbench and its keeper after so many trials.",
        "",
        "| method | median ms | mean ms | p99 ms | median of the first tenth | of the last tenth | CPU ms "
        "| CPU ms of its processes | " + " | ".join(f"MiB after {mark}" for mark in marks) + " |",
        "|---" * (8 + len(marks)) + "|",
    ]
    for row in rows:
        both = zip(row["rss_mib"].values(), row["keeper_rss_mib"].values(), strict=True)
        memory = " | ".join(f"{own:.1f} + {keepers:.1f}" for own, keepers in both)
        lines.append(
            f"| {row['method']} | {row['median_ms']:.1f} | {row['mean_ms']:.1f} | {row['p99_ms']:.1f} "
            f"| {row['first_tenth_ms']:.1f} | {row['last_tenth_ms']:.1f} | {row['cpu_ms']:.1f} "
            f"| {row['processes_cpu_ms']:.1f} | {memory} |"
        )
    return lines


if __name__ == "__main__":
    main()
