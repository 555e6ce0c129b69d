"""Every kind of block, written by the templates as HTML and as Markdown."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from markupsafe import Markup

from tests.report.page_builders import COMMAND, RATES, make_page
from vbench.report.blocks import Block, Bullets, Fact, Facts, Fold, Grid, Heading, Plot, Prose, Section, Side, Sides
from vbench.report.page import Page
from vbench.report.pictures import Drawn
from vbench.report.render import hash_of, page_script, render_html, render_markdown
from vbench.report.tables import Row, Table


def page_with(*blocks: Block) -> Page:
    return replace(make_page(), sections=(Section("one", "One", blocks),))


def test_the_contents_list_every_section_and_lead_to_it() -> None:
    html = render_html(make_page(), {})
    for name, title in (("answer", "The answer"), ("trials", "All trials"), ("method", "Method")):
        assert f'<li><a href="#{name}">{title}</a></li>' in html
        assert f'<section id="{name}"' in html


def test_a_rows_exact_key_is_written_and_a_missing_one_left_out() -> None:
    html = render_html(make_page(), {})
    assert '<td class="n" data-k="1012.4">1,012 MiB</td>' in html
    assert '<td class="n">–</td>' in html
    assert '<tr id="trial-10"><th scope=row class="n" data-k="10"><a href="#trial-10">10</a></th>' in html


def test_without_script_the_calculators_defaults_are_answered() -> None:
    html = render_html(make_page(), {})
    assert '<dd class="value" data-of="time">7m 10s</dd>' in html
    assert '<dd class="value" data-of="samples">899</dd>' in html
    assert '<dd class="value">not measured</dd>' in html


def test_a_calculator_says_what_it_does_not_know() -> None:
    page = page_with(replace(RATES, startup_s=None, joules_per_token=0.5))
    markdown = render_markdown(page, {})
    assert "- **Time for 1,000 prompts**: 6m 40s (without start-up, which was not measured)" in markdown
    assert "- **Output tokens per Wh**: 7,200 (the GPUs alone)" in markdown


def test_headings_within_sides_are_a_level_deeper() -> None:
    sides = Sides((Side("Fastest", (Heading("Why"), Facts((Fact(label="Rate", value="9"),)))), Side("Safest", ())))
    page = page_with(sides)
    assert '<h3 dir="auto">Fastest</h3>' in render_html(page, {})
    assert '<h4 dir="auto">Why</h4>' in render_html(page, {})
    assert "\n### Fastest\n" in render_markdown(page, {})
    assert "\n#### Why\n" in render_markdown(page, {})
    below = page_with(Heading("Which one"), sides)
    assert '<h4 dir="auto">Fastest</h4>' in render_html(below, {})
    assert "\n##### Why\n" in render_markdown(below, {})


def test_what_stands_in_backticks_is_code_and_stays_text() -> None:
    page = page_with(Prose("Try `--no-plan` or `<b>`."), Bullets(("set `dtype: half` & `a|b`",)))
    html, markdown = render_html(page, {}), render_markdown(page, {})
    assert "Try <code>--no-plan</code> or <code>&lt;b&gt;</code>." in html
    assert '<li dir="auto">set <code>dtype: half</code> &amp; <code>a|b</code></li>' in html
    assert "Try `--no-plan` or \\`&lt;b&gt;\\`." in markdown  # entities and escapes mean nothing within code
    assert "- set `dtype: half` &amp; \\`a\\|b\\`" in markdown


def test_what_is_folded_away_is_there() -> None:
    page = page_with(Fold("More", (Prose("Inside."),)), Fold("Open", (), is_open=True))
    html = render_html(page, {})
    assert "<details><summary>More</summary>" in html
    assert "<details open><summary>Open</summary>" in html
    assert "### More\n" in render_markdown(page, {})


def test_code_is_the_text_that_is_pasted() -> None:
    assert "data-copied" in render_html(make_page(), {})
    assert f"```sh\n{COMMAND}\n```" in render_markdown(make_page(), {})


def test_markdown_holds_a_few_hundred_rows_and_says_so() -> None:
    rows = tuple(Row(cells=(str(number),)) for number in range(301))
    grid = Grid(Table(columns=("Trial",), rows=rows, noun="trials"), "All", is_interactive=True)
    markdown = render_markdown(page_with(grid), {})
    assert "| 299 |" in markdown
    assert "| 300 |" not in markdown
    assert "The first 300 of 301 trials." in markdown
    assert "300</td>" in render_html(page_with(grid), {})


def test_hostile_keys_anchors_and_captions_stay_in_their_attributes() -> None:
    evil = '"><script>alert(1)</script>'
    row = Row(cells=(evil, evil), keys=(evil, evil), anchor=evil, mark=evil)
    grid = Grid(Table(columns=(evil, evil), rows=(row,), noun=evil), evil, is_interactive=True)
    html = render_html(page_with(grid), {})
    assert html.count("<script>") == 1
    assert 'data-k="&#34;&gt;' in html


def test_a_plots_title_is_said_once() -> None:
    plot = Plot(name="p", title="By trial", caption="", alt="", draw=lambda theme: pytest.fail(f"drawn in {theme}"))
    drawn = {"p": Drawn(name="p", file_stem="p", svg=Markup("<svg></svg>"), svg_file=b"", png=b"")}
    for blocks, times in (
        ((Prose("x"), plot), 1),
        ((Heading("By trial"), Prose("x"), plot), 1),
        ((Heading("Other"), plot), 0),
    ):
        assert render_html(page_with(*blocks), drawn).count('<h3 dir="auto">By trial</h3>') == times
        assert render_markdown(page_with(*blocks), drawn).count("\n### By trial\n") == times


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_from_every_ground_in_both_themes() -> None:
    """By WCAG's formula: AA asks for 4.5 of text, and for 3 of the edge of what can be clicked."""
    html = render_html(make_page(), {})
    themes = [dict(found) for one in re.findall(r":root \{(.*?)\}", html, re.DOTALL)
              if "page" in dict(found := re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", one))]  # fmt: skip
    assert len(themes) >= 2
    for theme in themes[:2]:
        for ground in ("page", "card", "soft", "code", "warn-soft"):
            for text, least in (("ink", 4.5), ("muted", 4.5), ("accent", 4.5), ("warn", 4.5), ("edge", 3.0)):
                low, high = sorted((luminance(theme[text]), luminance(theme[ground])))
                assert (high + 0.05) / (low + 0.05) >= least, (text, ground)


def test_only_the_pages_own_script_is_allowed() -> None:
    html = render_html(make_page(), {})
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ")


def test_the_script_cannot_end_early_and_is_the_same_each_time() -> None:
    script = page_script()
    assert "</" not in script
    assert hash_of(script) == hash_of(page_script())
    assert hash_of("x") == "sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="
