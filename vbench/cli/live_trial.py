"""What is known of a trial while it runs, from what it says."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from vbench.spec.space import Point

_WHOLE = ("warmup", "pass")
"""Phases in which all prompts are sent; the messages of their passes are of the kinds `warmup` and `timed`."""
_TELLING = 0.1
"""Share of a pass's tokens from which their rate tells something."""


@dataclass(slots=True, kw_only=True)
class LiveTrial:
    """Changed by the loop's thread, read by the one that draws."""

    number: int
    point: Point
    origin: str
    started_t: float
    phase: dict[str, Any] = field(default_factory=lambda: {"name": "start"})
    """The message of the phase that it is in."""
    since_t: float = 0.0
    """When that came."""
    rates: list[float] = field(default_factory=list)
    """Output tokens per second of each timed pass."""
    warmup_rate: float | None = None
    """Of the last warm-up pass."""
    pass_tokens: int | None = None
    """Output tokens of a whole pass, once there was one."""
    pass_s: float | None = None
    """How long the last one took."""
    so_far: tuple[int, float] | None = None
    """Of the pass that runs, where its answers come one by one: output tokens, and the seconds that they took."""
    used_bytes: int | None = None
    peak_bytes: int | None = None

    def take(self, message: dict[str, Any], now: float) -> None:
        """Follow it. What it has no word for, it leaves alone."""
        event = message["event"]
        if event == "phase":
            if message["name"] == "import":
                self.forget()  # a second attempt begins from the start
            self.phase, self.since_t, self.so_far = message, now, None
        elif event == "again":
            self.forget()
        elif event == "memory":
            self.used_bytes, self.peak_bytes = message["used_bytes"], message["peak_bytes"]
        elif event == "tokens":
            self.so_far = message["count"], message["elapsed_s"]
        elif event == "pass" and message.get("kind") in ("warmup", "timed"):
            self._take_pass(message)

    def forget(self) -> None:
        """What an attempt measured that isn't the last."""
        self.rates, self.warmup_rate = [], None
        self.pass_tokens = self.pass_s = self.so_far = self.used_bytes = self.peak_bytes = None

    @property
    def rate(self) -> float | None:
        """The median of its timed passes so far; None before the first."""
        return statistics.median(self.rates) if self.rates else None

    @property
    def rate_so_far(self) -> float | None:
        """Of the pass that runs: output tokens per second. None at first: prompts are read before answers come, so
        that the first of them say little."""
        tokens, elapsed_s = self.so_far or (0, 0.0)
        least = max(1.0, _TELLING * (self.pass_tokens or 0))
        return tokens / elapsed_s if self.phase["name"] in _WHOLE and tokens >= least and elapsed_s > 0 else None

    @property
    def expected_s(self) -> float | None:
        """How long the pass that runs may take, by the one before it; None outside of passes and before the second."""
        return self.pass_s if self.phase["name"] in _WHOLE else None

    def bound(self, now: float) -> float | None:
        """What the pass that runs can still reach: as if it ended now; None where that isn't known. A fake engine's
        clock is another one, by which it may be wrong."""
        elapsed_s = now - self.since_t
        if self.phase["name"] not in _WHOLE or not self.pass_tokens or elapsed_s <= 0:
            return None
        return self.pass_tokens / elapsed_s

    def _take_pass(self, message: dict[str, Any]) -> None:
        tokens = sum((message.get("requests") or {}).get("output_tokens") or [0])
        duration_s = message.get("duration_s") or 0.0
        if tokens <= 0 or duration_s <= 0:
            return
        self.pass_tokens, self.pass_s = tokens, duration_s
        if message["kind"] == "timed":
            self.rates = [*self.rates, tokens / duration_s]
        else:
            self.warmup_rate = tokens / duration_s
