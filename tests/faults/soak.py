"""The soak: `python -m tests.faults.soak --trials 2000 --seed 0`, thousands of short trials, many of them broken.

Real vbench processes sweep the fake engine, which misbehaves in every way it knows; keepers, trials and vbench itself
are killed at random moments, and gone on with. After each trial memory, descriptors, threads, children, temporary files
and shared memory are looked at. The account runs so many times as fast (`soak_vbench`) that it sees days.

The last line printed is one JSON object; the exit status is 0 where nothing was lost, left or seen to grow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults import left_over, soak_table
from tests.faults.soak_arms import ARMS, Arm, sweep_file
from tests.faults.soak_looks import growth
from tests.faults.soak_run import Seen, Soak

SPEED = 400.0
"""A trial of a third of a second is one of two minutes then, as on a real card."""


def run_arms(
    folder: Path, arms: Sequence[Arm], *, trials: int, seed: int, speed: float = SPEED, slow: bool = True,
    jobs: int = 2, limit_s: float = 7200.0, deadline_s: float = 5.0, within_s: float = 6.0,
) -> list[Seen]:  # fmt: skip
    """Run each arm with its share of the trials, `jobs` of them at a time.

    `slow`: with faults that only a deadline ends. `within_s`: so soon after its first trial a sitting is cut.
    """
    until = time.monotonic() + limit_s
    soaks = []
    for number, arm in enumerate(arms):
        own, count = seed + number, max(1, round(trials * arm.share))
        text = sweep_file(arm, trials=count, seed=own, speed=speed, slow=slow, deadline_s=deadline_s)
        soaks.append(
            Soak(
                arm,
                folder / arm.name,
                text,
                trials=count,
                seed=own,
                speed=speed,
                until=until,
                within_s=within_s,
                slow=slow,
            )
        )
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(Soak.run, soaks))


def summary(found: Sequence[Seen]) -> dict[str, Any]:
    """What the last line says."""
    grown = {one.arm.name: growth(one.looks) for one in found}
    words = {f"{arm}.{name}": each.word for arm, every in grown.items() for name, each in every.items()}
    hits = sum((one.hits for one in found), Counter[str]())
    tried = sum(one.planted.total() for one in found) + hits.total()
    return {
        "faults_tried": tried,
        "survived": max(0, tried - sum(len(one.wrong) for one in found)),
        "is_sound": not any(one.wrong for one in found) and "grows" not in words.values(),
        "trials": sum(one.trials for one in found),
        "simulated_hours": round(sum(one.hours for one in found), 1),
        "faults_planted": sum(one.planted.total() for one in found),
        "kinds_planted": len(set().union(*(one.planted for one in found))),
        "kills": hits.total(),
        "kills_of_vbench": sum(count for name, count in hits.items() if name.startswith("vbench")),
        "sittings": sum(one.sittings for one in found),
        "records_lost": sum(len(one.lost) for one in found),
        "records_doubled": sum(len(one.doubled) for one in found),
        "records_unaccounted": sum(one.unaccounted for one in found),
        "processes_left": sum(len(one.processes_left) for one in found),
        "files_left": sum(len(one.files_left) for one in found),
        "blamed": sum(len(one.blamed) for one in found),
        "problems": sum(len(one.problems) for one in found),
        "grows": sorted(name for name, word in words.items() if word == "grows"),
        "unsure": sorted(name for name, word in words.items() if word == "unsure"),
    }


def main() -> None:
    """Run it."""
    from benchmarks.search.machine import measured_with

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="how many sweeps at a time")
    parser.add_argument("--arm", action="append", choices=[arm.name for arm in ARMS], help="only this one")
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    parser.add_argument("--keep", action="store_true", help="don't remove the folder with the runs; say where it is")
    arguments = parser.parse_args()
    left_over.own_shared_memory()
    arms = [arm for arm in ARMS if arguments.arm is None or arm.name in arguments.arm]
    folder = Path(tempfile.mkdtemp(prefix="vs-", dir="/tmp"))
    os.environ.pop("VBENCH_RESULTS", None)
    start = time.monotonic()
    try:
        found = run_arms(folder, arms, trials=arguments.trials, seed=arguments.seed, jobs=arguments.jobs)
    finally:
        if arguments.keep:
            print(f"the runs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    command = f"python -m tests.faults.soak --trials {arguments.trials} --seed {arguments.seed}"
    measured = measured_with("fake", command)
    shown = summary(found)
    text = "\n".join(soak_table.lines(found, shown, measured, time.monotonic() - start, SPEED)) + "\n"
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps(shown))
    sys.exit(0 if shown["is_sound"] else 1)


if __name__ == "__main__":
    main()
