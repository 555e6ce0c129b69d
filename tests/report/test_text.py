from __future__ import annotations

import doctest

import pytest

from vbench.analysis.statistics import Interval
from vbench.report import text
from vbench.report.text import escape_markdown, fence_markdown, printable, shorten, show_bounds, show_metric, show_value


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(text).failed == 0


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\x00b\x07", "a\ufffdb\ufffd"),
        ("user\u202etxt.exe", "user\ufffdtxt.exe"),
        ("\ud800", "\ufffd"),
        ("line\r\nnext\ttab", "line\nnext\ttab"),
        ("שלום 🚀", "שלום 🚀"),
    ],
)
def test_printable_leaves_nothing_that_moves_the_cursor(written: str, shown: str) -> None:
    assert printable(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("two\nlines", "two lines"),
        ("# not a heading", "\\# not a heading"),
        ("- not a list", "\\- not a list"),
        ("1. not a list", "1\\. not a list"),
        ("0.9", "0.9"),
        ("-3", "-3"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("`code` *b* _i_ gpu_memory", "\\`code\\` \\*b\\* \\_i\\_ gpu_memory"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_markdown_is_escaped(written: str, shown: str) -> None:
    assert str(escape_markdown(written)) == shown


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert str(fence_markdown("a ```` b\n", "text")) == "`````text\na ```` b\n`````"
    assert str(fence_markdown("plain")) == "```\nplain\n```"


def test_values_are_spelled_as_in_a_sweep_file() -> None:
    values = [None, True, 0.9, "awq", {"method": "ngram"}]
    assert [show_value(value) for value in values] == ["none", "true", "0.9", "awq", '{"method": "ngram"}']


def test_what_was_not_measured_is_a_dash() -> None:
    assert show_metric("startup_s", None) == "–"
    assert show_bounds("startup_s", None) == "–"
    assert show_bounds("output_throughput_tok_s", Interval(low=1, high=1, kind="single", num_passes=1)) == "–"


def test_bounds_have_as_many_digits_on_both_sides() -> None:
    def bounds(low: float, high: float) -> str:
        return show_bounds("output_throughput_tok_s", Interval(low=low, high=high, kind="range", num_passes=3))

    assert bounds(782.0, 787.2) == "782.0 – 787.2"
    assert bounds(0.0, 0.0) == "0 – 0"
    assert bounds(0.01234, 0.0131) == "0.01234 – 0.01310"
    assert bounds(12345.6, 23456.7) == "12,346 – 23,457"


def test_long_names_keep_both_ends() -> None:
    assert shorten("x" * 300, 21) == "x" * 10 + "…" + "x" * 10
    assert len(shorten("y" * 300, 20)) == 20
