"""Small spaces, and a loop that searches one as a sweep does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.records.builders import make_record
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.base import Asking, IsAllowed, Searcher, settings_key
from vbench.spec.space import Point
from vbench.spec.types import Choice, Option, Parameter, Range

SEQS = Parameter(name="max_num_seqs", domain=Choice(options=tuple(Option(label=str(n), value=n) for n in (64, 128))))
UTILIZATION = Parameter(name="gpu_memory_utilization", domain=Range(low=0.8, high=0.95, step=0.05))
SPECULATIVE = Parameter(
    name="speculative_config",
    domain=Choice(
        options=(
            Option(label="none", value=None),
            Option(
                label="ngram",
                value="ngram",
                settings={"method": "ngram", "num_speculative_tokens": Range(low=2, high=4)},
            ),
        )
    ),
)
SMALL = (SEQS, SPECULATIVE)
"""2 · (1 + 3) = 8 points."""
LARGE = (SEQS, SPECULATIVE, UTILIZATION, Parameter(name="max_model_len", domain=Range(low=1024, high=8192, step=512)))
"""8 · 4 · 15 = 480 points."""

Trial = Callable[[int, Point], TrialRecord]


def measured(number: int, point: Point) -> TrialRecord:
    """A trial with a throughput that depends on the point alone."""
    score = sum(hash_of(f"{name}={value}") for name, value in point.parameters.items())
    return make_record(number, 100.0 + score % 97, parameters=point.parameters)


def hash_of(text: str) -> int:
    return sum((index + 1) * ord(letter) for index, letter in enumerate(text))


def ended(outcome: Outcome) -> Trial:
    def trial(number: int, point: Point) -> TrialRecord:
        rate = 100.0 if outcome.is_measured else None
        return make_record(number, rate, outcome=outcome, parameters=point.parameters)

    return trial


def never_again(tried: Sequence[Point], also: IsAllowed = lambda _: True) -> IsAllowed:
    keys = {settings_key(point.settings) for point in tried}
    return lambda point: settings_key(point.settings) not in keys and also(point)


def asking(number: int, tried: Sequence[Point] = (), also: IsAllowed = lambda _: True) -> Asking:
    return Asking(number=number, is_allowed=never_again(tried, also))


def search(
    searcher: Searcher, num_trials: int, trial: Trial = measured, is_allowed: IsAllowed = lambda _: True
) -> tuple[list[Point], list[TrialRecord]]:
    """Up to `num_trials` points, each tried once and told; fewer when the searcher has no more."""
    points: list[Point] = []
    records: list[TrialRecord] = []
    for number in range(num_trials):
        point = searcher.ask(asking(number, points, is_allowed))
        if point is None:
            break
        points.append(point)
        records.append(trial(number, point))
        searcher.tell(records[-1])
    return points, records
