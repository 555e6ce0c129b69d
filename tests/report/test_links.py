"""Marks in plots lead to rows of the table, or nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.records.builders import make_sweep_records
from tests.report.test_build import parse, report
from vbench.report import trials_section
from vbench.report.links import without_dead_links

_LINK, _ROW = re.compile(r'<a href="#(trial-\d+)" tabindex="-1"'), re.compile(r'<tr id="(trial-\d+)"')


def test_a_link_without_its_row() -> None:
    dot = '<a href="#trial-{0}" tabindex="-1" fill="red"><title>trial {0} &lt;/a&gt;</title><use href="#o"/></a>'
    html = f'{dot.format(1)}{dot.format(2)}<table><tr id="trial-2"><td><a href="#trial-7">7</a></td></tr></table>'

    found = without_dead_links(html)

    assert found == html.replace(dot.format(1), '<g fill="red"><title>trial 1 &lt;/a&gt;</title><use href="#o"/></g>')
    assert without_dead_links(found) == found


def test_a_page_whose_table_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report(tmp_path / "whole", make_sweep_records()).html.read_text(encoding="utf-8")
    monkeypatch.setattr(trials_section, "rows_to_show", lambda records, *_, **__: list(records)[:3])
    files = report(tmp_path / "cut", make_sweep_records())
    cut = files.html.read_text(encoding="utf-8")

    assert set(_LINK.findall(whole)) <= set(_ROW.findall(whole))
    assert set(_LINK.findall(whole)) - set(_ROW.findall(cut))
    assert _ROW.findall(cut) == ["trial-0", "trial-1", "trial-2"]
    assert set(_LINK.findall(cut)) <= set(_ROW.findall(cut))
    assert _LINK.findall(cut)
    assert len(parse(files).alts) == len(re.findall("<svg", whole))
