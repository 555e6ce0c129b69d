"""How a trial ended. Types only; who decides is `execution.runner`, who tells the sampler is `search`."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a trial ended (docs/architecture.md says how each is told to the sampler)."""

    COMPLETED = "completed"
    """Every pass was measured within the budget."""
    INFEASIBLE = "infeasible"
    """The settings contradict each other, the model or the machine's budget; known before or at engine start."""
    UNSUPPORTED = "unsupported"
    """This engine, this build of it or this card can't do it."""
    OUT_OF_MEMORY = "out_of_memory"
    """GPU or host memory ran out, at start-up or later."""
    OVER_BUDGET = "over_budget"
    """Measured, but the peak passed the memory budget."""
    PRUNED = "pruned"
    """Stopped early, as it could no longer catch the best so far (`TrialRecord.stopped` says how that was known)."""
    TIMED_OUT = "timed_out"
    """A deadline (load, pass, close) passed."""
    CRASHED = "crashed"
    """The worker died or answered nonsense, for a cause that isn't one of the above."""
    INTERRUPTED = "interrupted"
    """Stopped from outside (the user, a shutdown, memory that wasn't released)."""

    @property
    def is_measured(self) -> bool:
        """Whether the trial has timed passes that may be ranked or constrained."""
        return self in (Outcome.COMPLETED, Outcome.OVER_BUDGET)
