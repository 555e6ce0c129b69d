from __future__ import annotations

import io
import json

from rich.console import Console

from tests.analysis.comparison_builders import THROUGHPUT, two_sides
from vbench.analysis.comparison import compare
from vbench.analysis.gate import gate
from vbench.report.comparison import comparison_json, comparison_view


def test_the_view_ends_with_the_sentence_and_prints_nothing_foreign() -> None:
    a, b = two_sides(config={"chat_template": "\x1b[31mred"})
    out = io.StringIO()
    Console(file=out, width=120).print(comparison_view(compare(a, b)))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "red" in text
    assert text.splitlines()[-1].startswith("B is 5.0 % faster (95 %: ")
    assert "at least 3 timed passes of each side" in text


def test_the_json_is_json_and_names_the_gate_only_where_one_was_asked_for() -> None:
    found = compare(*two_sides())
    assert json.loads(json.dumps(comparison_json(found)))["gate"] is None
    decided = comparison_json(found, gate(found.ratio, THROUGHPUT, 0.03), is_failed=False)
    assert decided["gate"] == {"share": 0.03, "decision": "not_slower", "is_failed": False}
