"""Runs one arm of the soak: starts vbench, looks at it, hits it, and reads what came of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.process import wait_for
from tests.faults import left_over
from tests.faults.soak_arms import Arm, expected
from tests.faults.soak_hits import Cut, Hits
from tests.faults.soak_looks import Look, noted, strays
from vbench.execution.leftovers import marked_processes
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.sweep import ledger

COMMAND = Path(__file__).parent / "soak_vbench.py"
_ROOT = Path(__file__).parents[2]
_POLL_S = 0.05
_HELD_ALONE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Has glibc give back at once what is freed, so that memory seen is memory held: else the largest flood of a run stays
as room for the next (some 20 MiB, once), and hides what grows."""
_GONE_WITHIN_S = 60.0
_LEFT_ALONE_SHARE = 0.15
_TRIALS_A_CUT = 6
_SESSIONS_MIN = (30, 120)  # of the account's minutes


@dataclass(slots=True, kw_only=True)
class Seen:
    """What an arm came to."""

    arm: Arm
    trials: int = 0
    hours: float = 0.0
    sittings: int = 0
    looks: list[Look] = field(default_factory=list)
    """Of the longest sitting: each process begins anew."""
    outcomes: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    unaccounted: int = 0
    """Records that the ledger doesn't count, or counts twice."""
    processes_left: list[int] = field(default_factory=list)
    files_left: list[str] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    """Trials that ended otherwise than what was planted in them explains, and that nobody had hit."""
    felled: int = 0
    """Trials that failed because they were hit, again and again."""
    problems: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that isn't as promised, in words."""
        kinds = ("lost", "doubled", "processes_left", "files_left", "blamed", "problems")
        found = [f"{kind.replace('_', ' ')}: {each}" for kind in kinds for each in getattr(self, kind)]
        return [*found, f"records that the ledger doesn't count: {self.unaccounted}"] if self.unaccounted else found


class Soak:
    """One arm in a folder of its own."""

    def __init__(
        self, arm: Arm, folder: Path, text: str, *, trials: int, seed: int, speed: float, until: float,
        within_s: float = 6.0, slow: bool = True,
    ) -> None:  # fmt: skip
        self.seen = Seen(arm=arm)
        self._arm, self._folder, self._trials, self._speed, self._until = arm, folder, trials, speed, until
        self._within_s = within_s
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        self._file = folder / f"{arm.name}.yaml"
        self._file.write_text(text, encoding="utf-8")
        self._draw, self._hits = random.Random(seed), Hits(seed, min(12.0, trials / 4), slow=slow)
        self._shared = left_over.shared_memory()
        self._counted = (0, 0)

    def run(self) -> Seen:
        """To the end of the sweep."""
        while not self._is_finished():
            if time.monotonic() > self._until:
                self.seen.problems.append(f"not at its end after {self.seen.sittings} sittings")
                break
            is_cut = self._arm.is_cut and self.seen.hits.total() < self._trials / _TRIALS_A_CUT
            if is_cut and self._draw.random() < _LEFT_ALONE_SHARE:
                self._sit(None, f"{self._draw.randint(*_SESSIONS_MIN)}m")
            else:
                self._sit(Cut(self._draw, self._within_s) if is_cut else None)
        before = self._records()
        if self._arm.is_cut and not self.seen.problems:
            self._sit(None)
            if self._records() != before:
                self.seen.problems.append("a run that was at its end went on")
        self._judge()
        return self.seen

    def _sit(self, cut: Cut | None, session: str | None = None) -> None:
        self.seen.sittings += 1
        results, looks = self._folder / "results", self._folder / f"looks-{self.seen.sittings}.jsonl"
        words = [sys.executable, COMMAND, f"{self._speed:g}", looks, "sweep", self._file, "--results", results]
        if session is not None:
            words += ["--session", session, "--session-margin", "5m"]
        own = {
            "PYTHONPATH": _ROOT,
            "HOME": self._folder,
            "XDG_CACHE_HOME": self._folder / "cache",
            "TMPDIR": self._temporary,
        }
        with (self._folder / "out.txt").open("ab") as output:
            process = subprocess.Popen(
                [*map(str, words)], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **_HELD_ALONE, **{name: str(path) for name, path in own.items()}},
            )  # fmt: skip
        try:
            self._attend(process, cut)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.seen.looks = max(self.seen.looks, noted(looks), key=len)
        self._end_of_sitting(process.returncode)

    def _attend(self, process: subprocess.Popen[bytes], cut: Cut | None) -> None:
        """Until it ends."""
        stamp = self._stamp()
        while process.poll() is None and time.monotonic() < self._until:
            trials, run = self._records(), self._run()
            if cut is not None:
                if cut.look(process, is_at_work=self._stamp() != stamp):
                    self.seen.hits[f"vbench {cut.number.name}"] += 1
            elif run is not None and self._arm.is_hit:
                self._hits.hit(process.pid, trials, run.pending_json)
            time.sleep(_POLL_S)

    def _stamp(self) -> int:
        """When a trial was last noted as started."""
        run = self._run()
        try:
            return 0 if run is None else run.pending_json.stat().st_mtime_ns
        except OSError:
            return 0

    def _end_of_sitting(self, code: int) -> None:
        word = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.seen.exits[word] += 1
        if code not in (0, 1, 130, 143, 129, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT):
            self.seen.problems.append(f"sitting {self.seen.sittings} ended with {word}: {self._last_error()}")
        run = self._run()
        if run is None:
            return
        try:
            wait_for(lambda: not self._marked(run), "the end of a sitting's processes", _GONE_WITHIN_S)
        except AssertionError:
            self.seen.processes_left += self._marked(run)

    def _last_error(self) -> str:
        lines = (self._folder / "out.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.startswith("error: ")), "it said nothing")

    def _judge(self) -> None:
        seen, run = self.seen, self._run()
        seen.hits += self._hits.counts
        if run is None:
            seen.problems.append("there is no run")
            return
        records = RecordStore(run.trials_jsonl).read().records
        numbers = [record.trial for record in records]
        seen.trials = len(records)
        seen.lost = sorted(set(range(max(self._trials, max(numbers, default=0) + 1))) - set(numbers))
        seen.doubled = sorted(number for number, count in Counter(numbers).items() if count > 1)
        lines = ledger.made_up(ledger.read(run), records)
        seen.unaccounted = abs(sum(line.records for line in lines) - len(records))
        seen.hours = ledger.sum_of(lines).wall_s / 3600
        for record in records:
            self._judge_record(record.trial, dict(record.parameters), str(record.outcome))
        seen.files_left = [*map(str, sorted(self._temporary.rglob("*"))), *strays(run.path)]
        seen.files_left += sorted(left_over.unmapped(left_over.shared_memory() - self._shared))

    def _judge_record(self, number: int, parameters: dict[str, Any], outcome: str) -> None:
        self.seen.outcomes[outcome] += 1
        way = next((str(value) for name, value in parameters.items() if name.endswith(".fail")), None)
        if way is not None:
            self.seen.planted[way] += 1
        if outcome in expected(way):
            return
        if number in self._hits.trials:
            self.seen.felled += 1
        else:
            self.seen.blamed.append(f"trial {number} ({way or 'nothing planted'}): {outcome}")

    def _run(self) -> RunFolder | None:
        found = sorted((self._folder / "results" / self._arm.name).glob("*/run.json"))
        if len(found) > 1:
            raise AssertionError(f"a restart began another run: {found}")
        return RunFolder(found[0].parent) if found else None

    def _facts(self, run: RunFolder) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(run.run_json.read_bytes())
        return facts

    def _marked(self, run: RunFolder) -> list[int]:
        return marked_processes(str(self._facts(run)["run_uid"]))

    def _is_finished(self) -> bool:
        run = self._run()
        return run is not None and self._facts(run).get("status") == "finished"

    def _records(self) -> int:
        """Lines of the records so far; only what is new is read."""
        run = self._run()
        if run is None:
            return 0
        offset, count = self._counted
        try:
            with run.trials_jsonl.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError:
            return count
        self._counted = (offset + len(data), count + data.count(b"\n"))
        return self._counted[1]
