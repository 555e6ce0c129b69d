"""What `vbench report` takes for many trials: wall time, memory, and the size of what it writes.

    .venv/bin/python -m benchmarks.report_speed [--trials 1000 100000] [--out benchmarks/report_speed.md] [--keep DIR]

Makes runs of made-up records (`benchmarks.report_records`), then runs the command on each in a process of its own, as a
user would; small runs several times, of which the middle one counts. Memory is read in one more run of each, as reading
it takes time from who is read: 5 times a second, both ways, as PSS of the process and its children together (pages that
several share count once), and as RSS, of the largest of them and of all together (shared pages count in each). The
limits are held against the larger of PSS and the largest RSS.

Prints a table; the last line is one JSON object. `--out` writes the table to a file, if the machine was quiet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report_records import MIB, record_bytes, write_run

LIMITS = {1000: (5.0, None), 100_000: (30.0, 1024.0)}
"""By trials: the seconds and the MiB that a report may take."""
_INTERVAL_S = 0.2
_SMALL, _TIMES = 5000, 5
"""Runs of fewer trials are reported so many times."""
_QUIET = 0.5
"""Load average over the last minute from which on a machine does something else."""
_PACKAGES = ("vbench", "pydantic", "pydantic-core", "numpy", "scipy", "matplotlib", "pyarrow")
_COLUMNS = (
    ("trials", "trials"), ("records, MiB", "file_mib"), ("one (median), bytes", "median_record_bytes"),
    ("wall, s", "wall_s"), ("CPU, s", "cpu_s"), ("peak PSS, MiB", "peak_pss_mib"),
    ("largest RSS, MiB", "peak_rss_mib"), ("RSS of all, MiB", "peak_rss_all_mib"), ("page, MiB", "page_mib"),
    ("all files, MiB", "files_mib"), ("within", "is_within"),
)  # fmt: skip


def main() -> int:
    """Measure each size; 1 where a report failed or a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--out", type=Path, help="write the table there, as Markdown")
    parser.add_argument("--keep", type=Path, help="make the runs and reports here, and leave them")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        found = [measure(folder, count) for count in options.trials]
    facts = {
        "benchmark": "report",
        "cpu": _cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "load_1min_before": round(load_before, 2),
        "load_1min_after": round(os.getloadavg()[0], 2),
    }
    print(table(found))
    if options.out and load_before > _QUIET:
        print(f"{options.out} stays as it is: the load was {load_before:.1f} before, so something else ran")
    elif options.out:
        options.out.write_text(_page(facts, found), encoding="utf-8")
    print(json.dumps({**facts, "runs": found}))
    return 0 if all(one["is_within"] for one in found) else 1


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Make a run and its report, a small one several times; the one in the middle by wall time."""
    run = write_run(folder / "results", count)
    script = "from vbench.cli.main import main; main()"
    command = [sys.executable, "-c", script, "report", run.sweep, "--results", str(run.path.parents[1])]
    command += ["--out", str(folder / "reports")]
    found = sorted((_once(command) for _ in range(_TIMES if count < _SMALL else 1)), key=lambda one: one["wall_s"])
    out = folder / "reports" / run.sweep
    pages = list(out.glob("report*.html"))
    watched = _once(command, is_watched=True)
    middle = {**watched, **found[len(found) // 2], "exit_code": found[-1]["exit_code"] or watched["exit_code"]}
    most_s, most_mib = LIMITS.get(count, (None, None))
    largest_mib = max(middle["peak_pss_mib"], middle["peak_rss_mib"])
    is_within = (most_s is None or middle["wall_s"] <= most_s) and (most_mib is None or largest_mib <= most_mib)
    return {
        "trials": count,
        **record_bytes(run),
        **middle,
        "times": len(found),
        "slowest_wall_s": found[-1]["wall_s"],
        "page_mib": round(sum(page.stat().st_size for page in pages) / MIB, 3),
        "files_mib": round(sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / MIB, 1),
        "is_within": is_within and bool(pages) and not any(one["exit_code"] for one in found),
    }


def _once(command: list[str], *, is_watched: bool = False) -> dict[str, Any]:
    """What one report takes; its memory where that is watched."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        peaks: dict[str, int] = {}
        watch = threading.Thread(target=_watch, args=(child.pid, peaks)) if is_watched else None
        if watch is not None:
            watch.start()
        exit_code = child.wait()
        wall_s = time.monotonic() - start
        if watch is not None:
            watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = {f"peak_{name}_mib": round(value / MIB, 1) for name, value in peaks.items()}
    return {"wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2), **memory, "exit_code": exit_code}


def _watch(pid: int, peaks: dict[str, int]) -> None:
    """The most memory of a process and its children, until it ends: `pss`, `rss` (the largest's), `rss_all`."""
    peaks.update(pss=0, rss=0, rss_all=0)
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            _look(process, peaks)
            time.sleep(_INTERVAL_S)
    except psutil.NoSuchProcess:
        return


def _look(process: psutil.Process, peaks: dict[str, int]) -> None:
    pss: list[int] = []
    rss: list[int] = []
    for one in (process, *process.children(recursive=True)):
        try:
            full = one.memory_full_info()
        except psutil.Error:  # it ended in between
            continue
        pss.append(full.pss)
        rss.append(full.rss)
    for name, value in (("pss", sum(pss)), ("rss", max(rss, default=0)), ("rss_all", sum(rss))):
        peaks[name] = max(peaks[name], value)


def table(found: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    rows = [[_shown(one[key]) for _, key in _COLUMNS] for one in found]
    lines = [[name for name, _ in _COLUMNS], ["---:"] * len(_COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _page(facts: dict[str, Any], found: list[dict[str, Any]]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    limits = "; ".join(
        f"{count:,} trials within {seconds:g} s" + (f" and {mib:,.0f} MiB" if mib else "")
        for count, (seconds, mib) in LIMITS.items()
    )
    several = [f"{one['trials']:,} trials: the middle of {one['times']}, the slowest {one['slowest_wall_s']:.2f} s"
               for one in found if one["times"] > 1]  # fmt: skip
    return f"""# What a report of many trials takes

`python -m benchmarks.report_speed --out benchmarks/report_speed.md`, {time.strftime("%Y-%m-%d")}; {facts["cpu"]}, \
{facts["cpus"]} cores; Python {facts["python"]}, {versions}. Load average {facts["load_1min_before"]} before and \
{facts["load_1min_after"]} after.

{table(found)}

Wanted: {limits}. Wall and CPU time are those of the whole command, imports and other processes included.
{". ".join(several)}. PSS counts memory that several processes share once; RSS counts it in each.

Records are made up (`benchmarks/report_records.py`); nothing in them was measured. For comparison: in the demo's run a
trial of 16 prompts with a warm-up and 3 timed passes takes 8.0 to 8.8 KB, one that was stopped early 4.6 to 5.0 KB.
"""


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    sys.exit(main())
