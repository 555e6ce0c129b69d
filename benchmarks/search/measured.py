"""A run that measured every configuration of its space: what a search method is replayed on.

The cost of a configuration is that of one whole trial without a probe: starting the engine, warm-up, timed passes, end.
Its true value is the mean over its timed passes.

The first pass of an engine may have to compile something (an n-gram draft: 1.2 s of Numba), and in Space A that was the
probe. A trial without a probe would have paid for it in its warm-up: `first_pass_s` is that part of the probe.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.analysis.statistics import pass_values
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.search.base import settings_key
from vbench.spec.loader import load_spec
from vbench.spec.space import Point, count_points, enumerate_points, point_of
from vbench.spec.types import SweepSpec

HERE = Path(__file__).parent
SPACE_A = HERE / "space_a.yaml"
MEASUREMENTS = HERE / "space_a" / "trials.jsonl"
COMPILES = "speculative_config"
"""A configuration that has it compiles in its first pass."""
ALIKE = ("max_num_seqs", "enable_prefix_caching")
_REFUSED = (Outcome.INFEASIBLE, Outcome.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One configuration as it was measured. `value` is None where it has none; a refused one costs nothing."""

    point: Point
    record: TrialRecord
    value: float | None
    engine_s: float
    first_pass_s: float = 0.0
    """What the engine's first pass takes beyond its work."""

    @property
    def is_refused(self) -> bool:
        """Whether the planner refused it, so that nothing was started."""
        return is_refused(self.record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A space, every configuration of it measured; cells by `settings_key`, in the file's order."""

    spec: SweepSpec
    cells: Mapping[str, Cell]

    @property
    def grid_s(self) -> float:
        """Engine-seconds of the whole grid: every configuration that can run, once, in full."""
        return sum(cell.engine_s for cell in self.cells.values())

    @property
    def best(self) -> float:
        """The best true value; throughputs are positive and maximized."""
        return max(cell.value for cell in self.cells.values() if cell.value is not None)

    def cell_of(self, point: Point) -> Cell:
        """The cell of a point; raises KeyError for one that wasn't measured."""
        return self.cells[settings_key(point.settings)]


def is_refused(record: TrialRecord) -> bool:
    """Whether the planner refused it."""
    return record.outcome in _REFUSED and record.failure is not None and record.failure.phase == "plan"


def engine_seconds(record: TrialRecord) -> float:
    """What the whole trial took, without its probe; 0 where nothing was started."""
    probe_s = sum(phase.end_s - phase.start_s for phase in record.phases if phase.name == "probe")
    return (record.duration_s or 0.0) - probe_s


def first_pass_seconds(records: Sequence[TrialRecord], compiles: str = COMPILES) -> dict[int, float]:
    """By trial, what the probe took beyond its work: 0 for configurations without the parameter `compiles`.

    The probe's work, as a share of a whole pass, is known from the configurations that compile nothing: it differs with
    how many prompts run at once and what they share, so those with the same `ALIKE` parameters are asked.
    """
    shares: dict[tuple[object, ...], list[float]] = {}
    for record in records:
        if _probe_s(record) is not None and record.parameters.get(compiles, "none") == "none":
            shares.setdefault(_alike(record), []).append((_probe_s(record) or 0.0) / _pass_s(record))
    found = {}
    for record in records:
        probe_s, known = _probe_s(record), shares.get(_alike(record))
        if probe_s is None or known is None or record.parameters.get(compiles, "none") == "none":
            found[record.trial] = 0.0
        else:
            found[record.trial] = max(0.0, probe_s - statistics.fmean(known) * _pass_s(record))
    return found


def _alike(record: TrialRecord) -> tuple[object, ...]:
    return tuple(record.parameters.get(name) for name in ALIKE)


def _probe_s(record: TrialRecord) -> float | None:
    return next((one.duration_s for one in record.passes if one.kind == "probe"), None)


def _pass_s(record: TrialRecord) -> float:
    return statistics.fmean(one.duration_s for one in record.passes if one.kind == "timed")


def read_measured(sweep: Path = SPACE_A, trials: Path = MEASUREMENTS) -> Measured:
    """The space of a sweep file and its measurements. Raises ValueError where a configuration is missing or doubled, or
    where there is something that a replay doesn't do (a minimized objective, an infinite space)."""
    return measured_of(load_spec(sweep), list(RecordStore(trials).read().records))


def measured_of(spec: SweepSpec, records: list[TrialRecord]) -> Measured:
    """The same from a spec and records. Raises ValueError."""
    if spec.objective.direction != "maximize" or count_points(spec.parameters) is None:
        raise ValueError("only a finite space with a maximized objective can be replayed")
    found: dict[str, Cell] = {}
    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    first_s = first_pass_seconds(completed)
    for record in records:
        point = point_of(spec.parameters, record.parameters)
        if point is None:
            raise ValueError(f"trial {record.trial} isn't a configuration of this space")
        key = settings_key(point.settings)
        if key in found:
            raise ValueError(f"trial {record.trial} measures a configuration again")
        values = pass_values(record, spec.objective.metric) if record.outcome is Outcome.COMPLETED else []
        value = statistics.fmean(values) if values else None
        extra_s = first_s.get(record.trial, 0.0)
        engine_s = engine_seconds(record) + extra_s
        found[key] = Cell(point=point, record=record, value=value, engine_s=engine_s, first_pass_s=extra_s)
    keys = [settings_key(point.settings) for point in enumerate_points(spec.parameters)]
    missing = [key for key in keys if key not in found]
    if missing:
        raise ValueError(f"{len(missing)} of {len(keys)} configurations weren't measured, {missing[0]} the first")
    return Measured(spec=spec, cells={key: found[key] for key in keys})
