"""The random arm: a random search of as many engine-seconds as the search took, to tell what the search was worth.

It draws from a stream of its own, without asking what the search found. A configuration that was measured already isn't
run again: the arm is charged what it took and has its value. (One that was stopped early is charged that little, which
is in the arm's favour.) What it draws follows from the seed, and what of it was run from the records, so it is gone on
with after a stop.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from vbench.search.base import IsAllowed
from vbench.spec.space import Point, walk
from vbench.spec.types import Choice, Domain, Scalar, SweepSpec
from vbench.sweep.history import key_of

_MOST_IN_VAIN = 2000  # draws in a row of what was drawn before: the space is as good as walked


@dataclass(frozen=True, slots=True)
class Cost:
    """What a configuration took: seconds (None: it was refused, so nothing), and whether the arm itself ran it."""

    trial: int
    seconds: float | None
    is_own: bool


class RandomArm:
    """`costs` are those of all records by `key_of`; `is_allowed` holds the constraints on parameters."""

    def __init__(self, spec: SweepSpec, costs: Mapping[bytes, Cost], is_allowed: IsAllowed) -> None:
        self._spec, self._costs, self._is_allowed = spec, dict(costs), is_allowed
        self._drawn: set[bytes] = set()
        self._num_draws = 0
        self._held: Point | None = None
        self.spent_s = 0.0
        self.borrowed: list[int] = []
        """Trials of the search (or the baseline) that it drew too."""

    def next(self, limit_s: float) -> Point | None:
        """The next point to run; None once `limit_s` seconds are spent, or nothing new is drawn any more."""
        while self.spent_s < limit_s:
            point = self._draw()
            if point is None:
                return None
            cost = self._costs.get(key_of(point.settings))
            if cost is None:
                return point
            self._charge(cost)
        return None

    def ran(self, trial: int, seconds: float | None) -> None:
        """A point of `next` has its record; `seconds` None: it was refused."""
        self._charge(Cost(trial, seconds, is_own=True))

    def _charge(self, cost: Cost) -> None:
        self.spent_s += cost.seconds or 0.0
        if not cost.is_own and cost.seconds is not None:
            self.borrowed.append(cost.trial)

    def _draw(self) -> Point | None:
        for _ in range(_MOST_IN_VAIN):
            stream = random.Random(f"random arm {self._spec.search.seed} {self._num_draws}")
            self._num_draws += 1
            point = walk(self._spec.parameters, lambda _, domain: _pick(stream, domain))  # noqa: B023
            key = key_of(point.settings)
            if key not in self._drawn:
                self._drawn.add(key)
                if self._is_allowed(point):
                    return point
        return None


def _pick(stream: random.Random, domain: Domain) -> Scalar:
    """Evenly; of a logarithmic range (which has no step) evenly in the logarithm."""
    if isinstance(domain, Choice):
        return stream.choice(domain.options).label
    if domain.log and domain.low > 0:
        value = math.exp(stream.uniform(math.log(domain.low), math.log(domain.high)))
        value = min(max(value, domain.low), domain.high)  # rounding may have led it out
        return round(value) if domain.is_int else round(value, 12)
    step = domain.step or (1 if domain.is_int else None)
    if step is None:
        return round(stream.uniform(domain.low, domain.high), 12)
    count = int((domain.high - domain.low) / step + 1e-9) + 1
    return round(domain.low + stream.randrange(count) * step, 12)
