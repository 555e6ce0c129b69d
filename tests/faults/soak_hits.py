"""Kills at random moments: of keepers and trials below a vbench that we started, and of vbench itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.faults.soak_looks import children

_TRIAL_SIGNALS = (*[signal.SIGKILL] * 4, *[signal.SIGTERM] * 2, *[signal.SIGSEGV] * 2)
_VBENCH_SIGNALS = (*[signal.SIGKILL] * 5, *[signal.SIGINT] * 2, *[signal.SIGTERM] * 2, signal.SIGHUP, signal.SIGSTOP)
_KEEPER_SHARE = 0.3
_APART = 2
"""Trials between two hits at least: a keeper that dies again and again as it starts ends the sweep, and says so."""
_START_SHARE = 0.2
"""Of the sittings that are cut, those that are cut while vbench starts."""


class Cut:
    """Ends one sitting at a moment that is drawn; some are suspended for a while before."""

    def __init__(self, draw: random.Random, within_s: float) -> None:
        self._draw, self._within_s = draw, within_s
        self.number = draw.choice(_VBENCH_SIGNALS)
        self._is_at_start = draw.random() < _START_SHARE
        self._after_s = draw.uniform(0.0, 1.0 if self._is_at_start else within_s)
        self._begun_t = time.monotonic() if self._is_at_start else None
        self._asleep_s = draw.uniform(0.1, 1.2 * within_s)
        self._woken_t: float | None = None
        self.is_done = False

    def look(self, process: subprocess.Popen[bytes], is_at_work: bool) -> bool:
        """Do it, if it is time; whether something was done. `is_at_work`: whether a trial of the sitting has begun."""
        now = time.monotonic()
        if self.is_done:
            return False
        if self._woken_t is not None:
            if now >= self._woken_t:
                process.send_signal(signal.SIGCONT)
                self.number = self._draw.choice([one for one in _VBENCH_SIGNALS if one is not signal.SIGSTOP])
                self._begun_t, self._after_s = now, self._draw.uniform(0.0, self._within_s)
                self._woken_t = None
            return False
        if self._begun_t is None and is_at_work:
            self._begun_t = now
        if self._begun_t is None or now < self._begun_t + self._after_s:
            return False
        process.send_signal(self.number)
        if self.number is signal.SIGSTOP:
            self._woken_t = now + self._asleep_s
        self.is_done = self._woken_t is None
        return True


class Hits:
    """Hits keepers and trials of one sweep now and then; knows what it hit."""

    def __init__(self, seed: int, mean_trials: float, *, slow: bool) -> None:
        """`slow`: with stops, which only a deadline ends."""
        self.counts: Counter[str] = Counter()
        self.trials: set[int] = set()
        """Numbers of the trials that ran when something was hit."""
        self._draw, self._mean = random.Random(seed), mean_trials
        self._signals = (*_TRIAL_SIGNALS, signal.SIGSTOP) if slow else _TRIAL_SIGNALS
        self._due = self._next(0)
        self._is_keeper_due = False

    def hit(self, vbench: int, trials: int, pending: Path) -> None:
        """Hit something, if it is time: `trials` have a record."""
        if trials < self._due:
            return
        keepers = children(vbench)
        running = [pid for keeper in keepers for pid in children(keeper)]
        is_keeper = self._is_keeper_due
        targets = keepers if is_keeper else running
        if not targets:
            return
        target = self._draw.choice(targets)
        number = signal.SIGKILL if is_keeper else self._draw.choice(self._signals)
        before = _pending(pending)
        if _send(target, keepers if not is_keeper else [vbench], number):
            self.counts[f"{'keeper' if is_keeper else 'trial'} {number.name}"] += 1
            self.trials |= before | _pending(pending)
            self._is_keeper_due = self._draw.random() < _KEEPER_SHARE
            self._due = self._next(trials)

    def _next(self, trials: int) -> float:
        return trials + _APART + self._draw.expovariate(1 / self._mean)


def _send(pid: int, parents: list[int], number: signal.Signals) -> bool:
    """Through a descriptor, and only to a child of these: the number may have become another's."""
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if any(pid in children(parent) for parent in parents):
                signal.pidfd_send_signal(fd, number)
                return True
        finally:
            os.close(fd)
    return False


def _pending(path: Path) -> set[int]:
    try:
        return {int(one["trial"]) for one in json.loads(path.read_bytes())["trials"]}
    except (OSError, ValueError, KeyError):
        return set()
