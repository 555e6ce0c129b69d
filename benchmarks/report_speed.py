"""What `vbench report` takes for many trials: wall time, memory, and the size of what it writes.

    .venv/bin/python -m benchmarks.report_speed [--trials 1000 100000] [--keep DIR]

Makes runs of made-up records (`benchmarks.report_records`), then runs the command on each in a process of its own, as a
user would. Memory is the largest that this process and its children took together, read 5 times a second: as PSS, in
which pages that several of them share (it forks to draw) count once. Prints a table; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report_records import MIB, record_bytes, write_run

LIMITS = {1000: (5.0, None), 100_000: (30.0, 1024.0)}
"""By trials: the seconds and the MiB that a report may take."""
_INTERVAL_S = 0.2


def main() -> int:
    """Measure each size; 1 where a report failed or a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--keep", type=Path, help="make the runs and reports here, and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        found = [measure(folder, count) for count in options.trials]
    print(f"{'trials':>8} {'records':>10} {'seconds':>8} {'CPU':>6} {'peak':>10} {'page':>9} {'within':>7}")
    for one in found:
        print(
            f"{one['trials']:8,} {one['file_mib']:6.0f} MiB {one['wall_s']:8.1f} {one['cpu_s']:6.1f} "
            f"{one['peak_mib']:6.0f} MiB {one['page_mib']:5.2f} MiB {'yes' if one['is_within'] else 'NO':>7}"
        )
    print(json.dumps({"benchmark": "report", "cpus": os.cpu_count(), "load_1min": os.getloadavg()[0], "runs": found}))
    return 0 if all(one["is_within"] for one in found) else 1


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Make a run and its report."""
    run = write_run(folder / "results", count)
    out = folder / "reports"
    script = "from vbench.cli.main import main; main()"
    command = [sys.executable, "-c", script, "report", run.sweep, "--results", str(run.path.parents[1])]
    start = time.monotonic()
    with subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, text=True) as child:
        peak, cpu_s = _watch(child)
        printed = child.stdout.read() if child.stdout else ""
    wall_s = time.monotonic() - start
    paths = [Path(line) for line in printed.splitlines() if line]
    page = next((path for path in paths if path.suffix == ".html"), None)
    most_s, most_mib = LIMITS.get(count, (None, None))
    is_within = (most_s is None or wall_s <= most_s) and (most_mib is None or peak / MIB <= most_mib)
    return {
        "trials": count,
        **record_bytes(run),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "peak_mib": round(peak / MIB, 1),
        "page_mib": round(page.stat().st_size / MIB, 3) if page is not None else 0.0,
        "files_mib": round(sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / MIB, 1),
        "exit_code": child.returncode,
        "is_within": child.returncode == 0 and is_within,
    }


def _watch(child: subprocess.Popen[str]) -> tuple[float, float]:
    """The most memory, and the CPU seconds, of a process and its children; until it ends."""
    process = psutil.Process(child.pid)
    peak = cpu_s = 0.0
    while child.poll() is None:
        try:
            tree = [process, *process.children(recursive=True)]
            peak = max(peak, sum(one.memory_full_info().pss for one in tree))
            times = process.cpu_times()
            cpu_s = sum((times.user, times.system, times.children_user, times.children_system))
        except psutil.Error:  # one of them ended in between
            continue
        time.sleep(_INTERVAL_S)
    return peak, cpu_s


if __name__ == "__main__":
    sys.exit(main())
