"""One sweep of the fake engine, killed with SIGKILL at random moments and started again each time.

    .venv/bin/python -m benchmarks.search.kills [--kills 50] [--seed 0] [--out FILE]

With early stop, a probe and finals. The moments are spread over the whole run: some while vbench starts, most within
trials, the last ones in the finals. Held against the same sweep left alone: the same trials, none lost, none doubled,
at most the one that ran is run again, and each finalist is measured as often as the others. Which trials are stopped
early, and so which are the finalists, may differ a little: stopping goes by the clock on the wall. Prints the counts;
the last line is one JSON object. Exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from vbench.execution.leftovers import marked_processes
from vbench.outcome import Outcome
from vbench.records import runs
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore

COMMAND = Path(sys.executable).parent / "vbench"
SWEEP = """\
name: kills
model: org/name
engine: fake
prompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}
engine_args: {sleep_scale: 1.0, load_seconds: 0.1, noise: 0.08}
measure: {warmup_passes: 1, passes: 2}
parameters:
  max_num_seqs: [1, 2, 4]
  block_size: [16, 32, 64, 128]
  quantization: [none, awq, gptq]
search: {method: random, trials: 30, seed: 5, prune: true, probe_prompts: 2, finalists: 3, final_rounds: 2}
"""
"""The passes really take what the fake clock says, so that trials are stopped as they are in life. The noise is the
same in every run, and enough for the best to overlap, so that there are finals."""
_FINAL_ROUNDS = 2
_DEADLINE_S = 120.0


class Sweep:
    """The sweep in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kills.yaml").write_text(SWEEP, encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        """Begin, or go on."""
        return subprocess.Popen(
            [COMMAND, "sweep", "kills.yaml"], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def run(self) -> runs.RunFolder | None:
        """Its one run; None before there is one."""
        found = runs.find_runs(self.folder / "results")
        assert len(found) <= 1, "a restart began another run"
        return found[0] if found else None

    def records(self) -> Sequence[TrialRecord]:
        """What is on disk, torn lines left out."""
        run = self.run
        return () if run is None else RecordStore(run.trials_jsonl).read().records

    def pending(self) -> list[dict[str, Any]]:
        """The trials that were started and have no record: at least `trial`, and `origin` unless it is a search's."""
        run = self.run
        if run is None:
            return []
        try:
            data = json.loads(run.pending_json.read_bytes())
        except (OSError, ValueError):
            return []
        recorded = {record.trial for record in self.records()}
        return [one for one in data.get("trials", [data]) if one["trial"] not in recorded]

    def leftovers(self) -> list[int]:
        """Processes that carry the run's mark."""
        run = self.run
        return [] if run is None else marked_processes(str(runs.read_json(run.run_json)["run_uid"]))


def left_alone(folder: Path) -> tuple[Sequence[TrialRecord], float]:
    """The records of an uninterrupted run, and how long it took."""
    sweep = Sweep(folder)
    start = time.monotonic()
    if sweep.start().wait() != 0:
        raise SystemExit("the sweep doesn't even run when it is left alone")
    return sweep.records(), time.monotonic() - start


def killed(folder: Path, kills: int, seed: int, expected: int, whole_s: float) -> tuple[Sweep, Counter[str]]:
    """The same sweep killed so often, then left to its end. The counter says what was hit, and what was run again."""
    sweep, draw, seen = Sweep(folder), random.Random(seed), Counter[str]()
    for number in range(kills):
        process = sweep.start()
        left = max(1, expected - len(sweep.records()))
        # Somewhat less than its share of what is left, so that there are kills to the end; a fifth hit the start-up.
        mean_s = whole_s / expected * left / (kills - number)
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0.0, 0.8))
        else:
            _wait_for_work(sweep, process)
            time.sleep(draw.uniform(0.0, 1.2 * mean_s))
        if process.poll() is None:
            process.kill()
        else:
            seen["ended before it was killed"] += 1
        process.wait()
        _count_hit(sweep, seen)
    if sweep.start().wait() != 0:
        raise SystemExit("the last start didn't end well")
    return sweep, seen


def _wait_for_work(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Until a trial of this session runs, or the sweep has nothing left."""
    before, deadline = sweep.run and _stamp(sweep.run.pending_json), time.monotonic() + _DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        run = sweep.run
        if run is not None and _stamp(run.pending_json) not in (None, before):
            return
        time.sleep(0.01)


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _count_hit(sweep: Sweep, seen: Counter[str]) -> None:
    pending = sweep.pending()
    seen["kills"] += 1
    seen["kills while a trial ran"] += bool(pending)
    seen["trials to be run again"] += len(pending)
    seen["most at one kill"] = max(seen["most at one kill"], len(pending))
    origins = [*(record.origin for record in sweep.records()), *(one.get("origin") for one in pending)]
    seen["kills in the finals"] += "final" in origins


def compare(alone: Sequence[TrialRecord], after: Sequence[TrialRecord]) -> dict[str, int]:
    """How the killed run's trials differ from those of the run that was left alone; all are to be 0."""
    wanted, got = Counter(map(_what, _searched(alone))), Counter(map(_what, _searched(after)))
    finals = Counter(record.repeat_of for record in after if record.origin == "final")
    numbers = [record.trial for record in after]
    return {
        "lost": sum((wanted - got).values()),
        "doubled or other": sum((got - wanted).values()),
        "finals lost or doubled": sum(abs(count - _FINAL_ROUNDS) for count in finals.values()),
        "numbers given twice": len(numbers) - len(set(numbers)),
        "interrupted": sum(record.outcome is Outcome.INTERRUPTED for record in after),
    }


def _searched(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.origin != "final"]


def _what(record: TrialRecord) -> str:
    return json.dumps([record.origin, record.parameters], sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vbench-kills-") as name:
        alone, whole_s = left_alone(Path(name) / "alone")
        sweep, seen = killed(Path(name) / "killed", arguments.kills, arguments.seed, len(alone), whole_s)
        after = sweep.records()
        found = {**compare(alone, after), "processes left": len(sweep.leftovers())}
    is_sound = not any(found.values()) and seen["most at one kill"] <= 1
    text = "\n".join(table(alone, after, seen, found, arguments)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps({"is_sound": is_sound, **seen, **found}))
    sys.exit(0 if is_sound else 1)


def table(
    alone: Sequence[TrialRecord], after: Sequence[TrialRecord], seen: Counter[str], found: dict[str, int],
    arguments: Any,
) -> list[str]:  # fmt: skip
    """The counts."""
    command = f"python -m benchmarks.search.kills --kills {arguments.kills} --seed {arguments.seed}"
    rows = [
        "# Killed at random moments, and started again",
        "",
        measured_with("fake", command),
        "",
        "| | left alone | killed |",
        "|---|---|---|",
        f"| trials | {len(alone)} | {len(after)} |",
    ]
    origins, outcomes = ("search", "final"), (Outcome.COMPLETED, Outcome.PRUNED)
    rows += [f"| of origin `{word}` | {_origin(alone, word)} | {_origin(after, word)} |" for word in origins]
    rows += [f"| {outcome} | {_ended(alone, outcome)} | {_ended(after, outcome)} |" for outcome in outcomes]
    rows += ["", "| what the kills hit, and what came of it | |", "|---|---|"]
    return [*rows, *(f"| {name} | {count} |" for name, count in {**seen, **found}.items())]


def _origin(records: Sequence[TrialRecord], word: str) -> int:
    return sum(record.origin == word for record in records)


def _ended(records: Sequence[TrialRecord], outcome: Outcome) -> int:
    return sum(record.outcome is outcome for record in records)


if __name__ == "__main__":
    main()
