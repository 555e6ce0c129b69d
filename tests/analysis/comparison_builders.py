"""Two sides of a comparison, made of records that differ only in what a test names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.records.builders import make_record
from vbench.analysis.comparability import Side
from vbench.records.record import Pass, PromptSetFacts, TrialRecord
from vbench.spec.types import Objective

THROUGHPUT = "output_throughput_tok_s"
FASTEST = Objective(metric=THROUGHPUT, direction="maximize")


def make_side(record: TrialRecord, run: str = "old/1", **changes: Any) -> Side:
    """A trial of a run on an example machine."""
    machine = {"cpu": "Example CPU", "cpus_allowed": 2, "vbench_version": "0.1.0"}
    fields: dict[str, Any] = {
        "name": f"{run}:{record.trial}",
        "run": run,
        "record": record,
        "records": [record],
        "objective": FASTEST,
        "machine": machine,
    }
    return Side(**{**fields, **changes})


def two_sides(
    a: Sequence[float] = (200.0, 202.0, 198.0), b: Sequence[float] = (210.0, 212.0, 208.0), **changes: Any
) -> tuple[Side, Side]:
    """Sides of two runs; `changes` are of B's record."""
    return make_side(make_record(0, a)), make_side(make_record(0, b, **changes), "new/1")


def prompts_of(**changes: Any) -> PromptSetFacts:
    """The builder's prompt set, with changes."""
    return make_record(0).prompt_set.model_copy(update=changes)


def passes_of(rates: Sequence[float], output_tokens: list[int]) -> list[Pass]:
    """Timed passes with other lengths of answers."""
    return [
        one.model_copy(update={"requests": one.requests.model_copy(update={"output_tokens": output_tokens})})
        for one in make_record(0, rates).passes
    ]
