"""The rule that stops a trial early, when its throughput can no longer reach the best so far.

Every chunk of a trial (the probe, a warm-up, a timed pass) does work that is known before, so the time it has taken so
far bounds its rate; how far a trial may end above a chunk's rate is learned from the trials that completed. Together
they give each chunk a time limit. docs/search.md has the formula, and what its error rate means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.student_t import student_quantile
from vbench.records.record import TrialRecord
from vbench.search.chunk_ratios import (
    THROUGHPUTS,
    Chunk,
    Delays,
    PooledSpread,
    RankAgreement,
    Spread,
    chunk_of,
    chunk_rates,
    work_done,
)
from vbench.search.trial_stopper import Best, PassMargin, Plan, Start, TrialStopper
from vbench.spec.types import Objective, Scalar

MIN_TRIALS = 5
"""So many completed trials before a probe or a warm-up may stop one."""
FLOOR = 0.01
"""The least standard deviation (of a log) that is believed: a few passes may agree by luck."""
SLACK = 1.25
"""What one trial compiled at first may take the next so much longer."""
TRUSTED_TAU = 0.6
HOPELESS_TAU = 0.4
HOPELESS_TRIALS = 8
_PROBE = ("probe", 0)
_NOT_LEARNT = ("interference", "reference", "compare")
__all__ = ["EarlyStop", "Plan"]


class EarlyStop:
    """Lives as long as a run. Learns from records in their order, so what a resumed run rebuilds is what it had.

    Only a throughput that is maximised can be stopped by; for every other objective `stopper` is always None, as it is
    for the caller's sake with several objectives, where a trial that loses in one may win in another.
    """

    def __init__(
        self, objective: Objective, plan: Plan, *, error_rate: float = 0.05, margin: float = 0.0
    ) -> None:  # fmt: skip
        """`error_rate`: the chance that a trial worth the incumbent less the margin is stopped, over all of its chunks.
        `margin`: the share of the incumbent's value that a trial may lack and still be measured to its end."""
        self.objective, self.plan, self.error_rate, self.margin = objective, plan, error_rate, margin
        self.is_able = objective.direction == "maximize" and objective.metric in THROUGHPUTS
        self.best: Best | None = None
        self.agreement = RankAgreement()
        """Of the probe's rates with the trials' values."""
        self._ratios: dict[tuple[Start, Chunk], Spread] = {}
        self._delays: dict[tuple[Start, Chunk], Delays] = {}
        self._pass_ratio = Spread()
        self._within = PooledSpread()
        self._input_tokens: list[int] = []
        self._seen_options: set[tuple[str, str]] = set()

    def learn(self, record: TrialRecord) -> None:
        """Take a finished trial, whatever its end. Those run side by side to see whether they disturb each other are
        left out, as their rates aren't a lone trial's, and those that are measured for other ends than the search's."""
        value = objective_value(record, self.objective)
        if not self.is_able or not record.outcome.is_measured or record.origin in _NOT_LEARNT or not value:
            return
        rates = chunk_rates(record, self.objective.metric)
        # Those that turned out not to have settled too: while a trial runs they can't be told from the others.
        timed = [rate for (phase, _), rate in rates.items() if phase == "pass"]
        if not timed:
            return
        self._seen_options |= _options(record.parameters)
        self._within.add(timed)
        self._pass_ratio.add(math.log(value) - math.fsum(timed) / len(timed))
        start = (record.environment.get("worker_start") == "reused", _PROBE in rates)
        for one in record.passes:
            chunk = chunk_of(one)
            if chunk[0] == "pass" or chunk not in rates:
                continue
            key, rate = (start, chunk), rates[chunk]
            work = work_done(one, self.objective.metric)
            self._ratios.setdefault(key, Spread()).add(math.log(value) - rate)
            self._delays.setdefault(key, Delays()).add(work * math.exp(-rate), work / value)
        if _PROBE in rates:
            self.agreement.add(rates[_PROBE], value)
        if self.objective.metric == "total_token_throughput_tok_s":
            self._see_inputs(record)
        if is_rankable(record, self.objective) and (self.best is None or value > self.best.value):
            num_passes = sum(one.kind == "timed" for one in record.passes)
            self.best = Best(trial=record.trial, value=value, num_passes=num_passes, margin=self.margin)

    def _see_inputs(self, record: TrialRecord) -> None:
        """Keep the longest that each prompt was for any configuration: what isn't known must not be counted short."""
        seen = next(one.requests.input_tokens for one in record.passes if one.kind == "timed")
        if len(self._input_tokens) != len(seen):
            self._input_tokens = list(seen)
        elif self._input_tokens != seen:
            self._input_tokens = [max(pair) for pair in zip(self._input_tokens, seen, strict=True)]

    @property
    def wants_probe(self) -> bool:
        """False once 8 completed trials or more have shown that the probe doesn't rank as the trials do (tau < 0.4).
        Then no more probes are to be made: they cost time and stop nothing."""
        tau = self.agreement.tau
        can = self.is_able and bool(self.plan.probed)
        return can and (self.agreement.count < HOPELESS_TRIALS or (tau is not None and tau >= HOPELESS_TAU))

    @property
    def trusts_probe(self) -> bool:
        """Whether ranks on the short set hold, so that the probe may stop a trial: tau is 0.6 or more, and above 0 at
        95 % confidence, over 5 completed trials or more."""
        tau, low = self.agreement.tau, self.agreement.lower_bound(0.95)
        if tau is None or low is None or self.agreement.count < MIN_TRIALS:
            return False
        return tau >= TRUSTED_TAU and low > 0

    def stopper(
        self, most_tokens: Sequence[int] | None, *, parameters: Mapping[str, Scalar] | None = None,
        is_reused: bool = False, restart_s: float = 0.0,
    ) -> TrialStopper | None:  # fmt: skip
        """The rule for the next trial; None where it can't be stopped (another objective, no incumbent yet, unbounded
        work). Baselines, finals and random trials mustn't be: the caller leaves those out.

        `most_tokens`: the output tokens of each prompt, exactly or at most (`execution.most_tokens` tells them); None
        where nothing bounds them. `parameters`: the trial's, as its record will have them: with an option that no
        completed trial had, what its engine's first pass compiles isn't known. `is_reused`: whether an engine that is
        alive serves it. `restart_s`: what ending that engine costs the trials after it; it isn't ended where less than
        that would be saved.
        """
        work = self._work(most_tokens)
        if not self.is_able or self.best is None or work is None or min(work) <= 0:
            return None
        return TrialStopper(
            metric=self.objective.metric, best=self.best, plan=self.plan, error_rate=self.error_rate,
            work=work, highest=self._highest(work), passes=self._passes_margin(), start=(is_reused, False),
            restart_s=restart_s, is_new=not _options(parameters or {}) <= self._seen_options,
        )  # fmt: skip

    def _work(self, most_tokens: Sequence[int] | None) -> tuple[float, float] | None:
        """Of a whole pass and of the probe (1 where there is none); None where it isn't known."""
        plan, metric = self.plan, self.objective.metric
        each: Sequence[float] | None = most_tokens
        if metric == "request_throughput_req_s":
            each = [1.0] * plan.prompts
        elif metric == "total_token_throughput_tok_s" and each is not None:
            inputs = self._input_tokens
            each = [a + b for a, b in zip(each, inputs, strict=True)] if len(inputs) == len(each) else None
        if each is None or len(each) != plan.prompts:
            return None
        return math.fsum(each), math.fsum(each[index] for index in plan.probed) if plan.probed else 1.0

    def _highest(self, work: tuple[float, float]) -> dict[tuple[Start, Chunk], float]:
        """By chunk before the timed passes: the log of final ÷ chunk's rate that is exceeded too seldom to wait for."""
        if self.best is None:
            return {}
        noise = self.best.noise(self._deviation)
        found = {}
        for (start, chunk), ratio in self._ratios.items():
            if ratio.count < MIN_TRIALS or (chunk == _PROBE and not self.trusts_probe):
                continue
            t = student_quantile(1 - self.error_rate / self.plan.looks, ratio.count - 1)
            spread = max(ratio.deviation, FLOOR) * math.sqrt(1 + 1 / ratio.count)
            # What one trial has shown, another may: a start that compiles is seldom and far from normal.
            at_best_s = work[chunk == _PROBE] / self.best.value
            late_s = at_best_s * self._delays[start, chunk].ramp_up + SLACK * self._delays[start, chunk].longest_s
            shown = max(ratio.largest, math.log(late_s / at_best_s))
            found[start, chunk] = max(ratio.mean + t * math.hypot(spread, noise), shown)
        return found

    @property
    def _deviation(self) -> float:
        """Of the log of one timed pass."""
        return max(self._within.deviation, FLOOR)

    def _passes_margin(self) -> PassMargin | None:
        if self._within.dof == 0 or self.best is None:
            return None
        ratio = self._pass_ratio
        return PassMargin(
            t=student_quantile(1 - self.error_rate / self.plan.looks, self._within.dof),
            deviation=self._deviation,
            ratio=ratio.mean,
            fixed=math.hypot(self.best.noise(self._deviation), ratio.deviation * math.sqrt(1 + 1 / ratio.count)),
        )


def _options(parameters: Mapping[str, Scalar]) -> set[tuple[str, str]]:
    """The options chosen. Numbers of ranges aren't among them: hardly two trials have the same."""
    return {(name, value) for name, value in parameters.items() if isinstance(value, str)}
