"""Both ways of reading a line come to the same: records, and reasons."""

from __future__ import annotations

import json

import pytest

from tests.records.builders import make_record, make_sweep_records
from tests.report.search_builders import make_search_records
from vbench.records.decode import UnreadableLine, decode_carefully, decode_line
from vbench.records.store import encode_line

LINE = encode_line(make_record(3, [250.0, 260.0], parameters={"x": 1}))


def with_extra(text: str) -> bytes:
    """A record with one more key, whose value is `text`."""
    return LINE.rstrip()[:-1] + b',"more":' + text.encode("utf-8", "surrogatepass") + b"}\n"


@pytest.mark.parametrize("record", [*make_sweep_records(), *make_search_records()], ids=lambda one: f"{one.trial}")
def test_the_quick_way_gives_the_same_record(record: object) -> None:
    line = encode_line(record)  # type: ignore[arg-type]
    assert decode_line(line) == decode_carefully(line) == record


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "[1e400]", '{"a":1e400 }', "1" * 400 + ".0", "9" * 5000],
)
def test_what_is_no_number_is_refused_by_both(text: str) -> None:
    reasons = []
    for decode in (decode_line, decode_carefully):
        with pytest.raises(UnreadableLine) as found:
            decode(with_extra(text))
        reasons.append(str(found.value))
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith("not valid JSON")


@pytest.mark.parametrize(
    "text", ['"NaN, Infinity"', '"1e999, 2"', "1e-999", "1e300", "1e5", '"\\ud800"', "0.1", "-0.0"]
)
def test_what_only_looks_odd_is_read(text: str) -> None:
    record = decode_line(with_extra(text))
    assert record.model_extra == {"more": json.loads(text)}


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"3", b"\xff\xfe", LINE[:40], b'{"trial": "no"}', LINE.replace(b'"trial":3', b'"trial":"three"'),
        LINE.replace(b'"schema_version":1', b'"schema_version":2'), b"[" * 100_000,
        LINE.replace(b'"outcome":"completed"', b'"outcome":"won"'),
    ],
    ids=range(10),
)  # fmt: skip
def test_the_reason_is_that_of_the_careful_way(line: bytes) -> None:
    with pytest.raises(UnreadableLine) as careful:
        decode_carefully(line)
    with pytest.raises(UnreadableLine) as quick:
        decode_line(line)
    assert str(quick.value) == str(careful.value)
