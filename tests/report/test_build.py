from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.records.builders import NOW, make_failure, make_record, make_run, make_sweep_records
from vbench.errors import StoreError
from vbench.metrics import measure, metric_names, value_of
from vbench.outcome import Outcome
from vbench.records.record import Pass, Phase, TrialRecord
from vbench.records.runs import RunFolder, create
from vbench.report.build import ReportFiles, build_report
from vbench.report.text import FAKE_MARK

HOSTILE = "<script>alert('x')</script> & \"q\" `t` | 🚀 \u202eevil שלום\n{{ 7*7 }} ${x}"
VOID = {"meta", "img", "source", "br", "link", "input", "wbr"}


class Structure(HTMLParser):
    """Checks that tags close in order, and collects what a page could load or run, and what people read."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.urls: list[str] = []
        self.alts: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.alts += [dict(attrs)["aria-label"] or ""] if tag == "svg" else []
        self.urls += [value or "" for name, value in attrs if name in ("src", "srcset", "href", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)


def parse(files: ReportFiles) -> Structure:
    page = Structure()
    page.feed(files.html.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def report(tmp_path: Path, records: list[TrialRecord]) -> ReportFiles:
    return build_report(make_run(tmp_path / "results", records), tmp_path / "reports")


def test_a_report_is_one_self_contained_page(tmp_path: Path) -> None:
    files = report(tmp_path, make_sweep_records())
    page = parse(files)
    assert page.tags.count("script") == 1
    assert "link" not in page.tags
    assert page.urls
    assert all(url.startswith("#") for url in page.urls)
    assert len(page.alts) >= 5
    assert all(len(alt) > 20 for alt in page.alts)
    html = files.html.read_text(encoding="utf-8")
    assert set(re.findall(r"url\([^)]*\)", html)) <= {f"url(#{one})" for one in re.findall(r' id="([^"]+)"', html)}
    assert "@import" not in html
    assert files.html == tmp_path / "reports" / "demo" / "report.html"
    pictures = [path for path in files.plots if path.suffix == ".png"]
    assert {"history.png", "effects.png", "memory.png", "time.png", "search.png"} <= {path.name for path in pictures}
    assert len(pictures) == len(page.alts)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert FAKE_MARK not in html


def test_the_answer_comes_first_with_its_interval_gain_and_memory(tmp_path: Path) -> None:
    base = make_record(0, [200.0, 220.0, 240.0], origin="baseline", parameters={"max_num_seqs": 8})
    fast = make_record(1, [300.0, 330.0, 360.0], peak_mib=2048, parameters={"max_num_seqs": 64})
    text = " ".join(" ".join(parse(report(tmp_path, [base, fast])).text).split())
    body = text[text.index("A trial is one setting") :]
    answer = body[: body.index("Output throughput by trial")]
    for expected in (
        "Trial 1 is the best of 2",
        "330 tok/s",  # the median of 300, 330, 360
        "300.0 – 360.0: smallest to largest of 3 timed passes, too few for a confidence interval",
        "×1.50",  # 330 ÷ 220
        "×1.25 – ×1.80: worst to best case of the passes",  # 300 ÷ 240 and 360 ÷ 200
        "2.00 GiB",
        "PSS of the trial's process tree",
        "vllm serve org/model-1b",
        "--max-num-seqs 64",
    ):
        assert expected in answer
    markdown = (tmp_path / "reports" / "demo" / "report.md").read_text(encoding="utf-8")
    assert "| max_num_seqs | 64 | 8 |" in markdown


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], "Nothing has been tried yet"),
        ([make_record(0, 100.0)], "Trial 0 is the best of 1"),
        ([make_record(0, None, outcome=Outcome.CRASHED, failure=make_failure())], "None of the 1 trials completed"),
        ([make_record(0, 100.0, constraint_violations={"x <= 1": 1.0})], "none of them has a value and keeps every"),
        ([make_record(0, None, duration_s=None, phases=[], outcome=Outcome.INFEASIBLE)], "None of the 1 trials"),
        ([make_record(0, 100.0, peak_mib=None)], "not measured"),
    ],
)
def test_a_report_of_little_is_still_one(tmp_path: Path, records: list[TrialRecord], expected: str) -> None:
    files = report(tmp_path, records)
    assert expected in " ".join(parse(files).text)
    assert expected in files.markdown.read_text(encoding="utf-8")
    assert len(files.csv.read_text(encoding="utf-8").splitlines()) == 1 + len(records)


def test_a_run_with_no_files_at_all_says_what_is_missing(tmp_path: Path) -> None:
    run = create(tmp_path, "demo", NOW)
    text = " ".join(parse(build_report(run, tmp_path / "reports")).text)
    for name in ("run.json is missing", "machine.json is missing", "sweep.yaml can't be read"):
        assert name in text


def test_unreadable_lines_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results", [make_record(0, 100.0)])
    with run.trials_jsonl.open("ab") as file:
        file.write(b"<b>broken\n")
    files = build_report(run, tmp_path / "reports")
    for text in (" ".join(parse(files).text), files.markdown.read_text(encoding="utf-8")):
        assert f"demo/{run.run_id}/trials.jsonl:2: not valid JSON" in text
        assert str(tmp_path) not in text


def test_an_unknown_objective_is_a_problem_not_the_end(tmp_path: Path) -> None:
    records = [make_record(0, 100.0)]
    run = make_run(tmp_path / "results", records, objective={"metric": "magic", "direction": "maximize"})
    assert "names no known objective" in " ".join(parse(build_report(run, tmp_path / "reports")).text)


def test_another_objective_is_what_the_report_is_about(tmp_path: Path) -> None:
    records = [make_record(0, 100.0, peak_mib=2048), make_record(1, 50.0, peak_mib=1024)]
    run = make_run(tmp_path / "results", records, objective={"metric": "peak_memory_bytes", "direction": "minimize"})
    text = " ".join(parse(build_report(run, tmp_path / "reports")).text)
    assert "Trial 1 is the best of 2" in text
    assert "Peak memory by trial" in text


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    hostile = make_record(
        0,
        100.0,
        parameters={HOSTILE: HOSTILE, "x" * 500: "y" * 500},
        warnings=[HOSTILE],
        config={"engine": "vllm", "model": HOSTILE, "x": HOSTILE},
        hardware={"memory_source": HOSTILE},
    )
    failed = make_record(1, None, outcome=Outcome.CRASHED, failure=make_failure(HOSTILE, HOSTILE, advice=HOSTILE))
    run = make_run(tmp_path / "results", [hostile, failed], sweep="a <i>sweep | `x`", status=HOSTILE)
    run.sweep_yaml.write_text(HOSTILE + "```\n# out of the fence\n", encoding="utf-8")
    run.machine_json.write_text(json.dumps({HOSTILE: HOSTILE}), encoding="utf-8")
    files = build_report(run, tmp_path / "reports")
    page = parse(files)
    assert page.tags.count("script") == 1
    assert "i" not in page.tags
    assert "<script>alert('x')</script>" in "".join(page.text)
    assert "{{ 7*7 }}" in "".join(page.text)
    assert "\u202e" not in files.html.read_text(encoding="utf-8")
    markdown = files.markdown.read_text(encoding="utf-8")
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert "<script>" not in outside
    assert "out of the fence" not in outside
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    tables = re.findall(r"(?:^\|.*\n)+", outside, flags=re.MULTILINE)
    assert rows
    for table in tables:  # no cell broke out of its column or row
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_a_spreadsheet_runs_no_formula(tmp_path: Path) -> None:
    files = report(tmp_path, [make_record(0, 100.0, parameters={"x": "=1+1", "n": -3})])
    row = next(csv.DictReader(io.StringIO(files.csv.read_text(encoding="utf-8"))))
    assert (row["param.x"], row["param.n"]) == ("'=1+1", "-3")


def test_the_csv_holds_what_the_samples_give(tmp_path: Path) -> None:
    records = make_sweep_records()
    run = make_run(tmp_path / "results", records)
    files = build_report(run, tmp_path / "reports")
    rows = list(csv.DictReader(io.StringIO(files.csv.read_text(encoding="utf-8"))))
    lines = run.trials_jsonl.read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(lines) == 20
    for row, line in zip(rows, map(json.loads, lines), strict=True):
        assert int(row["trial"]) == line["trial"]
        passes = [Pass.model_validate(one) for one in line["passes"]]
        phases = [Phase.model_validate(one) for one in line["phases"]]
        computed = measure(passes, phases) if passes else {}
        for name in metric_names():
            value = value_of(computed, name)
            assert (None if row[name] == "" else float(row[name])) == value, name


def test_the_fake_engine_is_marked_everywhere(tmp_path: Path) -> None:
    files = report(tmp_path, make_sweep_records(4, engine="fake"))
    page = parse(files)
    html = files.html.read_text(encoding="utf-8")
    assert FAKE_MARK in html[html.index("<title>") : html.index("</title>")]
    assert FAKE_MARK.capitalize() in " ".join(page.text)
    pictures = html.split("<svg")[1:]
    assert pictures
    assert all(FAKE_MARK in picture for picture in pictures)
    assert FAKE_MARK.capitalize() in files.markdown.read_text(encoding="utf-8")


def test_different_prompt_sets_are_named(tmp_path: Path) -> None:
    other = make_record(1, 100.0)
    other = other.model_copy(update={"prompt_set": other.prompt_set.model_copy(update={"sha256": "ef" * 32})})
    text = " ".join(parse(report(tmp_path, [make_record(0, 100.0), other])).text)
    assert "different prompt sets" in text


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results", [])
    (tmp_path / "reports").write_text("")
    with pytest.raises(StoreError, match="can't be created"):
        build_report(run, tmp_path / "reports")


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run: RunFolder = make_run(tmp_path / "results", make_sweep_records(5))
    first, second = build_report(run, tmp_path / "a"), build_report(run, tmp_path / "b")
    for one, other in zip(
        (first.html, first.markdown, first.csv), (second.html, second.markdown, second.csv), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()
