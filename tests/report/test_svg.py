"""What is taken over of matplotlib's SVG, and what isn't."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from vbench.report.plot_theme import DARK, LIGHT, plot_css, roles
from vbench.report.svg import clean, inline, standalone

HEAD = (
    '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd">'
    '<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50">'
)


def drawn(inside: str, alt: str = "a plot") -> str:
    return str(inline(clean(f"{HEAD}{inside}</svg>".encode(), "history"), alt))


def test_colours_of_the_theme_become_variables_and_others_stay() -> None:
    svg = drawn(f'<path d="M 0 0 L 1 1" style="fill: none; stroke: {LIGHT.accent}; stroke-width: 2"/>')
    assert 'stroke="var(--plot-accent)"' in svg
    assert 'fill="none"' in svg
    assert "#123456" in drawn('<rect x="0" y="0" width="1" height="1" style="fill: #123456"/>')


def test_every_role_has_a_variable_in_both_themes() -> None:
    light, dark = dict(roles(LIGHT)), dict(roles(DARK))
    assert light.keys() == dark.keys()
    assert len(set(light.values())) == len(light)  # else one variable's place would be taken by another's
    for theme in (LIGHT, DARK):
        assert set(theme.parts) <= set(dict(roles(theme)).values())
    assert plot_css().count("--plot-accent") == 2


def test_ids_begin_with_the_plots_name_and_unused_ones_go() -> None:
    inside = (
        '<g id="axes_1"><defs><path id="m1" d="M 0 0 L 1 1"/></defs><g clip-path="url(#c1)">'
        '<use xlink:href="#m1" x="1" y="2"/><use xlink:href="#m1" x="3" y="4"/></g></g>'
        '<defs><clipPath id="c1"><rect x="0" y="0" width="1" height="1"/></clipPath></defs>'
    )
    root = ElementTree.fromstring(drawn(inside))
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert sorted(ids) == ["history-1", "history-2"]
    assert {element.get("href") for element in root.iter("use")} == {"#history-2"}
    assert [element.get("clip-path") for element in root.iter() if element.get("clip-path")] == ["url(#history-1)"]


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<style>* { fill: red }</style>",
        "<foreignObject><b>x</b></foreignObject>",
        '<path d="M 0 0" style="stroke: #000" onload="alert(1)"/>',
        '<a xlink:href="javascript:alert(1)"><path d="M 0 0" style="stroke: #000"/></a>',
        '<a xlink:href="https://example.org/"><path d="M 0 0" style="stroke: #000"/></a>',
        '<image xlink:href="https://example.org/x.png" width="1" height="1"/>',
        '<use xlink:href="https://example.org/x.svg#a" x="0" y="0"/>',
        '<path d="M 0 0" style="stroke: #000; fill: url(https://example.org/x)"/>',
        "<metadata>x</metadata><!-- y -->",
    ],
)
def test_what_could_run_or_fetch_is_dropped(inside: str) -> None:
    svg = drawn(inside)
    for word in ("script", "style", "foreign", "onload", "example.org", "metadata", "<!--"):
        assert word not in svg


def test_text_and_alt_are_escaped_and_kept_as_they_are() -> None:
    svg = drawn('<text x="1" y="2" style="font-size: 9px">&lt;script&gt; "שלום" 🚀 ]]&gt;</text>', alt='"><script>')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == '"><script>'
    assert [element.text for element in root.iter("text")] == ['<script> "שלום" 🚀 ]]>']
    assert "<script" not in svg


def test_control_characters_do_not_break_it() -> None:
    assert "a\ufffdb" in drawn('<text x="1" y="2">a\x00b</text>')


def test_a_mark_is_a_link_to_its_row_with_a_tooltip() -> None:
    inside = (
        '<a xlink:href="#trial-14 trial 14: 730 tok/s &lt;x&gt;"><path d="M 0 0 L 1 1" style="stroke: #1f6f78"/></a>'
    )
    root = ElementTree.fromstring(drawn(inside))
    (link,) = root.iter("a")
    assert link.get("href") == "#trial-14"
    assert link.get("tabindex") == "-1"
    assert link[0].text == "trial 14: 730 tok/s <x>"
    alone = standalone(clean(f"{HEAD}{inside}</svg>".encode(), "history"), "a plot")
    assert b"#trial-14" not in alone
    assert b"<path" in alone


def test_in_a_page_of_several_parts_a_mark_leads_to_its_own_parts_row() -> None:
    inside = f'{HEAD}<a xlink:href="#trial-14"><path d="M 0 0" style="stroke: #1f6f78"/></a></svg>'
    assert 'href="#part-2-trial-14"' in inline(clean(inside.encode(), "part-2-history"), "")


def test_what_all_children_say_is_said_once() -> None:
    dots = "".join(f'<use xlink:href="#m" x="{n}.123456" y="1" style="fill: #1f6f78"/>' for n in range(9))
    svg = drawn(f'<g><defs><path id="m" d="M 0 0&#10;L 1.0004 -0.0001&#10;z"/></defs>{dots}</g>')
    assert svg.count("var(--plot-accent)") == 1
    assert 'x="8.1"' in svg
    assert 'd="M0 0L1 0z"' in svg


def test_the_file_stands_alone_in_light() -> None:
    inside = f'<text x="1" y="2" style="fill: {LIGHT.ink}">x</text>'
    root = ElementTree.fromstring(standalone(clean(f"{HEAD}{inside}</svg>".encode(), "history"), "a plot"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].get("fill") == LIGHT.surface
    assert (root.get("width"), root.get("height")) == ("100", "50")
    assert root[1].get("fill") == LIGHT.ink


def test_grounds_that_nobody_sees_are_left_out() -> None:
    root = clean(f'{HEAD}<path d="M 0 0" style="fill: none"/></svg>'.encode(), "history")
    assert root.children == []
