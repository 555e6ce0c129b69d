from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_record
from vbench.analysis.answer import find_answer
from vbench.records.record import TrialRecord
from vbench.report.latency_table import MAX_TRIALS, latency_table
from vbench.report.tables import Table
from vbench.spec.types import Objective

OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")


def table(*records: TrialRecord) -> Table | None:
    return latency_table(records, find_answer(records, OBJECTIVE))


def server(trial: int, throughput: float, **config: Any) -> TrialRecord:
    return make_record(trial, throughput, config={"engine": "vllm", "mode": "server", **config})


def test_a_sweep_of_offline_calls_has_none() -> None:
    assert table(make_record(0), make_record(1)) is None


def test_the_best_come_first_with_what_was_measured() -> None:
    made = table(make_record(0, 250.0), server(1, 500.0, load={"request_rate": 4, "max_concurrency": 8}))

    assert made is not None
    assert made.columns[:6] == ("Trial", "Mode", "Load", "Throughput", "TTFT p50", "TTFT p95")
    assert "Goodput" not in made.columns
    assert "Load" not in getattr(table(server(0, 100.0)), "columns", ("Load",))
    first, second = (dict(zip(made.columns, row.cells, strict=True)) for row in made.rows)
    assert (first["Trial"], first["Mode"], first["Load"]) == ("1", "server", "4 req/s, at most 8 at once")
    assert (first["TTFT p50"], first["ITL p50"], first["E2E p50"]) == ("550 ms", "–", "2 s")
    assert (second["Trial"], second["Mode"], second["Load"]) == ("0", "offline", "all at once")
    assert [row.mark for row in made.rows] == ["best", ""]


def test_only_so_many_are_shown() -> None:
    made = table(*(server(number, 100.0 + number) for number in range(MAX_TRIALS + 5)))

    assert made is not None
    assert len(made.rows) == MAX_TRIALS


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ({"max_concurrency": 4}, "at most 4 at once"),
        ({"ramp_up_strategy": "linear", "ramp_up_start_rps": 1, "ramp_up_end_rps": 10}, "1 to 10 req/s"),
    ],
)
def test_the_load_is_told(load: dict[str, Any], expected: str) -> None:
    made = table(server(0, 100.0, load=load))

    assert made is not None
    assert made.rows[0].cells[2] == expected
