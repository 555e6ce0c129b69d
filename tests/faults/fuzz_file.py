"""What one file is put through: all that vbench makes of a sweep file before it starts anything."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.faults.fuzz_made import Draw
from tests.faults.fuzz_mutations import keys_of, mutated, option, sound_values
from vbench.errors import SpecError, UsageError
from vbench.planner.budget import Budget
from vbench.search.make import check_method, make_searcher, planned_trials
from vbench.spec.config import baseline_point, effective_config, engine_key
from vbench.spec.dump import dump_yaml
from vbench.spec.loader import load_spec, spec_digest
from vbench.spec.space import Point, count_points, point_of, recorded_parameters, walk
from vbench.spec.stored import stored_parameters
from vbench.spec.types import Choice, Domain, Scalar, SweepSpec
from vbench.sweep.planning import SweepPlanner, abilities_of
from vbench.units import GIB

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20
"""Of processor time for one file; a whole second is usual for none."""
MEMORY_BYTES = 1 * GIB
"""More than the process had before its first file."""
MOST_TEXT = 100_000
"""Characters of an error: it is read by people."""
SMALL = """\
model: org/name
prompts: {synthetic: {count: 4, input_tokens: {low: 4, high: 8}, shared_prefix_share: 0.5}, output_tokens: 16}
engine: fake
environment: {A: 1}
parameters:
  quantization: [none, {awq: {model: org/awq, max_model_len: [1024, 2048]}}]
  gpu_memory_utilization: {low: 0.80, high: 0.95, step: 0.05}
search: {method: grid, trials: 4, timeout: 6h, gpu_hours: 8}
objective: [{maximize: output_throughput_tok_s}, {minimize: p95_ttft_s}]
constraints: [peak_memory_mib <= 15360]
baseline: {gpu_memory_utilization: 0.92, quantization: awq, quantization.awq.max_model_len: 1024}
"""
_PLACE = re.compile(r"(?:\.\./models|prompts)/[\w./-]+")
_CARD = Budget(
    visible_bytes=15 * GIB, nvml_bytes=15 * GIB, num_gpus=2, compute_capability=(7, 5), kind="gpu", name="t4",
    bandwidth_bytes_s=320e9,
)  # fmt: skip


class TooSlowError(Exception):
    """One file took more than `SECONDS` of processor time."""


class Fuzzed:
    """Files below a folder of its own, one after another."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.path = folder / "sweeps" / "fuzz.yaml"
        shipped = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "sweeps").glob("*.yaml"))]
        self._values = [*sound_values([SMALL, SMALL, SMALL]), *map(_slim, sound_values(shipped))]
        # Small ones are read faster, so that more can be tried.
        self.sound_texts = [*shipped, *(dump_yaml(value) for value in self._values), *[SMALL] * 8]
        self._keys = sorted({key for value in self._values for key in keys_of(value)})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for place in {found for text in shipped for found in _PLACE.findall(text)}:
            _make(self.path.parent / place)

    def made(self, number: int) -> tuple[bytes, list[str]]:
        """The file of that number, and what is set besides."""
        draw = Draw(f"{self.seed}:{number}")
        content = mutated(draw, self.sound_texts, self._values)
        return content, [option(draw, self._keys) for _ in range(draw.choice((0,) * 9 + (2,)))]

    def read(self, content: bytes, overrides: Sequence[str], *, is_planned: bool) -> str:
        """`valid` or `refused`. Raises whatever else it comes to."""
        self.path.write_bytes(content)
        try:
            spec = load_spec(self.path, overrides)
            check_method(spec)
        except UsageError as error:
            _check(error)
            return "refused"
        _use(spec)
        if is_planned:
            stored_parameters(spec.text)
            _plan(spec)
        return "valid"


def _slim(value: dict[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in ("description", "engine_args", "environment")}


def _make(place: Path) -> None:
    """A model's folder or a file of prompts, as little of it as is looked at."""
    if place.suffix:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('{"prompt": "x"}\n', encoding="utf-8")
    else:
        place.resolve().mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text('{"model_type": "llama", "vocab_size": 999}', encoding="utf-8")


def _check(error: UsageError) -> None:
    """Refused, and in words that one can use."""
    text = str(error)
    if isinstance(error, SpecError):
        assert error.problems, "refused without a problem"
        assert all(one.message for one in error.problems), "a problem without words"
    assert text.strip(), "refused without a word"
    assert len(text) <= MOST_TEXT, f"an error of {len(text):,} characters"


def _use(spec: SweepSpec) -> None:
    """Whatever a sweep does with its spec before the first trial."""
    assert len(spec_digest(spec)) == 64
    count_points(spec.parameters)
    assert planned_trials(spec) >= 0
    if spec.search.method in ("auto", "grid"):
        make_searcher(spec)
    points = [walk(spec.parameters, _first), walk(spec.parameters, _last)]
    for point in points:
        back = point_of(spec.parameters, recorded_parameters(spec.parameters, point))
        assert back is not None, f"{dict(point.parameters)} isn't read back"
        assert back.settings == point.settings, "recorded as another point"
        _configure(spec, point)
    baseline = baseline_point(spec)
    if baseline is not None:
        _configure(spec, baseline)


def _configure(spec: SweepSpec, point: Point) -> None:
    effective_config(spec, point.settings)
    engine_key(spec, point.settings)


def _plan(spec: SweepSpec) -> None:
    planner = SweepPlanner(spec, _CARD, abilities_of("vllm", "0.32.0"))
    for choose in (_first, _last):
        made = planner.plan(effective_config(spec, walk(spec.parameters, choose).settings))
        assert "the planner failed" not in made.reason, made.reason


def _first(_: str, domain: Domain) -> Scalar:
    return domain.options[0].label if isinstance(domain, Choice) else domain.low


def _last(_: str, domain: Domain) -> Scalar:
    if isinstance(domain, Choice):
        return domain.options[-1].label
    return domain.high if domain.num_values is None else domain.value(domain.num_values - 1)


def limit_memory() -> None:
    """No more than `MEMORY_BYTES` besides what this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def start_alarms() -> None:
    """From now on `alarm_in` ends in TooSlowError."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TooSlowError(f"more than {SECONDS} s of processor time")

    signal.signal(signal.SIGVTALRM, ring)


def alarm_in(seconds: float) -> None:
    """Of processor time; 0: never mind."""
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
