"""The installed `vbench` command, run in a folder of its own, and what it left there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")
COMMAND = Path(sys.executable).parent / "vbench"
DEADLINE_S = 300.0
MEASURE = "measure: {warmup_passes: 0, passes: 2, repeat_spoiled: false}\n"
BASE = f"""\
name: small
model: org/name
engine: fake
prompts: {{synthetic: {{count: 4, input_tokens: 8}}, output_tokens: 8}}
{MEASURE}"""
"""A sound file without anything to search; a pass of it at one prompt a time takes 0.336 s of the fake clock. No trial
is run twice as the machine that tests run on is busy."""
SMALL = f"""\
{BASE}parameters:
  max_num_seqs: [1, 2, 4]
  block_size: [16, 32, 64]
search: {{method: tpe, trials: 5, seed: 3}}
baseline: {{}}
"""


@dataclass(frozen=True, slots=True)
class Vbench:
    """Runs the command with `folder` as its current folder, cache, home of temporary files and everything else."""

    folder: Path

    def environment(self, **changes: str) -> dict[str, str]:
        """A plain environment: nothing of the terminal that the tests run in."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")}
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache"), "TMPDIR": str(temporary)}
        return {**kept, **own, "TERM": "xterm-256color", **changes}

    def __call__(
        self, *words: str | Path, check: int | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. `check` is the exit code that is expected."""
        done = subprocess.run(
            [COMMAND, *words],
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start without waiting; its output is read by `communicate`."""
        return subprocess.Popen(
            [COMMAND, *words],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, text: str, name: str = "small.yaml") -> Path:
        """Write a file into the folder; its path is relative, as a user would give it."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return Path(name)

    def runs(self, sweep: str = "small") -> list[Path]:
        """The run folders of a sweep, oldest first."""
        return sorted((self.folder / "results" / sweep).glob("*/"))

    def run(self, sweep: str = "small") -> Path:
        """The one run of a sweep."""
        (run,) = self.runs(sweep)
        return run


def records_of(run: Path) -> list[dict[str, Any]]:
    """The records as plain JSON, by nothing of ours."""
    return [json.loads(line) for line in (run / "trials.jsonl").read_text(encoding="utf-8").splitlines()]


def run_facts(run: Path) -> dict[str, Any]:
    """What `run.json` holds."""
    facts: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return facts


def wait_for(look: Callable[[], Found], what: str, deadline_s: float = DEADLINE_S) -> Found:
    """Look again and again until something true is seen; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < end, f"never saw {what}"
        time.sleep(0.005)
    return found


def marked(run: Path) -> list[int]:
    """Every live process that carries the run's mark."""
    mark = f"VBENCH_RUN={run_facts(run)['run_uid']}".encode()
    return [pid for pid in _pids() if mark in _environment(pid)]


def keeper_of(vbench_pid: int, run: Path) -> int | None:
    """The marked process whose parent is vbench itself."""
    return next((pid for pid in marked(run) if _parent(pid) == vbench_pid), None)


def trial_of(vbench_pid: int, run: Path) -> int | None:
    """The marked process whose parent is the keeper, and which leads a group: who watches over an import doesn't."""
    keeper = keeper_of(vbench_pid, run)
    return next((pid for pid in marked(run) if keeper is not None and _parent(pid) == keeper and _leads(pid)), None)


def _leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def config_of(record: Mapping[str, Any]) -> str:
    """A record's configuration, as text that can be compared."""
    return json.dumps(record["config"], sort_keys=True)
