"""The page in a real browser: what can be clicked, typed and copied, and that it asks nobody for anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_run, make_sweep_records
from tests.report.browser import Opened, open_page, start_browser
from tests.report.page_builders import COMMAND, make_page
from vbench.report import units_of_use
from vbench.report.build import build_report
from vbench.report.render import render_html
from vbench.units import format_duration, format_number


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with start_browser() as started:
        yield started


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_html(make_page(), {}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return build_report(make_run(folder / "results", make_sweep_records()), folder / "reports").html


@pytest.fixture
def opened(browser: Any, small: Path) -> Iterator[Opened]:
    with open_page(browser, small, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page
        assert page.complaints == []


def trials(page: Any) -> list[str]:
    """The trials in sight, in their order."""
    found: list[str] = page.locator("#trials tbody tr:visible > :first-child").all_inner_texts()
    return found


def test_a_click_sorts_by_exact_values_with_the_missing_last_either_way(opened: Opened) -> None:
    page = opened.page
    memory = page.get_by_role("columnheader", name="Memory")
    memory.get_by_role("button").click()
    assert trials(page) == ["10", "3", "0", "2", "1"]
    assert memory.get_attribute("aria-sort") == "ascending"
    memory.get_by_role("button").click()
    assert trials(page) == ["2", "0", "3", "10", "1"]
    assert memory.get_attribute("aria-sort") == "descending"
    page.get_by_role("columnheader", name="Trial").get_by_role("button").click()
    assert trials(page) == ["0", "1", "2", "3", "10"]
    assert memory.get_attribute("aria-sort") is None


def test_the_keyboard_alone_sorts_and_searches(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Search").focus()
    page.keyboard.type("COMPLETED 8")
    assert trials(page) == ["0", "10"]
    page.get_by_role("columnheader", name="Trial").get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert trials(page) == ["10", "0"]


def test_tab_reaches_the_skip_link_first_then_the_contents(opened: Opened) -> None:
    page = opened.page
    focused = "document.activeElement.getAttribute('href')"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "#content"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "#answer"


def test_search_and_filters_add_up_and_say_how_many_are_shown(opened: Opened) -> None:
    page = opened.page
    status = page.locator("#trials output")
    assert status.inner_text() == "5 of 5 trials shown"
    page.get_by_label("Outcome").select_option("completed")
    assert trials(page) == ["0", "2", "10"]
    page.get_by_label("max_num_seqs").select_option("8")
    assert trials(page) == ["0", "10"]
    page.get_by_label("Search").fill("900")
    assert (trials(page), status.inner_text()) == (["10"], "1 of 5 trials shown")
    page.get_by_role("button", name="Show all").click()
    assert (len(trials(page)), status.inner_text()) == (5, "5 of 5 trials shown")


def test_a_filter_names_its_values_with_their_counts_numbers_in_order(opened: Opened) -> None:
    options = opened.page.get_by_label("max_num_seqs").locator("option").all_inner_texts()
    assert options == ["any", "8 (2)", "16 (2)", "auto (1)"]


def test_a_link_to_a_row_that_is_filtered_away_shows_it(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Search").fill("900")
    page.evaluate("location.hash = '#trial-1'")
    page.wait_for_function("document.getElementById('trial-1').checkVisibility()")
    assert len(trials(page)) == 5


def watch_copy(page: Any) -> None:
    """Keep what the first button for copying says: it says so for two seconds, which a busy machine may miss."""
    page.evaluate(
        """() => {
            const button = document.querySelector(".copy");
            window.copyWords = [];
            new MutationObserver(() => copyWords.push(button.textContent)).observe(button, { childList: true });
        }"""
    )


def test_copy_gives_what_would_be_pasted(opened: Opened) -> None:
    page = opened.page
    watch_copy(page)
    page.get_by_role("button", name="Copy: Server").click()
    page.wait_for_function("copyWords.includes('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == COMMAND


def test_copy_without_a_clipboard_takes_the_older_way(opened: Opened) -> None:
    page = opened.page
    page.evaluate("navigator.clipboard.writeText('before')")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('none')); }")
    watch_copy(page)
    page.get_by_role("button", name="Copy: Server").press("Enter")
    page.wait_for_function("copyWords.includes('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == COMMAND


@pytest.mark.parametrize(
    ("prompts", "tasks", "hours"), [(1000, 90, 9.0), (7, 1, 0.5), (250_000, 333, 9.0), (1, 9, 0.001)]
)
def test_the_calculator_says_what_python_says(opened: Opened, prompts: int, tasks: int, hours: float) -> None:
    page = opened.page
    shown = {name: page.locator(f"[data-of={name}]").first for name in ("time", "samples", "prompts")}
    assert (shown["time"].inner_text(), shown["samples"].inner_text()) == ("7m 10s", "899")
    for label, value in (("My prompts", prompts), ("My tasks", tasks), ("Hours", hours)):
        page.get_by_label(label, exact=True).fill(str(value))
    assert shown["prompts"].inner_text() == f"{prompts:,}"
    assert shown["time"].inner_text() == format_duration(units_of_use.seconds_for(prompts, 2.5, 30.0))
    samples = units_of_use.samples_per_task(hours, tasks, 2.5, 30.0)
    assert shown["samples"].inner_text() == format_number(samples)


def test_a_field_that_holds_no_number_gives_no_answer(opened: Opened) -> None:
    opened.page.get_by_label("My prompts").fill("")
    assert opened.page.locator("[data-of=time]").inner_text() == "–"


def test_without_script_everything_is_there(browser: Any, small: Path) -> None:
    with open_page(browser, small, has_script=False) as opened:
        page = opened.page
        assert trials(page) == ["0", "1", "2", "3", "10"]
        assert page.locator("[data-of=time]").inner_text() == "7m 10s"
        assert not page.get_by_label("My prompts").is_visible()
        assert page.get_by_role("button").count() == 0


def test_a_script_that_is_not_ours_does_not_run(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    html = render_html(make_page(), {})
    path.write_text(html.replace("<main", "<script>document.title = 'ran'</script><main", 1), encoding="utf-8")
    with open_page(browser, path) as opened:
        assert opened.page.title() == "demo · vbench"
        assert any("Content Security Policy" in one for one in opened.complaints)
        opened.page.get_by_role("columnheader", name="Memory").get_by_role("button").click()  # ours does


def test_paper_shows_what_is_folded(browser: Any, small: Path) -> None:
    with open_page(browser, small) as opened:
        page = opened.page
        assert not page.get_by_text("What was folded.").is_visible()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.get_by_text("What was folded.").is_visible()
        assert not page.locator(".contents").is_visible()
        assert not page.locator(".tools").is_visible()
        assert page.pdf().startswith(b"%PDF")


def test_the_answer_and_what_to_paste_are_in_sight_without_scrolling(browser: Any, whole: Path) -> None:
    with open_page(browser, whole) as opened:
        boxes = [opened.page.locator(one).first.bounding_box() for one in (".answer .main .value", ".answer .copy")]
        assert all(box["y"] + box["height"] < 900 for box in boxes)


@pytest.mark.parametrize("width", [690, 1040])
def test_a_printed_report_fits_its_paper(browser: Any, whole: Path, width: int) -> None:
    with open_page(browser, whole, width=width, scheme="dark") as opened:
        page = opened.page
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [390, 800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_fits_its_window_and_asks_nobody(browser: Any, whole: Path, width: int, scheme: Any) -> None:
    with open_page(browser, whole, width=width, scheme=scheme) as opened:
        page = opened.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.requests == [whole.as_uri()]
        assert opened.complaints == []
        red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (max(red, green, blue) < 60) == (scheme == "dark")
        ink = "getComputedStyle(document.querySelector('figure .plot text')).fill.match(/\\d+/g).map(Number)"
        assert (min(page.evaluate(ink)) > 120) == (scheme == "dark")


def test_a_mark_in_a_plot_leads_to_its_trials_row(browser: Any, whole: Path) -> None:
    with open_page(browser, whole) as opened:
        page = opened.page
        page.locator("#trials input[type=search]").fill("no such trial")
        page.locator("#plot-history a[href='#trial-4']").first.dispatch_event("click")
        page.wait_for_function("document.getElementById('trial-4').checkVisibility()")
        assert page.evaluate("location.hash") == "#trial-4"
        assert page.locator("#trial-4").evaluate("(row) => row.getBoundingClientRect().top < innerHeight")


def test_a_reports_landmarks_and_headings_are_in_order(browser: Any, whole: Path) -> None:
    with open_page(browser, whole) as opened:
        page = opened.page
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map((one) => Number(one.tagName[1]))")
        assert levels.count(1) == 1
        assert all(then <= now + 1 for now, then in itertools.pairwise(levels))
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids))
        targets = page.evaluate(
            "[...document.querySelectorAll('a[href]')].map((one) => one.getAttribute('href').slice(1))"
        )
        assert set(targets) <= set(ids)
        for role in ("main", "navigation"):
            assert page.get_by_role(role).count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("figure .plot:not([aria-label])").count() == 0
