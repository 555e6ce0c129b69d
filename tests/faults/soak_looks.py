"""What vbench and its keepers hold at a moment, seen from outside, and whether that grows with the trials."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from scipy import stats

from tests.faults import left_over

_FEW, _SHORT = 8, 150
"""Looks that a slope needs, and trials from the first to the last of them."""
_GLANCES, _GLANCE_S = 5, 0.03
_WARM = 0.1
"""Share of the looks that isn't counted: modules are imported, pools fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look. Memory in KiB."""

    trials: int
    rss_kib: int
    fds: int
    threads: int
    children: int
    keeper_rss_kib: int
    keeper_fds: int
    keeper_threads: int
    keeper_children: int
    """Zombies among them."""
    temp_files: int
    shared_memory: int
    strays: int
    """Files in the run's folder that belong to no trial."""


LIMITS: dict[str, float] = {
    "rss_kib": 4096, "fds": 1, "threads": 1, "children": 1, "keeper_rss_kib": 4096, "keeper_fds": 1,
    "keeper_threads": 1, "keeper_children": 1, "temp_files": 1, "shared_memory": 1, "strays": 1,
}  # fmt: skip
"""What each may grow by in a thousand trials and still be called flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Per thousand trials, by a straight line through the looks, with the slope's 95 % interval."""

    first: float
    last: float
    most: float
    slope: float
    low: float
    high: float
    limit: float

    @property
    def word(self) -> str:
        """`flat` where more than the limit is excluded, `grows` where less is, else `unsure`."""
        if self.high <= self.limit:
            return "flat"
        return "grows" if self.low > self.limit else "unsure"


def look(pid: int, trials: int, temporary: Path, run: Path, before: set[str]) -> Look | None:
    """What vbench, its keepers and their places hold now; None where it has just ended.

    Of a few glances the least of each: what is held for a moment, while a trial starts, isn't held.
    """
    seen = []
    for number in range(_GLANCES):
        time.sleep(_GLANCE_S if number else 0.0)
        seen.append(_glance(pid, trials, temporary, run, before))
    known = [one for one in seen if one is not None]
    if not known:
        return None
    return Look(**{one.name: min(getattr(each, one.name) for each in known) for one in fields(Look)})


def _glance(pid: int, trials: int, temporary: Path, run: Path, before: set[str]) -> Look | None:
    try:
        keepers = children(pid)
        held = [_held(one) for one in keepers]
        own = _held(pid)
    except OSError:
        return None
    return Look(
        trials=trials, rss_kib=own[0], fds=own[1], threads=own[2], children=len(keepers),
        keeper_rss_kib=sum(one[0] for one in held), keeper_fds=sum(one[1] for one in held),
        keeper_threads=sum(one[2] for one in held), keeper_children=sum(len(children(one)) for one in keepers),
        temp_files=len(os.listdir(temporary)), shared_memory=len(left_over.shared_memory() - before),
        strays=len(strays(run)),
    )  # fmt: skip


_OWN_FILES = {
    "sweep.yaml", "machine.json", "run.json", "prompts.jsonl", "trials.jsonl", "ledger.jsonl", "best.md", "run.lock",
    "pending.json", ".pending.json.tmp", "logs", "samples",
}  # fmt: skip


def strays(run: Path) -> list[str]:
    """What lies in a run's folder beside its own files. One that is being written at this moment may be among them."""
    with suppress(OSError):
        return sorted(set(os.listdir(run)) - _OWN_FILES)
    return []


def growth(looks: Sequence[Look]) -> dict[str, Growth]:
    """Of everything that was looked at; empty where there are too few looks."""
    counted = looks[int(len(looks) * _WARM) :]
    if len(counted) < _FEW or counted[-1].trials - counted[0].trials < _SHORT:
        return {}
    x = [one.trials / 1000 for one in counted]
    return {one.name: _line(x, [getattr(each, one.name) for each in counted], LIMITS[one.name])
            for one in fields(Look) if one.name in LIMITS}  # fmt: skip


def _line(x: Sequence[float], y: Sequence[float], limit: float) -> Growth:
    slope, half = 0.0, 0.0
    if max(y) > min(y):
        fitted = stats.linregress(x, y)
        slope, half = float(fitted.slope), float(stats.t.ppf(0.975, len(x) - 2)) * float(fitted.stderr)
    return Growth(
        first=y[0], last=y[-1], most=max(y), slope=slope, low=slope - half, high=slope + half, limit=limit,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    """Pids of its children, zombies too."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _held(pid: int) -> tuple[int, int, int]:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    rss = int(status.get("VmRSS", "0 kB").split()[0])
    try:
        fds = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # a zombie's can't be listed
        fds = 0
    return rss, fds, int(status["Threads"])
