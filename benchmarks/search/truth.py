"""The default method live on Space A, held against its exhaustive measurement.

    .venv/bin/python -m benchmarks.search.truth [--trials 30] [--seeds 1] [--out FILE]

Runs `vbench sweep benchmarks/search/space_a.yaml` with what a sweep has by default (`search.method=auto`, early stop,
finals) in a results folder of its own, and looks up what it named best in `space_a/`. The truth was measured on another
day, maybe on another machine: ranks and shares compare, tokens per second needn't. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.search.measured import SPACE_A, Measured, is_refused, read_measured
from vbench.analysis import ranking
from vbench.analysis.remeasure import remeasured
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records import runs
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.search.base import settings_key
from vbench.spec.space import point_of

COMMAND = Path(sys.executable).parent / "vbench"
SETTINGS = ("search.method=auto", "search.prune=null", "search.finalists=null", "search.probe_prompts=0")
"""What the file sets for measuring exhaustively, put back to the defaults."""


def run_live(folder: Path, trials: int, seed: int) -> Sequence[TrialRecord]:
    """The sweep's records; its own lines go to this process's stderr."""
    changes = [*SETTINGS, f"search.trials={trials}", f"search.seed={seed}"]
    words = [COMMAND, "sweep", SPACE_A, "--results", folder, *(word for one in changes for word in ("--set", one))]
    subprocess.run([str(word) for word in words], check=True, stdout=sys.stderr)
    return RecordStore(runs.find_runs(folder)[0].trials_jsonl).read().records


def judged(measured: Measured, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """What the run named best is worth by the exhaustive measurement, and what it took to find it."""
    objective = measured.spec.objective
    best = ranking.best(remeasured(list(records), measured.spec.goodput), objective)
    started = [record for record in records if not is_refused(record)]
    finals_s = sum(record.duration_s or 0.0 for record in records if record.origin == "final")
    engine_s = sum(record.duration_s or 0.0 for record in started)
    values = sorted((cell.value for cell in measured.cells.values() if cell.value is not None), reverse=True)
    true = true_value(measured, best)
    return {
        "trials": sum(record.origin != "final" for record in started),
        "stopped early": sum(record.outcome is Outcome.PRUNED for record in records),
        "refused": len(records) - len(started),
        "finals": sum(record.origin == "final" for record in records),
        "engine_s": round(engine_s, 1),
        "share": round(engine_s / measured.grid_s, 4),
        "share of it finals": round(finals_s / engine_s, 4) if engine_s else 0.0,
        "named": None if best is None else best.parameters,
        "named tok/s": None if best is None else round(value_of(best.measurements, objective.metric) or 0.0, 1),
        "true tok/s": None if true is None else round(true, 1),
        "true rank": None if true is None else 1 + sum(value > true for value in values),
        "regret": None if true is None else round(1 - true / measured.best, 4),
    }


def true_value(measured: Measured, record: TrialRecord | None) -> float | None:
    """The exhaustive measurement of a record's configuration."""
    point = None if record is None else point_of(measured.spec.parameters, record.parameters)
    return None if point is None else measured.cells[settings_key(point.settings)].value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    arguments = parser.parse_args()
    measured = read_measured()
    found = {}
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory(prefix="vbench-truth-") as name:
            found[seed] = judged(measured, run_live(Path(name), arguments.trials, seed))
    text = "\n".join(table(measured, found, arguments)) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps(found))


def table(measured: Measured, found: dict[int, dict[str, Any]], arguments: Any) -> list[str]:
    """A column a seed."""
    command = f"python -m benchmarks.search.truth --trials {arguments.trials} --seeds {arguments.seeds}"
    lines = [
        "# The default method live on Space A",
        "",
        measured_with("vllm", command),
        "",
        f"Held against the exhaustive measurement in `space_a/`: {measured.grid_s:.0f} engine-seconds, true best "
        f"{measured.best:.0f} tok/s. *share*: engine-seconds of the whole run, finals included, of the grid's.",
        "",
        "| seed | " + " | ".join(map(str, found)) + " |",
        "|---" * (1 + len(found)) + "|",
    ]
    names = next(iter(found.values()))
    return [
        *lines,
        *(f"| {name} | " + " | ".join(_shown(one[name]) for one in found.values()) + " |" for name in names),
    ]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {str(one).lower()}" for name, one in value.items())
    return str(value)


if __name__ == "__main__":
    main()
