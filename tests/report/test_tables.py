"""Tables that are no section of their own."""

from __future__ import annotations

from tests.records.builders import make_record
from vbench.report.tables import warnings_table


def test_warnings_that_differ_in_numbers_alone_are_one() -> None:
    records = [
        make_record(0, warnings=["passes differ by 9% in trial 0", "the first pass was slow"]),
        make_record(1, warnings=["passes differ by 1,385.5% in trial 0"]),
        make_record(2, warnings=["passes differ by 20% in trial 0", "passes differ"]),
        make_record(2, warnings=["passes differ by 9% in trial 0"]),
    ]

    assert [row.cells for row in warnings_table(records).rows] == [
        ("passes differ by 9% to 1,385.5% in trial 0", "0, 1, 2"),
        ("the first pass was slow", "0"),
        ("passes differ", "2"),
    ]
