"""`make faults`: the whole fault matrix, the fuzzer and the soak, and what they counted.

    .venv/bin/python -m tests.faults.every [--files 100000] [--trials 2000] [--seed S] [--write]

Runs `tests/faults` (each fault on real processes), mutates sweep files, and soaks real sweeps in random faults. Prints
a table; the last line is one JSON object. The exit code is 1 where anything was lost, doubled, left, found or failed.
`--write` puts the table and the counts into docs/reliability.md, and the soak's into benchmarks/faults/soak.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.matrix import PARTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
SOAK = ROOT / "benchmarks" / "faults" / "soak.md"
BEGIN, END = "<!-- `make faults ARGS=--write` fills this in -->", "<!-- up to here -->"
_COUNTED = ("records_lost", "records_doubled", "processes_left", "files_left", "secrets_found")
_TITLES = {
    "engine": "The engine", "result": "What a trial sends back", "server": "A server", "vbench": "vbench itself",
    "surroundings": "Its surroundings", "machine": "The machine", "input": "Input", "security": "Security",
}  # fmt: skip


def main() -> int:
    """Run all of it; 1 where something wasn't survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="mutated sweep files; 0: none")
    parser.add_argument("--trials", type=int, default=2_000, help="of the soak; 0: none")
    parser.add_argument("--seed", type=int, default=None, help="of both; new each time unless given")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/reliability.md and benchmarks/faults/soak.md"
    )
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    rows, has_passed = matrix()
    fuzzed = _last_json("tests.faults.fuzz", "--files", options.files, "--seed", seed) if options.files else None
    words = ["--trials", options.trials, "--seed", seed, *(["--out", str(SOAK)] if options.write else [])]
    soaked = _last_json("tests.faults.soak", *words) if options.trials else None
    found = summary(rows, fuzzed, soaked, seed)
    print(table(rows))
    if options.write:
        write(PAGE, rows, found)
    print(json.dumps(found))
    return 0 if has_passed and is_clean(found) else 1


def matrix() -> tuple[list[dict[str, Any]], bool]:
    """Run the tests; the rows, and whether all passed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        environment = {**os.environ, "VBENCH_FAULTS_JSON": str(path)}
        command = [sys.executable, "-m", "pytest", "tests/faults", "-q"]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else [], done.returncode == 0


def _last_json(module: str, *words: str | int) -> dict[str, Any]:
    """Run a module, its output shown as it comes; what its last line says. An empty one if it says nothing."""
    command = [sys.executable, "-m", module, *map(str, words)]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    try:
        found: dict[str, Any] = json.loads(last)
    except ValueError:
        found = {}
    return {**found, "exit_code": child.returncode}


def summary(
    rows: Iterable[dict[str, Any]], fuzzed: dict[str, Any] | None, soaked: dict[str, Any] | None, seed: int
) -> dict[str, Any]:
    """The counts of everything."""
    listed = list(rows)
    extra = [one for one in (fuzzed, soaked) if one is not None]
    counts = {name: sum(int(one.get(name, 0)) for one in [*listed, *extra]) for name in _COUNTED}
    return {
        "faults_tried": sum(int(one.get("faults_tried", 0)) for one in [*listed, *extra]),
        "faults_survived": sum(int(one.get("survived", 0)) for one in [*listed, *extra]),
        **counts,
        "faults_in_matrix": len(listed),
        "skipped_here": sorted(one["name"] for one in listed if one["skipped"] and not one["tests"]),
        "files_fuzzed": None if fuzzed is None else fuzzed.get("faults_tried", 0),
        "trials_soaked": None if soaked is None else soaked.get("trials", 0),
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "exit_codes": [one["exit_code"] for one in extra],
        "fuzz": fuzzed,
        "soak": soaked,
    }


def is_clean(found: dict[str, Any]) -> bool:
    """Whether everything that was tried was survived."""
    return (
        found["faults_tried"] == found["faults_survived"]
        and not any(found[name] for name in _COUNTED)
        and not any(found["exit_codes"])
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """What was tried, what is promised, and how often it held, as Markdown."""
    lines = []
    for part in PARTS:
        own = sorted((one for one in rows if one["part"] == part), key=lambda one: str(one["name"]))
        if not own:
            continue
        lines += [f"### {_TITLES[part]}", "", "| what happens | what you get | tried | survived |", "|---|---|--:|--:|"]
        lines += [f"| {one['name']} | {one['promise']} | {_tried(one)} | {one['survived']} |" for one in own]
        lines.append("")
    return "\n".join(lines)


def _tried(row: dict[str, Any]) -> str:
    return str(row["faults_tried"]) if row["tests"] else "skipped here"


def write(page: Path, rows: Sequence[dict[str, Any]], found: dict[str, Any]) -> None:
    """Replace what stands between the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    shown = json.dumps(found, indent=2)
    text = f"{before}{BEGIN}\n\n{table(rows)}\n### All counts\n\n```json\n{shown}\n```\n\n{END}{after}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
