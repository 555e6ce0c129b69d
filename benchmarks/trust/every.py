"""`make bench-trust`: parity, A/A, what sampling costs, contamination: the tables, and all figures as one JSON object.

    .venv/bin/python -m benchmarks.trust.every [--small]

On a quiet machine: anything else that runs is in the figures. `--small` tries the way through, its figures say nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.trust.engine import ROOT
from benchmarks.trust.pages import Figures

# Module, words of the real thing, words of a small one.
PARTS: tuple[tuple[str, str, str], ...] = (
    (
        "parity_throughput",
        "--same-pairs 30 --pairs 4 --cold-pairs 0",
        "--same-pairs 2 --pairs 2 --cold-pairs 0 --prompts 4 --tokens 8",
    ),
    ("parity_serve", "--pairs 10", "--pairs 2 --prompts 4 --tokens 8 --rate 20"),
    ("aa", "--comparisons 200", "--comparisons 2"),
    ("sampler", "--pairs 12", "--pairs 2 --passes 1"),
    ("contamination", "--rounds 6", "--rounds 1 --prompts 4"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="try the way through; needs --out")
    parser.add_argument("--out", type=Path, help="folder for the tables instead of this one")
    given = parser.parse_args()
    if given.small and given.out is None:
        parser.error("--small needs --out: its tables aren't to replace real ones")
    figures: Figures = {}
    for name, real, small in PARTS:
        start = time.monotonic()
        words = (small if given.small else real).split()
        if given.out is not None:
            words += ["--out", str(given.out / f"{name}.md")]
        figures |= run_part(name, words)
        print(f"-- {name}: {time.monotonic() - start:.0f} s", flush=True)
    print(json.dumps(figures))


def run_part(name: str, words: list[str]) -> Figures:
    """A part in a process of its own, for none to inherit what another left; what it says is passed on but for its last
    line, the figures, which are returned."""
    command = [sys.executable, "-u", "-m", f"benchmarks.trust.{name}", *words]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(last, end="", flush=True)
            last = line
    if process.returncode != 0:
        raise SystemExit(f"{name} ended with {process.returncode}: {last}")
    found: Figures = json.loads(last)
    return found


if __name__ == "__main__":
    main()
