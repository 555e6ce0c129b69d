"""One search, played on a measured space with a virtual clock: what a sweep's session does, without an engine.

The searcher, the rule that stops trials early and the ranking are the product's own. What the planner refused stays
refused, at no cost. The session's order holds: ask, run, tell.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from benchmarks.search.measured import Cell, Measured, is_refused
from benchmarks.search.methods import Method
from benchmarks.search.timeline import play, refused, steps_of, with_noise
from vbench.analysis import ranking
from vbench.execution.stopping import Stopper
from vbench.outcome import Outcome
from vbench.records.record import Origin, TrialRecord
from vbench.search.base import Asking, keeps_parameter_constraints, settings_key
from vbench.spec.config import baseline_point
from vbench.spec.space import Point, point_of
from vbench.sweep.job_maker import make_early_stop

_MAX_ASKED_PER_TRIAL = 20  # a method that may repeat itself could suggest what is refused for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """After a trial that was started: the engine-seconds so far, and the true value of what is called the best."""

    engine_s: float
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A whole search."""

    moments: tuple[Moment, ...]
    pruned: int
    refused: int
    repeated: int
    """Trials of a configuration that had been measured already."""


class Simulation:
    """One method with one seed. `until_s`: no trial is started later than that, unless the best so far isn't within
    `good_value` yet."""

    def __init__(self, measured: Measured, method: Method, seed: int, *, trials: int, noise: float = 0.0) -> None:
        self.measured, self.method = measured, method
        self.spec = method.spec(measured.spec, seed, trials)
        self.trials, self.noise, self.seed = trials, noise, seed
        self.searcher = method.make(self.spec)
        num_prompts = next(iter(measured.cells.values())).record.prompt_set.num_prompts
        self.early_stop = make_early_stop(self.spec, num_prompts)
        self.records: list[TrialRecord] = []
        self.tried: set[str] = set()
        self.best: TrialRecord | None = None
        self.engine_s = 0.0
        self.started = 0
        self.repeated = 0
        self.moments: list[Moment] = []

    def run(self, until_s: float, good_value: float) -> Trace:
        """Go on until the budget of trials is used up, nothing is left, or the clock has passed `until_s`."""
        while self.started < self.trials and len(self.records) < self.trials * _MAX_ASKED_PER_TRIAL:
            if self.engine_s >= until_s and self._is_good(good_value):
                break
            number = len(self.records)
            point, origin = self._next(number)
            if point is None:
                break
            cell = self.measured.cell_of(point)
            self._keep(refused(cell.record, number) if cell.is_refused else self._one(number, origin, cell), cell)
        return Trace(
            moments=tuple(self.moments),
            pruned=sum(record.outcome is Outcome.PRUNED for record in self.records),
            refused=sum(is_refused(record) for record in self.records),
            repeated=self.repeated,
        )

    def _is_good(self, good_value: float) -> bool:
        best = self.moments[-1].best if self.moments else None
        return best is not None and best >= good_value

    def _next(self, number: int) -> tuple[Point | None, Origin]:
        baseline = baseline_point(self.spec)
        if number == 0 and baseline is not None:
            return baseline, "baseline"
        return self.searcher.ask(Asking(number=number, is_allowed=self._is_allowed)), "search"

    def _is_allowed(self, point: Point) -> bool:
        if settings_key(point.settings) in self.tried:
            return False
        return keeps_parameter_constraints({**self.spec.engine_args, **point.settings}, self.spec.constraints)

    def _one(self, number: int, origin: Origin, cell: Cell) -> TrialRecord:
        key = settings_key(cell.point.settings)
        steps = with_noise(steps_of(cell.record), self.noise, random.Random(_mix(self.seed, key)))
        stopper = self._stopper(cell, origin)
        return play(
            cell.record, number, origin=origin, is_probed=self._is_probed(), stopper=stopper, steps=steps,
            first_pass_s=cell.first_pass_s,
        )  # fmt: skip

    def _keep(self, record: TrialRecord, cell: Cell) -> None:
        key = settings_key(cell.point.settings)
        self.repeated += not cell.is_refused and key in self.tried
        self.tried.add(key)
        self.records.append(record)
        self.searcher.tell(record)
        if self.early_stop is not None:
            self.early_stop.learn(record)
        if cell.is_refused:
            return
        self.started += 1
        self.engine_s += record.duration_s or 0.0
        self.best = ranking.best([*([self.best] if self.best else []), record], self.spec.objective)
        self.moments.append(Moment(engine_s=self.engine_s, best=self._true_value()))

    def _true_value(self) -> float | None:
        if self.best is None:
            return None
        return self.measured.cells[self._key_of(self.best)].value

    def _key_of(self, record: TrialRecord) -> str:
        point = point_of(self.spec.parameters, record.parameters)
        assert point is not None
        return settings_key(point.settings)

    def _stopper(self, cell: Cell, origin: Origin) -> Stopper | None:
        if self.early_stop is None or origin == "baseline":
            return None
        prompts = cell.record.prompt_set
        if prompts.output_tokens is None:
            return None
        tokens = [prompts.output_tokens] * prompts.num_prompts
        return self.early_stop.stopper(tokens, parameters=cell.record.parameters)

    def _is_probed(self) -> bool:
        return self.early_stop is not None and self.spec.search.probe_prompts > 0 and self.early_stop.wants_probe


def _mix(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8], "big")
