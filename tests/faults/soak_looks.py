"""What vbench and its keepers hold between trials, as /proc has it, and whether that grows with the trials."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.faults import left_over

_BLOCKS, _FEW, _SHORT = 24, 8, 150
"""Blocks that the looks are put into; blocks that a slope needs, and trials that these must span."""
_WARM = 0.25
"""Share of the blocks that isn't counted: modules are imported, pools fill, and the first fault of each kind sets how
much room the process keeps."""
_ARMS = 4
_PROCESSES = ("children", "keeper_children")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look. Memory in KiB. Of several keepers what the largest holds: a second slot's isn't growth."""

    trials: int
    """That this process has ended."""
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
    """Per thousand trials, by a robust line through the blocks' medians, with the slope's interval."""

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
    """What vbench, its keepers and their places hold now; None where one of them is just ending."""
    try:
        keepers = children(pid)
        held = [_held(one) for one in keepers] or [(0, 0, 0)]
        own = _held(pid)
    except OSError:
        return None
    return Look(
        trials=trials, rss_kib=own[0], fds=own[1], threads=own[2], children=len(keepers),
        keeper_rss_kib=max(one[0] for one in held), keeper_fds=max(one[1] for one in held),
        keeper_threads=max(one[2] for one in held), keeper_children=sum(len(children(one)) for one in keepers),
        temp_files=len(os.listdir(temporary)), shared_memory=len(left_over.shared_memory() - before),
        strays=len(strays(run)),
    )  # fmt: skip


def note(path: Path, seen: Look | None) -> None:
    """Add a look to a file."""
    if seen is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(seen)) + "\n")


def noted(path: Path) -> list[Look]:
    """The looks of a file; none where there is no file. What was cut by a kill is passed over."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Look(**json.loads(line)) for line in lines if line.endswith("\n")]


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
    """Of everything that was looked at; empty where there are too few looks.

    Medians of `_BLOCKS` blocks of looks are compared: a trial's log is held for a while, a keeper has just been killed.
    What processes hold is compared among looks with as many of them as most have: a living engine takes its share.
    """
    states = Counter((one.children, one.keeper_children) for one in looks)
    alike = [one for one in looks if (one.children, one.keeper_children) == states.most_common(1)[0][0]]
    processes, held = _blocks(looks), _blocks(alike)
    if not held:
        return {}
    return {name: _line(processes if name in _PROCESSES else held, name) for name in LIMITS}


def _blocks(looks: Sequence[Look]) -> list[Sequence[Look]]:
    """What counts of the looks, in blocks of as many; none where that is too little."""
    count = min(_BLOCKS, len(looks) // _FEW)
    bounds = [len(looks) * number // count for number in range(count + 1)] if count else []
    blocks = [looks[one:end] for one, end in itertools.pairwise(bounds)][int(count * _WARM) :]
    enough = len(blocks) >= _FEW and blocks[-1][-1].trials - blocks[0][0].trials >= _SHORT
    return blocks if enough else []


def _line(blocks: Sequence[Sequence[Look]], name: str) -> Growth:
    """Theil's and Sen's, which one odd block doesn't bend. Its interval is Bonferroni's for all quantities of all arms:
    95 % together."""
    from scipy import stats  # not where the looks are taken: it is large

    x = [(block[0].trials + block[-1].trials) / 2000 for block in blocks]
    y = [median(getattr(one, name) for one in block) for block in blocks]
    slope = low = high = 0.0
    if max(y) > min(y):
        found = stats.theilslopes(y, x, alpha=1 - 0.05 / len(LIMITS) / _ARMS)
        slope, low, high = float(found.slope), float(found.low_slope), float(found.high_slope)
    return Growth(first=y[0], last=y[-1], most=max(y), slope=slope, low=low, high=high, limit=LIMITS[name])


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
