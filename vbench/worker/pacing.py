"""How many passes a trial makes: until its throughput has settled and, where asked, is known narrowly enough.

The samples are log rates of the timed passes (output tokens ÷ duration), so that a pass ten times slower is as odd as
one ten times faster. Two questions are asked after each pass:

**Has it settled?** What compiles, captures graphs or raises clocks is in the first passes. They count from the first
pass `s` on such that no beginning of the passes from `s` differs from what follows it: for each of the first passes
Student's t of (mean before) − (mean after), with the spread of those after it (what comes before may scatter as it
likes), and Student's t of the slope over all of them. Of the level 3/8 goes to the first pass alone, 3/16 to the first
two, 3/32 to the first three, and 1/4 to the slope. Differences below 2 % are left alone whatever their significance,
and so is a beginning whose very first pass doesn't differ: what differs then came later, and is a disturbance. At the
level of 30 % a beginning is suspected, and further passes are made, at most as many as were asked for; at the level of
4 % it is dropped. Two passes tell nothing of their spread and three next to nothing: there a first pass that differs
from the others by 10 % and 4 % is suspect, and the first of two is dropped only at 30 %.

**Is it known well enough?** The 95 % interval of the mean log rate by Student's t; its half-width is what `until`
bounds.

tests/worker/test_pacing.py simulates both; docs/measuring.md says what they find and how often they are wrong.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

MATERIAL = 0.02
"""Differences of mean log rates below this are never a reason to drop a pass."""
SUSPECTED = 0.3
DROPPED = 0.04
FEW_SUSPECTED = {2: 0.1, 3: 0.04}
PAIR_DROPPED = 0.3
FEWEST_FOR_INTERVAL = 5
LEVEL = 0.95
_HALVINGS = 60


class Pacer:
    """Decides after each timed pass whether another one is made, and at the end from which on they count."""

    def __init__(self, request: Dict[str, Any]) -> None:
        """Of the request: `passes`, `until` with `max_passes`, `max_seconds`, `settle`."""
        self.passes: int = request["passes"]
        self.until: Optional[float] = request.get("until")
        self.max_seconds: Optional[float] = request.get("max_seconds")
        self.most: int = self.passes
        if self.until is not None:
            self.passes = max(self.passes, FEWEST_FOR_INTERVAL)
            self.most = max(self.passes, request.get("max_passes") or 0)
        self.settles: bool = bool(request.get("settle")) and self.passes > 1
        self.most_dropped: int = self.passes if self.settles else 0
        """No more are made up for than were asked for."""
        self._logs: List[float] = []
        self._spent_s = 0.0

    def took(self, duration_s: float, num_tokens: int) -> None:
        """A timed pass has ended. One without tokens or time says nothing of a rate."""
        self._spent_s += duration_s
        rate = max(1, num_tokens) / duration_s if duration_s > 0 else 1.0
        self._logs.append(math.log(rate))

    def wants_more(self) -> bool:
        """Whether another timed pass is to begin."""
        made = len(self._logs)
        if made == 0 or made == self.most + self.most_dropped:
            return made == 0
        if self.max_seconds is not None and self._spent_s >= self.max_seconds:
            return False
        if made < self.passes:
            return True
        dropped, suspected = self._first(DROPPED), self._first(SUSPECTED)
        if suspected > dropped and made < self.passes + self.most_dropped:
            return True  # more passes show what it is
        settled = made - dropped
        if settled < self.passes:
            return made < self.passes + self.most_dropped
        return self.until is not None and settled < self.most and self._half_width(dropped) > self.until

    def plan(self) -> Dict[str, Any]:
        """Of the pass that begins: `of` how many, and `is_most` where there may be fewer."""
        made = len(self._logs)
        usual = self.most
        if made >= usual:
            return {"of": usual + self.most_dropped, "is_most": True}
        return {"of": usual, "is_most": self.until is not None}

    def summary(self) -> Dict[str, Any]:
        """The event that ends the timed passes: `first`, the index of the first that counts; `is_settled`, False where
        the passes that count still show a trend; `half_width` of the interval (relative; None below 2 passes);
        `is_out_of_time`, whether `max_seconds` ended them before they were enough."""
        first = self._first(DROPPED)
        is_settled = first <= self.most_dropped or not self.settles
        if not is_settled:
            first = max(0, len(self._logs) - self.passes)
        width = self._half_width(first)
        return {
            "event": "settled",
            "first": first,
            "is_settled": is_settled,
            "half_width": width if math.isfinite(width) else None,
            "is_out_of_time": self._is_cut_off(first),
            "until": self.until,
            "passes": self.passes,
        }

    def _is_cut_off(self, first: int) -> bool:
        is_over = self.max_seconds is not None and self._spent_s >= self.max_seconds
        settled = len(self._logs) - first
        is_wide = self.until is not None and settled < self.most and self._half_width(first) > self.until
        return is_over and (settled < self.passes or is_wide)

    def _first(self, level: float) -> int:
        return first_settled(self._logs, level, self.most_dropped) if self.settles else 0

    def _half_width(self, first: int) -> float:
        return half_width(self._logs[first:])


def first_settled(logs: List[float], level: float, most: int) -> int:
    """From which pass on the rates show no beginning that differs from the rest, at that level of significance; more
    than `most` where they never do."""
    for first in range(most + 1):
        if is_settled(logs[first:], level, most - first):
            return first
    return most + 1


def is_settled(logs: List[float], level: float, most: int) -> bool:
    """Whether neither the first passes (up to `most` of them) nor a slope stand out, at that level."""
    if len(logs) < 2:
        return True
    if level > DROPPED and len(logs) in FEW_SUSPECTED:
        return abs(logs[0] - _mean(logs[1:])) <= math.log1p(FEW_SUSPECTED[len(logs)])
    if len(logs) == 2:
        return abs(logs[0] - logs[1]) <= math.log1p(PAIR_DROPPED)
    share = level * 3 / 8
    for count in range(1, min(max(most, 1), len(logs) - 2) + 1):
        if _differs(logs[:count], logs[count:], share):
            return False
        share /= 2
    return not _slopes(logs, level / 4)


def _differs(head: List[float], tail: List[float], level: float) -> bool:
    ours, first = _mean(head) - _mean(tail), head[0] - _mean(tail)
    if first * ours < 0 or abs(first) <= MATERIAL:
        return False  # it begins as it goes on: what differs came later
    difference = abs(ours)
    spread = math.sqrt(_squares(tail) / (len(tail) - 1) * (1 / len(head) + 1 / len(tail)))
    return difference > MATERIAL and two_sided(_ratio(difference, spread), len(tail) - 1) < level


def _slopes(logs: List[float], level: float) -> bool:
    count = len(logs)
    middle, mean = (count - 1) / 2, _mean(logs)
    moments = sum((index - middle) ** 2 for index in range(count))
    slope = sum((index - middle) * (log - mean) for index, log in enumerate(logs)) / moments
    left = sum((log - mean - slope * (index - middle)) ** 2 for index, log in enumerate(logs))
    error = math.sqrt(left / (count - 2) / moments)
    # Material is what it makes from the middle of the first half to that of the second.
    return abs(slope) * count / 2 > MATERIAL and two_sided(_ratio(abs(slope), error), count - 2) < level


def half_width(logs: List[float]) -> float:
    """Half the width of the 95 % interval of the mean of the logs, as a share of the rate; infinite below 2."""
    count = len(logs)
    if count < 2:
        return math.inf
    return math.expm1(quantile(LEVEL, count - 1) * math.sqrt(_squares(logs) / (count - 1) / count))


def quantile(level: float, dof: int) -> float:
    """What |t| of Student's t with `dof` degrees of freedom stays below with that probability, by halving."""
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _central(middle, dof) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(dof) * math.tan(low)


def two_sided(t: float, dof: int) -> float:
    """The probability of |T| > t ≥ 0 of Student's t with `dof` degrees of freedom.

    >>> round(two_sided(2.776445, 4), 4)
    0.05
    """
    return 1 - _central(math.atan2(t, math.sqrt(dof)), dof)


def _central(angle: float, dof: int) -> float:
    """The probability of |T| < √dof · tan(angle): Abramowitz & Stegun, *Handbook of Mathematical Functions*, 26.7.3 and
    26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = dof % 2
    term = total = (cosine if dof > 1 else 0.0) if is_odd else 1.0
    for number in range(3 if is_odd else 2, dof, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def _ratio(difference: float, spread: float) -> float:
    return difference / spread if spread > 0 else math.inf


def _mean(values: List[float]) -> float:
    return sum(values) / len(values)


def _squares(values: List[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values)
