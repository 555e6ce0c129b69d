"""Plans beside what engines said: by hand."""

from __future__ import annotations

import pytest

from tests.records.builders import make_record
from vbench.analysis.estimates import check_estimates
from vbench.report.tables import estimates_table

ESTIMATE = {"verdict": "fits", "per_gpu": {"weights_bytes": 2 * 1024**3, "kv_tokens": 1100}}


def test_errors_are_relative_to_what_the_engine_said() -> None:
    facts = {"weights_bytes": 2 * 1024**3, "kv_cache_tokens": 1000}
    (found,) = check_estimates([make_record(4, engine_facts=facts, estimate=ESTIMATE)])
    assert (found.trial, found.verdict) == (4, "fits")
    assert found.weights.error == 0
    assert found.kv_tokens.error == pytest.approx(0.1)
    (row,) = estimates_table([found]).rows
    assert row.cells == ("4", "fits", "2.00 GiB", "2.00 GiB", "+0.0%", "1,100", "1,000", "+10.0%")


def test_what_is_missing_is_none_and_what_says_nothing_is_left_out() -> None:
    silent = make_record(0, estimate=ESTIMATE)
    unplanned = make_record(1, engine_facts={"weights_bytes": 1})
    unknown = make_record(2, engine_facts={"weights_bytes": 1}, estimate={"verdict": "uncertain", "per_gpu": None})
    half = make_record(3, engine_facts={"kv_cache_tokens": 1000, "weights_bytes": True}, estimate=ESTIMATE)
    (found,) = check_estimates([silent, unplanned, unknown, half])
    assert found.trial == 3
    assert found.weights.error is None
    assert "–" in estimates_table([found]).rows[0].cells
