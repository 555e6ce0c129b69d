"""Changed sweep files by the ten thousand: each gives a valid sweep or a clear error, soon and in little memory.

    .venv/bin/python -m tests.faults.fuzz [--files 100000] [--seed S] [--processes N] [--only NUMBER] [--atheris]

All shipped sweep files and made-up ones are changed by bytes, characters, words, lines and values; some come with
`--set`. The last line is one JSON object. Files that broke something are kept, by seed and number. `--atheris` lets
coverage choose the changes instead, where that package is installed. The exit code is 1 where anything broke.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from tests.faults.fuzz_file import SECONDS, Fuzzed, alarm_in, limit_memory, start_alarms

_SILENT_S = 20 * SECONDS
"""A process that says nothing for so long hangs where no alarm can reach it."""
_TOLD_EACH = 200
_PLANNED_EACH = 8


@dataclass(slots=True)
class Found:
    """What came of the files of one process, or of all."""

    valid: int = 0
    refused: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    """By the file's number: what it ended in."""
    longest_s: float = 0.0
    """Processor time of one file."""
    memory_mib: float = 0.0
    """The most that a process took."""

    def add(self, other: Found) -> None:
        """The same of other files."""
        self.valid += other.valid
        self.refused += other.refused
        self.broken.update(other.broken)
        self.longest_s = max(self.longest_s, other.longest_s)
        self.memory_mib = max(self.memory_mib, other.memory_mib)


def main() -> int:
    """Fuzz; 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="a new one each time unless given")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", type=int, default=None, help="the file of that number alone, shown")
    parser.add_argument("--atheris", action="store_true", help="changes that reach new code, by one process")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    if options.only is not None:
        return _show(seed, options.only)
    if options.atheris:
        words = [sys.executable, "-m", "tests.faults.fuzz_coverage", str(options.files), str(seed)]
        return subprocess.run(words, check=False).returncode
    begun = time.monotonic()
    found = fuzz(options.files, seed, options.processes)
    _tell(found, seed)
    print(json.dumps(summary(found, seed, time.monotonic() - begun)))
    return 1 if found.broken else 0


def fuzz(num_files: int, seed: int, num_processes: int) -> Found:
    """Read so many files; the same ones for the same seed, however many processes there are."""
    context = multiprocessing.get_context("spawn")
    total, waiting, children = Found(), {}, []
    for first in range(num_processes):
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(sender, seed, range(first, num_files, num_processes)), daemon=True)
        child.start()
        sender.close()
        children.append(child)
        waiting[receiver] = (child, first)
    while waiting:
        ready = wait(list(waiting), timeout=_SILENT_S)
        for one in ready or list(waiting):
            assert isinstance(one, Connection)
            child, last = waiting[one]
            told = _told(one) if ready else None
            if isinstance(told, int):
                waiting[one] = (child, told)
                continue
            del waiting[one]
            child.kill()
            if told is None:
                total.broken[last] = f"hung or died at most {_TOLD_EACH} files after this one"
            else:
                total.add(told)
    for child in children:
        child.join()
    return total


def _told(connection: Connection) -> int | Found | None:
    try:
        told: int | Found = connection.recv()
    except EOFError:
        return None
    return told


def _work(sender: Connection, seed: int, numbers: range) -> None:
    """One process: tells the number of every so many files that it is about to read, and at last what it found."""
    with tempfile.TemporaryDirectory(prefix="vbench-fuzz-") as folder:
        os.chdir(folder)
        fuzzed = Fuzzed(Path(folder), seed)
        start_alarms()
        limit_memory()
        found = Found()
        for told, number in enumerate(numbers):
            if told % _TOLD_EACH == 0:
                sender.send(number)
            attempt(fuzzed, number, found)
        found.memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.chdir("/")
    sender.send(found)


class Files(Protocol):
    """As `Fuzzed`."""

    def made(self, number: int) -> tuple[bytes, list[str]]:
        """The file of that number, and what is set besides."""

    def read(self, content: bytes, overrides: Sequence[str], *, is_planned: bool) -> str:
        """What it comes to."""


def attempt(fuzzed: Files, number: int, found: Found) -> None:
    """Read one file, and note what came of it."""
    content, overrides = fuzzed.made(number)
    begun = time.process_time()
    alarm_in(SECONDS)
    try:
        kind = fuzzed.read(content, overrides, is_planned=number % _PLANNED_EACH == 0)
    except Exception as error:
        found.broken[number] = _line(error)
    else:
        found.valid += kind == "valid"
        found.refused += kind == "refused"
    finally:
        alarm_in(0)
    found.longest_s = max(found.longest_s, time.process_time() - begun)


def _line(error: BaseException) -> str:
    """What was raised, and where."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "vbench" in frame.filename]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]}{where}"


def _tell(found: Found, seed: int) -> None:
    for said, times in Counter(found.broken.values()).most_common(20):
        number = next(number for number, one in found.broken.items() if one == said)
        print(f"{times} × {said}: --seed {seed} --only {number}")


def summary(found: Found, seed: int, seconds: float) -> dict[str, Any]:
    """The counts, as they are printed."""
    survived = found.valid + found.refused
    counted = {**asdict(found), "broken": len(found.broken), "seconds": seconds}
    numbers = {name: round(value, 3) if isinstance(value, float) else value for name, value in counted.items()}
    return {"faults_tried": survived + len(found.broken), "survived": survived, **numbers, "seed": seed}


def _show(seed: int, number: int) -> int:
    """One file, and what it comes to, with the traceback."""
    with tempfile.TemporaryDirectory(prefix="vbench-fuzz-") as folder:
        fuzzed = Fuzzed(Path(folder), seed)
        content, overrides = fuzzed.made(number)
        kept = Path.cwd() / f"fuzz-{seed}-{number}.yaml"
        kept.write_bytes(content)
        print(f"{kept}, with {overrides}" if overrides else kept)
        os.chdir(folder)
        try:
            print(fuzzed.read(content, overrides, is_planned=True))
        except Exception:
            traceback.print_exc()
            return 1
        finally:
            os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
