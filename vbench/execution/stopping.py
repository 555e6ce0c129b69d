"""The seam between a running trial and the rule that may stop it early (`search.early_stop` is one)."""

from __future__ import annotations

from typing import Any, Protocol

from vbench.records.record import Stopped


class Stopper(Protocol):
    """One trial's rule. Asked when a phase begins, told of each pass; both return at once and never raise."""

    def limit_s(self, phase: str, index: int) -> float | None:
        """How long this phase (load, probe, warmup, pass) may take before the trial is stopped; None: for ever.

        A `load` says that an engine is started for the trial, for the first time or again after a failed attempt: what
        was told before counts no more. A reused engine has none.
        """

    def passed(self, message: dict[str, Any]) -> None:
        """A pass ended: the worker's message with `kind`, `index`, `duration_s` and `requests`."""

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        """What the record says of a trial that was stopped `after_s` seconds into that phase."""
