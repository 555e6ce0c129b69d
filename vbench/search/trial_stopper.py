"""One trial's time limits: what is left of the rule of `early_stop` once everything learned is put into numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.records.record import Stopped
from vbench.search.chunk_ratios import Chunk

_LONGEST_S = 1e9
Start = tuple[bool, bool]
"""Whether a trial found an engine alive, and whether a probe came first: what the first requests compile and cache is
in the first chunk alone, so the ratios of trials that started otherwise say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The incumbent: the best rankable trial so far. `num_passes` timed ones stand behind its value."""

    trial: int
    value: float
    num_passes: int
    margin: float = 0.0
    """Who comes so near to it is measured to the end."""

    @property
    def least(self) -> float:
        """What a trial must be able to reach, or it is stopped."""
        return self.value * (1 - self.margin)

    def noise(self, deviation: float) -> float:
        """The standard deviation of the log of its value, a median of passes that have this one."""
        return deviation * math.sqrt(min(1.0, math.pi / (2 * self.num_passes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every trial of the sweep runs: so many of `prompts` in the probe (0: none), and passes of all of them."""

    prompts: int
    passes: int
    warmup_passes: int = 1
    probe_prompts: int = 0
    most_passes: int = 0
    """So many timed passes at most, where a trial may make more than `passes`."""
    settles: bool = False
    """Whether a trial's first timed passes, `passes` of them at most, may turn out not to count."""

    @property
    def probed(self) -> list[int]:
        """The prompts of the probe, as the worker takes them."""
        if not 0 < self.probe_prompts < self.prompts:
            return []
        return [index * self.prompts // self.probe_prompts for index in range(self.probe_prompts)]

    @property
    def looks(self) -> int:
        """How often a trial is tested: once a chunk."""
        return max(self.passes, self.most_passes) + self.warmup_passes + bool(self.probed)

    def passes_after(self, phase: str, index: int) -> int:
        """Whole traversals of the prompts that follow a chunk, at least."""
        if phase == "pass":
            return max(0, self.passes - index - 1)
        return self.passes + max(0, self.warmup_passes - (index + 1 if phase == "warmup" else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PassMargin:
    """What timed passes leave open: `deviation` of one pass's log, and `fixed` that more passes don't lessen. `ratio`
    is the mean log of a value ÷ the rates that its phases show."""

    t: float
    deviation: float
    ratio: float
    fixed: float

    def of(self, num_passes: int) -> float:
        """How far, in logs, a trial may end above the mean of so many of its passes."""
        return self.t * math.hypot(self.deviation / math.sqrt(num_passes), self.fixed)


@dataclass(slots=True, kw_only=True)
class TrialStopper:
    """One trial's rule (an `execution.stopping.Stopper`): what was known when it began, and its own passes."""

    metric: str
    best: Best
    plan: Plan
    error_rate: float
    work: tuple[float, float]
    """Tokens or requests of a whole pass, and of the probe."""
    highest: Mapping[tuple[Start, Chunk], float]
    """By chunk before the timed passes: the log of final ÷ the chunk's rate that isn't exceeded, at the error rate."""
    passes: PassMargin | None
    start: Start = (False, False)
    """How it is expected to begin; what the worker says goes before it."""
    restart_s: float = 0.0
    is_new: bool = False
    """Whether it has an option that no completed trial had, so that its engine may compile what none has shown."""
    _logs: list[float] = field(default_factory=list)
    _is_lost: bool = False  # a pass that can't be read: nothing is known of the trial any more

    def limit_s(self, phase: str, index: int) -> float | None:
        """Seconds of the phase after which the trial can't come near the incumbent any more; None: it always might, or
        the phase does none of its work."""
        self._begin(phase, index)
        if self.is_new and self._is_first_pass(phase, index):
            return None
        limits = [self._limit_s(phase, index, first) for first in self._firsts(phase)]
        if None in limits:
            return None
        limit_s = max(one for one in limits if one is not None)
        whole_s = limit_s * (self.work[0] / self.work[1] if phase == "probe" else 1.0)
        saves_s = whole_s * self.plan.passes_after(phase, index)
        return limit_s if limit_s < _LONGEST_S and saves_s >= self.restart_s else None

    def _firsts(self, phase: str) -> range:
        """The passes from which on they may be the ones that count. What could be the best of these cases bounds."""
        is_open = phase == "pass" and self.plan.settles
        return range(min(len(self._logs), self.plan.passes) + 1 if is_open else 1)

    def _limit_s(self, phase: str, index: int, first: int) -> float | None:
        log_limit = self._log_bound_at_1s(phase, index, first)
        if log_limit is None:
            return None
        # In a pass of n, the rate counts for an n-th only.
        exponent = (log_limit - math.log(self.best.least)) * self._num_logs(phase, first)
        return math.exp(exponent) if exponent < math.log(_LONGEST_S) else math.inf

    def _begin(self, phase: str, index: int) -> None:
        """A phase begins. The first pass, maybe that of a second try, has none before it."""
        if phase != "pass" or index == 0:
            self._logs, self._is_lost = [], False
        if phase == "load":
            self.start = (False, False)  # an engine that was to be reused had gone
        elif phase == "probe":
            self.start = (self.start[0], True)

    def _is_first_pass(self, phase: str, index: int) -> bool:
        """Whether it's the first that a fresh engine makes."""
        is_reused, is_probed = self.start
        if is_reused or index > 0 or phase == "load":
            return False
        return phase == "probe" or (not is_probed and (phase == "warmup" or self.plan.warmup_passes == 0))

    def passed(self, message: dict[str, Any]) -> None:
        """Take a pass of the trial, as the worker says it."""
        if message.get("kind") != "timed":
            return
        rate = _rate(message, self.metric)
        if rate is None:
            self._is_lost = True
        else:
            self._logs.append(rate)

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        """What the record says. The bound is the least that was asked for at the limit, and falls from there."""
        bounds = [
            log_bound - math.log(after_s) / self._num_logs(phase, first)
            for first in self._firsts(phase)
            if after_s > 0 and (log_bound := self._log_bound_at_1s(phase, index, first)) is not None
        ]
        bound = math.exp(max(bounds)) if bounds else self.best.least
        return Stopped(
            phase=phase, index=index, after_s=round(after_s, 6), bound=bound,
            incumbent_trial=self.best.trial, incumbent_value=self.best.value, error_rate=self.error_rate,
        )  # fmt: skip

    def _num_logs(self, phase: str, first: int) -> int:
        return len(self._logs) - first + 1 if phase == "pass" else 1

    def _log_bound_at_1s(self, phase: str, index: int, first: int) -> float | None:
        """The log of the trial's upper bound if this phase took one second and the passes from `first` on count."""
        if self._is_lost:
            return None
        if phase != "pass":
            highest = self.highest.get((self.start, (phase, index)))
            return None if highest is None else math.log(self.work[1 if phase == "probe" else 0]) + highest
        if self.passes is None:
            return None
        num = self._num_logs(phase, first)
        running = math.log(self.work[0]) + self.passes.ratio
        return (math.fsum(self._logs[first:]) + running) / num + self.passes.of(num)


def _rate(message: Mapping[str, Any], metric: str) -> float | None:
    """The log of a pass's work ÷ duration, from a message that nobody has checked yet; None where it has none."""
    try:
        requests = message["requests"]
        outputs, seconds = requests["output_tokens"], float(message["duration_s"])
        work = len(outputs) if metric == "request_throughput_req_s" else sum(outputs)
        if metric == "total_token_throughput_tok_s":
            work += sum(requests["input_tokens"])
        rate = math.log(work / seconds)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return rate if math.isfinite(rate) else None
