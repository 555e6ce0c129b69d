"""Names and texts come from files, models and logs. Whatever they hold, they come out as text, in every file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.records.builders import MIB, make_failure, make_record, make_run
from tests.report.browser import open_page, start_browser
from tests.report.undrawn import draw_nothing
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, write_json_atomic
from vbench.report.build import ReportFiles, build_reports

RUNS_CODE = "window.pwned=1"
HOSTILE = (
    f"<script>{RUNS_CODE}</script><img src=x onerror={RUNS_CODE}>",
    f"</style></title></textarea></svg></script><svg onload={RUNS_CODE}><iframe srcdoc='<b>'>",
    "]]>--><!--<![CDATA[ &lt;script&gt; &#60;b&#62;",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}<%= 7*7 %>",
    "\"'`\\&| [x](javascript:alert(1)) ![y](http://example.org/y.png) <http://example.org>",
    "🚀👩‍👩‍👧 שלום مرحبا \u202egnp.exe\u2066",
    "a\x00b\x1b[31mc\x1b]0;title\x07d\r\ne\u2028f\ud800g",
    "=cmd|' /C calc'!A0",
    "$x^2$ \\frac{1}{2} $\\invalid{",
    "long" * 2_500,
)
EVERYTHING = " ".join(HOSTILE)
THEIRS = {"img", "iframe", "textarea", "object", "embed", "link", "base", "form", "image", "foreignobject", "b"}
"""Tags that are in the texts, or could load something, and in no page."""
FOLDER = "<img src=x onerror=window.pwned=1> \"'`{{7*7}} 🚀 שלום"
"""What a folder's name may hold: anything but a slash."""


def record(trial: int, text: str, **changes: Any) -> TrialRecord:
    """A trial with the text in all that may hold text."""
    fields: dict[str, Any] = {
        "parameters": {text: text, "max_num_seqs": 8 * (trial + 1), "quantization": text},
        "config": {"engine": "vllm", "model": text, text: {text: [text]}, "environment": {"A": text, text: text}},
        "warnings": [text],
        "hardware": {"memory_source": text, "profile": text, "driver": text},
        "environment": {"notes": [text], "packages": {text: text}},
        "constraint_violations": {text: -1.0},
        "engine_facts": {"dtype": text, text: text},
        "estimate": {"verdict": text, "reason": text, "warnings": [text]},
    }
    rate: list[float] | None = [100.0 + trial, 101.0 + trial, 102.0 + trial]
    return make_record(trial, changes.pop("rate", rate), **{**fields, **changes})


def hostile_records() -> list[TrialRecord]:
    records = [record(trial, text) for trial, text in enumerate(HOSTILE)]
    records[0] = records[0].model_copy(update={"origin": "baseline"})
    failed = make_failure(EVERYTHING, EVERYTHING, advice=EVERYTHING, phase=EVERYTHING)
    bad: dict[str, Any] = {"rate": None, "outcome": Outcome.CRASHED, "failure": failed}
    count = len(records)
    return [*records, record(count, EVERYTHING, **bad), record(count + 1, HOSTILE[0], **bad)]


def make_hostile(root: Path, sweep: str = FOLDER) -> RunFolder:
    notes = list(HOSTILE)
    emulated = {"is_emulated": True, "limit_bytes": 9 * MIB, "notes": notes}
    run = make_run(
        root, hostile_records(), sweep=sweep, status=EVERYTHING, description=EVERYTHING, constraints=notes,
        target={"profile": HOSTILE[0], "machine": EVERYTHING, **emulated},
    )  # fmt: skip
    run.sweep_yaml.write_text("```\n" + EVERYTHING + "\n````\n", encoding="utf-8", errors="replace")
    write_json_atomic(run.machine_json, {EVERYTHING: {EVERYTHING: EVERYTHING}, "cpu": EVERYTHING})
    with run.trials_jsonl.open("ab") as file:
        file.write(f"{HOSTILE[0]}\n".encode())
    renamed = run.path.with_name(FOLDER)
    run.path.rename(renamed)
    return RunFolder(renamed)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    root = tmp_path_factory.mktemp("hostile")
    return build_reports([make_hostile(root / "results")], root / "reports")


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """Without its plots: it is there for its scripts and styles."""
    root = tmp_path_factory.mktemp("harmless")
    plain = [record(trial, "word") for trial in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        return build_reports([make_run(root / "results", plain)], root / "reports")


class Structure(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.urls: list[str] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.comments: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        self.attributes |= {name for name, _ in attrs}
        self.urls += [value or "" for name, value in attrs if name in ("src", "srcset", "href", "xlink:href", "action")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        {"script": self.scripts, "style": self.styles}.get(self._inside, self.text).append(data)


def parse(path: Path) -> Structure:
    page = Structure()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def test_the_page_has_no_tag_script_or_comment_that_a_harmless_one_has_not(
    files: ReportFiles, harmless: ReportFiles
) -> None:
    page, plain = parse(files.html), parse(harmless.html)
    assert not THEIRS & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert page.scripts == plain.scripts
    assert page.styles == plain.styles
    assert not [comment for comment in page.comments if "CDATA" in comment or "script" in comment]
    assert page.tags.count("svg") == len(files.plots)


def test_every_address_is_on_the_page_itself(files: ReportFiles) -> None:
    urls = parse(files.html).urls
    assert urls
    assert not [url for url in urls if not url.startswith(("#", "data:"))]


def test_hostile_text_is_there_as_text_and_what_reorders_or_hides_is_not(files: ReportFiles) -> None:
    text = "".join(parse(files.html).text)
    for one in (f"<script>{RUNS_CODE}</script>", "</style></title>", "{{ 7*7 }}", "${7*7}", "🚀", "שלום", "]]>"):
        assert one in text, one
    html = files.html.read_text(encoding="utf-8")
    assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


def test_markdown_has_no_markup_of_theirs(files: ReportFiles) -> None:
    markdown = files.markdown.read_text(encoding="utf-8")
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert "<script" not in outside
    assert "<img" not in outside
    assert not re.findall(r"(?<!\\)\]\((?!plots/)", outside)  # a link that isn't one of the plots
    for table in re.findall(r"(?:^\|.*\n)+", outside, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_csv_has_a_row_for_each_trial_and_no_formula(files: ReportFiles) -> None:
    text = files.csv.read_text(encoding="utf-8")
    lines = [line for line in csv.reader(io.StringIO(text)) if not line[0].startswith("#")]
    assert len(lines) == 1 + len(HOSTILE) + 2
    assert len({len(line) for line in lines}) == 1
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "@"))]


def test_every_plot_is_well_formed_and_holds_nothing_that_runs(files: ReportFiles) -> None:
    assert files.plots
    for path in files.plots:
        assert path.read_bytes().startswith(b"\x89PNG")
        root = ET.fromstring(path.with_suffix(".svg").read_bytes())
        names = {str(element.tag).rpartition("}")[2].lower() for element in root.iter()}
        assert not names & {"script", "foreignobject", "iframe", "image", "object"}
        keys = {key.rpartition("}")[2].lower() for element in root.iter() for key in element.attrib}
        assert not [key for key in keys if key.startswith("on")]


def test_the_summary_for_programs_is_json(files: ReportFiles) -> None:
    stored = json.loads((files.html.parent / "report.json").read_text(encoding="utf-8"))
    assert stored["parts"][0]["best"]["trial"] in range(len(HOSTILE))
    assert (files.html.parent / stored["files"]["html"]) == files.html


def test_names_of_files_are_ours(files: ReportFiles) -> None:
    written = [path.relative_to(files.html.parent) for path in files.html.parent.rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"(plots/)?[a-z0-9.-]+", str(path)) for path in written)


def test_two_hostile_runs_on_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_nothing(monkeypatch)
    one, two = make_hostile(tmp_path), make_hostile(tmp_path, "<b>b")
    built = build_reports([one, two], tmp_path / "reports")
    page = parse(built.html)
    assert not THEIRS & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]
    assert len(built.summary["parts"][0]["runs"]) == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with start_browser() as started:
        yield started


def test_a_browser_runs_none_of_it_and_fetches_nothing(files: ReportFiles, browser: Any) -> None:
    with open_page(browser, files.html) as opened:
        assert opened.page.evaluate("window.pwned") is None
        assert opened.page.evaluate("document.querySelectorAll('iframe, img, [onerror], [onload]').length") == 0
        assert opened.complaints == []
        assert len(opened.requests) == 1
