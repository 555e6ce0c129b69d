"""Many small records with a known formula behind them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.records.builders import make_record
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def make_known(
    count: int, values: Mapping[str, list[Any]], formula: Callable[[dict[str, Any]], float], *, noise: float = 0.05
) -> list[TrialRecord]:
    """Random settings; the throughput is the formula's, times a noise of that standard deviation."""
    draw = random.Random(3)
    base = make_record(0, 100.0)
    records = []
    for trial in range(count):
        settings = {name: draw.choice(choices) for name, choices in values.items()}
        rate = formula(settings) * draw.lognormvariate(0, noise)
        records.append(with_value(base, trial, settings, rate))
    return records


def with_value(base: TrialRecord, trial: int, settings: dict[str, Any], rate: float) -> TrialRecord:
    """A copy with other settings and another throughput."""
    measured = {**base.measurements, "output_throughput_tok_s": rate}
    return base.model_copy(update={"trial": trial, "parameters": settings, "measurements": measured})
