"""What a sweep may take, and when the session that it is part of began."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vbench.spec.types import SweepSpec

DEFAULT_MARGIN_S = 15 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sweep may take. None: no such limit. The first two count over all sessions of the run."""

    timeout_s: float | None = None
    gpu_hours: float | None = None
    session_s: float | None = None
    """How long the machine is ours, from `session_started` on."""
    session_margin_s: float = DEFAULT_MARGIN_S
    """So long before the session's end all trials have ended, to leave time for saving results."""
    session_started: float | None = None
    """Seconds since 1970; None: when the budget begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left by each limit, never below 0; None where there is no such limit."""

    time_s: float | None
    gpu_s: float | None
    session_s: float | None
    """Until the session's margin begins."""

    def wall_s(self, gpus: int = 1) -> float | None:
        """Seconds until the first limit, with so many GPUs busy; None without a limit."""
        gpu_s = None if self.gpu_s is None else self.gpu_s / max(1, gpus)
        limits = [one for one in (self.time_s, gpu_s, self.session_s) if one is not None]
        return min(limits, default=None)


def limits_of(spec: SweepSpec, *, session_s: float | None = None, session_margin_s: float = DEFAULT_MARGIN_S) -> Limits:
    """The file's limits (`search.timeout`, `search.gpu_hours`), and the session's."""
    started = None if session_s is None else session_start(session_s)
    return Limits(
        timeout_s=spec.search.timeout_s, gpu_hours=spec.search.gpu_hours, session_s=session_s,
        session_margin_s=session_margin_s, session_started=started,
    )  # fmt: skip


def session_start(
    session_s: float, *, environment: Mapping[str, str] = os.environ, proc: Path = Path("/proc"),
    wall: Callable[[], float] = time.time,
) -> float:  # fmt: skip
    """When the session began, in seconds since 1970: now, or, in a Kaggle notebook, when its container started.

    There the clock runs since the notebook was opened, whenever a cell comes to start vbench. A first process that is
    older than a session belongs to a machine that has been up for long, and says nothing.
    """
    now = wall()
    age_s = _age_of_first_process(proc) if "KAGGLE_KERNEL_RUN_TYPE" in environment else None
    return now - age_s if age_s is not None and 0 <= age_s < session_s else now


def _age_of_first_process(proc: Path) -> float | None:
    """Seconds since pid 1 started, by the kernel's clock (proc_pid_stat(5), field 22, in ticks since boot)."""
    try:
        ticks = int((proc / "1" / "stat").read_text().rpartition(")")[2].split()[19])
        uptime_s = float((proc / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return uptime_s - ticks / os.sysconf("SC_CLK_TCK")
