"""What a chunk of a trial (probe, warm-up, timed pass) says of the trial's end, learned from trials that completed.

Keeps sums only: learning costs the same at the first trial and at the ten-thousandth.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vbench.metrics import BY_NAME, output_tokens
from vbench.records.record import Pass, TrialRecord

THROUGHPUTS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
"""Metrics that are work ÷ duration of a pass, with work that is known before the pass."""
_PHASE_OF = {"probe": "probe", "warmup": "warmup", "unsettled": "pass", "timed": "pass"}
_MOST_RANKED = 200
assert all(name in BY_NAME for name in THROUGHPUTS)

Chunk = tuple[str, int]
"""The phase (probe, warmup, pass) and its index."""


@dataclass(slots=True)
class Spread:
    """Mean, standard deviation and maximum of numbers that come one by one (Welford, *Technometrics* 4, 1962)."""

    count: int = 0
    mean: float = 0.0
    largest: float = -math.inf
    _squares: float = 0.0

    def add(self, number: float) -> None:
        """Take one more."""
        self.count += 1
        step = number - self.mean
        self.mean += step / self.count
        self._squares += step * (number - self.mean)
        self.largest = max(self.largest, number)

    @property
    def deviation(self) -> float:
        """The sample's standard deviation; 0 of fewer than two numbers."""
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else 0.0


@dataclass(slots=True)
class Delays:
    """By how many seconds a chunk is late, beyond a ramp-up that all have: compiling takes as long, however fast a
    configuration is then. Of what was told only those are kept that took longest for their work."""

    ramp_up: float = math.inf
    """The least ratio of the chunk's time to that of its work at the trial's value."""
    _latest: list[tuple[float, float]] = field(default_factory=list)

    def add(self, took_s: float, work_s: float) -> None:
        """A chunk that took so long, with work for so long at the trial's value."""
        self.ramp_up = min(self.ramp_up, took_s / work_s)
        if not any(took >= took_s and work <= work_s for took, work in self._latest):
            self._latest = [one for one in self._latest if one[0] > took_s or one[1] < work_s]
            self._latest.append((took_s, work_s))

    @property
    def longest_s(self) -> float:
        """The longest delay seen; 0 where all had the same ramp-up."""
        return max((took_s - self.ramp_up * work_s for took_s, work_s in self._latest), default=0.0)


@dataclass(slots=True)
class PooledSpread:
    """The standard deviation within groups, whatever their means are: `dof` is the sum of the groups' sizes less 1."""

    dof: int = 0
    _squares: float = 0.0

    def add(self, group: Sequence[float]) -> None:
        """Take one more group (at least one number)."""
        mean = statistics.fmean(group)
        self.dof += len(group) - 1
        self._squares += sum((number - mean) ** 2 for number in group)

    @property
    def deviation(self) -> float:
        """0 while no group had two numbers."""
        return math.sqrt(self._squares / self.dof) if self.dof else 0.0


@dataclass(slots=True)
class RankAgreement:
    """Kendall's tau-b between two numbers of each trial, over the first 200 trials: later ones change little, and each
    is compared with all before it."""

    _pairs: list[tuple[float, float]] = field(default_factory=list)
    _concordant: int = 0  # less the discordant
    _tied_first: int = 0
    _tied_second: int = 0

    def add(self, first: float, second: float) -> None:
        """Take one more trial."""
        if len(self._pairs) == _MOST_RANKED:
            return
        for one, other in self._pairs:
            a, b = _sign(first - one), _sign(second - other)
            self._concordant += a * b
            self._tied_first += a == 0
            self._tied_second += b == 0
        self._pairs.append((first, second))

    @property
    def count(self) -> int:
        """How many trials it stands on."""
        return len(self._pairs)

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b (Kendall, *Biometrika* 33, 1945): from -1 to 1; None where one side doesn't differ at all."""
        total = self.count * (self.count - 1) // 2
        scale = (total - self._tied_first) * (total - self._tied_second)
        return self._concordant / math.sqrt(scale) if scale > 0 else None

    def lower_bound(self, confidence: float) -> float | None:
        """What the true tau is above, at that confidence: normal, with the largest variance that tau can have,
        2 (1 - tau²) / n (Daniels & Kendall, *Biometrika* 34, 1947). At tau = 1 that would be 0, so never less than the
        variance of independent rankings, 2 (2n + 5) / 9n (n - 1)."""
        tau, n = self.tau, self.count
        if tau is None:
            return None
        variance = max(2 * (1 - tau**2) / n, 2 * (2 * n + 5) / (9 * n * (n - 1)))
        return tau - statistics.NormalDist().inv_cdf(confidence) * math.sqrt(variance)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def chunk_of(one: Pass) -> Chunk:
    """The phase that a pass was made in."""
    return _PHASE_OF[one.kind], one.index


def work_done(one: Pass, metric: str) -> int:
    """What of a pass the metric counts: tokens or requests."""
    if metric == "request_throughput_req_s":
        return len(one.requests.output_tokens)
    both = metric == "total_token_throughput_tok_s"
    return output_tokens(one) + (sum(one.requests.input_tokens) if both else 0)


def chunk_rates(record: TrialRecord, metric: str) -> Mapping[Chunk, float]:
    """The log of work ÷ time of each chunk of a trial.

    The time is that of the phase, as a stopper sees it: with resetting the prefix cache before the pass, and digesting
    and sending the answers after it. Where no phase follows (an engine that is kept alive), the record can't tell when
    the pass was sent; then, and in a record without phases, it is the pass's own time, longer by as much as the other
    phases are longer than theirs.
    """
    took = {(phase.name, phase.index): phase.end_s - phase.start_s for phase in record.phases[:-1]}
    known = [(took[chunk], one.duration_s) for one in record.passes if (chunk := chunk_of(one)) in took]
    own = math.fsum(duration for _, duration in known)
    longer = math.fsum(seconds for seconds, _ in known) / own if own > 0 else 1.0
    rates: dict[Chunk, float] = {}
    for one in record.passes:
        work, seconds = work_done(one, metric), took.get(chunk_of(one), one.duration_s * longer)
        if work > 0 and seconds > 0:
            rates[chunk_of(one)] = math.log(work / seconds)
    return rates
